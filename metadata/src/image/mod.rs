//! The cluster's metadata as immutable values, and the deltas that lead from one to the next.
//! An image never changes once made; a delta is the only way to another one, and both share all
//! the structure that did not change, so that one change among 100,000 partitions copies little.

mod cluster;
mod configs;
mod features;
mod producer_ids;
mod topics;

use std::sync::Arc;

use protocol::{LeaderEpoch, Offset, Timestamp, TopicId};
use thiserror::Error;

use crate::config::{ADVERTISED_LISTENERS, ConfigResource, advertised_address};
use crate::record::MetadataRecord;

pub use cluster::{
    Address, BrokerRegistration, ClusterDelta, ClusterImage, Endpoint, FeatureRange,
    SecurityProtocol,
};
pub use configs::{ConfigsDelta, ConfigsImage};
pub use features::{FeaturesDelta, FeaturesImage};
pub use producer_ids::{ProducerIdsDelta, ProducerIdsImage};
pub use topics::{
    LeaderRecoveryState, PartitionChanged, PartitionRegistration, TopicImage, TopicsDelta,
    TopicsImage,
};

/// Where in the metadata log an image stands: the last entry it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// `None` before the first entry.
    pub offset: Option<Offset>,
    pub epoch: LeaderEpoch,
    pub timestamp: Timestamp,
}

impl Provenance {
    /// Before anything was written.
    pub const EMPTY: Provenance = Provenance {
        offset: None,
        epoch: LeaderEpoch(0),
        timestamp: Timestamp(0),
    };
}

impl Default for Provenance {
    fn default() -> Provenance {
        Provenance::EMPTY
    }
}

/// The cluster's metadata after one entry of the metadata log. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataImage {
    pub provenance: Provenance,
    pub features: Arc<FeaturesImage>,
    pub cluster: Arc<ClusterImage>,
    pub topics: Arc<TopicsImage>,
    pub configs: Arc<ConfigsImage>,
    pub producer_ids: Arc<ProducerIdsImage>,
}

impl MetadataImage {
    /// The records that lead from the empty image to this one.
    pub fn write(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        self.features.write(&mut records);
        self.cluster.write(&mut records);
        self.topics.write(&mut records);
        self.configs.write(&mut records);
        self.producer_ids.write(&mut records);
        records
    }

    /// Where clients of `listener` reach `broker`: what `advertised.listeners` was set to at run time,
    /// else what the broker registered with. `None` where it does not advertise the listener.
    pub fn endpoint<'a>(
        &'a self,
        broker: &'a BrokerRegistration,
        listener: &str,
    ) -> Option<Address<'a>> {
        let registered = broker.listener(listener).map(|endpoint| Address {
            host: &endpoint.host,
            port: endpoint.port,
        });
        let resource = ConfigResource::Broker(Some(broker.id));
        match self.configs.get(&resource, ADVERTISED_LISTENERS) {
            None => registered,
            Some(text) => advertised_address(text, listener, registered),
        }
    }

    /// Whether no record was ever applied.
    pub fn is_empty(&self) -> bool {
        self.provenance == Provenance::EMPTY
    }
}

/// Why a record does not fit the image it is replayed into. Such a log was not written by a
/// correct controller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    #[error("no topic with id {topic_id} exists")]
    UnknownTopic { topic_id: TopicId },
    #[error("topic {name} exists already")]
    TopicExists { name: Arc<str> },
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition { topic: Arc<str>, partition: i32 },
    #[error("broker {broker_id} is not registered with epoch {broker_epoch}")]
    UnknownBroker { broker_id: i32, broker_epoch: i64 },
}

/// What changes from one image to the next.
#[derive(Debug, Clone)]
pub struct MetadataDelta {
    base: Arc<MetadataImage>,
    features: FeaturesDelta,
    cluster: ClusterDelta,
    topics: TopicsDelta,
    configs: ConfigsDelta,
    producer_ids: ProducerIdsDelta,
}

