//! The settings that the share coordinator reads, with upstream's defaults.
//!
//! Invariant: plain values, already validated; key strings stay with the broker.

/// The settings of the share coordinator.
#[derive(Clone, Debug)]
pub struct ShareStateConfig {
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    pub snapshot_update_records_per_snapshot: i32,
    /// `share.coordinator.cold.partition.snapshot.interval.ms`
    pub cold_partition_snapshot_interval_ms: i32,
    /// `share.coordinator.state.topic.prune.interval.ms`
    pub state_topic_prune_interval_ms: i32,
    /// How many bytes one batch may hold when many states are written or removed at once.
    pub batch_bytes_max: usize,
    /// How long the shard waits before it removes again what it could not remove.
    pub retry_backoff_ms: i32,
}

impl Default for ShareStateConfig {
    fn default() -> Self {
        ShareStateConfig {
            snapshot_update_records_per_snapshot: 500,
            cold_partition_snapshot_interval_ms: 5 * 60 * 1_000,
            state_topic_prune_interval_ms: 5 * 60 * 1_000,
            batch_bytes_max: 256 * 1024,
            retry_backoff_ms: 1_000,
        }
    }
}
