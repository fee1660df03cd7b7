//! One transactional id with its transaction, and the steps it may take.
//!
//! Invariant: a step only says what the log is to hold next; nothing changes before the log holds
//! it. What no record keeps ([`Soft`]) travels beside the record and changes with it.

use protocol::{ErrorCode, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::record::{FlexibleFields, TransactionLogValue};
use super::state::TransactionState;

/// What a producer starts from: the epoch of a transactional id that was never initialised.
const NO_EPOCH: ProducerEpoch = ProducerEpoch(-1);

/// Clients never get an epoch above this one: the coordinator needs one more to fence them.
pub(crate) const LAST_EPOCH: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

/// The first level of `transaction.version` that bumps the epoch at each end.
pub(crate) const EPOCH_BUMP: i16 = 2;

/// Two-phase commit: the transaction has no time-out.
pub(crate) const NO_TIMEOUT_MS: i32 = i32::MAX;

#[derive(Debug)]
pub(crate) struct Transaction {
    /// As the log has it.
    pub(crate) value: TransactionLogValue,
    pub(crate) soft: Soft,
    /// When an ongoing transaction is past its time. Its start and its time-out say so, but a clock
    /// that is put back takes this along.
    pub(crate) deadline: Option<Timestamp>,
    /// It was open when the log was put back: nobody will end it.
    pub(crate) is_abandoned: bool,
    /// The markers are written, and only the record of it is missing.
    pub(crate) markers_written: bool,
    pub(crate) failed_completions: u32,
}

/// What is known of a transactional id besides its record. A new leader does not know it, as in
/// upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Soft {
    /// The epoch that the producer had before the last bump that it asked for.
    pub(crate) last_producer_epoch: Option<ProducerEpoch>,
    /// Records of version 1 hold it, of version 0 do not.
    pub(crate) previous_producer_id: Option<ProducerId>,
    /// The log was put back and the id was not initialised since: producers may have epochs that the
    /// log has not heard of.
    pub(crate) is_from_before: bool,
}

/// What the log is to hold next.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) value: TransactionLogValue,
    pub(crate) soft: Soft,
}

pub(crate) fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch >= LAST_EPOCH
}

impl Transaction {
    pub(crate) fn of(value: TransactionLogValue, soft: Soft) -> Self {
        Transaction {
            value,
            soft,
            deadline: None,
            is_abandoned: false,
            markers_written: false,
            failed_completions: 0,
        }
    }

    /// A transactional id that the log has not heard of.
    pub(crate) fn new(producer_id: ProducerId, timeout_ms: i32, now: Timestamp) -> Self {
        let value = TransactionLogValue {
            producer_id,
            producer_epoch: NO_EPOCH,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: Vec::new(),
            last_update: now,
            start: None,
            flexible: None,
        };
        Transaction::of(value, Soft::default())
    }

    /// A producer of before the log was put back, of whom the log knows nothing or something older.
    pub(crate) fn adopted(&self, producer_id: ProducerId, producer_epoch: ProducerEpoch) -> Self {
        let value = TransactionLogValue {
            producer_id,
            producer_epoch,
            ..self.value.clone()
        };
        let soft = Soft {
            is_from_before: true,
            ..Soft::default()
        };
        Transaction::of(value, soft)
    }

    pub(crate) fn producer(&self) -> (ProducerId, ProducerEpoch) {
        (self.value.producer_id, self.value.producer_epoch)
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        is_exhausted(self.value.producer_epoch)
    }

    /// Its end is decided, and not complete.
    pub(crate) fn is_ending(&self) -> bool {
        self.value.state.is_prepared() || self.is_abandoned
    }

    fn fields(&self) -> FlexibleFields {
        self.value.flexible.unwrap_or_default()
    }

    pub(crate) fn client_version(&self) -> i16 {
        self.fields().client_transaction_version
    }

    /// Whether who asks InitProducerId with this id was the last to get one, or repeats the
    /// request that got him the present one.
    pub(crate) fn knows(&self, (producer_id, epoch): (ProducerId, ProducerEpoch)) -> bool {
        self.value.producer_epoch == NO_EPOCH
            || producer_id == self.value.producer_id
            || (Some(producer_id) == self.soft.previous_producer_id && is_exhausted(epoch))
    }

    /// The next step with everything as it is.
    fn step(&self, state: TransactionState, now: Timestamp) -> Step {
        let flexible = FlexibleFields {
            previous_producer_id: Some(self.value.producer_id),
            ..self.fields()
        };
        Step {
            value: TransactionLogValue {
                state,
                last_update: now,
                flexible: Some(flexible),
                ..self.value.clone()
            },
            soft: Soft {
                previous_producer_id: Some(self.value.producer_id),
                ..self.soft
            },
        }
    }

