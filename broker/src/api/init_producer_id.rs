//! InitProducerId: an id for an idempotent producer; with a transactional id also the end of
//! whatever its producer left open, and the end of that producer.

use coordinator::transaction::{TransactionRequest, TransactionResponse};
use protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::{RequestContext, transactions};

const NO_PRODUCER_ID: i64 = -1;
const NO_PRODUCER_EPOCH: i16 = -1;
/// The first version whose clients know `PRODUCER_FENCED`.
const FENCED_SINCE: i16 = 4;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match init(ctx, &request).await {
        Ok((id, epoch)) => InitProducerIdResponse::default()
            .with_producer_id(id.0.into())
            .with_producer_epoch(epoch.0),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(transactions::known_at(ctx, FENCED_SINCE, code).code())
            .with_producer_id(NO_PRODUCER_ID.into())
            .with_producer_epoch(NO_PRODUCER_EPOCH),
    }
}

async fn init(
    ctx: &RequestContext,
    request: &InitProducerIdRequest,
) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
    let no_id = request.producer_id.0 == NO_PRODUCER_ID;
    let no_epoch = request.producer_epoch == NO_PRODUCER_EPOCH;
    if no_id != no_epoch {
        return Err(ErrorCode::InvalidRequest);
    }
    let Some(transactional_id) = request.transactional_id.as_deref() else {
        // The id that an idempotent producer had before plays no part.
        return Ok((ctx.node.producer_ids.next().await?, ProducerEpoch(0)));
    };
    let expected = (!no_id).then_some((
        ProducerId(request.producer_id.0),
        ProducerEpoch(request.producer_epoch),
    ));
    let asked = TransactionRequest::InitProducerId {
        transactional_id: transactions::id(transactional_id),
        timeout_ms: request.transaction_timeout_ms,
        enable_2pc: request.enable_2_pc,
        keep_prepared: request.keep_prepared_txn,
        expected,
        spare: None,
    };
    let TransactionResponse::InitProducerId {
        producer_id,
        producer_epoch,
    } = transactions::ask(ctx, asked).await?
    else {
        unreachable!("the coordinator answers in kind")
    };
    Ok((producer_id, producer_epoch))
}
