//! The transactions of one partition of `__transaction_state`.
//!
//! Invariant: hard state is the last record of each transactional id; it changes in `replay` alone
//! and is equal after the same records, whatever happened in between.
//!
//! A transaction that is being ended is in the log as prepared; from then on its
//! [`TransactionCommand::WriteMarkers`] is due, now and after every load, until the record that
//! completes it is written.
//!
//! When the log is put back to an earlier state (a test resets its node), its producers go on, as
//! idempotent ones do: they have ids and epochs that the log has not heard of, which were given to
//! them and to nobody else. What is open in the log that came back is aborted at once, since nobody
//! will end it. A new instance of a producer gets a new id, because the next epoch may be taken.

mod api;
mod config;
mod expiration;
mod list;
pub mod record;
mod requests;
mod state;
mod steps;
mod timeouts;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use protocol::{ErrorCode, ProducerEpoch, ProducerId, Timestamp};

pub use api::{
    DescribedTransaction, ListedTransaction, TransactionCommand, TransactionRequest,
    TransactionResponse, TransactionTimer, append_error,
};
pub use config::{TransactionCoordinatorConfig, TransactionVersionLevel};
pub use list::ListFilter;
pub use record::{FlexibleFields, TransactionLogValue, TransactionRecord};
pub use state::TransactionState;

use crate::{
    AppendToken, Effect, Event, Loaded, Output, RecordMeta, ReplyTo, Shard, TransactionResult,
};
use requests::{AddPartitions, EndTxn, InitProducerId};
use steps::{NO_TIMEOUT_MS, Soft, Transaction};
use turn::{AfterAppend, Turn};

/// The transaction coordinator of one partition of `__transaction_state`.
pub struct TransactionShard {
    config: Arc<TransactionCoordinatorConfig>,
    partition: i32,
    transactions: BTreeMap<Arc<str>, Transaction>,
    /// The ongoing transactions that can time out, the first to do so first.
    ongoing: BTreeSet<(Timestamp, Arc<str>)>,
    /// When each armed timer is due. A timer that fires early or was moved meanwhile is let pass.
    deadlines: BTreeMap<TransactionTimer, Timestamp>,
    tokens_given: u64,
    in_flight: Option<InFlight>,
    /// The log was put back before it was loaded.
    is_put_back: bool,
    /// Which transaction was tried last in the present round of aborts.
    abort_resumes_after: Option<(Timestamp, Arc<str>)>,
    expiry_resumes_at: Option<Arc<str>>,
    expire_one_by_one: bool,
}

/// The output whose records the runtime is appending.
#[derive(Debug)]
struct InFlight {
    token: AppendToken,
    /// Of the records that are not replayed yet.
    soft: VecDeque<Soft>,
    waiting: Vec<ReplyTo>,
    after_append: AfterAppend,
}

