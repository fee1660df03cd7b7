//! The producer state as bytes: upstream's `.snapshot` files, and the fuller row of the view.
//!
//! Invariant: what is damaged is refused (CRC), never half read. A `.snapshot` file holds the last
//! batch of each producer, as upstream's does; the row holds all that are remembered.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf, BufMut};
use protocol::{Offset, ProducerEpoch, ProducerId, Timestamp};

use super::producer_state::{BATCHES_RETAINED, BatchMetadata, ProducerEntry};

/// Upstream's version of the file.
const FILE_VERSION: i16 = 1;
/// Ours of the row.
const ROW_VERSION: i16 = 1001;
/// Version and CRC come first; the CRC covers the rest.
const COVERED_FROM: usize = 6;

type Entries = HashMap<ProducerId, ProducerEntry>;

fn sealed(version: i16, entries: &Entries, put: impl Fn(&mut Vec<u8>, &ProducerEntry)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10 + entries.len() * 50);
    bytes.put_i16(version);
    bytes.put_u32(0);
    bytes.put_i32(i32::try_from(entries.len()).unwrap_or(i32::MAX));
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_unstable_by_key(|(id, _)| **id);
    for (id, entry) in sorted {
        bytes.put_i64(id.0);
        bytes.put_i16(entry.epoch.0);
        put(&mut bytes, entry);
    }
    let crc = crc_fast::crc32_iscsi(bytes.get(COVERED_FROM..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(2..COVERED_FROM) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

/// A `.snapshot` file.
pub(crate) fn encode_file(entries: &Entries) -> Vec<u8> {
    sealed(FILE_VERSION, entries, |bytes, entry| {
        let last = entry.batches.back();
        bytes.put_i32(last.map_or(-1, |batch| batch.last_sequence));
        bytes.put_i64(last.map_or(-1, |batch| batch.last_offset.0));
        bytes.put_i32(last.map_or(0, |batch| batch.offset_delta));
        bytes.put_i64(entry.last_timestamp.0);
        bytes.put_i32(entry.coordinator_epoch);
        bytes.put_i64(entry.transaction_start.map_or(-1, |offset| offset.0));
    })
}

/// The row of the view.
pub(crate) fn encode_row(entries: &Entries) -> Vec<u8> {
    sealed(ROW_VERSION, entries, |bytes, entry| {
        bytes.put_i64(entry.last_timestamp.0);
        bytes.put_i32(entry.coordinator_epoch);
        bytes.put_i64(entry.transaction_start.map_or(-1, |offset| offset.0));
        bytes.put_u8(u8::try_from(entry.batches.len()).unwrap_or(u8::MAX));
        for batch in &entry.batches {
            bytes.put_i32(batch.last_sequence);
            bytes.put_i64(batch.last_offset.0);
            bytes.put_i32(batch.offset_delta);
            bytes.put_i64(batch.timestamp.0);
        }
    })
}

/// Reads either form; `None` when it is damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<Entries> {
    let mut fields = bytes;
    let version = fields.try_get_i16().ok()?;
    let crc = fields.try_get_u32().ok()?;
    if crc != crc_fast::crc32_iscsi(fields) {
        return None;
    }
    let count = fields.try_get_i32().ok()?;
    // The CRC held, but no count sizes an allocation before its bytes are seen.
    let mut entries = Entries::new();
    for _ in 0..count {
        let id = ProducerId(fields.try_get_i64().ok()?);
        let epoch = ProducerEpoch(fields.try_get_i16().ok()?);
        let entry = match version {
            FILE_VERSION => file_entry(epoch, &mut fields)?,
            ROW_VERSION => row_entry(epoch, &mut fields)?,
            _ => return None,
        };
        entries.insert(id, entry);
    }
    fields.is_empty().then_some(entries)
}

fn known(offset: i64) -> Option<Offset> {
    (offset >= 0).then_some(Offset(offset))
}

fn file_entry(epoch: ProducerEpoch, fields: &mut &[u8]) -> Option<ProducerEntry> {
    let last_sequence = fields.try_get_i32().ok()?;
    let last_offset = fields.try_get_i64().ok()?;
    let offset_delta = fields.try_get_i32().ok()?;
    let timestamp = Timestamp(fields.try_get_i64().ok()?);
    let coordinator_epoch = fields.try_get_i32().ok()?;
    let transaction_start = known(fields.try_get_i64().ok()?);
    let last = known(last_offset).map(|last_offset| BatchMetadata {
        last_sequence,
        last_offset,
        offset_delta,
        timestamp,
    });
    Some(ProducerEntry {
        epoch,
        coordinator_epoch,
        last_timestamp: timestamp,
        transaction_start,
        any_sequence: has_forgotten(last.is_none(), transaction_start),
        batches: last.into_iter().collect(),
    })
}

fn row_entry(epoch: ProducerEpoch, fields: &mut &[u8]) -> Option<ProducerEntry> {
    let last_timestamp = Timestamp(fields.try_get_i64().ok()?);
    let coordinator_epoch = fields.try_get_i32().ok()?;
    let transaction_start = known(fields.try_get_i64().ok()?);
    let count = usize::from(fields.try_get_u8().ok()?);
    if count > BATCHES_RETAINED {
        return None;
    }
    let mut batches = VecDeque::with_capacity(count);
    for _ in 0..count {
        batches.push_back(BatchMetadata {
            last_sequence: fields.try_get_i32().ok()?,
            last_offset: Offset(fields.try_get_i64().ok()?),
            offset_delta: fields.try_get_i32().ok()?,
            timestamp: Timestamp(fields.try_get_i64().ok()?),
        });
    }
    Some(ProducerEntry {
        epoch,
        coordinator_epoch,
        last_timestamp,
        transaction_start,
        any_sequence: has_forgotten(batches.is_empty(), transaction_start),
        batches,
    })
}

/// Only a log that was put back knows of a transaction and not of its batches.
fn has_forgotten(has_no_batch: bool, transaction_start: Option<Offset>) -> bool {
    has_no_batch && transaction_start.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Entries {
        let batch = |number: i32| BatchMetadata {
            last_sequence: number,
            last_offset: Offset(100 + i64::from(number)),
            offset_delta: 0,
            timestamp: Timestamp(9000 + i64::from(number)),
        };
        let idempotent = ProducerEntry {
            epoch: ProducerEpoch(2),
            coordinator_epoch: -1,
            last_timestamp: Timestamp(9003),
            transaction_start: None,
            batches: (0..4).map(batch).collect(),
            any_sequence: false,
        };
        let transactional = ProducerEntry {
            epoch: ProducerEpoch(7),
            coordinator_epoch: 3,
            last_timestamp: Timestamp(5),
            transaction_start: Some(Offset(90)),
            batches: VecDeque::new(),
            any_sequence: true,
        };
        Entries::from([(ProducerId(4), idempotent), (ProducerId(1), transactional)])
    }

    #[test]
    fn the_row_holds_all_and_the_file_the_last_batch() {
        assert_eq!(decode(&encode_row(&entries())), Some(entries()));
        let mut expected = entries();
        for entry in expected.values_mut() {
            entry.batches.drain(..entry.batches.len().saturating_sub(1));
        }
        assert_eq!(decode(&encode_file(&entries())), Some(expected));
    }

    #[test]
    fn the_file_is_laid_out_as_upstream_lays_it_out() {
        let bytes = encode_file(&entries());
        assert_eq!(bytes.len(), 2 + 4 + 4 + 2 * 46);
        assert_eq!(&bytes[..2], &[0, 1]);
        assert_eq!(&bytes[6..20], &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7]);
    }

    #[test]
    fn no_damage_is_read() {
        for good in [encode_file(&entries()), encode_row(&entries())] {
            for size in 0..good.len() {
                assert_eq!(decode(&good[..size]), None, "{size} bytes");
                let mut flipped = good.clone();
                flipped[size] ^= 1;
                assert_eq!(decode(&flipped), None, "byte {size} flipped");
            }
        }
    }
}
