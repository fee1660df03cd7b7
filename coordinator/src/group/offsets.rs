//! Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete, and the store they share.
//!
//! Invariant: the store changes in `replay` alone; no group or topic without offsets is kept in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, TopicName,
};
use protocol::{ErrorCode, Offset, ProducerId, StrBytes, Timestamp, TopicId};

use super::classic::{ClassicGroup, State};
use super::record::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use super::turn::{Turn, text};
use super::{GroupResponse, GroupShard};
use crate::{RecordMeta, ReplyTo, RequestMeta, TransactionResult};

/// What OffsetFetch says where nothing is committed.
const NO_OFFSET: i64 = -1;

type ByPartition = BTreeMap<i32, Committed>;
type ByTopic = BTreeMap<Arc<str>, ByPartition>;

/// An offset, and where in the log its commit stands: of two the later one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) value: OffsetCommitValue,
    at: Offset,
}

/// The committed offsets of all groups of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    by_group: BTreeMap<Arc<str>, ByTopic>,
    /// Commits inside transactions that have not ended.
    pending: BTreeMap<ProducerId, BTreeMap<OffsetCommitKey, Committed>>,
    /// Whose they are, by group.
    open: BTreeMap<Arc<str>, BTreeSet<ProducerId>>,
}

impl Offsets {
    pub(crate) fn of_group(&self, group_id: &str) -> Option<&ByTopic> {
        self.by_group.get(group_id)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &ByTopic)> {
        self.by_group.iter()
    }

    /// The commits of open transactions.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (&OffsetCommitKey, &Committed)> {
        self.pending.values().flatten()
    }

    /// Those for one group.
    pub(crate) fn pending_of(&self, group_id: &str) -> impl Iterator<Item = &OffsetCommitKey> {
        let producers = self.open.get(group_id).into_iter().flatten();
        let commits = producers.filter_map(|producer| self.pending.get(producer));
        commits
            .flat_map(BTreeMap::keys)
            .filter(move |key| *key.group_id == *group_id)
    }

    pub(crate) fn has_pending(&self, group_id: &str) -> bool {
        self.open.contains_key(group_id)
    }

    pub(crate) fn is_pending(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        let Some((group_id, producers)) = self.open.get_key_value(group_id) else {
            return false;
        };
        let key = OffsetCommitKey {
            group_id: group_id.clone(),
            topic: Arc::from(topic),
            partition,
        };
        let mut commits = producers.iter().filter_map(|id| self.pending.get(id));
        commits.any(|commits| commits.contains_key(&key))
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = GroupRecord> + '_ {
        self.by_group.iter().flat_map(|(group_id, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions
                    .iter()
                    .map(move |(&partition, committed)| GroupRecord::OffsetCommit {
                        key: OffsetCommitKey {
                            group_id: group_id.clone(),
                            topic: topic.clone(),
                            partition,
                        },
                        value: Some(committed.value.clone()),
                    })
            })
        })
    }

    pub(crate) fn contains(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        let partitions = self.of_group(group_id).and_then(|topics| topics.get(topic));
        partitions.is_some_and(|partitions| partitions.contains_key(&partition))
    }

    pub(crate) fn replay(
        &mut self,
        meta: RecordMeta,
        key: &OffsetCommitKey,
        value: OffsetCommitValue,
    ) {
        let committed = Committed {
            value,
            at: meta.offset,
        };
        match meta.producer {
            Some((producer_id, _)) => {
                let commits = self.pending.entry(producer_id).or_default();
                commits.insert(key.clone(), committed);
                let producers = self.open.entry(key.group_id.clone()).or_default();
                producers.insert(producer_id);
            }
            None => self.put(key, committed),
        }
    }

    fn put(&mut self, key: &OffsetCommitKey, committed: Committed) {
        let topics = self.by_group.entry(key.group_id.clone()).or_default();
        topics
            .entry(key.topic.clone())
            .or_default()
            .insert(key.partition, committed);
    }

    pub(crate) fn replay_tombstone(&mut self, key: &OffsetCommitKey) {
        self.take_back_pending(key);
        let Some(topics) = self.by_group.get_mut(&key.group_id) else {
            return;
        };
        if let Some(partitions) = topics.get_mut(&key.topic) {
            partitions.remove(&key.partition);
            if partitions.is_empty() {
                topics.remove(&key.topic);
            }
        }
        if topics.is_empty() {
            self.by_group.remove(&key.group_id);
        }
    }

    /// An offset that is removed does not come back when a transaction ends.
    fn take_back_pending(&mut self, key: &OffsetCommitKey) {
        let producers = self.open.get(&key.group_id).cloned().unwrap_or_default();
        for producer in producers {
            let Some(commits) = self.pending.get_mut(&producer) else {
                continue;
            };
            commits.remove(key);
            if !commits.keys().any(|other| other.group_id == key.group_id) {
                self.close(&key.group_id, producer);
            }
            if self.pending.get(&producer).is_some_and(BTreeMap::is_empty) {
                self.pending.remove(&producer);
            }
        }
    }

    /// A producer has nothing pending for a group any more.
    fn close(&mut self, group_id: &Arc<str>, producer: ProducerId) {
        if let Some(producers) = self.open.get_mut(group_id) {
            producers.remove(&producer);
            if producers.is_empty() {
                self.open.remove(group_id);
            }
        }
    }

    pub(crate) fn end_transaction(&mut self, producer: ProducerId, result: TransactionResult) {
        let commits = self.pending.remove(&producer).unwrap_or_default();
        for key in commits.keys() {
            self.close(&key.group_id, producer);
        }
        match result {
            TransactionResult::Abort => {}
            TransactionResult::Commit => {
                for (key, committed) in commits {
                    let topics = self.of_group(&key.group_id);
                    let existing = topics
                        .and_then(|topics| topics.get(&key.topic))
                        .and_then(|partitions| partitions.get(&key.partition));
                    if existing.is_none_or(|existing| existing.at < committed.at) {
                        self.put(&key, committed);
                    }
                }
            }
        }
    }
}

