//! One consumer group (KIP-848): its epochs, its members, what each is to have and has.
//!
//! Invariant: all but [`Soft`] is what the records say, whatever their order was; it changes in
//! `replay` alone. A partition is in the hands of one member at a time, and `owners` knows whose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use protocol::{Timestamp, TopicId};

use super::super::assignor::{GroupAssignment, TopicPartitions};
use super::super::epochs::{
    Epochs, GroupEpochValue, MetadataRefresh, TargetAssignmentMetadataValue,
};
use super::member::{Assignment, Member};
use super::record::{
    ConsumerGroupEntry, ConsumerGroupRecord, RegularExpressionValue, assigned_topics, target_from,
};
use crate::java::hash_map_bucket;

/// How a group is called that is where all of it should be, or how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    /// The target assignment is behind the group.
    Assigning,
    /// A member is behind the target assignment.
    Reconciling,
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Assigning => "Assigning",
            State::Reconciling => "Reconciling",
            State::Stable => "Stable",
        }
    }
}

/// A member, and which of its records there are.
#[derive(Clone, Debug)]
struct Known {
    member: Member,
    has_metadata: bool,
    has_current: bool,
}

/// When a regular expression was resolved, and with which metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedAt {
    pub(crate) version: i64,
    pub(crate) timestamp: Timestamp,
}

/// What a group knows besides its records. It is lost with the shard, and nothing rests on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Soft {
    pub(crate) metadata_refresh: Option<MetadataRefresh>,
    /// The epochs that members have to leave before their rebalance timers come due.
    pub(crate) rebalance_epochs: BTreeMap<Arc<str>, i32>,
}

#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroup {
    pub(crate) id: Arc<str>,
    pub(crate) epochs: Epochs,
    /// A record of before 4.1.
    partition_metadata: Option<Bytes>,
    members: BTreeMap<Arc<str>, Known>,
    /// Instance id to member id.
    pub(crate) static_members: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) target: GroupAssignment,
    /// The topics of each regular expression.
    pub(crate) resolved: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(crate) resolved_at: BTreeMap<Arc<str>, ResolvedAt>,
    owners: BTreeMap<TopicId, BTreeMap<i32, Arc<str>>>,
    pub(crate) soft: Soft,
}

impl ConsumerGroup {
    pub(crate) fn new(id: Arc<str>) -> Self {
        ConsumerGroup {
            id,
            epochs: Epochs::default(),
            partition_metadata: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            target: GroupAssignment::new(),
            resolved: BTreeMap::new(),
            resolved_at: BTreeMap::new(),
            owners: BTreeMap::new(),
            soft: Soft::default(),
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epochs.epoch()
    }

    pub(crate) fn metadata_hash(&self) -> i64 {
        self.epochs.metadata_hash()
    }

    pub(crate) fn assignment_epoch(&self) -> i32 {
        self.epochs.assignment_epoch()
    }

    pub(crate) fn has_partition_metadata(&self) -> bool {
        self.partition_metadata.is_some()
    }

    pub(crate) fn member(&self, member_id: &str) -> Option<&Member> {
        self.members.get(member_id).map(|known| &known.member)
    }

    pub(crate) fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.member(self.static_members.get(instance_id)?)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(|known| &known.member)
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn state(&self) -> State {
        let epoch = self.assignment_epoch();
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch() > epoch {
            State::Assigning
        } else if self.members().all(|member| member.is_reconciled_to(epoch)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// Whether a partition is in the hands of a member.
    pub(crate) fn is_owned(&self, topic_id: TopicId, partition: i32) -> bool {
        let partitions = self.owners.get(&topic_id);
        partitions.is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// The target assignment of a member; one that replaces a static member inherits its.
    pub(crate) fn target_of(&self, member: &Member) -> Arc<TopicPartitions> {
        let holder = match &member.instance_id {
            None => Some(&member.id),
            Some(instance_id) => self.static_members.get(instance_id),
        };
        let target = holder.and_then(|member_id| self.target.get(member_id));
        target.cloned().unwrap_or_default()
    }

    /// How many members subscribe a regular expression.
    pub(crate) fn regex_subscribers(&self, regex: &str) -> usize {
        let subscribes = |member: &&Member| member.regex().is_some_and(|own| **own == *regex);
        self.members().filter(subscribes).count()
    }

    pub(crate) fn subscribed_regexes(&self) -> BTreeSet<Arc<str>> {
        self.members()
            .filter_map(|member| member.regex().cloned())
            .collect()
    }

    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members()
            .any(|member| member.subscribed_topic_names.contains(topic))
            || self.subscribed_regexes().iter().any(|regex| {
                let topics = self.resolved.get(regex);
                topics.is_some_and(|topics| topics.contains(topic))
            })
    }

    /// The assignor that most members ask for, if any does.
    pub(crate) fn preferred_assignor<'a>(
        members: impl Iterator<Item = &'a Member>,
    ) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for assignor in members.filter_map(|member| member.server_assignor.as_ref()) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        let names = votes.len();
        let first = votes.into_iter().filter(|(_, count)| *count == most);
        // Of equals upstream takes the first that a walk over its HashMap meets.
        first
            .map(|(name, _)| name.clone())
            .min_by_key(|name| hash_map_bucket(name, names))
    }

    /// Whether no record is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.epochs.is_none()
            && self.partition_metadata.is_none()
            && self.members.is_empty()
            && self.target.is_empty()
            && self.resolved.is_empty()
    }

