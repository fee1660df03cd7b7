//! The offsets that a group has committed, read and written.
//!
//! Invariant: what is committed is the offset behind the last record that was consumed.

use std::collections::BTreeMap;

use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest, TopicName};
use protocol::{StrBytes, TopicPartition};

use super::fetcher::Start;
use super::settings::Settings;
use crate::client::{Client, CoordinatorKind, Target};
use crate::failure::Failure;

/// The newest versions that name topics.
const OFFSET_COMMIT_NEWEST: i16 = 9;
const OFFSET_FETCH_NEWEST: i16 = 9;

/// The offset of the next record of each partition.
pub(super) type Positions = BTreeMap<TopicPartition, i64>;

/// Where the group goes on in these partitions.
pub(super) async fn committed(
    client: &Client,
    settings: &Settings,
    partitions: Vec<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Start>, Failure> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut starts: BTreeMap<TopicPartition, Start> = BTreeMap::new();
    let topics = partitions.iter().map(|partition| {
        OffsetFetchRequestTopics::default()
            .with_name(topic_name(partition))
            .with_partition_indexes(vec![partition.partition])
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(&settings.group)))
        .with_topics(Some(topics.collect()));
    let request = OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(settings.is_read_committed);
    let to = Target::Coordinator(CoordinatorKind::Group, &settings.group);
    let wait = settings.request_timeout;
    let answer = client
        .ask(to, OFFSET_FETCH_NEWEST, wait, |_| request)
        .await?;
    for group in &answer.groups {
        if let Some(failure) = Failure::from_answer(group.error_code, None) {
            return Err(failure);
        }
        for topic in &group.topics {
            for row in &topic.partitions {
                if let Some(failure) = Failure::from_answer(row.error_code, None) {
                    return Err(failure);
                }
                if row.committed_offset >= 0 {
                    let name = topic.name.as_str();
                    let partition = TopicPartition::new(name, row.partition_index);
                    starts.insert(partition, Start::At(row.committed_offset));
                }
            }
        }
    }
    for partition in partitions {
        starts.entry(partition).or_insert(Start::Unknown);
    }
    Ok(starts)
}

/// Commits positions as the member of that generation, or as nobody's with -1 and an empty id.
pub(super) async fn commit(
    client: &Client,
    settings: &Settings,
    (generation, member_id): (i32, &str),
    positions: &Positions,
) -> Result<(), Failure> {
    let topics = positions.iter().map(|(partition, offset)| {
        let row = OffsetCommitRequestPartition::default()
            .with_partition_index(partition.partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text("")));
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(partition))
            .with_partitions(vec![row])
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&settings.group)))
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member_id))
        .with_group_instance_id(settings.instance_id.as_deref().map(text))
        .with_topics(topics.collect());
    let to = Target::Coordinator(CoordinatorKind::Group, &settings.group);
    let wait = settings.request_timeout;
    let answer = client
        .ask(to, OFFSET_COMMIT_NEWEST, wait, |_| request)
        .await?;
    let mut rows = answer.topics.iter().flat_map(|topic| &topic.partitions);
    match rows.find_map(|row| Failure::from_answer(row.error_code, None)) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn topic_name(partition: &TopicPartition) -> TopicName {
    TopicName(text(&partition.topic))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
