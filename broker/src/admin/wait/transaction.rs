//! Waits until a transaction is settled.
//!
//! Invariant: settled is what the coordinator says, after all markers of the transaction are
//! written: a consumer of committed records sees all of it, or nothing.

use std::sync::Arc;

use coordinator::RequestMeta;
use coordinator::transaction::{TransactionRequest, TransactionResponse, TransactionState};
use serde_json::json;

use super::Seen;
use crate::admin::Admin;
use crate::coordinators::TRANSACTION_TOPIC;

pub(super) struct Settled {
    transactional_id: Arc<str>,
}

impl Settled {
    pub(super) fn new(transactional_id: &str) -> Settled {
        Settled {
            transactional_id: Arc::from(transactional_id),
        }
    }

    pub(super) async fn look(&self, admin: &Admin) -> Seen {
        let node = &admin.node;
        let image = node.controller.image();
        let partitions = image.topics.by_name(TRANSACTION_TOPIC);
        let meta = RequestMeta {
            api_version: 0,
            client_id: Arc::from("klamm"),
            client_host: Arc::from(""),
        };
        let asked = node.transactions.ask(
            &node.producer_ids,
            meta,
            TransactionRequest::Describe {
                transactional_id: self.transactional_id.clone(),
            },
            partitions.map(|topic| topic.partition_count()),
        );
        let Ok(TransactionResponse::Describe(found)) = asked.await else {
            return Seen {
                enough: false,
                fields: json!({"transaction": self.transactional_id.as_ref(), "exists": false}),
            };
        };
        let partitions = found.partitions.iter().map(ToString::to_string);
        Seen {
            enough: is_settled(found.state),
            fields: json!({
                "transaction": self.transactional_id.as_ref(),
                "exists": true,
                "state": found.state.name(),
                "producer_id": found.producer_id.0,
                "producer_epoch": found.producer_epoch.0,
                "partitions": partitions.collect::<Vec<_>>(),
            }),
        }
    }
}

fn is_settled(state: TransactionState) -> bool {
    match state {
        TransactionState::Empty
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort
        | TransactionState::Dead => true,
        TransactionState::Ongoing
        | TransactionState::PrepareCommit
        | TransactionState::PrepareAbort
        | TransactionState::PrepareEpochFence => false,
    }
}
