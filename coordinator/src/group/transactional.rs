//! TxnOffsetCommit: offsets that count once a producer's transaction is committed.
//!
//! Invariant: nothing here touches the committed offsets; the marker of the transaction does, in
//! `replay_marker`.

use std::sync::Arc;

use protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, TopicId};

use super::classic::{ClassicGroup, State};
use super::offsets::check_metadata;
use super::record::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use super::turn::Turn;
use super::{GroupResponse, GroupShard};
use crate::{ReplyTo, TransactionalAppend};

impl GroupShard {
    pub(crate) fn commit_in_transaction(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &TxnOffsetCommitRequest,
    ) {
        let consumer = self.consumer_groups.get(request.group_id.as_str());
        let classic = self.groups.get(request.group_id.as_str());
        let admitted = match (consumer, classic) {
            (Some(group), _) => {
                group.admit_in_transaction(request, |name| self.metadata.topic_id(name))
            }
            (None, Some(group)) => group.live.admit_in_transaction(request),
            (None, None) if self.share_groups.contains_key(request.group_id.as_str()) => {
                Err(ErrorCode::GroupIdNotFound)
            }
            // Nobody's group: a consumer without membership keeps its offsets there.
            (None, None) if request.generation_id < 0 => Ok(()),
            (None, None) => Err(ErrorCode::IllegalGeneration),
        };
        if let Err(code) = admitted {
            turn.fail(token, code);
            return;
        }
        let group_id: Arc<str> = Arc::from(request.group_id.as_str());
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let index = partition.partition_index;
                let result = check_metadata(turn, partition.committed_metadata.as_ref());
                if result.is_ok() {
                    let key = OffsetCommitKey {
                        group_id: group_id.clone(),
                        topic: name.clone(),
                        partition: index,
                    };
                    let value = Some(value(turn, partition));
                    turn.records.push(GroupRecord::OffsetCommit { key, value });
                }
                partitions.push(
                    TxnOffsetCommitResponsePartition::default()
                        .with_partition_index(index)
                        .with_error_code(protocol::code_of(result)),
                );
            }
            topics.push(
                TxnOffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions),
            );
        }
        turn.producer = Some(TransactionalAppend {
            producer_id: ProducerId(request.producer_id.0),
            producer_epoch: ProducerEpoch(request.producer_epoch),
        });
        let response = TxnOffsetCommitResponse::default().with_topics(topics);
        turn.reply(token, GroupResponse::TxnOffsetCommit(response));
    }
}

impl ClassicGroup {
    /// Whether a commit is from a member of this generation, or names none: versions 0 to 2 could
    /// not, and a producer need not say for whom it commits. A rebalance does not stand in its way.
    fn admit_in_transaction(&self, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        if request.generation_id < 0 && self.state() == State::Empty {
            return Ok(());
        }
        let names_nobody =
            request.generation_id < 0 && request.member_id.is_empty() && instance_id.is_none();
        if names_nobody {
            return Ok(());
        }
        self.validate_member(&request.member_id, instance_id)?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(())
    }
}

fn value(turn: &Turn, partition: &TxnOffsetCommitRequestPartition) -> OffsetCommitValue {
    let epoch = partition.committed_leader_epoch;
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: (epoch != -1).then_some(epoch),
        metadata: Arc::from(partition.committed_metadata.as_deref().unwrap_or_default()),
        commit_timestamp: turn.now,
        expire_timestamp: None,
        // The request has names only, and upstream writes no id.
        topic_id: TopicId::ZERO,
    }
}

/// The answer to a request of which nothing could be done.
pub(super) fn txn_commit_error(
    topics: &[TxnOffsetCommitResponseTopic],
    code: ErrorCode,
) -> TxnOffsetCommitResponse {
    let mut topics = topics.to_vec();
    for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = code.code();
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}

/// What of a request its answer repeats.
pub(super) fn txn_commit_topics(
    request: &TxnOffsetCommitRequest,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    topics.collect()
}
