//! The records of consumer groups (KIP-848), byte for byte as upstream 4.3.1 writes them.
//!
//! Invariant: what `encode` writes, `decode` reads back equal. Keys are of the types 3 to 8 and 16,
//! values of version 0. Topics and partitions come in their order, where upstream writes them as
//! its hash maps have them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::{Timestamp, TopicId};

use super::super::assignor::TopicPartitions;
use super::super::epochs::{GroupEpochValue, TargetAssignmentMetadataValue};
use super::super::record::{RecordError, malformed};
use crate::wire::{
    Reader, WireError, put_compact_bytes, put_compact_count, put_compact_string,
    put_nullable_compact_string, put_string, put_tagged_field, put_varint,
};

const METADATA: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER_METADATA: i16 = 5;
const TARGET_ASSIGNMENT_METADATA: i16 = 6;
const TARGET_ASSIGNMENT_MEMBER: i16 = 7;
const CURRENT_MEMBER_ASSIGNMENT: i16 = 8;
const REGULAR_EXPRESSION: i16 = 16;

/// The only version of any value here.
const VERSION: i16 = 0;
/// Every tagged field here is the first of its message.
const TAG: u32 = 0;

/// A record of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupRecord {
    pub group_id: Arc<str>,
    pub entry: ConsumerGroupEntry,
}

