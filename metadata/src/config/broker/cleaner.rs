//! The configs of compaction.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::CLEANER_BUFFERS;

config_table! {
    pub(super) const ROWS;

    /// The threads that compact logs.
    "log.cleaner.threads" Int = "1", at_least(0), cluster_wide;
    /// The rate limit of what compaction reads and writes.
    "log.cleaner.io.max.bytes.per.second" Double = "1.7976931348623157E308", cluster_wide;
    /// The memory for the keys of the logs being compacted.
    "log.cleaner.dedupe.buffer.size" Long = "134217728", cluster_wide;
    /// The memory for reading and writing while logs are compacted.
    "log.cleaner.io.buffer.size" Int = "524288", at_least(0), cluster_wide, ignored(CLEANER_BUFFERS);
    /// How full the key buffer of compaction may become.
    "log.cleaner.io.buffer.load.factor" Double = "0.9", cluster_wide, ignored(CLEANER_BUFFERS);
    /// How long compaction rests when there is nothing to do.
    "log.cleaner.backoff.ms" Long = "15000", at_least(0), cluster_wide;
    /// The share of uncompacted bytes from which on a log is compacted.
    "log.cleaner.min.cleanable.ratio" Double = "0.5", between(0, 1), cluster_wide;
    /// Turns compaction on.
    "log.cleaner.enable" Boolean = "true";
    /// How long tombstones of compacted topics stay.
    "log.cleaner.delete.retention.ms" Long = "86400000", at_least(0), cluster_wide;
    /// How long a record stays safe from compaction.
    "log.cleaner.min.compaction.lag.ms" Long = "0", at_least(0), cluster_wide;
    /// How long a record may wait for compaction.
    "log.cleaner.max.compaction.lag.ms" Long = "9223372036854775807", at_least(1), cluster_wide;
}
