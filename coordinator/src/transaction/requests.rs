//! The requests of producers: InitProducerId, AddPartitionsToTxn and EndTxn.
//!
//! Invariant: the checks come in upstream's order. An end that is prepared has its last step pending
//! from the first moment on, so everything that waits for pending steps in upstream
//! (`CONCURRENT_TRANSACTIONS`) waits here for the two prepared states; other steps are never seen
//! half done, since a shard takes the next event when the last one is in the log.

use std::sync::Arc;

use protocol::{ErrorCode, ProducerEpoch, ProducerId, TopicPartition};

use super::steps::{EPOCH_BUMP, LAST_EPOCH, NO_TIMEOUT_MS, Step, Transaction};
use super::turn::Turn;
use super::{TransactionResponse, TransactionShard, TransactionState};
use crate::ReplyTo;

/// What a producer gets as its time-out where the log does not know it: the clients' own default.
const ADOPTED_TIMEOUT_MS: i32 = 60_000;

/// Why a request leads to no step.
enum Refused {
    Code(ErrorCode),
    NeedsProducerId,
    /// Nothing is left to do, and this is the answer.
    Answered(TransactionResponse),
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Refused::Code(code)
    }
}

pub(crate) struct InitProducerId {
    pub(crate) timeout_ms: i32,
    pub(crate) expected: Option<(ProducerId, ProducerEpoch)>,
    pub(crate) spare: Option<ProducerId>,
}

pub(crate) struct AddPartitions<'a> {
    pub(crate) producer: (ProducerId, ProducerEpoch),
    pub(crate) partitions: &'a [TopicPartition],
    pub(crate) version2: bool,
}

pub(crate) struct EndTxn {
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) committed: bool,
    pub(crate) spare: Option<ProducerId>,
}

impl TransactionShard {
    pub(crate) fn init_producer_id(
        &self,
        turn: &mut Turn,
        token: ReplyTo,
        transactional_id: &Arc<str>,
        request: &InitProducerId,
    ) {
        let known = self.transactions.get(transactional_id);
        if let Some(ongoing) = known.filter(|known| known.can_be_fenced())
            && request
                .expected
                .is_none_or(|expected| ongoing.knows(expected) || ongoing.is_newer(expected))
        {
            // The transaction of a former instance: it is aborted, and the producer asks again.
            match ongoing.fence(turn.now, turn.level, request.spare) {
                Some(step) => {
                    turn.write(transactional_id, step);
                    turn.fail(token, ErrorCode::ConcurrentTransactions);
                }
                None => turn.reply(token, TransactionResponse::NeedsProducerId),
            }
            return;
        }
        match initialised(turn, known, request) {
            Ok(step) => {
                let (producer_id, producer_epoch) =
                    (step.value.producer_id, step.value.producer_epoch);
                turn.write(transactional_id, step);
                turn.reply(
                    token,
                    TransactionResponse::InitProducerId {
                        producer_id,
                        producer_epoch,
                    },
                );
            }
            Err(refused) => turn.refuse(token, refused),
        }
    }

    pub(crate) fn add_partitions(
        &self,
        turn: &mut Turn,
        token: ReplyTo,
        transactional_id: &Arc<str>,
        request: &AddPartitions<'_>,
    ) {
        let adopted = self.adopted(turn, transactional_id, request.producer);
        let known = adopted.as_ref();
        let known = known.or(self.transactions.get(transactional_id));
        match added(turn, known, request) {
            Ok(step) => {
                turn.write(transactional_id, step);
                self.watch_timeouts(turn);
                turn.reply(token, all_added(request.partitions));
            }
            Err(refused) => turn.refuse(token, refused),
        }
    }

    /// Each partition is told whether it is in the transaction.
    pub(crate) fn verify_partitions(
        &self,
        turn: &mut Turn,
        token: ReplyTo,
        transactional_id: &Arc<str>,
        request: &AddPartitions<'_>,
    ) {
        let known = self.transactions.get(transactional_id);
        turn.replies.push((token, verified(known, request)));
    }

    pub(crate) fn end_txn(
        &self,
        turn: &mut Turn,
        token: ReplyTo,
        transactional_id: &Arc<str>,
        request: &EndTxn,
        version2: bool,
    ) {
        let producer = (request.producer_id, request.producer_epoch);
        let adopted = self.adopted(turn, transactional_id, producer);
        let known = adopted.as_ref().or(self.transactions.get(transactional_id));
        let step = match (known, version2) {
            (Some(_), _) if adopted.is_some() && request.committed => {
                // It must not pass for committed.
                Err(gone(version2, ErrorCode::InvalidProducerIdMapping).into())
            }
            (Some(_), false) if adopted.is_some() => {
                Err(Refused::Answered(TransactionResponse::EndTxn {
                    producer: None,
                }))
            }
            (Some(known), false) => ended_version1(turn, known, request),
            (Some(known), true) => ended_version2(turn, known, request),
            (None, _) => Err(ErrorCode::InvalidProducerIdMapping.into()),
        };
        match step {
            Ok(step) => {
                let producer = version2.then(|| step.value.producer_after_end());
                turn.write(transactional_id, step);
                turn.reply(token, TransactionResponse::EndTxn { producer });
            }
            Err(refused) => turn.refuse(token, refused),
        }
    }

