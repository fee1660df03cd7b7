//! Ongoing transactions that are past their time are aborted, and their producers fenced.
//!
//! Invariant: while a transaction that can time out is ongoing a look is armed; one look aborts one
//! transaction per batch, so that one that cannot be written does not hold up the others.

use std::ops::Bound;
use std::sync::Arc;

use protocol::ProducerId;

use super::steps::{EPOCH_BUMP, Step, Transaction};
use super::turn::Turn;
use super::{TransactionCommand, TransactionResponse, TransactionShard, TransactionTimer};
use crate::ReplyTo;

impl TransactionShard {
    /// Arms the next look where there is none. For a transaction that is about to begin, too.
    pub(crate) fn watch_timeouts(&self, turn: &mut Turn) {
        let is_armed = self
            .deadlines
            .contains_key(&TransactionTimer::AbortTimedOut);
        if !is_armed && (!self.ongoing.is_empty() || !turn.records.is_empty()) {
            let interval = turn.config.abort_timed_out_interval_ms;
            turn.arm(TransactionTimer::AbortTimedOut, interval);
        }
    }

    pub(crate) fn abort_next_timed_out(&mut self, turn: &mut Turn) {
        let resumes = self.abort_resumes_after.take();
        let from = resumes.map_or(Bound::Unbounded, Bound::Excluded);
        for due in self.ongoing.range((from, Bound::Unbounded)) {
            let (deadline, transactional_id) = due;
            if *deadline >= turn.now {
                break;
            }
            let Some(transaction) = self.transactions.get(transactional_id) else {
                continue;
            };
            match abort(turn, transaction, None) {
                Some(step) => {
                    tracing::info!(%transactional_id, "the transaction timed out");
                    turn.write(transactional_id, step);
                    turn.arm(TransactionTimer::AbortTimedOut, 0);
                    self.abort_resumes_after = Some(due.clone());
                    return;
                }
                None => turn.commands.push(TransactionCommand::FindProducerId {
                    transactional_id: transactional_id.clone(),
                }),
            }
        }
        if !self.ongoing.is_empty() {
            let interval = turn.config.abort_timed_out_interval_ms;
            turn.arm(TransactionTimer::AbortTimedOut, interval);
        }
    }

    /// Goes on with an abort that needed a producer id, unless the transaction ended meanwhile.
    pub(crate) fn abort_with(
        &self,
        turn: &mut Turn,
        token: ReplyTo,
        transactional_id: &Arc<str>,
        spare: ProducerId,
    ) {
        turn.reply(token, TransactionResponse::Done);
        let Some(transaction) = self.transactions.get(transactional_id) else {
            return;
        };
        if transaction
            .deadline
            .is_some_and(|deadline| deadline < turn.now)
            && let Some(step) = abort(turn, transaction, Some(spare))
        {
            turn.write(transactional_id, step);
        }
    }

    /// The clock was put back: no transaction waits longer for it.
    pub(crate) fn move_timeouts(&mut self, by_ms: i64) {
        let ongoing = std::mem::take(&mut self.ongoing);
        for (mut deadline, transactional_id) in ongoing {
            deadline.0 = deadline.0.saturating_add(by_ms);
            if let Some(transaction) = self.transactions.get_mut(&transactional_id) {
                transaction.deadline = Some(deadline);
                self.ongoing.insert((deadline, transactional_id));
            }
        }
        self.abort_resumes_after = None;
    }
}

/// None where a producer id is missing.
fn abort(turn: &Turn, transaction: &Transaction, spare: Option<ProducerId>) -> Option<Step> {
    if !transaction.is_abandoned {
        return transaction.fence(turn.now, turn.level, spare);
    }
    // Its producer lives on, and did the same before the log was put back: with transactions v2 he
    // has the next epoch or a later one by now, without them the same. Fencing him would take the
    // producer from a client that did nothing wrong.
    let mut step = if transaction.client_version() >= EPOCH_BUMP {
        transaction.fence(turn.now, EPOCH_BUMP, spare)?
    } else {
        transaction.prepare(turn.now, false)
    };
    step.soft.last_producer_epoch = None;
    Some(step)
}
