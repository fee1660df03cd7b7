//! `uniform` where all members subscribe the same topics.
//!
//! Invariant: no two members differ by more than one partition, and a member gives up only what is
//! above its share or no longer subscribed.

use std::collections::{BTreeMap, BTreeSet};

use protocol::TopicId;

use crate::group::assignor::subscriptions::{group_assignment, partition_count};
use crate::group::assignor::{
    AssignorError, GroupAssignment, GroupSpec, MemberSpec, TopicPartitions, TopicView, order,
};

pub(super) fn assign(
    spec: &GroupSpec,
    topics: &dyn TopicView,
) -> Result<GroupAssignment, AssignorError> {
    let members = order::members(spec);
    let subscribed = members.first().map(|(_, member)| &*member.subscribed);
    let subscribed = order::copied_topics(subscribed.unwrap_or_default());
    if subscribed.is_empty() {
        return Ok(GroupAssignment::new());
    }
    let mut free = Free::new(&subscribed, topics)?;
    let owned: Vec<_> = members
        .iter()
        .map(|(_, member)| free.claim(member))
        .collect();
    let mut unassigned = free.unclaimed(&subscribed);
    let mut quotas = Quotas::new(free.partitions, members.len());

    let mut kept = Vec::with_capacity(members.len());
    for ((_, member), owned) in members.iter().zip(owned) {
        kept.push(quotas.apply(member, owned, &mut unassigned));
    }
    let mut unassigned = unassigned.as_slice();
    let assigned = kept.into_iter().map(|(mut kept, room)| {
        let (given, rest) = unassigned.split_at(room.min(unassigned.len()));
        unassigned = rest;
        // Topic by topic: most members get a run of partitions of one topic.
        for given in given.chunk_by(|left, right| left.0 == right.0) {
            if let Some((topic_id, _)) = given.first() {
                let partitions = given.iter().map(|(_, partition)| *partition);
                kept.entry(*topic_id).or_default().extend(partitions);
            }
        }
        kept
    });
    Ok(group_assignment(&members, assigned))
}

/// The partitions that nobody has claimed.
struct Free {
    is_free: BTreeMap<TopicId, Vec<bool>>,
    /// All there are, claimed or not.
    partitions: usize,
}

impl Free {
    fn new(subscribed: &[TopicId], topics: &dyn TopicView) -> Result<Self, AssignorError> {
        let mut free = Free {
            is_free: BTreeMap::new(),
            partitions: 0,
        };
        for topic_id in subscribed {
            let partitions = usize::try_from(partition_count(topics, *topic_id)?).unwrap_or(0);
            free.partitions += partitions;
            free.is_free.insert(*topic_id, vec![true; partitions]);
        }
        Ok(free)
    }

    /// What of a member's assignment is still there and subscribed, and not another's: upstream
    /// trusts its records in that, and could give a partition to nobody or to two.
    fn claim(&mut self, member: &MemberSpec) -> TopicPartitions {
        let mut owned = TopicPartitions::new();
        for (topic_id, partitions) in &*member.assigned {
            let Some(is_free) = self.is_free.get_mut(topic_id) else {
                continue;
            };
            let claimed: BTreeSet<i32> = partitions
                .iter()
                .filter(|partition| {
                    usize::try_from(**partition)
                        .ok()
                        .and_then(|partition| is_free.get_mut(partition))
                        .is_some_and(std::mem::take)
                })
                .copied()
                .collect();
            if !claimed.is_empty() {
                owned.insert(*topic_id, claimed);
            }
        }
        owned
    }

    fn unclaimed(&self, subscribed: &[TopicId]) -> Vec<(TopicId, i32)> {
        let of_topic = |topic_id: &TopicId| {
            let topic_id = *topic_id;
            let is_free = self.is_free.get(&topic_id).into_iter().flatten();
            (0..)
                .zip(is_free)
                .filter(|(_, is_free)| **is_free)
                .map(move |(partition, _)| (topic_id, partition))
        };
        subscribed.iter().flat_map(of_topic).collect()
    }
}

/// How many partitions each member is to have.
struct Quotas {
    least: usize,
    /// So many members more are to have one more.
    extra: usize,
    /// So many members were not asked yet.
    members: usize,
}

impl Quotas {
    fn new(partitions: usize, members: usize) -> Self {
        Quotas {
            least: partitions / members.max(1),
            extra: partitions % members.max(1),
            members,
        }
    }

    /// What the next member keeps, and how many it is to get besides.
    fn apply(
        &mut self,
        member: &MemberSpec,
        mut owned: TopicPartitions,
        released: &mut Vec<(TopicId, i32)>,
    ) -> (TopicPartitions, usize) {
        let mut has_extra = self.extra > 0;
        let mut room = self.least + usize::from(has_extra);
        let count: usize = owned.values().map(BTreeSet::len).sum();
        if count <= room {
            room -= count;
        } else {
            release(member, &mut owned, &mut room, released);
        }
        // Who would have to be given its extra partition leaves it to those who may own one
        // already, as long as there are enough of them.
        if room > 0 && has_extra && self.members > self.extra {
            room -= 1;
            has_extra = false;
        }
        self.members = self.members.saturating_sub(1);
        self.extra -= usize::from(has_extra);
        (owned, room)
    }
}

/// Takes partitions away that are too many: of the topics that do not fit in whole, the last.
fn release(
    member: &MemberSpec,
    owned: &mut TopicPartitions,
    room: &mut usize,
    released: &mut Vec<(TopicId, i32)>,
) {
    for (topic_id, assigned) in order::assigned_topics(&member.assigned) {
        let Some(partitions) = owned.get_mut(&topic_id) else {
            continue;
        };
        if partitions.len() <= *room {
            *room -= partitions.len();
            continue;
        }
        let mut in_order = order::assigned_partitions(assigned);
        in_order.retain(|partition| partitions.contains(partition));
        for partition in in_order.into_iter().skip(std::mem::take(room)) {
            partitions.remove(&partition);
            released.push((topic_id, partition));
        }
        if partitions.is_empty() {
            owned.remove(&topic_id);
        }
    }
}
