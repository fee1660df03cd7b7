//! The output of one event while it is being made.
//!
//! Invariant: every request is answered at most once; a parked request leaves its member when it
//! is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use protocol::{ErrorCode, StrBytes, Timestamp};
use uuid::Uuid;

use super::api::shape_join;
use super::classic::{ClassicGroup, Member, Waiting};
use super::record::{
    ConsumerGroupEntry, ConsumerGroupRecord, GroupMetadataValue, GroupRecord, ShareGroupEntry,
    ShareGroupRecord,
};
use super::{GroupCommand, GroupCoordinatorConfig, GroupResponse, GroupShard, GroupTimer};
use crate::{Effect, ReplyTo, TransactionalAppend};

pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    pub(crate) config: Arc<GroupCoordinatorConfig>,
    pub(crate) records: Vec<GroupRecord>,
    /// In whose transaction the records are written, where they are.
    pub(crate) producer: Option<TransactionalAppend>,
    pub(crate) replies: Vec<(ReplyTo, Result<GroupResponse, ErrorCode>)>,
    pub(crate) effects: Vec<Effect<GroupShard>>,
    pub(crate) commands: Vec<GroupCommand>,
    pub(crate) after_append: AfterAppend,
}

/// What rests on the records of this turn besides the hard state.
#[derive(Debug, Default)]
pub(crate) enum AfterAppend {
    #[default]
    Nothing,
    /// A failure takes the group back.
    NewGroup(Arc<str>),
    /// Success makes the group stable; a failure starts another rebalance.
    Assignment {
        group_id: Arc<str>,
        now: Timestamp,
        assignments: BTreeMap<Arc<str>, Bytes>,
    },
    /// A failure gives the static member its old place back.
    StaticMember(Box<StaticMemberChange>),
    /// A failure leaves the members where they were: their time runs out again, so soon.
    Fenced {
        group_id: Arc<str>,
        member_ids: BTreeSet<Arc<str>>,
        again_ms: i32,
    },
    /// A failure leaves the member of a share group where it was.
    ShareFenced {
        group_id: Arc<str>,
        member_id: Arc<str>,
        again_ms: i32,
    },
    /// A failure is the answer to who waits for a command.
    ShareStateAwaited(Uuid),
    /// A failure leaves the classic group as it was.
    Upgraded(Arc<str>),
    /// A failure puts the removal off.
    Expiration,
    Removal,
}

#[derive(Debug)]
pub(crate) struct StaticMemberChange {
    pub(crate) group_id: Arc<str>,
    pub(crate) new_member_id: Arc<str>,
    /// As it was, without whoever waited.
    pub(crate) old_member: Member,
    pub(crate) leader_before: Option<Arc<str>>,
    pub(crate) waiting: Waiting,
}

impl Turn {
    pub(crate) fn new(now: Timestamp, config: Arc<GroupCoordinatorConfig>) -> Self {
        Turn {
            now,
            config,
            records: Vec::new(),
            producer: None,
            replies: Vec::new(),
            effects: Vec::new(),
            commands: Vec::new(),
            after_append: AfterAppend::Nothing,
        }
    }

    pub(crate) fn reply(&mut self, token: ReplyTo, response: GroupResponse) {
        self.replies.push((token, Ok(response)));
    }

    pub(crate) fn fail(&mut self, token: ReplyTo, code: ErrorCode) {
        self.replies.push((token, Err(code)));
    }

    pub(crate) fn join_reply(&mut self, waiting: Waiting, response: JoinGroupResponse) {
        let response = shape_join(response, waiting.api_version);
        self.reply(waiting.token, GroupResponse::JoinGroup(response));
    }

    pub(crate) fn join_error(&mut self, waiting: Waiting, member_id: &str, code: ErrorCode) {
        let response = JoinGroupResponse::default()
            .with_member_id(text(member_id))
            .with_error_code(code.code());
        self.join_reply(waiting, response);
    }

    pub(crate) fn sync_reply(&mut self, waiting: Waiting, response: SyncGroupResponse) {
        self.reply(waiting.token, GroupResponse::SyncGroup(response));
    }

    pub(crate) fn sync_error(&mut self, waiting: Waiting, code: ErrorCode) {
        self.sync_reply(
            waiting,
            SyncGroupResponse::default().with_error_code(code.code()),
        );
    }

    pub(crate) fn arm(&mut self, key: GroupTimer, delay_ms: i32) {
        let at = Timestamp(self.now.0.saturating_add(i64::from(delay_ms.max(0))));
        self.effects.push(Effect::ArmTimer { key, at });
    }

    pub(crate) fn cancel(&mut self, key: GroupTimer) {
        self.effects.push(Effect::CancelTimer(key));
    }

    pub(crate) fn arm_heartbeat(&mut self, group_id: &Arc<str>, member_id: &Arc<str>, ms: i32) {
        self.arm(heartbeat_timer(group_id, member_id), ms);
    }

