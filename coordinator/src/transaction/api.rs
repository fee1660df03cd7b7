//! What a transaction shard is asked, what it answers, and what it has others do.
//!
//! Invariant: an answer that failed as a whole is `Err(code)` beside the reply's token; the codes
//! are upstream's newest, and the edge turns them into what old versions know (before InitProducerId
//! v4, AddPartitionsToTxn v2, AddOffsetsToTxn v2 and EndTxn v2 `PRODUCER_FENCED` is
//! `INVALID_PRODUCER_EPOCH`).

use std::sync::Arc;

use protocol::{ErrorCode, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::TransactionCoordinatorConfig;
use super::list::ListFilter;
use super::state::TransactionState;

/// A transactional id is the key of a record, where its length has 16 bits.
const TRANSACTIONAL_ID_BYTES_MAX: usize = i16::MAX as usize;

#[derive(Clone, Debug)]
pub enum TransactionRequest {
    /// With a transactional id; without one the edge answers itself.
    InitProducerId {
        transactional_id: Arc<str>,
        timeout_ms: i32,
        enable_2pc: bool,
        keep_prepared: bool,
        /// What the request brought, where it brought both. (One without the other is
        /// `INVALID_REQUEST`, at the edge.)
        expected: Option<(ProducerId, ProducerEpoch)>,
        /// A producer id that was never used. None at first; where one is needed the answer is
        /// [`TransactionResponse::NeedsProducerId`], and the edge asks again with one.
        spare: Option<ProducerId>,
    },
    /// AddPartitionsToTxn of one transactional id. AddOffsetsToTxn is the same with the partition
    /// of `__consumer_offsets` and `version2: false`.
    AddPartitions {
        transactional_id: Arc<str>,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Vec<TopicPartition>,
        /// Nothing is added: each partition is told whether it is in the transaction.
        verify_only: bool,
        /// AddPartitionsToTxn from version 4, and partitions that a produce of transactions v2
        /// adds. At level 0 of `transaction.version` it is refused with `UNSUPPORTED_VERSION`, as
        /// EndTxn v5 is (upstream says so too, and leaves the transactional id unusable).
        version2: bool,
    },
    EndTxn {
        transactional_id: Arc<str>,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        committed: bool,
        /// EndTxn from version 5.
        version2: bool,
        /// As for InitProducerId: with version 2 an end may need a producer id.
        spare: Option<ProducerId>,
    },
    Describe {
        transactional_id: Arc<str>,
    },
    /// Goes to every shard; the edge puts the answers together.
    List(Arc<ListFilter>),
    /// All markers of [`TransactionCommand::WriteMarkers`] with these names are written, or their
    /// partitions are gone. Answered [`TransactionResponse::Done`]; asked twice, it does nothing the
    /// second time. If the record could not be written the answer is an error and the shard tries
    /// again itself.
    MarkersWritten {
        transactional_id: Arc<str>,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// The answer to [`TransactionCommand::FindProducerId`]. Answered
    /// [`TransactionResponse::Done`], also when the transaction ended meanwhile.
    AbortTimedOut {
        transactional_id: Arc<str>,
        spare: ProducerId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionResponse {
    InitProducerId {
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// Every partition that was asked for, in this order; no code is success.
    AddPartitions(Vec<(TopicPartition, Option<ErrorCode>)>),
    EndTxn {
        /// What the producer goes on with; with version 2 only, else -1 and -1 go on the wire.
        producer: Option<(ProducerId, ProducerEpoch)>,
    },
    Describe(DescribedTransaction),
    List(Vec<ListedTransaction>),
    /// Ask again with a `spare`.
    NeedsProducerId,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTransaction {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub state: TransactionState,
    pub timeout_ms: i32,
    pub start: Option<Timestamp>,
    /// Ordered, so that partitions of one topic are side by side.
    pub partitions: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub state: TransactionState,
}

/// What the shard has others do once what it rests on is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionCommand {
    /// Writes the end of a transaction into its partitions, then asks
    /// [`TransactionRequest::MarkersWritten`] with the same names. Without partitions there is
    /// nothing to write, and it is asked at once. The coordinator epoch of the markers is the
    /// leader epoch of the shard's partition. Retriable errors (no leader yet, storage error, too
    /// few replicas, time-out) are tried again until the partition is gone or the shard is.
    ///
    /// Given when the transaction was prepared and again with every load, until it is complete:
    /// two for one transaction are the same work.
    WriteMarkers {
        transactional_id: Arc<str>,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        committed: bool,
        /// At 2 the marker's epoch is newer than the epoch of the transaction's records.
        transaction_version: i16,
        partitions: Vec<TopicPartition>,
    },
    /// A transaction timed out and its producer has no epoch left: the shard needs a producer id,
    /// in a [`TransactionRequest::AbortTimedOut`]. It asks again until it has one.
    FindProducerId { transactional_id: Arc<str> },
}

/// What a shard has armed timers for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionTimer {
    /// The next look for transactions that are past their time-out.
    AbortTimedOut,
    /// The next look for transactional ids that nobody used for long.
    RemoveExpired,
    /// The end of a transaction, which could not be written, is tried again.
    Complete { transactional_id: Arc<str> },
}

impl TransactionRequest {
    /// The transactional id that decides which shard gets the request; none for those to all.
    pub fn transactional_id(&self) -> Option<&Arc<str>> {
        match self {
            TransactionRequest::InitProducerId {
                transactional_id, ..
            }
            | TransactionRequest::AddPartitions {
                transactional_id, ..
            }
            | TransactionRequest::EndTxn {
                transactional_id, ..
            }
            | TransactionRequest::Describe { transactional_id }
            | TransactionRequest::MarkersWritten {
                transactional_id, ..
            }
            | TransactionRequest::AbortTimedOut {
                transactional_id, ..
            } => Some(transactional_id),
            TransactionRequest::List(_) => None,
        }
    }

    /// What upstream answers before it looks for the coordinator of the transactional id, if
    /// anything. The shard asks again, so calling this first only saves the way when there is no
    /// shard.
    pub fn refuse_early(&self, config: &TransactionCoordinatorConfig) -> Option<ErrorCode> {
        let id = self.transactional_id()?;
        if id.is_empty() || id.len() > TRANSACTIONAL_ID_BYTES_MAX {
            return Some(ErrorCode::InvalidRequest);
        }
        match self {
            TransactionRequest::InitProducerId {
                timeout_ms,
                enable_2pc,
                keep_prepared,
                ..
            } => {
                if *enable_2pc && !config.two_phase_commit_enable {
                    Some(ErrorCode::TransactionalIdAuthorizationFailed)
                } else if *keep_prepared {
                    Some(ErrorCode::UnsupportedVersion)
                } else if !*enable_2pc
                    && !(1..=config.transaction_max_timeout_ms).contains(timeout_ms)
                {
                    Some(ErrorCode::InvalidTransactionTimeout)
                } else {
                    None
                }
            }
            TransactionRequest::AddPartitions { .. }
            | TransactionRequest::EndTxn { .. }
            | TransactionRequest::Describe { .. }
            | TransactionRequest::List(_)
            | TransactionRequest::MarkersWritten { .. }
            | TransactionRequest::AbortTimedOut { .. } => None,
        }
    }
}

/// What a failed append means to a client of the transaction coordinator.
pub fn append_error(code: ErrorCode) -> ErrorCode {
    // Kafka's enum is not ours: every code not named here passes as it is.
    #[allow(clippy::wildcard_enum_match_arm)]
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}
