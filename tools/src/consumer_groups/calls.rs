//! What `kafka-consumer-groups` asks of brokers, one function a call of upstream's admin client.
//!
//! Invariant: each goes to whom upstream's client asks, and fails as it fails.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::{
    ConsumerProtocolAssignment, DeleteGroupsRequest, DeleteGroupsResponse, GroupId,
    MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
    metadata_request,
};
use protocol::{Decodable, ErrorCode, StrBytes, TopicPartition};

use crate::admin::groups::{self, Listed};
use crate::client::{Client, CoordinatorKind, Target};
use crate::failure::Failure;
use crate::java_map::{in_order, partition_hash};

/// The last versions in which topics have names.
const OFFSET_COMMIT: i16 = 9;
const OFFSET_FETCH: i16 = 9;

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

pub(crate) fn coordinator(group: &str) -> Target<'_> {
    Target::Coordinator(CoordinatorKind::Group, group)
}

/// All consumer groups, in these states and of these types where some are given.
pub(super) async fn list(
    client: &Client,
    states: &[String],
    types: &[String],
) -> Result<Vec<Listed>, Failure> {
    let listed = groups::listed(client, states, types).await?;
    // A group of another protocol is not one of consumers; one with offsets alone has none.
    let of_consumers = listed
        .into_iter()
        .filter(|group| matches!(group.protocol.as_str(), "" | "consumer"));
    Ok(of_consumers
        .map(|group| Listed {
            kind: title(&group.kind),
            ..group
        })
        .collect())
}

/// The type as upstream prints it, whatever case it was sent in.
fn title(kind: &str) -> String {
    match kind.to_ascii_lowercase().as_str() {
        "classic" => "Classic",
        "consumer" => "Consumer",
        "share" => "Share",
        "streams" => "Streams",
        _ => "Unknown",
    }
    .to_owned()
}

/// The partitions of an assignment, which a classic member got as bytes.
pub(super) fn assigned(bytes: &Bytes) -> Vec<TopicPartition> {
    let mut bytes = bytes.clone();
    if bytes.remaining() < 2 {
        return Vec::new();
    }
    let version = bytes.get_i16().clamp(0, 3);
    // Whatever a member's assignor made of it: what is no assignment assigns nothing.
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut bytes, version) else {
        return Vec::new();
    };
    let mut partitions: Vec<TopicPartition> = assignment
        .assigned_partitions
        .iter()
        .flat_map(|topic| {
            let name = topic.topic.as_str();
            topic
                .partitions
                .iter()
                .map(move |id| TopicPartition::new(name, *id))
        })
        .collect();
    partitions.sort();
    partitions
}

/// A committed offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) leader_epoch: Option<i32>,
}

/// All offsets that a group has committed.
pub(super) async fn committed(
    client: &Client,
    group: &str,
) -> Result<BTreeMap<TopicPartition, Committed>, Failure> {
    let build = |version| {
        let request = OffsetFetchRequest::default();
        if version < 8 {
            return Ok(request.with_group_id(group_id(group)).with_topics(None));
        }
        let of_group = OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_member_epoch(-1)
            .with_topics(None);
        Ok(request.with_groups(vec![of_group]))
    };
    let name = "listConsumerGroupOffsets(api=OFFSET_FETCH)";
    client
        .call_up_to(OFFSET_FETCH, name, coordinator(group), build, committed_in)
        .await
}

fn committed_in(
    answer: OffsetFetchResponse,
) -> Result<BTreeMap<TopicPartition, Committed>, Failure> {
    let code = answer
        .groups
        .first()
        .map_or(answer.error_code, |it| it.error_code);
    if let Some(failure) = Failure::from_answer(code, None) {
        return Err(failure);
    }
    let new = answer
        .groups
        .iter()
        .flat_map(|group| &group.topics)
        .flat_map(|topic| {
            let name = topic.name.as_str();
            topic.partitions.iter().map(move |row| {
                let partition = TopicPartition::new(name, row.partition_index);
                (partition, row.committed_offset, row.committed_leader_epoch)
            })
        });
    let old = answer.topics.iter().flat_map(|topic| {
        let name = topic.name.as_str();
        topic.partitions.iter().map(move |row| {
            let partition = TopicPartition::new(name, row.partition_index);
            (partition, row.committed_offset, row.committed_leader_epoch)
        })
    });
    let known = new.chain(old).filter(|(_, offset, _)| *offset >= 0);
    let entries = known.map(|(partition, offset, epoch)| {
        let leader_epoch = (epoch >= 0).then_some(epoch);
        (
            partition,
            Committed {
                offset,
                leader_epoch,
            },
        )
    });
    Ok(entries.collect())
}

