//! What goes into a share partition and what comes out of it.
//!
//! Invariant: plain values; nothing here decides.

use std::sync::Arc;

use protocol::{ErrorCode, LeaderEpoch, Offset, ProducerId, Timestamp};

use crate::share::OffsetRange;
use crate::{ReplyTo, TransactionResult};

/// Something that happens to a share partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharePartitionEvent {
    /// The first fetch has come: the state is read. Without effect where that began before.
    Initialize,
    /// What [`SharePartitionCommand::ReadState`] came to.
    StateRead(Result<PersistedState, ErrorCode>),
    /// What [`SharePartitionCommand::FindStartOffset`] came to.
    StartOffsetFound(Result<Offset, ErrorCode>),
    /// The log was read for the fetch that [`super::SharePartition::begin_fetch`] let through.
    Fetched {
        token: ReplyTo,
        acquisition: Acquisition,
        fetched: Fetched,
    },
    /// That fetch ends without records: the log could not be read, or nobody waits for it any more.
    FetchAbandoned { token: ReplyTo },
    Acknowledge {
        token: ReplyTo,
        member: Arc<str>,
        batches: Vec<AcknowledgementBatch>,
    },
    /// The member's share session is over; what it holds goes to others.
    ReleaseMember { token: ReplyTo, member: Arc<str> },
    /// [`super::SharePartition::next_lock_end`] has come.
    LocksTimedOut,
    /// What [`SharePartitionCommand::WriteState`] came to.
    StateWritten {
        token: WriteToken,
        result: Result<(), ErrorCode>,
    },
    /// Records before this offset are gone from the log.
    LogStartMoved(Offset),
    /// The clock jumped by so many milliseconds. A jump back makes no lock longer.
    ClockMoved { by_ms: i64 },
    /// This broker leads the partition no more, or the partition or the group is gone.
    Fence,
}

/// What a share partition decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharePartitionOutput {
    pub replies: Vec<(ReplyTo, SharePartitionReply)>,
    pub commands: Vec<SharePartitionCommand>,
    /// Fetches that found nothing here may find something now, or learn that this is over.
    pub wake: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharePartitionReply {
    /// In offset order. Empty where there was nothing to hand out.
    Acquired(Vec<AcquiredRecords>),
    /// To [`SharePartitionEvent::Acknowledge`] and [`SharePartitionEvent::ReleaseMember`].
    Done(Result<(), Refusal>),
}

/// Work outside the share partition. Each comes back as an event, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharePartitionCommand {
    /// ReadShareGroupState, fenced by the leader epoch.
    ReadState { leader_epoch: LeaderEpoch },
    /// The state has no start offset yet: it is looked up in the log.
    FindStartOffset { reset: AutoOffsetReset },
    /// WriteShareGroupState. There is one at a time.
    WriteState(StateWrite),
}

/// Where a share group starts in a partition it has not read before
/// (`share.auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoOffsetReset {
    Earliest,
    /// The high watermark, whatever the isolation level.
    Latest,
    /// The first record that is at most so old.
    ByDuration {
        milliseconds: i64,
    },
}

impl AutoOffsetReset {
    /// The timestamp that the log is searched for; none where it has a name of its own.
    pub fn timestamp(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            AutoOffsetReset::Earliest | AutoOffsetReset::Latest => None,
            AutoOffsetReset::ByDuration { milliseconds } => {
                Some(Timestamp(now.0.saturating_sub(milliseconds)))
            }
        }
    }
}

/// Who fetches, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquisition {
    pub member: Arc<str>,
    pub mode: AcquireMode,
    /// Into how large pieces what is handed out is cut, in records.
    pub batch_size: i32,
    /// Exceeded up to the end of a batch of the log, unless the mode is
    /// [`AcquireMode::RecordLimit`].
    pub max_records: i32,
    pub isolation: IsolationLevel,
}

/// KIP-1206.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireMode {
    BatchOptimized,
    RecordLimit,
}

impl AcquireMode {
    pub fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(AcquireMode::BatchOptimized),
            1 => Some(AcquireMode::RecordLimit),
            _ => None,
        }
    }
}

/// `share.isolation.level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
}

/// What was read from the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// From which offset it was read: what [`super::SharePartition::begin_fetch`] said.
    pub fetch_offset: Offset,
    /// In offset order. The first may begin before the fetch offset.
    pub batches: Vec<FetchedBatch>,
    /// As a Fetch answers them; in any order.
    pub aborted_transactions: Vec<AbortedTransaction>,
}

