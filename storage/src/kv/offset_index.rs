//! The offset and time index of segments: which batch begins where, and what is older than it.
//!
//! Invariant: an entry names the start of a batch. Entries may be missing (a reader walks on from
//! the nearest one below), and a position that was looked up is verified by its reader.
//!
//! One index serves both searches: an entry carries the largest timestamp in front of it, which
//! only grows, so the last entry with an older one is where a search by time begins.

use protocol::{Offset, Timestamp};

use super::keys::{self, Key, LogId};
use super::{Change, Family, Kv};
use crate::error::Error;

/// The start of a batch in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// The batch's base offset, counted from the segment's.
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
    /// Of all batches in front of this one in the segment.
    pub(crate) max_timestamp_before: Timestamp,
}

const ENTRY_SIZE: usize = 16;

fn encode(entries: &[IndexEntry]) -> Vec<u8> {
    let mut value = Vec::with_capacity(entries.len() * ENTRY_SIZE);
    for entry in entries {
        value.extend_from_slice(&entry.relative_offset.to_be_bytes());
        value.extend_from_slice(&entry.position.to_be_bytes());
        value.extend_from_slice(&entry.max_timestamp_before.0.to_be_bytes());
    }
    value
}

/// A damaged row gives fewer entries; each is verified by its reader.
fn decode(value: &[u8]) -> Vec<IndexEntry> {
    let (entries, _) = value.as_chunks::<ENTRY_SIZE>();
    entries
        .iter()
        .filter_map(|entry| {
            let (relative_offset, rest) = entry.split_first_chunk()?;
            let (position, timestamp) = rest.split_first_chunk()?;
            Some(IndexEntry {
                relative_offset: u32::from_be_bytes(*relative_offset),
                position: u32::from_be_bytes(*position),
                max_timestamp_before: Timestamp(i64::from_be_bytes(timestamp.try_into().ok()?)),
            })
        })
        .collect()
}

impl Kv {
    /// Writes entries of a segment, in order, as one row.
    pub(crate) fn put_index(
        &self,
        log: LogId,
        base_offset: Offset,
        entries: &[IndexEntry],
    ) -> Result<(), Error> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        let key = Key::IndexChunk {
            log,
            base_offset,
            relative_offset: first.relative_offset,
        }
        .encode();
        self.write(vec![Change::Put(
            Family::SegmentIndex,
            key,
            encode(entries),
        )])
    }

    /// The last entry that the predicate holds for, among those of batches at or below an offset.
    /// The predicate must hold for a beginning of the entries only.
    fn last_entry(
        &self,
        log: LogId,
        base_offset: Offset,
        highest: u32,
        holds: impl Fn(&IndexEntry) -> bool,
    ) -> Result<Option<IndexEntry>, Error> {
        let low = keys::segment_prefix(log, base_offset);
        let mut high = Key::IndexChunk {
            log,
            base_offset,
            relative_offset: highest,
        }
        .encode();
        loop {
            let Some((key, value)) = self.last_in(Family::SegmentIndex, &low, &high)? else {
                return Ok(None);
            };
            let entries = decode(&value);
            let count = entries.partition_point(&holds);
            if let Some(entry) = count.checked_sub(1).and_then(|last| entries.get(last)) {
                return Ok(Some(*entry));
            }
            // Nothing fits in this row: go on with the one in front of it.
            let Some(previous) = previous_key(key).filter(|key| *key >= low) else {
                return Ok(None);
            };
            high = previous;
        }
    }

    /// The last known batch that begins at or below an offset.
    pub(crate) fn index_by_offset(
        &self,
        log: LogId,
        base_offset: Offset,
        offset: Offset,
    ) -> Result<Option<IndexEntry>, Error> {
        let relative = u32::try_from(offset - base_offset).unwrap_or(u32::MAX);
        self.last_entry(log, base_offset, relative, |entry| {
            entry.relative_offset <= relative
        })
    }

    /// As `index_by_position`, for a position not far behind a batch whose offset is known: looks
    /// at the rows from that batch on, not from the end of the segment.
    pub(crate) fn index_by_position_behind(
        &self,
        log: LogId,
        base_offset: Offset,
        offset: Offset,
        position: u64,
    ) -> Result<Option<IndexEntry>, Error> {
        let low = keys::segment_prefix(log, base_offset);
        let relative_offset = u32::try_from(offset - base_offset).unwrap_or(u32::MAX);
        let at = Key::IndexChunk {
            log,
            base_offset,
            relative_offset,
        }
        .encode();
        let first = self
            .last_in(Family::SegmentIndex, &low, &at)?
            .map_or(at, |(key, _)| key);
        let high = keys::prefix_end(&low);
        let mut found = None;
        self.scan(
            Family::SegmentIndex,
            &first,
            high.as_deref(),
            &mut |_, value| {
                let entries = decode(value);
                let count = entries.partition_point(|entry| u64::from(entry.position) <= position);
                if let Some(entry) = count.checked_sub(1).and_then(|last| entries.get(last)) {
                    found = Some(*entry);
                }
                count == entries.len()
            },
        )?;
        Ok(found)
    }

    /// The last known batch that begins at or below a position.
    pub(crate) fn index_by_position(
        &self,
        log: LogId,
        base_offset: Offset,
        position: u64,
    ) -> Result<Option<IndexEntry>, Error> {
        self.last_entry(log, base_offset, u32::MAX, |entry| {
            u64::from(entry.position) <= position
        })
    }

    /// The last known batch with only older ones in front of it.
    pub(crate) fn index_by_timestamp(
        &self,
        log: LogId,
        base_offset: Offset,
        timestamp: Timestamp,
    ) -> Result<Option<IndexEntry>, Error> {
        self.last_entry(log, base_offset, u32::MAX, |entry| {
            entry.max_timestamp_before < timestamp
        })
    }

    /// Forgets all entries of a segment from a position on.
    pub(crate) fn cut_index(
        &self,
        log: LogId,
        base_offset: Offset,
        position: u64,
    ) -> Result<(), Error> {
        let low = keys::segment_prefix(log, base_offset);
        let high = keys::prefix_end(&low);
        let mut changes = Vec::new();
        self.scan(
            Family::SegmentIndex,
            &low,
            high.as_deref(),
            &mut |key, value| {
                let entries = decode(value);
                let kept = entries.partition_point(|entry| u64::from(entry.position) < position);
                if kept == 0 {
                    changes.push(Change::Delete(Family::SegmentIndex, key.to_vec()));
                } else if kept < entries.len() {
                    let value = encode(entries.get(..kept).unwrap_or_default());
                    changes.push(Change::Put(Family::SegmentIndex, key.to_vec(), value));
                }
                true
            },
        )?;
        if changes.is_empty() {
            Ok(())
        } else {
            self.write(changes)
        }
    }
}