pub(crate) fn tombstone(group_id: &Arc<str>, topic: &Arc<str>, partition: i32) -> GroupRecord {
    let key = OffsetCommitKey {
        group_id: group_id.clone(),
        topic: topic.clone(),
        partition,
    };
    GroupRecord::OffsetCommit { key, value: None }
}

impl GroupShard {
    pub(crate) fn commit(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &OffsetCommitRequest,
    ) {
        let classic = self.groups.get_mut(request.group_id.as_str());
        let consumer = self.consumer_groups.get(request.group_id.as_str());
        let admitted = match (consumer, classic) {
            (Some(group), _) => group.admit_commit(meta.api_version, request),
            (None, Some(group)) => group.live.admit_commit(turn, request),
            (None, None) if self.share_groups.contains_key(request.group_id.as_str()) => {
                Err(ErrorCode::GroupIdNotFound)
            }
            // Nobody's group: a simple consumer keeps its offsets there. Replay makes the group.
            (None, None) if request.generation_id_or_member_epoch < 0 => Ok(()),
            (None, None) if meta.api_version >= 9 => Err(ErrorCode::GroupIdNotFound),
            (None, None) => Err(ErrorCode::IllegalGeneration),
        };
        if let Err(code) = admitted {
            turn.fail(token, code);
            return;
        }
        let group_id: Arc<str> = Arc::from(request.group_id.as_str());
        // Version 2 to 4 could ask for a retention of their own.
        let expire_timestamp = match request.retention_time_ms {
            -1 => None,
            retention_ms => Some(Timestamp(turn.now.0.saturating_add(retention_ms))),
        };
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let result = check_metadata(turn, partition.committed_metadata.as_ref());
                if result.is_ok() {
                    let key = OffsetCommitKey {
                        group_id: group_id.clone(),
                        topic: name.clone(),
                        partition: partition.partition_index,
                    };
                    let topic_id = TopicId(topic.topic_id);
                    let value = commit_value(turn.now, partition, topic_id, expire_timestamp);
                    turn.records.push(GroupRecord::OffsetCommit {
                        key,
                        value: Some(value),
                    });
                }
                partitions.push(
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(protocol::code_of(result)),
                );
            }
            topics.push(
                OffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partitions(partitions),
            );
        }
        let response = OffsetCommitResponse::default().with_topics(topics);
        turn.reply(token, GroupResponse::OffsetCommit(response));
    }

    pub(crate) fn fetch(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &OffsetFetchRequestGroup,
        require_stable: bool,
    ) {
        let group_id = request.group_id.as_str();
        let member_id = request.member_id.as_deref();
        let consumer_group = self.consumer_groups.get(group_id);
        if let Some(Err(code)) =
            consumer_group.map(|group| group.admit_fetch(member_id, request.member_epoch))
        {
            turn.fail(token, code);
            return;
        }
        let committed = self.offsets.of_group(group_id);
        let is_unstable = |topic: &str, partition| {
            require_stable && self.offsets.is_pending(group_id, topic, partition)
        };
        let topics = match &request.topics {
            Some(topics) => {
                let answer = topics.iter().map(|topic| {
                    let known = committed.and_then(|topics| topics.get(topic.name.as_str()));
                    let partitions = topic.partition_indexes.iter().map(|&index| {
                        let value = known.and_then(|partitions| partitions.get(&index));
                        let same = |committed: &&Committed| {
                            same_topic(committed.value.topic_id, TopicId(topic.topic_id))
                        };
                        fetched(index, value.filter(same), is_unstable(&topic.name, index))
                    });
                    OffsetFetchResponseTopics::default()
                        .with_name(topic.name.clone())
                        .with_topic_id(topic.topic_id)
                        .with_partitions(partitions.collect())
                });
                answer.collect()
            }
            None => all_offsets(committed, is_unstable),
        };
        let response = OffsetFetchResponseGroup::default()
            .with_group_id(request.group_id.clone())
            .with_topics(topics);
        turn.reply(token, GroupResponse::OffsetFetch(response));
    }

    pub(crate) fn delete_offsets(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &OffsetDeleteRequest,
    ) {
        let topics = request.topics.iter();
        let classic = self.groups.get(request.group_id.as_str());
        let consumer = self.consumer_groups.get(request.group_id.as_str());
        let response = match (consumer, classic) {
            (None, None) => Err(ErrorCode::GroupIdNotFound),
            (Some(group), _) => Ok(topics
                .map(|topic| {
                    let subscribed = group.is_subscribed_to(&topic.name);
                    self.delete_topic(turn, &group.id, subscribed, topic)
                })
                .collect()),
            (None, Some(group))
                if group.live.state() != State::Empty && !group.live.uses_consumer_protocol() =>
            {
                Err(ErrorCode::NonEmptyGroup)
            }
            (None, Some(group)) => Ok(topics
                .map(|topic| {
                    let subscribed = group.live.is_subscribed_to(&topic.name);
                    self.delete_topic(turn, &group.live.id, subscribed, topic)
                })
                .collect()),
        };
        match response {
            Ok(topics) => {
                let response = OffsetDeleteResponse::default().with_topics(topics);
                turn.reply(token, GroupResponse::OffsetDelete(response));
            }
            Err(code) => turn.fail(token, code),
        }
    }

    fn delete_topic(
        &self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        subscribed: bool,
        topic: &OffsetDeleteRequestTopic,
    ) -> OffsetDeleteResponseTopic {
        let name: Arc<str> = Arc::from(topic.name.as_str());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let result = if subscribed {
                Err(ErrorCode::GroupSubscribedToTopic)
            } else {
                Ok(())
            };
            let is_known = self.offsets.contains(group_id, &name, index)
                || self.offsets.is_pending(group_id, &name, index);
            if result.is_ok() && is_known {
                turn.records.push(tombstone(group_id, &name, index));
            }
            partitions.push(
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(protocol::code_of(result)),
            );
        }
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions)
    }
}

