//! One classic group as it is now: its state, its members, what they support, who leads.
//!
//! Invariant: the leader, every static mapping and every member that a sync is awaited from name a
//! member of the group; a pending member (KIP-394) is not yet one. All of it is soft: what must
//! survive is the group's last record, kept beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::{ErrorCode, Timestamp};

use super::record::{GroupMetadataValue, MemberMetadata};
use super::subscription::subscribed_topics;
use crate::ReplyTo;
use crate::java::hash_map_bucket;

/// The protocol type of consumers, whose metadata the coordinator can read.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a group stands. Dead has no variant: a group that is gone is not in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; there may be offsets.
    Empty,
    /// Waiting for members to join. `initial` while the group comes from Empty.
    PreparingRebalance {
        initial: bool,
    },
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A request that is parked with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) token: ReplyTo,
    pub(crate) api_version: i16,
}

/// A protocol a member supports, with its metadata (a subscription, for consumers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SupportedProtocol {
    pub(crate) name: Arc<str>,
    pub(crate) metadata: Bytes,
}

impl SupportedProtocol {
    /// Copies, so that a member does not keep the whole frame of its request alive.
    pub(crate) fn of(protocols: &[JoinGroupRequestProtocol]) -> Vec<SupportedProtocol> {
        let copied = protocols.iter().map(|protocol| SupportedProtocol {
            name: Arc::from(protocol.name.as_str()),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        });
        copied.collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// Set for a static member (KIP-345).
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<SupportedProtocol>,
    pub(crate) assignment: Bytes,
    pub(crate) awaiting_join: Option<Waiting>,
    pub(crate) awaiting_sync: Option<Waiting>,
    /// It waits in its first JoinGroup and cannot send heartbeats yet.
    pub(crate) is_new: bool,
}

impl Member {
    pub(crate) fn metadata(&self, protocol_name: Option<&str>) -> Bytes {
        let named = |protocol: &&SupportedProtocol| Some(&*protocol.name) == protocol_name;
        self.protocols
            .iter()
            .find(named)
            .map_or_else(Bytes::new, |found| found.metadata.clone())
    }

    fn supports(&self, name: &str) -> bool {
        self.protocols
            .iter()
            .any(|protocol| &*protocol.name == name)
    }

    /// Whether an expired session may pass: who waits in a rebalance needs no heartbeat.
    pub(crate) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// The time a first rebalance still waits for more members (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitialDelay {
    pub(crate) delay_ms: i32,
    pub(crate) remaining_ms: i32,
}

#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    pub(crate) id: Arc<str>,
    state: State,
    /// Since when the group is in its state; not known for very old records.
    pub(crate) state_since: Option<Timestamp>,
    /// None for a group that never had a member: a simple group.
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol_name: Option<Arc<str>>,
    pub(crate) generation: i32,
    pub(crate) leader: Option<Arc<str>>,
    pub(crate) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    pub(crate) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Members that were told their id and asked to come again with it.
    pub(crate) pending_joins: BTreeSet<Arc<str>>,
    pub(crate) pending_syncs: BTreeSet<Arc<str>>,
    /// None when the coordinator cannot tell.
    pub(crate) subscribed_topics: Option<BTreeSet<String>>,
    /// A member came during the initial delay, so it may be extended.
    pub(crate) new_member_added: bool,
    pub(crate) initial_delay: Option<InitialDelay>,
}

impl ClassicGroup {
    pub(crate) fn new(id: Arc<str>, state_since: Option<Timestamp>) -> Self {
        ClassicGroup {
            id,
            state: State::Empty,
            state_since,
            protocol_type: None,
            protocol_name: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            subscribed_topics: None,
            new_member_added: false,
            initial_delay: None,
        }
    }

    /// The group as its last record left it: stable, or empty.
    pub(crate) fn from_record(id: Arc<str>, value: &GroupMetadataValue) -> Self {
        let mut group = ClassicGroup::new(id, value.state_timestamp);
        group.generation = value.generation;
        group.protocol_type =
            (!value.protocol_type.is_empty()).then(|| value.protocol_type.clone());
        group.protocol_name = value.protocol_name.clone();
        for member in &value.members {
            group.load_member(member);
        }
        group.leader = match &value.leader {
            Some(leader) if group.members.contains_key(leader) => Some(leader.clone()),
            Some(_) | None => group.members.keys().next().cloned(),
        };
        if !group.members.is_empty() {
            group.state = State::Stable;
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    fn load_member(&mut self, loaded: &MemberMetadata) {
        let member = Member {
            id: loaded.member_id.clone(),
            instance_id: loaded.instance_id.clone(),
            client_id: loaded.client_id.clone(),
            client_host: loaded.client_host.clone(),
            rebalance_timeout_ms: loaded.rebalance_timeout_ms,
            session_timeout_ms: loaded.session_timeout_ms,
            protocols: vec![SupportedProtocol {
                name: self.protocol_name.clone().unwrap_or_default(),
                metadata: loaded.subscription.clone(),
            }],
            assignment: loaded.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        };
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member.id.clone());
        }
        self.members.insert(member.id.clone(), member);
    }

