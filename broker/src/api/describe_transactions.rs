//! DescribeTransactions: the state of transactional ids coordinated here (KIP-664).

use coordinator::transaction::{DescribedTransaction, TransactionRequest, TransactionResponse};
use protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicName, TransactionalId,
};
use protocol::{ErrorCode, StrBytes};

use super::{RequestContext, transactions};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let mut states = Vec::with_capacity(request.transactional_ids.len());
    for id in request.transactional_ids {
        let state = match describe(ctx, &id).await {
            Ok(found) => shape(found),
            Err(code) => TransactionState::default().with_error_code(code.code()),
        };
        states.push(state.with_transactional_id(id));
    }
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

async fn describe(
    ctx: &RequestContext,
    id: &TransactionalId,
) -> Result<DescribedTransaction, ErrorCode> {
    let transactional_id = transactions::id(id);
    let asked = TransactionRequest::Describe { transactional_id };
    let TransactionResponse::Describe(found) = transactions::ask(ctx, asked).await? else {
        unreachable!("the coordinator answers in kind")
    };
    Ok(found)
}

fn shape(found: DescribedTransaction) -> TransactionState {
    let mut topics: Vec<TopicData> = Vec::new();
    for of in &found.partitions {
        match topics.last_mut() {
            Some(last) if *last.topic.0 == *of.topic => last.partitions.push(of.partition),
            Some(_) | None => {
                let name = TopicName(StrBytes::from_string(of.topic.to_string()));
                let topic = TopicData::default().with_topic(name);
                topics.push(topic.with_partitions(vec![of.partition]));
            }
        }
    }
    TransactionState::default()
        .with_transaction_state(StrBytes::from_static_str(found.state.name()))
        .with_transaction_timeout_ms(found.timeout_ms)
        .with_transaction_start_time_ms(found.start.map_or(-1, |start| start.0))
        .with_producer_id(found.producer_id.0.into())
        .with_producer_epoch(found.producer_epoch.0)
        .with_topics(topics)
}
