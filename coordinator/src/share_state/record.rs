//! The records of `__share_group_state`, byte for byte as upstream 4.3.1 writes them.
//!
//! Invariant: what `encode` writes, `decode` reads back equal; `decode` never panics, and a record
//! of a type or version not known here is named, so that the loader can skip it instead of giving
//! up.
//!
//! Keys open with a 16-bit type (0 a snapshot, 1 an update), values with a 16-bit version, which
//! is 0. A snapshot says all of a state, an update what is new since; a snapshot without a value
//! says that the state is gone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::{LeaderEpoch, Offset, Timestamp, TopicId};

use super::batches::StateBatch;
use super::state::{ShareState, StateEpoch};
use crate::java;
use crate::wire::{
    Reader, TooLong, WireError, put_compact_count, put_string, put_tagged_field, put_varint,
};

const SHARE_SNAPSHOT: i16 = 0;
const SHARE_UPDATE: i16 = 1;
const VALUE_VERSION: i16 = 0;

const DELIVERY_COMPLETE_COUNT_TAG: u32 = 0;

/// Bytes of a batch in a record: two offsets, state, count, no tagged fields.
const STATE_BATCH_BYTES: usize = 8 + 8 + 1 + 2 + 1;

/// A partition of a topic, as one share group consumes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharePartitionKey {
    pub group_id: Arc<str>,
    pub topic_id: TopicId,
    pub partition: i32,
}

/// As the key of FindCoordinator: `group:topic id:partition`.
impl fmt::Display for SharePartitionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}:{}",
            self.group_id, self.topic_id, self.partition
        )
    }
}

/// The text is not `group:topic id:partition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a share partition: expected group:topic id:partition, as g:3uZ1qW0vQyG9vJ0rL5q3xA:0")]
pub struct InvalidKey;

/// Reads the key of FindCoordinator as upstream does: the group's id may hold colons, those at the
/// end of the text are not looked at.
impl FromStr for SharePartitionKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let mut parts = text.trim_end_matches(':').rsplitn(3, ':');
        let partition = parts.next().ok_or(InvalidKey)?;
        let topic_id = parts.next().ok_or(InvalidKey)?;
        let group_id = parts.next().ok_or(InvalidKey)?;
        if group_id.trim().is_empty() {
            return Err(InvalidKey);
        }
        let topic_id = topic_id.strip_suffix("==").unwrap_or(topic_id);
        Ok(SharePartitionKey {
            group_id: Arc::from(group_id),
            topic_id: topic_id.parse().map_err(|_| InvalidKey)?,
            partition: partition.parse().map_err(|_| InvalidKey)?,
        })
    }
}

impl SharePartitionKey {
    /// The partition of `__share_group_state`, which has so many, where the state lives.
    pub fn state_partition(&self, partitions: i32) -> i32 {
        java::partition_for(&self.to_string(), partitions)
    }
}

/// One record: a share partition, and what the log says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareStateRecord {
    pub key: SharePartitionKey,
    pub change: ShareStateChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareStateChange {
    Snapshot(ShareState),
    Update(ShareUpdate),
    /// A snapshot without a value.
    Removed,
}

/// What a state became since its last snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareUpdate {
    /// Of the snapshot that it follows.
    pub snapshot_epoch: i32,
    /// -1 leaves it as it is.
    pub leader_epoch: LeaderEpoch,
    /// None leaves it as it is.
    pub start_offset: Option<Offset>,
    pub delivery_complete_count: Option<i32>,
    /// Laid over those there are.
    pub batches: Vec<StateBatch>,
}

/// What stands in the log at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Record(ShareStateRecord),
    /// A type of a later version, or of nobody. It is kept in the log and left alone.
    UnknownType(i16),
    /// The value is of a later version. It too is left alone, as upstream does.
    UnknownVersion(i16),
}

/// A record that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the {part} of a share state record does not parse: {error}")]
    Malformed {
        part: &'static str,
        error: WireError,
    },
    #[error("an update of a share state has no value; only a snapshot may have none")]
    EmptyUpdate,
    #[error("a field is too long to be written")]
    TooLong,
}

impl From<TooLong> for RecordError {
    fn from(TooLong: TooLong) -> Self {
        RecordError::TooLong
    }
}