    /// The record that makes the present generation durable. Members without an entry in
    /// `assignments` get what `assigned` says of them.
    pub(crate) fn to_record(&self, assigned: impl Fn(&Member) -> Bytes) -> GroupMetadataValue {
        let members = self.members.values().map(|member| MemberMetadata {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol_name.as_deref()),
            assignment: assigned(member),
        });
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.state_since,
            members: members.collect(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn transition_to(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.state_since = Some(now);
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    pub(crate) fn add(&mut self, member: Member, protocol_type: &str) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member.id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::from(protocol_type));
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending_joins.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    pub(crate) fn remove(&mut self, member_id: &str) {
        if let Some(removed) = self.members.remove(member_id)
            && let Some(instance_id) = &removed.instance_id
        {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
    }

    /// Gives a static member's place to a new member id. Whoever waits under the old one is
    /// handed back.
    pub(crate) fn replace_static_member(
        &mut self,
        old_id: &str,
        new_id: &Arc<str>,
    ) -> Option<(Option<Waiting>, Option<Waiting>)> {
        let mut member = self.members.remove(old_id)?;
        let waiting = (member.awaiting_join.take(), member.awaiting_sync.take());
        member.id = new_id.clone();
        member.is_new = false;
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), new_id.clone());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        self.members.insert(new_id.clone(), member);
        Some(waiting)
    }

    /// Checks who a request says it comes from.
    pub(crate) fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if **known != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    pub(crate) fn awaiting_join_count(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.awaiting_join.is_some())
            .count()
    }

    pub(crate) fn has_all_members_joined(&self) -> bool {
        self.pending_joins.is_empty()
            && self
                .members
                .values()
                .all(|member| member.awaiting_join.is_some())
    }

    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        let timeouts = self
            .members
            .values()
            .map(|member| member.rebalance_timeout_ms);
        timeouts.fold(0, i32::max)
    }

    /// A leader that did not join gives way to a member that did. False when nobody joined.
    pub(crate) fn maybe_elect_new_joined_leader(&mut self) -> bool {
        let joined = |member: &&Member| member.awaiting_join.is_some();
        let leader = self
            .leader
            .as_ref()
            .and_then(|leader| self.members.get(leader));
        if leader.is_none() {
            return false;
        }
        if leader.as_ref().is_some_and(joined) {
            return true;
        }
        match self.members.values().find(joined) {
            Some(elected) => {
                self.leader = Some(elected.id.clone());
                true
            }
            None => false,
        }
    }

    /// Whether a member with these protocols fits in: one of them must be everybody's.
    pub(crate) fn supports_protocols(
        &self,
        protocol_type: &str,
        protocols: &[JoinGroupRequestProtocol],
    ) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.is_candidate(&protocol.name))
    }

    fn is_candidate(&self, protocol: &str) -> bool {
        self.members
            .values()
            .all(|member| member.supports(protocol))
    }

    /// Each member votes for the first of its protocols that all support; most votes win.
    pub(crate) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: Vec<(Arc<str>, usize)> = Vec::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|protocol| &protocol.name);
            let Some(vote) = names.find(|name| self.is_candidate(name)) else {
                continue;
            };
            match votes.iter_mut().find(|(name, _)| name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote.clone(), 1)),
            }
        }
        // Of equals upstream takes the first that a walk over its HashMap meets.
        let names = votes.len();
        votes.sort_by_key(|(name, _)| hash_map_bucket(name, names));
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| name)
    }

    pub(crate) fn init_next_generation(&mut self, now: Timestamp) {
        self.generation = self.generation.wrapping_add(1);
        self.pending_syncs.clear();
        let next = if self.members.is_empty() {
            self.protocol_name = None;
            State::Empty
        } else {
            self.protocol_name = Some(self.select_protocol().unwrap_or_default());
            State::CompletingRebalance
        };
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(next, now);
    }

    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            // A consumer group that cannot be read might be subscribed to anything.
            None => self.uses_consumer_protocol(),
        }
    }

    fn compute_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol_name = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata(Some(protocol_name)))?);
        }
        Some(topics)
    }
}
