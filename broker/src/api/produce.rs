//! Produce: appends batches, and answers when `acks` says so.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use protocol::messages::produce_request::TopicProduceData;
use protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use protocol::{ErrorCode, Offset, StrBytes, TopicPartition};
use storage::{AppendError, AppendInfo, AppendOrigin, VerificationGuard};
use uuid::Uuid;

use super::respond::IntoReply;
use super::{
    Refusal, Reply, RequestContext, produce_records as records,
    produce_verification as verification, topics,
};
use crate::replica::Partition;

const ACKS_ALL: i16 = -1;

/// Why a partition's records were not taken, as the answer tells it.
#[derive(Clone)]
pub(super) struct Refused {
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
    pub(super) fn with_message(code: ErrorCode, message: String) -> Self {
        Refused {
            message: Some(message),
            ..Refused::from(code)
        }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> ErrorCode {
        self.code
    }

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
#[derive(Default)]
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
    let _not_put_back = ctx.node.test_controls.appending().await;
    let acks = request.acks;
    let transactional_id = request.transactional_id.as_ref().map(|id| id.0.as_str());
    let mut appends = distinct(request.topic_data);
    // Upstream looks into the first batch of each before anything else.
    let unreadable = appends
        .iter()
        .find_map(|append| records::check_first(&append.records).err());
    if let Some(refused) = unreadable {
        return refuse_all(ctx, acks, appends, &refused);
    }
    if appends
        .iter()
        .any(|append| records::is_transactional(&append.records))
        && let Err(refused) = verify(ctx, transactional_id, &mut appends, acks).await
    {
        return refuse_all(ctx, acks, appends, &refused);
    }
    for append in &mut appends {
        let size = append.records.len();
        append.appended = match append_partition(ctx, append, acks, transactional_id).await {
            Ok((partition, info)) => {
                count(ctx, &partition, &info, size);
                accepted(append.index, partition, &info)
            }
            Err(refused) => {
                ctx.node.meters.failed_produces.fetch_add(1, Relaxed);
                refuse(append.index, refused)
            }
        };
    }
    if acks == ACKS_ALL {
        await_commits(&mut appends, request.timeout_ms).await;
    }
    answer(ctx, acks, appends)
}

/// Refuses every partition of a request.
pub(super) fn refuse_request(
    ctx: &RequestContext,
    request: ProduceRequest,
    code: ErrorCode,
) -> ProduceReply {
    let appends = distinct(request.topic_data);
    refuse_all(ctx, request.acks, appends, &code.into())
}

fn refuse_all(
    ctx: &RequestContext,
    acks: i16,
    mut appends: Vec<Append>,
    refused: &Refused,
) -> ProduceReply {
    for append in &mut appends {
        append.appended = refuse(append.index, refused.clone());
    }
    answer(ctx, acks, appends)
}

/// One partition of the request.
struct Append {
    topic: TopicName,
    topic_id: Uuid,
    index: i32,
    records: Bytes,
    /// Of transactional records, what their coordinator says.
    verified: Result<Option<VerificationGuard>, Refused>,
    appended: Appended,
}

/// The partitions of a request. Of one that is named twice the last counts, as upstream has it.
fn distinct(topics: Vec<TopicProduceData>) -> Vec<Append> {
    let mut appends: Vec<Append> = Vec::new();
    let mut places = HashMap::new();
    for topic in topics {
        for data in topic.partition_data {
            let place = (topic.name.clone(), topic.topic_id, data.index);
            let append = Append {
                topic: topic.name.clone(),
                topic_id: topic.topic_id,
                index: data.index,
                records: data.records.unwrap_or_default(),
                verified: Ok(None),
                appended: Appended::default(),
            };
            match places.entry(place) {
                Entry::Vacant(vacant) => {
                    vacant.insert(appends.len());
                    appends.push(append);
                }
                Entry::Occupied(occupied) => {
                    if let Some(earlier) = appends.get_mut(*occupied.get()) {
                        *earlier = append;
                    }
                }
            }
        }
    }
    appends
}

/// Has the coordinator of a transaction know of the partitions that are written to.
async fn verify(
    ctx: &RequestContext,
    transactional_id: Option<&str>,
    appends: &mut [Append],
    acks: i16,
) -> Result<(), Refused> {
    // Upstream asks whether the id may be used, and nobody may use none.
    let id = transactional_id.ok_or(ErrorCode::TransactionalIdAuthorizationFailed)?;
    let wanted: Vec<_> = appends
        .iter()
        .filter_map(|append| {
            let producer = verification::producer(&append.records)?;
            Some((admit(ctx, append, acks).ok()?, producer))
        })
        .collect();
    let mut verdicts = verification::verify(ctx, id, &wanted).await?;
    for append in appends {
        if let Ok(of) = admit(ctx, append, acks)
            && let Some(verdict) = verdicts.remove(&of)
        {
            append.verified = verdict;
        }
    }
    Ok(())
}

/// The partition of records that may be appended, as far as they and the request tell.
fn admit(ctx: &RequestContext, append: &Append, acks: i16) -> Result<TopicPartition, Refused> {
    let topic = topics::find(
        &ctx.image,
        ctx.version >= 13,
        &append.topic.0,
        append.topic_id,
    )?;
    let topic_partition = topic.partition(append.index)?;
    ctx.check_fault(&topic_partition.topic, append.index)?;
    records::check(ctx.version, &append.records)?;
    if !(-1..=1).contains(&acks) {
        return Err(ErrorCode::InvalidRequiredAcks.into());
    }
    if topic.is_internal() {
        // Upstream lets `__admin_client` through (W3); a client's record there breaks groups.
        return Err(ErrorCode::InvalidTopicException.into());
    }
    Ok(topic_partition)
}

async fn append_partition(
    ctx: &RequestContext,
    append: &mut Append,
    acks: i16,
    transactional_id: Option<&str>,
) -> Result<(Arc<Partition>, AppendInfo), Refused> {
    let topic_partition = admit(ctx, append, acks)?;
    let mut guard = std::mem::replace(&mut append.verified, Ok(None))?;
    let partition = ctx.node.replicas.partition(&topic_partition)?;
    if acks == ACKS_ALL {
        partition.check_min_in_sync()?;
    }
    let now = ctx.node.clock.now();
    let mut tries = 0;
    loop {
        let spare = guard.is_some().then(|| append.records.clone());
        let records = std::mem::take(&mut append.records);
        let appended = partition.append(records, AppendOrigin::Client, now, guard);
        let error = match appended.await {
            Ok(info) => return Ok((partition, info)),
            Err(error) => error,
        };
        tries += 1;
        let is_overtaken = matches!(error.error, storage::Error::UnverifiedTransaction { .. });
        let (Some(records), Some(id)) = (spare, transactional_id) else {
            return Err(Refused::by_log(error, &partition));
        };
        if !is_overtaken || tries == verification::TRIES {
            return Err(Refused::by_log(error, &partition));
        }
        append.records = records;
        guard = verification::again(ctx, id, &topic_partition, &append.records).await?;
    }
}

fn answer(ctx: &RequestContext, acks: i16, appends: Vec<Append>) -> ProduceReply {
    let mut response = ProduceResponse::default();
    for append in appends {
        let partition = append.appended.response;
        let same = response
            .responses
            .iter_mut()
            .rfind(|it| it.name == append.topic && it.topic_id == append.topic_id);
        match same {
            Some(topic) => topic.partition_responses.push(partition),
            None => response.responses.push(
                TopicProduceResponse::default()
                    .with_name(append.topic)
                    .with_topic_id(append.topic_id)
                    .with_partition_responses(vec![partition]),
            ),
        }
    }
    if acks == 0 {
        return ProduceReply::None(first_error(&response));
    }
    add_leaders(ctx, &mut response);
    ProduceReply::Answer(response)
}

fn count(ctx: &RequestContext, partition: &Partition, info: &AppendInfo, size: usize) {
    if info.duplicate {
        return;
    }
    let messages = info.last_offset.0 - info.base_offset.0 + 1;
    let (messages, size) = (u64::try_from(messages).unwrap_or(0), size as u64);
    partition.meters().count_in(messages, size);
    ctx.node.meters.topics.count_in(messages, size);
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

fn refuse(index: i32, error: Refused) -> Appended {
    let record_errors = error.record_errors.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(message.map(StrBytes::from_string))
    });
    let response = PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(error.code.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(error.log_start_offset.map_or(-1, |offset| offset.0))
        .with_record_errors(record_errors.collect())
        .with_error_message(error.message.map(StrBytes::from_string));
    Appended {
        response,
        awaited: None,
    }
}

async fn await_commits(appends: &mut [Append], timeout_ms: i32) {
    for append in appends {
        let Some((partition, offset)) = append.appended.awaited.take() else {
            continue;
        };
        if let Err(code) = partition.committed(offset, timeout_ms).await {
            append.appended = refuse(append.index, code.into());
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
