//! One share group (KIP-932): its epochs, its members, what each is to have and has, and for which
//! partitions there is state.
//!
//! Invariant: all but [`Soft`] is what the records say, whatever their order was; it changes in
//! `replay` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{Timestamp, TopicId};

use super::super::assignor::{GroupAssignment, TopicPartitions};
use super::super::consumer::member::MemberState;
use super::super::consumer::record::{assigned_topics, target_from};
use super::super::epochs::{
    Epochs, GroupEpochValue, MetadataRefresh, TargetAssignmentMetadataValue,
};
use super::record::{
    ShareGroupCurrentMemberAssignmentValue, ShareGroupEntry, ShareGroupMemberMetadataValue,
    ShareGroupRecord,
};
use super::state::StatePartitions;

/// What a member sends as its epoch to leave.
pub(crate) const LEAVE_GROUP_EPOCH: i32 = -1;

/// A group has members, or it has none: there is nobody to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Stable => "Stable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShareMember {
    pub(crate) id: Arc<str>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) subscribed_topic_names: BTreeSet<Arc<str>>,
    pub(crate) epoch: i32,
    /// Accepted still: the answer with the new epoch may have been lost.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Arc<TopicPartitions>,
}

impl ShareMember {
    pub(crate) fn new(id: Arc<str>) -> Self {
        ShareMember {
            id,
            rack_id: None,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            subscribed_topic_names: BTreeSet::new(),
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Arc::default(),
        }
    }

    pub(crate) fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }

    fn metadata_value(&self) -> ShareGroupMemberMetadataValue {
        ShareGroupMemberMetadataValue {
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.subscribed_topic_names.iter().cloned().collect(),
        }
    }

    fn take_metadata(&mut self, value: &ShareGroupMemberMetadataValue) {
        self.rack_id = value.rack_id.clone();
        self.client_id = value.client_id.clone();
        self.client_host = value.client_host.clone();
        self.subscribed_topic_names = value.subscribed_topic_names.iter().cloned().collect();
    }

    fn current_value(&self) -> ShareGroupCurrentMemberAssignmentValue {
        ShareGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.value(),
            assigned_partitions: assigned_topics(&self.assigned),
        }
    }

    fn take_current(&mut self, value: &ShareGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::of(value.state);
        self.assigned = Arc::new(target_from(&value.assigned_partitions));
    }
}

/// A member, and which of its records there are.
#[derive(Clone, Debug)]
struct Known {
    member: ShareMember,
    has_metadata: bool,
    has_current: bool,
}

/// What a group knows besides its records. It is lost with the shard, and nothing rests on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Soft {
    pub(crate) metadata_refresh: Option<MetadataRefresh>,
    /// When the share coordinator was asked to keep state for a topic. Not known after a load, so
    /// it is asked again then.
    pub(crate) asked_at: BTreeMap<TopicId, Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct ShareGroup {
    pub(crate) id: Arc<str>,
    pub(crate) epochs: Epochs,
    members: BTreeMap<Arc<str>, Known>,
    pub(crate) target: GroupAssignment,
    pub(crate) state_partitions: Option<StatePartitions>,
    pub(crate) soft: Soft,
}

impl ShareGroup {
    pub(crate) fn new(id: Arc<str>) -> Self {
        ShareGroup {
            id,
            epochs: Epochs::default(),
            members: BTreeMap::new(),
            target: GroupAssignment::new(),
            state_partitions: None,
            soft: Soft::default(),
        }
    }

    pub(crate) fn member(&self, member_id: &str) -> Option<&ShareMember> {
        self.members.get(member_id).map(|known| &known.member)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &ShareMember> {
        self.members.values().map(|known| &known.member)
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn state(&self) -> State {
        if self.members.is_empty() {
            State::Empty
        } else {
            State::Stable
        }
    }

    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        let mut members = self.members();
        members.any(|member| member.subscribed_topic_names.contains(topic))
    }

    /// What may be given to members: there is state for it.
    pub(crate) fn assignable(&self) -> TopicPartitions {
        let state = self.state_partitions.as_ref();
        let topics = state.into_iter().flat_map(|state| &state.initialized);
        topics
            .map(|(topic_id, topic)| (*topic_id, topic.partitions.clone()))
            .collect()
    }

    /// Whether there is state for partitions of a subscribed topic that nobody has, or the other
    /// way round.
    pub(crate) fn is_assignment_pending(&self) -> bool {
        let Some(state) = &self.state_partitions else {
            return false;
        };
        let mut assigned: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
        for (topic_id, partitions) in self.target.values().flat_map(|target| &**target) {
            assigned.entry(*topic_id).or_default().extend(partitions);
        }
        state.initialized.iter().any(|(topic_id, topic)| {
            assigned.get(topic_id) != Some(&topic.partitions) && self.is_subscribed_to(&topic.name)
        })
    }

    /// Whether no record is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.epochs.is_none()
            && self.members.is_empty()
            && self.target.is_empty()
            && self.state_partitions.is_none()
    }