/// What a record of a consumer group says; a value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerGroupEntry {
    Metadata(Option<GroupEpochValue>),
    /// Written before 4.1, for what the metadata hash does now. Only tombstones are written, and
    /// nobody looks into the value.
    PartitionMetadata(Option<Bytes>),
    MemberMetadata {
        member_id: Arc<str>,
        value: Option<ConsumerGroupMemberMetadataValue>,
    },
    TargetAssignmentMetadata(Option<TargetAssignmentMetadataValue>),
    TargetAssignmentMember {
        member_id: Arc<str>,
        value: Option<Vec<AssignedTopic>>,
    },
    CurrentMemberAssignment {
        member_id: Arc<str>,
        value: Option<CurrentMemberAssignmentValue>,
    },
    RegularExpression {
        regular_expression: Arc<str>,
        value: Option<RegularExpressionValue>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupMemberMetadataValue {
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: Vec<Arc<str>>,
    pub subscribed_topic_regex: Option<Arc<str>>,
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<Arc<str>>,
    /// Set for a member that uses the classic protocol.
    pub classic: Option<ClassicMemberMetadata>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMemberMetadata {
    pub session_timeout_ms: i32,
    pub supported_protocols: Vec<(Arc<str>, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedTopic {
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
    /// In which member epoch each partition was assigned; not known before 4.3, and never part of
    /// a target assignment.
    pub assignment_epochs: Option<Vec<i32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    pub assigned_partitions: Vec<AssignedTopic>,
    pub partitions_pending_revocation: Vec<AssignedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegularExpressionValue {
    pub topics: Vec<Arc<str>>,
    /// Of the cluster's metadata that it was resolved with.
    pub version: i64,
    pub timestamp: Timestamp,
}

/// Partitions as a record has them, without epochs.
pub(crate) fn assigned_topics(partitions: &TopicPartitions) -> Vec<AssignedTopic> {
    let topics = partitions
        .iter()
        .map(|(topic_id, partitions)| AssignedTopic {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
            assignment_epochs: None,
        });
    topics.collect()
}

/// The partitions of a record; a topic without any is left out.
pub(crate) fn target_from(topics: &[AssignedTopic]) -> TopicPartitions {
    let topics = topics.iter().filter(|topic| !topic.partitions.is_empty());
    topics
        .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()))
        .collect()
}

impl ConsumerGroupRecord {
    /// Reads the rest of a record whose key has this type; none for a type of something else.
    pub(crate) fn decode(
        record_type: i16,
        key: &mut Reader<'_>,
        value: Option<&Bytes>,
    ) -> Option<Result<ConsumerGroupRecord, RecordError>> {
        let known = matches!(
            record_type,
            METADATA..=CURRENT_MEMBER_ASSIGNMENT | REGULAR_EXPRESSION
        );
        known.then(|| decode_known(record_type, key, value))
    }

    pub(crate) fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        let (record_type, name, value) = self.entry.encode()?;
        let mut key = BytesMut::with_capacity(40 + self.group_id.len());
        key.put_i16(record_type);
        put_string(&mut key, &self.group_id)?;
        if let Some(name) = name {
            put_string(&mut key, name)?;
        }
        Ok((key.freeze(), value))
    }

    pub(crate) fn size_estimate(&self) -> usize {
        // They are never removed in bulk by size, only with their group.
        const TYPICAL: usize = 160;
        TYPICAL + self.group_id.len()
    }
}

fn decode_known(
    record_type: i16,
    key: &mut Reader<'_>,
    value: Option<&Bytes>,
) -> Result<ConsumerGroupRecord, RecordError> {
    let of_key = || malformed(record_type, "key");
    let group_id = key.string().map_err(of_key())?;
    let entry = match record_type {
        METADATA => ConsumerGroupEntry::Metadata(read(record_type, value, read_metadata)?),
        PARTITION_METADATA => ConsumerGroupEntry::PartitionMetadata(value.cloned()),
        MEMBER_METADATA => ConsumerGroupEntry::MemberMetadata {
            member_id: key.string().map_err(of_key())?,
            value: read(record_type, value, read_member)?,
        },
        TARGET_ASSIGNMENT_METADATA => ConsumerGroupEntry::TargetAssignmentMetadata(read(
            record_type,
            value,
            read_target_metadata,
        )?),
        TARGET_ASSIGNMENT_MEMBER => ConsumerGroupEntry::TargetAssignmentMember {
            member_id: key.string().map_err(of_key())?,
            value: read(record_type, value, read_target)?,
        },
        CURRENT_MEMBER_ASSIGNMENT => ConsumerGroupEntry::CurrentMemberAssignment {
            member_id: key.string().map_err(of_key())?,
            value: read(record_type, value, read_current)?,
        },
        _ => ConsumerGroupEntry::RegularExpression {
            regular_expression: key.string().map_err(of_key())?,
            value: read(record_type, value, read_regular_expression)?,
        },
    };
    Ok(ConsumerGroupRecord { group_id, entry })
}

pub(crate) fn read<V>(
    record_type: i16,
    value: Option<&Bytes>,
    read: impl Fn(&mut Reader<'_>) -> Result<V, WireError>,
) -> Result<Option<V>, RecordError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let mut reader = Reader::new(value);
    let version = reader.i16().map_err(malformed(record_type, "value"))?;
    if version != VERSION {
        return Err(RecordError::UnknownVersion {
            record_type,
            version,
        });
    }
    let value = read(&mut reader).map_err(malformed(record_type, "value"))?;
    Ok(Some(value))
}

pub(crate) fn no_tags(reader: &mut Reader<'_>) -> Result<(), WireError> {
    reader.tagged_fields(|_, _| Ok(()))
}

/// The one tagged field a message may have.
fn read_tag<'a, V>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<V, WireError>,
) -> Result<Option<V>, WireError> {
    let mut value = None;
    reader.tagged_fields(|tag, field| {
        if tag == TAG {
            value = Some(read(field)?);
        }
        Ok(())
    })?;
    Ok(value)
}

pub(crate) fn read_array<'a, V>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<V, WireError>,
) -> Result<Vec<V>, WireError> {
    let count = reader.compact_count()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Ok(items)
}

fn read_metadata(reader: &mut Reader<'_>) -> Result<GroupEpochValue, WireError> {
    Ok(GroupEpochValue {
        epoch: reader.i32()?,
        metadata_hash: read_tag(reader, |field| field.i64())?.unwrap_or(0),
    })
}

fn read_member(reader: &mut Reader<'_>) -> Result<ConsumerGroupMemberMetadataValue, WireError> {
    Ok(ConsumerGroupMemberMetadataValue {
        instance_id: reader.nullable_compact_string()?,
        rack_id: reader.nullable_compact_string()?,
        client_id: reader.compact_string()?,
        client_host: reader.compact_string()?,
        subscribed_topic_names: read_array(reader, Reader::compact_string)?,
        subscribed_topic_regex: reader.nullable_compact_string()?,
        rebalance_timeout_ms: reader.i32()?,
        server_assignor: reader.nullable_compact_string()?,
        classic: read_tag(reader, read_classic)?.flatten(),
    })
}