    pub(crate) fn replay(&mut self, entry: &ConsumerGroupEntry) {
        match entry {
            ConsumerGroupEntry::Metadata(value) => self.epochs.group = *value,
            ConsumerGroupEntry::PartitionMetadata(value) => {
                self.partition_metadata = value.clone();
            }
            ConsumerGroupEntry::MemberMetadata { member_id, value } => {
                self.update(member_id, |known| {
                    let empty = Default::default();
                    known.member.take_metadata(value.as_ref().unwrap_or(&empty));
                    known.has_metadata = value.is_some();
                });
            }
            ConsumerGroupEntry::TargetAssignmentMetadata(value) => {
                self.epochs.assignment = *value;
            }
            ConsumerGroupEntry::TargetAssignmentMember { member_id, value } => match value {
                Some(topics) => {
                    let target = Arc::new(target_from(topics));
                    self.target.insert(member_id.clone(), target);
                }
                None => drop(self.target.remove(member_id)),
            },
            ConsumerGroupEntry::CurrentMemberAssignment { member_id, value } => {
                self.update(member_id, |known| {
                    let none = Member::new(known.member.id.clone()).current_value();
                    known.member.take_current(value.as_ref().unwrap_or(&none));
                    known.has_current = value.is_some();
                });
            }
            ConsumerGroupEntry::RegularExpression {
                regular_expression,
                value,
            } => self.replay_regex(regular_expression, value.as_ref()),
        }
    }

    fn replay_regex(&mut self, regex: &Arc<str>, value: Option<&RegularExpressionValue>) {
        let Some(value) = value else {
            self.resolved.remove(regex);
            self.resolved_at.remove(regex);
            return;
        };
        let topics = value.topics.iter().cloned().collect();
        let at = ResolvedAt {
            version: value.version,
            timestamp: value.timestamp,
        };
        self.resolved.insert(regex.clone(), topics);
        self.resolved_at.insert(regex.clone(), at);
    }

    /// Changes a member, with all that is derived from it.
    fn update(&mut self, member_id: &Arc<str>, change: impl FnOnce(&mut Known)) {
        let before = self.members.remove(member_id);
        if let Some(known) = &before {
            self.forget(&known.member);
        }
        let mut known = before.unwrap_or_else(|| Known {
            member: Member::new(member_id.clone()),
            has_metadata: false,
            has_current: false,
        });
        change(&mut known);
        if !known.has_metadata && !known.has_current {
            return;
        }
        if let Some(instance_id) = &known.member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member_id.clone());
        }
        for (topic_id, partition) in partitions_of(&known.member) {
            let partitions = self.owners.entry(topic_id).or_default();
            partitions.insert(partition, member_id.clone());
        }
        self.members.insert(member_id.clone(), known);
    }

    fn forget(&mut self, member: &Member) {
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id) == Some(&member.id)
        {
            self.static_members.remove(instance_id);
        }
        for (topic_id, partition) in partitions_of(member) {
            let Some(partitions) = self.owners.get_mut(&topic_id) else {
                continue;
            };
            if partitions.get(&partition) == Some(&member.id) {
                partitions.remove(&partition);
            }
            if partitions.is_empty() {
                self.owners.remove(&topic_id);
            }
        }
    }

    /// The group as records.
    pub(crate) fn rows(&self) -> Vec<ConsumerGroupRecord> {
        let mut entries = Vec::new();
        if self.epochs.group.is_some() {
            entries.push(ConsumerGroupEntry::Metadata(self.epochs.group));
        }
        if self.partition_metadata.is_some() {
            let value = self.partition_metadata.clone();
            entries.push(ConsumerGroupEntry::PartitionMetadata(value));
        }
        for known in self.members.values().filter(|known| known.has_metadata) {
            entries.push(ConsumerGroupEntry::subscription(&known.member));
        }
        if self.epochs.assignment.is_some() {
            let value = self.epochs.assignment;
            entries.push(ConsumerGroupEntry::TargetAssignmentMetadata(value));
        }
        for (member_id, target) in &self.target {
            entries.push(ConsumerGroupEntry::target(member_id, target));
        }
        for known in self.members.values().filter(|known| known.has_current) {
            entries.push(ConsumerGroupEntry::current(&known.member));
        }
        for (regex, topics) in &self.resolved {
            if let Some(at) = self.resolved_at.get(regex) {
                entries.push(ConsumerGroupEntry::resolved(regex, topics, *at));
            }
        }
        let rows = entries.into_iter().map(|entry| self.record(entry));
        rows.collect()
    }

    pub(crate) fn record(&self, entry: ConsumerGroupEntry) -> ConsumerGroupRecord {
        ConsumerGroupRecord {
            group_id: self.id.clone(),
            entry,
        }
    }

    /// What removes the group and all that belongs to it, in upstream's order.
    pub(crate) fn tombstones(&self) -> Vec<ConsumerGroupEntry> {
        let ids = || self.members.keys();
        let mut entries: Vec<_> = ids().map(ConsumerGroupEntry::no_current).collect();
        // A target without a member is not in upstream's group, but it would outlive ours.
        let targets: BTreeSet<_> = ids().chain(self.target.keys()).collect();
        entries.extend(targets.into_iter().map(ConsumerGroupEntry::no_target));
        entries.push(ConsumerGroupEntry::TargetAssignmentMetadata(None));
        entries.extend(ids().map(ConsumerGroupEntry::no_subscription));
        entries.extend(self.resolved.keys().map(ConsumerGroupEntry::unresolved));
        entries.push(ConsumerGroupEntry::PartitionMetadata(None));
        entries.push(ConsumerGroupEntry::Metadata(None));
        entries
    }
}

