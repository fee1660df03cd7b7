//! What is known of a log besides its index: segment summaries, producer state.
//!
//! Invariant: a row is true of the bytes it names (a size, an offset) or it is not there.

use protocol::{Offset, Timestamp};

use super::keys::{self, Key, LogId};
use super::{Change, Family, Kv};
use crate::error::Error;

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
        }
        kv.delete_log(LOG).unwrap();
        assert_eq!(kv.segment_summary(LOG, Offset(4)).unwrap(), None);
        assert_eq!(kv.producer_state(LOG).unwrap(), None);
        assert_eq!(kv.segment_summary(OTHER, Offset(4)).unwrap(), Some(summary));
        assert_eq!(
            kv.producer_state(OTHER).unwrap(),
            Some((Offset(8), b"state".to_vec()))
        );
    }
}
