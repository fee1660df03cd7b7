//! A member of a consumer group, and what it makes of its records.
//!
//! Invariant: a member is what its two records say, its subscription and its current assignment;
//! whoever has neither is a member that is about to join.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::TopicId;

use super::record::{
    AssignedTopic, ClassicMemberMetadata, ConsumerGroupMemberMetadataValue,
    CurrentMemberAssignmentValue,
};

/// What a member sends as its epoch to leave for good.
pub(crate) const LEAVE_GROUP_EPOCH: i32 = -1;
/// What a static member sends as its epoch to leave for a while; it is then its epoch.
pub(crate) const LEAVE_GROUP_STATIC_EPOCH: i32 = -2;

/// Partitions by topic, each with the member epoch it was assigned in. No topic without partitions.
pub(crate) type Assignment = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// How far a member is on its way to its target assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It is there.
    Stable,
    /// It has to give up partitions first.
    UnrevokedPartitions,
    /// Partitions it is to have are still another's.
    UnreleasedPartitions,
    /// Written by a later version.
    Unknown,
}

impl MemberState {
    pub(crate) fn of(value: i8) -> Self {
        match value {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }

    pub(crate) fn value(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// Set for a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) subscribed_topic_names: BTreeSet<Arc<str>>,
    /// Empty for none, as the record has it; `null` is known too.
    pub(crate) subscribed_topic_regex: Option<Arc<str>>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) server_assignor: Option<Arc<str>>,
    /// Set while it uses the classic protocol.
    pub(crate) classic: Option<ClassicMemberMetadata>,
    pub(crate) epoch: i32,
    /// Accepted still: the answer with the new epoch may have been lost.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Assignment,
    /// What it has to give up before it goes on.
    pub(crate) pending_revocation: Assignment,
}

impl Member {
    pub(crate) fn new(id: Arc<str>) -> Self {
        Member {
            id,
            instance_id: None,
            rack_id: None,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            subscribed_topic_names: BTreeSet::new(),
            subscribed_topic_regex: Some(Arc::from("")),
            rebalance_timeout_ms: -1,
            server_assignor: None,
            classic: None,
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Assignment::new(),
            pending_revocation: Assignment::new(),
        }
    }

    pub(crate) fn uses_classic_protocol(&self) -> bool {
        self.classic.is_some()
    }

    /// The expression it subscribes, if any.
    pub(crate) fn regex(&self) -> Option<&Arc<str>> {
        self.subscribed_topic_regex
            .as_ref()
            .filter(|regex| !regex.is_empty())
    }

    pub(crate) fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == assignment_epoch
    }

    /// Moves on to an epoch, if only to the same.
    pub(crate) fn update_epoch(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }

    /// Its partitions stay, but were assigned in no epoch that it knows.
    pub(crate) fn reset_assignment_epochs(&mut self) {
        for epoch in self.assigned.values_mut().flat_map(BTreeMap::values_mut) {
            *epoch = 0;
        }
    }

    /// In which epoch the member got a partition that it has, or has to give up.
    pub(crate) fn assignment_epoch(&self, topic_id: TopicId, partition: i32) -> Option<i32> {
        let of = |assignment: &Assignment| {
            let epochs = assignment.get(&topic_id)?;
            epochs.get(&partition).copied()
        };
        of(&self.assigned).or_else(|| of(&self.pending_revocation))
    }

    pub(crate) fn metadata_value(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.subscribed_topic_names.iter().cloned().collect(),
            subscribed_topic_regex: self.subscribed_topic_regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.server_assignor.clone(),
            classic: self.classic.clone(),
        }
    }

    pub(crate) fn take_metadata(&mut self, value: &ConsumerGroupMemberMetadataValue) {
        self.instance_id = value.instance_id.clone();
        self.rack_id = value.rack_id.clone();
        self.client_id = value.client_id.clone();
        self.client_host = value.client_host.clone();
        self.subscribed_topic_names = value.subscribed_topic_names.iter().cloned().collect();
        self.subscribed_topic_regex = value.subscribed_topic_regex.clone();
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.server_assignor = value.server_assignor.clone();
        self.classic = value.classic.clone();
    }

    pub(crate) fn current_value(&self) -> CurrentMemberAssignmentValue {
        CurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.value(),
            assigned_partitions: to_topics(&self.assigned),
            partitions_pending_revocation: to_topics(&self.pending_revocation),
        }
    }

    pub(crate) fn take_current(&mut self, value: &CurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::of(value.state);
        self.assigned = from_topics(&value.assigned_partitions, value.member_epoch);
        self.pending_revocation =
            from_topics(&value.partitions_pending_revocation, value.member_epoch);
    }
}

fn to_topics(assignment: &Assignment) -> Vec<AssignedTopic> {
    let topics = assignment.iter().map(|(topic_id, epochs)| AssignedTopic {
        topic_id: *topic_id,
        partitions: epochs.keys().copied().collect(),
        assignment_epochs: Some(epochs.values().copied().collect()),
    });
    topics.collect()
}

/// Where the record does not say when a partition was assigned, it was in the member's epoch.
fn from_topics(topics: &[AssignedTopic], member_epoch: i32) -> Assignment {
    let mut assignment = Assignment::new();
    for topic in topics {
        let known = topic.assignment_epochs.as_deref();
        let known = known.filter(|epochs| epochs.len() == topic.partitions.len());
        let epochs = (0..topic.partitions.len())
            .map(|index| known.and_then(|epochs| epochs.get(index).copied()))
            .map(|epoch| epoch.unwrap_or(member_epoch));
        let epochs: BTreeMap<i32, i32> = topic.partitions.iter().copied().zip(epochs).collect();
        if !epochs.is_empty() {
            assignment.insert(topic.topic_id, epochs);
        }
    }
    assignment
}
