//! The records of `__consumer_offsets`, byte for byte as upstream 4.3.1 writes them.
//!
//! Invariant: what `encode` writes, `decode` reads back equal; `decode` never panics, and a record
//! of a type not known here is named, so that the loader can skip it instead of giving up.
//!
//! Keys open with a 16-bit type, values with a 16-bit version: offset commits are type 1 (0 from
//! long ago), classic groups type 2, consumer groups 3 to 8 and 16 ([`ConsumerGroupRecord`]),
//! share groups 10 to 15 ([`ShareGroupRecord`]). Offset values are written at version 4, or at
//! version 1 where the client asked for its own retention; group values at version 3. All versions are read.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::{Timestamp, TopicId};

pub use super::consumer::record::{
    AssignedTopic, ClassicMemberMetadata, ConsumerGroupEntry, ConsumerGroupMemberMetadataValue,
    ConsumerGroupRecord, CurrentMemberAssignmentValue, RegularExpressionValue,
};
pub use super::epochs::{GroupEpochValue, TargetAssignmentMetadataValue};
pub use super::share::record::{
    ShareGroupCurrentMemberAssignmentValue, ShareGroupEntry, ShareGroupMemberMetadataValue,
    ShareGroupRecord, ShareGroupStatePartitionMetadataValue, StateTopic,
};
use crate::wire::{
    Reader, TooLong, WireError, put_bytes, put_compact_string, put_string, put_varint,
};

const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;
const TOPIC_ID_TAG: u32 = 0;

/// One record: a key, and what the log now holds for it (`None` is a tombstone).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    OffsetCommit {
        key: OffsetCommitKey,
        value: Option<OffsetCommitValue>,
    },
    GroupMetadata {
        group_id: Arc<str>,
        value: Option<GroupMetadataValue>,
    },
    ConsumerGroup(ConsumerGroupRecord),
    ShareGroup(ShareGroupRecord),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetCommitKey {
    pub group_id: Arc<str>,
    pub topic: Arc<str>,
    pub partition: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitValue {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: Arc<str>,
    pub commit_timestamp: Timestamp,
    /// Set where the client asked for its own retention (OffsetCommit v2-4).
    pub expire_timestamp: Option<Timestamp>,
    /// Zero where it was not known at the commit.
    pub topic_id: TopicId,
}

/// A generation of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadataValue {
    /// Empty for a group that never had a member.
    pub protocol_type: Arc<str>,
    pub generation: i32,
    pub protocol_name: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    pub state_timestamp: Option<Timestamp>,
    pub members: Vec<MemberMetadata>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// What stands in the log at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Record(GroupRecord),
    /// A type of a later feature, or of nobody. It is kept in the log and left alone.
    UnknownType(i16),
}

/// A record that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the {part} of a record of type {record_type} does not parse: {error}")]
    Malformed {
        record_type: i16,
        part: &'static str,
        error: WireError,
    },
    #[error("value version {version} of a record of type {record_type} is not known")]
    UnknownVersion { record_type: i16, version: i16 },
    #[error("a field is too long to be written")]
    TooLong,
}

impl From<TooLong> for RecordError {
    fn from(TooLong: TooLong) -> Self {
        RecordError::TooLong
    }
}

pub(crate) fn malformed(record_type: i16, part: &'static str) -> impl Fn(WireError) -> RecordError {
    move |error| RecordError::Malformed {
        record_type,
        part,
        error,
    }
}

fn decode_offset_key(reader: &mut Reader<'_>) -> Result<OffsetCommitKey, WireError> {
    Ok(OffsetCommitKey {
        group_id: reader.string()?,
        topic: reader.string()?,
        partition: reader.i32()?,
    })
}

fn decode_offset_value(record_type: i16, value: &[u8]) -> Result<OffsetCommitValue, RecordError> {
    let mut reader = Reader::new(value);
    let version = reader.i16().map_err(malformed(record_type, "value"))?;
    if !(0..=4).contains(&version) {
        return Err(RecordError::UnknownVersion {
            record_type,
            version,
        });
    }
    read_offset_value(&mut reader, version).map_err(malformed(record_type, "value"))
}

fn read_offset_value(
    reader: &mut Reader<'_>,
    version: i16,
) -> Result<OffsetCommitValue, WireError> {
    let flexible = version >= 4;
    let offset = reader.i64()?;
    let leader_epoch = if version >= 3 { reader.i32()? } else { -1 };
    let metadata = if flexible {
        reader.compact_string()?
    } else {
        reader.string()?
    };
    let commit_timestamp = Timestamp(reader.i64()?);
    let expire_timestamp = if version == 1 { reader.i64()? } else { -1 };
    let mut topic_id = TopicId::ZERO;
    if flexible {
        reader.tagged_fields(|tag, field| {
            if tag == TOPIC_ID_TAG {
                topic_id = TopicId(field.uuid()?);
            }
            Ok(())
        })?;
    }
    Ok(OffsetCommitValue {
        offset,
        leader_epoch: (leader_epoch != -1).then_some(leader_epoch),
        metadata,
        commit_timestamp,
        expire_timestamp: (expire_timestamp != -1).then_some(Timestamp(expire_timestamp)),
        topic_id,
    })
}

