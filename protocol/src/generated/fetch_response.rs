// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! FetchResponse, versions 4-18.
//!
//! Invariant: as in the specs of kafka-clients.

use kafka_protocol::messages::{BrokerId, ProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::response::RecordsField;
use crate::wire::{EncodeError, RecordsWriter, Writer, is_default};

#[derive(Debug, Clone, PartialEq)]
pub struct FetchResponse {
    /// Versions 1+.
    pub throttle_time_ms: i32,
    /// Versions 7+.
    pub error_code: i16,
    /// Versions 7+.
    pub session_id: i32,
    /// Versions 0+.
    pub responses: Vec<FetchableTopicResponse>,
    /// Versions 16+, tag 0.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl Default for FetchResponse {
    fn default() -> Self {
        FetchResponse {
            throttle_time_ms: 0,
            error_code: 0,
            session_id: 0,
            responses: Default::default(),
            node_endpoints: Default::default(),
        }
    }
}

impl FetchResponse {
    pub fn with_throttle_time_ms(mut self, value: i32) -> Self {
        self.throttle_time_ms = value;
        self
    }
    pub fn with_error_code(mut self, value: i16) -> Self {
        self.error_code = value;
        self
    }
    pub fn with_session_id(mut self, value: i32) -> Self {
        self.session_id = value;
        self
    }
    pub fn with_responses(mut self, value: Vec<FetchableTopicResponse>) -> Self {
        self.responses = value;
        self
    }
    pub fn with_node_endpoints(mut self, value: Vec<NodeEndpoint>) -> Self {
        self.node_endpoints = value;
        self
    }
}

impl FetchResponse {
    pub(crate) fn write<W: RecordsWriter>(
        &self,
        target: &mut W,
        version: i16,
    ) -> Result<(), EncodeError> {
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        target.put_i32(self.throttle_time_ms);
        if version >= 7 {
            target.put_i16(self.error_code);
        }
        if version >= 7 {
            target.put_i32(self.session_id);
        } else if self.session_id != 0 {
            return Err(EncodeError::NotInVersion("SessionId"));
        }
        target.put_length(flexible, "Responses", Some(self.responses.len()))?;
        for element in &self.responses {
            element.write(target, version)?;
        }
        if flexible {
            let has_node_endpoints = version >= 16 && !is_default(&self.node_endpoints);
            target.put_unsigned(usize::from(has_node_endpoints) as u32);
            if has_node_endpoints {
                let mut value = Vec::new();
                {
                    let target = &mut value;
                    target.put_length(
                        flexible,
                        "NodeEndpoints",
                        Some(self.node_endpoints.len()),
                    )?;
                    for element in &self.node_endpoints {
                        element.write(target, version)?;
                    }
                }
                target.put_tagged(0, &value);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct FetchableTopicResponse {
    /// Versions 0-12.
    pub topic: TopicName,
    /// Versions 13+.
    pub topic_id: Uuid,
    /// Versions 0+.
    pub partitions: Vec<PartitionData>,
}

impl Default for FetchableTopicResponse {
    fn default() -> Self {
        FetchableTopicResponse {
            topic: Default::default(),
            topic_id: Default::default(),
            partitions: Default::default(),
        }
    }
}

impl FetchableTopicResponse {
    pub fn with_topic(mut self, value: TopicName) -> Self {
        self.topic = value;
        self
    }
    pub fn with_topic_id(mut self, value: Uuid) -> Self {
        self.topic_id = value;
        self
    }
    pub fn with_partitions(mut self, value: Vec<PartitionData>) -> Self {
        self.partitions = value;
        self
    }
}

impl FetchableTopicResponse {
    pub(crate) fn write<W: RecordsWriter>(
        &self,
        target: &mut W,
        version: i16,
    ) -> Result<(), EncodeError> {
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        if version <= 12 {
            target.put_string(flexible, "Topic", Some(&self.topic.0))?;
        }
        if version >= 13 {
            target.put_uuid(self.topic_id);
        }
        target.put_length(flexible, "Partitions", Some(self.partitions.len()))?;
        for element in &self.partitions {
            element.write(target, version)?;
        }
        if flexible {
            target.put_unsigned(0);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionData {
    /// Versions 0+.
    pub partition_index: i32,
    /// Versions 0+.
    pub error_code: i16,
    /// Versions 0+.
    pub high_watermark: i64,
    /// Versions 4+.
    pub last_stable_offset: i64,
    /// Versions 5+.
    pub log_start_offset: i64,
    /// Versions 12+, tag 0.
    pub diverging_epoch: EpochEndOffset,
    /// Versions 12+, tag 1.
    pub current_leader: LeaderIdAndEpoch,
    /// Versions 12+, tag 2.
    pub snapshot_id: SnapshotId,
    /// Versions 4+, null in 4+.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Versions 11+.
    pub preferred_read_replica: BrokerId,
    /// Versions 0+, null in 0+.
    pub records: RecordsField,
}

impl Default for PartitionData {
    fn default() -> Self {
        PartitionData {
            partition_index: 0,
            error_code: 0,
            high_watermark: 0,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: Default::default(),
            current_leader: Default::default(),
            snapshot_id: Default::default(),
            aborted_transactions: Some(Default::default()),
            preferred_read_replica: BrokerId(-1),
            records: Default::default(),
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
    pub fn with_high_watermark(mut self, value: i64) -> Self {
        self.high_watermark = value;
        self
    }
    pub fn with_last_stable_offset(mut self, value: i64) -> Self {
        self.last_stable_offset = value;
        self
    }
    pub fn with_log_start_offset(mut self, value: i64) -> Self {
        self.log_start_offset = value;
        self
    }
    pub fn with_diverging_epoch(mut self, value: EpochEndOffset) -> Self {
        self.diverging_epoch = value;
        self
    }
    pub fn with_current_leader(mut self, value: LeaderIdAndEpoch) -> Self {
        self.current_leader = value;
        self
    }
    pub fn with_snapshot_id(mut self, value: SnapshotId) -> Self {
        self.snapshot_id = value;
        self
    }
    pub fn with_aborted_transactions(mut self, value: Option<Vec<AbortedTransaction>>) -> Self {
        self.aborted_transactions = value;
        self
    }
    pub fn with_preferred_read_replica(mut self, value: BrokerId) -> Self {
        self.preferred_read_replica = value;
        self
    }
    pub fn with_records(mut self, value: RecordsField) -> Self {
        self.records = value;
        self
    }
}

impl PartitionData {
    pub(crate) fn write<W: RecordsWriter>(
        &self,
        target: &mut W,
        version: i16,
    ) -> Result<(), EncodeError> {
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        target.put_i32(self.partition_index);
        target.put_i16(self.error_code);
        target.put_i64(self.high_watermark);
        target.put_i64(self.last_stable_offset);
        if version >= 5 {
            target.put_i64(self.log_start_offset);
        }
        match &self.aborted_transactions {
            None => {
                target.put_length(flexible, "AbortedTransactions", None)?;
            }
            Some(value) => {
                target.put_length(flexible, "AbortedTransactions", Some(value.len()))?;
                for element in value {
                    element.write(target, version)?;
                }
            }
        }
        if version >= 11 {
            target.put_i32(self.preferred_read_replica.0);
        } else if self.preferred_read_replica != BrokerId(-1) {
            return Err(EncodeError::NotInVersion("PreferredReadReplica"));
        }
        target.put_length(flexible, "Records", self.records.size_in_bytes())?;
        target.put_records(&self.records);
        if flexible {
            let has_diverging_epoch = version >= 12 && !is_default(&self.diverging_epoch);
            let has_current_leader = version >= 12 && !is_default(&self.current_leader);
            let has_snapshot_id = version >= 12 && !is_default(&self.snapshot_id);
            target.put_unsigned(
                (usize::from(has_diverging_epoch)
                    + usize::from(has_current_leader)
                    + usize::from(has_snapshot_id)) as u32,
            );
            if has_diverging_epoch {
                let mut value = Vec::new();
                {
                    let target = &mut value;
                    self.diverging_epoch.write(target, version)?;
                }
                target.put_tagged(0, &value);
            }
            if has_current_leader {
                let mut value = Vec::new();
                {
                    let target = &mut value;
                    self.current_leader.write(target, version)?;
                }
                target.put_tagged(1, &value);
            }
            if has_snapshot_id {
                let mut value = Vec::new();
                {
                    let target = &mut value;
                    self.snapshot_id.write(target, version)?;
                }
                target.put_tagged(2, &value);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct EpochEndOffset {
    /// Versions 12+.
    pub epoch: i32,
    /// Versions 12+.
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        EpochEndOffset {
            epoch: -1,
            end_offset: -1,
        }
    }
}

impl EpochEndOffset {
    pub fn with_epoch(mut self, value: i32) -> Self {
        self.epoch = value;
        self
    }
    pub fn with_end_offset(mut self, value: i64) -> Self {
        self.end_offset = value;
        self
    }
}

impl EpochEndOffset {
    pub(crate) fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        if version >= 12 {
            target.put_i32(self.epoch);
        } else if self.epoch != -1 {
            return Err(EncodeError::NotInVersion("Epoch"));
        }
        if version >= 12 {
            target.put_i64(self.end_offset);
        } else if self.end_offset != -1 {
            return Err(EncodeError::NotInVersion("EndOffset"));
        }
        if flexible {
            target.put_unsigned(0);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// Versions 12+.
    pub leader_id: BrokerId,
    /// Versions 12+.
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        LeaderIdAndEpoch {
            leader_id: BrokerId(-1),
            leader_epoch: -1,
        }
    }
}

impl LeaderIdAndEpoch {
    pub fn with_leader_id(mut self, value: BrokerId) -> Self {
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
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        if version >= 12 {
            target.put_i32(self.leader_id.0);
        } else if self.leader_id != BrokerId(-1) {
            return Err(EncodeError::NotInVersion("LeaderId"));
        }
        if version >= 12 {
            target.put_i32(self.leader_epoch);
        } else if self.leader_epoch != -1 {
            return Err(EncodeError::NotInVersion("LeaderEpoch"));
        }
        if flexible {
            target.put_unsigned(0);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotId {
    /// Versions 0+.
    pub end_offset: i64,
    /// Versions 0+.
    pub epoch: i32,
}

impl Default for SnapshotId {
    fn default() -> Self {
        SnapshotId {
            end_offset: -1,
            epoch: -1,
        }
    }
}

impl SnapshotId {
    pub fn with_end_offset(mut self, value: i64) -> Self {
        self.end_offset = value;
        self
    }
    pub fn with_epoch(mut self, value: i32) -> Self {
        self.epoch = value;
        self
    }
}

impl SnapshotId {
    pub(crate) fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        target.put_i64(self.end_offset);
        target.put_i32(self.epoch);
        if flexible {
            target.put_unsigned(0);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct AbortedTransaction {
    /// Versions 4+.
    pub producer_id: ProducerId,
    /// Versions 4+.
    pub first_offset: i64,
}

impl Default for AbortedTransaction {
    fn default() -> Self {
        AbortedTransaction {
            producer_id: ProducerId(0),
            first_offset: 0,
        }
    }
}

impl AbortedTransaction {
    pub fn with_producer_id(mut self, value: ProducerId) -> Self {
        self.producer_id = value;
        self
    }
    pub fn with_first_offset(mut self, value: i64) -> Self {
        self.first_offset = value;
        self
    }
}

impl AbortedTransaction {
    pub(crate) fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError> {
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        target.put_i64(self.producer_id.0);
        target.put_i64(self.first_offset);
        if flexible {
            target.put_unsigned(0);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct NodeEndpoint {
    /// Versions 16+.
    pub node_id: BrokerId,
    /// Versions 16+.
    pub host: StrBytes,
    /// Versions 16+.
    pub port: i32,
    /// Versions 16+, null in 16+.
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
        if !(4..=18).contains(&version) {
            return Err(EncodeError::Version(version));
        }
        let flexible = version >= 12;
        if version >= 16 {
            target.put_i32(self.node_id.0);
        } else if self.node_id != BrokerId(0) {
            return Err(EncodeError::NotInVersion("NodeId"));
        }
        if version >= 16 {
            target.put_string(flexible, "Host", Some(&self.host))?;
        } else if !is_default(&self.host) {
            return Err(EncodeError::NotInVersion("Host"));
        }
        if version >= 16 {
            target.put_i32(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::NotInVersion("Port"));
        }
        if version >= 16 {
            match &self.rack {
                None => {
                    target.put_string(flexible, "Rack", None)?;
                }
                Some(value) => {
                    target.put_string(flexible, "Rack", Some(&value))?;
                }
            }
        } else if self.rack.is_some() {
            return Err(EncodeError::NotInVersion("Rack"));
        }
        if flexible {
            target.put_unsigned(0);
        }
        Ok(())
    }
}
