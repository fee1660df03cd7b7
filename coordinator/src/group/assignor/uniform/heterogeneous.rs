//! `uniform` where members subscribe different topics.
//!
//! Invariant: `loads` is how many partitions each member owns, and a partition's owner subscribes
//! its topic.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use protocol::TopicId;

use super::balancer::Balancer;
use crate::group::assignor::subscriptions::{SubscribedTopic, group_assignment, subscribed_topics};
use crate::group::assignor::{
    AssignorError, GroupAssignment, GroupSpec, MemberSpec, TopicPartitions, TopicView, order,
};

/// Where subscriptions overlap, better balance of one topic can make another one worse. Upstream
/// stops after as many rounds over all topics.
const ROUNDS_MAX: usize = 16;

pub(super) fn assign(
    spec: &GroupSpec,
    topics: &dyn TopicView,
) -> Result<GroupAssignment, AssignorError> {
    let members = order::members(spec);
    let subscriptions = members.iter().map(|(_, member)| &member.subscribed);
    let topics = subscribed_topics(subscriptions, topics)?;
    let mut builder = Builder {
        topics: topics.into_iter().map(Topic::from).collect(),
        loads: vec![0; members.len()],
    };
    if builder.topics.is_empty() {
        return Ok(GroupAssignment::new());
    }
    builder.keep_assigned(&members);
    // Those that leave least choice come first.
    builder.topics.sort_by(Topic::compare);
    let mut balancer = Balancer::default();
    builder.assign_unassigned(&mut balancer);
    builder.balance(&mut balancer);
    Ok(builder.finish(&members))
}

struct Builder {
    topics: Vec<Topic>,
    /// By member, as the indices below.
    loads: Vec<usize>,
}

struct Topic {
    id: TopicId,
    /// Members, ascending.
    subscribers: Rc<[usize]>,
    /// The member that owns each partition.
    owners: Vec<Option<usize>>,
}

impl From<SubscribedTopic> for Topic {
    fn from(topic: SubscribedTopic) -> Self {
        Topic {
            id: topic.id,
            subscribers: topic.subscribers,
            owners: vec![None; usize::try_from(topic.partitions).unwrap_or(0)],
        }
    }
}

impl Topic {
    /// Those with most partitions per subscriber first, then those with fewest subscribers.
    fn compare(&self, other: &Self) -> Ordering {
        let per_subscriber = |topic: &Topic| {
            // As upstream: in this, 1/3 and 10/30 are the same.
            topic.owners.len() as f64 / topic.subscribers.len() as f64
        };
        per_subscriber(other)
            .total_cmp(&per_subscriber(self))
            .then_with(|| self.subscribers.len().cmp(&other.subscribers.len()))
            .then_with(|| order::topic_id_key(self.id).cmp(&order::topic_id_key(other.id)))
    }
}

impl Builder {
    /// Whoever owns what it subscribes keeps it for now.
    fn keep_assigned(&mut self, members: &[(&Arc<str>, &MemberSpec)]) {
        for (index, (_, member)) in members.iter().enumerate() {
            for (topic_id, partitions) in &*member.assigned {
                // They are still in the order of their ids.
                let Ok(topic) = self.topics.binary_search_by_key(topic_id, |topic| topic.id) else {
                    continue;
                };
                let topic = &mut self.topics[topic];
                if topic.subscribers.binary_search(&index).is_err() {
                    continue;
                }
                for partition in partitions {
                    let owner = usize::try_from(*partition)
                        .ok()
                        .and_then(|partition| topic.owners.get_mut(partition));
                    if let Some(owner @ None) = owner {
                        *owner = Some(index);
                        self.loads[index] += 1;
                    }
                }
            }
        }
    }

    fn assign_unassigned(&mut self, balancer: &mut Balancer) {
        for topic in &mut self.topics {
            if topic.owners.iter().all(Option::is_some) {
                continue;
            }
            balancer.start(&topic.subscribers, &self.loads);
            for owner in &mut topic.owners {
                if owner.is_none()
                    && let Some(member) = balancer.next_least_loaded(&self.loads)
                {
                    *owner = Some(member);
                    self.loads[member] += 1;
                }
            }
        }
    }

    /// Moves partitions until a whole round over the topics moved none.
    fn balance(&mut self, balancer: &mut Balancer) {
        let mut last_moved = None;
        let mut owned = Owned::default();
        for _ in 0..ROUNDS_MAX {
            for (index, topic) in self.topics.iter_mut().enumerate() {
                if topic.subscribers.len() < 2 {
                    continue;
                }
                if last_moved == Some(index) {
                    return;
                }
                let moved = balance_topic(topic, &mut self.loads, balancer, &mut owned);
                if moved || last_moved.is_none() {
                    last_moved = Some(index);
                }
            }
        }
    }

    fn finish(&self, members: &[(&Arc<str>, &MemberSpec)]) -> GroupAssignment {
        let mut assigned = vec![TopicPartitions::new(); members.len()];
        for topic in &self.topics {
            let mut of_topic = BTreeMap::<usize, BTreeSet<i32>>::new();
            for (partition, owner) in (0..).zip(&topic.owners) {
                if let Some(owner) = owner {
                    of_topic.entry(*owner).or_default().insert(partition);
                }
            }
            for (owner, partitions) in of_topic {
                assigned[owner].insert(topic.id, partitions);
            }
        }
        group_assignment(members, assigned)
    }
}

/// The partitions of one topic by member, each member's ascending.
#[derive(Default)]
struct Owned(BTreeMap<usize, Vec<usize>>);

impl Owned {
    fn fill(&mut self, topic: &Topic) {
        self.0.clear();
        for (partition, owner) in topic.owners.iter().enumerate() {
            if let Some(owner) = owner {
                self.0.entry(*owner).or_default().push(partition);
            }
        }
    }

    /// Its last one.
    fn take(&mut self, member: usize) -> Option<usize> {
        self.0.get_mut(&member)?.pop()
    }
}

/// Moves partitions of one topic from those who have most to those who have least, of all they own.
fn balance_topic(
    topic: &mut Topic,
    loads: &mut [usize],
    balancer: &mut Balancer,
    owned: &mut Owned,
) -> bool {
    // Most topics are even, and to see that takes no sorting.
    let range = topic.subscribers.iter().map(|member| loads[*member]);
    let (least, most) = (range.clone().min(), range.max());
    if most
        .zip(least)
        .is_none_or(|(most, least)| most - least <= 1)
    {
        return false;
    }
    balancer.start(&topic.subscribers, loads);
    owned.fill(topic);
    let mut moved = false;
    loop {
        let (giver, partition) = loop {
            let Some(giver) = balancer.next_most_loaded(loads) else {
                return moved;
            };
            match owned.take(giver) {
                Some(partition) => break (giver, partition),
                None => balancer.exclude_most_loaded(),
            }
        };
        let Some(taker) = balancer.next_least_loaded(loads) else {
            return moved;
        };
        if balancer.is_balanced() {
            return moved;
        }
        topic.owners[partition] = Some(taker);
        loads[giver] -= 1;
        loads[taker] += 1;
        moved = true;
    }
}
