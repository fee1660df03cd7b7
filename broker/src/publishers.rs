//! What this broker does when the metadata changes: it starts and stops replicas, hands
//! coordinator partitions to their coordinators, and passes changed settings on.
//!
//! Invariant: when a publish returns, what the new image promises of this node is served: a
//! created topic can be produced to.

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator::group::DeletedTopic;
use metadata::{
    ConfigResource, MetadataDelta, MetadataImage, MetadataPublisher, PartitionRegistration,
    TopicImage,
};
use protocol::{ErrorCode, TopicPartition};
use tracing::{error, info};

use crate::config::{self, ServerConfig};
use crate::coordinators::{
    ClusterView, GROUP_TOPIC, GroupCoordinator, SHARE_STATE_TOPIC, ShareCoordinator,
    TRANSACTION_TOPIC, TransactionCoordinator,
};
use crate::network::Limits;
use crate::replica::{Manager, Partition};
use crate::shares::Shares;
use crate::telemetry::Telemetry;

/// Keeps the replicas of this node in step with the metadata.
pub(crate) struct ReplicaPublisher {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) log_dir: Arc<storage::LogDir>,
    pub(crate) replicas: Arc<Manager>,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) transactions: Arc<TransactionCoordinator>,
    pub(crate) share_states: Arc<ShareCoordinator>,
    pub(crate) shares: Arc<Shares>,
    pub(crate) connections: Arc<Limits>,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// A replica to open.
struct Wanted<'a> {
    topic: &'a TopicImage,
    partition: i32,
    registration: &'a PartitionRegistration,
}

impl MetadataPublisher for ReplicaPublisher {
    fn name(&self) -> &'static str {
        "replicas"
    }

    fn publish(&mut self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let replicas = self.replicas.clone();
        let _changing = replicas.changing();
        // Before a coordinator is led: it decides by it.
        let level = image.features.level(controller::TRANSACTION_VERSION);
        self.transactions.set_version(level);
        let view = ClusterView::new(self.config.clone(), image.clone());
        let has_new_topics = delta.topics_delta().created().next().is_some();
        self.groups.metadata_changed(Arc::new(view), has_new_topics);
        self.share_states.metadata_changed(image.clone());
        self.shares.metadata_changed(image);
        self.set_strays_aside(image);
        let mut gone = Vec::new();
        let mut logs = Vec::new();
        for topic in delta.topics_delta().deleted() {
            self.end(topic, &mut logs);
            gone.push(DeletedTopic {
                name: topic.name.clone(),
                id: topic.id,
            });
        }
        for (partition, error) in self.log_dir.delete_all(&logs) {
            error!(%partition, %error, "could not delete the log");
        }
        let_go(logs);
        if !gone.is_empty() {
            let ids = gone.iter().map(|topic| topic.id).collect();
            self.shares.topics_deleted(&ids);
            self.share_states.topics_deleted(ids);
            self.groups.topics_deleted(gone);
        }
        let node = self.config.node_id;
        let mut wanted = Vec::new();
        for changed in delta.topics_delta().changed_partitions() {
            if !changed.after.replicas.contains(&node) {
                continue;
            }
            match changed.before {
                None => wanted.push(Wanted {
                    topic: changed.topic,
                    partition: changed.partition,
                    registration: changed.after,
                }),
                Some(before) if before.leader_epoch < changed.after.leader_epoch => {
                    self.lead_on(changed.topic, changed.partition, changed.after);
                }
                Some(_) => {}
            }
        }
        self.open_all(&wanted, image);
        self.reconfigure(delta, image);
    }
}

impl ReplicaPublisher {
    /// Before anything is opened: a topic made anew must not meet the folder of its namesake.
    fn set_strays_aside(&self, image: &MetadataImage) {
        let aside = self.log_dir.set_strays_aside(|found| {
            let topic = image.topics.by_name(&found.topic_partition.topic);
            topic.is_some_and(|topic| {
                topic.partition(found.topic_partition.partition).is_some()
                    && found.topic_id.is_none_or(|id| id == topic.id)
            })
        });
        if let Err(error) = aside {
            error!(%error, "could not set all logs of deleted topics aside");
        }
    }

    /// The epoch rises whenever the controller elects, as at every start of this broker.
    fn lead_on(&self, topic: &TopicImage, partition: i32, registration: &PartitionRegistration) {
        let of = TopicPartition {
            topic: topic.name.clone(),
            partition,
        };
        if registration.leader == Some(self.config.node_id)
            && let Ok(served) = self.replicas.partition(&of)
        {
            served.lead_in(registration.leader_epoch);
        }
    }

