//! The records that make up the cluster's metadata, with Kafka's names, and their format.
//! A record is `type, version, fields`; what an older version wrote stays readable for ever, and a
//! version newer than this program is refused by name instead of being guessed at.

mod codec;
mod decode;
mod encode;

use std::sync::Arc;

use protocol::{LeaderEpoch, ProducerId, TopicId};
use thiserror::Error;
use uuid::Uuid;

use crate::config::ConfigResource;
use crate::image::{Endpoint, FeatureRange, LeaderRecoveryState};

pub use decode::{decode, decode_batch};
pub use encode::{encode, encode_batch};

/// One change of the cluster's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// A broker came up: this incarnation of it replaces an earlier one.
    RegisterBroker(RegisterBroker),
    /// A broker was taken out of the cluster.
    UnregisterBroker {
        broker_id: i32,
        broker_epoch: i64,
    },
    /// `None` means unchanged.
    BrokerRegistrationChange {
        broker_id: i32,
        broker_epoch: i64,
        fenced: Option<bool>,
        in_controlled_shutdown: Option<bool>,
        log_dirs: Option<Vec<Uuid>>,
    },
    Topic {
        name: Arc<str>,
        topic_id: TopicId,
    },
    Partition(Partition),
    PartitionChange(PartitionChange),
    /// The topic, its partitions and its configs are gone.
    RemoveTopic {
        topic_id: TopicId,
    },
    /// `None` removes the override.
    Config {
        resource: ConfigResource,
        name: String,
        value: Option<String>,
    },
    /// Level 0 removes the feature.
    FeatureLevel {
        name: String,
        level: i16,
    },
    /// Producer ids below `next_producer_id` are given away.
    ProducerIds {
        broker_id: i32,
        broker_epoch: i64,
        next_producer_id: ProducerId,
    },
    NoOp,
}

/// See [`MetadataRecord::RegisterBroker`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBroker {
    pub broker_id: i32,
    pub incarnation_id: Uuid,
    pub broker_epoch: i64,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<FeatureRange>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
}

/// The whole state of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub partition_id: i32,
    pub topic_id: TopicId,
    pub replicas: Vec<i32>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Vec<Uuid>,
    pub isr: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    pub leader: Option<i32>,
    pub leader_recovery_state: LeaderRecoveryState,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    pub eligible_leader_replicas: Vec<i32>,
    pub last_known_elr: Vec<i32>,
}

/// What changes in one partition: `None` means unchanged. Every change raises the partition epoch;
/// naming a leader, even the same one, raises the leader epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionChange {
    pub topic_id: TopicId,
    pub partition_id: i32,
    /// `Some(None)` leaves the partition without a leader.
    pub leader: Option<Option<i32>>,
    pub isr: Option<Vec<i32>>,
    pub replicas: Option<Vec<i32>>,
    pub directories: Option<Vec<Uuid>>,
    pub removing_replicas: Option<Vec<i32>>,
    pub adding_replicas: Option<Vec<i32>>,
    pub leader_recovery_state: Option<LeaderRecoveryState>,
    pub eligible_leader_replicas: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
}

impl PartitionChange {
    /// A change that changes nothing yet.
    pub fn new(topic_id: TopicId, partition_id: i32) -> PartitionChange {
        PartitionChange {
            topic_id,
            partition_id,
            leader: None,
            isr: None,
            replicas: None,
            directories: None,
            removing_replicas: None,
            adding_replicas: None,
            leader_recovery_state: None,
            eligible_leader_replicas: None,
            last_known_elr: None,
        }
    }
}

/// Why bytes are not a metadata record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error("the metadata record ends too early")]
    Truncated,
    #[error("{count} bytes follow the metadata record")]
    TrailingBytes { count: usize },
    #[error("a string of the metadata record is not UTF-8")]
    NotUtf8,
    #[error("{value} is not a valid {what} in a metadata record")]
    Malformed { what: &'static str, value: i64 },
    #[error("metadata record type {record_type} is not known; was it written by a newer version?")]
    UnknownType { record_type: u8 },
    #[error(
        "{record} record has format version {version}, and this version reads up to {supported}; \
         it was written by a newer version"
    )]
    TooNew {
        record: &'static str,
        version: u8,
        supported: u8,
    },
}

impl MetadataRecord {
    /// Kafka's name of the record.
    pub fn name(&self) -> &'static str {
        self.record_type().name()
    }

    fn record_type(&self) -> RecordType {
        match self {
            MetadataRecord::RegisterBroker(_) => RecordType::RegisterBroker,
            MetadataRecord::UnregisterBroker { .. } => RecordType::UnregisterBroker,
            MetadataRecord::BrokerRegistrationChange { .. } => RecordType::BrokerRegistrationChange,
            MetadataRecord::Topic { .. } => RecordType::Topic,
            MetadataRecord::Partition(_) => RecordType::Partition,
            MetadataRecord::PartitionChange(_) => RecordType::PartitionChange,
            MetadataRecord::RemoveTopic { .. } => RecordType::RemoveTopic,
            MetadataRecord::Config { .. } => RecordType::Config,
            MetadataRecord::FeatureLevel { .. } => RecordType::FeatureLevel,
            MetadataRecord::ProducerIds { .. } => RecordType::ProducerIds,
            MetadataRecord::NoOp => RecordType::NoOp,
        }
    }
}

/// The first byte of a record: upstream's api keys of the metadata schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordType {
    UnregisterBroker = 1,
    Topic = 2,
    Partition = 3,
    Config = 4,
    PartitionChange = 5,
    RemoveTopic = 9,
    FeatureLevel = 12,
    ProducerIds = 15,
    BrokerRegistrationChange = 17,
    NoOp = 20,
    RegisterBroker = 27,
}

impl RecordType {
    fn parse(byte: u8) -> Result<RecordType, RecordError> {
        Ok(match byte {
            1 => RecordType::UnregisterBroker,
            2 => RecordType::Topic,
            3 => RecordType::Partition,
            4 => RecordType::Config,
            5 => RecordType::PartitionChange,
            9 => RecordType::RemoveTopic,
            12 => RecordType::FeatureLevel,
            15 => RecordType::ProducerIds,
            17 => RecordType::BrokerRegistrationChange,
            20 => RecordType::NoOp,
            27 => RecordType::RegisterBroker,
            record_type => return Err(RecordError::UnknownType { record_type }),
        })
    }

    fn name(self) -> &'static str {
        match self {
            RecordType::UnregisterBroker => "UnregisterBroker",
            RecordType::Topic => "Topic",
            RecordType::Partition => "Partition",
            RecordType::Config => "Config",
            RecordType::PartitionChange => "PartitionChange",
            RecordType::RemoveTopic => "RemoveTopic",
            RecordType::FeatureLevel => "FeatureLevel",
            RecordType::ProducerIds => "ProducerIds",
            RecordType::BrokerRegistrationChange => "BrokerRegistrationChange",
            RecordType::NoOp => "NoOp",
            RecordType::RegisterBroker => "RegisterBroker",
        }
    }

    /// The newest format version of this type, which is the one written.
    fn version(self) -> u8 {
        match self {
            RecordType::UnregisterBroker
            | RecordType::Topic
            | RecordType::Partition
            | RecordType::Config
            | RecordType::PartitionChange
            | RecordType::RemoveTopic
            | RecordType::FeatureLevel
            | RecordType::ProducerIds
            | RecordType::BrokerRegistrationChange
            | RecordType::NoOp
            | RecordType::RegisterBroker => 0,
        }
    }
}

#[cfg(test)]
mod tests;
