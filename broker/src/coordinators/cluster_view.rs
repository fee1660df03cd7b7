//! What the groups' shards see of the cluster, and how they hear of changes.
//!
//! Invariant: a shard decides each event by the newest metadata that was published before it. It
//! looks for news when it has something to decide: a change costs nothing where there is nothing
//! to do.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use coordinator::group::{GroupConfig, GroupRequest, MetadataChange, MetadataView, TopicView};
use metadata::config::{ConfigError, ConfigMap};
use metadata::{ConfigResource, MetadataImage};
use parking_lot::RwLock;
use protocol::TopicId;
use tracing::error;

use super::runtime::News;
use crate::config::{self, ServerConfig};

/// The version before anything is published.
const NOTHING: i64 = -1;

/// One state of the cluster, for groups.
pub(crate) struct ClusterView {
    config: Arc<ServerConfig>,
    image: Arc<MetadataImage>,
    /// Of groups that set nothing: what the broker's settings come to.
    defaults: OnceLock<GroupConfig>,
}

impl std::fmt::Debug for ClusterView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClusterView").field(&self.version()).finish()
    }
}

impl ClusterView {
    pub(crate) fn new(config: Arc<ServerConfig>, image: Arc<MetadataImage>) -> ClusterView {
        ClusterView {
            config,
            image,
            defaults: OnceLock::new(),
        }
    }

    /// What was set was checked then; should it not be readable, the broker's start counts.
    fn settings(&self, group: Option<&str>, own: Arc<ConfigMap>) -> GroupConfig {
        self.try_settings(own).unwrap_or_else(|error| {
            error!(group, %error, "a group's settings are refused");
            GroupConfig::default()
        })
    }

    fn try_settings(&self, own: Arc<ConfigMap>) -> Result<GroupConfig, ConfigError> {
        let layers = config::broker_layers(&self.config, &self.image).with_overrides(own);
        let found = metadata::config::GroupConfig::within_bounds(&layers)?;
        Ok(GroupConfig {
            consumer_session_timeout_ms: Some(found.consumer_session_timeout_ms),
            consumer_heartbeat_interval_ms: Some(found.consumer_heartbeat_interval_ms),
            consumer_assignment_interval_ms: Some(found.consumer_assignment_interval_ms),
        })
    }
}

impl TopicView for ClusterView {
    fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.image.topics.by_name(name).map(|topic| topic.id)
    }

    fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
        let topic = self.image.topics.by_id(topic_id)?;
        Some(topic.partition_count())
    }
}

impl MetadataView for ClusterView {
    fn version(&self) -> i64 {
        let offset = self.image.provenance.offset;
        offset.map_or(NOTHING, |offset| offset.0)
    }

    fn topic_name(&self, topic_id: TopicId) -> Option<Arc<str>> {
        let topic = self.image.topics.by_id(topic_id)?;
        Some(topic.name.clone())
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.image.topics.iter().map(|topic| &*topic.name))
    }

    fn racks(&self, topic_id: TopicId, partition: i32) -> Vec<Arc<str>> {
        let topic = self.image.topics.by_id(topic_id);
        let Some(partition) = topic.and_then(|topic| topic.partition(partition)) else {
            return Vec::new();
        };
        let brokers = partition.replicas.iter();
        let brokers = brokers.filter_map(|id| self.image.cluster.broker(*id));
        let racks = brokers.filter_map(|broker| broker.rack.as_deref());
        racks.map(Arc::from).collect()
    }

    fn group_config(&self, group_id: &str) -> GroupConfig {
        let own = self
            .image
            .configs
            .of(&ConfigResource::Group(Arc::from(group_id)));
        if own.is_empty() {
            return *self.defaults.get_or_init(|| self.settings(None, own));
        }
        self.settings(Some(group_id), own)
    }
}

/// The newest state of the cluster, for all shards.
#[derive(Default)]
pub(super) struct Cluster {
    latest: RwLock<Option<Latest>>,
    /// That of `latest`, so that who has seen it need not take the lock.
    version: AtomicI64,
}

struct Latest {
    view: Arc<dyn MetadataView>,
    /// The version in which topics were created last.
    new_topics: i64,
}

impl Cluster {
    /// The metadata is another now.
    pub(super) fn set(&self, view: Arc<dyn MetadataView>, has_new_topics: bool) {
        let version = view.version();
        let mut latest = self.latest.write();
        let new_topics = match &*latest {
            Some(former) if !has_new_topics => former.new_topics,
            Some(_) | None => version,
        };
        *latest = Some(Latest { view, new_topics });
        // Under the lock: versions are seen in their order.
        self.version.store(version, Ordering::Release);
    }

    /// What is known now, if anything is.
    pub(super) fn view(&self) -> Option<Arc<dyn MetadataView>> {
        let latest = self.latest.read();
        latest.as_ref().map(|latest| latest.view.clone())
    }

    /// What a shard that knows `known` has to be told, event by event.
    pub(super) fn news(
        self: &Arc<Self>,
        known: Option<&dyn MetadataView>,
    ) -> News<coordinator::group::GroupShard> {
        let cluster = self.clone();
        let mut known = known.map_or(NOTHING, MetadataView::version);
        Box::new(move || {
            if cluster.version.load(Ordering::Acquire) == known {
                return None;
            }
            let latest = cluster.latest.read();
            let Latest { view, new_topics } = latest.as_ref()?;
            let has_new_topics = *new_topics > known;
            known = view.version();
            Some(GroupRequest::MetadataChanged(MetadataChange {
                view: view.clone(),
                has_new_topics,
            }))
        })
    }
}