fn decode_group_value(value: &[u8]) -> Result<GroupMetadataValue, RecordError> {
    let mut reader = Reader::new(value);
    let version = reader.i16().map_err(malformed(GROUP_METADATA, "value"))?;
    if !(0..=4).contains(&version) {
        return Err(RecordError::UnknownVersion {
            record_type: GROUP_METADATA,
            version,
        });
    }
    read_group_value(&mut reader, version).map_err(malformed(GROUP_METADATA, "value"))
}

fn read_group_value(
    reader: &mut Reader<'_>,
    version: i16,
) -> Result<GroupMetadataValue, WireError> {
    let flexible = version >= 4;
    let text = |reader: &mut Reader<'_>| {
        if flexible {
            reader.compact_string()
        } else {
            reader.string()
        }
    };
    let nullable = |reader: &mut Reader<'_>| {
        if flexible {
            reader.nullable_compact_string()
        } else {
            reader.nullable_string()
        }
    };
    let protocol_type = text(reader)?;
    let generation = reader.i32()?;
    let protocol_name = nullable(reader)?;
    let leader = nullable(reader)?;
    let state_timestamp = if version >= 2 { reader.i64()? } else { -1 };
    let count = if flexible {
        reader.compact_count()?
    } else {
        reader.count()?
    };
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(read_member(reader, version)?);
    }
    if flexible {
        reader.tagged_fields(|_, _| Ok(()))?;
    }
    Ok(GroupMetadataValue {
        protocol_type,
        generation,
        protocol_name,
        leader,
        state_timestamp: (state_timestamp != -1).then_some(Timestamp(state_timestamp)),
        members,
    })
}

fn read_member(reader: &mut Reader<'_>, version: i16) -> Result<MemberMetadata, WireError> {
    let flexible = version >= 4;
    let text = |reader: &mut Reader<'_>| {
        if flexible {
            reader.compact_string()
        } else {
            reader.string()
        }
    };
    let bytes = |reader: &mut Reader<'_>| {
        if flexible {
            reader.compact_bytes()
        } else {
            reader.bytes()
        }
    };
    let member_id = text(reader)?;
    let instance_id = match version {
        ..3 => None,
        3 => reader.nullable_string()?,
        4.. => reader.nullable_compact_string()?,
    };
    let client_id = text(reader)?;
    let client_host = text(reader)?;
    let rebalance_timeout_ms = if version >= 1 { reader.i32()? } else { -1 };
    let session_timeout_ms = reader.i32()?;
    let subscription = bytes(reader)?;
    let assignment = bytes(reader)?;
    if flexible {
        reader.tagged_fields(|_, _| Ok(()))?;
    }
    Ok(MemberMetadata {
        member_id,
        instance_id,
        client_id,
        client_host,
        // Version 0 knew one time-out only.
        rebalance_timeout_ms: match rebalance_timeout_ms {
            -1 => session_timeout_ms,
            known => known,
        },
        session_timeout_ms,
        subscription,
        assignment,
    })
}

impl GroupRecord {
    /// Reads one record of the log.
    pub fn decode(key: &[u8], value: Option<&Bytes>) -> Result<Decoded, RecordError> {
        let mut reader = Reader::new(key);
        let record_type = reader.i16().map_err(malformed(-1, "key"))?;
        let key_error = malformed(record_type, "key");
        let record = match record_type {
            LEGACY_OFFSET_COMMIT | OFFSET_COMMIT => GroupRecord::OffsetCommit {
                key: decode_offset_key(&mut reader).map_err(key_error)?,
                value: value
                    .map(|value| decode_offset_value(record_type, value))
                    .transpose()?,
            },
            GROUP_METADATA => GroupRecord::GroupMetadata {
                group_id: reader.string().map_err(key_error)?,
                value: value.map(|value| decode_group_value(value)).transpose()?,
            },
            other => {
                let consumer = ConsumerGroupRecord::decode(other, &mut reader, value);
                let consumer = consumer.map(|record| record.map(GroupRecord::ConsumerGroup));
                let known = consumer.or_else(|| {
                    let share = ShareGroupRecord::decode(other, &mut reader, value)?;
                    Some(share.map(GroupRecord::ShareGroup))
                });
                match known {
                    Some(record) => record?,
                    None => return Ok(Decoded::UnknownType(other)),
                }
            }
        };
        Ok(Decoded::Record(record))
    }

