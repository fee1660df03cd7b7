//! The configs of tiered storage.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::TIERED_STORAGE;
use super::super::valid::Valid;

config_table! {
    pub(super) const ROWS;

    /// Turns tiered storage on.
    "remote.log.storage.system.enable" Boolean = "false", ignored(TIERED_STORAGE);
    /// What the keys handed to the remote storage plug-in begin with.
    "remote.log.storage.manager.impl.prefix" String = "rsm.config.", valid(Valid::NonEmpty),
        ignored(TIERED_STORAGE);
    /// What the keys handed to the remote metadata plug-in begin with.
    "remote.log.metadata.manager.impl.prefix" String = "rlmm.config.", valid(Valid::NonEmpty),
        ignored(TIERED_STORAGE);
    /// The class that stores segments remotely.
    "remote.log.storage.manager.class.name" String, valid(Valid::NonEmpty), ignored(TIERED_STORAGE);
    /// Where the class that stores segments remotely is loaded from.
    "remote.log.storage.manager.class.path" String, ignored(TIERED_STORAGE);
    /// The class that keeps track of remote segments.
    "remote.log.metadata.manager.class.name" String =
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        valid(Valid::NonEmpty), ignored(TIERED_STORAGE);
    /// Where the class that keeps track of remote segments is loaded from.
    "remote.log.metadata.manager.class.path" String, ignored(TIERED_STORAGE);
    /// The listener through which remote metadata reaches the brokers.
    "remote.log.metadata.manager.listener.name" String, valid(Valid::NonEmpty),
        ignored(TIERED_STORAGE);
    /// The most custom metadata a remote segment may carry.
    "remote.log.metadata.custom.metadata.max.bytes" Int = "128", at_least(0),
        ignored(TIERED_STORAGE);
    /// The disk space for cached indexes of remote segments.
    "remote.log.index.file.cache.total.size.bytes" Long = "1073741824", at_least(1), cluster_wide,
        ignored(TIERED_STORAGE);
    /// How long a cached index of a remote segment stays unused before it goes.
    "remote.log.index.file.cache.ttl.ms" Long = "900000", at_least(-1), internal,
        ignored(TIERED_STORAGE);
    /// The threads for tasks on remote segments that have no pool of their own.
    "remote.log.manager.thread.pool.size" Int = "2", at_least(1), ignored(TIERED_STORAGE);
    /// The threads that copy segments to remote storage.
    "remote.log.manager.copier.thread.pool.size" Int = "10", at_least(1), cluster_wide,
        ignored(TIERED_STORAGE);
    /// The threads that delete expired remote segments.
    "remote.log.manager.expiration.thread.pool.size" Int = "10", at_least(1), cluster_wide,
        ignored(TIERED_STORAGE);
    /// The threads that do a follower's share of tiered storage.
    "remote.log.manager.follower.thread.pool.size" Int = "2", at_least(1), cluster_wide,
        ignored(TIERED_STORAGE);
    /// How often copying and expiry of remote segments run.
    "remote.log.manager.task.interval.ms" Long = "30000", at_least(1), ignored(TIERED_STORAGE);
    /// The first wait before a failed remote task runs again.
    "remote.log.manager.task.retry.backoff.ms" Long = "500", at_least(1), internal,
        ignored(TIERED_STORAGE);
    /// The longest wait before a failed remote task runs again.
    "remote.log.manager.task.retry.backoff.max.ms" Long = "30000", at_least(1), internal,
        ignored(TIERED_STORAGE);
    /// The random share of the wait before a failed remote task runs again.
    "remote.log.manager.task.retry.jitter" Double = "0.2",
        valid(Valid::Range { min: Some(0.0), max: Some(0.5) }), internal, ignored(TIERED_STORAGE);
    /// The threads that read from remote storage.
    "remote.log.reader.threads" Int = "10", at_least(1), cluster_wide, ignored(TIERED_STORAGE);
    /// How many remote reads may queue before more are refused.
    "remote.log.reader.max.pending.tasks" Int = "100", at_least(1), ignored(TIERED_STORAGE);
    /// How long segments stored remotely stay on local disk; -2 is log.retention.ms.
    "log.local.retention.ms" Long = "-2", at_least(-2), cluster_wide, ignored(TIERED_STORAGE);
    /// How much of a remotely stored partition stays on local disk; -2 is log.retention.bytes.
    "log.local.retention.bytes" Long = "-2", at_least(-2), cluster_wide, ignored(TIERED_STORAGE);
    /// The rate limit of copies to remote storage.
    "remote.log.manager.copy.max.bytes.per.second" Long = "9223372036854775807", at_least(1),
        cluster_wide, ignored(TIERED_STORAGE);
    /// The samples over which the rate of remote copies is measured.
    "remote.log.manager.copy.quota.window.num" Int = "11", at_least(1), ignored(TIERED_STORAGE);
    /// The length of one sample of the rate of remote copies.
    "remote.log.manager.copy.quota.window.size.seconds" Int = "1", at_least(1),
        ignored(TIERED_STORAGE);
    /// The rate limit of reads from remote storage.
    "remote.log.manager.fetch.max.bytes.per.second" Long = "9223372036854775807", at_least(1),
        cluster_wide, ignored(TIERED_STORAGE);
    /// The samples over which the rate of remote reads is measured.
    "remote.log.manager.fetch.quota.window.num" Int = "11", at_least(1), ignored(TIERED_STORAGE);
    /// The length of one sample of the rate of remote reads.
    "remote.log.manager.fetch.quota.window.size.seconds" Int = "1", at_least(1),
        ignored(TIERED_STORAGE);
    /// How long a fetch waits for remote data.
    "remote.fetch.max.wait.ms" Int = "500", at_least(1), cluster_wide, ignored(TIERED_STORAGE);
    /// How long ListOffsets waits for remote metadata.
    "remote.list.offsets.request.timeout.ms" Long = "30000", at_least(1), cluster_wide,
        ignored(TIERED_STORAGE);
}
