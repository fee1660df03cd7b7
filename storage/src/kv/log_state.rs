//! What is known of a log besides its index: segment summaries, producer state, aborted transactions.
//!
//! Invariant: a row is true of the bytes it names (a size, an offset) or it is not there.

use protocol::{Offset, ProducerId, Timestamp};

use super::keys::{self, Key, LogId};
use super::{Change, Family, Kv};
use crate::error::Error;
use crate::log::AbortedTransaction;

/// A segment that is no longer written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSummary {
    /// Bytes the summary and the index cover.
    pub(crate) size: u64,
    pub(crate) max_timestamp: Timestamp,
}

impl Kv {
    pub(crate) fn put_segment_summary(
        &self,
        log: LogId,
        base_offset: Offset,
        summary: SegmentSummary,
    ) -> Result<(), Error> {
        let mut value = summary.size.to_be_bytes().to_vec();
        value.extend_from_slice(&summary.max_timestamp.0.to_be_bytes());
        let key = Key::SegmentSummary { log, base_offset }.encode();
        self.write(vec![Change::Put(Family::LogState, key, value)])
    }

    pub(crate) fn segment_summary(
        &self,
        log: LogId,
        base_offset: Offset,
    ) -> Result<Option<SegmentSummary>, Error> {
        let key = Key::SegmentSummary { log, base_offset }.encode();
        let value = self.get(Family::LogState, &key)?;
        Ok(value.and_then(|value| {
            let (size, timestamp) = value.split_first_chunk()?;
            Some(SegmentSummary {
                size: u64::from_be_bytes(*size),
                max_timestamp: Timestamp(i64::from_be_bytes(timestamp.try_into().ok()?)),
            })
        }))
    }

    /// Forgets everything about a segment.
    pub(crate) fn delete_segment(&self, log: LogId, base_offset: Offset) -> Result<(), Error> {
        let low = keys::segment_prefix(log, base_offset);
        let mut changes = vec![Change::Delete(
            Family::LogState,
            Key::SegmentSummary { log, base_offset }.encode(),
        )];
        if let Some(high) = keys::prefix_end(&low) {
            changes.push(Change::DeleteRange(Family::SegmentIndex, low, high));
        }
        self.write(changes)
    }

    /// Forgets everything about a log.
    pub(crate) fn delete_log(&self, log: LogId) -> Result<(), Error> {
        let low = keys::log_prefix(log);
        let Some(high) = keys::prefix_end(&low) else {
            return Ok(());
        };
        self.write(vec![
            Change::DeleteRange(Family::SegmentIndex, low.clone(), high.clone()),
            Change::DeleteRange(Family::LogState, low, high),
        ])
    }

    /// As `delete_log`; says whether there was anything to forget, and writes nothing else.
    pub(crate) fn delete_log_if_known(&self, log: LogId) -> Result<bool, Error> {
        let low = keys::log_prefix(log);
        let high = keys::prefix_end(&low);
        let mut known = false;
        for family in [Family::SegmentIndex, Family::LogState] {
            self.scan(family, &low, high.as_deref(), &mut |_, _| {
                known = true;
                false
            })?;
        }
        if known {
            self.delete_log(log)?;
        }
        Ok(known)
    }

    /// Stores the producer state of everything below an offset, in the format of `.snapshot` files.
    pub(crate) fn put_producer_state(
        &self,
        log: LogId,
        offset: Offset,
        snapshot: &[u8],
    ) -> Result<(), Error> {
        let mut value = offset.0.to_be_bytes().to_vec();
        value.extend_from_slice(snapshot);
        let key = Key::ProducerState { log }.encode();
        self.write(vec![Change::Put(Family::LogState, key, value)])
    }

    pub(crate) fn producer_state(&self, log: LogId) -> Result<Option<(Offset, Vec<u8>)>, Error> {
        let value = self.get(Family::LogState, &Key::ProducerState { log }.encode())?;
        Ok(value.and_then(|value| {
            let (offset, snapshot) = value.split_first_chunk()?;
            Some((Offset(i64::from_be_bytes(*offset)), snapshot.to_vec()))
        }))
    }

    pub(crate) fn delete_producer_state(&self, log: LogId) -> Result<(), Error> {
        self.write(vec![Change::Delete(
            Family::LogState,
            Key::ProducerState { log }.encode(),
        )])
    }

    /// Behind the last tombstone that compaction has left out.
    pub(crate) fn put_tombstones_gone(&self, log: LogId, below: Offset) -> Result<(), Error> {
        let key = Key::TombstonesGone { log }.encode();
        let value = below.0.to_be_bytes().to_vec();
        self.write(vec![Change::Put(Family::LogState, key, value)])
    }

    pub(crate) fn tombstones_gone(&self, log: LogId) -> Result<Option<Offset>, Error> {
        let value = self.get(Family::LogState, &Key::TombstonesGone { log }.encode())?;
        let below = value.and_then(|value| value.first_chunk().copied());
        Ok(below.map(|below| Offset(i64::from_be_bytes(below))))
    }

