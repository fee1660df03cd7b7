//! DescribeProducers: the producers whose sequence numbers a partition follows (KIP-664).

use protocol::ErrorCode;
use protocol::error_code::error_message;
use protocol::messages::describe_producers_request::TopicRequest;
use protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};
use storage::ProducerSummary;

use super::{RequestContext, topics};

/// A refusal with its message.
type Refused = (ErrorCode, Option<String>);

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| describe_topic(ctx, topic));
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn describe_topic(ctx: &RequestContext, asked: TopicRequest) -> TopicResponse {
    let known = check_topic(ctx, &asked.name);
    let partitions = asked.partition_indexes.into_iter().map(|index| {
        let producers = known
            .clone()
            .and_then(|()| producers(ctx, &asked.name, index).map_err(|code| (code, None)));
        let response = PartitionResponse::default().with_partition_index(index);
        match producers {
            Ok(producers) => response.with_active_producers(producers),
            Err((code, message)) => response
                .with_error_code(code.code())
                .with_error_message(message.map(error_message)),
        }
    });
    let partitions = partitions.collect();
    TopicResponse::default()
        .with_name(asked.name)
        .with_partitions(partitions)
}

fn check_topic(ctx: &RequestContext, name: &str) -> Result<(), Refused> {
    controller::topic_name::validate(name)
        .map_err(|reason| (ErrorCode::InvalidTopicException, Some(reason)))?;
    if ctx.image.topics.by_name(name).is_none() {
        let message = "This server does not host this topic-partition.".to_owned();
        return Err((ErrorCode::UnknownTopicOrPartition, Some(message)));
    }
    Ok(())
}

fn producers(
    ctx: &RequestContext,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    let topic = topics::find(&ctx.image, false, topic, uuid::Uuid::nil())?;
    let partition = ctx.node.replicas.partition(&topic.partition(index)?)?;
    Ok(partition
        .log()
        .active_producers()
        .iter()
        .map(shape)
        .collect())
}

fn shape(producer: &ProducerSummary) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(producer.producer_id.0))
        .with_producer_epoch(producer.producer_epoch.0.into())
        .with_last_sequence(producer.last_sequence.unwrap_or(-1))
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch.unwrap_or(-1))
        .with_current_txn_start_offset(
            producer
                .current_transaction_start
                .map_or(-1, |offset| offset.0),
        )
}