impl TransactionShard {
    pub fn new(config: TransactionCoordinatorConfig, partition: i32) -> Self {
        TransactionShard {
            config: Arc::new(config),
            partition,
            transactions: BTreeMap::new(),
            ongoing: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            tokens_given: 0,
            in_flight: None,
            is_put_back: false,
            abort_resumes_after: None,
            expiry_resumes_at: None,
            expire_one_by_one: false,
        }
    }

    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The hard state as records, ordered: replayed into a new shard they make the same hard
    /// state. Encoded they are the rows of the view; a record of the log changes exactly the row of
    /// its key.
    pub fn rows(&self) -> impl Iterator<Item = TransactionRecord> + '_ {
        self.transactions
            .iter()
            .map(|(id, transaction)| TransactionRecord {
                transactional_id: id.clone(),
                value: Some(transaction.value.clone()),
            })
    }

    fn dispatch(&mut self, turn: &mut Turn, token: ReplyTo, request: &TransactionRequest) {
        match request {
            TransactionRequest::InitProducerId {
                transactional_id,
                timeout_ms,
                enable_2pc,
                keep_prepared: _,
                expected,
                spare,
            } => {
                let request = InitProducerId {
                    timeout_ms: InitProducerId::resolved_timeout_ms(*timeout_ms, *enable_2pc),
                    expected: *expected,
                    spare: *spare,
                };
                self.init_producer_id(turn, token, transactional_id, &request);
            }
            TransactionRequest::AddPartitions {
                transactional_id,
                producer_id,
                producer_epoch,
                partitions,
                verify_only,
                version2,
            } => {
                let request = AddPartitions {
                    producer: (*producer_id, *producer_epoch),
                    partitions,
                    version2: *version2,
                };
                if *verify_only {
                    self.verify_partitions(turn, token, transactional_id, &request);
                } else {
                    self.add_partitions(turn, token, transactional_id, &request);
                }
            }
            TransactionRequest::EndTxn {
                transactional_id,
                producer_id,
                producer_epoch,
                committed,
                version2,
                spare,
            } => {
                let request = EndTxn {
                    producer_id: *producer_id,
                    producer_epoch: *producer_epoch,
                    committed: *committed,
                    spare: *spare,
                };
                self.end_txn(turn, token, transactional_id, &request, *version2);
            }
            TransactionRequest::Describe { transactional_id } => {
                turn.replies.push((token, self.describe(transactional_id)));
            }
            TransactionRequest::List(filter) => self.list(turn, token, filter),
            TransactionRequest::MarkersWritten {
                transactional_id,
                producer_id,
                producer_epoch,
            } => {
                turn.reply(token, TransactionResponse::Done);
                self.markers_written(turn, transactional_id, (*producer_id, *producer_epoch));
            }
            TransactionRequest::AbortTimedOut {
                transactional_id,
                spare,
            } => self.abort_with(turn, token, transactional_id, *spare),
        }
    }

    fn describe(&self, transactional_id: &Arc<str>) -> Result<TransactionResponse, ErrorCode> {
        let known = self.transactions.get(transactional_id);
        let value = &known.ok_or(ErrorCode::TransactionalIdNotFound)?.value;
        Ok(TransactionResponse::Describe(DescribedTransaction {
            producer_id: value.producer_id,
            producer_epoch: value.producer_epoch,
            state: value.state,
            timeout_ms: value.timeout_ms,
            start: value.start,
            partitions: value.partitions.clone(),
        }))
    }

    fn list(&self, turn: &mut Turn, token: ReplyTo, filter: &ListFilter) {
        let passing = self.transactions.iter().filter(|(id, transaction)| {
            let value = &transaction.value;
            filter.passes(turn.now, id, value.producer_id, value.state, value.start)
        });
        let listed = passing.map(|(id, transaction)| ListedTransaction {
            transactional_id: id.clone(),
            producer_id: transaction.value.producer_id,
            state: transaction.value.state,
        });
        let listed = TransactionResponse::List(listed.collect());
        turn.reply(token, listed);
    }

    fn markers_written(
        &mut self,
        turn: &mut Turn,
        transactional_id: &Arc<str>,
        producer: (ProducerId, ProducerEpoch),
    ) {
        let Some(transaction) = self.transactions.get_mut(transactional_id) else {
            return;
        };
        if transaction.producer() == producer && transaction.value.state.is_prepared() {
            transaction.markers_written = true;
            self.complete(turn, transactional_id);
        }
    }

    fn complete(&self, turn: &mut Turn, transactional_id: &Arc<str>) {
        let transaction = self.transactions.get(transactional_id);
        let written = transaction.filter(|transaction| transaction.markers_written);
        if let Some(step) = written.and_then(|transaction| transaction.complete(turn.now)) {
            turn.write(transactional_id, step);
            turn.after_append = AfterAppend::Completion(transactional_id.clone());
        }
    }

    fn on_loaded(&mut self, turn: &mut Turn) {
        for record in self.rows() {
            turn.commands.extend(record.markers());
        }
        self.watch_timeouts(turn);
        let interval = turn.config.remove_expired_interval_ms;
        turn.arm(TransactionTimer::RemoveExpired, interval);
        tracing::debug!(
            partition = self.partition,
            transactional_ids = self.transactions.len(),
            "transactions loaded"
        );
    }

    fn on_put_back(&mut self, turn: &mut Turn) {
        self.is_put_back = true;
        self.ongoing.clear();
        for (id, transaction) in &mut self.transactions {
            transaction.soft.is_from_before = true;
            if transaction.value.state == TransactionState::Ongoing {
                transaction.is_abandoned = true;
                transaction.deadline = Some(Timestamp(i64::MIN));
                self.ongoing.insert((Timestamp(i64::MIN), id.clone()));
            }
        }
        self.on_loaded(turn);
        turn.arm(TransactionTimer::AbortTimedOut, 0);
    }

    fn timer_fired(&mut self, turn: &mut Turn, timer: TransactionTimer) {
        match self.deadlines.get(&timer) {
            Some(deadline) if *deadline <= turn.now => self.deadlines.remove(&timer),
            Some(_) | None => return,
        };
        match timer {
            TransactionTimer::AbortTimedOut => self.abort_next_timed_out(turn),
            TransactionTimer::RemoveExpired => self.remove_expired(turn),
            TransactionTimer::Complete { transactional_id } => {
                self.complete(turn, &transactional_id);
            }
        }
    }

    fn clock_moved(&mut self, turn: &mut Turn, by_ms: i64) {
        if by_ms < 0 {
            for at in self.deadlines.values_mut() {
                at.0 = at.0.saturating_add(by_ms);
            }
            self.move_timeouts(by_ms);
        }
        // What is past its time ends now, not at the next look.
        if !self.ongoing.is_empty() {
            turn.arm(TransactionTimer::AbortTimedOut, 0);
        }
        turn.arm(TransactionTimer::RemoveExpired, 0);
    }

    fn append_failed(&mut self, turn: &mut Turn, failed: InFlight, code: ErrorCode) {
        tracing::warn!(
            partition = self.partition,
            ?code,
            "records could not be appended"
        );
        match failed.after_append {
            AfterAppend::Nothing => {}
            AfterAppend::Completion(transactional_id) => {
                if let Some(transaction) = self.transactions.get_mut(&transactional_id) {
                    let doublings = transaction.failed_completions.min(7);
                    transaction.failed_completions += 1;
                    let backoff = turn.config.retry_backoff_ms.saturating_mul(1 << doublings);
                    turn.arm(TransactionTimer::Complete { transactional_id }, backoff);
                }
            }
            AfterAppend::Expiration => self.expiration_failed(turn, code),
        }
        for token in failed.waiting {
            turn.fail(token, append_error(code));
        }
    }

    fn finish(&mut self, turn: Turn) -> Output<Self> {
        for effect in &turn.effects {
            match effect {
                Effect::ArmTimer { key, at } => {
                    self.deadlines.insert(key.clone(), *at);
                }
                Effect::CancelTimer(key) => {
                    self.deadlines.remove(key);
                }
            }
        }
        let token = AppendToken(self.tokens_given);
        if !turn.records.is_empty() {
            self.tokens_given += 1;
            self.in_flight = Some(InFlight {
                token,
                soft: turn.soft,
                waiting: turn.replies.iter().map(|(token, _)| *token).collect(),
                after_append: turn.after_append,
            });
        }
        Output {
            token,
            records: turn.records,
            producer: None,
            replies: turn.replies,
            effects: turn.effects,
            commands: turn.commands,
        }
    }
}

