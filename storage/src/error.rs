//! What can go wrong in a log directory, and the Kafka error code of each case.
//!
//! Invariant: a code is chosen here and nowhere above; no condition with a name of its own is
//! answered UNKNOWN_SERVER_ERROR.

use std::io;
use std::path::PathBuf;

use protocol::{BatchError, ErrorCode, Offset, ProducerEpoch, ProducerId, TopicId, TopicPartition};

/// The batch or record breaks a rule that `protocol` cannot know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    #[error("the records hold no batch")]
    NoBatch,
    #[error("the records hold more than one batch")]
    ManyBatches,
    #[error("the base offset of the record batch in the append should be 0, but it is {0}")]
    BaseOffset(Offset),
    #[error("clients are not allowed to write control records")]
    ControlBatch,
    #[error("invalid sequence number {0} in a record batch with a producer id")]
    Sequence(i32),
    #[error("{count} records between the offset deltas 0 and {last_offset_delta}")]
    Count { count: i32, last_offset_delta: i32 },
    #[error("one or more records have been rejected")]
    Records,
    #[error("the batch of a Raft leader carries another epoch than its term")]
    RaftEpoch,
}

/// A fault in a log with valid batches behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{topic_partition}: {} is corrupt from byte {position} (offset {first_offset}) on, \
     and valid again at byte {valid_again_at} (offset {valid_again_offset})",
    path.display()
)]
pub struct Corruption {
    pub topic_partition: TopicPartition,
    pub path: PathBuf,
    pub position: u64,
    /// The end of the file where it is valid again in the next one only.
    pub valid_again_at: u64,
    pub first_offset: Offset,
    pub valid_again_offset: Offset,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("no space left for {}", path.display())]
    NoSpace { path: PathBuf },
    #[error("the log directory {} is offline after a failed sync", path.display())]
    Offline { path: PathBuf },
    #[error("the log directory {} is locked by another process", path.display())]
    Locked { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    MetaProperties { path: PathBuf, reason: &'static str },
    #[error("{}: cluster id is {found}, expected {expected}", path.display())]
    ClusterId {
        path: PathBuf,
        expected: String,
        found: String,
    },
    #[error("{}: node id is {found}, expected {expected}", path.display())]
    NodeId {
        path: PathBuf,
        expected: i32,
        found: i32,
    },
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    #[error("{topic_partition}: {} changed under its reader at byte {position}", path.display())]
    Unreadable {
        topic_partition: TopicPartition,
        path: PathBuf,
        position: u64,
    },
    #[error("{topic_partition} has topic id {found}, expected {expected}")]
    InconsistentTopicId {
        topic_partition: TopicPartition,
        expected: TopicId,
        found: TopicId,
    },
    #[error("{topic_partition} is closed")]
    Closed { topic_partition: TopicPartition },
    #[error("{topic_partition}: offset {offset} is outside [{log_start_offset}, {limit}]")]
    OffsetOutOfRange {
        topic_partition: TopicPartition,
        offset: Offset,
        log_start_offset: Offset,
        limit: Offset,
    },
    #[error("the key-value view failed to {action}: {message}")]
    Kv {
        action: &'static str,
        message: String,
    },

    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    InvalidRecord(#[from] InvalidRecord),
    #[error("one or more records have been rejected due to invalid timestamp")]
    InvalidTimestamp,
    #[error("the record batch has {size} bytes, which exceeds the maximum of {max}")]
    MessageTooLarge { size: usize, max: usize },
    #[error("the records have {size} bytes, which exceeds the segment size of {max}")]
    RecordListTooLarge { size: usize, max: usize },
    #[error(
        "out of order sequence number for producer {producer_id}: {found} (incoming), \
         {last} (current end)"
    )]
    OutOfOrderSequence {
        producer_id: ProducerId,
        found: i32,
        last: i32,
    },
    #[error("producer {producer_id} has epoch {found}, the last seen is {current}")]
    InvalidProducerEpoch {
        producer_id: ProducerId,
        found: ProducerEpoch,
        current: ProducerEpoch,
    },
    #[error("producer {producer_id} has a transaction open and wrote outside it")]
    InvalidTransactionState { producer_id: ProducerId },
    #[error("producer {producer_id} opens a transaction that its coordinator was not asked about")]
    UnverifiedTransaction { producer_id: ProducerId },
    #[error("coordinator epoch {found} of producer {producer_id} is older than {current}")]
    TransactionCoordinatorFenced {
        producer_id: ProducerId,
        found: i32,
        current: i32,
    },
    #[error("{topic_partition}: offset {found} in an append that must start at {log_end_offset}")]
    UnexpectedAppendOffset {
        topic_partition: TopicPartition,
        found: Offset,
        log_end_offset: Offset,
    },
    #[error("out of order offsets in an append to {topic_partition}")]
    OffsetsOutOfOrder { topic_partition: TopicPartition },
}

