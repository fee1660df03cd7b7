//! SyncGroup, Heartbeat, LeaveGroup, and sessions that run out.
//!
//! Invariant: a member is checked by instance, then id, then generation, before anything else.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, SyncGroupRequest, SyncGroupResponse,
};

use super::api::{leaving, left, shape_leave};
use super::classic::{ClassicGroup, State, Waiting};
use super::turn::{AfterAppend, Turn, optional_text};
use super::{GroupResponse, GroupShard};
use crate::{ReplyTo, RequestMeta};

impl GroupShard {
    pub(crate) fn sync(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &SyncGroupRequest,
    ) {
        let waiting = Waiting {
            token,
            api_version: meta.api_version,
        };
        if let Some(group) = self.groups.get_mut(request.group_id.as_str()) {
            group.live.sync(turn, waiting, request);
        } else if let Some(group) = self.consumer_groups.get(request.group_id.as_str()) {
            self.sync_consumer_group(turn, waiting, group, request);
        } else {
            turn.sync_error(waiting, ErrorCode::UnknownMemberId);
        }
    }

    pub(crate) fn heartbeat(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &HeartbeatRequest,
    ) {
        let result = if let Some(group) = self.groups.get_mut(request.group_id.as_str()) {
            group.live.heartbeat(turn, request)
        } else if let Some(group) = self.consumer_groups.get(request.group_id.as_str()) {
            self.heartbeat_consumer_group(turn, group, request)
        } else {
            Err(ErrorCode::UnknownMemberId)
        };
        let response = HeartbeatResponse::default().with_error_code(protocol::code_of(result));
        turn.reply(token, GroupResponse::Heartbeat(response));
    }

    pub(crate) fn leave(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &LeaveGroupRequest,
    ) {
        if self.consumer_groups.contains_key(request.group_id.as_str()) {
            self.leave_consumer_group(turn, token, meta, request);
            return;
        }
        let members = leaving(request, meta.api_version);
        let Some(group) = self.groups.get_mut(request.group_id.as_str()) else {
            turn.fail(token, ErrorCode::UnknownMemberId);
            return;
        };
        let group = &mut group.live;
        let mut responses = Vec::with_capacity(members.len());
        for member in &members {
            let result = group.leave_one(turn, member);
            responses.push(left(member, result));
        }
        if responses.iter().any(|response| response.error_code == 0) {
            match group.state() {
                State::Stable | State::CompletingRebalance => {
                    group.prepare_rebalance(turn, "explicit LeaveGroup request");
                }
                State::PreparingRebalance { .. } => group.maybe_complete_join(turn),
                State::Empty => {}
            }
        }
        let response = shape_leave(responses, meta.api_version);
        turn.reply(token, GroupResponse::LeaveGroup(response));
    }

    /// A session, or the wait of a pending or new member, ran out.
    pub(crate) fn session_expired(&mut self, turn: &mut Turn, group_id: &str, member_id: &str) {
        let Some(group) = self.groups.get_mut(group_id) else {
            return;
        };
        let group = &mut group.live;
        if group.pending_joins.contains(member_id) {
            tracing::info!(
                group = group_id,
                member = member_id,
                "pending member did not come back"
            );
            group.remove_pending_member(turn, member_id);
            return;
        }
        let Some(member) = group.members.get(member_id) else {
            return;
        };
        if !member.has_satisfied_heartbeat() {
            tracing::info!(
                group = group_id,
                member = member_id,
                "member failed, removing it"
            );
            let reason = format!("removing member {member_id} on heartbeat expiration");
            group.remove_member_and_update(turn, member_id, &reason);
        }
    }
}