    fn open_all(&self, wanted: &[Wanted<'_>], image: &MetadataImage) {
        let openers = config::recovery_threads(&self.config, image);
        if wanted.len() <= openers {
            wanted.iter().for_each(|wanted| self.open(wanted, image));
            return;
        }
        // Logs that were not closed cleanly are recovered here: side by side.
        std::thread::scope(|scope| {
            for share in wanted.chunks(wanted.len().div_ceil(openers)) {
                scope.spawn(move || share.iter().for_each(|wanted| self.open(wanted, image)));
            }
        });
    }

    fn open(&self, wanted: &Wanted<'_>, image: &MetadataImage) {
        let Wanted {
            topic,
            partition,
            registration,
        } = *wanted;
        let topic_partition = TopicPartition {
            topic: topic.name.clone(),
            partition,
        };
        let settings = match config::topic_settings(&self.config, image, &topic.name) {
            Ok(settings) => settings,
            Err(error) => {
                error!(partition = %topic_partition, %error, "the topic's settings are refused");
                self.replicas
                    .set_offline(topic_partition, ErrorCode::InvalidConfig);
                return;
            }
        };
        let log = self
            .log_dir
            .create_or_open(&topic_partition, topic.id, settings.log);
        let log = match log {
            Ok(log) => log,
            Err(error) => {
                error!(partition = %topic_partition, %error, "the replica is offline");
                self.replicas
                    .set_offline(topic_partition, ErrorCode::from(&error));
                return;
            }
        };
        let served = Arc::new(Partition::lead(log, registration.leader_epoch));
        served.set_min_in_sync(min_in_sync(settings.min_in_sync_replicas, registration));
        self.replicas.insert(served.clone());
        match &*topic.name {
            GROUP_TOPIC => self.groups.lead(served),
            TRANSACTION_TOPIC => self.transactions.lead(served),
            SHARE_STATE_TOPIC => self.share_states.lead(served),
            _ => {}
        }
    }

    /// Ends the partitions of a deleted topic; their logs are still to be deleted.
    fn end(&self, topic: &TopicImage, logs: &mut Vec<Arc<storage::Log>>) {
        for &partition in topic.partitions.keys() {
            let topic_partition = TopicPartition {
                topic: topic.name.clone(),
                partition,
            };
            match &*topic.name {
                GROUP_TOPIC => self.groups.resign(partition),
                TRANSACTION_TOPIC => self.transactions.resign(partition),
                SHARE_STATE_TOPIC => self.share_states.resign(partition),
                _ => {}
            }
            let gone = ErrorCode::UnknownTopicOrPartition;
            if let Some(served) = self.replicas.remove(&topic_partition, gone) {
                logs.push(served.log().clone());
            } else if let Err(error) = self.log_dir.delete_found(&topic_partition) {
                // Its log could not be opened; it was to go all the same.
                error!(partition = %topic_partition, %error, "could not delete the log");
            }
        }
        info!(topic = %topic.name, id = %topic.id, "topic deleted");
    }

    /// Settings of a topic follow its own, and the broker's where it has none.
    fn reconfigure(&self, delta: &MetadataDelta, image: &MetadataImage) {
        let mut topics = BTreeSet::new();
        let mut all = false;
        let mut subscriptions = false;
        for (resource, _) in delta.configs_delta().changed() {
            match resource {
                ConfigResource::Topic(topic) => {
                    topics.insert(topic.clone());
                }
                ConfigResource::Broker(_) => all = true,
                ConfigResource::ClientMetrics(_) => subscriptions = true,
                ConfigResource::Group(_) | ConfigResource::BrokerLogger(_) => {}
            }
        }
        if subscriptions {
            self.telemetry.subscriptions_changed(image);
        }
        if topics.is_empty() && !all {
            return;
        }
        if all {
            let (in_all, per_address) = config::connection_limits(&self.config, image);
            self.connections.change(in_all, per_address);
            self.transactions
                .set_verifying(config::verifies_transactions(&self.config, image));
        }
        for partition in self.replicas.all() {
            let TopicPartition {
                topic,
                partition: index,
            } = partition.topic_partition();
            if !all && !topics.contains(topic) {
                continue;
            }
            let settings = match config::topic_settings(&self.config, image, topic) {
                Ok(settings) => settings,
                Err(error) => {
                    error!(%topic, %error, "the topic keeps its former settings");
                    continue;
                }
            };
            partition.log().update_config(settings.log);
            let topic = image.topics.by_id(partition.topic_id());
            if let Some(registration) = topic.and_then(|topic| topic.partition(*index)) {
                let min = min_in_sync(settings.min_in_sync_replicas, registration);
                partition.set_min_in_sync(min);
            }
        }
    }
}

/// More deleted logs than these are let go of aside.
const LET_GO_AT_ONCE: usize = 16;

/// Whoever closes a deleted file last waits for the disk to free its blocks: for very many files
/// that takes seconds, which nobody who waits for an answer should spend.
fn let_go(logs: Vec<Arc<storage::Log>>) {
    if logs.len() <= LET_GO_AT_ONCE {
        return;
    }
    let thread = std::thread::Builder::new().name("log-purge".into());
    if let Err(error) = thread.spawn(move || drop(logs)) {
        info!(%error, "deleted logs were let go of at once");
    }
}

/// More replicas in sync than there are replicas cannot be asked for (upstream's
/// `effectiveMinIsr`).
fn min_in_sync(configured: i32, registration: &PartitionRegistration) -> i32 {
    configured.min(i32::try_from(registration.replicas.len()).unwrap_or(i32::MAX))
}