    pub(crate) fn replay(&mut self, entry: &ShareGroupEntry) {
        match entry {
            ShareGroupEntry::MemberMetadata { member_id, value } => {
                self.update(member_id, |known| {
                    let empty = Default::default();
                    known.member.take_metadata(value.as_ref().unwrap_or(&empty));
                    known.has_metadata = value.is_some();
                });
            }
            ShareGroupEntry::Metadata(value) => self.epochs.group = *value,
            ShareGroupEntry::TargetAssignmentMetadata(value) => self.epochs.assignment = *value,
            ShareGroupEntry::TargetAssignmentMember { member_id, value } => match value {
                Some(topics) => {
                    let target = Arc::new(target_from(topics));
                    self.target.insert(member_id.clone(), target);
                }
                None => drop(self.target.remove(member_id)),
            },
            ShareGroupEntry::CurrentMemberAssignment { member_id, value } => {
                self.update(member_id, |known| {
                    let none = ShareMember::new(known.member.id.clone()).current_value();
                    known.member.take_current(value.as_ref().unwrap_or(&none));
                    known.has_current = value.is_some();
                });
            }
            ShareGroupEntry::StatePartitionMetadata(value) => {
                self.state_partitions = value.as_ref().map(StatePartitions::of);
            }
        }
    }

    fn update(&mut self, member_id: &Arc<str>, change: impl FnOnce(&mut Known)) {
        let before = self.members.remove(member_id);
        let mut known = before.unwrap_or_else(|| Known {
            member: ShareMember::new(member_id.clone()),
            has_metadata: false,
            has_current: false,
        });
        change(&mut known);
        if known.has_metadata || known.has_current {
            self.members.insert(member_id.clone(), known);
        }
    }

    /// The group as records.
    pub(crate) fn rows(&self) -> Vec<ShareGroupRecord> {
        let mut entries = Vec::new();
        for known in self.members.values().filter(|known| known.has_metadata) {
            entries.push(ShareGroupEntry::subscription(&known.member));
        }
        if self.epochs.group.is_some() {
            entries.push(ShareGroupEntry::Metadata(self.epochs.group));
        }
        if self.epochs.assignment.is_some() {
            let value = self.epochs.assignment;
            entries.push(ShareGroupEntry::TargetAssignmentMetadata(value));
        }
        for (member_id, target) in &self.target {
            entries.push(ShareGroupEntry::target(member_id, target));
        }
        for known in self.members.values().filter(|known| known.has_current) {
            entries.push(ShareGroupEntry::current(&known.member));
        }
        if let Some(state) = &self.state_partitions {
            entries.push(ShareGroupEntry::state(state));
        }
        let rows = entries.into_iter().map(|entry| self.record(entry));
        rows.collect()
    }

    pub(crate) fn record(&self, entry: ShareGroupEntry) -> ShareGroupRecord {
        ShareGroupRecord {
            group_id: self.id.clone(),
            entry,
        }
    }

    /// What removes the group and all that belongs to it, in upstream's order.
    pub(crate) fn tombstones(&self) -> Vec<ShareGroupRecord> {
        let ids = || self.members.keys();
        let mut entries: Vec<_> = ids().map(ShareGroupEntry::no_current).collect();
        // A target without a member is not in upstream's group, but it would outlive ours.
        let targets: BTreeSet<_> = ids().chain(self.target.keys()).collect();
        entries.extend(targets.into_iter().map(ShareGroupEntry::no_target));
        entries.push(ShareGroupEntry::TargetAssignmentMetadata(None));
        entries.extend(ids().map(ShareGroupEntry::no_subscription));
        entries.push(ShareGroupEntry::StatePartitionMetadata(None));
        entries.push(ShareGroupEntry::Metadata(None));
        let records = entries.into_iter().map(|entry| self.record(entry));
        records.collect()
    }
}

impl ShareGroupEntry {
    pub(crate) fn epoch(epoch: i32, metadata_hash: i64) -> Self {
        ShareGroupEntry::Metadata(Some(GroupEpochValue {
            epoch,
            metadata_hash,
        }))
    }

    pub(crate) fn subscription(member: &ShareMember) -> Self {
        ShareGroupEntry::MemberMetadata {
            member_id: member.id.clone(),
            value: Some(member.metadata_value()),
        }
    }

    pub(crate) fn no_subscription(member_id: &Arc<str>) -> Self {
        ShareGroupEntry::MemberMetadata {
            member_id: member_id.clone(),
            value: None,
        }
    }

    pub(crate) fn assignment_epoch(assignment_epoch: i32, at: Timestamp) -> Self {
        ShareGroupEntry::TargetAssignmentMetadata(Some(TargetAssignmentMetadataValue {
            assignment_epoch,
            assignment_timestamp: at,
        }))
    }

    pub(crate) fn target(member_id: &Arc<str>, target: &TopicPartitions) -> Self {
        ShareGroupEntry::TargetAssignmentMember {
            member_id: member_id.clone(),
            value: Some(assigned_topics(target)),
        }
    }

    pub(crate) fn no_target(member_id: &Arc<str>) -> Self {
        ShareGroupEntry::TargetAssignmentMember {
            member_id: member_id.clone(),
            value: None,
        }
    }

    pub(crate) fn current(member: &ShareMember) -> Self {
        ShareGroupEntry::CurrentMemberAssignment {
            member_id: member.id.clone(),
            value: Some(member.current_value()),
        }
    }

    pub(crate) fn no_current(member_id: &Arc<str>) -> Self {
        ShareGroupEntry::CurrentMemberAssignment {
            member_id: member_id.clone(),
            value: None,
        }
    }

    pub(crate) fn state(state: &StatePartitions) -> Self {
        ShareGroupEntry::StatePartitionMetadata(Some(state.value()))
    }
}