impl ClassicGroup {
    fn sync(&mut self, turn: &mut Turn, waiting: Waiting, request: &SyncGroupRequest) {
        if let Err(code) = self.validate_sync(request) {
            turn.sync_error(waiting, code);
            return;
        }
        let member_id = request.member_id.as_str();
        match self.state() {
            State::Empty => turn.sync_error(waiting, ErrorCode::UnknownMemberId),
            State::PreparingRebalance { .. } => {
                turn.sync_error(waiting, ErrorCode::RebalanceInProgress);
            }
            State::CompletingRebalance => {
                let member = self.members.get_mut(member_id);
                let replaced = member.and_then(|member| member.awaiting_sync.replace(waiting));
                if let Some(replaced) = replaced {
                    // The member asked again elsewhere. Upstream leaves the first request open.
                    turn.sync_error(replaced, ErrorCode::RebalanceInProgress);
                }
                self.remove_pending_sync(turn, member_id);
                if self.is_leader(member_id) {
                    self.write_assignment(turn, request);
                }
            }
            State::Stable => {
                self.remove_pending_sync(turn, member_id);
                let member = self.members.get(member_id);
                let assignment = member.map_or_else(Bytes::new, |member| member.assignment.clone());
                let response = SyncGroupResponse::default()
                    .with_protocol_type(optional_text(self.protocol_type.as_ref()))
                    .with_protocol_name(optional_text(self.protocol_name.as_ref()))
                    .with_assignment(assignment);
                turn.sync_reply(waiting, response);
            }
        }
    }

    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        if self.state() == State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |given: Option<&str>, own: Option<&str>| match (given, own) {
            (Some(given), Some(own)) => given != own,
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        if differs(
            request.protocol_type.as_deref(),
            self.protocol_type.as_deref(),
        ) || differs(
            request.protocol_name.as_deref(),
            self.protocol_name.as_deref(),
        ) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The leader's assignment: written first, then the group is stable and all who wait hear it.
    fn write_assignment(&mut self, turn: &mut Turn, request: &SyncGroupRequest) {
        let mut assignments: BTreeMap<Arc<str>, Bytes> = BTreeMap::new();
        for given in &request.assignments {
            // Copied, so that a group does not keep the frame of a request alive.
            let assignment = Bytes::copy_from_slice(&given.assignment);
            assignments.insert(Arc::from(given.member_id.as_str()), assignment);
        }
        let assigned = |member_id: &str| assignments.get(member_id).cloned().unwrap_or_default();
        tracing::info!(
            group = %self.id, generation = self.generation, members = self.members.len(),
            "assignment received from the leader"
        );
        turn.write_group(self, self.to_record(|member| assigned(&member.id)));
        self.answer_syncs(turn, assigned);
        turn.after_append = AfterAppend::Assignment {
            group_id: self.id.clone(),
            now: turn.now,
            assignments,
        };
    }

    fn heartbeat(&mut self, turn: &mut Turn, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state() {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance { .. } => {
                self.extend_session(turn, &request.member_id);
                Err(ErrorCode::RebalanceInProgress)
            }
            // Members may send heartbeats before they have their assignment.
            State::CompletingRebalance | State::Stable => {
                self.extend_session(turn, &request.member_id);
                Ok(())
            }
        }
    }

    pub(crate) fn extend_session(&mut self, turn: &mut Turn, member_id: &str) {
        if let Some(member) = self.members.get(member_id) {
            turn.arm_heartbeat(&self.id, &member.id, member.session_timeout_ms);
        }
    }

    fn leave_one(&mut self, turn: &mut Turn, member: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance_id = member.group_instance_id.as_deref();
        let member_id: Arc<str> = if member.member_id.is_empty() {
            // An administrator removes a static member by its instance id alone.
            let known = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
            known.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else {
            if !self.pending_joins.contains(member.member_id.as_str()) {
                self.validate_member(&member.member_id, instance_id)?;
            }
            Arc::from(member.member_id.as_str())
        };
        let reason = member.reason.as_deref().unwrap_or("not provided");
        tracing::info!(group = %self.id, member = %member_id, reason, "member left");
        turn.cancel_heartbeat(&self.id, &member_id);
        self.remove_and_answer(turn, &member_id);
        Ok(())
    }
}
