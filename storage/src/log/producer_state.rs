//! What each idempotent or transactional producer last wrote to a log.
//!
//! Invariant: the state is that of all batches below `end`. `check` changes nothing; `append`
//! takes what `check` let pass, or what a leader has checked.

use std::collections::{BTreeMap, HashMap, VecDeque};

use protocol::control::EndTransactionMarker;
use protocol::{BatchHeader, Offset, Producer, ProducerEpoch, ProducerId, Timestamp};

use super::types::{AppendOrigin, EndedTransaction, ProducerSummary};
use super::verification::{VerificationGuard, Verifications};
use crate::error::Error;

/// Upstream remembers so many batches: a client has at most five requests in flight.
pub(crate) const BATCHES_RETAINED: usize = 5;
/// Bounds the memory that producer ids, which clients may ask for freely, can take in one log.
const PRODUCERS_MAX: usize = 100_000;

/// A batch as far as its duplicates are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchMetadata {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: Timestamp,
}

impl BatchMetadata {
    fn first_sequence(&self) -> i32 {
        // Sequences start again at 0 behind 2^31 - 1.
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }

    pub(crate) fn first_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: ProducerEpoch,
    /// -1: no marker was seen.
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: Timestamp,
    pub(crate) transaction_start: Option<Offset>,
    /// Oldest first.
    pub(crate) batches: VecDeque<BatchMetadata>,
    /// The sequences of this epoch were forgotten while a transaction was open: the next batch
    /// may have any.
    pub(crate) any_sequence: bool,
}

impl ProducerEntry {
    fn new(epoch: ProducerEpoch) -> ProducerEntry {
        ProducerEntry {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            transaction_start: None,
            batches: VecDeque::new(),
            any_sequence: false,
        }
    }

    /// A new epoch starts with nothing to compare with.
    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
            self.any_sequence = false;
        }
    }

    fn is_expired(&self, now: Timestamp, expiration_ms: i64) -> bool {
        self.transaction_start.is_none()
            && now.0.saturating_sub(self.last_timestamp.0) >= expiration_ms
    }
}

fn last_sequence(header: &BatchHeader, producer: Producer) -> i32 {
    producer
        .base_sequence
        .wrapping_add(header.last_offset_delta)
        & i32::MAX
}

/// Who wants to append, and what speaks for it.
#[derive(Clone, Copy)]
pub(crate) struct Admission<'a> {
    pub(crate) origin: AppendOrigin,
    /// Whether a transaction may only be opened with a guard.
    pub(crate) verified_only: bool,
    pub(crate) guard: Option<&'a VerificationGuard>,
    pub(crate) verifications: &'a Verifications,
    /// By which version of transactions a marker is judged.
    pub(crate) transaction_version: i16,
}

/// The producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    entries: HashMap<ProducerId, ProducerEntry>,
    /// Open transactions by their first offset.
    ongoing: BTreeMap<Offset, ProducerId>,
    end: Offset,
}

impl Producers {
    pub(crate) fn starting_at(end: Offset) -> Producers {
        Producers {
            end,
            ..Producers::default()
        }
    }

    /// Takes what a snapshot holds.
    pub(crate) fn from_snapshot(
        end: Offset,
        entries: HashMap<ProducerId, ProducerEntry>,
    ) -> Producers {
        let ongoing = entries
            .iter()
            .filter_map(|(id, entry)| Some((entry.transaction_start?, *id)))
            .collect();
        Producers {
            entries,
            ongoing,
            end,
        }
    }

    /// Those with an open transaction, without the sequences they have reached.
    pub(crate) fn in_transactions(&self) -> Producers {
        let open = self.entries.iter();
        let open = open.filter(|(_, entry)| entry.transaction_start.is_some());
        let entries = open.map(|(id, entry)| {
            let mut entry = entry.clone();
            entry.batches.clear();
            entry.any_sequence = true;
            (*id, entry)
        });
        Producers::from_snapshot(self.end, entries.collect())
    }

    pub(crate) fn entries(&self) -> &HashMap<ProducerId, ProducerEntry> {
        &self.entries
    }