impl ConsumerGroupEntry {
    pub(crate) fn epoch(epoch: i32, metadata_hash: i64) -> Self {
        ConsumerGroupEntry::Metadata(Some(GroupEpochValue {
            epoch,
            metadata_hash,
        }))
    }

    pub(crate) fn subscription(member: &Member) -> Self {
        ConsumerGroupEntry::MemberMetadata {
            member_id: member.id.clone(),
            value: Some(member.metadata_value()),
        }
    }

    pub(crate) fn no_subscription(member_id: &Arc<str>) -> Self {
        ConsumerGroupEntry::MemberMetadata {
            member_id: member_id.clone(),
            value: None,
        }
    }

    pub(crate) fn assignment_epoch(assignment_epoch: i32, at: Timestamp) -> Self {
        ConsumerGroupEntry::TargetAssignmentMetadata(Some(TargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp: at,
        }))
    }

    pub(crate) fn target(member_id: &Arc<str>, target: &TopicPartitions) -> Self {
        ConsumerGroupEntry::TargetAssignmentMember {
            member_id: member_id.clone(),
            value: Some(assigned_topics(target)),
        }
    }

    pub(crate) fn no_target(member_id: &Arc<str>) -> Self {
        ConsumerGroupEntry::TargetAssignmentMember {
            member_id: member_id.clone(),
            value: None,
        }
    }

    pub(crate) fn current(member: &Member) -> Self {
        ConsumerGroupEntry::CurrentMemberAssignment {
            member_id: member.id.clone(),
            value: Some(member.current_value()),
        }
    }

    pub(crate) fn no_current(member_id: &Arc<str>) -> Self {
        ConsumerGroupEntry::CurrentMemberAssignment {
            member_id: member_id.clone(),
            value: None,
        }
    }

    pub(crate) fn resolved(regex: &Arc<str>, topics: &BTreeSet<Arc<str>>, at: ResolvedAt) -> Self {
        ConsumerGroupEntry::RegularExpression {
            regular_expression: regex.clone(),
            value: Some(RegularExpressionValue {
                topics: topics.iter().cloned().collect(),
                version: at.version,
                timestamp: at.timestamp,
            }),
        }
    }

    pub(crate) fn unresolved(regex: &Arc<str>) -> Self {
        ConsumerGroupEntry::RegularExpression {
            regular_expression: regex.clone(),
            value: None,
        }
    }
}

/// All that a member holds: what it has, and what it still has to give up.
fn partitions_of(member: &Member) -> impl Iterator<Item = (TopicId, i32)> + '_ {
    let of = |assignment: &'_ Assignment| {
        let topics = assignment.iter();
        topics
            .flat_map(|(topic_id, epochs)| epochs.keys().map(|partition| (*topic_id, *partition)))
            .collect::<Vec<_>>()
    };
    of(&member.assigned)
        .into_iter()
        .chain(of(&member.pending_revocation))
}
