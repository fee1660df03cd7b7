//! Members that go: they leave, or their time ran out.
//!
//! Invariant: what a member held is free in the same batch that makes the group move on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::super::GroupShard;
use super::super::turn::Turn;
use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{Assignment, LEAVE_GROUP_STATIC_EPOCH, Member};
use super::metadata::metadata_hash;
use super::record::ConsumerGroupEntry;
use super::update::{RebalanceTimer, Update};

impl GroupShard {
    /// A heartbeat that says good-bye.
    pub(crate) fn consumer_leave(
        &mut self,
        turn: &mut Turn,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group_id = request.group_id.as_str();
        let Some(group) = self.consumer_groups.get(group_id) else {
            let message = if self.groups.contains_key(group_id) {
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
            self.fence(turn, &group_id, &BTreeSet::from([member_id]));
        }
        Ok(ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(epoch))
    }

    /// Takes members out of a group.
    pub(crate) fn fence(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_ids: &BTreeSet<Arc<str>>,
    ) {
        let view = self.metadata.clone();
        let config = turn.config.clone();
        let Some(group) = self.consumer_groups.get(group_id) else {
            return;
        };
        let leaving: Vec<&Member> = member_ids
            .iter()
            .filter_map(|id| group.member(id))
            .collect();
        if leaving.is_empty() {
            return;
        }
        if let Some(entries) = self.downgraded_by_leaving(turn, group, member_ids) {
            turn.records.extend(entries);
        } else {
            let mut update = Update::new(group, &*view, &config, turn.now);
            leaving
                .iter()
                .for_each(|member| update.remove_member(&member.id));
            update.entries.extend(last_regexes(group, &leaving));
            let stay = group
                .members()
                .filter(|member| !member_ids.contains(&member.id));
            let topics = update.subscribed_topics(stay);
            let epoch = group.epoch().saturating_add(1);
            let hash = metadata_hash(&topics, &*view);
            update.entries.push(ConsumerGroupEntry::epoch(epoch, hash));
            let entries = update.entries;
            turn.write_consumer_group(group_id, entries);
        }
        for member_id in member_ids {
            turn.cancel_consumer_session(group_id, member_id);
            turn.cancel_consumer_protocol(group_id, member_id);
            self.set_rebalance_timer(turn, group_id, member_id, RebalanceTimer::Cancelled);
        }
    }

    pub(crate) fn consumer_session_expired(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: &Arc<str>,
    ) {
        tracing::info!(group = %group_id, member = %member_id, "a member's session expired");
        self.fence(turn, group_id, &BTreeSet::from([member_id.clone()]));
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
        let epoch = group.member(member_id).map(|member| member.epoch);
        if awaited.is_some() && awaited == epoch {
            tracing::info!(
                group = %group_id, member = %member_id,
                "a member did not give up its partitions in time"
            );
            self.fence(turn, group_id, &BTreeSet::from([member_id.clone()]));
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
