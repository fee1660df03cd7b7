//! What the transaction APIs share: the way to the coordinator, and codes by version.

use std::sync::Arc;

use coordinator::transaction::{TransactionRequest, TransactionResponse};
use protocol::{ErrorCode, TopicPartition};

use super::{RequestContext, groups};
use crate::coordinators::TRANSACTION_TOPIC;

/// Asks the coordinator of the transactional id that `request` names.
pub(super) async fn ask(
    ctx: &RequestContext,
    request: TransactionRequest,
) -> Result<TransactionResponse, ErrorCode> {
    let partitions = ctx
        .image
        .topics
        .by_name(TRANSACTION_TOPIC)
        .map(|topic| topic.partition_count());
    ctx.node
        .transactions
        .ask(
            &ctx.node.producer_ids,
            groups::meta(ctx),
            request,
            partitions,
        )
        .await
}

/// What a client is told: before `fenced_since` none knows `PRODUCER_FENCED` (KIP-588).
pub(super) fn known_at(ctx: &RequestContext, fenced_since: i16, code: ErrorCode) -> ErrorCode {
    if ctx.version < fenced_since && code == ErrorCode::ProducerFenced {
        return ErrorCode::InvalidProducerEpoch;
    }
    code
}

/// The code of each partition, in the order in which they were asked for.
pub(super) type Verdicts = Vec<(TopicPartition, Option<ErrorCode>)>;

/// Has partitions added to a transaction, or asks whether they are in it. An error that is for all
/// of them is told of each.
pub(super) async fn partitions(
    ctx: &RequestContext,
    request: TransactionRequest,
    partitions: &[TopicPartition],
) -> Verdicts {
    match ask(ctx, request).await {
        Ok(TransactionResponse::AddPartitions(verdicts)) => verdicts,
        Ok(_) => unreachable!("the coordinator answers in kind"),
        Err(code) => {
            let all = partitions.iter().cloned();
            all.map(|of| (of, Some(code))).collect()
        }
    }
}

/// An id as the coordinator takes it.
pub(super) fn id(of: &str) -> Arc<str> {
    Arc::from(of)
}