fn malformed(part: &'static str) -> impl Fn(WireError) -> RecordError {
    move |error| RecordError::Malformed { part, error }
}

impl ShareStateRecord {
    /// Reads one record of the log.
    ///
    /// # Errors
    /// What does not parse, and an update without a value.
    pub fn decode(key: &[u8], value: Option<&Bytes>) -> Result<Decoded, RecordError> {
        let mut reader = Reader::new(key);
        let record_type = reader.i16().map_err(malformed("key"))?;
        if !(SHARE_SNAPSHOT..=SHARE_UPDATE).contains(&record_type) {
            return Ok(Decoded::UnknownType(record_type));
        }
        let key = read_key(&mut reader).map_err(malformed("key"))?;
        let is_update = record_type == SHARE_UPDATE;
        let Some(value) = value else {
            if is_update {
                return Err(RecordError::EmptyUpdate);
            }
            let change = ShareStateChange::Removed;
            return Ok(Decoded::Record(ShareStateRecord { key, change }));
        };
        let mut reader = Reader::new(value);
        let version = reader.i16().map_err(malformed("value"))?;
        if version != VALUE_VERSION {
            return Ok(Decoded::UnknownVersion(version));
        }
        let change = if is_update {
            read_update(&mut reader).map(ShareStateChange::Update)
        } else {
            read_snapshot(&mut reader).map(ShareStateChange::Snapshot)
        };
        let change = change.map_err(malformed("value"))?;
        Ok(Decoded::Record(ShareStateRecord { key, change }))
    }

