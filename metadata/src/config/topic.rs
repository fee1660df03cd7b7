//! The configs of topics.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::def::{config_table, hours, minutes, same};
use super::ignored::{INDEX, LEVEL, ONE_NODE, QUOTAS, TIERED_STORAGE};
use super::valid::Valid;

config_table! {
    pub(in crate::config) const ROWS;

    /// The largest segment file.
    "segment.bytes" Int = "1073741824", at_least(1048576), cluster_wide,
        synonyms(&[same("log.segment.bytes")]);
    /// The longest time before a new segment begins.
    "segment.ms" Long = "604800000", at_least(1), cluster_wide,
        synonyms(&[same("log.roll.ms"), hours("log.roll.hours")]);
    /// The most time by which a segment may begin early at random.
    "segment.jitter.ms" Long = "0", at_least(0), cluster_wide,
        synonyms(&[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")]);
    /// The largest offset index of a segment.
    "segment.index.bytes" Int = "10485760", at_least(4), cluster_wide,
        synonyms(&[same("log.index.size.max.bytes")]), ignored(INDEX);
    /// After how many records a partition is synced to disk; 1 syncs before every answer.
    "flush.messages" Long = "9223372036854775807", at_least(1), cluster_wide,
        synonyms(&[same("log.flush.interval.messages")]);
    /// The longest time before a partition is synced to disk.
    "flush.ms" Long = "9223372036854775807", at_least(0), cluster_wide,
        synonyms(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")]);
    /// How large a partition grows before its oldest segments go; -1 sets no limit.
    "retention.bytes" Long = "-1", cluster_wide, synonyms(&[same("log.retention.bytes")]);
    /// How long records are kept; -1 keeps them for ever.
    "retention.ms" Long = "604800000", at_least(-1), cluster_wide,
        synonyms(&[same("log.retention.ms").or_unlimited(),
            minutes("log.retention.minutes").or_unlimited(),
            hours("log.retention.hours").or_unlimited()]);
    /// The largest record batch that is taken.
    "max.message.bytes" Int = "1048588", at_least(0), cluster_wide,
        synonyms(&[same("message.max.bytes")]);
    /// How many bytes lie between two entries of the offset index.
    "index.interval.bytes" Int = "4096", at_least(0), cluster_wide,
        synonyms(&[same("log.index.interval.bytes")]);
    /// How long tombstones stay.
    "delete.retention.ms" Long = "86400000", at_least(0), cluster_wide,
        synonyms(&[same("log.cleaner.delete.retention.ms")]);
    /// How long a record stays safe from compaction.
    "min.compaction.lag.ms" Long = "0", at_least(0), cluster_wide,
        synonyms(&[same("log.cleaner.min.compaction.lag.ms")]);
    /// How long a record may wait for compaction.
    "max.compaction.lag.ms" Long = "9223372036854775807", at_least(1), cluster_wide,
        synonyms(&[same("log.cleaner.max.compaction.lag.ms")]);
    /// How long a deleted segment's file stays on disk.
    "file.delete.delay.ms" Long = "60000", at_least(0), cluster_wide,
        synonyms(&[same("log.segment.delete.delay.ms")]);
    /// The share of uncompacted bytes from which on a partition is compacted.
    "min.cleanable.dirty.ratio" Double = "0.5", between(0, 1), cluster_wide,
        synonyms(&[same("log.cleaner.min.cleanable.ratio")]);
    /// What happens to old segments: delete, compact, both, or nothing where the list is empty.
    "cleanup.policy" List = "delete", list_of(&["compact", "delete"]), cluster_wide,
        synonyms(&[same("log.cleanup.policy")]);
    /// Lets a replica that lags become leader when no other is left, at the price of records.
    "unclean.leader.election.enable" Boolean = "false", cluster_wide,
        synonyms(&[same("unclean.leader.election.enable")]), ignored(ONE_NODE);
    /// How many in-sync replicas a produce with acks=all needs.
    "min.insync.replicas" Int = "1", at_least(1), cluster_wide,
        synonyms(&[same("min.insync.replicas")]);
    /// The codec of stored batches: the producer's own, or one for all.
    "compression.type" String = "producer",
        one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), cluster_wide,
        synonyms(&[same("compression.type")]);
    /// The level where the broker compresses with gzip.
    "compression.gzip.level" Int = "-1", valid(Valid::GzipLevel), cluster_wide,
        synonyms(&[same("compression.gzip.level")]), ignored(LEVEL);
    /// The level where the broker compresses with lz4.
    "compression.lz4.level" Int = "9", between(1, 17), cluster_wide,
        synonyms(&[same("compression.lz4.level")]), ignored(LEVEL);
    /// The level where the broker compresses with zstd.
    "compression.zstd.level" Int = "3", between(-131072, 22), cluster_wide,
        synonyms(&[same("compression.zstd.level")]), ignored(LEVEL);
    /// Gives a new segment's file its full size at once.
    "preallocate" Boolean = "false", cluster_wide, synonyms(&[same("log.preallocate")]);
    /// Whose clock stamps the records: the producer's or the broker's.
    "message.timestamp.type" String = "CreateTime", one_of(&["CreateTime", "LogAppendTime"]),
        cluster_wide, synonyms(&[same("log.message.timestamp.type")]);
    /// How far a record's timestamp may lie in the past.
    "message.timestamp.before.max.ms" Long = "9223372036854775807", at_least(0), cluster_wide,
        synonyms(&[same("log.message.timestamp.before.max.ms")]);
    /// How far a record's timestamp may lie in the future.
    "message.timestamp.after.max.ms" Long = "3600000", at_least(0), cluster_wide,
        synonyms(&[same("log.message.timestamp.after.max.ms")]);
    /// The replicas whose leaders send at a limited rate, as partition:broker, or * for all.
    "leader.replication.throttled.replicas" List = "", valid(Valid::ThrottledReplicas),
        cluster_wide, ignored(QUOTAS);
    /// The replicas that fetch at a limited rate, as partition:broker, or * for all.
    "follower.replication.throttled.replicas" List = "", valid(Valid::ThrottledReplicas),
        cluster_wide, ignored(QUOTAS);
    /// Stores the topic's segments remotely too.
    "remote.storage.enable" Boolean = "false", cluster_wide, ignored(TIERED_STORAGE);
    /// How long segments stored remotely stay on local disk; -2 is retention.ms.
    "local.retention.ms" Long = "-2", at_least(-2), cluster_wide,
        synonyms(&[same("log.local.retention.ms")]), ignored(TIERED_STORAGE);
    /// How much of a remotely stored partition stays on local disk; -2 is retention.bytes.
    "local.retention.bytes" Long = "-2", at_least(-2), cluster_wide,
        synonyms(&[same("log.local.retention.bytes")]), ignored(TIERED_STORAGE);
    /// Stops copies to remote storage, while what is there can still be read.
    "remote.log.copy.disable" Boolean = "false", cluster_wide, ignored(TIERED_STORAGE);
    /// Deletes what is stored remotely when remote storage is turned off.
    "remote.log.delete.on.disable" Boolean = "false", cluster_wide, ignored(TIERED_STORAGE);
    /// A segment size below the limit, for tests.
    "internal.segment.bytes" Int, cluster_wide, internal;
}
