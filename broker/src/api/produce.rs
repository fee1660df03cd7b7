//! Produce: appends batches, and answers when `acks` says so.

use std::sync::Arc;

use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use protocol::{ErrorCode, Offset, StrBytes};
use storage::{AppendError, AppendInfo, AppendOrigin};

use super::respond::IntoReply;
use super::topics::{self, Topic};
use super::{Refusal, Reply, RequestContext};
use crate::replica::Partition;

const ACKS_ALL: i16 = -1;

/// Why a partition's records were not taken, as the answer tells it.
struct Refused {
    code: ErrorCode,
    log_start_offset: Option<Offset>,
    record_errors: Vec<(i32, Option<String>)>,
    message: Option<String>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Refused {
            code,
            log_start_offset: None,
            record_errors: Vec::new(),
            message: None,
        }
    }
}

impl Refused {
    fn by_log(error: AppendError, partition: &Partition) -> Self {
        Refused {
            code: ErrorCode::from(&error),
            log_start_offset: error
                .tells_log_start_offset()
                .then(|| partition.log().log_start_offset()),
            record_errors: error.record_errors,
            message: error.message,
        }
    }
}

/// A partition's records, appended or refused.
struct Appended {
    response: PartitionProduceResponse,
    /// What acks=all waits for.
    awaited: Option<(Arc<Partition>, Offset)>,
}

pub(super) enum ProduceReply {
    Answer(ProduceResponse),
    /// acks=0 expects no answer, and learns of a failure by the closed connection.
    None(Result<(), ErrorCode>),
}

impl IntoReply for ProduceReply {
    fn into_reply(self, ctx: &RequestContext) -> Result<Reply, Refusal> {
        match self {
            ProduceReply::Answer(response) => response.into_reply(ctx),
            ProduceReply::None(Ok(())) => Ok(Reply::Nothing),
            ProduceReply::None(Err(code)) => Err(Refusal::ProduceFailed(code)),
        }
    }
}

pub(super) async fn handle(ctx: &RequestContext, request: ProduceRequest) -> ProduceReply {
    let acks = request.acks;
    let mut appended = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        appended.push(append_topic(ctx, topic, acks, request.transactional_id.is_some()).await);
    }
    if acks == ACKS_ALL {
        await_commits(&mut appended, request.timeout_ms).await;
    }
    let responses = appended.into_iter().map(|(name, topic_id, partitions)| {
        let partitions = partitions
            .into_iter()
            .map(|appended| appended.response)
            .collect();
        TopicProduceResponse::default()
            .with_name(name)
            .with_topic_id(topic_id)
            .with_partition_responses(partitions)
    });
    let mut response = ProduceResponse::default().with_responses(responses.collect());
    if acks == 0 {
        return ProduceReply::None(first_error(&response));
    }
    add_leaders(ctx, &mut response);
    ProduceReply::Answer(response)
}

type AppendedTopic = (TopicName, uuid::Uuid, Vec<Appended>);

async fn append_topic(
    ctx: &RequestContext,
    topic: TopicProduceData,
    acks: i16,
    transactional: bool,
) -> AppendedTopic {
    let found = topics::find(&ctx.image, ctx.version >= 13, &topic.name.0, topic.topic_id);
    let mut partitions = Vec::with_capacity(topic.partition_data.len());
    for data in topic.partition_data {
        let index = data.index;
        let appended = match &found {
            Ok(found) => append_partition(ctx, found, data, acks, transactional).await,
            Err(code) => Err(Refused::from(*code)),
        };
        partitions.push(match appended {
            Ok((partition, info)) => accepted(index, partition, &info),
            Err(error) => Appended {
                response: refused(index, error),
                awaited: None,
            },
        });
    }
    (topic.name, topic.topic_id, partitions)
}

async fn append_partition(
    ctx: &RequestContext,
    topic: &Topic<'_>,
    data: PartitionProduceData,
    acks: i16,
    transactional: bool,
) -> Result<(Arc<Partition>, AppendInfo), Refused> {
    if !(-1..=1).contains(&acks) {
        return Err(ErrorCode::InvalidRequiredAcks.into());
    }
    if transactional {
        // Transactions are not finalised (transaction.version 0): nobody holds one here.
        return Err(ErrorCode::InvalidTxnState.into());
    }
    if topic.is_internal() {
        // Upstream lets `__admin_client` through (W3); a client's record there breaks groups.
        return Err(ErrorCode::InvalidTopicException.into());
    }
    let topic_partition = topic.partition(data.index)?;
    let partition = ctx.node.replicas.partition(&topic_partition)?;
    let records = data.records.unwrap_or_default();
    if acks == ACKS_ALL {
        partition.check_min_in_sync()?;
    }
    let now = ctx.node.clock.now();
    match partition.append(records, AppendOrigin::Client, now).await {
        Ok(info) => Ok((partition, info)),
        Err(error) => Err(Refused::by_log(error, &partition)),
    }
}

fn accepted(index: i32, partition: Arc<Partition>, info: &AppendInfo) -> Appended {
    let response = PartitionProduceResponse::default()
        .with_index(index)
        .with_base_offset(info.base_offset.0)
        .with_log_append_time_ms(info.log_append_time.map_or(-1, |time| time.0))
        .with_log_start_offset(info.log_start_offset.0);
    Appended {
        response,
        awaited: Some((partition, info.last_offset.next())),
    }
}

fn refused(index: i32, error: Refused) -> PartitionProduceResponse {
    let record_errors = error.record_errors.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(message.map(StrBytes::from_string))
    });
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(error.code.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(error.log_start_offset.map_or(-1, |offset| offset.0))
        .with_record_errors(record_errors.collect())
        .with_error_message(error.message.map(StrBytes::from_string))
}

async fn await_commits(topics: &mut [AppendedTopic], timeout_ms: i32) {
    for (_, _, partitions) in topics {
        for appended in partitions {
            let Some((partition, offset)) = appended.awaited.take() else {
                continue;
            };
            if let Err(code) = partition.committed(offset, timeout_ms).await {
                appended.response = refused(appended.response.index, code.into());
            }
        }
    }
}

fn first_error(response: &ProduceResponse) -> Result<(), ErrorCode> {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let error = partitions
        .into_iter()
        .find_map(|partition| ErrorCode::try_from_code(partition.error_code));
    error.map_or(Ok(()), Err)
}

/// KIP-951: an answer that names another leader says who it is.
fn add_leaders(ctx: &RequestContext, response: &mut ProduceResponse) {
    if ctx.version < 10 {
        return;
    }
    let mut leaders = Vec::new();
    for topic in &mut response.responses {
        for partition in &mut topic.partition_responses {
            if partition.error_code != ErrorCode::NotLeaderOrFollower.code() {
                continue;
            }
            let found = topics::find(&ctx.image, ctx.version >= 13, &topic.name.0, topic.topic_id);
            let Some((id, epoch)) = found.ok().and_then(|topic| topic.leader(partition.index))
            else {
                continue;
            };
            partition.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(id.into())
                .with_leader_epoch(epoch.0);
            if !leaders.contains(&id) {
                leaders.push(id);
            }
        }
    }
    let endpoints = leaders
        .into_iter()
        .filter_map(|id| topics::endpoint(ctx, id));
    response.node_endpoints = endpoints
        .map(|(id, host, port, rack)| {
            NodeEndpoint::default()
                .with_node_id(id.into())
                .with_host(host)
                .with_port(port)
                .with_rack(rack)
        })
        .collect();
}