impl ClassicGroup {
    /// Whether a commit is from a member of this generation, or from outside while there is none.
    fn admit_commit(
        &mut self,
        turn: &mut Turn,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        let instance_id = request.group_instance_id.as_deref();
        if generation < 0 && self.state() == State::Empty {
            return Ok(());
        }
        if generation >= 0 || !request.member_id.is_empty() || instance_id.is_some() {
            self.validate_member(&request.member_id, instance_id)?;
            if generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else {
            return Err(ErrorCode::UnknownMemberId);
        }
        match self.state() {
            // The member has its generation, but not yet what it may commit for.
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Stable | State::PreparingRebalance { .. } => {
                self.extend_session(turn, &request.member_id);
                Ok(())
            }
            State::Empty => Ok(()),
        }
    }
}

pub(super) fn check_metadata(turn: &Turn, metadata: Option<&StrBytes>) -> Result<(), ErrorCode> {
    let units = metadata.map_or(0, |text| text.encode_utf16().count());
    let limit = usize::try_from(turn.config.offset_metadata_max_bytes).unwrap_or(0);
    if units > limit {
        Err(ErrorCode::OffsetMetadataTooLarge)
    } else {
        Ok(())
    }
}

fn commit_value(
    now: Timestamp,
    partition: &OffsetCommitRequestPartition,
    topic_id: TopicId,
    expire_timestamp: Option<Timestamp>,
) -> OffsetCommitValue {
    // The record that holds an expiry has no room for epoch and topic id, so a later load would
    // not know them.
    let has_room = expire_timestamp.is_none();
    let epoch = partition.committed_leader_epoch;
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: (has_room && epoch != -1).then_some(epoch),
        metadata: Arc::from(partition.committed_metadata.as_deref().unwrap_or_default()),
        commit_timestamp: now,
        expire_timestamp,
        topic_id: if has_room { topic_id } else { TopicId::ZERO },
    }
}

/// Offsets of a topic that was deleted and made again are not those of the new one.
fn same_topic(committed: TopicId, asked: TopicId) -> bool {
    committed.is_zero() || asked.is_zero() || committed == asked
}

fn fetched(
    index: i32,
    committed: Option<&Committed>,
    is_unstable: bool,
) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(index);
    match committed {
        _ if is_unstable => response
            .with_committed_offset(NO_OFFSET)
            .with_error_code(ErrorCode::UnstableOffsetCommit.code()),
        Some(Committed { value, .. }) => response
            .with_committed_offset(value.offset)
            .with_committed_leader_epoch(value.leader_epoch.unwrap_or(-1))
            .with_metadata(Some(text(&value.metadata))),
        None => response.with_committed_offset(NO_OFFSET),
    }
}

fn all_offsets(
    committed: Option<&ByTopic>,
    is_unstable: impl Fn(&str, i32) -> bool,
) -> Vec<OffsetFetchResponseTopics> {
    let topics = committed.into_iter().flatten().map(|(name, partitions)| {
        let partitions = partitions
            .iter()
            .map(|(&index, value)| fetched(index, Some(value), is_unstable(name, index)));
        OffsetFetchResponseTopics::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions.collect())
    });
    topics.collect()
}
