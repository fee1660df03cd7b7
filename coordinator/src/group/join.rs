//! JoinGroup: who gets in, under which id, and whether that starts a rebalance.
//!
//! Invariant: a request is answered at once or parked with exactly one member; a group that did
//! not exist is written before anybody hears of it.

use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::JoinGroupRequest;

use super::api::STRING_BYTES_MAX;
use super::classic::{ClassicGroup, Member, State, SupportedProtocol, Waiting};
use super::removal::group_tombstones;
use super::turn::{AfterAppend, StaticMemberChange, Turn, optional_text};
use super::{Group, GroupShard};
use crate::{ReplyTo, RequestMeta};

/// A JoinGroup on its way through the rules.
pub(crate) struct Join<'a> {
    waiting: Waiting,
    meta: &'a RequestMeta,
    request: &'a JoinGroupRequest,
}

impl Join<'_> {
    fn reason(&self) -> &str {
        match self.request.reason.as_deref() {
            Some(reason) if !reason.is_empty() => reason,
            Some(_) | None => "not provided",
        }
    }

    /// Version 0 has one time-out for both.
    fn rebalance_timeout_ms(&self) -> i32 {
        match self.waiting.api_version {
            0 => self.request.session_timeout_ms,
            _ => self.request.rebalance_timeout_ms,
        }
    }
}

impl GroupShard {
    pub(crate) fn join(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &JoinGroupRequest,
    ) {
        let waiting = Waiting {
            token,
            api_version: meta.api_version,
        };
        let member_id = request.member_id.as_str();
        let join = Join {
            waiting,
            meta,
            request,
        };
        if self.share_groups.contains_key(request.group_id.as_str()) {
            turn.join_error(waiting, "", ErrorCode::InconsistentGroupProtocol);
            return;
        }
        let consumer_group = self.consumer_groups.get(request.group_id.as_str());
        if consumer_group.is_some_and(|group| group.size() > 0) {
            self.join_consumer_group(turn, waiting, meta, request);
            return;
        }
        // One without members gives way.
        let tombstones = consumer_group.map(group_tombstones).unwrap_or_default();
        let is_new_group = !self.groups.contains_key(request.group_id.as_str());
        if is_new_group {
            if !member_id.is_empty() {
                turn.join_error(waiting, member_id, ErrorCode::UnknownMemberId);
                return;
            }
            let group_id: Arc<str> = Arc::from(request.group_id.as_str());
            let group = ClassicGroup::new(group_id.clone(), Some(turn.now));
            self.groups.insert(
                group_id,
                Group {
                    live: group,
                    committed: None,
                },
            );
        }
        let Some(group) = self.groups.get_mut(request.group_id.as_str()) else {
            return;
        };
        let group = &mut group.live;
        if !group.accepts(member_id, turn.config.group_max_size) {
            group.remove(member_id);
            turn.join_error(waiting, "", ErrorCode::GroupMaxSizeReached);
        } else if member_id.is_empty() {
            let new_id = self.ids.next_uuid();
            group.join_new_member(turn, &join, new_id);
        } else {
            group.join_known_member(turn, &join);
        }
        if is_new_group && turn.records.is_empty() {
            let group = &*group;
            turn.records.extend(tombstones);
            turn.write_group(group, group.to_empty_record());
            turn.after_append = AfterAppend::NewGroup(group.id.clone());
        }
    }
}

