//! Members that go: they leave, or their session ran out.
//!
//! Invariant: a member goes in the same batch that makes the group move on.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

use super::super::GroupShard;
use super::super::refusal::Refusal;
use super::super::turn::{AfterAppend, Turn};
use super::update::Update;

/// What could not be written by a timer is tried again after so long.
const RETRY_BACKOFF_MS: i32 = 500;

impl GroupShard {
    /// A heartbeat that says good-bye.
    pub(crate) fn share_leave(
        &mut self,
        turn: &mut Turn,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<ShareGroupHeartbeatResponse, Refusal> {
        let group = self.share_group(&request.group_id)?;
        let member_id = group.known_member(&request.member_id)?.id.clone();
        let group_id = group.id.clone();
        tracing::info!(group = %group_id, member = %member_id, "a member left");
        let timeout_ms = self.share_session_timeout_ms(turn, &group_id);
        self.share_fence(turn, &group_id, member_id, timeout_ms);
        Ok(ShareGroupHeartbeatResponse::default()
            .with_member_id(Some(request.member_id.clone()))
            .with_member_epoch(request.member_epoch))
    }

    pub(crate) fn share_member_expired(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: Arc<str>,
    ) {
        tracing::info!(group = %group_id, member = %member_id, "a member's session ran out");
        self.share_fence(turn, group_id, member_id, RETRY_BACKOFF_MS);
    }

    /// Takes a member out of a group. If that cannot be written, it is tried again by timer.
    fn share_fence(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: Arc<str>,
        again_ms: i32,
    ) {
        let Some(group) = self.share_groups.get(group_id) else {
            return;
        };
        if group.member(&member_id).is_none() {
            return;
        }
        let config = turn.config.clone();
        let update = Update::new(group, &*self.metadata, &config, turn.now);
        let entries = update.without(&BTreeSet::from([member_id.clone()]));
        turn.write_share_group(group_id, entries);
        turn.cancel_share_session(group_id, &member_id);
        turn.after_append = AfterAppend::ShareFenced {
            group_id: group_id.clone(),
            member_id,
            again_ms,
        };
    }

    /// No group has members any more. Whoever was one finds that it is none, and joins again.
    pub(crate) fn end_share_memberships(&self, turn: &mut Turn) {
        for group in self.share_groups.values() {
            let all: BTreeSet<_> = group.members().map(|member| member.id.clone()).collect();
            if !all.is_empty() {
                let config = turn.config.clone();
                let update = Update::new(group, &*self.metadata, &config, turn.now);
                let entries = update.without(&all);
                turn.write_share_group(&group.id, entries);
            }
        }
    }
}
