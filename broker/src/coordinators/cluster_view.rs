//! What the groups' shards see of the cluster, and how they hear of changes.
//!
//! Invariant: a shard decides each event by the newest metadata that was published before it. It
//! looks for news when it has something to decide: a change costs nothing where there is nothing
//! to do.

use std::collections::HashMap;
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
    /// Of those groups that set something and were asked for.
    own: RwLock<HashMap<Arc<str>, GroupConfig>>,
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
            own: RwLock::default(),
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
            share_session_timeout_ms: Some(found.share_session_timeout_ms),
            share_heartbeat_interval_ms: Some(found.share_heartbeat_interval_ms),
            share_assignment_interval_ms: Some(found.share_assignment_interval_ms),
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
        let group: Arc<str> = Arc::from(group_id);
        let own = self.image.configs.of(&ConfigResource::Group(group.clone()));
        if own.is_empty() {
            return *self.defaults.get_or_init(|| self.settings(None, own));
        }
        if let Some(known) = self.own.read().get(group_id) {
            return *known;
        }
        let found = self.settings(Some(group_id), own);
        self.own.write().insert(group, found);
        found
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

#[cfg(test)]
mod tests {
    use super::*;
    use metadata::{MetadataDelta, MetadataRecord, Provenance};
    use protocol::{LeaderEpoch, Offset, Timestamp};

    /// The image at `offset`, after these records.
    fn image(offset: i64, records: &[MetadataRecord]) -> Arc<MetadataImage> {
        let mut delta = MetadataDelta::new(Arc::default());
        for record in records {
            delta.replay(record).expect("a record that fits");
        }
        Arc::new(delta.apply(Provenance {
            offset: Some(Offset(offset)),
            epoch: LeaderEpoch(0),
            timestamp: Timestamp(0),
        }))
    }

    fn view(settings: &[(&str, &str)], image: Arc<MetadataImage>) -> ClusterView {
        let config = ServerConfig::ephemeral(settings).expect("settings");
        ClusterView::new(Arc::new(config), image)
    }

    fn config(resource: ConfigResource, name: &str, value: &str) -> MetadataRecord {
        MetadataRecord::Config {
            resource,
            name: name.to_owned(),
            value: Some(value.to_owned()),
        }
    }

    #[test]
    fn a_group_has_its_own_settings_within_the_brokers_bounds_and_else_the_brokers() {
        let group = |name: &str| ConfigResource::Group(Arc::from(name));
        let records = [
            config(group("own"), "consumer.session.timeout.ms", "50000"),
            config(group("low"), "consumer.heartbeat.interval.ms", "1"),
            config(
                ConfigResource::Broker(None),
                "group.consumer.assignment.interval.ms",
                "7000",
            ),
        ];
        let settings = [("group.consumer.heartbeat.interval.ms", "6000")];
        let view = view(&settings, image(1, &records));
        let of = |group: &str| {
            let found = view.group_config(group);
            [
                found.consumer_session_timeout_ms,
                found.consumer_heartbeat_interval_ms,
                found.consumer_assignment_interval_ms,
            ]
            .map(Option::unwrap_or_default)
        };
        for _ in 0..2 {
            assert_eq!(of("none"), [45_000, 6_000, 7_000]);
            assert_eq!(of("own"), [50_000, 6_000, 7_000]);
            assert_eq!(of("low"), [45_000, 5_000, 7_000]);
        }
    }

    #[test]
    fn a_shard_hears_the_newest_state_once_and_of_topics_that_came_in_between() {
        let cluster = Arc::<Cluster>::default();
        let set = |offset, has_new_topics| {
            let view = view(&[], image(offset, &[]));
            cluster.set(Arc::new(view), has_new_topics);
        };
        let heard = |news: &mut News<coordinator::group::GroupShard>| match news() {
            Some(GroupRequest::MetadataChanged(change)) => {
                Some((change.view.version(), change.has_new_topics))
            }
            Some(other) => panic!("{other:?}"),
            None => None,
        };
        let mut early = cluster.news(None);
        assert_eq!(heard(&mut early), None);
        set(3, false);
        assert_eq!(heard(&mut early), Some((3, true)));
        assert_eq!(heard(&mut early), None);
        let known = cluster.view();
        let mut late = cluster.news(known.as_deref());
        assert_eq!(heard(&mut late), None);
        set(4, true);
        set(5, false);
        assert_eq!(heard(&mut early), Some((5, true)));
        set(6, false);
        assert_eq!(heard(&mut early), Some((6, false)));
        assert_eq!(heard(&mut late), Some((6, true)));
    }
}
