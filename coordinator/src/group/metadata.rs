//! What groups know of the cluster: its topics, and the settings of single groups.
//!
//! Invariant: a view does not change; the runtime hands the shard a new one, as an event, whenever
//! the metadata changed. The hash of a group's topics is upstream's to the bit, since it is stored.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use protocol::TopicId;
use twox_hash::XxHash3_64;

use super::assignor::TopicView;

/// The version of what is hashed.
const HASH_VERSION: u8 = 0;

/// One state of the cluster's metadata.
pub trait MetadataView: TopicView + fmt::Debug + Send + Sync {
    /// Grows with every change, as the offset of the metadata log does.
    fn version(&self) -> i64;

    /// None for a topic that is not there.
    fn topic_name(&self, topic_id: TopicId) -> Option<Arc<str>>;

    fn topic_names(&self) -> Box<dyn Iterator<Item = &str> + '_>;

    /// The racks of a partition's replicas, as far as they are known.
    fn racks(&self, topic_id: TopicId, partition: i32) -> Vec<Arc<str>>;

    /// What is set for one group (`kafka-configs --entity-type groups`).
    fn group_config(&self, group_id: &str) -> GroupConfig;
}

/// The settings of one group. Where there is none, the broker's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupConfig {
    /// `consumer.session.timeout.ms`
    pub consumer_session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`
    pub consumer_assignment_interval_ms: Option<i32>,
    /// `share.session.timeout.ms`
    pub share_session_timeout_ms: Option<i32>,
    /// `share.heartbeat.interval.ms`
    pub share_heartbeat_interval_ms: Option<i32>,
    /// `share.assignment.interval.ms`
    pub share_assignment_interval_ms: Option<i32>,
}

/// The metadata is another now. For every shard.
#[derive(Clone, Debug)]
pub struct MetadataChange {
    pub view: Arc<dyn MetadataView>,
    /// Topics were created: regular expressions may match more than they did.
    pub has_new_topics: bool,
}

impl PartialEq for MetadataChange {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.view, &other.view) && self.has_new_topics == other.has_new_topics
    }
}

/// Before any metadata is known: no topic, no setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoMetadata;

impl TopicView for NoMetadata {
    fn topic_id(&self, _: &str) -> Option<TopicId> {
        None
    }

    fn partition_count(&self, _: TopicId) -> Option<i32> {
        None
    }
}

impl MetadataView for NoMetadata {
    fn version(&self) -> i64 {
        -1
    }

    fn topic_name(&self, _: TopicId) -> Option<Arc<str>> {
        None
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }

    fn racks(&self, _: TopicId, _: i32) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn group_config(&self, _: &str) -> GroupConfig {
        GroupConfig::default()
    }
}

/// The hash of those of these topics that exist; 0 where none does.
pub(crate) fn metadata_hash(topics: &BTreeSet<Arc<str>>, view: &dyn MetadataView) -> i64 {
    let mut bytes = Vec::new();
    for name in topics {
        if let Some(topic_id) = view.topic_id(name) {
            let hash = topic_hash(name, topic_id, view);
            bytes.extend_from_slice(&hash.to_le_bytes());
        }
    }
    if bytes.is_empty() {
        return 0;
    }
    XxHash3_64::oneshot(&bytes) as i64
}

fn topic_hash(name: &str, topic_id: TopicId, view: &dyn MetadataView) -> u64 {
    let partitions = view.partition_count(topic_id).unwrap_or(0);
    let mut bytes = vec![HASH_VERSION];
    let (most, least) = topic_id.0.as_u64_pair();
    bytes.extend_from_slice(&most.to_le_bytes());
    bytes.extend_from_slice(&least.to_le_bytes());
    put_text(&mut bytes, name);
    bytes.extend_from_slice(&partitions.to_le_bytes());
    for partition in 0..partitions {
        bytes.extend_from_slice(&partition.to_le_bytes());
        let mut racks = view.racks(topic_id, partition);
        racks.sort_unstable();
        for rack in racks {
            let units = rack.encode_utf16().count() as i32;
            bytes.extend_from_slice(&units.to_le_bytes());
            put_text(&mut bytes, &rack);
        }
    }
    XxHash3_64::oneshot(&bytes)
}

/// A text as the hashing library of upstream takes it: UTF-16, then how many units.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let mut units = 0i32;
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
        units += 1;
    }
    bytes.extend_from_slice(&units.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// The topics of the broker whose records are in the tests' fixtures.
    #[derive(Debug)]
    struct Upstream;

    const FOO: TopicId = TopicId(Uuid::from_u128(0xeda907eef4ad4dacb506d8ffdb5acd88));
    const BAR: TopicId = TopicId(Uuid::from_u128(0x77d5726e4d2d4873940957ffa5861c73));

    impl TopicView for Upstream {
        fn topic_id(&self, name: &str) -> Option<TopicId> {
            match name {
                "foo" => Some(FOO),
                "bar" => Some(BAR),
                _ => None,
            }
        }

        fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
            Some(if topic_id == FOO { 3 } else { 2 })
        }
    }

    impl MetadataView for Upstream {
        fn version(&self) -> i64 {
            0
        }

        fn topic_name(&self, _: TopicId) -> Option<Arc<str>> {
            None
        }

        fn topic_names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
            Box::new(["bar", "foo"].into_iter())
        }

        fn racks(&self, _: TopicId, _: i32) -> Vec<Arc<str>> {
            Vec::new()
        }

        fn group_config(&self, _: &str) -> GroupConfig {
            GroupConfig::default()
        }
    }

    fn hash_of(names: &[&str]) -> i64 {
        let names = names.iter().map(|name| Arc::from(*name)).collect();
        metadata_hash(&names, &Upstream)
    }

    #[test]
    fn topics_hash_as_upstream_hashed_them() {
        assert_eq!(hash_of(&["foo"]), 0x35d4ef917df289ab);
        assert_eq!(hash_of(&["foo", "bar"]), 0x36e4b5450b004653);
    }

    #[test]
    fn topics_that_do_not_exist_are_not_hashed() {
        assert_eq!(hash_of(&["foo", "gone"]), hash_of(&["foo"]));
        assert_eq!(hash_of(&["gone"]), 0);
        assert_eq!(hash_of(&[]), 0);
    }
}