impl MetadataDelta {
    /// Nothing has changed yet.
    pub fn new(base: Arc<MetadataImage>) -> MetadataDelta {
        MetadataDelta {
            features: FeaturesDelta::new(&base.features),
            cluster: ClusterDelta::new(&base.cluster),
            topics: TopicsDelta::new(&base.topics),
            configs: ConfigsDelta::new(&base.configs),
            producer_ids: ProducerIdsDelta::new(&base.producer_ids),
            base,
        }
    }

    /// The delta that leads from `base` to `next`, found by comparing the two: what a follower sees
    /// when it takes over a snapshot.
    pub fn between(base: Arc<MetadataImage>, next: &MetadataImage) -> MetadataDelta {
        MetadataDelta {
            features: FeaturesDelta::between(&base.features, &next.features),
            cluster: ClusterDelta::between(&base.cluster, &next.cluster),
            topics: TopicsDelta::between(&base.topics, &next.topics),
            configs: ConfigsDelta::between(&base.configs, &next.configs),
            producer_ids: ProducerIdsDelta::between(&base.producer_ids, &next.producer_ids),
            base,
        }
    }

    /// The image this delta starts from.
    pub fn base(&self) -> &Arc<MetadataImage> {
        &self.base
    }

    pub fn features_delta(&self) -> &FeaturesDelta {
        &self.features
    }

    pub fn cluster_delta(&self) -> &ClusterDelta {
        &self.cluster
    }

    pub fn topics_delta(&self) -> &TopicsDelta {
        &self.topics
    }

    pub fn configs_delta(&self) -> &ConfigsDelta {
        &self.configs
    }

    pub fn producer_ids_delta(&self) -> &ProducerIdsDelta {
        &self.producer_ids
    }

    /// Adds one record. After an error the delta must be thrown away.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::RegisterBroker(broker) => self.cluster.register(broker),
            MetadataRecord::UnregisterBroker {
                broker_id,
                broker_epoch,
            } => {
                return self.cluster.unregister(*broker_id, *broker_epoch);
            }
            MetadataRecord::BrokerRegistrationChange {
                broker_id,
                broker_epoch,
                fenced,
                in_controlled_shutdown,
                log_dirs,
            } => {
                return self.cluster.change(*broker_id, *broker_epoch, |broker| {
                    broker.fenced = fenced.unwrap_or(broker.fenced);
                    broker.in_controlled_shutdown =
                        in_controlled_shutdown.unwrap_or(broker.in_controlled_shutdown);
                    if let Some(log_dirs) = log_dirs {
                        broker.log_dirs.clone_from(log_dirs);
                    }
                });
            }
            MetadataRecord::Topic { name, topic_id } => return self.topics.create(name, *topic_id),
            MetadataRecord::Partition(partition) => return self.topics.set_partition(partition),
            MetadataRecord::PartitionChange(change) => return self.topics.change_partition(change),
            MetadataRecord::RemoveTopic { topic_id } => {
                let name = self.topics.remove(*topic_id)?;
                self.configs.remove_topic(&name);
            }
            MetadataRecord::Config {
                resource,
                name,
                value,
            } => {
                self.configs.set(resource, name, value.as_deref());
            }
            MetadataRecord::FeatureLevel { name, level } => self.features.set(name, *level),
            MetadataRecord::ProducerIds {
                next_producer_id, ..
            } => {
                self.producer_ids.set(*next_producer_id);
            }
            MetadataRecord::NoOp => {}
        }
        Ok(())
    }

    /// The image after all that was replayed.
    pub fn apply(&self, provenance: Provenance) -> MetadataImage {
        MetadataImage {
            provenance,
            features: self.features.apply(),
            cluster: self.cluster.apply(),
            topics: self.topics.apply(),
            configs: self.configs.apply(),
            producer_ids: self.producer_ids.apply(),
        }
    }
}

#[cfg(test)]
mod tests;
