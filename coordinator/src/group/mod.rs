//! The groups of one partition of `__consumer_offsets`, with their committed offsets.
//!
//! Invariant: hard state is the last group record of each classic group, all of a consumer group
//! that its records say, and the committed offsets; it changes in `replay` alone and is equal after
//! the same records, whatever happened in between. A classic group as it is now ([`classic`]) is
//! soft: made from the record at load, gone with the shard.

mod api;
mod assignor;
mod classic;
mod config;
mod consumer;
mod describe;
mod epochs;
mod join;
mod membership;
mod metadata;
mod offsets;
mod rebalance;
pub mod record;
mod refusal;
mod removal;
mod share;
mod subscription;
mod topic_regex;
mod transactional;
mod turn;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{ErrorCode, Timestamp};
use uuid::Uuid;

pub use api::{DeletedTopic, GroupCounts, GroupRequest, GroupResponse, OnError, append_error};
pub use assignor::TopicView;
pub use config::{ConsumerGroupMigrationPolicy, GroupCoordinatorConfig};
pub use metadata::{GroupConfig, MetadataChange, MetadataView};
pub use share::{DescribedOffsets, GroupCommand, GroupCommandAnswer, SharePartitionSummary};

pub use crate::wire::WireError;
use crate::{
    AppendToken, Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard,
    TransactionResult,
};
use classic::{ClassicGroup, State};
use consumer::group::ConsumerGroup;
use metadata::NoMetadata;
use offsets::Offsets;
use record::{
    ConsumerGroupEntry, ConsumerGroupRecord, GroupMetadataValue, GroupRecord, ShareGroupEntry,
    ShareGroupRecord,
};
use share::Awaited;
use share::group::ShareGroup;
use turn::{AfterAppend, Turn};

/// Where the random half of a member id comes from.
pub trait MemberIds: Send {
    fn next_uuid(&mut self) -> Uuid;
}

impl<F: FnMut() -> Uuid + Send> MemberIds for F {
    fn next_uuid(&mut self) -> Uuid {
        self()
    }
}