    /// InitProducerId: the producer gets the next epoch, or again the one it got.
    ///
    /// # Errors
    /// `PRODUCER_FENCED` where the expected epoch is neither the present one nor the one before.
    pub(crate) fn increment_epoch(
        &self,
        now: Timestamp,
        timeout_ms: i32,
        expected: Option<ProducerEpoch>,
    ) -> Result<Step, ErrorCode> {
        let current = self.value.producer_epoch;
        let bumped = ProducerEpoch(current.0.saturating_add(1));
        let (epoch, last) = match expected {
            None => (bumped, None),
            Some(_) if current == NO_EPOCH => (bumped, None),
            Some(expected) if expected == current => (bumped, Some(current)),
            Some(expected) if Some(expected) == self.soft.last_producer_epoch => {
                // A repeated request: the producer did not hear the answer.
                (current, self.soft.last_producer_epoch)
            }
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        let mut step = self.initialised(now, timeout_ms);
        step.value.producer_epoch = epoch;
        step.soft.last_producer_epoch = last;
        Ok(step)
    }

    /// InitProducerId: the epochs are used up, so the producer gets another id.
    pub(crate) fn rotate_producer_id(
        &self,
        now: Timestamp,
        timeout_ms: i32,
        producer_id: ProducerId,
        is_expected: bool,
    ) -> Step {
        let mut step = self.initialised(now, timeout_ms);
        step.soft.last_producer_epoch = is_expected.then_some(self.value.producer_epoch);
        step.value.producer_id = producer_id;
        step.value.producer_epoch = ProducerEpoch(0);
        step
    }

    fn initialised(&self, now: Timestamp, timeout_ms: i32) -> Step {
        let mut step = self.step(TransactionState::Empty, now);
        step.value.timeout_ms = timeout_ms;
        step.value.partitions.clear();
        step.value.start = None;
        step.soft.is_from_before = false;
        step
    }

    pub(crate) fn add_partitions(
        &self,
        now: Timestamp,
        partitions: &[TopicPartition],
        client_version: i16,
    ) -> Step {
        let mut step = self.step(TransactionState::Ongoing, now);
        if self.value.state != TransactionState::Ongoing {
            step.value.start = Some(now);
        }
        step.value.partitions.extend_from_slice(partitions);
        step.value.partitions.sort();
        step.value.partitions.dedup();
        step.set_client_version(client_version);
        step
    }

    /// The end of a transaction as before KIP-890: the epoch stays.
    pub(crate) fn prepare(&self, now: Timestamp, committed: bool) -> Step {
        let mut step = self.step(prepared(committed), now);
        step.set_next_producer_id(None);
        step.set_client_version(0);
        step
    }

    /// The end of a transaction with KIP-890: the epoch is bumped, and a producer whose epochs are
    /// used up gets `next` when the transaction is complete.
    pub(crate) fn prepare_and_bump(
        &self,
        now: Timestamp,
        committed: bool,
        next: Option<ProducerId>,
    ) -> Step {
        let mut step = self.step(prepared(committed), now);
        if self.value.state != TransactionState::Ongoing {
            // An abort without a transaction: it needs a beginning all the same.
            step.value.start = Some(now);
        }
        // No client has the largest epoch, so that there is one more.
        step.value.producer_epoch = ProducerEpoch(self.value.producer_epoch.0.saturating_add(1));
        step.soft.last_producer_epoch = Some(self.value.producer_epoch);
        step.set_next_producer_id(next);
        step.set_client_version(EPOCH_BUMP);
        step
    }

    /// The coordinator itself ends an ongoing transaction, and its producer may not go on.
    ///
    /// None where a producer id is needed for that, and `spare` is none.
    pub(crate) fn fence(
        &self,
        now: Timestamp,
        level: i16,
        spare: Option<ProducerId>,
    ) -> Option<Step> {
        if level >= EPOCH_BUMP {
            if self.is_exhausted() && spare.is_none() {
                return None;
            }
            let next = spare.filter(|_| self.is_exhausted());
            return Some(self.prepare_and_bump(now, false, next));
        }
        let mut step = self.prepare(now, false);
        step.value.producer_epoch = ProducerEpoch(self.value.producer_epoch.0.saturating_add(1));
        step.soft.last_producer_epoch = None;
        Some(step)
    }

    /// All markers are written. None where there were none to write.
    pub(crate) fn complete(&self, now: Timestamp) -> Option<Step> {
        let state = match self.value.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            TransactionState::PrepareAbort => TransactionState::CompleteAbort,
            TransactionState::Empty
            | TransactionState::Ongoing
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort
            | TransactionState::Dead
            | TransactionState::PrepareEpochFence => return None,
        };
        let mut step = self.step(state, now);
        (step.value.producer_id, step.value.producer_epoch) = self.value.producer_after_end();
        step.value.partitions.clear();
        step.set_next_producer_id(None);
        Some(step)
    }
}

impl Step {
    fn set_client_version(&mut self, version: i16) {
        if let Some(fields) = &mut self.value.flexible {
            fields.client_transaction_version = version;
        }
    }

    fn set_next_producer_id(&mut self, next: Option<ProducerId>) {
        if let Some(fields) = &mut self.value.flexible {
            fields.next_producer_id = next;
        }
    }
}

impl TransactionLogValue {
    /// What the producer goes on with when the end that is prepared is complete.
    pub(crate) fn producer_after_end(&self) -> (ProducerId, ProducerEpoch) {
        let fields = self.flexible.unwrap_or_default();
        match fields.next_producer_id {
            Some(next) if fields.client_transaction_version >= EPOCH_BUMP => {
                (next, ProducerEpoch(0))
            }
            Some(_) | None => (self.producer_id, self.producer_epoch),
        }
    }
}

fn prepared(committed: bool) -> TransactionState {
    if committed {
        TransactionState::PrepareCommit
    } else {
        TransactionState::PrepareAbort
    }
}
