//! What goes into a log and what comes out of it.
//!
//! Invariant: an offset named "next" or "end" is exclusive, one named "last" is inclusive.

use protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Who appends; says what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A Produce request: everything is checked.
    Client,
    /// A group or transaction coordinator of this broker, transaction markers included.
    Coordinator,
    /// The leader of a Raft log.
    Raft,
    /// What a leader has checked already.
    Replication,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub log_end_offset: Offset,
    /// What ProduceResponse carries as log append time; `None` is -1 there.
    pub log_append_time: Option<Timestamp>,
    pub log_start_offset: Offset,
    /// The batch was here already: nothing was written.
    pub duplicate: bool,
    pub leader_epoch: LeaderEpoch,
    /// The log's settings want `sync_to(log_end_offset)` before the answer.
    pub needs_sync: bool,
}

/// The answer to a search by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A transaction that a reader of committed records must leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Of the marker.
    pub last_offset: Offset,
    /// Of the log when the marker was appended.
    pub last_stable_offset: Offset,
}

/// A transaction whose marker was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedTransaction {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    /// Of the marker.
    pub(crate) last_offset: Offset,
    /// Behind it other transactions may be open; of the log when the marker was appended.
    pub(crate) last_stable_offset: Offset,
    pub(crate) committed: bool,
}

impl EndedTransaction {
    pub(crate) fn aborted(&self) -> Option<AbortedTransaction> {
        (!self.committed).then_some(AbortedTransaction {
            producer_id: self.producer_id,
            first_offset: self.first_offset,
            last_offset: self.last_offset,
            last_stable_offset: self.last_stable_offset,
        })
    }
}

/// A producer that wrote to the log, as DescribeProducers shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSummary {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub last_sequence: Option<i32>,
    pub last_timestamp: Timestamp,
    pub coordinator_epoch: Option<i32>,
    pub current_transaction_start: Option<Offset>,
}
