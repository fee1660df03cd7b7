//! Offsets and groups that go: expiry, deleted topics, DeleteGroups.
//!
//! Invariant: what is removed in bulk goes in batches of a bounded size; the timer brings the rest.

use std::sync::Arc;

use protocol::messages::GroupId;
use protocol::messages::delete_groups_response::DeletableGroupResult;
use protocol::{ErrorCode, Timestamp, TopicId};

use super::classic::{ClassicGroup, State};
use super::offsets::tombstone;
use super::record::{GroupRecord, OffsetCommitValue};
use super::turn::{AfterAppend, Turn};
use super::{DeletedTopic, GroupResponse, GroupShard, GroupTimer};
use crate::ReplyTo;

/// Since when an offset ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgeBase {
    Commit,
    /// Since the group is empty; the commit where that is not known.
    State(Option<Timestamp>),
}

impl ClassicGroup {
    /// What its offsets age from; none while they are kept whatever their age.
    fn age_base(&self) -> Option<AgeBase> {
        match (&self.protocol_type, self.state()) {
            (None, _) => Some(AgeBase::Commit),
            (Some(_), State::Empty) => Some(AgeBase::State(self.state_since)),
            (Some(_), State::Stable)
                if self.uses_consumer_protocol() && self.subscribed_topics.is_some() =>
            {
                Some(AgeBase::Commit)
            }
            (Some(_), State::Stable)
            | (Some(_), State::PreparingRebalance { .. } | State::CompletingRebalance) => None,
        }
    }
}

fn is_expired(value: &OffsetCommitValue, base: AgeBase, now: Timestamp, retention_ms: i64) -> bool {
    if let Some(expire_timestamp) = value.expire_timestamp {
        return now >= expire_timestamp;
    }
    let since = match base {
        AgeBase::Commit => value.commit_timestamp,
        AgeBase::State(since) => since.unwrap_or(value.commit_timestamp),
    };
    now.0.saturating_sub(since.0) >= retention_ms
}

/// Collects tombstones until the batch is full.
struct Batch {
    bytes: usize,
    bytes_max: usize,
}

impl Batch {
    fn new(turn: &Turn) -> Self {
        Batch {
            bytes: 0,
            bytes_max: turn.config.removal_batch_bytes_max,
        }
    }

    /// False when there is no more room; a first record always fits.
    fn push(&mut self, turn: &mut Turn, record: GroupRecord) -> bool {
        let size = record.size_estimate();
        if self.bytes > 0 && self.bytes + size > self.bytes_max {
            return false;
        }
        self.bytes += size;
        turn.records.push(record);
        true
    }
}

impl GroupShard {
    /// The expiry timer came due: walks the groups, from where a full batch stopped it.
    pub(crate) fn expire(&mut self, turn: &mut Turn) {
        let mut batch = Batch::new(turn);
        let from = self
            .expiry_resumes_at
            .take()
            .unwrap_or_else(|| Arc::from(""));
        for (group_id, group) in self.groups.range(from..) {
            if !self.expire_group(turn, &mut batch, &group.live) {
                self.expiry_resumes_at = Some(group_id.clone());
                break;
            }
        }
        let full = self.expiry_resumes_at.is_some();
        let interval = turn.config.offsets_retention_check_interval_ms;
        let delay_ms = if full {
            0
        } else {
            i32::try_from(interval).unwrap_or(i32::MAX)
        };
        turn.arm(GroupTimer::Expiration, delay_ms);
        turn.after_append = AfterAppend::Expiration;
    }