fn read_classic(reader: &mut Reader<'_>) -> Result<Option<ClassicMemberMetadata>, WireError> {
    // A struct that may be null opens with a byte that says whether it is.
    if reader.i8()? <= 0 {
        return Ok(None);
    }
    let session_timeout_ms = reader.i32()?;
    let supported_protocols = read_array(reader, |reader| {
        let protocol = (reader.compact_string()?, reader.compact_bytes()?);
        no_tags(reader)?;
        Ok(protocol)
    })?;
    no_tags(reader)?;
    Ok(Some(ClassicMemberMetadata {
        session_timeout_ms,
        supported_protocols,
    }))
}

pub(crate) fn read_target_metadata(
    reader: &mut Reader<'_>,
) -> Result<TargetAssignmentMetadataValue, WireError> {
    Ok(TargetAssignmentMetadataValue {
        assignment_epoch: reader.i32()?,
        assignment_timestamp: Timestamp(read_tag(reader, |field| field.i64())?.unwrap_or(0)),
    })
}

pub(crate) fn read_topics(reader: &mut Reader<'_>) -> Result<Vec<AssignedTopic>, WireError> {
    read_array(reader, |reader| {
        let topic_id = TopicId(reader.uuid()?);
        let partitions = read_array(reader, Reader::i32)?;
        let assignment_epochs = read_tag(reader, |field| read_array(field, Reader::i32))?;
        Ok(AssignedTopic {
            topic_id,
            partitions,
            assignment_epochs,
        })
    })
}

pub(crate) fn read_target(reader: &mut Reader<'_>) -> Result<Vec<AssignedTopic>, WireError> {
    let topics = read_topics(reader)?;
    no_tags(reader)?;
    Ok(topics)
}

fn read_current(reader: &mut Reader<'_>) -> Result<CurrentMemberAssignmentValue, WireError> {
    let value = CurrentMemberAssignmentValue {
        member_epoch: reader.i32()?,
        previous_member_epoch: reader.i32()?,
        state: reader.i8()?,
        assigned_partitions: read_topics(reader)?,
        partitions_pending_revocation: read_topics(reader)?,
    };
    no_tags(reader)?;
    Ok(value)
}

fn read_regular_expression(reader: &mut Reader<'_>) -> Result<RegularExpressionValue, WireError> {
    let value = RegularExpressionValue {
        topics: read_array(reader, Reader::compact_string)?,
        version: reader.i64()?,
        timestamp: Timestamp(reader.i64()?),
    };
    no_tags(reader)?;
    Ok(value)
}

impl ConsumerGroupEntry {
    /// The type of the key, what stands in it behind the group, and the value.
    #[allow(clippy::type_complexity)]
    fn encode(&self) -> Result<(i16, Option<&Arc<str>>, Option<Bytes>), RecordError> {
        Ok(match self {
            Self::Metadata(value) => (METADATA, None, value.as_ref().map(put_metadata)),
            Self::PartitionMetadata(value) => (PARTITION_METADATA, None, value.clone()),
            Self::MemberMetadata { member_id, value } => (
                MEMBER_METADATA,
                Some(member_id),
                value.as_ref().map(put_member),
            ),
            Self::TargetAssignmentMetadata(value) => (
                TARGET_ASSIGNMENT_METADATA,
                None,
                value.as_ref().map(put_target_metadata),
            ),
            Self::TargetAssignmentMember { member_id, value } => (
                TARGET_ASSIGNMENT_MEMBER,
                Some(member_id),
                value.as_deref().map(put_target),
            ),
            Self::CurrentMemberAssignment { member_id, value } => (
                CURRENT_MEMBER_ASSIGNMENT,
                Some(member_id),
                value.as_ref().map(put_current),
            ),
            Self::RegularExpression {
                regular_expression,
                value,
            } => (
                REGULAR_EXPRESSION,
                Some(regular_expression),
                value.as_ref().map(put_regular_expression),
            ),
        })
    }
}

pub(crate) fn opened() -> BytesMut {
    let mut buffer = BytesMut::with_capacity(96);
    buffer.put_i16(VERSION);
    buffer
}

/// A number in a tagged field, which is left out where it is 0.
fn put_tagged_number(buffer: &mut BytesMut, number: i64) {
    if number == 0 {
        put_varint(buffer, 0);
    } else {
        put_varint(buffer, 1);
        put_tagged_field(buffer, TAG, &number.to_be_bytes());
    }
}

