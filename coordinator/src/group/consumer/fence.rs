//! Members that go: they leave, or their time ran out.
//!
//! Invariant: what a member held is free in the same batch that makes the group move on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::super::GroupShard;
use super::super::metadata::metadata_hash;
use super::super::turn::{AfterAppend, Turn};
use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{Assignment, LEAVE_GROUP_STATIC_EPOCH, Member, MemberState};
use super::record::ConsumerGroupEntry;
use super::update::{RebalanceTimer, Update};

/// What could not be written by a timer is tried again after so long.
const RETRY_BACKOFF_MS: i32 = 500;

impl GroupShard {
    /// A heartbeat that says good-bye.
    pub(crate) fn consumer_leave(
        &mut self,
        turn: &mut Turn,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group_id = request.group_id.as_str();
        let Some(group) = self.consumer_groups.get(group_id) else {
            let message = if self.has_group(group_id) {
                format!("Group {group_id} is not a consumer group.")
            } else {
                format!("Group {group_id} not found.")
            };
            return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
        };
        let member = match request.instance_id.as_deref() {
            None => group.known_member(&request.member_id)?,
            Some(instance_id) => group.known_static_member(instance_id, &request.member_id)?,
        };
        let group_id = group.id.clone();
        let (member_id, epoch) = (member.id.clone(), request.member_epoch);
        if request.instance_id.is_some() && epoch == LEAVE_GROUP_STATIC_EPOCH {
            tracing::info!(group = %group_id, member = %member_id, "a static member left for a while");
            let entry = ConsumerGroupEntry::current(&away(member));
            turn.write_consumer_group(&group_id, vec![entry]);
        } else {
            tracing::info!(group = %group_id, member = %member_id, "a member left");
            let timeout_ms = self.consumer_session_timeout_ms(turn, &group_id);
            let member_ids = BTreeSet::from([member_id]);
            self.fence(turn, &group_id, member_ids, timeout_ms);
        }
        Ok(ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(epoch))
    }

    /// Takes members out of a group. If that cannot be written, it is tried again by timer.
    pub(crate) fn fence(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_ids: BTreeSet<Arc<str>>,
        again_ms: i32,
    ) {
        let view = self.metadata.clone();
        let config = turn.config.clone();
        let Some(group) = self.consumer_groups.get(group_id) else {
            return;
        };
        if !member_ids.iter().any(|id| group.member(id).is_some()) {
            return;
        }
        if let Some(records) = self.downgraded_by_leaving(turn, group, &member_ids) {
            turn.records.extend(records);
        } else {
            let update = Update::new(group, &*view, &config, turn.now);
            let entries = update.without(&member_ids);
            turn.write_consumer_group(group_id, entries);
        }
        for member_id in &member_ids {
            turn.cancel_consumer_session(group_id, member_id);
            turn.cancel_consumer_protocol(group_id, member_id);
            self.set_rebalance_timer(turn, group_id, member_id, RebalanceTimer::Cancelled);
        }
        turn.after_append = AfterAppend::Fenced {
            group_id: group_id.clone(),
            member_ids,
            again_ms,
        };
    }

    /// The members are in still.
    pub(crate) fn not_fenced(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_ids: &BTreeSet<Arc<str>>,
        again_ms: i32,
    ) {
        let Some(group) = self.consumer_groups.get(group_id) else {
            return;
        };
        // All of them: a group that was to become classic gave up the timers of all.
        let members: Vec<_> = group.members().map(|member| member.id.clone()).collect();
        let timeout_ms = self.consumer_session_timeout_ms(turn, group_id);
        for member_id in members {
            let is_to_go = member_ids.contains(&member_id);
            let ms = if is_to_go { again_ms } else { timeout_ms };
            turn.arm_consumer_session(group_id, &member_id, ms);
            self.resume_rebalance_timer(turn, group_id, &member_id);
        }
    }

    /// A member's time ran out, whichever it was.
    pub(crate) fn consumer_member_expired(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: Arc<str>,
    ) {
        tracing::info!(group = %group_id, member = %member_id, "a member's time ran out");
        let member_ids = BTreeSet::from([member_id]);
        self.fence(turn, group_id, member_ids, RETRY_BACKOFF_MS);
    }

    pub(crate) fn consumer_rebalance_expired(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: &Arc<str>,
    ) {
        let Some(group) = self.consumer_groups.get_mut(group_id) else {
            return;
        };
        let awaited = group.soft.rebalance_epochs.remove(member_id);
        let is_late = group.member(member_id).is_some_and(|member| {
            Some(member.epoch) == awaited && member.state == MemberState::UnrevokedPartitions
        });
        if is_late {
            self.consumer_member_expired(turn, group_id, member_id.clone());
        }
    }
}

impl Update<'_> {
    /// The records of a group that moves on without these members.
    fn without(mut self, member_ids: &BTreeSet<Arc<str>>) -> Vec<ConsumerGroupEntry> {
        let group = self.group;
        let leaves = |member: &&Member| member_ids.contains(&member.id);
        let leaving: Vec<&Member> = group.members().filter(leaves).collect();
        for member in &leaving {
            self.remove_member(&member.id);
        }
        self.entries.extend(last_regexes(group, &leaving));
        let stay = group.members().filter(|member| !leaves(member));
        let hash = metadata_hash(&self.subscribed_topics(stay), self.view);
        let epoch = group.epoch().saturating_add(1);
        self.entries.push(ConsumerGroupEntry::epoch(epoch, hash));
        self.entries
    }
}

impl GroupShard {
    /// No group has members any more. Whoever was one finds that it is none, and joins again.
    pub(crate) fn end_consumer_memberships(&self, turn: &mut Turn) {
        for group in self.consumer_groups.values() {
            let all: BTreeSet<_> = group.members().map(|member| member.id.clone()).collect();
            if !all.is_empty() {
                let config = turn.config.clone();
                let update = Update::new(group, &*self.metadata, &config, turn.now);
                let entries = update.without(&all);
                turn.write_consumer_group(&group.id, entries);
            }
        }
    }
}

/// A static member that will be back keeps what it has.
fn away(member: &Member) -> Member {
    let mut away = member.clone();
    away.epoch = LEAVE_GROUP_STATIC_EPOCH;
    away.pending_revocation = Assignment::new();
    away.reset_assignment_epochs();
    away
}

/// The expressions that nobody subscribes but those who go.
fn last_regexes(group: &ConsumerGroup, leaving: &[&Member]) -> Vec<ConsumerGroupEntry> {
    let mut counts: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for regex in leaving.iter().filter_map(|member| member.regex()) {
        *counts.entry(regex).or_default() += 1;
    }
    let last = counts
        .into_iter()
        .filter(|(regex, count)| group.regex_subscribers(regex) == *count);
    last.map(|(regex, _)| ConsumerGroupEntry::unresolved(regex))
        .collect()
}