/// The borders of a batch of the log, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedBatch {
    pub offsets: OffsetRange,
    pub origin: BatchOrigin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOrigin {
    /// It is part of no transaction.
    Plain,
    Transactional(ProducerId),
    Marker(ProducerId, TransactionResult),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}

/// Offsets that were handed out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquiredRecords {
    pub offsets: OffsetRange,
    pub delivery_count: i16,
}

/// What a member says of records it holds. The types are as they came: one for all of the batch, or
/// one per offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgementBatch {
    pub first_offset: Offset,
    pub last_offset: Offset,
    pub types: Vec<i8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcknowledgeType {
    /// There is no such record.
    Gap,
    Accept,
    Release,
    Reject,
    /// The lock lasts from now on as long as a new one (KIP-1222).
    Renew,
}

impl AcknowledgeType {
    pub fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(AcknowledgeType::Gap),
            1 => Some(AcknowledgeType::Accept),
            2 => Some(AcknowledgeType::Release),
            3 => Some(AcknowledgeType::Reject),
            4 => Some(AcknowledgeType::Renew),
            _ => None,
        }
    }
}

/// What a share partition's state says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    Available,
    Acknowledged,
    Archived,
}

impl DeliveryState {
    pub fn id(self) -> i8 {
        match self {
            DeliveryState::Available => 0,
            DeliveryState::Acknowledged => 2,
            DeliveryState::Archived => 4,
        }
    }

    /// Upstream's partitions write the three only, but anybody who may write a state may write the
    /// other two ids. What is acquired by nobody can be acquired (1), and what was on its way to be
    /// archived (3) is: else it would stand in the way for ever.
    pub fn from_id(id: i8) -> Option<Self> {
        match id {
            0 | 1 => Some(DeliveryState::Available),
            2 => Some(DeliveryState::Acknowledged),
            3 | 4 => Some(DeliveryState::Archived),
            _ => None,
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        match self {
            DeliveryState::Available => false,
            DeliveryState::Acknowledged | DeliveryState::Archived => true,
        }
    }
}

/// Offsets of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    pub offsets: OffsetRange,
    pub state: DeliveryState,
    pub delivery_count: i16,
}

/// The state as the share coordinator has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistedState {
    pub state_epoch: i32,
    /// None where nothing was written yet.
    pub start_offset: Option<Offset>,
    pub batches: Vec<StateBatch>,
}

/// Names a write of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteToken(pub u64);

/// A change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    pub token: WriteToken,
    pub state_epoch: i32,
    pub leader_epoch: LeaderEpoch,
    pub start_offset: Offset,
    /// KIP-1226: how many offsets behind the start offset nobody needs any more.
    pub delivery_complete_count: i32,
    /// In offset order, without overlap.
    pub batches: Vec<StateBatch>,
}

/// Why an acknowledgement was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {}", message.unwrap_or("no more is known"))]
pub struct Refusal {
    pub code: ErrorCode,
    /// None stands for the code's own.
    pub message: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: &'static str) -> Self {
        Refusal {
            code,
            message: Some(message),
        }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Refusal {
            code,
            message: None,
        }
    }
}

/// How far a share partition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharePartitionStatus {
    New,
    Initializing,
    Active,
    /// Its state could not be read. It is of no use any more; the next fetch makes a new one.
    Failed(ErrorCode),
    /// Somebody else has taken over, or it is gone. It is of no use any more.
    Fenced(ErrorCode),
}

/// The settings of a share group, with those of its own already put over the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareGroupSettings {
    /// `group.share.partition.max.record.locks`
    pub partition_max_record_locks: i32,
    /// `group.share.delivery.count.limit`
    pub delivery_count_limit: i16,
    /// `group.share.record.lock.duration.ms`
    pub record_lock_duration_ms: i32,
    /// `share.renew.acknowledge.enable`
    pub renew_acknowledge_enable: bool,
    /// `share.auto.offset.reset`
    pub auto_offset_reset: AutoOffsetReset,
}

impl Default for ShareGroupSettings {
    fn default() -> Self {
        ShareGroupSettings {
            partition_max_record_locks: 2_000,
            delivery_count_limit: 5,
            record_lock_duration_ms: 30_000,
            renew_acknowledge_enable: true,
            auto_offset_reset: AutoOffsetReset::Latest,
        }
    }
}
