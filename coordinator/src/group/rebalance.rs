//! The rebalance of a classic group: from "someone must join" to the next generation.
//!
//! Invariant: while a group prepares, its join timer is armed; while it completes, its sync timer
//! is; a generation that ends empty is written, one with members is written with its assignment.
//!
//! ```text
//! Empty ──► PreparingRebalance ──► CompletingRebalance ──► Stable
//!   ▲            │    ▲ ▲                  │                 │
//!   └────────────┘    │ └──────────────────┘                 │
//!                     └──────────────────────────────────────┘
//! ```

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::join_group_response::JoinGroupResponseMember;
use protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::GroupTimer;
use super::classic::{ClassicGroup, InitialDelay, State};
use super::turn::{Turn, optional_text, text};

impl ClassicGroup {
    fn join_timer(&self) -> GroupTimer {
        GroupTimer::Join {
            group_id: self.id.clone(),
        }
    }

    fn sync_timer(&self) -> GroupTimer {
        GroupTimer::Sync {
            group_id: self.id.clone(),
        }
    }

    pub(crate) fn maybe_prepare_rebalance_or_complete_join(
        &mut self,
        turn: &mut Turn,
        reason: &str,
    ) {
        match self.state() {
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(turn, reason);
            }
            State::PreparingRebalance { .. } => self.maybe_complete_join(turn),
        }
    }

    /// Ends the join phase when all are there. A first rebalance always waits for its timer.
    pub(crate) fn maybe_complete_join(&mut self, turn: &mut Turn) {
        let waiting = self.state() == State::PreparingRebalance { initial: false };
        if waiting && self.has_all_members_joined() {
            self.complete_join(turn);
        }
    }

    pub(crate) fn prepare_rebalance(&mut self, turn: &mut Turn, reason: &str) {
        if self.state() == State::CompletingRebalance {
            self.reset_assignments(turn, ErrorCode::RebalanceInProgress);
        }
        self.pending_syncs.clear();
        turn.cancel(self.sync_timer());
        let initial = self.state() == State::Empty;
        self.transition_to(State::PreparingRebalance { initial }, turn.now);
        tracing::info!(group = %self.id, generation = self.generation, reason, "preparing to rebalance");
        if initial {
            // The group is new: more members are likely to come.
            let delay_ms = turn.config.group_initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.initial_delay = Some(InitialDelay {
                delay_ms,
                remaining_ms,
            });
            turn.arm(self.join_timer(), delay_ms);
        } else if self.has_all_members_joined() {
            self.complete_join(turn);
        } else {
            turn.arm(self.join_timer(), self.rebalance_timeout_ms());
        }
    }

    /// The join timer came due.
    pub(crate) fn join_timer_expired(&mut self, turn: &mut Turn) {
        let State::PreparingRebalance { .. } = self.state() else {
            return;
        };
        match self.initial_delay.take() {
            Some(delay) if self.new_member_added && delay.remaining_ms != 0 => {
                self.new_member_added = false;
                let delay_ms = turn
                    .config
                    .group_initial_rebalance_delay_ms
                    .min(delay.remaining_ms);
                let remaining_ms = (delay.remaining_ms - delay.delay_ms).max(0);
                self.initial_delay = Some(InitialDelay {
                    delay_ms,
                    remaining_ms,
                });
                turn.arm(self.join_timer(), delay_ms);
            }
            Some(_) | None => self.complete_join(turn),
        }
    }

    /// Ends the join phase with whoever joined.
    pub(crate) fn complete_join(&mut self, turn: &mut Turn) {
        self.initial_delay = None;
        turn.cancel(self.join_timer());
        self.remove_members_that_did_not_join(turn);
        if !self.maybe_elect_new_joined_leader() && !self.members.is_empty() {
            // Only static members are left, and none came. Their sessions will run out.
            tracing::info!(group = %self.id, "no member rejoined, the rebalance is put off");
            turn.arm(self.join_timer(), self.rebalance_timeout_ms());
            return;
        }
        self.init_next_generation(turn.now);
        if self.members.is_empty() {
            tracing::info!(group = %self.id, generation = self.generation, "the group is now empty");
            turn.write_group(self, self.to_record(|_| Bytes::new()));
        } else {
            tracing::info!(
                group = %self.id, generation = self.generation, members = self.members.len(),
                "all members joined"
            );
            self.answer_joins(turn);
            turn.arm(self.sync_timer(), self.rebalance_timeout_ms());
        }
    }

    fn remove_members_that_did_not_join(&mut self, turn: &mut Turn) {
        let missing = self
            .members
            .values()
            .filter(|member| member.awaiting_join.is_none() && member.instance_id.is_none());
        let missing: Vec<_> = missing.map(|member| member.id.clone()).collect();
        for member_id in &missing {
            self.remove(member_id);
            turn.cancel_heartbeat(&self.id, member_id);
        }
        if !missing.is_empty() {
            tracing::info!(group = %self.id, members = ?missing, "removed members that did not join");
        }
    }

    fn answer_joins(&mut self, turn: &mut Turn) {
        let member_ids: Vec<_> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let response = self.join_response(&member_id);
            let Some(member) = self.members.get_mut(&member_id) else {
                continue;
            };
            member.is_new = false;
            turn.arm_heartbeat(&self.id, &member_id, member.session_timeout_ms);
            if let Some(waiting) = member.awaiting_join.take() {
                turn.join_reply(waiting, response);
            }
            self.pending_syncs.insert(member_id);
        }
    }

    /// What a member of the present generation is told. The leader alone sees the others.
    pub(crate) fn join_response(&self, member_id: &str) -> JoinGroupResponse {
        let members = if self.is_leader(member_id) {
            self.members_for_leader()
        } else {
            Vec::new()
        };
        JoinGroupResponse::default()
            .with_members(members)
            .with_member_id(text(member_id))
            .with_generation_id(self.generation)
            .with_protocol_name(optional_text(self.protocol_name.as_ref()))
            .with_protocol_type(optional_text(self.protocol_type.as_ref()))
            .with_leader(optional_text(self.leader.as_ref()).unwrap_or_default())
    }

    fn members_for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let members = self.members.values().map(|member| {
            JoinGroupResponseMember::default()
                .with_member_id(text(&member.id))
                .with_group_instance_id(optional_text(member.instance_id.as_ref()))
                .with_metadata(member.metadata(self.protocol_name.as_deref()))
        });
        members.collect()
    }

    /// Gives up the assignments of a generation that will not come about.
    pub(crate) fn reset_assignments(&mut self, turn: &mut Turn, code: ErrorCode) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(waiting) = member.awaiting_sync.take() {
                turn.sync_error(waiting, code);
                turn.arm_heartbeat(&self.id, &member.id, member.session_timeout_ms);
            }
        }
    }

    /// Answers all who wait for the assignment. The members take it when the log has it.
    pub(crate) fn answer_syncs(&mut self, turn: &mut Turn, assigned: impl Fn(&str) -> Bytes) {
        for member in self.members.values_mut() {
            let Some(waiting) = member.awaiting_sync.take() else {
                continue;
            };
            let response = SyncGroupResponse::default()
                .with_protocol_name(optional_text(self.protocol_name.as_ref()))
                .with_protocol_type(optional_text(self.protocol_type.as_ref()))
                .with_assignment(assigned(&member.id));
            turn.sync_reply(waiting, response);
            // A session that ran out while the member waited was let pass, so it starts anew.
            turn.arm_heartbeat(&self.id, &member.id, member.session_timeout_ms);
        }
    }

    /// A member sent its SyncGroup.
    pub(crate) fn remove_pending_sync(&mut self, turn: &mut Turn, member_id: &str) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            turn.cancel(self.sync_timer());
        }
    }

    /// The sync timer came due: whoever did not send SyncGroup is out.
    pub(crate) fn sync_timer_expired(&mut self, turn: &mut Turn) {
        match self.state() {
            State::CompletingRebalance | State::Stable if !self.pending_syncs.is_empty() => {
                let missing = std::mem::take(&mut self.pending_syncs);
                for member_id in &missing {
                    self.remove(member_id);
                    turn.cancel_heartbeat(&self.id, member_id);
                }
                let reason = format!("removing {missing:?} on pending sync request expiration");
                self.prepare_rebalance(turn, &reason);
            }
            State::Empty
            | State::PreparingRebalance { .. }
            | State::CompletingRebalance
            | State::Stable => {}
        }
    }

    /// A member is out: its parked join is answered, the others rebalance.
    pub(crate) fn remove_member_and_update(&mut self, turn: &mut Turn, id: &str, reason: &str) {
        self.remove_and_answer(turn, id);
        match self.state() {
            State::Stable | State::CompletingRebalance => {
                self.maybe_prepare_rebalance_or_complete_join(turn, reason);
            }
            State::PreparingRebalance { .. } if self.has_all_members_joined() => {
                self.complete_join(turn);
            }
            State::Empty | State::PreparingRebalance { .. } => {}
        }
    }

    /// Takes a member out and answers what it had parked, so that a live one tries again.
    pub(crate) fn remove_and_answer(&mut self, turn: &mut Turn, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            let (join, sync) = (member.awaiting_join.take(), member.awaiting_sync.take());
            if let Some(waiting) = join {
                turn.join_error(waiting, "", ErrorCode::UnknownMemberId);
            }
            if let Some(waiting) = sync {
                turn.sync_error(waiting, ErrorCode::UnknownMemberId);
            }
        }
        self.remove(member_id);
    }

    /// A pending member did not come back in time, or left.
    pub(crate) fn remove_pending_member(&mut self, turn: &mut Turn, member_id: &str) {
        self.remove(member_id);
        if matches!(self.state(), State::PreparingRebalance { .. }) && self.has_all_members_joined()
        {
            self.complete_join(turn);
        }
    }
}
