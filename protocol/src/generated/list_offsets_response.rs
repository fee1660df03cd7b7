// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! ListOffsetsResponse, versions 1-11.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::HeaderVersion;
use kafka_protocol::protocol::buf::ByteBuf;

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsResponse {
    /// Versions 2+.
    pub throttle_time_ms: i32,
    /// Versions 0+.
    pub topics: Vec<ListOffsetsTopicResponse>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ListOffsetsResponse {
    fn default() -> Self {
        ListOffsetsResponse {
            throttle_time_ms: 0,
            topics: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ListOffsetsResponse {
    pub fn with_throttle_time_ms(mut self, value: i32) -> Self {
        self.throttle_time_ms = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<ListOffsetsTopicResponse>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ListOffsetsResponse {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=11).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        if version >= 2 {
            target.put_i32(self.throttle_time_ms);
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
        if !(1..=11).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let throttle_time_ms = if version >= 2 {
            reader.i32("ThrottleTimeMs")?
        } else {
            0
        };
        let topics = {
            let elements = match reader.count("Topics", 2)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(ListOffsetsTopicResponse::read(reader.source(), version)?);
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
        Ok(ListOffsetsResponse {
            throttle_time_ms,
            topics,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ListOffsetsResponse, 1, 11);

#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsTopicResponse {
    /// Versions 0+.
    pub name: TopicName,
    /// Versions 0+.
    pub partitions: Vec<ListOffsetsPartitionResponse>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ListOffsetsTopicResponse {
    fn default() -> Self {
        ListOffsetsTopicResponse {
            name: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ListOffsetsTopicResponse {
    pub fn with_name(mut self, value: TopicName) -> Self {
        self.name = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<ListOffsetsPartitionResponse>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ListOffsetsTopicResponse {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=11).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        target.put_string(flexible, "Name", Some(&self.name.0))?;
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
        if !(1..=11).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let name = TopicName(
            reader
                .string("Name")?
                .ok_or(ProtocolError::Null { field: "Name" })?,
        );
        let partitions = {
            let elements = match reader.count("Partitions", 22)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(ListOffsetsPartitionResponse::read(
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
        Ok(ListOffsetsTopicResponse {
            name,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ListOffsetsTopicResponse, 1, 11);

#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 1+.
    pub timestamp: i64,
    /// Versions 1+.
    pub offset: i64,
    /// Versions 4+.
    pub leader_epoch: i32,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ListOffsetsPartitionResponse {
    fn default() -> Self {
        ListOffsetsPartitionResponse {
            partition_index: 0,
            error_code: 0,
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ListOffsetsPartitionResponse {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_error_code(mut self, value: i16) -> Self {
        self.error_code = value;
        self
    }
    pub fn with_timestamp(mut self, value: i64) -> Self {
        self.timestamp = value;
        self
    }
    pub fn with_offset(mut self, value: i64) -> Self {
        self.offset = value;
        self
    }
    pub fn with_leader_epoch(mut self, value: i32) -> Self {
        self.leader_epoch = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ListOffsetsPartitionResponse {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=11).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        target.put_i32(self.partition_index);
        target.put_i16(self.error_code);
        target.put_i64(self.timestamp);
        target.put_i64(self.offset);
        if version >= 4 {
            target.put_i32(self.leader_epoch);
        } else if self.leader_epoch != -1 {
            return Err(EncodeError::NotInVersion("LeaderEpoch"));
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=11).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let partition_index = reader.i32("PartitionIndex")?;
        let error_code = reader.i16("ErrorCode")?;
        let timestamp = reader.i64("Timestamp")?;
        let offset = reader.i64("Offset")?;
        let leader_epoch = if version >= 4 {
            reader.i32("LeaderEpoch")?
        } else {
            -1
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(ListOffsetsPartitionResponse {
            partition_index,
            error_code,
            timestamp,
            offset,
            leader_epoch,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ListOffsetsPartitionResponse, 1, 11);

impl HeaderVersion for ListOffsetsResponse {
    fn header_version(version: i16) -> i16 {
        if version >= 6 { 1 } else { 0 }
    }
}
