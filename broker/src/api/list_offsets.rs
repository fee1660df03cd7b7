//! ListOffsets: offsets by timestamp, and the first and last ones.

use std::collections::HashSet;
use std::sync::Arc;

use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};
use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp};
use storage::{ReadError, TimestampedOffset};

use super::{RequestContext, topics};
use crate::replica::{Isolation, Partition};

/// A client, neither a follower nor a tool that reads followers.
const CONSUMER_REPLICA_ID: i32 = -1;

/// Stands where no epoch is known.
const NO_EPOCH: i32 = -1;

/// What is asked for in place of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    At(Timestamp),
    Latest,
    Earliest,
    MaxTimestamp,
    /// Without tiered storage the local log is all there is.
    EarliestLocal,
    /// Without tiered storage there is none, nor anything waiting to be uploaded.
    Tiered,
}

impl Position {
    fn new(timestamp: i64, version: i16) -> Option<Position> {
        let (position, since) = match timestamp {
            0.. => (Position::At(Timestamp(timestamp)), 1),
            -1 => (Position::Latest, 1),
            -2 => (Position::Earliest, 1),
            -3 => (Position::MaxTimestamp, 7),
            -4 => (Position::EarliestLocal, 8),
            -5 => (Position::Tiered, 9),
            -6 => (Position::Tiered, 11),
            _ => return None,
        };
        (version >= since).then_some(position)
    }
}

/// An offset found, with the timestamp of its record where one was searched.
#[derive(Debug, Clone, Copy)]
struct Found {
    offset: Offset,
    timestamp: Option<Timestamp>,
    leader_epoch: Option<LeaderEpoch>,
}

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let limit = limit(&request);
    let twice = asked_twice(&request.topics);
    let mut answered = HashSet::new();
    let mut topics: Vec<ListOffsetsTopicResponse> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.partition_index);
            if !answered.insert(key.clone()) {
                continue;
            }
            let found = match limit {
                Err(code) => Err(code),
                Ok(_) if twice.contains(&key) => Err(ErrorCode::InvalidRequest),
                Ok(limit) => find(ctx, &topic.name, partition, limit).await,
            };
            partitions.push(shape(ctx.version, partition.partition_index, found));
        }
        match topics.iter_mut().find(|answer| answer.name == topic.name) {
            Some(answer) => answer.partitions.append(&mut partitions),
            // Upstream groups its answers by topic: one without partitions leaves no trace.
            None if partitions.is_empty() => {}
            None => topics.push(
                ListOffsetsTopicResponse::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions),
            ),
        }
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// How far the one who asks may see; `None` is the end of the log.
fn limit(request: &ListOffsetsRequest) -> Result<Option<Isolation>, ErrorCode> {
    if request.replica_id.0 != CONSUMER_REPLICA_ID {
        return Ok(None);
    }
    match request.isolation_level {
        0 => Ok(Some(Isolation::ReadUncommitted)),
        1 => Ok(Some(Isolation::ReadCommitted)),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

fn asked_twice(topics: &[ListOffsetsTopic]) -> HashSet<(TopicName, i32)> {
    let mut once = HashSet::new();
    let all = topics.iter().flat_map(|topic| {
        topic
            .partitions
            .iter()
            .map(|partition| (topic.name.clone(), partition.partition_index))
    });
    all.filter(|key| !once.insert(key.clone())).collect()
}

async fn find(
    ctx: &RequestContext,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Option<Isolation>,
) -> Result<Option<Found>, ErrorCode> {
    let position = Position::new(asked.timestamp, ctx.version);
    let position = position.ok_or(ErrorCode::UnsupportedVersion)?;
    let topic = topics::find(&ctx.image, false, topic, uuid::Uuid::nil())?;
    let topic_partition = topic.partition(asked.partition_index)?;
    ctx.check_fault(&topic_partition.topic, asked.partition_index)?;
    let partition = ctx.node.replicas.partition(&topic_partition)?;
    let current = asked.current_leader_epoch;
    partition.check_epoch((current != NO_EPOCH).then_some(LeaderEpoch(current)))?;
    let limit = match isolation {
        Some(isolation) => partition.read_limit(isolation),
        None => partition.log().log_end_offset(),
    };
    match position {
        Position::Latest => Ok(Some(Found {
            offset: limit,
            timestamp: None,
            leader_epoch: Some(partition.leader_epoch()),
        })),
        Position::Earliest | Position::EarliestLocal => Ok(Some(earliest(&partition))),
        Position::Tiered => Ok(None),
        Position::At(_) | Position::MaxTimestamp => {
            let found = search(partition, position).await?;
            Ok(found.filter(|found| found.offset < limit))
        }
    }
}

fn earliest(partition: &Partition) -> Found {
    let offset = partition.log().log_start_offset();
    let epoch = partition
        .log()
        .earliest_epoch()
        .filter(|(_, start)| *start <= offset);
    Found {
        offset,
        timestamp: None,
        leader_epoch: epoch.map(|(epoch, _)| epoch),
    }
}

/// Searches the whole log: what lies beyond the reader's limit hides what lies before it, as in
/// upstream.
async fn search(partition: Arc<Partition>, position: Position) -> Result<Option<Found>, ErrorCode> {
    let searched = tokio::task::spawn_blocking(move || {
        let log = partition.log();
        let end = log.log_end_offset();
        match position {
            Position::At(timestamp) => log.offset_for_timestamp(timestamp, end),
            Position::MaxTimestamp => log.max_timestamp(end),
            Position::Latest | Position::Earliest | Position::EarliestLocal | Position::Tiered => {
                Ok(None)
            }
        }
    });
    match searched.await {
        Ok(Ok(found)) => Ok(found.map(
            |TimestampedOffset {
                 offset,
                 timestamp,
                 leader_epoch,
             }| {
                Found {
                    offset,
                    timestamp: Some(timestamp),
                    leader_epoch,
                }
            },
        )),
        Ok(Err(ReadError::Storage(error))) => Err(ErrorCode::from(error)),
        Ok(Err(ReadError::OffsetOutOfRange { .. })) => Ok(None),
        Err(_) => Err(ErrorCode::KafkaStorageError),
    }
}

fn shape(
    version: i16,
    index: i32,
    found: Result<Option<Found>, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    let found = match found {
        Ok(Some(found)) => found,
        Ok(None) => return response,
        Err(code) => return response.with_error_code(code.code()),
    };
    let response = response
        .with_offset(found.offset.0)
        .with_timestamp(found.timestamp.unwrap_or(Timestamp::NONE).0);
    match found.leader_epoch {
        Some(epoch) if version >= 4 => response.with_leader_epoch(epoch.0),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_known_from_its_version_on() {
        for (timestamp, since) in [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
            assert_eq!(Position::new(timestamp, since - 1), None, "{timestamp}");
            assert!(Position::new(timestamp, since).is_some(), "{timestamp}");
        }
        assert_eq!(Position::new(-7, 11), None);
        assert_eq!(Position::new(0, 1), Some(Position::At(Timestamp(0))));
    }
}