    /// Behind the last batch that is accounted for.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    pub(crate) fn set_end(&mut self, end: Offset) {
        self.end = end;
    }

    /// The batch among the last ones that has the same sequence numbers.
    pub(crate) fn find_duplicate(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        let producer = header.producer?;
        let entry = self
            .entries
            .get(&producer.id)
            .filter(|entry| entry.epoch == producer.epoch)?;
        let last = last_sequence(header, producer);
        entry
            .batches
            .iter()
            .find(|batch| {
                batch.first_sequence() == producer.base_sequence && batch.last_sequence == last
            })
            .copied()
    }

    /// Whether the producer has a transaction open, in the epoch that it writes in.
    pub(crate) fn is_in_transaction(&self, producer: Producer) -> bool {
        let entry = self.entries.get(&producer.id);
        entry.is_some_and(|it| it.transaction_start.is_some() && it.epoch == producer.epoch)
    }

    /// Whether a producer writes in an epoch that is not over.
    pub(crate) fn check_epoch(&self, producer: Producer) -> Result<(), Error> {
        match self.entries.get(&producer.id) {
            Some(entry) if producer.epoch < entry.epoch => Err(old_epoch(entry, producer)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a batch may be appended.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
        admission: Admission<'_>,
    ) -> Result<(), Error> {
        let Some(producer) = header.producer else {
            return Ok(());
        };
        if admission.origin == AppendOrigin::Replication {
            return Ok(());
        }
        self.check_epoch(producer)?;
        let entry = self.entries.get(&producer.id);
        if let Some(marker) = marker {
            return entry.map_or(Ok(()), |entry| {
                check_marker(entry, producer, marker, admission.transaction_version)
            });
        }
        if header.attributes.is_control() {
            return Ok(());
        }
        let transactional = header.attributes.is_transactional();
        let verification = admission.verifications.of(producer.id);
        let is_verified = verification.is_some_and(|it| it.admits(admission.guard));
        if transactional
            && admission.verified_only
            && !is_verified
            && !self.is_in_transaction(producer)
        {
            return Err(Error::UnverifiedTransaction {
                producer_id: producer.id,
            });
        }
        if admission.origin == AppendOrigin::Client {
            check_first_sequence(entry, producer, admission.verifications)?;
            check_sequence(entry, producer)?;
        }
        if !transactional && entry.is_some_and(|entry| entry.transaction_start.is_some()) {
            return Err(Error::InvalidTransactionState {
                producer_id: producer.id,
            });
        }
        Ok(())
    }

    /// Accounts for a batch that is in the log; returns the transaction that it ends.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
    ) -> Option<EndedTransaction> {
        self.end = header.next_offset();
        let producer = header.producer?;
        if !self.entries.contains_key(&producer.id) {
            self.make_room();
        }
        if header.attributes.is_control() {
            return self.append_marker(header, producer, marker?);
        }
        let entry = self
            .entries
            .entry(producer.id)
            .or_insert_with(|| ProducerEntry::new(producer.epoch));
        entry.set_epoch(producer.epoch);
        if producer.base_sequence >= 0 {
            entry.any_sequence = false;
            if entry.batches.len() == BATCHES_RETAINED {
                entry.batches.pop_front();
            }
            entry.batches.push_back(BatchMetadata {
                last_sequence: last_sequence(header, producer),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
        entry.last_timestamp = header.max_timestamp;
        if header.attributes.is_transactional() && entry.transaction_start.is_none() {
            entry.transaction_start = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, producer.id);
        }
        None
    }

    fn append_marker(
        &mut self,
        header: &BatchHeader,
        producer: Producer,
        marker: EndTransactionMarker,
    ) -> Option<EndedTransaction> {
        let entry = self
            .entries
            .entry(producer.id)
            .or_insert_with(|| ProducerEntry::new(producer.epoch));
        entry.set_epoch(producer.epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = header.max_timestamp;
        let first_offset = entry.transaction_start.take()?;
        let last_offset = header.last_offset();
        self.ongoing.remove(&first_offset);
        Some(EndedTransaction {
            producer_id: producer.id,
            first_offset,
            last_offset,
            last_stable_offset: self.first_open().unwrap_or(header.next_offset()),
            committed: marker.committed,
        })
    }

    /// Forgets the producers that wrote longest ago when there are too many.
    fn make_room(&mut self) {
        if self.entries.len() < PRODUCERS_MAX {
            return;
        }
        let mut by_age: Vec<(Timestamp, ProducerId)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.transaction_start.is_none())
            .map(|(id, entry)| (entry.last_timestamp, *id))
            .collect();
        by_age.sort_unstable();
        for (_, id) in by_age.into_iter().take(PRODUCERS_MAX / 10) {
            self.entries.remove(&id);
        }
    }

    pub(crate) fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) {
        self.entries
            .retain(|_, entry| !entry.is_expired(now, expiration_ms));
    }

    /// Where the oldest open transaction begins.
    pub(crate) fn first_open(&self) -> Option<Offset> {
        self.ongoing.keys().next().copied()
    }

    pub(crate) fn summaries(&self) -> Vec<ProducerSummary> {
        let mut summaries: Vec<ProducerSummary> = self
            .entries
            .iter()
            .map(|(id, entry)| ProducerSummary {
                producer_id: *id,
                producer_epoch: entry.epoch,
                last_sequence: entry.batches.back().map(|batch| batch.last_sequence),
                last_timestamp: entry.last_timestamp,
                coordinator_epoch: (entry.coordinator_epoch >= 0)
                    .then_some(entry.coordinator_epoch),
                current_transaction_start: entry.transaction_start,
            })
            .collect();
        summaries.sort_unstable_by_key(|summary| summary.producer_id);
        summaries
    }
}

fn old_epoch(entry: &ProducerEntry, producer: Producer) -> Error {
    Error::InvalidProducerEpoch {
        producer_id: producer.id,
        found: producer.epoch,
        current: entry.epoch,
    }
}

/// Whether a marker ends what the producer wrote last, and not something older.
fn check_marker(
    entry: &ProducerEntry,
    producer: Producer,
    marker: EndTransactionMarker,
    transaction_version: i16,
) -> Result<(), Error> {
    // Version 2 ends each transaction in the next epoch: a marker of the same one comes late, or
    // again (KIP-1228), which does no harm while nothing is open (KAFKA-19999).
    if transaction_version >= 2
        && producer.epoch == entry.epoch
        && entry.transaction_start.is_some()
    {
        return Err(old_epoch(entry, producer));
    }
    if marker.coordinator_epoch < entry.coordinator_epoch {
        return Err(Error::TransactionCoordinatorFenced {
            producer_id: producer.id,
            found: marker.coordinator_epoch,
            current: entry.coordinator_epoch,
        });
    }
    Ok(())
}

/// While a transaction is verified, its first batch comes first: one behind it would make every
/// retry of it out of order. Where the producer's last sequence is known, that rules.
fn check_first_sequence(
    entry: Option<&ProducerEntry>,
    producer: Producer,
    verifications: &Verifications,
) -> Result<(), Error> {
    let Some(verification) = verifications.of(producer.id) else {
        return Ok(());
    };
    let found = producer.base_sequence;
    let nothing_known = entry.is_none_or(|entry| entry.batches.is_empty());
    let lowest = verification.lowest_sequence();
    let last = if verification.is_version2() && nothing_known && found != 0 {
        -1
    } else if entry.is_none() && found > lowest {
        lowest.saturating_sub(1)
    } else {
        return Ok(());
    };
    Err(Error::OutOfOrderSequence {
        producer_id: producer.id,
        found,
        last,
    })
}

fn check_sequence(entry: Option<&ProducerEntry>, producer: Producer) -> Result<(), Error> {
    // Of a producer that is not known (its records may be deleted) any sequence is taken.
    let Some(entry) = entry else { return Ok(()) };
    let last = entry.batches.back().map_or(-1, |batch| batch.last_sequence);
    let found = producer.base_sequence;
    let in_order = if producer.epoch == entry.epoch && entry.any_sequence {
        true
    } else if producer.epoch == entry.epoch {
        // Behind 2^31 - 1 comes 0.
        i64::from(found) == i64::from(last) + 1 || (found == 0 && last == i32::MAX)
    } else {
        found == 0
    };
    if in_order {
        return Ok(());
    }
    Err(Error::OutOfOrderSequence {
        producer_id: producer.id,
        found,
        last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{BatchBuilder, RecordBatch};

    fn batch(epoch: i16, base_sequence: i32, offset: i64, count: i32) -> RecordBatch {
        let mut builder = BatchBuilder::new(Offset(offset)).producer(Producer {
            id: ProducerId(1),
            epoch: ProducerEpoch(epoch),
            base_sequence,
        });
        for number in 0..count {
            builder.push(Timestamp(i64::from(number)), None, Some(b"v"), &[]);
        }
        builder.build()
    }

    fn append(producers: &mut Producers, batch: &RecordBatch) -> Result<(), Error> {
        let admission = Admission {
            origin: AppendOrigin::Client,
            verified_only: true,
            guard: None,
            verifications: &Verifications::default(),
            transaction_version: 0,
        };
        producers.check(batch.header(), None, admission)?;
        producers.append(batch.header(), None);
        Ok(())
    }

    #[test]
    fn any_sequence_is_taken_from_an_unknown_producer() {
        let mut producers = Producers::default();
        append(&mut producers, &batch(0, 77, 0, 1)).unwrap();
        append(&mut producers, &batch(0, 78, 1, 1)).unwrap();
    }

    #[test]
    fn a_gap_in_the_sequence_is_refused() {
        let mut producers = Producers::default();
        append(&mut producers, &batch(0, 0, 0, 3)).unwrap();
        let error = append(&mut producers, &batch(0, 4, 3, 1)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::OutOfOrderSequence {
                    found: 4,
                    last: 2,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn the_sequence_wraps_behind_the_largest_number() {
        let mut producers = Producers::default();
        append(&mut producers, &batch(0, i32::MAX - 1, 0, 2)).unwrap();
        append(&mut producers, &batch(0, 0, 2, 1)).unwrap();
        // Across the edge within one batch.
        let mut producers = Producers::default();
        let across = batch(0, i32::MAX, 0, 3);
        append(&mut producers, &across).unwrap();
        assert_eq!(
            producers
                .find_duplicate(across.header())
                .unwrap()
                .first_offset(),
            Offset(0)
        );
        append(&mut producers, &batch(0, 2, 3, 1)).unwrap();
    }

    #[test]
    fn a_new_epoch_starts_at_sequence_zero_and_an_old_one_is_refused() {
        let mut producers = Producers::default();
        append(&mut producers, &batch(3, 0, 0, 1)).unwrap();
        assert!(append(&mut producers, &batch(4, 5, 1, 1)).is_err());
        append(&mut producers, &batch(4, 0, 1, 1)).unwrap();
        let error = append(&mut producers, &batch(3, 1, 2, 1)).unwrap_err();
        assert!(
            matches!(error, Error::InvalidProducerEpoch { .. }),
            "{error}"
        );
    }

    #[test]
    fn the_last_five_batches_are_known_again() {
        let mut producers = Producers::default();
        for number in 0..6 {
            append(&mut producers, &batch(0, number, i64::from(number), 1)).unwrap();
        }
        for number in 1..6 {
            let known = producers
                .find_duplicate(batch(0, number, 99, 1).header())
                .unwrap();
            assert_eq!(known.first_offset(), Offset(i64::from(number)));
        }
        assert_eq!(producers.find_duplicate(batch(0, 0, 99, 1).header()), None);
        assert_eq!(producers.find_duplicate(batch(1, 5, 99, 1).header()), None);
    }

    #[test]
    fn producers_are_capped_and_open_transactions_never_dropped() {
        let mut producers = Producers::default();
        let mut offset = 0;
        let mut write = |producers: &mut Producers, id: i64, transactional: bool| {
            let mut builder = BatchBuilder::new(Offset(offset)).producer(Producer {
                id: ProducerId(id),
                epoch: ProducerEpoch(0),
                base_sequence: 0,
            });
            if transactional {
                builder = builder.transactional();
            }
            builder.push(Timestamp(id), None, None, &[]);
            producers.append(builder.build().header(), None);
            offset += 1;
        };
        for id in 0..100 {
            write(&mut producers, id, true);
        }
        for id in 100..2 * PRODUCERS_MAX as i64 {
            write(&mut producers, id, false);
            assert!(producers.entries.len() <= PRODUCERS_MAX);
        }
        assert_eq!(producers.first_open(), Some(Offset(0)));
        assert!((0..100).all(|id| producers.entries.contains_key(&ProducerId(id))));
        producers.remove_expired(Timestamp(i64::MAX), 1);
        assert_eq!(producers.entries.len(), 100);
    }

    #[test]
    fn an_idle_producer_expires() {
        let mut producers = Producers::default();
        append(&mut producers, &batch(0, 0, 0, 11)).unwrap();
        producers.remove_expired(Timestamp(109), 100);
        assert_eq!(producers.summaries().len(), 1);
        producers.remove_expired(Timestamp(110), 100);
        assert_eq!(producers.summaries(), []);
    }
}
