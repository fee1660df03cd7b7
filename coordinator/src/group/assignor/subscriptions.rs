//! Who subscribes which topic.
//!
//! Invariant: members whose subscription is one and the same `Arc` are looked at once together, and
//! topics with the same subscribers share the list of them: a thousand members that subscribe ten
//! thousand topics cost no ten million entries.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use protocol::TopicId;

use super::{AssignorError, GroupAssignment, MemberSpec, TopicPartitions, TopicView};

/// A topic that somebody subscribes.
#[derive(Debug)]
pub(super) struct SubscribedTopic {
    pub(super) id: TopicId,
    pub(super) partitions: i32,
    /// Places in the list of members, ascending.
    pub(super) subscribers: Rc<[usize]>,
}

/// The topics that these subscriptions name, by id. One subscription after the other is that of the
/// members in their order.
pub(super) fn subscribed_topics<'a>(
    subscriptions: impl Iterator<Item = &'a Arc<[TopicId]>>,
    topics: &dyn TopicView,
) -> Result<Vec<SubscribedTopic>, AssignorError> {
    let mut members_of_class = Vec::<Vec<usize>>::new();
    let mut class_of = HashMap::<*const TopicId, usize>::new();
    let mut classes_of_topic = BTreeMap::<TopicId, Vec<usize>>::new();
    for (member, subscription) in subscriptions.enumerate() {
        if subscription.is_empty() {
            continue;
        }
        let class = *class_of.entry(subscription.as_ptr()).or_insert_with(|| {
            let class = members_of_class.len();
            members_of_class.push(Vec::new());
            for topic_id in &**subscription {
                classes_of_topic.entry(*topic_id).or_default().push(class);
            }
            class
        });
        members_of_class[class].push(member);
    }
    let mut subscribers_of = HashMap::<Vec<usize>, Rc<[usize]>>::new();
    let topics = classes_of_topic.into_iter().map(|(id, classes)| {
        let partitions = partition_count(topics, id)?;
        let subscribers = subscribers_of.entry(classes).or_insert_with_key(|classes| {
            let members = classes.iter().flat_map(|class| &members_of_class[*class]);
            let mut members: Vec<_> = members.copied().collect();
            members.sort_unstable();
            members.dedup();
            members.into()
        });
        Ok(SubscribedTopic {
            id,
            partitions,
            subscribers: subscribers.clone(),
        })
    });
    topics.collect()
}

pub(super) fn partition_count(
    topics: &dyn TopicView,
    topic_id: TopicId,
) -> Result<i32, AssignorError> {
    topics
        .partition_count(topic_id)
        .map(|count| count.max(0))
        .ok_or(AssignorError::UnknownTopic(topic_id))
}

/// Each member with what it was assigned. One that has what it had keeps that very `Arc`.
pub(super) fn group_assignment(
    members: &[(&Arc<str>, &MemberSpec)],
    assigned: impl IntoIterator<Item = TopicPartitions>,
) -> GroupAssignment {
    let pairs = members.iter().zip(assigned);
    let pairs = pairs.map(|((member_id, member), assigned)| {
        let assigned = if assigned == *member.assigned {
            member.assigned.clone()
        } else {
            Arc::new(assigned)
        };
        (Arc::clone(member_id), assigned)
    });
    pairs.collect()
}
