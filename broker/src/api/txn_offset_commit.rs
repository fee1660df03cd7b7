//! TxnOffsetCommit: offsets that a group commits with a transaction.

use protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use protocol::{ErrorCode, Producer, ProducerEpoch, ProducerId};
use storage::VerificationGuard;

use super::produce_verification::{self as verification, Operation};
use super::{RequestContext, groups, topics};
use crate::coordinators::{GROUP_TOPIC, GroupCoordinator};

/// Clients of versions before do not ask again while a coordinator loads (KAFKA-7296).
const LOADING_SINCE: i16 = 2;

pub(super) async fn handle(
    ctx: &RequestContext,
    mut request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    // The offsets and the transaction they are part of are put back together or not at all.
    let _not_put_back = ctx.node.test_controls.appending().await;
    let mut response = TxnOffsetCommitResponse::default();
    let mut known = Vec::new();
    for topic in std::mem::take(&mut request.topics) {
        let (found, missing) = split(ctx, topic);
        known.extend(found);
        merge(&mut response, missing);
    }
    if known.is_empty() {
        return response;
    }
    request.topics = known;
    let committed = commit(ctx, request).await;
    if response.topics.is_empty() {
        // A topic that is named twice is answered twice.
        response.topics = committed;
    } else {
        merge(&mut response, committed);
    }
    response
}

async fn commit(
    ctx: &RequestContext,
    request: TxnOffsetCommitRequest,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let count = ctx.image.topics.by_name(GROUP_TOPIC);
    let mut tries = 0;
    let mut answer = loop {
        let guard = match verify(ctx, &request).await {
            Ok(guard) => guard,
            Err(code) => return refuse(&request.topics, known_at(ctx, code)),
        };
        let has_guard = guard.is_some();
        let asked = ctx.node.groups.commit_in_transaction(
            groups::meta(ctx),
            request.clone(),
            count.map(|topic| topic.partition_count()),
            guard,
        );
        let answer = asked.await;
        tries += 1;
        if !has_guard || !is_overtaken(&answer) || tries == verification::TRIES {
            break answer;
        }
    };
    let partitions = answer.topics.iter_mut().flat_map(|it| &mut it.partitions);
    for partition in partitions {
        if let Some(code) = ErrorCode::try_from_code(partition.error_code) {
            partition.error_code = known_at(ctx, code).code();
        }
    }
    answer.topics
}

/// Whether the marker of the transaction before ended the guard of this one.
fn is_overtaken(answer: &TxnOffsetCommitResponse) -> bool {
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.any(|it| it.error_code == ErrorCode::InvalidTxnState.code())
}

/// Has the transaction's coordinator know of the partition that the offsets are written to.
async fn verify(
    ctx: &RequestContext,
    request: &TxnOffsetCommitRequest,
) -> Result<Option<VerificationGuard>, ErrorCode> {
    let Some(topic) = ctx.image.topics.by_name(GROUP_TOPIC) else {
        return Err(ErrorCode::NotCoordinator);
    };
    if request.group_id.is_empty() {
        // Refused by the group's coordinator.
        return Ok(None);
    }
    let of = GroupCoordinator::partition_of(&request.group_id, topic.partition_count());
    let producer = Producer {
        id: ProducerId(request.producer_id.0),
        epoch: ProducerEpoch(request.producer_epoch),
        base_sequence: -1,
    };
    let operation = Operation::of_commit(ctx.version);
    let wanted = [(of.clone(), producer)];
    let id = &request.transactional_id;
    let mut verdicts = verification::partitions(ctx, id, &wanted, operation).await;
    let verdict = verdicts.remove(&of).unwrap_or(Ok(None));
    verdict.map_err(as_group_error)
}

/// What a partition's code means to a client of a group's coordinator.
fn as_group_error(code: ErrorCode) -> ErrorCode {
    // Kafka's enum is not ours: every code not named here passes as it is.
    #[allow(clippy::wildcard_enum_match_arm)]
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NetworkException
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        other => other,
    }
}

fn known_at(ctx: &RequestContext, code: ErrorCode) -> ErrorCode {
    if ctx.version < LOADING_SINCE && code == ErrorCode::CoordinatorLoadInProgress {
        return ErrorCode::CoordinatorNotAvailable;
    }
    code
}

fn refuse(
    topics: &[TxnOffsetCommitRequestTopic],
    code: ErrorCode,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code.code())
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

/// Parts a topic into partitions that exist, for the coordinator, and those that do not.
fn split(
    ctx: &RequestContext,
    mut topic: TxnOffsetCommitRequestTopic,
) -> (
    Option<TxnOffsetCommitRequestTopic>,
    Option<TxnOffsetCommitResponseTopic>,
) {
    let found = topics::find(&ctx.image, false, &topic.name, uuid::Uuid::nil());
    let check = |index: i32| {
        ctx.check_fault(&topic.name, index)?;
        found.and_then(|topic| topic.partition(index)).map(|_| ())
    };
    let mut known = Vec::new();
    let mut refused = Vec::new();
    for partition in std::mem::take(&mut topic.partitions) {
        match check(partition.partition_index) {
            Ok(()) => known.push(partition),
            Err(code) => refused.push(
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code.code()),
            ),
        }
    }
    // A topic that is not there is named even where no partition of it is.
    let is_told = found.is_err() || !refused.is_empty();
    let missing = is_told.then(|| {
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(refused)
    });
    topic.partitions = known;
    ((!topic.partitions.is_empty()).then_some(topic), missing)
}

/// Adds results, those of one topic side by side.
fn merge(
    response: &mut TxnOffsetCommitResponse,
    topics: impl IntoIterator<Item = TxnOffsetCommitResponseTopic>,
) {
    for topic in topics {
        let mut known = response.topics.iter_mut();
        match known.find(|known| known.name == topic.name) {
            Some(known) => known.partitions.extend(topic.partitions),
            None => response.topics.push(topic),
        }
    }
}