    /// The key and the value as the log holds them. The group view keeps the same bytes: a row is
    /// the last value of its key, and a tombstone removes it.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        match self {
            GroupRecord::OffsetCommit { key, value } => Ok((
                encode_offset_key(key)?,
                value.as_ref().map(encode_offset_value).transpose()?,
            )),
            GroupRecord::GroupMetadata { group_id, value } => Ok((
                encode_group_key(group_id)?,
                value.as_ref().map(encode_group_value).transpose()?,
            )),
            GroupRecord::ConsumerGroup(record) => record.encode(),
            GroupRecord::ShareGroup(record) => record.encode(),
        }
    }

    /// About how many bytes the record takes in a batch.
    pub(crate) fn size_estimate(&self) -> usize {
        const OVERHEAD: usize = 64;
        match self {
            GroupRecord::OffsetCommit { key, value } => {
                let metadata = value.as_ref().map_or(0, |value| value.metadata.len());
                OVERHEAD + key.group_id.len() + key.topic.len() + metadata
            }
            GroupRecord::GroupMetadata { group_id, value } => {
                let members = value.iter().flat_map(|value| &value.members);
                let bytes: usize = members
                    .map(|member| member.subscription.len() + member.assignment.len())
                    .sum();
                OVERHEAD + group_id.len() + bytes
            }
            GroupRecord::ConsumerGroup(record) => record.size_estimate(),
            GroupRecord::ShareGroup(record) => record.size_estimate(),
        }
    }
}

fn encode_offset_key(key: &OffsetCommitKey) -> Result<Bytes, RecordError> {
    let mut buffer = BytesMut::with_capacity(10 + key.group_id.len() + key.topic.len());
    buffer.put_i16(OFFSET_COMMIT);
    put_string(&mut buffer, &key.group_id)?;
    put_string(&mut buffer, &key.topic)?;
    buffer.put_i32(key.partition);
    Ok(buffer.freeze())
}

fn encode_group_key(group_id: &str) -> Result<Bytes, RecordError> {
    let mut buffer = BytesMut::with_capacity(4 + group_id.len());
    buffer.put_i16(GROUP_METADATA);
    put_string(&mut buffer, group_id)?;
    Ok(buffer.freeze())
}

fn encode_offset_value(value: &OffsetCommitValue) -> Result<Bytes, RecordError> {
    let mut buffer = BytesMut::with_capacity(48 + value.metadata.len());
    if let Some(expire_timestamp) = value.expire_timestamp {
        // Only version 1 has room for it, and none for epoch and topic id.
        buffer.put_i16(1);
        buffer.put_i64(value.offset);
        put_string(&mut buffer, &value.metadata)?;
        buffer.put_i64(value.commit_timestamp.0);
        buffer.put_i64(expire_timestamp.0);
        return Ok(buffer.freeze());
    }
    buffer.put_i16(4);
    buffer.put_i64(value.offset);
    buffer.put_i32(value.leader_epoch.unwrap_or(-1));
    put_compact_string(&mut buffer, &value.metadata);
    buffer.put_i64(value.commit_timestamp.0);
    if value.topic_id.is_zero() {
        put_varint(&mut buffer, 0);
    } else {
        put_varint(&mut buffer, 1);
        put_varint(&mut buffer, TOPIC_ID_TAG);
        put_varint(&mut buffer, 16);
        buffer.put_slice(value.topic_id.0.as_bytes());
    }
    Ok(buffer.freeze())
}

fn encode_group_value(value: &GroupMetadataValue) -> Result<Bytes, RecordError> {
    let mut buffer = BytesMut::new();
    buffer.put_i16(3);
    put_string(&mut buffer, &value.protocol_type)?;
    buffer.put_i32(value.generation);
    put_nullable_string(&mut buffer, value.protocol_name.as_deref())?;
    put_nullable_string(&mut buffer, value.leader.as_deref())?;
    buffer.put_i64(value.state_timestamp.map_or(-1, |timestamp| timestamp.0));
    buffer.put_i32(i32::try_from(value.members.len()).map_err(|_| RecordError::TooLong)?);
    for member in &value.members {
        put_string(&mut buffer, &member.member_id)?;
        put_nullable_string(&mut buffer, member.instance_id.as_deref())?;
        put_string(&mut buffer, &member.client_id)?;
        put_string(&mut buffer, &member.client_host)?;
        buffer.put_i32(member.rebalance_timeout_ms);
        buffer.put_i32(member.session_timeout_ms);
        put_bytes(&mut buffer, &member.subscription)?;
        put_bytes(&mut buffer, &member.assignment)?;
    }
    Ok(buffer.freeze())
}

fn put_nullable_string(buffer: &mut BytesMut, text: Option<&str>) -> Result<(), RecordError> {
    match text {
        Some(text) => Ok(put_string(buffer, text)?),
        None => {
            buffer.put_i16(-1);
            Ok(())
        }
    }
}