/// Commits offsets of a group that has no members.
pub(super) async fn commit(
    client: &Client,
    group: &str,
    offsets: &[(TopicPartition, i64)],
) -> Result<(), Failure> {
    let build = |_| {
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (partition, offset) in offsets {
            let row = OffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(*offset)
                .with_committed_metadata(Some(text("")));
            let name = TopicName(text(&partition.topic));
            match topics.iter_mut().find(|topic| topic.name == name) {
                Some(topic) => topic.partitions.push(row),
                None => topics.push(
                    OffsetCommitRequestTopic::default()
                        .with_name(name)
                        .with_partitions(vec![row]),
                ),
            }
        }
        Ok(OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics))
    };
    let read = |answer: OffsetCommitResponse| {
        let mut failed = Vec::new();
        for topic in &answer.topics {
            for row in &topic.partitions {
                let Some(failure) = Failure::from_answer(row.error_code, None) else {
                    continue;
                };
                if is_of_coordinator(&failure) {
                    return Err(failure);
                }
                let partition = TopicPartition::new(topic.name.as_str(), row.partition_index);
                failed.push((partition, failure));
            }
        }
        Ok(failed)
    };
    let name = "alterConsumerGroupOffsets(api=OFFSET_COMMIT)";
    let failed = client.call_up_to(OFFSET_COMMIT, name, coordinator(group), build, read);
    altered(failed.await?)
}

/// Whether the call is made again, with the group's coordinator as it is then.
fn is_of_coordinator(failure: &Failure) -> bool {
    [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::RebalanceInProgress,
    ]
    .iter()
    .any(|code| failure.is(*code))
}

/// What a call comes to that set offsets, but not of these partitions: the first one's failure, in
/// upstream's words for all of them.
pub(crate) fn altered(failed: Vec<(TopicPartition, Failure)>) -> Result<(), Failure> {
    let failed = in_order(failed, |(partition, _)| partition_hash(partition));
    let Some((_, first)) = failed.first() else {
        return Ok(());
    };
    let partitions: Vec<String> = failed.iter().map(|(it, _)| it.to_string()).collect();
    let code = first.code().unwrap_or(ErrorCode::UnknownServerError);
    let message = format!(
        "Failed altering group offsets for the following partitions: [{}]",
        partitions.join(", ")
    );
    Err(Failure::of(code, Some(&message)).not_retried())
}

/// What became of each partition's offset.
pub(super) type Deleted = Vec<(TopicPartition, Option<Failure>)>;

/// Deletes a group's offsets of some partitions.
pub(super) async fn delete_offsets(
    client: &Client,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Deleted, Failure> {
    let build = |_| {
        let mut topics: Vec<OffsetDeleteRequestTopic> = Vec::new();
        for partition in partitions {
            let row =
                OffsetDeleteRequestPartition::default().with_partition_index(partition.partition);
            let name = TopicName(text(&partition.topic));
            match topics.iter_mut().find(|topic| topic.name == name) {
                Some(topic) => topic.partitions.push(row),
                None => topics.push(
                    OffsetDeleteRequestTopic::default()
                        .with_name(name)
                        .with_partitions(vec![row]),
                ),
            }
        }
        let request = OffsetDeleteRequest::default();
        Ok(request.with_group_id(group_id(group)).with_topics(topics))
    };
    let read = |answer: OffsetDeleteResponse| {
        if let Some(failure) = Failure::from_answer(answer.error_code, None) {
            return Err(failure);
        }
        let rows = answer.topics.iter().flat_map(|topic| {
            let name = topic.name.as_str();
            topic.partitions.iter().map(move |row| {
                let partition = TopicPartition::new(name, row.partition_index);
                (partition, Failure::from_answer(row.error_code, None))
            })
        });
        Ok(rows.collect())
    };
    let name = "deleteConsumerGroupOffsets(api=OFFSET_DELETE)";
    client.call(name, coordinator(group), build, read).await
}

pub(super) async fn delete_group(client: &Client, group: &str) -> Result<(), Failure> {
    delete_group_as(client, "deleteConsumerGroups(api=DELETE_GROUPS)", group).await
}

/// Deletes a group of any type, by upstream's name of the call.
pub(crate) async fn delete_group_as(
    client: &Client,
    name: &str,
    group: &str,
) -> Result<(), Failure> {
    let build = |_| Ok(DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]));
    let read = |answer: DeleteGroupsResponse| {
        let row = answer.results.first();
        match row.and_then(|row| Failure::from_answer(row.error_code, None)) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    };
    client.call(name, coordinator(group), build, read).await
}

/// The partitions of topics by name, or why a topic has none.
pub(crate) async fn partitions_of(
    client: &Client,
    topics: &[String],
) -> Result<BTreeMap<String, Result<Vec<i32>, Failure>>, Failure> {
    let build = |_| {
        let named = topics.iter().map(|topic| {
            metadata_request::MetadataRequestTopic::default()
                .with_name(Some(TopicName(text(topic))))
        });
        Ok(MetadataRequest::default()
            .with_topics(Some(named.collect()))
            .with_allow_auto_topic_creation(false))
    };
    let read = |answer: MetadataResponse| {
        let rows = answer.topics.iter().filter_map(|topic| {
            let name = topic.name.as_ref()?.to_string();
            let found = match Failure::from_answer(topic.error_code, None) {
                Some(failure) => Err(failure),
                None => {
                    let ids = topic.partitions.iter().map(|row| row.partition_index);
                    let mut ids: Vec<i32> = ids.collect();
                    ids.sort_unstable();
                    Ok(ids)
                }
            };
            Some((name, found))
        });
        Ok(rows.collect())
    };
    client
        .call("describeTopics", Target::Any, build, read)
        .await
}