    /// False when the batch is full before the group is done.
    fn expire_group(&self, turn: &mut Turn, batch: &mut Batch, group: &ClassicGroup) -> bool {
        let mut all_expired = true;
        if let Some(topics) = self.offsets.of_group(&group.id) {
            let Some(base) = group.age_base() else {
                return true;
            };
            let (now, retention_ms) = (turn.now, turn.config.offsets_retention_ms);
            for (topic, partitions) in topics {
                let subscribed = group.is_subscribed_to(topic);
                for (&partition, committed) in partitions {
                    let expired = is_expired(&committed.value, base, now, retention_ms);
                    if subscribed
                        || !expired
                        || self.offsets.is_pending(&group.id, topic, partition)
                    {
                        all_expired = false;
                    } else if !batch.push(turn, tombstone(&group.id, topic, partition)) {
                        return false;
                    }
                }
            }
        }
        if all_expired && group.state() == State::Empty && !self.offsets.has_pending(&group.id) {
            let value = None;
            return batch.push(
                turn,
                GroupRecord::GroupMetadata {
                    group_id: group.id.clone(),
                    value,
                },
            );
        }
        true
    }

    pub(crate) fn topics_deleted(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        topics: &[DeletedTopic],
    ) {
        self.deleted_topics.extend_from_slice(topics);
        self.remove_deleted_topics(turn);
        turn.reply(token, GroupResponse::TopicsDeleted);
    }

    /// Removes offsets of deleted topics: a batch now, the rest by timer.
    pub(crate) fn remove_deleted_topics(&mut self, turn: &mut Turn) {
        let mut batch = Batch::new(turn);
        for record in self.tombstones_of_deleted_topics() {
            if !batch.push(turn, record) {
                break;
            }
        }
        if turn.records.is_empty() {
            self.deleted_topics.clear();
        } else {
            turn.arm(GroupTimer::Removal, 0);
            turn.after_append = AfterAppend::Removal;
        }
    }

    fn tombstones_of_deleted_topics(&self) -> impl Iterator<Item = GroupRecord> + '_ {
        let same = |deleted: &DeletedTopic, id: TopicId| id.is_zero() || id == deleted.id;
        let committed = self.offsets.groups().flat_map(move |(group_id, topics)| {
            self.deleted_topics.iter().flat_map(move |deleted| {
                let partitions = topics.get(&deleted.name).into_iter().flatten();
                let gone = partitions.filter(move |(_, known)| same(deleted, known.value.topic_id));
                gone.map(move |(&partition, _)| tombstone(group_id, &deleted.name, partition))
            })
        });
        let pending = self.offsets.pending().filter(move |(key, known)| {
            let mut deleted = self.deleted_topics.iter();
            deleted.any(|topic| topic.name == key.topic && same(topic, known.value.topic_id))
        });
        committed.chain(pending.map(|(key, _)| GroupRecord::OffsetCommit {
            key: key.clone(),
            value: None,
        }))
    }

    pub(crate) fn delete_group(&mut self, turn: &mut Turn, token: ReplyTo, group_id: &GroupId) {
        let result = match self.groups.get(group_id.as_str()) {
            None => Err(ErrorCode::GroupIdNotFound),
            Some(group) if group.live.state() != State::Empty => Err(ErrorCode::NonEmptyGroup),
            Some(group) => {
                let id = &group.live.id;
                for (topic, partitions) in self.offsets.of_group(id).into_iter().flatten() {
                    let partitions = partitions.keys();
                    turn.records
                        .extend(partitions.map(|&index| tombstone(id, topic, index)));
                }
                let mut pending: Vec<_> = self.offsets.pending_of(id).collect();
                pending.sort_unstable();
                pending.dedup();
                pending.retain(|key| !self.offsets.contains(id, &key.topic, key.partition));
                turn.records
                    .extend(pending.into_iter().map(|key| GroupRecord::OffsetCommit {
                        key: key.clone(),
                        value: None,
                    }));
                let group_id = id.clone();
                turn.records.push(GroupRecord::GroupMetadata {
                    group_id,
                    value: None,
                });
                Ok(())
            }
        };
        let response = DeletableGroupResult::default()
            .with_group_id(group_id.clone())
            .with_error_code(protocol::code_of(result));
        turn.reply(token, GroupResponse::DeleteGroup(response));
    }
}
