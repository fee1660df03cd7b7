// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! ShareAcknowledgeResponse, versions 1-2.
//!
//! Invariant: as in the specs of kafka-clients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{HeaderVersion, StrBytes};
use uuid::Uuid;

use crate::error::ProtocolError;
use crate::wire::{EncodeError, Reader, Wire, Writer, wire_struct};

const TAGGED_FIELDS: &str = "tagged fields";

#[derive(Debug, Clone, PartialEq)]
pub struct ShareAcknowledgeResponse {
    /// Versions 0+.
    pub throttle_time_ms: i32,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+, null in 0+.
    pub error_message: Option<StrBytes>,
    /// Versions 2+.
    pub acquisition_lock_timeout_ms: i32,
    /// Versions 0+.
    pub responses: Vec<ShareAcknowledgeTopicResponse>,
    /// Versions 0+.
    pub node_endpoints: Vec<NodeEndpoint>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ShareAcknowledgeResponse {
    fn default() -> Self {
        ShareAcknowledgeResponse {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: None,
            acquisition_lock_timeout_ms: 0,
            responses: Default::default(),
            node_endpoints: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ShareAcknowledgeResponse {
    pub fn with_throttle_time_ms(mut self, value: i32) -> Self {
        self.throttle_time_ms = value;
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
    pub fn with_acquisition_lock_timeout_ms(mut self, value: i32) -> Self {
        self.acquisition_lock_timeout_ms = value;
        self
    }
    pub fn with_responses(mut self, value: Vec<ShareAcknowledgeTopicResponse>) -> Self {
        self.responses = value;
        self
    }
    pub fn with_node_endpoints(mut self, value: Vec<NodeEndpoint>) -> Self {
        self.node_endpoints = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ShareAcknowledgeResponse {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i32(self.throttle_time_ms);
        target.put_i16(self.error_code);
        match &self.error_message {
            None => {
                target.put_string(flexible, "ErrorMessage", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "ErrorMessage", Some(&value))?;
            }
        }
        if version >= 2 {
            target.put_i32(self.acquisition_lock_timeout_ms);
        }
        target.put_length(flexible, "Responses", Some(self.responses.len()))?;
        for element in &self.responses {
            element.write(target, version)?;
        }
        target.put_length(flexible, "NodeEndpoints", Some(self.node_endpoints.len()))?;
        for element in &self.node_endpoints {
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
        let throttle_time_ms = reader.i32("ThrottleTimeMs")?;
        let error_code = reader.i16("ErrorCode")?;
        let error_message = reader.string("ErrorMessage")?;
        let acquisition_lock_timeout_ms = if version >= 2 {
            reader.i32("AcquisitionLockTimeoutMs")?
        } else {
            0
        };
        let responses = {
            let elements = match reader.count("Responses", 17)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(ShareAcknowledgeTopicResponse::read(
                            reader.source(),
                            version,
                        )?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null { field: "Responses" })?
        };
        let node_endpoints = {
            let elements = match reader.count("NodeEndpoints", 10)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(NodeEndpoint::read(reader.source(), version)?);
                    }
                    Some(elements)
                }
            };
            elements.ok_or(ProtocolError::Null {
                field: "NodeEndpoints",
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
        Ok(ShareAcknowledgeResponse {
            throttle_time_ms,
            error_code,
            error_message,
            acquisition_lock_timeout_ms,
            responses,
            node_endpoints,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ShareAcknowledgeResponse, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct ShareAcknowledgeTopicResponse {
    /// Versions 0+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<PartitionData>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for ShareAcknowledgeTopicResponse {
    fn default() -> Self {
        ShareAcknowledgeTopicResponse {
            topic_id: Default::default(),
            partitions: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl ShareAcknowledgeTopicResponse {
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<PartitionData>) -> Self {
        self.partitions = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for ShareAcknowledgeTopicResponse {
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
            let elements = match reader.count("Partitions", 15)? {
                None => None,
                Some(count) => {
                    let mut elements = Vec::with_capacity(count);
                    for _ in 0..count {
                        elements.push(PartitionData::read(reader.source(), version)?);
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
        Ok(ShareAcknowledgeTopicResponse {
            topic_id,
            partitions,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(ShareAcknowledgeTopicResponse, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionData {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+, null in 0+.
    pub error_message: Option<StrBytes>,
    /// Versions 0+.
    pub current_leader: LeaderIdAndEpoch,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for PartitionData {
    fn default() -> Self {
        PartitionData {
            partition_index: 0,
            error_code: 0,
            error_message: None,
            current_leader: Default::default(),
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl PartitionData {
    pub fn with_partition_index(mut self, value: i32) -> Self {
        self.partition_index = value;
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
    pub fn with_current_leader(mut self, value: LeaderIdAndEpoch) -> Self {
        self.current_leader = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for PartitionData {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i32(self.partition_index);
        target.put_i16(self.error_code);
        match &self.error_message {
            None => {
                target.put_string(flexible, "ErrorMessage", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "ErrorMessage", Some(&value))?;
            }
        }
        self.current_leader.write(target, version)?;
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
        let error_code = reader.i16("ErrorCode")?;
        let error_message = reader.string("ErrorMessage")?;
        let current_leader = LeaderIdAndEpoch::read(reader.source(), version)?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(PartitionData {
            partition_index,
            error_code,
            error_message,
            current_leader,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(PartitionData, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// Versions 0+.
    pub leader_id: i32,
    /// Versions 0+.
    pub leader_epoch: i32,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        LeaderIdAndEpoch {
            leader_id: 0,
            leader_epoch: 0,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl LeaderIdAndEpoch {
    pub fn with_leader_id(mut self, value: i32) -> Self {
        self.leader_id = value;
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

impl Wire for LeaderIdAndEpoch {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        target.put_i32(self.leader_id);
        target.put_i32(self.leader_epoch);
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
        let leader_id = reader.i32("LeaderId")?;
        let leader_epoch = reader.i32("LeaderEpoch")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(LeaderIdAndEpoch {
            leader_id,
            leader_epoch,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(LeaderIdAndEpoch, 1, 2);

#[derive(Debug, Clone, PartialEq)]
pub struct NodeEndpoint {
    /// Versions 0+.
    pub node_id: BrokerId,
    /// Versions 0+.
    pub host: StrBytes,
    /// Versions 0+.
    pub port: i32,
    /// Versions 0+, null in 0+.
    pub rack: Option<StrBytes>,
    /// Tagged fields that this version does not know.
    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,
}

impl Default for NodeEndpoint {
    fn default() -> Self {
        NodeEndpoint {
            node_id: BrokerId(0),
            host: Default::default(),
            port: 0,
            rack: None,
            unknown_tagged_fields: BTreeMap::new(),
        }
    }
}

impl NodeEndpoint {
    pub fn with_node_id(mut self, value: BrokerId) -> Self {
        self.node_id = value;
        self
    }
    pub fn with_host(mut self, value: StrBytes) -> Self {
        self.host = value;
        self
    }
    pub fn with_port(mut self, value: i32) -> Self {
        self.port = value;
        self
    }
    pub fn with_rack(mut self, value: Option<StrBytes>) -> Self {
        self.rack = value;
        self
    }
    pub fn with_unknown_tagged_fields(mut self, value: BTreeMap<i32, Bytes>) -> Self {
        self.unknown_tagged_fields = value;
        self
    }
}

impl Wire for NodeEndpoint {
    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_i32(self.node_id.0);
        target.put_string(flexible, "Host", Some(&self.host))?;
        target.put_i32(self.port);
        match &self.rack {
            None => {
                target.put_string(flexible, "Rack", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "Rack", Some(&value))?;
            }
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
        let node_id = BrokerId(reader.i32("NodeId")?);
        let host = reader
            .string("Host")?
            .ok_or(ProtocolError::Null { field: "Host" })?;
        let port = reader.i32("Port")?;
        let rack = reader.string("Rack")?;
        let mut unknown_tagged_fields = BTreeMap::new();
        if flexible {
            for _ in 0..reader.unsigned(TAGGED_FIELDS)? {
                let tag = reader.unsigned(TAGGED_FIELDS)?;
                let size = reader.unsigned(TAGGED_FIELDS)?;
                unknown_tagged_fields.insert(tag as i32, reader.take(TAGGED_FIELDS, size)?);
            }
        }
        Ok(NodeEndpoint {
            node_id,
            host,
            port,
            rack,
            unknown_tagged_fields,
        })
    }
}

wire_struct!(NodeEndpoint, 1, 2);

impl HeaderVersion for ShareAcknowledgeResponse {
    fn header_version(_version: i16) -> i16 {
        1
    }
}