    /// After a log was put back its producers go on: who comes with a producer id and an epoch that
    /// the log has not heard of got them in the time that was undone. Ids are never given twice, so
    /// they are his; the transactions of that time are gone, and he begins a new one.
    ///
    /// None where the log knows better, or a transaction is open.
    fn adopted(
        &self,
        turn: &Turn,
        transactional_id: &Arc<str>,
        producer: (ProducerId, ProducerEpoch),
    ) -> Option<Transaction> {
        let (producer_id, epoch) = producer;
        match self.transactions.get(transactional_id) {
            Some(known) => (known.is_newer(producer) && !known.is_ending())
                .then(|| known.adopted(producer_id, epoch))
                .filter(|adopted| adopted.value.state != TransactionState::Ongoing),
            None if self.is_put_back && epoch.0 >= 0 && producer_id.0 >= 0 => {
                let timeout_ms = ADOPTED_TIMEOUT_MS.min(turn.config.transaction_max_timeout_ms);
                let new = Transaction::new(producer_id, timeout_ms, turn.now);
                Some(new.adopted(producer_id, epoch))
            }
            None => None,
        }
    }
}

impl Transaction {
    /// Whether there is a transaction to take from its producer.
    fn can_be_fenced(&self) -> bool {
        self.value.state == TransactionState::Ongoing && !self.is_ending()
    }

    /// Whether the transaction of a producer with this epoch was aborted when the log was put back.
    fn was_undone(&self, epoch: ProducerEpoch) -> bool {
        self.soft.is_from_before
            && self.value.state == TransactionState::CompleteAbort
            && i32::from(self.value.producer_epoch.0) == i32::from(epoch.0) + 1
    }

    /// Whether a producer has an epoch from a time that was undone.
    fn is_newer(&self, producer: (ProducerId, ProducerEpoch)) -> bool {
        self.soft.is_from_before && producer > self.producer()
    }
}

/// What a producer hears of a transaction that went with the log that was put back. With
/// transactions v2 he knows the code that lets him abort and go on.
fn gone(is_understood: bool, otherwise: ErrorCode) -> ErrorCode {
    if is_understood {
        ErrorCode::TransactionAbortable
    } else {
        otherwise
    }
}

impl Turn {
    fn refuse(&mut self, token: ReplyTo, refused: Refused) {
        match refused {
            Refused::Code(code) => self.fail(token, code),
            Refused::NeedsProducerId => self.reply(token, TransactionResponse::NeedsProducerId),
            Refused::Answered(response) => self.reply(token, response),
        }
    }
}

fn initialised(
    turn: &Turn,
    known: Option<&Transaction>,
    request: &InitProducerId,
) -> Result<Step, Refused> {
    let InitProducerId {
        timeout_ms,
        expected,
        spare,
    } = *request;
    let expected_epoch = expected.map(|(_, epoch)| epoch);
    let Some(known) = known else {
        let new = Transaction::new(spare.ok_or(Refused::NeedsProducerId)?, timeout_ms, turn.now);
        return Ok(new.increment_epoch(turn.now, timeout_ms, expected_epoch)?);
    };
    if known.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let is_newer = expected.is_some_and(|expected| known.is_newer(expected));
    if !is_newer && !expected.is_none_or(|expected| known.knows(expected)) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    match known.value.state {
        TransactionState::Empty
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort => {}
        TransactionState::Ongoing
        | TransactionState::PrepareCommit
        | TransactionState::PrepareAbort
        | TransactionState::Dead
        | TransactionState::PrepareEpochFence => return Err(ErrorCode::InvalidTxnState.into()),
    }
    // The next epoch may have been given in a time that was undone, to somebody who lives on.
    let is_unsure = known.soft.is_from_before;
    let is_exhausted = known.is_exhausted()
        && expected_epoch.is_none_or(|expected| expected == known.value.producer_epoch);
    if is_unsure || is_exhausted {
        let spare = spare.ok_or(Refused::NeedsProducerId)?;
        return Ok(known.rotate_producer_id(turn.now, timeout_ms, spare, expected.is_some()));
    }
    Ok(known.increment_epoch(turn.now, timeout_ms, expected_epoch)?)
}

fn verified(
    known: Option<&Transaction>,
    request: &AddPartitions<'_>,
) -> Result<TransactionResponse, ErrorCode> {
    let (producer_id, epoch) = request.producer;
    let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
    if known.value.producer_id != producer_id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if known.value.producer_epoch != epoch {
        return Err(ErrorCode::ProducerFenced);
    }
    if known.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    let verified = request.partitions.iter().map(|partition| {
        let is_in = known.value.partitions.binary_search(partition).is_ok();
        let code = (!is_in).then_some(ErrorCode::TransactionAbortable);
        (partition.clone(), code)
    });
    Ok(TransactionResponse::AddPartitions(verified.collect()))
}

