// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! DescribeShareGroupOffsetsRequest, versions 0-1.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, Request};

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsRequest {
    /// Versions 0+.
    pub groups: Vec<DescribeShareGroupOffsetsRequestGroup>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsRequest {
    fn default() -> Self {
        DescribeShareGroupOffsetsRequest {
            groups: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsRequest {
    pub fn with_groups(mut self, value: Vec<DescribeShareGroupOffsetsRequestGroup>) -> Self {
        self.groups = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeShareGroupOffsetsRequest {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
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
        let groups = {
            let elements = match reader.count("Groups", 2)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(DescribeShareGroupOffsetsRequestGroup::read(
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
        Ok(DescribeShareGroupOffsetsRequest {
            groups,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsRequest, 0, 1);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsRequestGroup {
    /// Versions 0+.
    pub group_id: GroupId,
    /// Versions 0+, null in 0+.
    pub topics: Option<Vec<DescribeShareGroupOffsetsRequestTopic>>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsRequestGroup {
    fn default() -> Self {
        DescribeShareGroupOffsetsRequestGroup {
            group_id: Default::default(),
            topics: Some(Default::default()),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsRequestGroup {
    pub fn with_group_id(mut self, value: GroupId) -> Self {
        self.group_id = value;
        self
    }
    pub fn with_topics(
        mut self,
        value: Option<Vec<DescribeShareGroupOffsetsRequestTopic>>,
    ) -> Self {
        self.topics = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for DescribeShareGroupOffsetsRequestGroup {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_string(flexible, "GroupId", Some(&self.group_id.0))?;
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
        let topics = match reader.count("Topics", 2)? {
            None => None,
            Some(count) => {
                let mut elements = Vec::with_capacity(count);
                for _ in 0..count {
                    elements.push(DescribeShareGroupOffsetsRequestTopic::read(
                        reader.source(),
                        version,
                    )?);
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
        Ok(DescribeShareGroupOffsetsRequestGroup {
            group_id,
            topics,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsRequestGroup, 0, 1);

#[derive(Debug, Clone, PartialEq)]
pub struct DescribeShareGroupOffsetsRequestTopic {
    /// Versions 0+.
    pub topic_name: TopicName,
    /// Versions 0+.
    pub partitions: Vec<i32>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for DescribeShareGroupOffsetsRequestTopic {
    fn default() -> Self {
        DescribeShareGroupOffsetsRequestTopic {
            topic_name: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl DescribeShareGroupOffsetsRequestTopic {
    pub fn with_topic_name(mut self, value: TopicName) -> Self {
        self.topic_name = value;
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

impl Wire for DescribeShareGroupOffsetsRequestTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(0..=1).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_string(flexible, "TopicName", Some(&self.topic_name.0))?;
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            target.put_i32(*element);
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
        Ok(DescribeShareGroupOffsetsRequestTopic {
            topic_name,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(DescribeShareGroupOffsetsRequestTopic, 0, 1);

impl HeaderVersion for DescribeShareGroupOffsetsRequest {
    fn header_version(_version: i16) -> i16 {
        2
    }
}

impl Request for DescribeShareGroupOffsetsRequest {
    const KEY: i16 = 90;
    type Response = super::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse;
}
