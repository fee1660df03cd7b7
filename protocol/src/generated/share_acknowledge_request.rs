// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! ShareAcknowledgeRequest, versions 1-2.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, Request, StrBytes};
use uuid::Uuid;

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct ShareAcknowledgeRequest {
    /// Versions 0+, null in 0+.
    pub group_id: Option<GroupId>,
    /// Versions 0+, null in 0+.
    pub member_id: Option<StrBytes>,
    /// Versions 0+.
    pub share_session_epoch: i32,
    /// Versions 2+.
    pub is_renew_ack: bool,
    /// Versions 0+.
    pub topics: Vec<AcknowledgeTopic>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ShareAcknowledgeRequest {
    fn default() -> Self {
        ShareAcknowledgeRequest {
            group_id: None,
            member_id: Some(Default::default()),
            share_session_epoch: 0,
            is_renew_ack: false,
            topics: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ShareAcknowledgeRequest {
    pub fn with_group_id(mut self, value: Option<GroupId>) -> Self {
        self.group_id = value;
        self
    }
    pub fn with_member_id(mut self, value: Option<StrBytes>) -> Self {
        self.member_id = value;
        self
    }
    pub fn with_share_session_epoch(mut self, value: i32) -> Self {
        self.share_session_epoch = value;
        self
    }
    pub fn with_is_renew_ack(mut self, value: bool) -> Self {
        self.is_renew_ack = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<AcknowledgeTopic>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ShareAcknowledgeRequest {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        match &self.group_id {
            None => {
                target.put_string(flexible, "GroupId", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "GroupId", Some(&value.0))?;
            }
        }
        match &self.member_id {
            None => {
                target.put_string(flexible, "MemberId", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "MemberId", Some(&value))?;
            }
        }
        target.put_i32(self.share_session_epoch);
        if version >= 2 {
            target.put_bool(self.is_renew_ack);
        } else if self.is_renew_ack {
            return Err(EncodeError::NotInVersion("IsRenewAck"));
        }
        target.put_length(flexible, "Topics", Some(self.topics.len()))?;
        for element in &self.topics {
            element.write(target, version)?;
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=2).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let group_id = reader.string("GroupId")?.map(GroupId);
        let member_id = reader.string("MemberId")?;
        let share_session_epoch = reader.i32("ShareSessionEpoch")?;
        let is_renew_ack = if version >= 2 {
            reader.bool("IsRenewAck")?
        } else {
            false
        };
        let topics = {
            let elements = match reader.count("Topics", 17)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(AcknowledgeTopic::read(reader.source(), version)?);
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
        Ok(ShareAcknowledgeRequest {
            group_id,
            member_id,
            share_session_epoch,
            is_renew_ack,
            topics,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ShareAcknowledgeRequest, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct AcknowledgeTopic {
    /// Versions 0+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<AcknowledgePartition>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for AcknowledgeTopic {
    fn default() -> Self {
        AcknowledgeTopic {
            topic_id: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl AcknowledgeTopic {
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<AcknowledgePartition>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for AcknowledgeTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
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
        if !(1..=2).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let topic_id = reader.uuid("TopicId")?;
        let partitions = {
            let elements = match reader.count("Partitions", 5)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(AcknowledgePartition::read(reader.source(), version)?);
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
        Ok(AcknowledgeTopic {
            topic_id,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(AcknowledgeTopic, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct AcknowledgePartition {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for AcknowledgePartition {
    fn default() -> Self {
        AcknowledgePartition {
            partition_index: 0,
            acknowledgement_batches: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl AcknowledgePartition {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_acknowledgement_batches(mut self, value: Vec<AcknowledgementBatch>) -> Self {
        self.acknowledgement_batches = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for AcknowledgePartition {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i32(self.partition_index);
        target.put_length(
            flexible,
            "AcknowledgementBatches",
            Some(self.acknowledgement_batches.len()),
        )?;
        for element in &self.acknowledgement_batches {
            element.write(target, version)?;
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=2).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let partition_index = reader.i32("PartitionIndex")?;
        let acknowledgement_batches = {
            let elements = match reader.count("AcknowledgementBatches", 17)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(AcknowledgementBatch::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null {
                field: "AcknowledgementBatches",
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
        Ok(AcknowledgePartition {
            partition_index,
            acknowledgement_batches,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(AcknowledgePartition, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct AcknowledgementBatch {
    /// Versions 0+.
    pub first_offset: i64,
    /// Versions 0+.
    pub last_offset: i64,
    /// Versions 0+.
    pub acknowledge_types: Vec<i8>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for AcknowledgementBatch {
    fn default() -> Self {
        AcknowledgementBatch {
            first_offset: 0,
            last_offset: 0,
            acknowledge_types: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl AcknowledgementBatch {
    pub fn with_first_offset(mut self, value: i64) -> Self {
        self.first_offset = value;
        self
    }
    pub fn with_last_offset(mut self, value: i64) -> Self {
        self.last_offset = value;
        self
    }
    pub fn with_acknowledge_types(mut self, value: Vec<i8>) -> Self {
        self.acknowledge_types = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for AcknowledgementBatch {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i64(self.first_offset);
        target.put_i64(self.last_offset);
        target.put_length(
            flexible,
            "AcknowledgeTypes",
            Some(self.acknowledge_types.len()),
        )?;
        for element in &self.acknowledge_types {
            target.put_i8(*element);
        }
        target.put_unsigned(self.unknown_tagged_fields.len() as u32);
        target.put_unknown_tags(&self.unknown_tagged_fields);
        Ok(())
    }

    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError> {
        if !(1..=2).contains(&version) {
            return Err(ProtocolError::NoSuchVersion(version));
        }
        let flexible = true;
        let mut reader = Reader::new(source, flexible);
        let first_offset = reader.i64("FirstOffset")?;
        let last_offset = reader.i64("LastOffset")?;
        let acknowledge_types = {
            let elements = match reader.count("AcknowledgeTypes", 1)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(reader.i8("AcknowledgeTypes")?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null {
                field: "AcknowledgeTypes",
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
        Ok(AcknowledgementBatch {
            first_offset,
            last_offset,
            acknowledge_types,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(AcknowledgementBatch, 1, 2);

impl HeaderVersion for ShareAcknowledgeRequest {
    fn header_version(_version: i16) -> i16 {
        2
    }
}

impl Request for ShareAcknowledgeRequest {
    const KEY: i16 = 79;
    type Response = super::share_acknowledge_response::ShareAcknowledgeResponse;
}
