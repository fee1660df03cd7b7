//! Every key and value layout of the views. Integers are big-endian, so keys sort by number.
//!
//! Invariant: a log is named by its topic id and partition, never by the topic's name, so rows of a
//! deleted topic cannot be taken for those of a new one.
//!
//! | family | key | value |
//! |---|---|---|
//! | segment_index | log id (20), base offset (8), relative offset (4) | entries of 16 bytes: relative offset (4), position (4), largest timestamp before it (8) |
//! | log_state | log id (20), 1, base offset (8) | segment summary: size (8), largest timestamp (8) |
//! | log_state | log id (20), 2 | producer state: offset (8), snapshot as in `.snapshot` files |
//! | log_state | log id (20), 4 | behind the last tombstone that compaction left out: offset (8) |
//! | coordinator_view | the coordinator's | the coordinator's |

use protocol::{Offset, TopicId};

/// What a log is called in here: unique for ever, since topic ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogId {
    pub(crate) topic_id: TopicId,
    pub(crate) partition: i32,
}

/// Every key but the coordinators'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    IndexChunk {
        log: LogId,
        base_offset: Offset,
        relative_offset: u32,
    },
    SegmentSummary {
        log: LogId,
        base_offset: Offset,
    },
    ProducerState {
        log: LogId,
    },
    TombstonesGone {
        log: LogId,
    },
}

const SEGMENT_SUMMARY: u8 = 1;
const PRODUCER_STATE: u8 = 2;
const TOMBSTONES_GONE: u8 = 4;

impl Key {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Key::IndexChunk {
                log,
                base_offset,
                relative_offset,
            } => {
                let mut key = segment_prefix(log, base_offset);
                key.extend_from_slice(&relative_offset.to_be_bytes());
                key
            }
            Key::SegmentSummary { log, base_offset } => {
                let mut key = log_prefix(log);
                key.push(SEGMENT_SUMMARY);
                key.extend_from_slice(&base_offset.0.to_be_bytes());
                key
            }
            Key::ProducerState { log } => {
                let mut key = log_prefix(log);
                key.push(PRODUCER_STATE);
                key
            }
            Key::TombstonesGone { log } => {
                let mut key = log_prefix(log);
                key.push(TOMBSTONES_GONE);
                key
            }
        }
    }

    /// Reads a key of the family `segment_index`.
    #[cfg(test)]
    pub(crate) fn decode_index(key: &[u8]) -> Option<Key> {
        let (log, rest) = split_log(key)?;
        let (base_offset, rest) = rest.split_first_chunk()?;
        Some(Key::IndexChunk {
            log,
            base_offset: Offset(i64::from_be_bytes(*base_offset)),
            relative_offset: u32::from_be_bytes(rest.try_into().ok()?),
        })
    }

    /// Reads a key of the family `log_state`.
    #[cfg(test)]
    pub(crate) fn decode_state(key: &[u8]) -> Option<Key> {
        let (log, rest) = split_log(key)?;
        let (kind, rest) = rest.split_first()?;
        let offset = || Some(Offset(i64::from_be_bytes(rest.try_into().ok()?)));
        match *kind {
            SEGMENT_SUMMARY => Some(Key::SegmentSummary {
                log,
                base_offset: offset()?,
            }),
            PRODUCER_STATE if rest.is_empty() => Some(Key::ProducerState { log }),
            TOMBSTONES_GONE if rest.is_empty() => Some(Key::TombstonesGone { log }),
            _ => None,
        }
    }
}

/// What all keys of a log begin with.
pub(crate) fn log_prefix(log: LogId) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    key.extend_from_slice(log.topic_id.0.as_bytes());
    key.extend_from_slice(&log.partition.to_be_bytes());
    key
}

/// What all index keys of a segment begin with.
pub(crate) fn segment_prefix(log: LogId, base_offset: Offset) -> Vec<u8> {
    let mut key = log_prefix(log);
    key.extend_from_slice(&base_offset.0.to_be_bytes());
    key
}

/// The first key behind all keys that begin with this; `None` when there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
fn split_log(key: &[u8]) -> Option<(LogId, &[u8])> {
    let (topic_id, rest) = key.split_first_chunk::<16>()?;
    let (partition, rest) = rest.split_first_chunk()?;
    let topic_id = TopicId(uuid::Uuid::from_bytes(*topic_id));
    Some((
        LogId {
            topic_id,
            partition: i32::from_be_bytes(*partition),
        },
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log() -> impl Strategy<Value = LogId> {
        (any::<u128>(), 0..i32::MAX).prop_map(|(id, partition)| LogId {
            topic_id: TopicId(uuid::Uuid::from_u128(id)),
            partition,
        })
    }

    proptest! {
        #[test]
        fn every_index_key_is_read_back(log in log(), base in 0..i64::MAX, relative: u32) {
            let key = Key::IndexChunk {
                log, base_offset: Offset(base), relative_offset: relative,
            };
            prop_assert_eq!(Key::decode_index(&key.encode()), Some(key));
        }

        #[test]
        fn every_state_key_is_read_back(log in log(), offset in 0..i64::MAX) {
            for key in [
                Key::SegmentSummary { log, base_offset: Offset(offset) },
                Key::ProducerState { log },
            ] {
                prop_assert_eq!(Key::decode_state(&key.encode()), Some(key));
            }
        }

        #[test]
        fn index_keys_sort_by_offset(
            log in log(), a in 0..i64::MAX, b in 0..i64::MAX, x: u32, y: u32,
        ) {
            let key = |base, relative| Key::IndexChunk {
                log, base_offset: Offset(base), relative_offset: relative,
            }.encode();
            prop_assert_eq!(key(a, x).cmp(&key(b, y)), (a, x).cmp(&(b, y)));
        }

        #[test]
        fn the_end_of_a_prefix_is_behind_all_its_keys(prefix: Vec<u8>, rest: Vec<u8>) {
            let mut key = prefix.clone();
            key.extend_from_slice(&rest);
            if let Some(end) = prefix_end(&prefix) {
                prop_assert!(key < end);
                prop_assert!(prefix < end);
            } else {
                prop_assert!(prefix.iter().all(|byte| *byte == u8::MAX));
            }
        }
    }
}
