// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! ShareFetchResponse, versions 1-2.
//!
//! Invariant: as in the specs of kafka-clients.

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::response::RecordsField;
use crate::wire::{EncodeError, RecordsWriter, Writer};

#[derive(Debug, Clone, PartialEq)]
pub struct ShareFetchResponse {
    /// Versions 0+.
    pub throttle_time_ms: i32,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+, null in 0+.
    pub error_message: Option<StrBytes>,
    /// Versions 1+.
    pub acquisition_lock_timeout_ms: i32,
    /// Versions 0+.
    pub responses: Vec<ShareFetchableTopicResponse>,
    /// Versions 0+.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl Default for ShareFetchResponse {
    fn default() -> Self {
        ShareFetchResponse {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: None,
            acquisition_lock_timeout_ms: 0,
            responses: Default::default(),
            node_endpoints: Default::default(),
        }
    }
}

impl ShareFetchResponse {
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
    pub fn with_responses(mut self, value: Vec<ShareFetchableTopicResponse>) -> Self {
        self.responses = value;
        self
    }
    pub fn with_node_endpoints(mut self, value: Vec<NodeEndpoint>) -> Self {
        self.node_endpoints = value;
        self
    }
}

impl ShareFetchResponse {
    pub(crate) fn write<W: RecordsWriter>(
        &self,
        target: &mut W,
        version: i16,
    ) -> Result<(), EncodeError> {
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
        target.put_i32(self.acquisition_lock_timeout_ms);
        target.put_length(flexible, "Responses", Some(self.responses.len()))?;
        for element in &self.responses {
            element.write(target, version)?;
        }
        target.put_length(flexible, "NodeEndpoints", Some(self.node_endpoints.len()))?;
        for element in &self.node_endpoints {
            element.write(target, version)?;
        }
        target.put_unsigned(0);
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ShareFetchableTopicResponse {
    /// Versions 0+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<PartitionData>,
}

impl Default for ShareFetchableTopicResponse {
    fn default() -> Self {
        ShareFetchableTopicResponse {
            topic_id: Default::default(),
            partitions: Default::default(),
        }
    }
}

impl ShareFetchableTopicResponse {
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<PartitionData>) -> Self {
        self.partitions = value;
        self
    }
}

impl ShareFetchableTopicResponse {
    pub(crate) fn write<W: RecordsWriter>(
        &self,
        target: &mut W,
        version: i16,
    ) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = true;
        target.put_uuid(self.topic_id);
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            element.write(target, version)?;
        }
        target.put_unsigned(0);
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionData {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+, null in 0+.
    pub error_message: Option<StrBytes>,
    /// Versions 0+.
    pub acknowledge_error_code: i16,
    /// Versions 0+, null in 0+.
    pub acknowledge_error_message: Option<StrBytes>,
    /// Versions 0+.
    pub current_leader: LeaderIdAndEpoch,
    /// Versions 0+, null in 0.
    pub records: RecordsField,
    /// Versions 0+.
    pub acquired_records: Vec<AcquiredRecords>,
}

impl Default for PartitionData {
    fn default() -> Self {
        PartitionData {
            partition_index: 0,
            error_code: 0,
            error_message: None,
            acknowledge_error_code: 0,
            acknowledge_error_message: None,
            current_leader: Default::default(),
            records: Default::default(),
            acquired_records: Default::default(),
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
    pub fn with_acknowledge_error_code(mut self, value: i16) -> Self {
        self.acknowledge_error_code = value;
        self
    }
    pub fn with_acknowledge_error_message(mut self, value: Option<StrBytes>) -> Self {
        self.acknowledge_error_message = value;
        self
    }
    pub fn with_current_leader(mut self, value: LeaderIdAndEpoch) -> Self {
        self.current_leader = value;
        self
    }
    pub fn with_records(mut self, value: RecordsField) -> Self {
        self.records = value;
        self
    }
    pub fn with_acquired_records(mut self, value: Vec<AcquiredRecords>) -> Self {
        self.acquired_records = value;
        self
    }
}

impl PartitionData {
    pub(crate) fn write<W: RecordsWriter>(
        &self,
        target: &mut W,
        version: i16,
    ) -> Result<(), EncodeError> {
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
        target.put_i16(self.acknowledge_error_code);
        match &self.acknowledge_error_message {
            None => {
                target.put_string(flexible, "AcknowledgeErrorMessage", None)?;
            }
            Some(value) => {
                target.put_string(flexible, "AcknowledgeErrorMessage", Some(&value))?;
            }
        }
        self.current_leader.write(target, version)?;
        target.put_length(flexible, "Records", self.records.size_in_bytes())?;
        target.put_records(&self.records);
        target.put_length(
            flexible,
            "AcquiredRecords",
            Some(self.acquired_records.len()),
        )?;
        for element in &self.acquired_records {
            element.write(target, version)?;
        }
        target.put_unsigned(0);
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// Versions 0+.
    pub leader_id: i32,
    /// Versions 0+.
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        LeaderIdAndEpoch {
            leader_id: 0,
            leader_epoch: 0,
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
}

impl LeaderIdAndEpoch {
    pub(crate) fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        target.put_i32(self.leader_id);
        target.put_i32(self.leader_epoch);
        target.put_unsigned(0);
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct AcquiredRecords {
    /// Versions 0+.
    pub first_offset: i64,
    /// Versions 0+.
    pub last_offset: i64,
    /// Versions 0+.
    pub delivery_count: i16,
}

impl Default for AcquiredRecords {
    fn default() -> Self {
        AcquiredRecords {
            first_offset: 0,
            last_offset: 0,
            delivery_count: 0,
        }
    }
}

impl AcquiredRecords {
    pub fn with_first_offset(mut self, value: i64) -> Self {
        self.first_offset = value;
        self
    }
    pub fn with_last_offset(mut self, value: i64) -> Self {
        self.last_offset = value;
        self
    }
    pub fn with_delivery_count(mut self, value: i16) -> Self {
        self.delivery_count = value;
        self
    }
}

impl AcquiredRecords {
    pub(crate) fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(1..=2).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        target.put_i64(self.first_offset);
        target.put_i64(self.last_offset);
        target.put_i16(self.delivery_count);
        target.put_unsigned(0);
        Ok(())
    }
}

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
}

impl Default for NodeEndpoint {
    fn default() -> Self {
        NodeEndpoint {
            node_id: BrokerId(0),
            host: Default::default(),
            port: 0,
            rack: None,
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
}

impl NodeEndpoint {
    pub(crate) fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
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
        target.put_unsigned(0);
        Ok(())
    }
}
