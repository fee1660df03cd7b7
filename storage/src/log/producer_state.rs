//! What each idempotent or transactional producer last wrote to a log.
//!
//! Invariant: the state is that of all batches below `end`. `check` changes nothing; `append`
//! takes what `check` let pass, or what a leader has checked.

use std::collections::{BTreeMap, HashMap, VecDeque};

use protocol::control::EndTransactionMarker;
use protocol::{BatchHeader, Offset, Producer, ProducerEpoch, ProducerId, Timestamp};

use super::types::{AbortedTransaction, AppendOrigin, ProducerSummary};
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
}

impl ProducerEntry {
    fn new(epoch: ProducerEpoch) -> ProducerEntry {
        ProducerEntry {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            transaction_start: None,
            batches: VecDeque::new(),
        }
    }

    /// A new epoch starts with nothing to compare with.
    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
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

/// The producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    entries: HashMap<ProducerId, ProducerEntry>,
    /// Open transactions by their first offset.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose marker may lie above the high watermark: first offset to last.
    unreplicated: BTreeMap<Offset, Offset>,
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
            unreplicated: BTreeMap::new(),
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

    /// Whether a batch may be appended.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
        origin: AppendOrigin,
    ) -> Result<(), Error> {
        let (Some(producer), false) = (header.producer, origin == AppendOrigin::Replication) else {
            return Ok(());
        };
        let entry = self.entries.get(&producer.id);
        let in_transaction = entry.is_some_and(|entry| entry.transaction_start.is_some());
        let transactional = header.attributes.is_transactional();
        // A client's transaction begins with a verification by its coordinator, which is not there.
        if origin == AppendOrigin::Client && transactional && !in_transaction {
            return Err(Error::InvalidTransactionState {
                producer_id: producer.id,
            });
        }
        let Some(entry) = entry else { return Ok(()) };
        if producer.epoch < entry.epoch {
            return Err(Error::InvalidProducerEpoch {
                producer_id: producer.id,
                found: producer.epoch,
                current: entry.epoch,
            });
        }
        if let Some(marker) = marker {
            if marker.coordinator_epoch < entry.coordinator_epoch {
                return Err(Error::TransactionCoordinatorFenced {
                    producer_id: producer.id,
                    found: marker.coordinator_epoch,
                    current: entry.coordinator_epoch,
                });
            }
            return Ok(());
        }
        if origin == AppendOrigin::Client {
            check_sequence(entry, producer)?;
        }
        if in_transaction && !transactional && !header.attributes.is_control() {
            return Err(Error::InvalidTransactionState {
                producer_id: producer.id,
            });
        }
        Ok(())
    }

    /// Accounts for a batch that is in the log; returns the transaction that it aborts.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
    ) -> Option<AbortedTransaction> {
        self.end = header.next_offset();
        let producer = header.producer?;
        if header.attributes.is_control() {
            return self.append_marker(header, producer, marker?);
        }
        self.make_room();
        let entry = self
            .entries
            .entry(producer.id)
            .or_insert_with(|| ProducerEntry::new(producer.epoch));
        entry.set_epoch(producer.epoch);
        if producer.base_sequence >= 0 {
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
    ) -> Option<AbortedTransaction> {
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
        self.unreplicated.insert(first_offset, last_offset);
        if marker.committed {
            return None;
        }
        let first_open = self.ongoing.keys().next().copied();
        Some(AbortedTransaction {
            producer_id: producer.id,
            first_offset,
            last_offset,
            last_stable_offset: first_open.unwrap_or(header.next_offset()),
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

    /// Nothing at or above it may be read as committed: a transaction is open, or its end may yet
    /// be lost.
    pub(crate) fn first_unstable_offset(&self) -> Option<Offset> {
        let ongoing = self.ongoing.keys().next();
        let unreplicated = self.unreplicated.keys().next();
        ongoing.into_iter().chain(unreplicated).min().copied()
    }

    /// Transactions that end below the high watermark are ended for good.
    pub(crate) fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.unreplicated
            .retain(|_, last_offset| *last_offset >= high_watermark);
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

fn check_sequence(entry: &ProducerEntry, producer: Producer) -> Result<(), Error> {
    let last = entry.batches.back().map_or(-1, |batch| batch.last_sequence);
    let found = producer.base_sequence;
    let in_order = if producer.epoch == entry.epoch {
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
        producers.check(batch.header(), None, AppendOrigin::Client)?;
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
    fn an_idle_producer_expires() {
        let mut producers = Producers::default();
        append(&mut producers, &batch(0, 0, 0, 11)).unwrap();
        producers.remove_expired(Timestamp(109), 100);
        assert_eq!(producers.summaries().len(), 1);
        producers.remove_expired(Timestamp(110), 100);
        assert_eq!(producers.summaries(), []);
    }
}
