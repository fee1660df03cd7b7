//! EndTxn: commits or aborts a transaction; from version 5 on its producer goes on with another
//! epoch (KIP-890).

use coordinator::transaction::{TransactionRequest, TransactionResponse};
use protocol::messages::{EndTxnRequest, EndTxnResponse};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::{RequestContext, transactions};

/// From this version on the answer says what the producer goes on with.
const VERSION2_SINCE: i16 = 5;
/// The first version whose clients know `PRODUCER_FENCED`.
const FENCED_SINCE: i16 = 2;
/// The first version whose clients know `TRANSACTION_ABORTABLE`.
const ABORTABLE_SINCE: i16 = 4;

pub(super) async fn handle(ctx: &RequestContext, request: EndTxnRequest) -> EndTxnResponse {
    let version2 = ctx.version >= VERSION2_SINCE;
    let mut response = EndTxnResponse::default();
    let next = match end(ctx, &request, version2).await {
        Ok(next) => next,
        Err(code) => {
            response.error_code = known_at(ctx, code).code();
            None
        }
    };
    if version2 {
        let (id, epoch) = next.unwrap_or((ProducerId(-1), ProducerEpoch(-1)));
        response.producer_id = id.0.into();
        response.producer_epoch = epoch.0;
    }
    response
}

fn known_at(ctx: &RequestContext, code: ErrorCode) -> ErrorCode {
    if ctx.version < ABORTABLE_SINCE && code == ErrorCode::TransactionAbortable {
        return ErrorCode::InvalidTxnState;
    }
    transactions::known_at(ctx, FENCED_SINCE, code)
}

async fn end(
    ctx: &RequestContext,
    request: &EndTxnRequest,
    version2: bool,
) -> Result<Option<(ProducerId, ProducerEpoch)>, ErrorCode> {
    let asked = TransactionRequest::EndTxn {
        transactional_id: transactions::id(&request.transactional_id),
        producer_id: ProducerId(request.producer_id.0),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        committed: request.committed,
        version2,
        spare: None,
    };
    let TransactionResponse::EndTxn { producer } = transactions::ask(ctx, asked).await? else {
        unreachable!("the coordinator answers in kind")
    };
    Ok(producer)
}