fn added(
    turn: &Turn,
    known: Option<&Transaction>,
    request: &AddPartitions<'_>,
) -> Result<Step, Refused> {
    let AddPartitions {
        producer: (producer_id, epoch),
        partitions,
        version2,
    } = *request;
    let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
    if known.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    if known.value.producer_id != producer_id {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if known.was_undone(epoch) {
        return Err(gone(version2, ErrorCode::ProducerFenced).into());
    }
    if known.value.producer_epoch != epoch {
        return Err(ErrorCode::ProducerFenced.into());
    }
    match known.value.state {
        TransactionState::Ongoing => {
            let is_in = |partition| known.value.partitions.binary_search(partition).is_ok();
            if partitions.iter().all(is_in) {
                return Err(Refused::Answered(all_added(partitions)));
            }
        }
        TransactionState::Empty
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort => {}
        TransactionState::PrepareCommit
        | TransactionState::PrepareAbort
        | TransactionState::Dead
        | TransactionState::PrepareEpochFence => return Err(ErrorCode::InvalidTxnState.into()),
    }
    let client_version = if version2 { EPOCH_BUMP } else { 0 };
    refuse_unwritable(turn, version2)?;
    Ok(known.add_partitions(turn.now, partitions, client_version))
}

fn all_added(partitions: &[TopicPartition]) -> TransactionResponse {
    let added = partitions.iter().map(|partition| (partition.clone(), None));
    TransactionResponse::AddPartitions(added.collect())
}

/// At level 0 the records have no room for what transactions v2 need.
fn refuse_unwritable(turn: &Turn, version2: bool) -> Result<(), ErrorCode> {
    if version2 && turn.level < 1 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    Ok(())
}

fn ended_version1(turn: &Turn, known: &Transaction, request: &EndTxn) -> Result<Step, Refused> {
    if known.value.producer_id != request.producer_id {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    if known.value.producer_epoch != request.producer_epoch {
        return Err(ErrorCode::ProducerFenced.into());
    }
    if known.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    match (known.value.state, request.committed) {
        (TransactionState::Ongoing, committed) => Ok(known.prepare(turn.now, committed)),
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
            // Said before: the producer did not hear the answer.
            Err(Refused::Answered(TransactionResponse::EndTxn {
                producer: None,
            }))
        }
        (TransactionState::CompleteCommit, false)
        | (TransactionState::CompleteAbort, true)
        | (
            TransactionState::Empty
            | TransactionState::PrepareCommit
            | TransactionState::PrepareAbort
            | TransactionState::Dead
            | TransactionState::PrepareEpochFence,
            _,
        ) => Err(ErrorCode::InvalidTxnState.into()),
    }
}

/// With KIP-890 the epoch tells a repeated request from the next one:
///
/// | state | abort again | abort | commit again | commit |
/// |---|---|---|---|---|
/// | Empty | fenced | bumps | fenced | invalid |
/// | CompleteAbort | same answer | bumps | invalid | invalid |
/// | CompleteCommit | invalid | bumps | same answer | invalid |
fn ended_version2(turn: &Turn, known: &Transaction, request: &EndTxn) -> Result<Step, Refused> {
    if known.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions.into());
    }
    let (current_id, current) = known.producer();
    let repeats_overflow = known.soft.previous_producer_id == Some(request.producer_id)
        && request.producer_epoch == LAST_EPOCH
        && current == ProducerEpoch(0);
    let repeats_bump = i32::from(current.0) == i32::from(request.producer_epoch.0) + 1;
    if current_id != request.producer_id && !repeats_overflow {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    let is_completed = matches!(
        known.value.state,
        TransactionState::CompleteCommit | TransactionState::CompleteAbort
    );
    let is_again = repeats_overflow || repeats_bump;
    if request.producer_epoch != current && !(is_completed && is_again) {
        return Err(ErrorCode::ProducerFenced.into());
    }
    let invalid = if known.soft.is_from_before {
        gone(request.committed, ErrorCode::InvalidTxnState)
    } else {
        ErrorCode::InvalidTxnState
    };
    match (known.value.state, request.committed) {
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false)
            if is_again =>
        {
            return Err(Refused::Answered(TransactionResponse::EndTxn {
                producer: Some(known.producer()),
            }));
        }
        (TransactionState::CompleteCommit, false) if is_again => {
            return Err(invalid.into());
        }
        (TransactionState::Ongoing, _)
        | (
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort,
            false,
        ) => {}
        (
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort,
            true,
        )
        | (
            TransactionState::PrepareCommit
            | TransactionState::PrepareAbort
            | TransactionState::Dead
            | TransactionState::PrepareEpochFence,
            _,
        ) => return Err(invalid.into()),
    }
    refuse_unwritable(turn, true)?;
    let next = match request.spare {
        None if known.is_exhausted() => return Err(Refused::NeedsProducerId),
        spare => spare.filter(|_| known.is_exhausted()),
    };
    Ok(known.prepare_and_bump(turn.now, request.committed, next))
}

impl InitProducerId {
    /// A two-phase commit has no time-out.
    pub(crate) fn resolved_timeout_ms(timeout_ms: i32, enable_2pc: bool) -> i32 {
        if enable_2pc {
            NO_TIMEOUT_MS
        } else {
            timeout_ms
        }
    }
}
