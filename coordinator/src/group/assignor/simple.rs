//! The assignor `simple` of share groups (KIP-932): partitions are shared evenly, and who has one
//! keeps it where that is fair.
//!
//! Invariant: step by step as upstream's, whose walks over hash tables decide who gives what up and
//! who gets it. Where upstream runs past the end of a list, which it does when it was handed
//! partitions that are not to be assigned, this one stops.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use protocol::TopicId;

use super::order::{assigned_partitions, assigned_topics, members};
use super::subscriptions::{group_assignment, partition_count};
use super::{
    Assignor, AssignorError, GroupAssignment, GroupSpec, MemberSpec, SubscriptionType,
    TopicPartitions, TopicView,
};
use crate::java::{HashSetOrder, bucket, expected_table_size, uuid_hash};

pub(crate) struct SimpleAssignor;

type Place = (TopicId, i32);

impl Assignor for SimpleAssignor {
    fn name(&self) -> &'static str {
        "simple"
    }

    fn assign(
        &self,
        spec: &GroupSpec,
        topics: &dyn TopicView,
    ) -> Result<GroupAssignment, AssignorError> {
        let members = members(spec);
        let assigned = match spec.subscription {
            SubscriptionType::Homogeneous => homogeneous(spec, &members, topics)?,
            SubscriptionType::Heterogeneous => heterogeneous(spec, &members, topics)?,
        };
        Ok(group_assignment(&members, assigned.into_iter().map(tidy)))
    }
}

/// No topic without partitions.
fn tidy(mut assigned: TopicPartitions) -> TopicPartitions {
    assigned.retain(|_, partitions| !partitions.is_empty());
    assigned
}

/// All topics at once, among all members.
fn homogeneous(
    spec: &GroupSpec,
    members: &[(&Arc<str>, &MemberSpec)],
    topics: &dyn TopicView,
) -> Result<Vec<TopicPartitions>, AssignorError> {
    let subscribed = members.first().map(|(_, member)| &*member.subscribed);
    let Some(subscribed) = subscribed.filter(|subscribed| !subscribed.is_empty()) else {
        return Ok(vec![TopicPartitions::new(); members.len()]);
    };
    let ids: BTreeSet<TopicId> = subscribed.iter().copied().collect();
    let mut targets = Vec::new();
    for topic_id in subscribed {
        targets.extend(assignable(spec, *topic_id, topics)?);
    }
    let sharers: Vec<usize> = (0..members.len()).collect();
    let mut sharing = Sharing::new(&targets, &sharers, members.len());
    let mut assigned = Vec::with_capacity(members.len());
    for (index, (_, member)) in members.iter().enumerate() {
        for (topic_id, partitions) in assigned_topics(&member.assigned) {
            if ids.contains(&topic_id) {
                let partitions = assigned_partitions(partitions).into_iter();
                partitions.for_each(|partition| sharing.has(index, (topic_id, partition)));
            }
        }
        let mut kept = (*member.assigned).clone();
        kept.retain(|topic_id, _| ids.contains(topic_id));
        assigned.push(kept);
    }
    // As the record of topic id and partition hashes.
    let hash = |(topic_id, partition): &Place| {
        let hash = uuid_hash(topic_id.0).wrapping_mul(31);
        hash.wrapping_add(*partition)
    };
    sharing.balance(&targets, hash, &mut assigned);
    Ok(assigned)
}

/// One topic after the other, each among those who subscribe it. What nobody subscribes any more
/// stays where it is: members are not told of it.
fn heterogeneous(
    spec: &GroupSpec,
    members: &[(&Arc<str>, &MemberSpec)],
    topics: &dyn TopicView,
) -> Result<Vec<TopicPartitions>, AssignorError> {
    let mut sharers_of: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (index, (_, member)) in members.iter().enumerate() {
        for topic_id in &*member.subscribed {
            sharers_of.entry(*topic_id).or_default().push(index);
        }
    }
    let assigned = members.iter().map(|(_, member)| (*member.assigned).clone());
    let mut assigned: Vec<_> = assigned.collect();
    if sharers_of.is_empty() {
        return Ok(vec![TopicPartitions::new(); members.len()]);
    }
    for (topic_id, sharers) in sharers_of {
        let targets = assignable(spec, topic_id, topics)?;
        let mut sharing = Sharing::new(&targets, &sharers, members.len());
        for (index, (_, member)) in members.iter().enumerate() {
            let partitions = member.assigned.get(&topic_id).map(assigned_partitions);
            let partitions = partitions.into_iter().flatten();
            partitions.for_each(|partition| sharing.has(index, (topic_id, partition)));
        }
        sharing.balance(&targets, |(_, partition)| *partition, &mut assigned);
    }
    Ok(assigned)
}

/// The partitions of a topic that are to be shared.
fn assignable(
    spec: &GroupSpec,
    topic_id: TopicId,
    topics: &dyn TopicView,
) -> Result<Vec<Place>, AssignorError> {
    let partitions = 0..partition_count(topics, topic_id)?;
    let assignable = partitions.filter(|partition| spec.is_assignable(topic_id, *partition));
    Ok(assignable.map(|partition| (topic_id, partition)).collect())
}

