//! InitProducerId: an id for an idempotent producer.
//!
//! Transactions come with a later issue. A producer with a transactional id is refused with
//! `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, the code on which both the Java client and librdkafka
//! give up at once; on any other that says "not served" librdkafka asks again for ever.

use protocol::ErrorCode;
use protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::RequestContext;

const NO_PRODUCER_ID: i64 = -1;
const NO_PRODUCER_EPOCH: i16 = -1;

/// The default of `transaction.max.timeout.ms`, which is not read before transactions are served.
const MAX_TIMEOUT_MS: i32 = 900_000;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match init(ctx, &request).await {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id.0)),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(ProducerId(NO_PRODUCER_ID))
            .with_producer_epoch(NO_PRODUCER_EPOCH),
    }
}

async fn init(
    ctx: &RequestContext,
    request: &InitProducerIdRequest,
) -> Result<protocol::ProducerId, ErrorCode> {
    let no_id = request.producer_id.0 == NO_PRODUCER_ID;
    let no_epoch = request.producer_epoch == NO_PRODUCER_EPOCH;
    if no_id != no_epoch {
        return Err(ErrorCode::InvalidRequest);
    }
    match request.transactional_id.as_deref() {
        // The id that an idempotent producer had before plays no part.
        None => ctx.node.producer_ids.next().await,
        Some(id) if id.is_empty() => Err(ErrorCode::InvalidRequest),
        // As upstream where `transaction.two.phase.commit.enable` is not set.
        Some(_) if request.enable_2_pc => Err(ErrorCode::TransactionalIdAuthorizationFailed),
        Some(_) if request.keep_prepared_txn => Err(ErrorCode::UnsupportedVersion),
        Some(_) if !(1..=MAX_TIMEOUT_MS).contains(&request.transaction_timeout_ms) => {
            Err(ErrorCode::InvalidTransactionTimeout)
        }
        Some(id) => {
            tracing::info!(
                transactional_id = &**id,
                "refused: transactions are not served yet"
            );
            Err(ErrorCode::TransactionalIdAuthorizationFailed)
        }
    }
}
