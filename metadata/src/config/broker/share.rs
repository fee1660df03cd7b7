//! The configs of share groups and their state.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{ASYNC_RUNTIME, LOADING, PLUG_IN, PURGATORY, SMALL_BATCHES, WRITES};

config_table! {
    pub(super) const ROWS;

    /// How often a share group is given a record before it is given up.
    "group.share.delivery.count.limit" Int = "5", between(2, 10);
    /// The highest delivery count limit a share group may be given.
    "group.share.max.delivery.count.limit" Int = "10", between(5, 25);
    /// The lowest delivery count limit a share group may be given.
    "group.share.min.delivery.count.limit" Int = "2", between(2, 5);
    /// How long a member of a share group holds a record.
    "group.share.record.lock.duration.ms" Int = "30000", between(1000, 3600000);
    /// The shortest lock a share group may be given.
    "group.share.min.record.lock.duration.ms" Int = "15000", between(1000, 30000);
    /// The longest lock a share group may be given.
    "group.share.max.record.lock.duration.ms" Int = "60000", between(30000, 3600000);
    /// How many records of a share partition may be held at once.
    "group.share.partition.max.record.locks" Int = "2000", between(100, 10000);
    /// The highest record lock limit a share group may be given.
    "group.share.max.partition.max.record.locks" Int = "4000", between(2000, 10000);
    /// The lowest record lock limit a share group may be given.
    "group.share.min.partition.max.record.locks" Int = "100", between(100, 2000);
    /// How many finished share fetches may lie among the waiting ones.
    "share.fetch.purgatory.purge.interval.requests" Int = "1000", ignored(PURGATORY);
    /// How many share sessions a broker keeps.
    "group.share.max.share.sessions" Int = "2000", at_least(1);
    /// The class that stores the state of share groups.
    "group.share.persister.class.name" String =
        "org.apache.kafka.server.share.persister.DefaultStatePersister", internal, ignored(PLUG_IN);
    /// The partitions of __share_group_state; not to be changed once it exists.
    "share.coordinator.state.topic.num.partitions" Int = "50", at_least(1);
    /// The replicas of __share_group_state, or as many as there are nodes.
    "share.coordinator.state.topic.replication.factor" Short = "3", at_least(1);
    /// The in-sync replicas that writes to __share_group_state need.
    "share.coordinator.state.topic.min.isr" Short = "2", at_least(1);
    /// The segment size of __share_group_state.
    "share.coordinator.state.topic.segment.bytes" Int = "104857600", at_least(1);
    /// The threads of the share coordinator.
    "share.coordinator.threads" Int = "1", at_least(1), ignored(ASYNC_RUNTIME);
    /// How many update records follow a snapshot of a share partition.
    "share.coordinator.snapshot.update.records.per.snapshot" Int = "500", between(0, 500);
    /// How many bytes are read at a time when share state is loaded.
    "share.coordinator.load.buffer.size" Int = "5242880", at_least(1), ignored(LOADING);
    /// The number of the codec of __share_group_state; 0 is none.
    "share.coordinator.state.topic.compression.codec" Int = "0", ignored(SMALL_BATCHES);
    /// How long the share coordinator gathers writes before it appends them; -1 adapts.
    "share.coordinator.append.linger.ms" Int = "-1", at_least(-1), ignored(WRITES);
    /// How long a write of share state may wait for its replicas.
    "share.coordinator.write.timeout.ms" Int = "5000", at_least(1);
    /// How often records of __share_group_state that nobody needs are deleted.
    "share.coordinator.state.topic.prune.interval.ms" Int = "300000", at_least(1), internal;
    /// How often share partitions at rest are written as snapshots.
    "share.coordinator.cold.partition.snapshot.interval.ms" Int = "300000", at_least(1), internal;
    /// The largest buffer the share coordinator keeps between writes.
    "share.coordinator.cached.buffer.max.bytes" Int = "1048588", at_least(524288), cluster_wide,
        ignored(WRITES);
}
