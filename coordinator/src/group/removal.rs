//! Offsets and groups that go: expiry, deleted topics, DeleteGroups.
//!
//! Invariant: what is removed in bulk goes in batches of a bounded size; the timer brings the rest.

use std::sync::Arc;

use protocol::messages::GroupId;
use protocol::messages::delete_groups_response::DeletableGroupResult;
use protocol::{ErrorCode, Timestamp, TopicId};

use super::classic::{ClassicGroup, State};
use super::consumer::group::ConsumerGroup;
use super::offsets::tombstone;
use super::record::{GroupRecord, OffsetCommitValue, ShareGroupEntry};
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

/// A group of any kind, for the walk that looks for expired offsets.
trait Expiring {
    /// What its offsets age from; none while they are kept whatever their age.
    fn age_base(&self) -> Option<AgeBase>;

    fn is_subscribed_to(&self, topic: &str) -> bool;

    /// What removes the group, if it has no members. A few records: one batch holds them all.
    fn tombstones_if_empty(&self) -> Vec<GroupRecord>;
}

impl Expiring for ConsumerGroup {
    fn age_base(&self) -> Option<AgeBase> {
        Some(AgeBase::Commit)
    }

    fn is_subscribed_to(&self, topic: &str) -> bool {
        self.is_subscribed_to(topic)
    }

    fn tombstones_if_empty(&self) -> Vec<GroupRecord> {
        if self.size() == 0 {
            group_tombstones(self)
        } else {
            Vec::new()
        }
    }
}

pub(crate) fn group_tombstones(group: &ConsumerGroup) -> Vec<GroupRecord> {
    let entries = group.tombstones().into_iter();
    entries
        .map(|entry| GroupRecord::ConsumerGroup(group.record(entry)))
        .collect()
}

impl Expiring for ClassicGroup {
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

    fn is_subscribed_to(&self, topic: &str) -> bool {
        self.is_subscribed_to(topic)
    }

    fn tombstones_if_empty(&self) -> Vec<GroupRecord> {
        if self.state() != State::Empty {
            return Vec::new();
        }
        vec![GroupRecord::GroupMetadata {
            group_id: self.id.clone(),
            value: None,
        }]
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

    /// All of them or none.
    fn push_all(&mut self, turn: &mut Turn, records: Vec<GroupRecord>) -> bool {
        let size: usize = records.iter().map(GroupRecord::size_estimate).sum();
        if self.bytes > 0 && self.bytes + size > self.bytes_max {
            return false;
        }
        self.bytes += size;
        turn.records.extend(records);
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
        let classic = self.groups.range(from.clone()..).map(|(id, group)| {
            let group: &dyn Expiring = &group.live;
            (id, group)
        });
        let consumer = self.consumer_groups.range(from..).map(|(id, group)| {
            let group: &dyn Expiring = group;
            (id, group)
        });
        // One walk over both kinds, so that it can go on from any id.
        let mut groups: Vec<_> = classic.chain(consumer).collect();
        groups.sort_unstable_by_key(|(id, _)| *id);
        for (group_id, group) in groups {
            if !self.expire_group(turn, &mut batch, group_id, group) {
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
    fn expire_group(
        &self,
        turn: &mut Turn,
        batch: &mut Batch,
        group_id: &Arc<str>,
        group: &dyn Expiring,
    ) -> bool {
        let mut all_expired = true;
        if let Some(topics) = self.offsets.of_group(group_id) {
            let Some(base) = group.age_base() else {
                return true;
            };
            let (now, retention_ms) = (turn.now, turn.config.offsets_retention_ms);
            for (topic, partitions) in topics {
                let subscribed = group.is_subscribed_to(topic);
                for (&partition, committed) in partitions {
                    let expired = is_expired(&committed.value, base, now, retention_ms);
                    if subscribed || !expired || self.offsets.is_pending(group_id, topic, partition)
                    {
                        all_expired = false;
                    } else if !batch.push(turn, tombstone(group_id, topic, partition)) {
                        return false;
                    }
                }
            }
        }
        if all_expired && !self.offsets.has_pending(group_id) {
            return batch.push_all(turn, group.tombstones_if_empty());
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

    /// Removes what there is of deleted topics: a batch now, the rest by timer.
    pub(crate) fn remove_deleted_topics(&mut self, turn: &mut Turn) {
        let mut batch = Batch::new(turn);
        for record in self.without_deleted_topics() {
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

    fn without_deleted_topics(&self) -> impl Iterator<Item = GroupRecord> + '_ {
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
        let pending = pending.map(|(key, _)| GroupRecord::OffsetCommit {
            key: key.clone(),
            value: None,
        });
        let state = self.share_state_of_deleted_topics();
        committed.chain(pending).chain(state)
    }

    /// What of share groups is known of partitions of topics that are gone.
    fn share_state_of_deleted_topics(&self) -> impl Iterator<Item = GroupRecord> + '_ {
        let is_gone = |id: TopicId| self.deleted_topics.iter().any(|deleted| deleted.id == id);
        let groups = self.share_groups.values();
        groups.filter_map(move |group| {
            let state = group.state_partitions.as_ref()?;
            let left = state.without_topics(is_gone, &*self.metadata)?;
            let record = group.record(ShareGroupEntry::state(&left));
            Some(GroupRecord::ShareGroup(record))
        })
    }

    pub(crate) fn delete_group(&mut self, turn: &mut Turn, token: ReplyTo, group_id: &GroupId) {
        if let Some((group_id, _)) = self.share_groups.get_key_value(group_id.as_str()) {
            let group_id = group_id.clone();
            self.delete_share_group(turn, token, &group_id);
            return;
        }
        let classic = self.groups.get(group_id.as_str());
        let consumer = self.consumer_groups.get(group_id.as_str());
        let found = match (consumer, classic) {
            (None, None) => Err(ErrorCode::GroupIdNotFound),
            (Some(group), _) if group.size() > 0 => Err(ErrorCode::NonEmptyGroup),
            (Some(group), _) => Ok((&group.id, group_tombstones(group))),
            (None, Some(group)) if group.live.state() != State::Empty => {
                Err(ErrorCode::NonEmptyGroup)
            }
            (None, Some(group)) => {
                let group_id = group.live.id.clone();
                let value = None;
                let record = GroupRecord::GroupMetadata { group_id, value };
                Ok((&group.live.id, vec![record]))
            }
        };
        let result = match found {
            Err(code) => Err(code),
            Ok((id, tombstones)) => {
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
                turn.records.extend(tombstones);
                Ok(())
            }
        };
        let response = DeletableGroupResult::default()
            .with_group_id(group_id.clone())
            .with_error_code(protocol::code_of(result));
        turn.reply(token, GroupResponse::DeleteGroup(response));
    }
}