/// What a shard has armed timers for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupTimer {
    /// A member's session, or the wait of a pending or new member.
    Heartbeat {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// The join phase of a rebalance.
    Join { group_id: Arc<str> },
    /// The sync phase of a rebalance.
    Sync { group_id: Arc<str> },
    /// A consumer group's member, of either protocol.
    ConsumerSession {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// A member has to give up partitions.
    ConsumerRebalance {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// A consumer group's member of the classic protocol has to join again.
    ConsumerJoin {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// Such a member has to fetch its assignment.
    ConsumerSync {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// The regular expressions of a consumer group are to be resolved.
    Regex { group_id: Arc<str> },
    /// A consumer group has just become a classic one.
    Downgraded {
        group_id: Arc<str>,
        rebalances: bool,
    },
    /// A share group's member.
    ShareSession {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// The next look for expired offsets.
    Expiration,
    /// More offsets of deleted topics are to be removed.
    Removal,
}

/// The group coordinator of one partition of `__consumer_offsets`.
pub struct GroupShard {
    config: Arc<GroupCoordinatorConfig>,
    partition: i32,
    ids: Box<dyn MemberIds>,
    /// Classic groups. An id is here, among the consumer groups or among the share groups, never in
    /// two of them.
    groups: BTreeMap<Arc<str>, Group>,
    consumer_groups: BTreeMap<Arc<str>, ConsumerGroup>,
    share_groups: BTreeMap<Arc<str>, ShareGroup>,
    /// Who waits for the share coordinator, by what the command is called.
    awaited: BTreeMap<Uuid, Awaited>,
    offsets: Offsets,
    metadata: Arc<dyn MetadataView>,
    /// The version of the metadata when topics were created last.
    last_new_topics_version: i64,
    /// When each armed timer is due. A timer that fires early or was moved meanwhile is let pass.
    deadlines: BTreeMap<GroupTimer, Timestamp>,
    loaded: bool,
    tokens_given: u64,
    in_flight: Option<InFlight>,
    expiry_resumes_at: Option<Arc<str>>,
    deleted_topics: Vec<DeletedTopic>,
    counts: GroupCounts,
}

/// A group as it is now, and as the log knows it.
#[derive(Debug)]
struct Group {
    live: ClassicGroup,
    /// None for a group that only its offsets, or a join under way, made known.
    committed: Option<GroupMetadataValue>,
}

/// The output whose records the runtime is appending.
#[derive(Debug)]
struct InFlight {
    token: AppendToken,
    not_replayed: usize,
    waiting: Vec<ReplyTo>,
    after_append: AfterAppend,
}

impl GroupShard {
    pub fn new(
        config: GroupCoordinatorConfig,
        partition: i32,
        ids: impl MemberIds + 'static,
    ) -> Self {
        GroupShard {
            config: Arc::new(config),
            partition,
            ids: Box::new(ids),
            groups: BTreeMap::new(),
            consumer_groups: BTreeMap::new(),
            share_groups: BTreeMap::new(),
            awaited: BTreeMap::new(),
            offsets: Offsets::default(),
            metadata: Arc::new(NoMetadata),
            last_new_topics_version: -1,
            deadlines: BTreeMap::new(),
            loaded: false,
            tokens_given: 0,
            in_flight: None,
            expiry_resumes_at: None,
            deleted_topics: Vec::new(),
            counts: GroupCounts::default(),
        }
    }

    /// What the shard knows of the cluster before the first change is told.
    pub fn with_metadata(mut self, view: Arc<dyn MetadataView>) -> Self {
        self.last_new_topics_version = view.version();
        self.metadata = view;
        self
    }

    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The hard state as records, ordered: replayed into a new shard they make the same hard
    /// state. Encoded they are the rows of the group view; a record of the log changes exactly the
    /// row of its key. Offsets inside open transactions are not among them.
    pub fn rows(&self) -> impl Iterator<Item = GroupRecord> + '_ {
        let groups = self.groups.iter().filter_map(|(group_id, group)| {
            let value = Some(group.committed.clone()?);
            Some(GroupRecord::GroupMetadata {
                group_id: group_id.clone(),
                value,
            })
        });
        let consumer_groups = self.consumer_groups.values().flat_map(|group| {
            let rows = group.rows();
            rows.into_iter().map(GroupRecord::ConsumerGroup)
        });
        let share_groups = self.share_groups.values().flat_map(|group| {
            let rows = group.rows();
            rows.into_iter().map(GroupRecord::ShareGroup)
        });
        let groups = groups.chain(consumer_groups).chain(share_groups);
        groups.chain(self.offsets.rows())
    }

    /// Whether there is a group of this name, of whichever kind.
    fn has_group(&self, group_id: &str) -> bool {
        self.groups.contains_key(group_id)
            || self.consumer_groups.contains_key(group_id)
            || self.share_groups.contains_key(group_id)
    }

    fn dispatch(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &GroupRequest,
    ) {
        if let Some(response) = request.refuse_early(meta, &turn.config) {
            turn.reply(token, response);
            return;
        }
        match request {
            GroupRequest::JoinGroup(request) => self.join(turn, token, meta, request),
            GroupRequest::SyncGroup(request) => self.sync(turn, token, meta, request),
            GroupRequest::Heartbeat(request) => self.heartbeat(turn, token, request),
            GroupRequest::LeaveGroup(request) => self.leave(turn, token, meta, request),
            GroupRequest::OffsetCommit(request) => self.commit(turn, token, meta, request),
            GroupRequest::TxnOffsetCommit(request) => {
                self.commit_in_transaction(turn, token, request);
            }
            GroupRequest::OffsetFetch {
                group,
                require_stable,
            } => {
                self.fetch(turn, token, group, *require_stable);
            }
            GroupRequest::OffsetDelete(request) => self.delete_offsets(turn, token, request),
            GroupRequest::ConsumerGroupHeartbeat(request) => {
                self.consumer_heartbeat(turn, token, meta, request);
            }
            GroupRequest::ConsumerGroupDescribe(group_id) => {
                let described = self.describe_consumer_group(turn, group_id);
                turn.reply(token, GroupResponse::ConsumerGroupDescribe(described));
            }
            GroupRequest::ShareGroupHeartbeat(request) => {
                self.share_heartbeat(turn, token, meta, request);
            }
            GroupRequest::ShareGroupDescribe(group_id) => {
                let described = self.describe_share_group(group_id);
                turn.reply(token, GroupResponse::ShareGroupDescribe(described));
            }
            GroupRequest::SharePartitions(group_id) => {
                let partitions = self.share_partitions(group_id);
                turn.reply(token, GroupResponse::SharePartitions(Ok(partitions)));
            }
            GroupRequest::AlterShareGroupOffsets(request) => {
                self.alter_share_offsets(turn, token, request);
            }
            GroupRequest::DeleteShareGroupOffsets(request) => {
                self.delete_share_offsets(turn, token, request);
            }
            GroupRequest::ShareStateChanged(change) => {
                self.share_state_changed(turn, token, change);
            }
            GroupRequest::DescribeGroup(group_id) => {
                let described = self.describe(group_id, meta.api_version);
                turn.reply(token, GroupResponse::DescribeGroup(described));
            }
            GroupRequest::ListGroups { states, types } => {
                turn.reply(token, GroupResponse::ListGroups(self.list(states, types)));
            }
            GroupRequest::DeleteGroup(group_id) => self.delete_group(turn, token, group_id),
            GroupRequest::TopicsDeleted(topics) => self.topics_deleted(turn, token, topics),
            GroupRequest::MetadataChanged(change) => {
                self.metadata_changed(change);
                turn.reply(token, GroupResponse::MetadataChanged);
            }
            GroupRequest::Counts => turn.reply(token, GroupResponse::Counts(self.counts)),
        }
        self.shape_failures(turn, meta, request);
    }

    /// A request that failed as a whole is answered in the shape of its API.
    fn shape_failures(&self, turn: &mut Turn, meta: &RequestMeta, request: &GroupRequest) {
        for (_, reply) in &mut turn.replies {
            if let Err(code) = *reply {
                *reply = Ok(OnError::of(request, meta).response(code));
            }
        }
    }

    fn timer_fired(&mut self, turn: &mut Turn, timer: GroupTimer) {
        match self.deadlines.get(&timer) {
            Some(deadline) if *deadline <= turn.now => self.deadlines.remove(&timer),
            Some(_) | None => return,
        };
        match timer {
            GroupTimer::Heartbeat {
                group_id,
                member_id,
            } => {
                self.session_expired(turn, &group_id, &member_id);
            }
            GroupTimer::Join { group_id } => {
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.live.join_timer_expired(turn);
                }
            }
            GroupTimer::Sync { group_id } => {
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.live.sync_timer_expired(turn);
                }
            }
            GroupTimer::ConsumerSession {
                group_id,
                member_id,
            } => self.consumer_member_expired(turn, &group_id, member_id),
            GroupTimer::ConsumerRebalance {
                group_id,
                member_id,
            } => self.consumer_rebalance_expired(turn, &group_id, &member_id),
            GroupTimer::ConsumerJoin {
                group_id,
                member_id,
            }
            | GroupTimer::ConsumerSync {
                group_id,
                member_id,
            } => self.consumer_member_expired(turn, &group_id, member_id),
            GroupTimer::ShareSession {
                group_id,
                member_id,
            } => self.share_member_expired(turn, &group_id, member_id),
            GroupTimer::Regex { group_id } => self.resolve_regexes(turn, &group_id),
            GroupTimer::Downgraded {
                group_id,
                rebalances,
            } => self.downgraded(turn, &group_id, rebalances),
            GroupTimer::Expiration => self.expire(turn),
            GroupTimer::Removal => self.remove_deleted_topics(turn),
        }
    }

    fn on_loaded(&mut self, turn: &mut Turn) {
        self.loaded = true;
        let max_size = usize::try_from(turn.config.group_max_size).unwrap_or(0);
        for group in self.groups.values_mut() {
            let committed = group.committed.as_ref();
            let is_unassigned = committed.is_some_and(GroupMetadataValue::is_still_to_rebalance);
            let group = &mut group.live;
            for member in group.members.values() {
                turn.arm_heartbeat(&group.id, &member.id, member.session_timeout_ms);
            }
            if group.members.len() > max_size {
                // The limit was lowered meanwhile: the last to rejoin will be left out.
                group.prepare_rebalance(turn, "freshly loaded group is over capacity");
            } else if is_unassigned && !group.members.is_empty() {
                group.prepare_rebalance(turn, "the group was a consumer group");
            }
        }
        self.resume_consumer_groups(turn);
        self.resume_share_groups(turn);
        tracing::debug!(
            partition = self.partition,
            groups = self.groups.len() + self.consumer_groups.len() + self.share_groups.len(),
            "groups loaded"
        );
        let interval = turn.config.offsets_retention_check_interval_ms;
        turn.arm(
            GroupTimer::Expiration,
            i32::try_from(interval).unwrap_or(i32::MAX),
        );
    }

    /// The groups stay, with their offsets and without members.
    fn end_memberships(&mut self, turn: &mut Turn) {
        for group in self.groups.values_mut() {
            let group = &mut group.live;
            if group.members.is_empty() {
                continue;
            }
            let members: Vec<Arc<str>> = group.members.keys().cloned().collect();
            for member_id in members {
                group.remove(&member_id);
            }
            group.init_next_generation(turn.now);
            let value = group.to_record(|member| member.assignment.clone());
            turn.write_group(group, value);
        }
        self.end_consumer_memberships(turn);
        self.end_share_memberships(turn);
    }

    fn clock_moved(&mut self, turn: &mut Turn, by_ms: i64) {
        if by_ms < 0 {
            for at in self.deadlines.values_mut() {
                at.0 = at.0.saturating_add(by_ms);
            }
        }
        // Offsets expire now, not at the next look.
        turn.arm(GroupTimer::Expiration, 0);
    }

    fn append_failed(&mut self, turn: &mut Turn, failed: InFlight, code: ErrorCode) {
        let code = append_error(code);
        tracing::warn!(
            partition = self.partition,
            ?code,
            "records could not be appended"
        );
        match failed.after_append {
            AfterAppend::Nothing => {}
            AfterAppend::NewGroup(group_id) => self.take_back_new_group(turn, &group_id, code),
            AfterAppend::Assignment { group_id, .. } => {
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.live.reset_assignments(turn, code);
                    group
                        .live
                        .prepare_rebalance(turn, "the assignment could not be stored");
                }
            }
            AfterAppend::StaticMember(change) => {
                if let Some(group) = self.groups.get_mut(&change.group_id) {
                    group.live.undo_static_member(turn, &change, code);
                }
            }
            AfterAppend::Fenced {
                group_id,
                member_ids,
                again_ms,
            } => self.not_fenced(turn, &group_id, &member_ids, again_ms),
            AfterAppend::ShareFenced {
                group_id,
                member_id,
                again_ms,
            } => turn.arm_share_session(&group_id, &member_id, again_ms),
            AfterAppend::ShareStateAwaited(id) => self.share_state_not_asked(turn, id, code),
            AfterAppend::Upgraded(group_id) => {
                if let Some(group) = self.groups.get(&group_id) {
                    group.live.go_on_waiting(turn);
                }
            }
            AfterAppend::Expiration => {
                self.expiry_resumes_at = None;
                let interval = turn.config.offsets_retention_check_interval_ms;
                turn.arm(
                    GroupTimer::Expiration,
                    i32::try_from(interval).unwrap_or(i32::MAX),
                );
            }
            AfterAppend::Removal => {
                let interval = turn.config.offsets_retention_check_interval_ms;
                turn.arm(
                    GroupTimer::Removal,
                    i32::try_from(interval).unwrap_or(i32::MAX),
                );
            }
        }
        for token in failed.waiting {
            if !turn.replies.iter().any(|(answered, _)| *answered == token) {
                turn.fail(token, code);
            }
        }
    }

    fn take_back_new_group(&mut self, turn: &mut Turn, group_id: &Arc<str>, code: ErrorCode) {
        let Some(group) = self.groups.remove(group_id) else {
            return;
        };
        turn.cancel(GroupTimer::Join {
            group_id: group_id.clone(),
        });
        for member_id in &group.live.pending_joins {
            turn.cancel_heartbeat(group_id, member_id);
        }
        for member in group.live.members.into_values() {
            turn.cancel_heartbeat(group_id, &member.id);
            if let Some(waiting) = member.awaiting_join {
                turn.fail(waiting.token, code);
            }
        }
    }

    fn finish(&mut self, turn: Turn) -> Output<Self> {
        for effect in &turn.effects {
            match effect {
                Effect::ArmTimer { key, at } => {
                    self.deadlines.insert(key.clone(), *at);
                }
                Effect::CancelTimer(key) => {
                    self.deadlines.remove(key);
                }
            }
        }
        let token = AppendToken(self.tokens_given);
        if !turn.records.is_empty() {
            self.tokens_given += 1;
            self.in_flight = Some(InFlight {
                token,
                not_replayed: turn.records.len(),
                waiting: turn.replies.iter().map(|(token, _)| *token).collect(),
                after_append: turn.after_append,
            });
        }
        Output {
            token,
            records: turn.records,
            producer: turn.producer,
            replies: turn.replies,
            effects: turn.effects,
            commands: turn.commands,
        }
    }

    fn replay_group(&mut self, group_id: &Arc<str>, value: Option<&GroupMetadataValue>) {
        let Some(value) = value else {
            self.groups.remove(group_id);
            return;
        };
        let after_append = self
            .in_flight
            .as_mut()
            .map(|output| &mut output.after_append);
        match self.groups.get_mut(group_id) {
            Some(group) if self.loaded => {
                group.committed = Some(value.clone());
                if let Some(AfterAppend::Assignment {
                    group_id: assigned,
                    now,
                    assignments,
                }) = after_append
                    && assigned == group_id
                {
                    group.live.stabilize(*now, assignments);
                }
            }
            Some(_) | None => {
                let live = ClassicGroup::from_record(group_id.clone(), value);
                let committed = Some(value.clone());
                self.groups
                    .insert(group_id.clone(), Group { live, committed });
            }
        }
    }
}

impl GroupShard {
    /// Every consumer and share group looks at its topics anew with its next heartbeat.
    fn metadata_changed(&mut self, change: &MetadataChange) {
        if change.has_new_topics {
            self.last_new_topics_version = change.view.version();
        }
        self.metadata = change.view.clone();
        for group in self.consumer_groups.values_mut() {
            group.soft.metadata_refresh = None;
        }
        for group in self.share_groups.values_mut() {
            group.soft.metadata_refresh = None;
        }
    }

    fn replay_share_group(&mut self, record: &ShareGroupRecord) {
        let group_id = &record.group_id;
        let group = self.share_groups.entry(group_id.clone());
        let group = group.or_insert_with(|| ShareGroup::new(group_id.clone()));
        group.replay(&record.entry);
        if self.loaded && matches!(record.entry, ShareGroupEntry::Metadata(Some(_))) {
            self.counts.share_group_rebalances += 1;
        }
        if group.is_gone() {
            self.share_groups.remove(group_id);
        }
    }

    fn replay_consumer_group(&mut self, record: &ConsumerGroupRecord) {
        let group_id = &record.group_id;
        let is_new = !self.consumer_groups.contains_key(group_id);
        let group = self.consumer_groups.entry(group_id.clone());
        let group = group.or_insert_with(|| ConsumerGroup::new(group_id.clone()));
        group.replay(&record.entry);
        if self.loaded && matches!(record.entry, ConsumerGroupEntry::Metadata(Some(_))) {
            self.counts.consumer_group_rebalances += 1;
        }
        let is_simple = |group: &Group| group.committed.is_none();
        if group.is_gone() {
            self.consumer_groups.remove(group_id);
        } else if is_new && self.groups.get(group_id).is_some_and(is_simple) {
            // Offsets alone had made it: no record says that it is a classic group.
            self.groups.remove(group_id);
        }
    }
}

impl Shard for GroupShard {
    type Request = GroupRequest;
    type Response = GroupResponse;
    type Record = GroupRecord;
    type Timer = GroupTimer;
    type Command = GroupCommand;

    fn handle(&mut self, now: Timestamp, event: Event<Self>) -> Output<Self> {
        let in_flight = self.in_flight.take();
        let mut turn = Turn::new(now, self.config.clone());
        match event {
            Event::AppendFailed { token, code } => {
                if let Some(failed) = in_flight.filter(|output| output.token == token) {
                    assert!(
                        failed.not_replayed > 0,
                        "a failed append must not be replayed"
                    );
                    self.append_failed(&mut turn, failed, code);
                }
                return self.finish(turn);
            }
            Event::Request {
                token,
                meta,
                request,
            } => {
                self.dispatch(&mut turn, token, &meta, &request);
            }
            Event::Timer(timer) => self.timer_fired(&mut turn, timer),
            Event::Loaded(Loaded::GoesOn) => self.on_loaded(&mut turn),
            Event::Loaded(Loaded::PutBack) => {
                self.end_memberships(&mut turn);
                self.on_loaded(&mut turn);
            }
            Event::ClockMoved { by_ms } => self.clock_moved(&mut turn, by_ms),
        }
        let replayed = in_flight.is_none_or(|output| output.not_replayed == 0);
        assert!(
            replayed,
            "the records of an output are replayed before the next event"
        );
        self.finish(turn)
    }

    fn replay(&mut self, meta: RecordMeta, record: &GroupRecord) {
        match record {
            GroupRecord::GroupMetadata { group_id, value } => {
                self.replay_group(group_id, value.as_ref());
            }
            GroupRecord::OffsetCommit {
                key,
                value: Some(value),
            } => {
                if !self.has_group(&key.group_id) {
                    // A simple group: offsets without members make it.
                    let live = ClassicGroup::new(key.group_id.clone(), None);
                    self.groups.insert(
                        key.group_id.clone(),
                        Group {
                            live,
                            committed: None,
                        },
                    );
                }
                self.offsets.replay(meta, key, value.clone());
            }
            GroupRecord::OffsetCommit { key, value: None } => self.offsets.replay_tombstone(key),
            GroupRecord::ConsumerGroup(record) => self.replay_consumer_group(record),
            GroupRecord::ShareGroup(record) => self.replay_share_group(record),
        }
        if let Some(output) = &mut self.in_flight {
            output.not_replayed = output.not_replayed.saturating_sub(1);
        }
    }

    fn replay_marker(&mut self, meta: RecordMeta, result: TransactionResult) {
        if let Some((producer_id, _)) = meta.producer {
            self.offsets.end_transaction(producer_id, result);
        }
    }
}

impl ClassicGroup {
    /// The log has the assignment: the members take it.
    fn stabilize(&mut self, now: Timestamp, assignments: &BTreeMap<Arc<str>, bytes::Bytes>) {
        for member in self.members.values_mut() {
            member.assignment = assignments.get(&member.id).cloned().unwrap_or_default();
        }
        self.transition_to(State::Stable, now);
        tracing::info!(group = %self.id, generation = self.generation, "the group is stable");
    }
}
