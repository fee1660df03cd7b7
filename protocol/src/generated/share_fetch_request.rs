// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! ShareFetchRequest, versions 1-2.
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
pub struct ShareFetchRequest {
    /// Versions 0+, null in 0+.
    pub group_id: Option<GroupId>,
    /// Versions 0+, null in 0+.
    pub member_id: Option<StrBytes>,
    /// Versions 0+.
    pub share_session_epoch: i32,
    /// Versions 0+.
    pub max_wait_ms: i32,
    /// Versions 0+.
    pub min_bytes: i32,
    /// Versions 0+.
    pub max_bytes: i32,
    /// Versions 1+.
    pub max_records: i32,
    /// Versions 1+.
    pub batch_size: i32,
    /// Versions 2+.
    pub share_acquire_mode: i8,
    /// Versions 2+.
    pub is_renew_ack: bool,
    /// Versions 0+.
    pub topics: Vec<FetchTopic>,
    /// Versions 0+.
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ShareFetchRequest {
    fn default() -> Self {
        ShareFetchRequest {
            group_id: None,
            member_id: Some(Default::default()),
            share_session_epoch: 0,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 2147483647,
            max_records: 0,
            batch_size: 0,
            share_acquire_mode: 0,
            is_renew_ack: false,
            topics: Default::default(),
            forgotten_topics_data: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ShareFetchRequest {
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
    pub fn with_max_wait_ms(mut self, value: i32) -> Self {
        self.max_wait_ms = value;
        self
    }
    pub fn with_min_bytes(mut self, value: i32) -> Self {
        self.min_bytes = value;
        self
    }
    pub fn with_max_bytes(mut self, value: i32) -> Self {
        self.max_bytes = value;
        self
    }
    pub fn with_max_records(mut self, value: i32) -> Self {
        self.max_records = value;
        self
    }
    pub fn with_batch_size(mut self, value: i32) -> Self {
        self.batch_size = value;
        self
    }
    pub fn with_share_acquire_mode(mut self, value: i8) -> Self {
        self.share_acquire_mode = value;
        self
    }
    pub fn with_is_renew_ack(mut self, value: bool) -> Self {
        self.is_renew_ack = value;
        self
    }
    pub fn with_topics(mut self, value: Vec<FetchTopic>) -> Self {
        self.topics = value;
        self
    }
    pub fn with_forgotten_topics_data(mut self, value: Vec<ForgottenTopic>) -> Self {
        self.forgotten_topics_data = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ShareFetchRequest {
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
        target.put_i32(self.max_wait_ms);
        target.put_i32(self.min_bytes);
        target.put_i32(self.max_bytes);
        target.put_i32(self.max_records);
        target.put_i32(self.batch_size);
        if version >= 2 {
            target.put_i8(self.share_acquire_mode);
        }
        if version >= 2 {
            target.put_bool(self.is_renew_ack);
        } else if self.is_renew_ack {
            return Err(EncodeError::NotInVersion("IsRenewAck"));
        }
        target.put_length(flexible, "Topics", Some(self.topics.len()))?;
        for element in &self.topics {
            element.write(target, version)?;
        }
        target.put_length(
            flexible,
            "ForgottenTopicsData",
            Some(self.forgotten_topics_data.len()),
        )?;
        for element in &self.forgotten_topics_data {
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
        let max_wait_ms = reader.i32("MaxWaitMs")?;
        let min_bytes = reader.i32("MinBytes")?;
        let max_bytes = reader.i32("MaxBytes")?;
        let max_records = reader.i32("MaxRecords")?;
        let batch_size = reader.i32("BatchSize")?;
        let share_acquire_mode = if version >= 2 {
            reader.i8("ShareAcquireMode")?
        } else {
            0
        };
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
                        elements.push(FetchTopic::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Topics" })?
        };
        let forgotten_topics_data = {
            let elements = match reader.count("ForgottenTopicsData", 17)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(ForgottenTopic::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null {
                field: "ForgottenTopicsData",
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
        Ok(ShareFetchRequest {
            group_id,
            member_id,
            share_session_epoch,
            max_wait_ms,
            min_bytes,
            max_bytes,
            max_records,
            batch_size,
            share_acquire_mode,
            is_renew_ack,
            topics,
            forgotten_topics_data,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ShareFetchRequest, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct FetchTopic {
    /// Versions 0+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<FetchPartition>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for FetchTopic {
    fn default() -> Self {
        FetchTopic {
            topic_id: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl FetchTopic {
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<FetchPartition>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for FetchTopic {
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
                        elements.push(FetchPartition::read(reader.source(), version)?);
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
        Ok(FetchTopic {
            topic_id,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(FetchTopic, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct FetchPartition {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0.
    pub partition_max_bytes: i32,
    /// Versions 0+.
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for FetchPartition {
    fn default() -> Self {
        FetchPartition {
            partition_index: 0,
            partition_max_bytes: 0,
            acknowledgement_batches: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl FetchPartition {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
        self
    }
    pub fn with_partition_max_bytes(mut self, value: i32) -> Self {
        self.partition_max_bytes = value;
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

impl Wire for FetchPartition {
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
        let partition_max_bytes = 0;
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
        Ok(FetchPartition {
            partition_index,
            partition_max_bytes,
            acknowledgement_batches,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(FetchPartition, 1, 2);

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

#[derive(Debug, Clone, PartialEq)]
pub struct ForgottenTopic {
    /// Versions 0+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<i32>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ForgottenTopic {
    fn default() -> Self {
        ForgottenTopic {
            topic_id: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ForgottenTopic {
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
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

impl Wire for ForgottenTopic {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_uuid(self.topic_id);
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            target.put_i32(*element);
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
        Ok(ForgottenTopic {
            topic_id,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ForgottenTopic, 1, 2);

impl HeaderVersion for ShareFetchRequest {
    fn header_version(_version: i16) -> i16 {
        2
    }
}

impl Request for ShareFetchRequest {
    const KEY: i16 = 78;
    type Response = kafka_protocol::messages::ShareFetchResponse;
}
