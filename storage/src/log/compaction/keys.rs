//! The last offset of each key in the part of a log that is not compacted.
//!
//! Invariant: as many keys as there is room for, and those of one batch more; keys are told apart by
//! half of their SHA-256, since two keys that were taken for one would lose a record.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use protocol::{BatchHeader, Offset, RecordBatch};
use sha2::{Digest, Sha256};

use super::Pace;
use crate::error::Error;
use crate::log::segment::Segment;
use crate::log::{AbortedTransaction, Log};

type KeyHash = [u8; 16];

/// The hashes are as good as random already.
#[derive(Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
}

/// What one entry takes, with the room that a growing table leaves empty.
pub(super) const BYTES_PER_KEY: usize = 64;

#[derive(Default)]
pub(super) struct LastOffsets {
    offsets: HashMap<KeyHash, Offset, BuildHasherDefault<FirstBytes>>,
}

fn hash_of(key: &[u8]) -> KeyHash {
    let digest = Sha256::digest(key);
    let (half, _) = digest.split_at(16);
    let mut hash = KeyHash::default();
    hash.copy_from_slice(half);
    hash
}

impl LastOffsets {
    pub(super) fn of(&self, key: &[u8]) -> Option<Offset> {
        self.offsets.get(&hash_of(key)).copied()
    }

    fn put(&mut self, key: &[u8], offset: Offset) {
        self.offsets.insert(hash_of(key), offset);
    }

    fn len(&self) -> usize {
        self.offsets.len()
    }
}

/// Whether a batch is of a transaction that was given up.
pub(super) fn is_aborted(header: &BatchHeader, aborted: &[AbortedTransaction]) -> bool {
    let Some(producer) = header.producer else {
        return false;
    };
    header.attributes.is_transactional()
        && aborted.iter().any(|transaction| {
            transaction.producer_id == producer.id
                && transaction.first_offset <= header.base_offset
                && header.base_offset <= transaction.last_offset
        })
}

impl Log {
    /// Maps the keys from an offset on; tells up to where it got.
    pub(super) fn map_keys<'a>(
        &self,
        segments: impl Iterator<Item = &'a Arc<Segment>>,
        from: Offset,
        end: Offset,
        keys_max: usize,
        pace: &mut dyn Pace,
    ) -> Result<(LastOffsets, Offset), Error> {
        let mut last = LastOffsets::default();
        let aborted = self.aborted_transactions(from, end);
        for segment in segments {
            let mut full_at = None;
            self.each_batch(segment, &mut |batch: &RecordBatch| {
                let header = batch.header();
                pace.spent(batch.size_in_bytes())?;
                if header.next_offset() <= from {
                    return Ok(true);
                }
                if last.len() >= keys_max {
                    full_at = Some(header.base_offset);
                    return Ok(false);
                }
                if header.attributes.is_control() || is_aborted(header, &aborted) {
                    return Ok(true);
                }
                for record in batch.records()? {
                    let record = record?;
                    if let Some(key) = record.key.as_deref().filter(|_| record.offset >= from) {
                        last.put(key, record.offset);
                    }
                }
                Ok(true)
            })?;
            if let Some(full_at) = full_at {
                return Ok((last, full_at));
            }
        }
        Ok((last, end))
    }
}
