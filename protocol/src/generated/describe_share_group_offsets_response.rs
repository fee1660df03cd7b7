// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! DescribeShareGroupOffsetsResponse, versions 0-1.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, StrBytes};
use uuid::Uuid;

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsResponse {
    /// Versions 0+.
    pub throttle_time_ms: i32,
    /// Versions 0+.
    pub groups: Vec<DescribeShareGroupOffsetsResponseGroup>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsResponse {
    fn default() -> Self {
        DescribeShareGroupOffsetsResponse {
            throttle_time_ms: 0,
            groups: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsResponse {
    pub fn with_throttle_time_ms(mut self, value: i32) -> Self {
        self.throttle_time_ms = value;
        self
    }
    pub fn with_groups(mut self, value: Vec<DescribeShareGroupOffsetsResponseGroup>) -> Self {
        self.groups = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeShareGroupOffsetsResponse {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i32(self.throttle_time_ms);
        target.put_length(flexible, "Groups", Some(self.groups.len()))?;
        for element in &self.groups {
            element.write(target, version)?;
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(0..=1).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let throttle_time_ms = reader.i32("ThrottleTimeMs")?;
        let groups = {
            let elements = match reader.count("Groups", 5)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeShareGroupOffsetsResponseGroup::read(
                            reader.source(),
                            version,
                        )?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Groups" })?
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeShareGroupOffsetsResponse {
            throttle_time_ms,
            groups,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsResponse, 0, 1);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsResponseGroup {
    /// Versions 0+.
    pub group_id: GroupId,
    /// Versions 0+.
    pub topics: Vec<DescribeShareGroupOffsetsResponseTopic>,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+, null in 0+.
    pub error_message: Option<StrBytes>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsResponseGroup {
    fn default() -> Self {
        DescribeShareGroupOffsetsResponseGroup {
            group_id: Default::default(),
            topics: Default::default(),
            error_code: 0,
            error_message: None,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsResponseGroup {
    pub fn with_group_id(mut self, value: GroupId) -> Self {
        self.group_id = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<DescribeShareGroupOffsetsResponseTopic>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_error_code(mut self, value: i16) -> Self {
        self.error_code = value;
        self
    }
    pub fn with_error_message(mut self, value: Option<StrBytes>) -> Self {
        self.error_message = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeShareGroupOffsetsResponseGroup {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_string(flexible, "GroupId", Some(&self.group_id.0))?;
        target.put_length(flexible, "Topics", Some(self.topics.len()))?;
        for element in &self.topics {
            element.write(target, version)?;
        }
        target.put_i16(self.error_code);
        match &self.error_message {
            None => {
                target.put_string(flexible, "ErrorMessage", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "ErrorMessage", Some(&value))?;
            }
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(0..=1).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let group_id = GroupId(
            reader
                .string("GroupId")?
                .ok_or(ProtocolError::Null { field: "GroupId" })?,
        );
        let topics = {
            let elements = match reader.count("Topics", 18)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeShareGroupOffsetsResponseTopic::read(
                            reader.source(),
                            version,
                        )?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Topics" })?
        };
        let error_code = reader.i16("ErrorCode")?;
        let error_message = reader.string("ErrorMessage")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeShareGroupOffsetsResponseGroup {
            group_id,
            topics,
            error_code,
            error_message,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsResponseGroup, 0, 1);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsResponseTopic {
    /// Versions 0+.
    pub topic_name: TopicName,
    /// Versions 0+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<DescribeShareGroupOffsetsResponsePartition>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsResponseTopic {
    fn default() -> Self {
        DescribeShareGroupOffsetsResponseTopic {
            topic_name: Default::default(),
            topic_id: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsResponseTopic {
    pub fn with_topic_name(mut self, value: TopicName) -> Self {
        self.topic_name = value;
        self
    }
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(
        mut self,
        value: Vec<DescribeShareGroupOffsetsResponsePartition>,
    ) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeShareGroupOffsetsResponseTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_string(flexible, "TopicName", Some(&self.topic_name.0))?;
        target.put_uuid(self.topic_id);
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            element.write(target, version)?;
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(0..=1).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let topic_name = TopicName(
            reader
                .string("TopicName")?
                .ok_or(ProtocolError::Null { field: "TopicName" })?,
        );
        let topic_id = reader.uuid("TopicId")?;
        let partitions = {
            let elements = match reader.count("Partitions", 19)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeShareGroupOffsetsResponsePartition::read(
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
        Ok(DescribeShareGroupOffsetsResponseTopic {
            topic_name,
            topic_id,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsResponseTopic, 0, 1);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsResponsePartition {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub start_offset: i64,
    /// Versions 0+.
    pub leader_epoch: i32,
    /// Versions 1+.
    pub lag: i64,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+, null in 0+.
    pub error_message: Option<StrBytes>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsResponsePartition {
    fn default() -> Self {
        DescribeShareGroupOffsetsResponsePartition {
            partition_index: 0,
            start_offset: 0,
            leader_epoch: 0,
            lag: -1,
            error_code: 0,
            error_message: None,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsResponsePartition {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_start_offset(mut self, value: i64) -> Self {
        self.start_offset = value;
        self
    }
    pub fn with_leader_epoch(mut self, value: i32) -> Self {
        self.leader_epoch = value;
        self
    }
    pub fn with_lag(mut self, value: i64) -> Self {
        self.lag = value;
        self
    }
    pub fn with_error_code(mut self, value: i16) -> Self {
        self.error_code = value;
        self
    }
    pub fn with_error_message(mut self, value: Option<StrBytes>) -> Self {
        self.error_message = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeShareGroupOffsetsResponsePartition {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i32(self.partition_index);
        target.put_i64(self.start_offset);
        target.put_i32(self.leader_epoch);
        if version >= 1 {
            target.put_i64(self.lag);
        }
        target.put_i16(self.error_code);
        match &self.error_message {
            None => {
                target.put_string(flexible, "ErrorMessage", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "ErrorMessage", Some(&value))?;
            }
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(0..=1).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let partition_index = reader.i32("PartitionIndex")?;
        let start_offset = reader.i64("StartOffset")?;
        let leader_epoch = reader.i32("LeaderEpoch")?;
        let lag = if version >= 1 { reader.i64("Lag")? } else { -1 };
        let error_code = reader.i16("ErrorCode")?;
        let error_message = reader.string("ErrorMessage")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeShareGroupOffsetsResponsePartition {
            partition_index,
            start_offset,
            leader_epoch,
            lag,
            error_code,
            error_message,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsResponsePartition, 0, 1);

impl HeaderVersion for DescribeShareGroupOffsetsResponse {
    fn header_version(_version: i16) -> i16 {
        1
    }
}