    pub(crate) fn cancel_heartbeat(&mut self, group_id: &Arc<str>, member_id: &Arc<str>) {
        self.cancel(heartbeat_timer(group_id, member_id));
    }

    pub(crate) fn arm_consumer_session(&mut self, group: &Arc<str>, member: &Arc<str>, ms: i32) {
        self.arm(consumer_session(group, member), ms);
    }

    pub(crate) fn cancel_consumer_session(&mut self, group: &Arc<str>, member: &Arc<str>) {
        self.cancel(consumer_session(group, member));
    }

    pub(crate) fn arm_consumer_rebalance(&mut self, group: &Arc<str>, member: &Arc<str>, ms: i32) {
        self.arm(consumer_rebalance(group, member), ms);
    }

    pub(crate) fn cancel_consumer_rebalance(&mut self, group: &Arc<str>, member: &Arc<str>) {
        self.cancel(consumer_rebalance(group, member));
    }

    /// Of a member of the classic protocol: it need neither join nor sync any more.
    pub(crate) fn cancel_consumer_protocol(&mut self, group: &Arc<str>, member: &Arc<str>) {
        self.cancel(consumer_join(group, member));
        self.cancel(consumer_sync(group, member));
    }

    pub(crate) fn arm_regex(&mut self, group_id: &Arc<str>) {
        let group_id = group_id.clone();
        self.arm(GroupTimer::Regex { group_id }, 0);
    }

    /// Once the records are replayed, the group is a classic one.
    pub(crate) fn arm_downgraded(&mut self, group_id: &Arc<str>, rebalances: bool) {
        let group_id = group_id.clone();
        let key = GroupTimer::Downgraded {
            group_id,
            rebalances,
        };
        self.arm(key, 0);
    }

    pub(crate) fn write_consumer_group(
        &mut self,
        group_id: &Arc<str>,
        entries: Vec<ConsumerGroupEntry>,
    ) {
        let records = entries.into_iter().map(|entry| ConsumerGroupRecord {
            group_id: group_id.clone(),
            entry,
        });
        self.records.extend(records.map(GroupRecord::ConsumerGroup));
    }

    pub(crate) fn arm_share_session(&mut self, group: &Arc<str>, member: &Arc<str>, ms: i32) {
        self.arm(share_session(group, member), ms);
    }

    pub(crate) fn cancel_share_session(&mut self, group: &Arc<str>, member: &Arc<str>) {
        self.cancel(share_session(group, member));
    }

    pub(crate) fn write_share_group(&mut self, group_id: &Arc<str>, entries: Vec<ShareGroupEntry>) {
        let records = entries.into_iter().map(|entry| ShareGroupRecord {
            group_id: group_id.clone(),
            entry,
        });
        self.write_share_group_records(records.collect());
    }

    pub(crate) fn write_share_group_records(&mut self, records: Vec<ShareGroupRecord>) {
        self.records
            .extend(records.into_iter().map(GroupRecord::ShareGroup));
    }

    pub(crate) fn write_group(&mut self, group: &ClassicGroup, value: GroupMetadataValue) {
        self.records.push(GroupRecord::GroupMetadata {
            group_id: group.id.clone(),
            value: Some(value),
        });
    }
}

pub(crate) fn heartbeat_timer(group_id: &Arc<str>, member_id: &Arc<str>) -> GroupTimer {
    GroupTimer::Heartbeat {
        group_id: group_id.clone(),
        member_id: member_id.clone(),
    }
}

fn consumer_session(group_id: &Arc<str>, member_id: &Arc<str>) -> GroupTimer {
    GroupTimer::ConsumerSession {
        group_id: group_id.clone(),
        member_id: member_id.clone(),
    }
}

fn consumer_rebalance(group_id: &Arc<str>, member_id: &Arc<str>) -> GroupTimer {
    GroupTimer::ConsumerRebalance {
        group_id: group_id.clone(),
        member_id: member_id.clone(),
    }
}

fn share_session(group_id: &Arc<str>, member_id: &Arc<str>) -> GroupTimer {
    GroupTimer::ShareSession {
        group_id: group_id.clone(),
        member_id: member_id.clone(),
    }
}

pub(crate) fn consumer_join(group_id: &Arc<str>, member_id: &Arc<str>) -> GroupTimer {
    GroupTimer::ConsumerJoin {
        group_id: group_id.clone(),
        member_id: member_id.clone(),
    }
}

pub(crate) fn consumer_sync(group_id: &Arc<str>, member_id: &Arc<str>) -> GroupTimer {
    GroupTimer::ConsumerSync {
        group_id: group_id.clone(),
        member_id: member_id.clone(),
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn optional_text(value: Option<&Arc<str>>) -> Option<StrBytes> {
    value.map(|value| text(value))
}
