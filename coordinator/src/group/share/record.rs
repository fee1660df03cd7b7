//! The records of share groups (KIP-932), byte for byte as upstream 4.3.1 writes them.
//!
//! Invariant: what `encode` writes, `decode` reads back equal. Keys are of the types 10 to 15,
//! values of version 0. Topics and partitions come in their order, where upstream writes them as
//! its hash maps have them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::TopicId;

use super::super::consumer::record::{
    AssignedTopic, no_tags, opened, put_numbers, put_strings, put_target, put_target_metadata,
    put_topics, read, read_array, read_target, read_target_metadata, read_topics,
};
use super::super::epochs::{GroupEpochValue, TargetAssignmentMetadataValue};
use super::super::record::{RecordError, malformed};
use crate::wire::{
    Reader, WireError, put_compact_count, put_compact_string, put_nullable_compact_string,
    put_string, put_varint,
};

const MEMBER_METADATA: i16 = 10;
const METADATA: i16 = 11;
const TARGET_ASSIGNMENT_METADATA: i16 = 12;
const TARGET_ASSIGNMENT_MEMBER: i16 = 13;
const CURRENT_MEMBER_ASSIGNMENT: i16 = 14;
const STATE_PARTITION_METADATA: i16 = 15;

/// A record of a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroupRecord {
    pub group_id: Arc<str>,
    pub entry: ShareGroupEntry,
}