impl ClassicGroup {
    /// Whether there is room (`group.max.size`).
    fn accepts(&self, member_id: &str, max_size: i32) -> bool {
        let max_size = usize::try_from(max_size).unwrap_or(0);
        let member = self.members.get(member_id);
        match self.state() {
            State::Empty => true,
            // Those who wait are counted, not the members: the limit may have been lowered, and
            // then the last to rejoin are left out.
            State::PreparingRebalance { .. } => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.awaiting_join_count() < max_size
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < max_size
            }
        }
    }

    fn join_new_member(&mut self, turn: &mut Turn, join: &Join<'_>, uuid: uuid::Uuid) {
        let request = join.request;
        if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            turn.join_error(join.waiting, "", ErrorCode::InconsistentGroupProtocol);
            return;
        }
        let stem = request
            .group_instance_id
            .as_deref()
            .unwrap_or(&join.meta.client_id);
        let new_id: Arc<str> = Arc::from(format!("{stem}-{uuid}"));
        if new_id.len() > STRING_BYTES_MAX {
            // No record could hold it. Upstream fails with UNKNOWN_SERVER_ERROR.
            turn.join_error(join.waiting, "", ErrorCode::InvalidRequest);
            return;
        }
        match request.group_instance_id.as_deref() {
            Some(instance_id) => match self.static_members.get(instance_id).cloned() {
                Some(old_id) => self.join_static_member_again(turn, join, &old_id, new_id),
                None => self.add_member_and_rebalance(turn, join, new_id),
            },
            None if join.waiting.api_version >= 4 => {
                // KIP-394: the first join is refused so that the member learns its id.
                tracing::debug!(group = %self.id, member = %new_id, "asking a new member to rejoin");
                turn.arm_heartbeat(&self.id, &new_id, request.session_timeout_ms);
                turn.join_error(join.waiting, &new_id, ErrorCode::MemberIdRequired);
                self.pending_joins.insert(new_id);
            }
            None => self.add_member_and_rebalance(turn, join, new_id),
        }
    }

    fn join_known_member(&mut self, turn: &mut Turn, join: &Join<'_>) {
        let request = join.request;
        let member_id = request.member_id.as_str();
        if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            turn.join_error(
                join.waiting,
                member_id,
                ErrorCode::InconsistentGroupProtocol,
            );
            return;
        }
        if self.pending_joins.contains(member_id) {
            if request.group_instance_id.is_some() {
                // A static member is never pending; upstream fails on it without a name.
                turn.join_error(join.waiting, member_id, ErrorCode::UnknownMemberId);
                return;
            }
            self.add_member_and_rebalance(turn, join, Arc::from(member_id));
            return;
        }
        match self.validate_member(member_id, request.group_instance_id.as_deref()) {
            Ok(()) => self.rejoin(turn, join, &Arc::from(member_id)),
            Err(code) => turn.join_error(join.waiting, member_id, code),
        }
    }

    fn rejoin(&mut self, turn: &mut Turn, join: &Join<'_>, member_id: &Arc<str>) {
        let same_protocols = self.members.get(member_id).is_some_and(|member| {
            member.protocols == SupportedProtocol::of(&join.request.protocols)
        });
        let state = self.state();
        let reason = match state {
            State::PreparingRebalance { .. } => format!("member {member_id} is joining"),
            State::CompletingRebalance | State::Stable if !same_protocols => {
                format!(
                    "updating metadata for member {member_id} during {}",
                    state.name()
                )
            }
            // The leader may know of changes that its own metadata does not show.
            State::Stable if self.is_leader(member_id) => format!("leader {member_id} re-joining"),
            State::CompletingRebalance | State::Stable => {
                // It may have missed the first answer; the generation stands.
                turn.join_reply(join.waiting, self.join_response(member_id));
                return;
            }
            State::Empty => {
                turn.join_error(join.waiting, member_id, ErrorCode::UnknownMemberId);
                return;
            }
        };
        self.update_member(turn, join, member_id);
        let reason = format!("{reason}; client reason: {}", join.reason());
        self.maybe_prepare_rebalance_or_complete_join(turn, &reason);
    }

    /// Takes a member's new metadata and parks its request.
    fn update_member(&mut self, turn: &mut Turn, join: &Join<'_>, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        member.protocols = SupportedProtocol::of(&join.request.protocols);
        member.rebalance_timeout_ms = join.rebalance_timeout_ms();
        member.session_timeout_ms = join.request.session_timeout_ms;
        if let Some(replaced) = member.awaiting_join.replace(join.waiting) {
            // The member asked again elsewhere. Upstream leaves the first request open for ever.
            turn.join_error(replaced, member_id, ErrorCode::RebalanceInProgress);
        }
    }

    fn add_member_and_rebalance(&mut self, turn: &mut Turn, join: &Join<'_>, member_id: Arc<str>) {
        let request = join.request;
        let member = Member {
            id: member_id.clone(),
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            client_id: join.meta.client_id.clone(),
            client_host: join.meta.client_host.clone(),
            rebalance_timeout_ms: join.rebalance_timeout_ms(),
            session_timeout_ms: request.session_timeout_ms,
            protocols: SupportedProtocol::of(&request.protocols),
            assignment: Bytes::new(),
            awaiting_join: Some(join.waiting),
            awaiting_sync: None,
            is_new: true,
        };
        if self.state() == (State::PreparingRebalance { initial: true }) {
            self.new_member_added = true;
        }
        self.add(member, &request.protocol_type);
        // It sends no heartbeats before it knows its id, and a lost connection does not show while
        // the request is parked: so new members get a time-out of their own.
        turn.arm_heartbeat(&self.id, &member_id, turn.config.new_member_join_timeout_ms);
        let reason = format!(
            "adding new member {member_id}; client reason: {}",
            join.reason()
        );
        self.maybe_prepare_rebalance_or_complete_join(turn, &reason);
    }

    /// A static member restarted: its new id takes the place of the old one (KIP-345).
    fn join_static_member_again(
        &mut self,
        turn: &mut Turn,
        join: &Join<'_>,
        old_id: &Arc<str>,
        new_id: Arc<str>,
    ) {
        let leader_before = self.leader.clone();
        let Some(mut old_member) = self.members.get(old_id).cloned() else {
            return;
        };
        old_member.awaiting_join = None;
        old_member.awaiting_sync = None;
        if let Some((join, sync)) = self.replace_static_member(old_id, &new_id) {
            if let Some(fenced) = join {
                turn.join_error(fenced, old_id, ErrorCode::FencedInstanceId);
            }
            if let Some(fenced) = sync {
                turn.sync_error(fenced, ErrorCode::FencedInstanceId);
            }
        }
        turn.cancel_heartbeat(&self.id, old_id);
        turn.arm_heartbeat(&self.id, &new_id, old_member.session_timeout_ms);
        self.update_member(turn, join, &new_id);
        match self.state() {
            State::Stable if self.select_protocol() == self.protocol_name => {
                let change = StaticMemberChange {
                    group_id: self.id.clone(),
                    new_member_id: new_id,
                    old_member,
                    leader_before,
                    waiting: join.waiting,
                };
                self.persist_static_member(turn, change);
            }
            State::Stable => {
                let reason = format!("static member {new_id} joined with change of protocol");
                self.maybe_prepare_rebalance_or_complete_join(turn, &reason);
            }
            // The leader may hold the old id already, and would assign to it.
            State::CompletingRebalance => {
                let reason = format!("updating metadata for static member {new_id}");
                self.prepare_rebalance(turn, &reason);
            }
            State::Empty | State::PreparingRebalance { .. } => self.maybe_complete_join(turn),
        }
    }

    /// The group goes on as it is; the new id is written before it is told.
    fn persist_static_member(&mut self, turn: &mut Turn, change: StaticMemberChange) {
        turn.write_group(self, self.to_record(|member| member.assignment.clone()));
        let new_id = &change.new_member_id;
        let mut response = self.join_response(new_id);
        if change.waiting.api_version >= 9 {
            // KIP-814: the leader sees the members but must not assign anew.
            response.skip_assignment = self.is_leader(new_id);
        } else {
            // An older client that found itself leader would assign: show it the old leader.
            response.members.clear();
            response.leader = optional_text(change.leader_before.as_ref()).unwrap_or_default();
        }
        if let Some(member) = self.members.get_mut(new_id) {
            member.awaiting_join = None;
        }
        turn.join_reply(change.waiting, response);
        turn.after_append = AfterAppend::StaticMember(Box::new(change));
    }

    /// The new id could not be written: the old one has its place back.
    pub(crate) fn undo_static_member(
        &mut self,
        turn: &mut Turn,
        change: &StaticMemberChange,
        code: ErrorCode,
    ) {
        let old = &change.old_member;
        self.replace_static_member(&change.new_member_id, &old.id);
        self.members.insert(old.id.clone(), old.clone());
        turn.cancel_heartbeat(&self.id, &change.new_member_id);
        turn.arm_heartbeat(&self.id, &old.id, old.session_timeout_ms);
        let mut response = self.join_response(&old.id).with_error_code(code.code());
        response.members.clear();
        response.member_id = Default::default();
        response.leader = optional_text(change.leader_before.as_ref()).unwrap_or_default();
        turn.join_reply(change.waiting, response);
    }

    fn to_empty_record(&self) -> super::record::GroupMetadataValue {
        super::record::GroupMetadataValue {
            protocol_type: Arc::from(""),
            generation: 0,
            protocol_name: None,
            leader: None,
            state_timestamp: self.state_since,
            members: Vec::new(),
        }
    }
}