    /// The key and the value as the log holds them.
    ///
    /// # Errors
    /// A group's id longer than the format has room for.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        let record_type = match self.change {
            ShareStateChange::Snapshot(_) | ShareStateChange::Removed => SHARE_SNAPSHOT,
            ShareStateChange::Update(_) => SHARE_UPDATE,
        };
        let mut key = BytesMut::with_capacity(24 + self.key.group_id.len());
        key.put_i16(record_type);
        put_string(&mut key, &self.key.group_id)?;
        key.put_slice(self.key.topic_id.0.as_bytes());
        key.put_i32(self.key.partition);
        let value = match &self.change {
            ShareStateChange::Snapshot(state) => Some(encode_snapshot(state)),
            ShareStateChange::Update(update) => Some(encode_update(update)),
            ShareStateChange::Removed => None,
        };
        Ok((key.freeze(), value))
    }

    /// About how many bytes the record takes in a batch.
    pub(crate) fn size_estimate(&self) -> usize {
        const OVERHEAD: usize = 112;
        let batches = match &self.change {
            ShareStateChange::Snapshot(state) => state.batches.len(),
            ShareStateChange::Update(update) => update.batches.len(),
            ShareStateChange::Removed => 0,
        };
        OVERHEAD + self.key.group_id.len() + batches * STATE_BATCH_BYTES
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<SharePartitionKey, WireError> {
    Ok(SharePartitionKey {
        group_id: reader.string()?,
        topic_id: TopicId(reader.uuid()?),
        partition: reader.i32()?,
    })
}

fn read_snapshot(reader: &mut Reader<'_>) -> Result<ShareState, WireError> {
    let mut state = ShareState {
        snapshot_epoch: reader.i32()?,
        state_epoch: StateEpoch(reader.i32()?),
        leader_epoch: LeaderEpoch(reader.i32()?),
        start_offset: some_offset(reader.i64()?),
        delivery_complete_count: None,
        create_timestamp: Timestamp(reader.i64()?),
        write_timestamp: Timestamp(reader.i64()?),
        batches: read_batches(reader)?,
    };
    state.delivery_complete_count = read_delivery_complete_count(reader)?;
    Ok(state)
}

fn read_update(reader: &mut Reader<'_>) -> Result<ShareUpdate, WireError> {
    let mut update = ShareUpdate {
        snapshot_epoch: reader.i32()?,
        leader_epoch: LeaderEpoch(reader.i32()?),
        start_offset: some_offset(reader.i64()?),
        delivery_complete_count: None,
        batches: read_batches(reader)?,
    };
    update.delivery_complete_count = read_delivery_complete_count(reader)?;
    Ok(update)
}

fn some_offset(offset: i64) -> Option<Offset> {
    (offset != -1).then_some(Offset(offset))
}

fn read_batches(reader: &mut Reader<'_>) -> Result<Vec<StateBatch>, WireError> {
    let count = reader.compact_count()?;
    let mut batches = Vec::new();
    for _ in 0..count {
        let first_offset = Offset(reader.i64()?);
        let last_offset = Offset(reader.i64()?);
        let delivery_state = reader.i8()?;
        let delivery_count = reader.i16()?;
        reader.tagged_fields(|_, _| Ok(()))?;
        batches.push(StateBatch {
            first_offset,
            last_offset,
            delivery_count,
            delivery_state,
        });
    }
    Ok(batches)
}

fn read_delivery_complete_count(reader: &mut Reader<'_>) -> Result<Option<i32>, WireError> {
    let mut count = None;
    reader.tagged_fields(|tag, field| {
        if tag == DELIVERY_COMPLETE_COUNT_TAG {
            count = Some(field.i32()?).filter(|count| *count != -1);
        }
        Ok(())
    })?;
    Ok(count)
}

fn encode_snapshot(state: &ShareState) -> Bytes {
    let mut buffer = BytesMut::with_capacity(64 + state.batches.len() * STATE_BATCH_BYTES);
    buffer.put_i16(VALUE_VERSION);
    buffer.put_i32(state.snapshot_epoch);
    buffer.put_i32(state.state_epoch.0);
    buffer.put_i32(state.leader_epoch.0);
    buffer.put_i64(state.start_offset.map_or(-1, |offset| offset.0));
    buffer.put_i64(state.create_timestamp.0);
    buffer.put_i64(state.write_timestamp.0);
    put_batches(&mut buffer, &state.batches);
    put_delivery_complete_count(&mut buffer, state.delivery_complete_count);
    buffer.freeze()
}

fn encode_update(update: &ShareUpdate) -> Bytes {
    let mut buffer = BytesMut::with_capacity(40 + update.batches.len() * STATE_BATCH_BYTES);
    buffer.put_i16(VALUE_VERSION);
    buffer.put_i32(update.snapshot_epoch);
    buffer.put_i32(update.leader_epoch.0);
    buffer.put_i64(update.start_offset.map_or(-1, |offset| offset.0));
    put_batches(&mut buffer, &update.batches);
    put_delivery_complete_count(&mut buffer, update.delivery_complete_count);
    buffer.freeze()
}

fn put_batches(buffer: &mut BytesMut, batches: &[StateBatch]) {
    put_compact_count(buffer, batches.len());
    for batch in batches {
        buffer.put_i64(batch.first_offset.0);
        buffer.put_i64(batch.last_offset.0);
        buffer.put_i8(batch.delivery_state);
        buffer.put_i16(batch.delivery_count);
        put_varint(buffer, 0);
    }
}

fn put_delivery_complete_count(buffer: &mut BytesMut, count: Option<i32>) {
    match count {
        Some(count) => {
            put_varint(buffer, 1);
            put_tagged_field(buffer, DELIVERY_COMPLETE_COUNT_TAG, &count.to_be_bytes());
        }
        None => put_varint(buffer, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_partition_is_read_as_upstream_reads_it() {
        const ID: &str = "XVs2F1_BTymIxi2zmt7YLA";
        let read = |text: String| text.parse().map(|key: SharePartitionKey| key.to_string());
        for text in [
            format!("g:{ID}:0"),
            format!("a:b:{ID}:7"),
            format!("g:{ID}:-1"),
            format!(" g :{ID}:9"),
        ] {
            assert_eq!(read(text.clone()), Ok(text));
        }
        let same = Ok(format!("g:{ID}:7"));
        assert_eq!(read(format!("g:{ID}:7::")), same);
        assert_eq!(read(format!("g:{ID}==:+07")), same);
        for text in [
            String::new(),
            "g".to_owned(),
            "g:x:0".to_owned(),
            format!(":{ID}:0"),
            format!(" :{ID}:0"),
            format!("{ID}:0"),
            format!("g:{ID}:"),
            format!("g:{ID}:zz"),
            format!("g:{ID}: 1"),
            format!("g:{ID}:2147483648"),
        ] {
            assert_eq!(read(text.clone()), Err(InvalidKey), "{text}");
        }
    }
}