    pub(crate) fn put_aborted_transaction(
        &self,
        log: LogId,
        transaction: &AbortedTransaction,
    ) -> Result<(), Error> {
        let mut value = transaction.producer_id.0.to_be_bytes().to_vec();
        value.extend_from_slice(&transaction.first_offset.0.to_be_bytes());
        value.extend_from_slice(&transaction.last_stable_offset.0.to_be_bytes());
        let key = Key::AbortedTransaction {
            log,
            last_offset: transaction.last_offset,
        }
        .encode();
        self.write(vec![Change::Put(Family::LogState, key, value)])
    }

    /// All aborted transactions of a log, in the order of their markers.
    pub(crate) fn aborted_transactions(
        &self,
        log: LogId,
    ) -> Result<Vec<AbortedTransaction>, Error> {
        let low = Key::AbortedTransaction {
            log,
            last_offset: Offset::ZERO,
        }
        .encode();
        let high = keys::prefix_end(&keys::log_prefix(log));
        let mut found = Vec::new();
        self.scan(
            Family::LogState,
            &low,
            high.as_deref(),
            &mut |key, value| {
                found.extend(decode_aborted(key, value));
                true
            },
        )?;
        Ok(found)
    }

    /// Forgets aborted transactions whose marker is below an offset.
    pub(crate) fn forget_aborted_below(&self, log: LogId, to: Offset) -> Result<(), Error> {
        let from = |last_offset| Key::AbortedTransaction { log, last_offset }.encode();
        let (low, high) = (from(Offset::ZERO), from(to));
        self.write(vec![Change::DeleteRange(Family::LogState, low, high)])
    }

    /// Forgets aborted transactions whose marker is at or above an offset.
    pub(crate) fn cut_aborted_transactions(&self, log: LogId, from: Offset) -> Result<(), Error> {
        let low = Key::AbortedTransaction {
            log,
            last_offset: from,
        }
        .encode();
        let Some(high) = keys::prefix_end(&keys::log_prefix(log)) else {
            return Ok(());
        };
        self.write(vec![Change::DeleteRange(Family::LogState, low, high)])
    }
}

fn decode_aborted(key: &[u8], value: &[u8]) -> Option<AbortedTransaction> {
    let last_offset = key.last_chunk()?;
    let (producer_id, rest) = value.split_first_chunk()?;
    let (first_offset, rest) = rest.split_first_chunk()?;
    Some(AbortedTransaction {
        producer_id: ProducerId(i64::from_be_bytes(*producer_id)),
        first_offset: Offset(i64::from_be_bytes(*first_offset)),
        last_offset: Offset(i64::from_be_bytes(*last_offset)),
        last_stable_offset: Offset(i64::from_be_bytes(rest.try_into().ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::TopicId;

    const LOG: LogId = LogId {
        topic_id: TopicId(uuid::Uuid::from_u128(9)),
        partition: 0,
    };
    const OTHER: LogId = LogId {
        topic_id: TopicId(uuid::Uuid::from_u128(9)),
        partition: 1,
    };

    fn aborted(last_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(5),
            first_offset: Offset(last_offset - 3),
            last_offset: Offset(last_offset),
            last_stable_offset: Offset(last_offset + 1),
        }
    }

    #[test]
    fn what_was_put_is_found_until_the_log_is_deleted() {
        let kv = Kv::in_memory();
        let summary = SegmentSummary {
            size: 77,
            max_timestamp: Timestamp(-1),
        };
        for log in [LOG, OTHER] {
            kv.put_segment_summary(log, Offset(4), summary).unwrap();
            kv.put_producer_state(log, Offset(8), b"state").unwrap();
            kv.put_aborted_transaction(log, &aborted(10)).unwrap();
        }
        kv.delete_log(LOG).unwrap();
        assert_eq!(kv.segment_summary(LOG, Offset(4)).unwrap(), None);
        assert_eq!(kv.producer_state(LOG).unwrap(), None);
        assert_eq!(kv.aborted_transactions(LOG).unwrap(), []);
        assert_eq!(kv.segment_summary(OTHER, Offset(4)).unwrap(), Some(summary));
        assert_eq!(
            kv.producer_state(OTHER).unwrap(),
            Some((Offset(8), b"state".to_vec()))
        );
        assert_eq!(kv.aborted_transactions(OTHER).unwrap(), [aborted(10)]);
    }

    #[test]
    fn a_cut_forgets_the_transactions_that_ended_on_its_side() {
        let kv = Kv::in_memory();
        for last_offset in [10, 20, 30] {
            kv.put_aborted_transaction(LOG, &aborted(last_offset))
                .unwrap();
        }
        kv.forget_aborted_below(LOG, Offset(11)).unwrap();
        assert_eq!(
            kv.aborted_transactions(LOG).unwrap(),
            [aborted(20), aborted(30)]
        );
        kv.cut_aborted_transactions(LOG, Offset(30)).unwrap();
        assert_eq!(kv.aborted_transactions(LOG).unwrap(), [aborted(20)]);
    }
}
