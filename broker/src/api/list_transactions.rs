//! ListTransactions: the transactional ids coordinated here, by state, producer, age and pattern
//! (KIP-664, KIP-994, KIP-1152).

use std::sync::Arc;

use coordinator::transaction::{
    ListFilter, ListedTransaction, TransactionRequest, TransactionResponse,
};
use protocol::messages::list_transactions_response::TransactionState;
use protocol::messages::{ListTransactionsRequest, ListTransactionsResponse, TransactionalId};
use protocol::{ProducerId, StrBytes};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let states: Vec<&str> = request.state_filters.iter().map(|it| &**it).collect();
    let producers = request
        .producer_id_filters
        .iter()
        .map(|id| ProducerId(id.0));
    let pattern = request.transactional_id_pattern.as_deref();
    let filter = match ListFilter::new(&states, producers, request.duration_filter, pattern) {
        Ok(filter) => Arc::new(filter),
        Err(code) => return ListTransactionsResponse::default().with_error_code(code.code()),
    };
    let unknown = filter.unknown_states().iter().cloned();
    let mut response = ListTransactionsResponse::default()
        .with_unknown_state_filters(unknown.map(StrBytes::from_string).collect());
    let asked = TransactionRequest::List(filter);
    for answer in ctx
        .node
        .transactions
        .ask_all(&groups::meta(ctx), &asked)
        .await
    {
        let listed = match answer {
            Ok(TransactionResponse::List(listed)) => listed,
            Ok(_) => unreachable!("the coordinator answers in kind"),
            // Its transactions are listed by their next coordinator.
            Err(code) => {
                response.error_code = code.code();
                continue;
            }
        };
        response
            .transaction_states
            .extend(listed.into_iter().map(shape));
    }
    response
}

fn shape(listed: ListedTransaction) -> TransactionState {
    let id = StrBytes::from_string(listed.transactional_id.to_string());
    TransactionState::default()
        .with_transactional_id(TransactionalId(id))
        .with_producer_id(listed.producer_id.0.into())
        .with_transaction_state(StrBytes::from_static_str(listed.state.name()))
}
