//! The assignor `range`: each topic's partitions in ranges, one for each of its subscribers.
//!
//! Invariant: the members share a topic in one order for all topics, so that topics with as many
//! partitions and the same subscribers are cut at the same places (co-partitioning). Static members
//! come first, by instance id, and so keep their place when they return with another member id.

use std::sync::Arc;

use super::subscriptions::{SubscribedTopic, group_assignment, subscribed_topics};
use super::{
    Assignor, AssignorError, GroupAssignment, GroupSpec, MemberSpec, SubscriptionType,
    TopicPartitions, TopicView,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeAssignor;

impl Assignor for RangeAssignor {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(
        &self,
        spec: &GroupSpec,
        topics: &dyn TopicView,
    ) -> Result<GroupAssignment, AssignorError> {
        let members = in_order(spec);
        let subscriptions = members.iter().map(|(_, member)| match spec.subscription {
            // What the first subscribes stands for all, as upstream has it.
            SubscriptionType::Homogeneous => &members[0].1.subscribed,
            SubscriptionType::Heterogeneous => &member.subscribed,
        });
        let mut assigned = vec![TopicPartitions::new(); members.len()];
        for topic in subscribed_topics(subscriptions, topics)? {
            assign_topic(&topic, &mut assigned);
        }
        Ok(group_assignment(&members, assigned))
    }
}

/// The first subscribers get one partition more where it does not come out even.
fn assign_topic(topic: &SubscribedTopic, assigned: &mut [TopicPartitions]) {
    let subscribers = i32::try_from(topic.subscribers.len()).unwrap_or(i32::MAX);
    let quota = topic.partitions / subscribers;
    let mut extra = topic.partitions % subscribers;
    let mut start = 0;
    for member in &*topic.subscribers {
        let end = start + quota + i32::from(extra > 0);
        if start == end {
            // Nothing is left for the rest, either.
            break;
        }
        extra -= 1;
        assigned[*member].insert(topic.id, (start..end).collect());
        start = end;
    }
}

/// Static members by instance id, then the others by member id.
fn in_order(spec: &GroupSpec) -> Vec<(&Arc<str>, &MemberSpec)> {
    let mut members: Vec<_> = spec.members.iter().collect();
    members.sort_by(|(left_id, left), (right_id, right)| {
        let is_dynamic = |member: &MemberSpec| member.instance_id.is_none();
        is_dynamic(left).cmp(&is_dynamic(right)).then_with(|| {
            let left = left.instance_id.as_ref().unwrap_or(left_id);
            let right = right.instance_id.as_ref().unwrap_or(right_id);
            // Java compares UTF-16 units.
            left.encode_utf16().cmp(right.encode_utf16())
        })
    });
    members
}
