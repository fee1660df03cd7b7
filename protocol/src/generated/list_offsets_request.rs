// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! ListOffsetsRequest, versions 1-11.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, Request};

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsRequest {
    /// Versions 0+.
    pub replica_id: BrokerId,
    /// Versions 2+.
    pub isolation_level: i8,
    /// Versions 0+.
    pub topics: Vec<ListOffsetsTopic>,
    /// Versions 10+.
    pub timeout_ms: i32,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ListOffsetsRequest {
    fn default() -> Self {
        ListOffsetsRequest {
            replica_id: BrokerId(0),
            isolation_level: 0,
            topics: Default::default(),
            timeout_ms: 0,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ListOffsetsRequest {
    pub fn with_replica_id(mut self, value: BrokerId) -> Self {
        self.replica_id = value;
        self
    }
    pub fn with_isolation_level(mut self, value: i8) -> Self {
        self.isolation_level = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<ListOffsetsTopic>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_timeout_ms(mut self, value: i32) -> Self {
        self.timeout_ms = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ListOffsetsRequest {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=11).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        target.put_i32(self.replica_id.0);
        if version >= 2 {
            target.put_i8(self.isolation_level);
        } else if self.isolation_level != 0 {
            return Err(EncodeError::NotInVersion("IsolationLevel"));
        }
        target.put_length(flexible, "Topics", Some(self.topics.len()))?;
        for element in &self.topics {
            element.write(target, version)?;
        }
        if version >= 10 {
            target.put_i32(self.timeout_ms);
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
        let replica_id = BrokerId(reader.i32("ReplicaId")?);
        let isolation_level = if version >= 2 {
            reader.i8("IsolationLevel")?
        } else {
            0
        };
        let topics = {
            let elements = match reader.count("Topics", 2)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(ListOffsetsTopic::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Topics" })?
        };
        let timeout_ms = if version >= 10 {
            reader.i32("TimeoutMs")?
        } else {
            0
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(ListOffsetsRequest {
            replica_id,
            isolation_level,
            topics,
            timeout_ms,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ListOffsetsRequest, 1, 11);

#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsTopic {
    /// Versions 0+.
    pub name: TopicName,
    /// Versions 0+.
    pub partitions: Vec<ListOffsetsPartition>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ListOffsetsTopic {
    fn default() -> Self {
        ListOffsetsTopic {
            name: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ListOffsetsTopic {
    pub fn with_name(mut self, value: TopicName) -> Self {
        self.name = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<ListOffsetsPartition>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ListOffsetsTopic {
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
            let elements = match reader.count("Partitions", 12)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(ListOffsetsPartition::read(reader.source(), version)?);
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
        Ok(ListOffsetsTopic {
            name,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ListOffsetsTopic, 1, 11);

#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsPartition {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 4+.
    pub current_leader_epoch: i32,
    /// Versions 0+.
    pub timestamp: i64,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ListOffsetsPartition {
    fn default() -> Self {
        ListOffsetsPartition {
            partition_index: 0,
            current_leader_epoch: -1,
            timestamp: 0,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ListOffsetsPartition {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_current_leader_epoch(mut self, value: i32) -> Self {
        self.current_leader_epoch = value;
        self
    }
    pub fn with_timestamp(mut self, value: i64) -> Self {
        self.timestamp = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ListOffsetsPartition {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=11).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        target.put_i32(self.partition_index);
        if version >= 4 {
            target.put_i32(self.current_leader_epoch);
        }
        target.put_i64(self.timestamp);
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
        let current_leader_epoch = if version >= 4 {
            reader.i32("CurrentLeaderEpoch")?
        } else {
            -1
        };
        let timestamp = reader.i64("Timestamp")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(ListOffsetsPartition {
            partition_index,
            current_leader_epoch,
            timestamp,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ListOffsetsPartition, 1, 11);

impl HeaderVersion for ListOffsetsRequest {
    fn header_version(version: i16) -> i16 {
        if version >= 6 { 2 } else { 1 }
    }
}

impl Request for ListOffsetsRequest {
    const KEY: i16 = 2;
    type Response = super::list_offsets_response::ListOffsetsResponse;
}