/// What a record of a share group says; a value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareGroupEntry {
    MemberMetadata {
        member_id: Arc<str>,
        value: Option<ShareGroupMemberMetadataValue>,
    },
    Metadata(Option<GroupEpochValue>),
    TargetAssignmentMetadata(Option<TargetAssignmentMetadataValue>),
    TargetAssignmentMember {
        member_id: Arc<str>,
        value: Option<Vec<AssignedTopic>>,
    },
    CurrentMemberAssignment {
        member_id: Arc<str>,
        value: Option<ShareGroupCurrentMemberAssignmentValue>,
    },
    StatePartitionMetadata(Option<ShareGroupStatePartitionMetadataValue>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareGroupMemberMetadataValue {
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroupCurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    pub state: i8,
    /// Without assignment epochs.
    pub assigned_partitions: Vec<AssignedTopic>,
}

/// For which share partitions there is state, is to be, or is to be none any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareGroupStatePartitionMetadataValue {
    pub initializing_topics: Vec<StateTopic>,
    pub initialized_topics: Vec<StateTopic>,
    /// Id and name.
    pub deleting_topics: Vec<(TopicId, Arc<str>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTopic {
    pub topic_id: TopicId,
    pub topic_name: Arc<str>,
    pub partitions: Vec<i32>,
}

impl ShareGroupRecord {
    /// Reads the rest of a record whose key has this type; none for a type of something else.
    pub(crate) fn decode(
        record_type: i16,
        key: &mut Reader<'_>,
        value: Option<&Bytes>,
    ) -> Option<Result<ShareGroupRecord, RecordError>> {
        let known = matches!(record_type, MEMBER_METADATA..=STATE_PARTITION_METADATA);
        known.then(|| decode_known(record_type, key, value))
    }

    pub(crate) fn encode(&self) -> Result<(Bytes, Option<Bytes>), RecordError> {
        let (record_type, name, value) = self.entry.encode();
        let mut key = BytesMut::with_capacity(40 + self.group_id.len());
        key.put_i16(record_type);
        put_string(&mut key, &self.group_id)?;
        if let Some(name) = name {
            put_string(&mut key, name)?;
        }
        Ok((key.freeze(), value))
    }

    pub(crate) fn size_estimate(&self) -> usize {
        const TYPICAL: usize = 160;
        let of_state = |value: &ShareGroupStatePartitionMetadataValue| {
            let topics = value.initializing_topics.iter();
            let topics = topics.chain(&value.initialized_topics);
            let topics =
                topics.map(|topic| 32 + topic.topic_name.len() + 4 * topic.partitions.len());
            let deleting = value
                .deleting_topics
                .iter()
                .map(|(_, name)| 32 + name.len());
            topics.chain(deleting).sum::<usize>()
        };
        let state = match &self.entry {
            ShareGroupEntry::StatePartitionMetadata(value) => value.as_ref().map_or(0, of_state),
            // They are never removed in bulk by size, only with their group.
            ShareGroupEntry::MemberMetadata { .. }
            | ShareGroupEntry::Metadata(_)
            | ShareGroupEntry::TargetAssignmentMetadata(_)
            | ShareGroupEntry::TargetAssignmentMember { .. }
            | ShareGroupEntry::CurrentMemberAssignment { .. } => 0,
        };
        TYPICAL + self.group_id.len() + state
    }
}

fn decode_known(
    record_type: i16,
    key: &mut Reader<'_>,
    value: Option<&Bytes>,
) -> Result<ShareGroupRecord, RecordError> {
    let of_key = || malformed(record_type, "key");
    let group_id = key.string().map_err(of_key())?;
    let entry = match record_type {
        MEMBER_METADATA => ShareGroupEntry::MemberMetadata {
            member_id: key.string().map_err(of_key())?,
            value: read(record_type, value, read_member)?,
        },
        METADATA => ShareGroupEntry::Metadata(read(record_type, value, read_metadata)?),
        TARGET_ASSIGNMENT_METADATA => ShareGroupEntry::TargetAssignmentMetadata(read(
            record_type,
            value,
            read_target_metadata,
        )?),
        TARGET_ASSIGNMENT_MEMBER => ShareGroupEntry::TargetAssignmentMember {
            member_id: key.string().map_err(of_key())?,
            value: read(record_type, value, read_target)?,
        },
        CURRENT_MEMBER_ASSIGNMENT => ShareGroupEntry::CurrentMemberAssignment {
            member_id: key.string().map_err(of_key())?,
            value: read(record_type, value, read_current)?,
        },
        _ => ShareGroupEntry::StatePartitionMetadata(read(
            record_type,
            value,
            read_state_partitions,
        )?),
    };
    Ok(ShareGroupRecord { group_id, entry })
}

fn read_member(reader: &mut Reader<'_>) -> Result<ShareGroupMemberMetadataValue, WireError> {
    let value = ShareGroupMemberMetadataValue {
        rack_id: reader.nullable_compact_string()?,
        client_id: reader.compact_string()?,
        client_host: reader.compact_string()?,
        subscribed_topic_names: read_array(reader, Reader::compact_string)?,
    };
    no_tags(reader)?;
    Ok(value)
}

fn read_metadata(reader: &mut Reader<'_>) -> Result<GroupEpochValue, WireError> {
    let value = GroupEpochValue {
        epoch: reader.i32()?,
        metadata_hash: reader.i64()?,
    };
    no_tags(reader)?;
    Ok(value)
}

fn read_current(
    reader: &mut Reader<'_>,
) -> Result<ShareGroupCurrentMemberAssignmentValue, WireError> {
    let value = ShareGroupCurrentMemberAssignmentValue {
        member_epoch: reader.i32()?,
        previous_member_epoch: reader.i32()?,
        state: reader.i8()?,
        assigned_partitions: read_topics(reader)?,
    };
    no_tags(reader)?;
    Ok(value)
}

fn read_state_partitions(
    reader: &mut Reader<'_>,
) -> Result<ShareGroupStatePartitionMetadataValue, WireError> {
    let value = ShareGroupStatePartitionMetadataValue {
        initializing_topics: read_array(reader, read_state_topic)?,
        initialized_topics: read_array(reader, read_state_topic)?,
        deleting_topics: read_array(reader, |reader| {
            let topic = (TopicId(reader.uuid()?), reader.compact_string()?);
            no_tags(reader)?;
            Ok(topic)
        })?,
    };
    no_tags(reader)?;
    Ok(value)
}

fn read_state_topic(reader: &mut Reader<'_>) -> Result<StateTopic, WireError> {
    let topic = StateTopic {
        topic_id: TopicId(reader.uuid()?),
        topic_name: reader.compact_string()?,
        partitions: read_array(reader, Reader::i32)?,
    };
    no_tags(reader)?;
    Ok(topic)
}

impl ShareGroupEntry {
    /// The type of the key, what stands in it behind the group, and the value.
    fn encode(&self) -> (i16, Option<&Arc<str>>, Option<Bytes>) {
        match self {
            Self::MemberMetadata { member_id, value } => (
                MEMBER_METADATA,
                Some(member_id),
                value.as_ref().map(put_member),
            ),
            Self::Metadata(value) => (METADATA, None, value.as_ref().map(put_metadata)),
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
            Self::StatePartitionMetadata(value) => (
                STATE_PARTITION_METADATA,
                None,
                value.as_ref().map(put_state_partitions),
            ),
        }
    }
}

fn put_member(value: &ShareGroupMemberMetadataValue) -> Bytes {
    let mut buffer = opened();
    put_nullable_compact_string(&mut buffer, value.rack_id.as_deref());
    put_compact_string(&mut buffer, &value.client_id);
    put_compact_string(&mut buffer, &value.client_host);
    put_strings(&mut buffer, &value.subscribed_topic_names);
    put_varint(&mut buffer, 0);
    buffer.freeze()
}

/// The hash is a field like any other here; in a consumer group's record it is tagged.
fn put_metadata(value: &GroupEpochValue) -> Bytes {
    let mut buffer = opened();
    buffer.put_i32(value.epoch);
    buffer.put_i64(value.metadata_hash);
    put_varint(&mut buffer, 0);
    buffer.freeze()
}

fn put_current(value: &ShareGroupCurrentMemberAssignmentValue) -> Bytes {
    let mut buffer = opened();
    buffer.put_i32(value.member_epoch);
    buffer.put_i32(value.previous_member_epoch);
    buffer.put_i8(value.state);
    put_topics(&mut buffer, &value.assigned_partitions);
    put_varint(&mut buffer, 0);
    buffer.freeze()
}

fn put_state_partitions(value: &ShareGroupStatePartitionMetadataValue) -> Bytes {
    let mut buffer = opened();
    for topics in [&value.initializing_topics, &value.initialized_topics] {
        put_compact_count(&mut buffer, topics.len());
        for topic in topics {
            buffer.put_slice(topic.topic_id.0.as_bytes());
            put_compact_string(&mut buffer, &topic.topic_name);
            put_numbers(&mut buffer, &topic.partitions);
            put_varint(&mut buffer, 0);
        }
    }
    put_compact_count(&mut buffer, value.deleting_topics.len());
    for (topic_id, name) in &value.deleting_topics {
        buffer.put_slice(topic_id.0.as_bytes());
        put_compact_string(&mut buffer, name);
        put_varint(&mut buffer, 0);
    }
    put_varint(&mut buffer, 0);
    buffer.freeze()
}
