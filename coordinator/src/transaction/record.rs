//! The records of `__transaction_state`, byte for byte as upstream 4.3.1 writes them.
//!
//! Invariant: what `encode` writes, `decode` reads back equal; `decode` never panics, and a record
//! of a type or version not known here is named, so that the loader can skip it instead of giving
//! up.
//!
//! Keys open with a 16-bit type, which is 0, values with a 16-bit version. Version 1 (transaction
//! version 1 and up) can be extended by tagged fields, and has some.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::state::TransactionState;
use crate::wire::{Reader, TooLong, WireError, put_compact_string, put_string, put_varint};

const TRANSACTION_LOG: i16 = 0;

const PREVIOUS_PRODUCER_ID_TAG: u32 = 0;
const NEXT_PRODUCER_ID_TAG: u32 = 1;
const CLIENT_TRANSACTION_VERSION_TAG: u32 = 2;

/// One record: a transactional id, and what the log now holds for it (`None` is a tombstone).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    pub transactional_id: Arc<str>,
    pub value: Option<TransactionLogValue>,
}

/// A transactional id with its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionLogValue {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub timeout_ms: i32,
    pub state: TransactionState,
    /// Ordered, each once. The log holds them topic by topic.
    pub partitions: Vec<TopicPartition>,
    pub last_update: Timestamp,
    pub start: Option<Timestamp>,
    /// None in version 0 of the value, which has no room for what is in it.
    pub flexible: Option<FlexibleFields>,
}

/// What version 1 of the value adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlexibleFields {
    /// The producer id before the record.
    pub previous_producer_id: Option<ProducerId>,
    /// What the producer gets when the transaction is complete, its epochs being used up.
    pub next_producer_id: Option<ProducerId>,
    /// The transactions that the client spoke: 2 bumps the epoch with each end.
    pub client_transaction_version: i16,
}

/// What stands in the log at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Record(TransactionRecord),
    /// A type of a later version, or of nobody. It is kept in the log and left alone.
    UnknownType(i16),
    /// The value is of a later version. It too is left alone, as upstream does.
    UnknownVersion(i16),
}

/// A record that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the {part} of a transaction record does not parse: {error}")]
    Malformed {
        part: &'static str,
        error: WireError,
    },
    #[error("a transaction record has the state {state}; states go from 0 to 7")]
    UnknownState { state: i8 },
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

impl TransactionRecord {
    /// Reads one record of the log.
    ///
    /// # Errors
    /// What does not parse, or names a state that is none.
    pub fn decode(key: &[u8], value: Option<&Bytes>) -> Result<Decoded, RecordError> {
        let mut reader = Reader::new(key);
        let record_type = reader.i16().map_err(malformed("key"))?;
        if record_type != TRANSACTION_LOG {
            return Ok(Decoded::UnknownType(record_type));
        }
        let transactional_id = reader.string().map_err(malformed("key"))?;
        let value = match value {
            None => None,
            Some(value) => {
                let mut reader = Reader::new(value);
                let version = reader.i16().map_err(malformed("value"))?;
                if !(0..=1).contains(&version) {
                    return Ok(Decoded::UnknownVersion(version));
                }
                Some(read_value(&mut reader, version >= 1)?)
            }
        };
        Ok(Decoded::Record(TransactionRecord {
            transactional_id,
            value,
        }))
    }

    /// The key and the value as the log holds them. The view keeps the same bytes: a row is the last
    /// value of its key, and a tombstone removes it.
    ///
    /// # Errors
    /// A name longer than the format has room for.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        let mut key = BytesMut::with_capacity(4 + self.transactional_id.len());
        key.put_i16(TRANSACTION_LOG);
        put_string(&mut key, &self.transactional_id)?;
        let value = self.value.as_ref().map(encode_value).transpose()?;
        Ok((key.freeze(), value))
    }

    /// About how many bytes the record takes in a batch.
    pub(crate) fn size_estimate(&self) -> usize {
        const OVERHEAD: usize = 96;
        let partitions = self.value.iter().flat_map(|value| &value.partitions);
        let partitions: usize = partitions.map(|partition| partition.topic.len() + 4).sum();
        OVERHEAD + self.transactional_id.len() + partitions
    }
}

fn read_value(
    reader: &mut Reader<'_>,
    is_flexible: bool,
) -> Result<TransactionLogValue, RecordError> {
    let error = malformed("value");
    let producer_id = ProducerId(reader.i64().map_err(&error)?);
    let producer_epoch = ProducerEpoch(reader.i16().map_err(&error)?);
    let timeout_ms = reader.i32().map_err(&error)?;
    let id = reader.i8().map_err(&error)?;
    let state = TransactionState::from_id(id).ok_or(RecordError::UnknownState { state: id })?;
    let mut partitions = read_partitions(reader, is_flexible).map_err(&error)?;
    if state == TransactionState::Empty {
        // Upstream does not look at them there.
        partitions.clear();
    }
    partitions.sort();
    partitions.dedup();
    let last_update = Timestamp(reader.i64().map_err(&error)?);
    let start = Timestamp(reader.i64().map_err(&error)?);
    let flexible = if is_flexible {
        Some(read_flexible(reader).map_err(&error)?)
    } else {
        None
    };
    Ok(TransactionLogValue {
        producer_id,
        producer_epoch,
        timeout_ms,
        state,
        partitions,
        last_update,
        start: (start != Timestamp::NONE).then_some(start),
        flexible,
    })
}

