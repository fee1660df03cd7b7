//! What `kafka-share-groups` asks of brokers, one function a call of upstream's admin client.
//!
//! Invariant: each goes to whom upstream's client asks, and fails as it fails.

use std::collections::BTreeMap;

use protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use protocol::messages::share_group_describe_response::DescribedGroup;
use protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse,
    TopicName,
};
use protocol::{ErrorCode, TopicPartition};

use crate::client::{Client, Target};
use crate::consumer_groups::calls::{altered, coordinator, group_id, text};
use crate::consumer_groups::described::{Coordinator, find};
use crate::failure::Failure;

/// A share group as its coordinator describes it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) group: String,
    pub(super) coordinator: Coordinator,
    pub(super) state: String,
    pub(super) epoch: i32,
    pub(super) assignment_epoch: i32,
    /// In the order of their ids.
    pub(super) members: Vec<Member>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) client: String,
    pub(super) host: String,
    pub(super) epoch: i32,
    pub(super) assigned: BTreeMap<String, Vec<i32>>,
}

pub(super) async fn describe(client: &Client, group: &str) -> Result<Described, Failure> {
    let call = "describeShareGroups";
    let coordinator = find(client, call, group).await?;
    let build = |_| Ok(ShareGroupDescribeRequest::default().with_group_ids(vec![group_id(group)]));
    let read = |answer: ShareGroupDescribeResponse| {
        let row = answer.groups.into_iter().next().ok_or_else(no_answer)?;
        match Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            Some(failure) => Err(failure),
            None => Ok(described(row, coordinator.clone())),
        }
    };
    let name = format!("{call}(api=SHARE_GROUP_DESCRIBE)");
    let to = Target::Node(coordinator.id);
    client.call(&name, to, build, read).await
}

fn described(row: DescribedGroup, coordinator: Coordinator) -> Described {
    let members = row.members.into_iter().map(|member| {
        let topics = member.assignment.topic_partitions.into_iter();
        let assigned = topics.map(|topic| {
            let mut partitions = topic.partitions;
            partitions.sort_unstable();
            (topic.topic_name.to_string(), partitions)
        });
        Member {
            id: member.member_id.to_string(),
            client: member.client_id.to_string(),
            host: member.client_host.to_string(),
            epoch: member.member_epoch,
            assigned: assigned.collect(),
        }
    });
    let mut members: Vec<Member> = members.collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Described {
        group: row.group_id.to_string(),
        coordinator,
        state: row.group_state.to_string(),
        epoch: row.group_epoch,
        assignment_epoch: row.assignment_epoch,
        members,
    }
}

/// How far a group has come in a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) start_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) lag: Option<i64>,
}

/// The offsets of a group by partition; none where a partition has no start offset yet.
pub(super) type Offsets = BTreeMap<TopicPartition, Option<Reached>>;

pub(super) async fn offsets(client: &Client, group: &str) -> Result<Offsets, Failure> {
    let build = |_| {
        let row = DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(group_id(group))
            .with_topics(None);
        Ok(DescribeShareGroupOffsetsRequest::default().with_groups(vec![row]))
    };
    let read = |answer: DescribeShareGroupOffsetsResponse| {
        let row = answer.groups.into_iter().next().ok_or_else(no_answer)?;
        if let Some(failure) = Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            return Err(failure);
        }
        let mut offsets = Offsets::new();
        for topic in row.topics {
            // A partition that could not be described is left out, as upstream's client does.
            for row in topic.partitions.iter().filter(|row| row.error_code == 0) {
                let partition = TopicPartition::new(topic.topic_name.as_str(), row.partition_index);
                let reached = (row.start_offset >= 0).then_some(Reached {
                    start_offset: row.start_offset,
                    leader_epoch: row.leader_epoch,
                    lag: Some(row.lag).filter(|lag| *lag >= 0),
                });
                offsets.insert(partition, reached);
            }
        }
        Ok(offsets)
    };
    let name = "describeShareGroupOffsets(api=DESCRIBE_SHARE_GROUP_OFFSETS)";
    client.call(name, coordinator(group), build, read).await
}

/// Sets the start offsets of a group that has no members.
pub(super) async fn alter_offsets(
    client: &Client,
    group: &str,
    offsets: &[(TopicPartition, i64)],
) -> Result<(), Failure> {
    let build = |_| {
        let mut topics: Vec<AlterShareGroupOffsetsRequestTopic> = Vec::new();
        for (partition, offset) in offsets {
            let row = AlterShareGroupOffsetsRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_start_offset(*offset);
            let name = TopicName(text(&partition.topic));
            match topics.iter_mut().find(|topic| topic.topic_name == name) {
                Some(topic) => topic.partitions.push(row),
                None => topics.push(
                    AlterShareGroupOffsetsRequestTopic::default()
                        .with_topic_name(name)
                        .with_partitions(vec![row]),
                ),
            }
        }
        let request = AlterShareGroupOffsetsRequest::default();
        Ok(request.with_group_id(group_id(group)).with_topics(topics))
    };
    // The call succeeds with what became of each partition: a group's failure is all of theirs.
    let read = |answer: AlterShareGroupOffsetsResponse| {
        let of_group = Failure::from_answer(answer.error_code, answer.error_message.as_deref());
        if let Some(failure) = of_group {
            if failure.is_retriable() {
                return Err(failure);
            }
            let all = offsets.iter().map(|(it, _)| (it.clone(), failure.clone()));
            return Ok(all.collect());
        }
        let rows = answer.responses.iter().flat_map(|topic| {
            let name = topic.topic_name.as_str();
            topic.partitions.iter().filter_map(move |row| {
                let failure = Failure::from_answer(row.error_code, row.error_message.as_deref());
                Some((TopicPartition::new(name, row.partition_index), failure?))
            })
        });
        Ok(rows.collect::<Vec<_>>())
    };
    let name = "alterShareGroupOffsets(api=ALTER_SHARE_GROUP_OFFSETS)";
    let failed = client.call(name, coordinator(group), build, read).await?;
    altered(failed)
}

/// Deletes a group's offsets of topics: what became of each that the broker answered.
pub(super) async fn delete_offsets(
    client: &Client,
    group: &str,
    topics: &[String],
) -> Result<BTreeMap<String, Option<Failure>>, Failure> {
    let build = |_| {
        let named = topics.iter().map(|topic| {
            DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(TopicName(text(topic)))
        });
        Ok(DeleteShareGroupOffsetsRequest::default()
            .with_group_id(group_id(group))
            .with_topics(named.collect()))
    };
    let read = |answer: DeleteShareGroupOffsetsResponse| {
        if let Some(failure) =
            Failure::from_answer(answer.error_code, answer.error_message.as_deref())
        {
            return Err(failure);
        }
        let rows = answer.responses.iter().map(|row| {
            let failure = Failure::from_answer(row.error_code, row.error_message.as_deref());
            (row.topic_name.to_string(), failure)
        });
        Ok(rows.collect())
    };
    let name = "deleteShareGroupOffsets(api=DELETE_SHARE_GROUP_OFFSETS)";
    client.call(name, coordinator(group), build, read).await
}

fn no_answer() -> Failure {
    Failure::of(ErrorCode::UnknownServerError, None)
}
