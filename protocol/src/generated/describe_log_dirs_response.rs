// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! DescribeLogDirsResponse, versions 1-5.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, StrBytes};

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeLogDirsResponse {
    /// Versions 0+.
    pub throttle_time_ms: i32,
    /// Versions 3+.
    pub error_code: i16,
    /// Versions 0+.
    pub results: Vec<DescribeLogDirsResult>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeLogDirsResponse {
    fn default() -> Self {
        DescribeLogDirsResponse {
            throttle_time_ms: 0,
            error_code: 0,
            results: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeLogDirsResponse {
    pub fn with_throttle_time_ms(mut self, value: i32) -> Self {
        self.throttle_time_ms = value;
        self
    }
    pub fn with_error_code(mut self, value: i16) -> Self {
        self.error_code = value;
        self
    }
    pub fn with_results(mut self, value: Vec<DescribeLogDirsResult>) -> Self {
        self.results = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeLogDirsResponse {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=5).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 2;
        target.put_i32(self.throttle_time_ms);
        if version >= 3 {
            target.put_i16(self.error_code);
        }
        target.put_length(flexible, "Results", Some(self.results.len()))?;
        for element in &self.results {
            element.write(target, version)?;
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=5).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 2;
        let mut reader = Reader::new(source, flexible);
        let throttle_time_ms = reader.i32("ThrottleTimeMs")?;
        let error_code = if version >= 3 {
            reader.i16("ErrorCode")?
        } else {
            0
        };
        let results = {
            let elements = match reader.count("Results", 4)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeLogDirsResult::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Results" })?
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeLogDirsResponse {
            throttle_time_ms,
            error_code,
            results,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeLogDirsResponse, 1, 5);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeLogDirsResult {
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+.
    pub log_dir: StrBytes,
    /// Versions 0+.
    pub topics: Vec<DescribeLogDirsTopic>,
    /// Versions 4+.
    pub total_bytes: i64,
    /// Versions 4+.
    pub usable_bytes: i64,
    /// Versions 5+.
    pub is_cordoned: bool,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeLogDirsResult {
    fn default() -> Self {
        DescribeLogDirsResult {
            error_code: 0,
            log_dir: Default::default(),
            topics: Default::default(),
            total_bytes: -1,
            usable_bytes: -1,
            is_cordoned: false,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeLogDirsResult {
    pub fn with_error_code(mut self, value: i16) -> Self {
        self.error_code = value;
        self
    }
    pub fn with_log_dir(mut self, value: StrBytes) -> Self {
        self.log_dir = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<DescribeLogDirsTopic>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_total_bytes(mut self, value: i64) -> Self {
        self.total_bytes = value;
        self
    }
    pub fn with_usable_bytes(mut self, value: i64) -> Self {
        self.usable_bytes = value;
        self
    }
    pub fn with_is_cordoned(mut self, value: bool) -> Self {
        self.is_cordoned = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeLogDirsResult {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=5).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 2;
        target.put_i16(self.error_code);
        target.put_string(flexible, "LogDir", Some(&self.log_dir))?;
        target.put_length(flexible, "Topics", Some(self.topics.len()))?;
        for element in &self.topics {
            element.write(target, version)?;
        }
        if version >= 4 {
            target.put_i64(self.total_bytes);
        }
        if version >= 4 {
            target.put_i64(self.usable_bytes);
        }
        if version >= 5 {
            target.put_bool(self.is_cordoned);
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=5).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 2;
        let mut reader = Reader::new(source, flexible);
        let error_code = reader.i16("ErrorCode")?;
        let log_dir = reader
            .string("LogDir")?
            .ok_or(ProtocolError::Null { field: "LogDir" })?;
        let topics = {
            let elements = match reader.count("Topics", 2)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeLogDirsTopic::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Topics" })?
        };
        let total_bytes = if version >= 4 {
            reader.i64("TotalBytes")?
        } else {
            -1
        };
        let usable_bytes = if version >= 4 {
            reader.i64("UsableBytes")?
        } else {
            -1
        };
        let is_cordoned = if version >= 5 {
            reader.bool("IsCordoned")?
        } else {
            false
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeLogDirsResult {
            error_code,
            log_dir,
            topics,
            total_bytes,
            usable_bytes,
            is_cordoned,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeLogDirsResult, 1, 5);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeLogDirsTopic {
    /// Versions 0+.
    pub name: TopicName,
    /// Versions 0+.
    pub partitions: Vec<DescribeLogDirsPartition>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeLogDirsTopic {
    fn default() -> Self {
        DescribeLogDirsTopic {
            name: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeLogDirsTopic {
    pub fn with_name(mut self, value: TopicName) -> Self {
        self.name = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<DescribeLogDirsPartition>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeLogDirsTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=5).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 2;
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
        if !(1..=5).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 2;
        let mut reader = Reader::new(source, flexible);
        let name = TopicName(
            reader
                .string("Name")?
                .ok_or(ProtocolError::Null { field: "Name" })?,
        );
        let partitions = {
            let elements = match reader.count("Partitions", 21)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeLogDirsPartition::read(reader.source(), version)?);
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
        Ok(DescribeLogDirsTopic {
            name,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeLogDirsTopic, 1, 5);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeLogDirsPartition {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub partition_size: i64,
    /// Versions 0+.
    pub offset_lag: i64,
    /// Versions 0+.
    pub is_future_key: bool,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeLogDirsPartition {
    fn default() -> Self {
        DescribeLogDirsPartition {
            partition_index: 0,
            partition_size: 0,
            offset_lag: 0,
            is_future_key: false,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeLogDirsPartition {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_partition_size(mut self, value: i64) -> Self {
        self.partition_size = value;
        self
    }
    pub fn with_offset_lag(mut self, value: i64) -> Self {
        self.offset_lag = value;
        self
    }
    pub fn with_is_future_key(mut self, value: bool) -> Self {
        self.is_future_key = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeLogDirsPartition {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=5).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 2;
        target.put_i32(self.partition_index);
        target.put_i64(self.partition_size);
        target.put_i64(self.offset_lag);
        target.put_bool(self.is_future_key);
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=5).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 2;
        let mut reader = Reader::new(source, flexible);
        let partition_index = reader.i32("PartitionIndex")?;
        let partition_size = reader.i64("PartitionSize")?;
        let offset_lag = reader.i64("OffsetLag")?;
        let is_future_key = reader.bool("IsFutureKey")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeLogDirsPartition {
            partition_index,
            partition_size,
            offset_lag,
            is_future_key,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeLogDirsPartition, 1, 5);

impl HeaderVersion for DescribeLogDirsResponse {
    fn header_version(version: i16) -> i16 {
        if version >= 2 { 1 } else { 0 }
    }
}