fn read_partitions(
    reader: &mut Reader<'_>,
    is_flexible: bool,
) -> Result<Vec<TopicPartition>, WireError> {
    let mut partitions = Vec::new();
    let topics = read_count(reader, is_flexible)?.unwrap_or(0);
    for _ in 0..topics {
        let topic = if is_flexible {
            reader.compact_string()?
        } else {
            reader.string()?
        };
        for _ in 0..read_count(reader, is_flexible)?.ok_or(WireError::Length)? {
            partitions.push(TopicPartition::new(topic.clone(), reader.i32()?));
        }
        if is_flexible {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
    }
    Ok(partitions)
}

fn read_flexible(reader: &mut Reader<'_>) -> Result<FlexibleFields, WireError> {
    let mut fields = FlexibleFields::default();
    let id = |id: i64| (id != -1).then_some(ProducerId(id));
    reader.tagged_fields(|tag, field| {
        match tag {
            PREVIOUS_PRODUCER_ID_TAG => fields.previous_producer_id = id(field.i64()?),
            NEXT_PRODUCER_ID_TAG => fields.next_producer_id = id(field.i64()?),
            CLIENT_TRANSACTION_VERSION_TAG => fields.client_transaction_version = field.i16()?,
            // Tag 3, an epoch for the next producer id, is in the format and upstream never uses it.
            _ => {}
        }
        Ok(())
    })?;
    Ok(fields)
}

fn encode_value(value: &TransactionLogValue) -> Result<Bytes, RecordError> {
    let is_flexible = value.flexible.is_some();
    let mut buffer = BytesMut::with_capacity(64);
    buffer.put_i16(i16::from(is_flexible));
    buffer.put_i64(value.producer_id.0);
    buffer.put_i16(value.producer_epoch.0);
    buffer.put_i32(value.timeout_ms);
    buffer.put_i8(value.state.id());
    put_partitions(&mut buffer, value, is_flexible)?;
    buffer.put_i64(value.last_update.0);
    buffer.put_i64(value.start.unwrap_or(Timestamp::NONE).0);
    if let Some(fields) = &value.flexible {
        put_flexible(&mut buffer, fields);
    }
    Ok(buffer.freeze())
}

fn put_partitions(
    buffer: &mut BytesMut,
    value: &TransactionLogValue,
    is_flexible: bool,
) -> Result<(), RecordError> {
    if value.state == TransactionState::Empty {
        put_count(buffer, is_flexible, None)?;
        return Ok(());
    }
    let topics = value
        .partitions
        .chunk_by(|left, right| left.topic == right.topic);
    put_count(buffer, is_flexible, Some(topics.clone().count()))?;
    for partitions in topics {
        let Some(first) = partitions.first() else {
            continue;
        };
        if is_flexible {
            put_compact_string(buffer, &first.topic);
        } else {
            put_string(buffer, &first.topic)?;
        }
        put_count(buffer, is_flexible, Some(partitions.len()))?;
        for partition in partitions {
            buffer.put_i32(partition.partition);
        }
        if is_flexible {
            put_varint(buffer, 0);
        }
    }
    Ok(())
}

fn put_flexible(buffer: &mut BytesMut, fields: &FlexibleFields) {
    let ids = [
        (PREVIOUS_PRODUCER_ID_TAG, fields.previous_producer_id),
        (NEXT_PRODUCER_ID_TAG, fields.next_producer_id),
    ];
    let ids = ids.iter().filter_map(|(tag, id)| Some((*tag, (*id)?)));
    let version = fields.client_transaction_version;
    let count = ids.clone().count() + usize::from(version != 0);
    put_varint(buffer, count as u32);
    for (tag, id) in ids {
        put_varint(buffer, tag);
        put_varint(buffer, 8);
        buffer.put_i64(id.0);
    }
    if version != 0 {
        put_varint(buffer, CLIENT_TRANSACTION_VERSION_TAG);
        put_varint(buffer, 2);
        buffer.put_i16(version);
    }
}

/// The count of an array; none where the array is null.
fn read_count(reader: &mut Reader<'_>, is_flexible: bool) -> Result<Option<usize>, WireError> {
    if is_flexible {
        reader.nullable_compact_count()
    } else {
        match reader.i32()? {
            -1 => Ok(None),
            count => Ok(Some(usize::try_from(count).map_err(|_| WireError::Length)?)),
        }
    }
}

fn put_count(
    buffer: &mut BytesMut,
    is_flexible: bool,
    count: Option<usize>,
) -> Result<(), TooLong> {
    let count = count.map(i32::try_from).transpose().map_err(|_| TooLong)?;
    if is_flexible {
        put_varint(buffer, count.map_or(0, |count| count as u32 + 1));
    } else {
        buffer.put_i32(count.unwrap_or(-1));
    }
    Ok(())
}
