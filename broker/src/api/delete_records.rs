//! DeleteRecords: moves the start of logs (KIP-107).

use protocol::messages::delete_records_request::DeleteRecordsPartition;
use protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};
use protocol::{ErrorCode, Offset};

use super::{RequestContext, topics};

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Stands where no low watermark is known.
const INVALID_LOW_WATERMARK: i64 = -1;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut results: Vec<DeleteRecordsTopicResult> = Vec::with_capacity(request.topics.len());
    for (name, partitions) in last_of_each(request) {
        let mut answers = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let deleted = delete(ctx, &name, &partition).await;
            answers.push(shape(partition.partition_index, deleted));
        }
        results.push(
            DeleteRecordsTopicResult::default()
                .with_name(name)
                .with_partitions(answers),
        );
    }
    DeleteRecordsResponse::default().with_topics(results)
}

/// The partitions by topic; of a partition that is named again the last entry counts.
fn last_of_each(request: DeleteRecordsRequest) -> Vec<(TopicName, Vec<DeleteRecordsPartition>)> {
    let mut by_topic: Vec<(TopicName, Vec<DeleteRecordsPartition>)> = Vec::new();
    for topic in request.topics {
        let at = by_topic.iter().position(|(name, _)| *name == topic.name);
        let mut partitions = at.map(|at| by_topic.remove(at).1).unwrap_or_default();
        for partition in topic.partitions {
            partitions.retain(|known| known.partition_index != partition.partition_index);
            partitions.push(partition);
        }
        if !partitions.is_empty() {
            by_topic.push((topic.name, partitions));
        }
    }
    by_topic
}

/// Deletes what lies before the offset; gives back where the log starts now.
async fn delete(
    ctx: &RequestContext,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<Offset, ErrorCode> {
    let topic = topics::find(&ctx.image, false, topic, uuid::Uuid::nil())?;
    let topic_partition = topic.partition(asked.partition_index)?;
    ctx.check_fault(&topic_partition.topic, asked.partition_index)?;
    if topic.is_internal() {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = ctx.node.replicas.partition(&topic_partition)?;
    let log = partition.log().clone();
    let cleanup = log.config().cleanup;
    if cleanup.compact && !cleanup.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.high_watermark();
    let to = match asked.offset {
        HIGH_WATERMARK => high_watermark,
        offset if offset < 0 || offset > high_watermark.0 => {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        offset => Offset(offset),
    };
    let advanced = tokio::task::spawn_blocking(move || {
        log.advance_log_start(to).map(|()| log.log_start_offset())
    });
    match advanced.await {
        Ok(advanced) => advanced.map_err(ErrorCode::from),
        Err(_) => Err(ErrorCode::KafkaStorageError),
    }
}

fn shape(index: i32, deleted: Result<Offset, ErrorCode>) -> DeleteRecordsPartitionResult {
    let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match deleted {
        Ok(low_watermark) => result.with_low_watermark(low_watermark.0),
        Err(code) => result
            .with_low_watermark(INVALID_LOW_WATERMARK)
            .with_error_code(code.code()),
    }
}