/// The largest key below this one, of those that are no longer than it.
fn previous_key(mut key: Vec<u8>) -> Option<Vec<u8>> {
    for byte in key.iter_mut().rev() {
        if let Some(lower) = byte.checked_sub(1) {
            *byte = lower;
            return Some(key);
        }
        *byte = u8::MAX;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::TopicId;

    const LOG: LogId = LogId {
        topic_id: TopicId(uuid::Uuid::from_u128(7)),
        partition: 3,
    };
    const BASE: Offset = Offset(100);

    fn entry(relative_offset: u32) -> IndexEntry {
        IndexEntry {
            relative_offset,
            position: relative_offset * 10,
            max_timestamp_before: Timestamp(i64::from(relative_offset) / 10 * 1000),
        }
    }

    fn filled(kv: &Kv) {
        for chunk in [[10, 20], [30, 40], [256, 300]] {
            kv.put_index(LOG, BASE, &chunk.map(entry)).unwrap();
        }
        kv.put_index(LOG, Offset(1000), &[entry(1)]).unwrap();
    }

    fn stores(check: impl Fn(&Kv)) {
        check(&Kv::in_memory());
        let folder = tempfile::tempdir().unwrap();
        check(&Kv::open(&folder.path().join("kv")));
    }

    #[test]
    fn the_nearest_entry_below_is_found() {
        stores(|kv| {
            filled(kv);
            let by_offset = |offset| kv.index_by_offset(LOG, BASE, Offset(offset)).unwrap();
            assert_eq!(by_offset(109), None);
            assert_eq!(by_offset(110), Some(entry(10)));
            assert_eq!(by_offset(129), Some(entry(20)));
            assert_eq!(by_offset(355), Some(entry(40)));
            assert_eq!(by_offset(i64::MAX), Some(entry(300)));
            let by_position = |position| kv.index_by_position(LOG, BASE, position).unwrap();
            assert_eq!(by_position(99), None);
            assert_eq!(by_position(2559), Some(entry(40)));
            assert_eq!(by_position(2560), Some(entry(256)));
            let behind = |offset, position| {
                kv.index_by_position_behind(LOG, BASE, Offset(offset), position)
                    .unwrap()
            };
            assert_eq!(behind(100, 99), None);
            assert_eq!(behind(105, 100), Some(entry(10)));
            assert_eq!(behind(125, 399), Some(entry(30)));
            assert_eq!(behind(110, 2559), Some(entry(40)));
            assert_eq!(behind(141, u64::MAX), Some(entry(300)));
            let by_time = |at| kv.index_by_timestamp(LOG, BASE, Timestamp(at)).unwrap();
            assert_eq!(by_time(1000), None);
            assert_eq!(by_time(2001), Some(entry(20)));
            assert_eq!(by_time(25_000), Some(entry(40)));
        });
    }

    #[test]
    fn a_cut_leaves_what_is_in_front() {
        stores(|kv| {
            filled(kv);
            kv.cut_index(LOG, BASE, 400).unwrap();
            let last = kv.index_by_offset(LOG, BASE, Offset(i64::MAX)).unwrap();
            assert_eq!(last, Some(entry(30)));
            let other = kv
                .index_by_offset(LOG, Offset(1000), Offset(i64::MAX))
                .unwrap();
            assert_eq!(other, Some(entry(1)));
        });
    }
}
