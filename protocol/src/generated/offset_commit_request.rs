// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! OffsetCommitRequest, versions 2-10.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, Request, StrBytes};
use uuid::Uuid;

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequest {
    /// Versions 0+.
    pub group_id: GroupId,
    /// Versions 1+.
    pub generation_id_or_member_epoch: i32,
    /// Versions 1+.
    pub member_id: StrBytes,
    /// Versions 7+, null in 7+.
    pub group_instance_id: Option<StrBytes>,
    /// Versions 2-4.
    pub retention_time_ms: i64,
    /// Versions 0+.
    pub topics: Vec<OffsetCommitRequestTopic>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetCommitRequest {
    fn default() -> Self {
        OffsetCommitRequest {
            group_id: Default::default(),
            generation_id_or_member_epoch: -1,
            member_id: Default::default(),
            group_instance_id: None,
            retention_time_ms: -1,
            topics: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetCommitRequest {
    pub fn with_group_id(mut self, value: GroupId) -> Self {
        self.group_id = value;
        self
    }
    pub fn with_generation_id_or_member_epoch(mut self, value: i32) -> Self {
        self.generation_id_or_member_epoch = value;
        self
    }
    pub fn with_member_id(mut self, value: StrBytes) -> Self {
        self.member_id = value;
        self
    }
    pub fn with_group_instance_id(mut self, value: Option<StrBytes>) -> Self {
        self.group_instance_id = value;
        self
    }
    pub fn with_retention_time_ms(mut self, value: i64) -> Self {
        self.retention_time_ms = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<OffsetCommitRequestTopic>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetCommitRequest {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(2..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 8;
        target.put_string(flexible, "GroupId", Some(&self.group_id.0))?;
        target.put_i32(self.generation_id_or_member_epoch);
        target.put_string(flexible, "MemberId", Some(&self.member_id))?;
        if version >= 7 {
            match &self.group_instance_id {
                None => {
                    target.put_string(flexible, "GroupInstanceId", None)?;
                }
                Some(value) => {
                    target.put_string(flexible, "GroupInstanceId", Some(&value))?;
                }
            }
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::NotInVersion("GroupInstanceId"));
        }
        if version <= 4 {
            target.put_i64(self.retention_time_ms);
        }
        target.put_length(flexible, "Topics", Some(self.topics.len()))?;
        for element in &self.topics {
            element.write(target, version)?;
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(2..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 8;
        let mut reader = Reader::new(source, flexible);
        let group_id = GroupId(
            reader
                .string("GroupId")?
                .ok_or(ProtocolError::Null { field: "GroupId" })?,
        );
        let generation_id_or_member_epoch = reader.i32("GenerationIdOrMemberEpoch")?;
        let member_id = reader
            .string("MemberId")?
            .ok_or(ProtocolError::Null { field: "MemberId" })?;
        let group_instance_id = if version >= 7 {
            reader.string("GroupInstanceId")?
        } else {
            None
        };
        let retention_time_ms = if version <= 4 {
            reader.i64("RetentionTimeMs")?
        } else {
            -1
        };
        let topics = {
            let elements = match reader.count("Topics", 1)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(OffsetCommitRequestTopic::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Topics" })?
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(OffsetCommitRequest {
            group_id,
            generation_id_or_member_epoch,
            member_id,
            group_instance_id,
            retention_time_ms,
            topics,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetCommitRequest, 2, 10);

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequestTopic {
    /// Versions 0-9.
    pub name: TopicName,
    /// Versions 10+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<OffsetCommitRequestPartition>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetCommitRequestTopic {
    fn default() -> Self {
        OffsetCommitRequestTopic {
            name: Default::default(),
            topic_id: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetCommitRequestTopic {
    pub fn with_name(mut self, value: TopicName) -> Self {
        self.name = value;
        self
    }
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<OffsetCommitRequestPartition>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetCommitRequestTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(2..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 8;
        if version <= 9 {
            target.put_string(flexible, "Name", Some(&self.name.0))?;
        }
        if version >= 10 {
            target.put_uuid(self.topic_id);
        }
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            element.write(target, version)?;
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(2..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 8;
        let mut reader = Reader::new(source, flexible);
        let name = if version <= 9 {
            TopicName(
                reader
                    .string("Name")?
                    .ok_or(ProtocolError::Null { field: "Name" })?,
            )
        } else {
            Default::default()
        };
        let topic_id = if version >= 10 {
            reader.uuid("TopicId")?
        } else {
            Default::default()
        };
        let partitions = {
            let elements = match reader.count("Partitions", 13)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(OffsetCommitRequestPartition::read(
                            reader.source(),
                            version,
                        )?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null {
                field: "Partitions",
            })?
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(OffsetCommitRequestTopic {
            name,
            topic_id,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetCommitRequestTopic, 2, 10);

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequestPartition {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub committed_offset: i64,
    /// Versions 6+.
    pub committed_leader_epoch: i32,
    /// Versions 0+, null in 0+.
    pub committed_metadata: Option<StrBytes>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetCommitRequestPartition {
    fn default() -> Self {
        OffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            committed_metadata: Some(Default::default()),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetCommitRequestPartition {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_committed_offset(mut self, value: i64) -> Self {
        self.committed_offset = value;
        self
    }
    pub fn with_committed_leader_epoch(mut self, value: i32) -> Self {
        self.committed_leader_epoch = value;
        self
    }
    pub fn with_committed_metadata(mut self, value: Option<StrBytes>) -> Self {
        self.committed_metadata = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetCommitRequestPartition {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(2..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 8;
        target.put_i32(self.partition_index);
        target.put_i64(self.committed_offset);
        if version >= 6 {
            target.put_i32(self.committed_leader_epoch);
        }
        match &self.committed_metadata {
            None => {
                target.put_string(flexible, "CommittedMetadata", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "CommittedMetadata", Some(&value))?;
            }
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(2..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 8;
        let mut reader = Reader::new(source, flexible);
        let partition_index = reader.i32("PartitionIndex")?;
        let committed_offset = reader.i64("CommittedOffset")?;
        let committed_leader_epoch = if version >= 6 {
            reader.i32("CommittedLeaderEpoch")?
        } else {
            -1
        };
        let committed_metadata = reader.string("CommittedMetadata")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch,
            committed_metadata,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetCommitRequestPartition, 2, 10);

impl HeaderVersion for OffsetCommitRequest {
    fn header_version(version: i16) -> i16 {
        if version >= 8 { 2 } else { 1 }
    }
}

impl Request for OffsetCommitRequest {
    const KEY: i16 = 8;
    type Response = kafka_protocol::messages::OffsetCommitResponse;
}
