//! Transactional ids that nobody used for long are removed.
//!
//! Invariant: a batch of tombstones is bounded, and a round that could not be written is put off,
//! never given up.

use std::sync::Arc;

use protocol::ErrorCode;

use super::record::TransactionRecord;
use super::steps::Transaction;
use super::turn::{AfterAppend, Turn};
use super::{TransactionShard, TransactionState, TransactionTimer};

impl TransactionShard {
    pub(crate) fn remove_expired(&mut self, turn: &mut Turn) {
        let from = self.expiry_resumes_at.take();
        let ids = match &from {
            Some(from) => self.transactions.range(from.clone()..),
            None => self.transactions.range::<Arc<str>, _>(..),
        };
        let mut bytes = 0;
        for (id, transaction) in ids {
            if !is_expired(turn, transaction) {
                continue;
            }
            let tombstone = TransactionRecord {
                transactional_id: id.clone(),
                value: None,
            };
            bytes += tombstone.size_estimate();
            let is_full = bytes > turn.config.batch_bytes_max || self.expire_one_by_one;
            if is_full && !turn.records.is_empty() {
                self.expiry_resumes_at = Some(id.clone());
                break;
            }
            turn.remove(id);
        }
        turn.after_append = AfterAppend::Expiration;
        if self.expiry_resumes_at.is_some() {
            turn.arm(TransactionTimer::RemoveExpired, 0);
        } else {
            self.expire_one_by_one = false;
            let interval = turn.config.remove_expired_interval_ms;
            turn.arm(TransactionTimer::RemoveExpired, interval);
        }
    }

    pub(crate) fn expiration_failed(&mut self, turn: &mut Turn, code: ErrorCode) {
        self.expiry_resumes_at = None;
        let is_too_large = matches!(
            code,
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge
        );
        let delay = if is_too_large && !self.expire_one_by_one {
            self.expire_one_by_one = true;
            0
        } else {
            turn.config.remove_expired_interval_ms
        };
        turn.arm(TransactionTimer::RemoveExpired, delay);
    }
}

fn is_expired(turn: &Turn, transaction: &Transaction) -> bool {
    let is_at_rest = matches!(
        transaction.value.state,
        TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort
    );
    let idle_ms = turn.now.0.saturating_sub(transaction.value.last_update.0);
    is_at_rest && idle_ms >= i64::from(turn.config.transactional_id_expiration_ms)
}