fn put_metadata(value: &GroupEpochValue) -> Bytes {
    let mut buffer = opened();
    buffer.put_i32(value.epoch);
    put_tagged_number(&mut buffer, value.metadata_hash);
    buffer.freeze()
}

fn put_member(value: &ConsumerGroupMemberMetadataValue) -> Bytes {
    let mut buffer = opened();
    put_nullable_compact_string(&mut buffer, value.instance_id.as_deref());
    put_nullable_compact_string(&mut buffer, value.rack_id.as_deref());
    put_compact_string(&mut buffer, &value.client_id);
    put_compact_string(&mut buffer, &value.client_host);
    put_strings(&mut buffer, &value.subscribed_topic_names);
    put_nullable_compact_string(&mut buffer, value.subscribed_topic_regex.as_deref());
    buffer.put_i32(value.rebalance_timeout_ms);
    put_nullable_compact_string(&mut buffer, value.server_assignor.as_deref());
    // Upstream writes the field where there is nothing in it too.
    put_varint(&mut buffer, 1);
    put_tagged_field(&mut buffer, TAG, &classic_field(value.classic.as_ref()));
    buffer.freeze()
}

fn classic_field(value: Option<&ClassicMemberMetadata>) -> BytesMut {
    let mut field = BytesMut::new();
    let Some(value) = value else {
        field.put_i8(0);
        return field;
    };
    field.put_i8(1);
    field.put_i32(value.session_timeout_ms);
    put_compact_count(&mut field, value.supported_protocols.len());
    for (name, metadata) in &value.supported_protocols {
        put_compact_string(&mut field, name);
        put_compact_bytes(&mut field, metadata);
        put_varint(&mut field, 0);
    }
    put_varint(&mut field, 0);
    field
}

pub(crate) fn put_strings(buffer: &mut BytesMut, strings: &[Arc<str>]) {
    put_compact_count(buffer, strings.len());
    for string in strings {
        put_compact_string(buffer, string);
    }
}

pub(crate) fn put_numbers(buffer: &mut BytesMut, numbers: &[i32]) {
    put_compact_count(buffer, numbers.len());
    for number in numbers {
        buffer.put_i32(*number);
    }
}

pub(crate) fn put_topics(buffer: &mut BytesMut, topics: &[AssignedTopic]) {
    put_compact_count(buffer, topics.len());
    for topic in topics {
        buffer.put_slice(topic.topic_id.0.as_bytes());
        put_numbers(buffer, &topic.partitions);
        match &topic.assignment_epochs {
            Some(epochs) => {
                let mut field = BytesMut::with_capacity(4 * epochs.len() + 5);
                put_numbers(&mut field, epochs);
                put_varint(buffer, 1);
                put_tagged_field(buffer, TAG, &field);
            }
            None => put_varint(buffer, 0),
        }
    }
}

pub(crate) fn put_target_metadata(value: &TargetAssignmentMetadataValue) -> Bytes {
    let mut buffer = opened();
    buffer.put_i32(value.assignment_epoch);
    put_tagged_number(&mut buffer, value.assignment_timestamp.0);
    buffer.freeze()
}

pub(crate) fn put_target(topics: &[AssignedTopic]) -> Bytes {
    let mut buffer = opened();
    put_topics(&mut buffer, topics);
    put_varint(&mut buffer, 0);
    buffer.freeze()
}

fn put_current(value: &CurrentMemberAssignmentValue) -> Bytes {
    let mut buffer = opened();
    buffer.put_i32(value.member_epoch);
    buffer.put_i32(value.previous_member_epoch);
    buffer.put_i8(value.state);
    put_topics(&mut buffer, &value.assigned_partitions);
    put_topics(&mut buffer, &value.partitions_pending_revocation);
    put_varint(&mut buffer, 0);
    buffer.freeze()
}

fn put_regular_expression(value: &RegularExpressionValue) -> Bytes {
    let mut buffer = opened();
    put_strings(&mut buffer, &value.topics);
    buffer.put_i64(value.version);
    buffer.put_i64(value.timestamp.0);
    put_varint(&mut buffer, 0);
    buffer.freeze()
}
