//! The settings that the transaction coordinator reads, with upstream's defaults.
//!
//! Invariant: plain values, already validated; key strings stay with the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};

/// The settings of the transaction coordinator.
#[derive(Clone, Debug)]
pub struct TransactionCoordinatorConfig {
    /// `transactional.id.expiration.ms`
    pub transactional_id_expiration_ms: i32,
    /// `transaction.max.timeout.ms`
    pub transaction_max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_timed_out_interval_ms: i32,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub remove_expired_interval_ms: i32,
    /// `transaction.two.phase.commit.enable`
    pub two_phase_commit_enable: bool,
    /// How many bytes one batch may hold when transactions are aborted or ids expire in bulk.
    pub batch_bytes_max: usize,
    /// How long the shard waits before it writes again what could not be written. No key:
    /// upstream's marker channel tries again with its next poll.
    pub retry_backoff_ms: i32,
    /// The finalized level of `transaction.version`.
    pub transaction_version: TransactionVersionLevel,
}

impl Default for TransactionCoordinatorConfig {
    fn default() -> Self {
        TransactionCoordinatorConfig {
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1_000,
            transaction_max_timeout_ms: 15 * 60 * 1_000,
            abort_timed_out_interval_ms: 10_000,
            remove_expired_interval_ms: 60 * 60 * 1_000,
            two_phase_commit_enable: false,
            batch_bytes_max: 256 * 1024,
            retry_backoff_ms: 100,
            transaction_version: TransactionVersionLevel::new(0),
        }
    }
}

/// The finalized level of the feature `transaction.version`. It may change at any time, so all
/// shards share one, which whoever follows the metadata sets.
#[derive(Clone, Debug)]
pub struct TransactionVersionLevel(Arc<AtomicI16>);

impl TransactionVersionLevel {
    pub fn new(level: i16) -> Self {
        TransactionVersionLevel(Arc::new(AtomicI16::new(level)))
    }

    pub fn set(&self, level: i16) {
        self.0.store(level, Ordering::Relaxed);
    }

    pub fn get(&self) -> i16 {
        self.0.load(Ordering::Relaxed)
    }
}
