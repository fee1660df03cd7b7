//! Server-side assignors: which member of a group is to have which partitions.
//!
//! Invariant: pure. The same group gives the same assignment, and no assignment names a topic
//! without partitions. In a consumer group each partition of a subscribed topic goes to exactly one
//! member that subscribes it; members of a share group (KIP-932) share partitions.
//!
//! Nothing here knows of racks: upstream's assignors stopped looking at them.

mod order;
pub(crate) mod range;
pub(crate) mod simple;
mod subscriptions;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::TopicId;

/// Partitions by topic. A topic without partitions is not in it.
pub(crate) type TopicPartitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// What the assignors have to know of the cluster's topics: one state of them, which does not
/// change while it is looked at.
pub trait TopicView {
    fn topic_id(&self, name: &str) -> Option<TopicId>;

    /// None for a topic that is not there.
    fn partition_count(&self, topic_id: TopicId) -> Option<i32>;
}

/// Whether all members subscribe the same topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionType {
    Homogeneous,
    Heterogeneous,
}

/// A member as an assignor sees it.
#[derive(Clone, Debug)]
pub(crate) struct MemberSpec {
    pub(crate) instance_id: Option<Arc<str>>,
    /// Each topic once. Their order decides where upstream's depends on that of a set of names.
    pub(crate) subscribed: Arc<[TopicId]>,
    /// The target assignment it has so far.
    pub(crate) assigned: Arc<TopicPartitions>,
}

/// What is to be assigned: the members by id.
#[derive(Clone, Debug)]
pub(crate) struct GroupSpec {
    pub(crate) members: BTreeMap<Arc<str>, MemberSpec>,
    pub(crate) subscription: SubscriptionType,
    /// Set for a share group: no other partitions are given out.
    pub(crate) assignable: Option<Arc<TopicPartitions>>,
}

impl GroupSpec {
    fn is_assignable(&self, topic_id: TopicId, partition: i32) -> bool {
        self.assignable.as_ref().is_none_or(|assignable| {
            let partitions = assignable.get(&topic_id);
            partitions.is_some_and(|partitions| partitions.contains(&partition))
        })
    }
}

/// The assignment of each member by its id. A member that is missing here has none.
pub(crate) type GroupAssignment = BTreeMap<Arc<str>, Arc<TopicPartitions>>;

/// Why nothing could be assigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AssignorError {
    #[error("members subscribe the topic {0}, which does not exist; subscribe topics that do")]
    UnknownTopic(TopicId),
}

/// A way to share out partitions.
pub(crate) trait Assignor: Send + Sync {
    /// As in `group.consumer.assignors` and in a member's heartbeat.
    fn name(&self) -> &'static str;

    fn assign(
        &self,
        spec: &GroupSpec,
        topics: &dyn TopicView,
    ) -> Result<GroupAssignment, AssignorError>;
}

/// Those of consumer groups, the first is what a group has unless it is configured otherwise.
pub(crate) const ASSIGNORS: [&dyn Assignor; 2] = [&uniform::UniformAssignor, &range::RangeAssignor];

pub(crate) fn assignor(name: &str) -> Option<&'static dyn Assignor> {
    ASSIGNORS
        .into_iter()
        .find(|assignor| assignor.name() == name)
}