/// Who shares which partitions, while it is balanced.
struct Sharing {
    /// How many members are to share each partition.
    desired: usize,
    /// How many partitions each member is to have.
    desired_of: Vec<usize>,
    /// In the order in which they were put.
    places: Vec<(Place, HashSetOrder<usize>)>,
    index_of: BTreeMap<Place, usize>,
    has: Vec<HashSetOrder<Place>>,
    counts: Vec<usize>,
}

impl Sharing {
    fn new(targets: &[Place], sharers: &[usize], members: usize) -> Self {
        let desired = match targets.len() {
            0 => 0,
            count => sharers.len().div_ceil(count),
        };
        let mut desired_of = vec![0; members];
        // As many as it comes to, so that all roundings together come to the whole.
        let precise = (desired * targets.len()) as f64 / sharers.len() as f64;
        let until = |count: usize| (precise * count as f64).ceil() as usize;
        for (place, sharer) in sharers.iter().enumerate() {
            desired_of[*sharer] = until(place + 1) - until(place);
        }
        Sharing {
            desired,
            desired_of,
            places: Vec::new(),
            index_of: BTreeMap::new(),
            has: vec![HashSetOrder::default(); members],
            counts: Vec::new(),
        }
    }

    /// A member had a partition so far.
    fn has(&mut self, member: usize, place: Place) {
        let index = self.index_of(place);
        self.places[index].1.put(member);
        self.has[member].put(place);
    }

    fn index_of(&mut self, place: Place) -> usize {
        *self.index_of.entry(place).or_insert_with(|| {
            self.places.push((place, HashSetOrder::default()));
            self.places.len() - 1
        })
    }

    fn balance(
        mut self,
        targets: &[Place],
        hash: impl Fn(&Place) -> i32,
        assigned: &mut [TopicPartitions],
    ) {
        self.revoke_overfilled(&hash, assigned);
        self.counts = self.has.iter().map(HashSetOrder::len).collect();
        self.revoke_overshared(assigned);
        for place in targets {
            self.index_of(*place);
        }
        let table_size = expected_table_size(targets.len(), self.places.len());
        // Upstream put them with computeIfAbsent: in a bucket the last one comes first.
        self.places.reverse();
        self.places
            .sort_by_key(|(place, _)| bucket(hash(place), table_size));
        self.assign_remaining(assigned);
    }

    fn revoke_overfilled(
        &mut self,
        hash: impl Fn(&Place) -> i32,
        assigned: &mut [TopicPartitions],
    ) {
        for (member, has) in self.has.iter_mut().enumerate() {
            for place in has.shorten(self.desired_of[member], &hash) {
                self.places[self.index_of[&place]].1.remove(&member);
                revoke(&mut assigned[member], place);
            }
        }
    }

    fn revoke_overshared(&mut self, assigned: &mut [TopicPartitions]) {
        for (place, sharers) in &mut self.places {
            for member in sharers.shorten(self.desired, |member| *member as i32) {
                revoke(&mut assigned[member], *place);
                self.counts[member] -= 1;
            }
        }
    }

    /// Who lacks partitions takes turns.
    fn assign_remaining(&mut self, assigned: &mut [TopicPartitions]) {
        let members = 0..self.counts.len();
        let is_unfilled = |member: &usize| self.counts[*member] < self.desired_of[*member];
        let mut turns = Turns::of(members.filter(is_unfilled).collect());
        for ((topic_id, partition), sharers) in &self.places {
            let mut missing = self.desired.saturating_sub(sharers.len());
            while missing > 0 {
                let Some(member) = turns.next() else {
                    break;
                };
                if sharers.contains(&member) {
                    continue;
                }
                let partitions = assigned[member].entry(*topic_id).or_default();
                if partitions.insert(*partition) {
                    self.counts[member] += 1;
                }
                missing -= 1;
                let is_filled = self.counts[member] >= self.desired_of[member];
                turns.took(is_filled);
            }
            if turns.unfilled.is_empty() {
                break;
            }
        }
    }
}

fn revoke(assigned: &mut TopicPartitions, (topic_id, partition): Place) {
    if let Some(partitions) = assigned.get_mut(&topic_id) {
        partitions.remove(&partition);
    }
}

/// The members that lack partitions, round and round.
struct Turns {
    unfilled: BTreeSet<usize>,
    last: Option<usize>,
    /// Somebody took one in this round.
    goes_on: bool,
}

impl Turns {
    fn of(unfilled: BTreeSet<usize>) -> Self {
        Turns {
            unfilled,
            last: None,
            goes_on: false,
        }
    }

    /// None at the end of a round in which nobody took anything.
    fn next(&mut self) -> Option<usize> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut next = self.unfilled.range((after, Bound::Unbounded)).next();
        if next.is_none() && self.goes_on {
            self.goes_on = false;
            next = self.unfilled.first();
        }
        self.last = next.copied().or(self.last);
        next.copied()
    }

    /// Whose turn it is took one, and may have all that it is to have.
    fn took(&mut self, is_filled: bool) {
        self.goes_on = true;
        if is_filled && let Some(member) = self.last {
            self.unfilled.remove(&member);
        }
    }
}