impl Shard for TransactionShard {
    type Request = TransactionRequest;
    type Response = TransactionResponse;
    type Record = TransactionRecord;
    type Timer = TransactionTimer;
    type Command = TransactionCommand;

    fn handle(&mut self, now: Timestamp, event: Event<Self>) -> Output<Self> {
        let in_flight = self.in_flight.take();
        let mut turn = Turn::new(now, self.config.clone());
        match event {
            Event::AppendFailed { token, code } => {
                if let Some(failed) = in_flight.filter(|output| output.token == token) {
                    assert!(
                        !failed.soft.is_empty(),
                        "a failed append must not be replayed"
                    );
                    self.append_failed(&mut turn, failed, code);
                }
                return self.finish(turn);
            }
            Event::Request { token, request, .. } => match request.refuse_early(&turn.config) {
                Some(code) => turn.fail(token, code),
                None => self.dispatch(&mut turn, token, &request),
            },
            Event::Timer(timer) => self.timer_fired(&mut turn, timer),
            Event::Loaded(Loaded::GoesOn) => self.on_loaded(&mut turn),
            Event::Loaded(Loaded::PutBack) => self.on_put_back(&mut turn),
            Event::ClockMoved { by_ms } => self.clock_moved(&mut turn, by_ms),
        }
        let replayed = in_flight.is_none_or(|output| output.soft.is_empty());
        assert!(
            replayed,
            "the records of an output are replayed before the next event"
        );
        self.finish(turn)
    }

    fn replay(&mut self, _meta: RecordMeta, record: &TransactionRecord) {
        let soft = self
            .in_flight
            .as_mut()
            .and_then(|output| output.soft.pop_front());
        let id = &record.transactional_id;
        let before = self.transactions.remove(id);
        let deadline_before = before.as_ref().and_then(|before| before.deadline);
        if let Some(deadline) = deadline_before {
            self.ongoing.remove(&(deadline, id.clone()));
        }
        let Some(value) = record.value.clone() else {
            return;
        };
        let soft = soft.unwrap_or_else(|| Soft {
            previous_producer_id: value
                .flexible
                .and_then(|fields| fields.previous_producer_id),
            ..Soft::default()
        });
        let mut transaction = Transaction::of(value, soft);
        let value = &transaction.value;
        if value.state == TransactionState::Ongoing && value.timeout_ms != NO_TIMEOUT_MS {
            let goes_on = before.filter(|before| before.value.start == value.start);
            let start = value.start.unwrap_or(value.last_update);
            let deadline = Timestamp(start.0.saturating_add(i64::from(value.timeout_ms)));
            let deadline = goes_on
                .and_then(|before| before.deadline)
                .unwrap_or(deadline);
            transaction.deadline = Some(deadline);
            self.ongoing.insert((deadline, id.clone()));
        }
        self.transactions.insert(id.clone(), transaction);
    }

    /// No transaction writes into `__transaction_state`: clients may not, and the shard's own batches
    /// are part of none. A marker there, which an operator may have had written, ends nothing.
    fn replay_marker(&mut self, _meta: RecordMeta, _result: TransactionResult) {}
}