impl From<&Error> for ErrorCode {
    fn from(error: &Error) -> ErrorCode {
        match error {
            Error::Io { .. }
            | Error::NoSpace { .. }
            | Error::Offline { .. }
            | Error::Locked { .. }
            | Error::MetaProperties { .. }
            | Error::ClusterId { .. }
            | Error::NodeId { .. }
            | Error::Corrupt(_)
            | Error::Unreadable { .. }
            | Error::Kv { .. } => ErrorCode::KafkaStorageError,
            Error::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
            // The replica went while the request ran: the client asks for the metadata again.
            Error::Closed { .. } => ErrorCode::NotLeaderOrFollower,
            Error::OffsetOutOfRange { .. }
            | Error::UnexpectedAppendOffset { .. }
            | Error::OffsetsOutOfOrder { .. } => ErrorCode::OffsetOutOfRange,
            Error::Batch(error) => ErrorCode::from(error.clone()),
            Error::InvalidRecord(_) => ErrorCode::InvalidRecord,
            Error::InvalidTimestamp => ErrorCode::InvalidTimestamp,
            Error::MessageTooLarge { .. } => ErrorCode::MessageTooLarge,
            Error::RecordListTooLarge { .. } => ErrorCode::RecordListTooLarge,
            Error::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Error::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Error::InvalidTransactionState { .. } | Error::UnverifiedTransaction { .. } => {
                ErrorCode::InvalidTxnState
            }
            Error::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl From<Error> for ErrorCode {
    fn from(error: Error) -> ErrorCode {
        ErrorCode::from(&error)
    }
}

impl Error {
    /// Names an I/O error by what was tried; a full disk is a state of its own.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        let path = path.into();
        if source.kind() == io::ErrorKind::StorageFull
            || source.kind() == io::ErrorKind::QuotaExceeded
        {
            return Error::NoSpace { path };
        }
        Error::Io {
            action,
            path,
            source,
        }
    }
}

/// Why an append was refused, with what ProduceResponse says of it.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct AppendError {
    pub error: Error,
    /// Index in the batch, and upstream's sentence about the record.
    pub record_errors: Vec<(i32, Option<String>)>,
    /// Only where upstream fills the partition's error message.
    pub message: Option<String>,
}

impl From<Error> for AppendError {
    fn from(error: Error) -> AppendError {
        AppendError {
            error,
            record_errors: Vec::new(),
            message: None,
        }
    }
}

impl From<&AppendError> for ErrorCode {
    fn from(error: &AppendError) -> ErrorCode {
        ErrorCode::from(&error.error)
    }
}

impl AppendError {
    /// Whether upstream tells the log start offset beside this error (else -1 stands there).
    pub fn tells_log_start_offset(&self) -> bool {
        match &self.error {
            Error::Io { .. }
            | Error::NoSpace { .. }
            | Error::Offline { .. }
            | Error::Locked { .. }
            | Error::MetaProperties { .. }
            | Error::ClusterId { .. }
            | Error::NodeId { .. }
            | Error::Corrupt(_)
            | Error::Unreadable { .. }
            | Error::Kv { .. }
            | Error::Closed { .. }
            | Error::MessageTooLarge { .. }
            | Error::RecordListTooLarge { .. } => false,
            // Upstream finds a body that cannot be decompressed later than a wrong checksum.
            Error::Batch(BatchError::Decompression(_)) => true,
            Error::Batch(error) => ErrorCode::from(error.clone()) != ErrorCode::CorruptMessage,
            Error::InconsistentTopicId { .. }
            | Error::OffsetOutOfRange { .. }
            | Error::InvalidRecord(_)
            | Error::InvalidTimestamp
            | Error::OutOfOrderSequence { .. }
            | Error::InvalidProducerEpoch { .. }
            | Error::InvalidTransactionState { .. }
            | Error::UnverifiedTransaction { .. }
            | Error::TransactionCoordinatorFenced { .. }
            | Error::UnexpectedAppendOffset { .. }
            | Error::OffsetsOutOfOrder { .. } => true,
        }
    }
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the log has the offsets {log_start_offset} to {log_end_offset} only")]
    OffsetOutOfRange {
        log_start_offset: Offset,
        log_end_offset: Offset,
    },
    #[error(transparent)]
    Storage(#[from] Error),
}

impl From<&ReadError> for ErrorCode {
    fn from(error: &ReadError) -> ErrorCode {
        match error {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Storage(error) => ErrorCode::from(error),
        }
    }
}

impl From<ReadError> for ErrorCode {
    fn from(error: ReadError) -> ErrorCode {
        ErrorCode::from(&error)
    }
}
