//! OffsetForLeaderEpoch: where a leader epoch ended, by which clients find truncation (KIP-320).

use protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use protocol::{ErrorCode, LeaderEpoch, Offset};

use super::{RequestContext, topics};

/// Stands where no epoch is known.
const NO_EPOCH: i32 = -1;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let response = EpochEndOffset::default().with_partition(asked.partition);
            match end_offset(ctx, &topic.topic, asked) {
                Ok(Some((epoch, offset))) => response
                    .with_leader_epoch(epoch.0)
                    .with_end_offset(offset.0),
                Ok(None) => response,
                Err(code) => response.with_error_code(code.code()),
            }
        });
        OffsetForLeaderTopicResult::default()
            .with_partitions(partitions.collect())
            .with_topic(topic.topic)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn end_offset(
    ctx: &RequestContext,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    let topic = topics::find(&ctx.image, false, topic, uuid::Uuid::nil())?;
    let topic_partition = topic.partition(asked.partition)?;
    ctx.check_fault(&topic_partition.topic, asked.partition)?;
    let partition = ctx.node.replicas.partition(&topic_partition)?;
    let current = asked.current_leader_epoch;
    partition.check_epoch((current != NO_EPOCH).then_some(LeaderEpoch(current)))?;
    match asked.leader_epoch {
        NO_EPOCH => Ok(None),
        // An epoch before all others ends where the first of them begins.
        epoch if epoch < 0 => {
            let first = partition.log().earliest_epoch();
            Ok(first.map(|(_, start)| (LeaderEpoch(epoch), start)))
        }
        epoch => Ok(partition.log().end_offset_for_epoch(LeaderEpoch(epoch))),
    }
}
