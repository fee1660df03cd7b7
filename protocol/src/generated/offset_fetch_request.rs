// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! OffsetFetchRequest, versions 1-10.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, Request, StrBytes};
use uuid::Uuid;

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, is_default, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchRequest {
    /// Versions 0-7.
    pub group_id: GroupId,
    /// Versions 0-7, null in 2-7.
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// Versions 8+.
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// Versions 7+.
    pub require_stable: bool,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetFetchRequest {
    fn default() -> Self {
        OffsetFetchRequest {
            group_id: Default::default(),
            topics: Some(Default::default()),
            groups: Default::default(),
            require_stable: false,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetFetchRequest {
    pub fn with_group_id(mut self, value: GroupId) -> Self {
        self.group_id = value;
        self
    }
    pub fn with_topics(mut self, value: Option<Vec<OffsetFetchRequestTopic>>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_groups(mut self, value: Vec<OffsetFetchRequestGroup>) -> Self {
        self.groups = value;
        self
    }
    pub fn with_require_stable(mut self, value: bool) -> Self {
        self.require_stable = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetFetchRequest {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        if version <= 7 {
            target.put_string(flexible, "GroupId", Some(&self.group_id.0))?;
        } else if !is_default(&self.group_id) {
            return Err(EncodeError::NotInVersion("GroupId"));
        }
        if version <= 7 {
            match &self.topics {
                None => {
                    if !((2..=7).contains(&version)) {
                        return Err(EncodeError::Null("Topics"));
                    }
                    target.put_length(flexible, "Topics", None)?;
                }
                Some(value) => {
                    target.put_length(flexible, "Topics", Some(value.len()))?;
                    for element in value {
                        element.write(target, version)?;
                    }
                }
            }
        } else if self.topics.as_ref().is_none_or(|value| !is_default(value)) {
            return Err(EncodeError::NotInVersion("Topics"));
        }
        if version >= 8 {
            target.put_length(flexible, "Groups", Some(self.groups.len()))?;
            for element in &self.groups {
                element.write(target, version)?;
            }
        } else if !is_default(&self.groups) {
            return Err(EncodeError::NotInVersion("Groups"));
        }
        if version >= 7 {
            target.put_bool(self.require_stable);
        } else if self.require_stable {
            return Err(EncodeError::NotInVersion("RequireStable"));
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let group_id = if version <= 7 {
            GroupId(
                reader
                    .string("GroupId")?
                    .ok_or(ProtocolError::Null { field: "GroupId" })?,
            )
        } else {
            Default::default()
        };
        let topics = if version <= 7 {
            match reader.count("Topics", 1)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(OffsetFetchRequestTopic::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            }
        } else {
            Some(Default::default())
        };
        let groups = if version >= 8 {
            {
                let elements = match reader.count("Groups", 1)? {
                    None => None,
                    Some(count) => {
                        let mut elements = Vec::with_capacity(count);
                        for _ in 0..count {
                            elements.push(OffsetFetchRequestGroup::read(reader.source(), version)?);
                        }
                        Some(elements)
                    }
                };
                elements.ok_or(ProtocolError::Null { field: "Groups" })?
            }
        } else {
            Default::default()
        };
        let require_stable = if version >= 7 {
            reader.bool("RequireStable")?
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
        Ok(OffsetFetchRequest {
            group_id,
            topics,
            groups,
            require_stable,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetFetchRequest, 1, 10);

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchRequestTopic {
    /// Versions 0-7.
    pub name: TopicName,
    /// Versions 0-7.
    pub partition_indexes: Vec<i32>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetFetchRequestTopic {
    fn default() -> Self {
        OffsetFetchRequestTopic {
            name: Default::default(),
            partition_indexes: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetFetchRequestTopic {
    pub fn with_name(mut self, value: TopicName) -> Self {
        self.name = value;
        self
    }
    pub fn with_partition_indexes(mut self, value: Vec<i32>) -> Self {
        self.partition_indexes = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetFetchRequestTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        if version <= 7 {
            target.put_string(flexible, "Name", Some(&self.name.0))?;
        } else if !is_default(&self.name) {
            return Err(EncodeError::NotInVersion("Name"));
        }
        if version <= 7 {
            target.put_length(
                flexible,
                "PartitionIndexes",
                Some(self.partition_indexes.len()),
            )?;
            for element in &self.partition_indexes {
                target.put_i32(*element);
            }
        } else if !is_default(&self.partition_indexes) {
            return Err(EncodeError::NotInVersion("PartitionIndexes"));
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let name = if version <= 7 {
            TopicName(
                reader
                    .string("Name")?
                    .ok_or(ProtocolError::Null { field: "Name" })?,
            )
        } else {
            Default::default()
        };
        let partition_indexes = if version <= 7 {
            {
                let elements = match reader.count("PartitionIndexes", 4)? {
                    None => None,
                    Some(count) => {
                        let mut elements = Vec::with_capacity(count);
                        for _ in 0..count {
                            elements.push(reader.i32("PartitionIndexes")?);
                        }
                        Some(elements)
                    }
                };
                elements.ok_or(ProtocolError::Null {
                    field: "PartitionIndexes",
                })?
            }
        } else {
            Default::default()
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(OffsetFetchRequestTopic {
            name,
            partition_indexes,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetFetchRequestTopic, 1, 10);

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchRequestGroup {
    /// Versions 8+.
    pub group_id: GroupId,
    /// Versions 9+, null in 9+.
    pub member_id: Option<StrBytes>,
    /// Versions 9+.
    pub member_epoch: i32,
    /// Versions 8+, null in 8+.
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetFetchRequestGroup {
    fn default() -> Self {
        OffsetFetchRequestGroup {
            group_id: Default::default(),
            member_id: None,
            member_epoch: -1,
            topics: Some(Default::default()),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetFetchRequestGroup {
    pub fn with_group_id(mut self, value: GroupId) -> Self {
        self.group_id = value;
        self
    }
    pub fn with_member_id(mut self, value: Option<StrBytes>) -> Self {
        self.member_id = value;
        self
    }
    pub fn with_member_epoch(mut self, value: i32) -> Self {
        self.member_epoch = value;
        self
    }
    pub fn with_topics(mut self, value: Option<Vec<OffsetFetchRequestTopics>>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetFetchRequestGroup {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        if version >= 8 {
            target.put_string(flexible, "GroupId", Some(&self.group_id.0))?;
        } else if !is_default(&self.group_id) {
            return Err(EncodeError::NotInVersion("GroupId"));
        }
        if version >= 9 {
            match &self.member_id {
                None => {
                    target.put_string(flexible, "MemberId", None)?;
                }
                Some(value) => {
                    target.put_string(flexible, "MemberId", Some(&value))?;
                }
            }
        }
        if version >= 9 {
            target.put_i32(self.member_epoch);
        }
        if version >= 8 {
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
        } else if self.topics.as_ref().is_none_or(|value| !is_default(value)) {
            return Err(EncodeError::NotInVersion("Topics"));
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let group_id = if version >= 8 {
            GroupId(
                reader
                    .string("GroupId")?
                    .ok_or(ProtocolError::Null { field: "GroupId" })?,
            )
        } else {
            Default::default()
        };
        let member_id = if version >= 9 {
            reader.string("MemberId")?
        } else {
            None
        };
        let member_epoch = if version >= 9 {
            reader.i32("MemberEpoch")?
        } else {
            -1
        };
        let topics = if version >= 8 {
            match reader.count("Topics", 1)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(OffsetFetchRequestTopics::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            }
        } else {
            Some(Default::default())
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(OffsetFetchRequestGroup {
            group_id,
            member_id,
            member_epoch,
            topics,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetFetchRequestGroup, 1, 10);

#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchRequestTopics {
    /// Versions 8-9.
    pub name: TopicName,
    /// Versions 10+.
    pub topic_id: Uuid,
    /// Versions 8+.
    pub partition_indexes: Vec<i32>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for OffsetFetchRequestTopics {
    fn default() -> Self {
        OffsetFetchRequestTopics {
            name: Default::default(),
            topic_id: Default::default(),
            partition_indexes: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl OffsetFetchRequestTopics {
    pub fn with_name(mut self, value: TopicName) -> Self {
        self.name = value;
        self
    }
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partition_indexes(mut self, value: Vec<i32>) -> Self {
        self.partition_indexes = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for OffsetFetchRequestTopics {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=10).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 6;
        if (8..=9).contains(&version) {
            target.put_string(flexible, "Name", Some(&self.name.0))?;
        }
        if version >= 10 {
            target.put_uuid(self.topic_id);
        }
        if version >= 8 {
            target.put_length(
                flexible,
                "PartitionIndexes",
                Some(self.partition_indexes.len()),
            )?;
            for element in &self.partition_indexes {
                target.put_i32(*element);
            }
        } else if !is_default(&self.partition_indexes) {
            return Err(EncodeError::NotInVersion("PartitionIndexes"));
        }
        if flexible {
            target.put_unsigned(self.unknown_tagged_fields.len() as u32);
            target.put_unknown_tags(&self.unknown_tagged_fields);
        }
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=10).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = version >= 6;
        let mut reader = Reader::new(source, flexible);
        let name = if (8..=9).contains(&version) {
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
        let partition_indexes = if version >= 8 {
            {
                let elements = match reader.count("PartitionIndexes", 4)? {
                    None => None,
                    Some(count) => {
                        let mut elements = Vec::with_capacity(count);
                        for _ in 0..count {
                            elements.push(reader.i32("PartitionIndexes")?);
                        }
                        Some(elements)
                    }
                };
                elements.ok_or(ProtocolError::Null {
                    field: "PartitionIndexes",
                })?
            }
        } else {
            Default::default()
        };
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(OffsetFetchRequestTopics {
            name,
            topic_id,
            partition_indexes,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(OffsetFetchRequestTopics, 1, 10);

impl HeaderVersion for OffsetFetchRequest {
    fn header_version(version: i16) -> i16 {
        if version >= 6 { 2 } else { 1 }
    }
}

impl Request for OffsetFetchRequest {
    const KEY: i16 = 9;
    type Response = kafka_protocol::messages::OffsetFetchResponse;
}
