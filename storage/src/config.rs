//! The settings of one log, as plain values.
//!
//! Invariant: no key strings; the broker resolves them and builds this. The defaults are upstream's.

use protocol::Compression;

/// What becomes of old records (`cleanup.policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    /// Every record must have a key; of each key the last one is kept.
    pub compact: bool,
}

/// Who says when a record was made (`message.timestamp.type`).
pub use protocol::TimestampType;

/// What codec a batch is stored with (`compression.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCompression {
    /// As the producer sent it, untouched.
    Producer,
    Codec(Compression),
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub index_interval_bytes: u32,
    pub max_message_bytes: usize,
    /// Sync before the answer once so many messages wait (`flush.messages`).
    pub flush_messages: i64,
    /// Sync at the next checkpoint once a message waited so long (`flush.ms`).
    pub flush_ms: i64,
    /// -1: no limit.
    pub retention_bytes: i64,
    /// -1: no limit.
    pub retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub cleanup: CleanupPolicy,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub compression: TargetCompression,
    pub preallocate: bool,
    /// The part of a log that was not compacted yet must be larger than this part of it.
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub delete_retention_ms: i64,
    pub producer_id_expiration_ms: i64,
    /// A transaction is opened only with a guard (`transaction.partition.verification.enable`).
    pub verify_transactions: bool,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            max_message_bytes: 1_048_588,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            file_delete_delay_ms: 60_000,
            cleanup: CleanupPolicy {
                delete: true,
                compact: false,
            },
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: TargetCompression::Producer,
            preallocate: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
            producer_id_expiration_ms: 86_400_000,
            verify_transactions: true,
        }
    }
}

impl LogConfig {
    /// How old a segment may be that is written to: a compacted log rolls in time for its lag.
    pub(crate) fn roll_ms(&self) -> i64 {
        if self.cleanup.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}
