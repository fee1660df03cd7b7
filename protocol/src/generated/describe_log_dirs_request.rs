// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! DescribeLogDirsRequest, versions 1-5.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, Request};

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeLogDirsRequest {
    /// Versions 0+, null in 0+.
    pub topics: Option<Vec<DescribableLogDirTopic>>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeLogDirsRequest {
    fn default() -> Self {
        DescribeLogDirsRequest {
            topics: Some(Default::default()),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeLogDirsRequest {
    pub fn with_topics(mut self, value: Option<Vec<DescribableLogDirTopic>>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeLogDirsRequest {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=5).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 2;
        match &self.topics {
            None => {
                target.put_length(flexible, "Topics", None)?;
            }
            Some(value) => {
                target.put_length(flexible, "Topics", Some(value.len()))?;
                for element in value {
                    element.write(target, version)?;
                }
            }
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
        let topics = match reader.count("Topics", 2)? {
            None => None,
            Some(count) => {
                let mut elements = Vec::with_capacity(count);
                for _ in 0..count {
                    elements.push(DescribableLogDirTopic::read(reader.source(), version)?);
                }
                Some(elements)
            }
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(DescribeLogDirsRequest {
            topics,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeLogDirsRequest, 1, 5);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribableLogDirTopic {
    /// Versions 0+.
    pub topic: TopicName,
    /// Versions 0+.
    pub partitions: Vec<i32>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribableLogDirTopic {
    fn default() -> Self {
        DescribableLogDirTopic {
            topic: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribableLogDirTopic {
    pub fn with_topic(mut self, value: TopicName) -> Self {
        self.topic = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<i32>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribableLogDirTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=5).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 2;
        target.put_string(flexible, "Topic", Some(&self.topic.0))?;
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            target.put_i32(*element);
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
        let topic = TopicName(
            reader
                .string("Topic")?
                .ok_or(ProtocolError::Null { field: "Topic" })?,
        );
        let partitions = {
            let elements = match reader.count("Partitions", 4)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(reader.i32("Partitions")?);
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
        Ok(DescribableLogDirTopic {
            topic,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribableLogDirTopic, 1, 5);

impl HeaderVersion for DescribeLogDirsRequest {
    fn header_version(version: i16) -> i16 {
        if version >= 2 { 2 } else { 1 }
    }
}

impl Request for DescribeLogDirsRequest {
    const KEY: i16 = 35;
    type Response = super::describe_log_dirs_response::DescribeLogDirsResponse;
}
