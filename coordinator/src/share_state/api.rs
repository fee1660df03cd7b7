//! What a shard of the share coordinator is asked, what it answers, and what it has others do.
//!
//! Invariant: a request is about one share partition. An answer that failed as a whole (the record
//! could not be written) is `Err(code)` beside the reply's token; what the shard refuses for a
//! reason of its own is [`ShareStateResponse::Refused`], with upstream's words where it has some.

use std::collections::BTreeSet;

use protocol::{ErrorCode, LeaderEpoch, Offset, TopicId};

use super::batches::StateBatch;
use super::record::SharePartitionKey;
use super::state::StateEpoch;

/// What the shard has to know of the cluster: as it is when it is asked.
pub trait ClusterView: Send + Sync {
    /// None for a topic that is not there.
    fn partition_count(&self, topic_id: TopicId) -> Option<i32>;

    /// Whether `share.version` is 1 or more: at 0 nothing is snapshotted or pruned for its age.
    fn serves_share_groups(&self) -> bool;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareStateRequest {
    /// InitializeShareGroupState: the state begins anew.
    Initialize {
        key: SharePartitionKey,
        state_epoch: StateEpoch,
        start_offset: Option<Offset>,
    },
    /// ReadShareGroupState: the leader of the share partition wants its state, and fences the
    /// leaders before it.
    Read {
        key: SharePartitionKey,
        leader_epoch: LeaderEpoch,
    },
    /// WriteShareGroupState.
    Write {
        key: SharePartitionKey,
        state_epoch: StateEpoch,
        leader_epoch: LeaderEpoch,
        /// None leaves it as it is.
        start_offset: Option<Offset>,
        delivery_complete_count: Option<i32>,
        batches: Vec<StateBatch>,
    },
    /// DeleteShareGroupState.
    Delete { key: SharePartitionKey },
    /// ReadShareGroupStateSummary. Its leader epoch is not looked at.
    ReadSummary { key: SharePartitionKey },
    /// These topics are gone. For every shard.
    TopicsDeleted(BTreeSet<TopicId>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareStateResponse {
    Done,
    Read {
        state_epoch: StateEpoch,
        start_offset: Option<Offset>,
        batches: Vec<StateBatch>,
    },
    Summary {
        state_epoch: StateEpoch,
        leader_epoch: LeaderEpoch,
        start_offset: Option<Offset>,
        delivery_complete_count: Option<i32>,
    },
    Refused {
        code: ErrorCode,
        /// None for the code's own words.
        message: Option<&'static str>,
    },
}

/// What the shard has others do once what it rests on is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareStateCommand {
    /// Deletes the records of the shard's partition before this offset, which no state needs. It is
    /// commanded with every round, so nothing is to be told when it fails or was done before.
    DeleteRecords { before: Offset },
}

/// What a shard has armed timers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShareStateTimer {
    /// The next look for records that no state needs.
    Prune,
    /// The next look for states that nobody has written for long.
    SnapshotCold,
    /// The removal of the states of deleted topics goes on.
    RemoveDeleted,
}

impl ShareStateRequest {
    /// The share partition that decides which shard gets the request; none for those to all.
    pub fn key(&self) -> Option<&SharePartitionKey> {
        match self {
            ShareStateRequest::Initialize { key, .. }
            | ShareStateRequest::Read { key, .. }
            | ShareStateRequest::Write { key, .. }
            | ShareStateRequest::Delete { key }
            | ShareStateRequest::ReadSummary { key } => Some(key),
            ShareStateRequest::TopicsDeleted(_) => None,
        }
    }
}

/// What a failed append means to a client of the share coordinator.
pub fn append_error(code: ErrorCode) -> ErrorCode {
    // Kafka's enum is not ours: every code not named here passes as it is.
    #[allow(clippy::wildcard_enum_match_arm)]
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        other => other,
    }
}
