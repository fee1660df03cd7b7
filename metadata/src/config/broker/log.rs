//! The configs of log directories and the logs in them.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{CORDONING, HOUSEKEEPING, INDEX, ONE_NODE, PLUG_IN};

config_table! {
    pub(super) const ROWS;

    /// The partitions of a topic whose creator does not say how many.
    "num.partitions" Int = "1", at_least(1);
    /// The folders of the data, where log.dirs is not set.
    "log.dir" List = "/tmp/kafka-logs", non_empty_list;
    /// The folders of the data, with commas between.
    "log.dirs" List, non_empty_list_or_null;
    /// The log directories that get no new partitions; * is all of them.
    "cordoned.log.dirs" List = "", any_list_or_null, per_broker, ignored(CORDONING);
    /// The largest segment file.
    "log.segment.bytes" Int = "1073741824", at_least(1048576), cluster_wide;
    /// The longest time before a new segment begins; log.roll.hours where it is not set.
    "log.roll.ms" Long, cluster_wide;
    /// The longest time before a new segment begins, in hours.
    "log.roll.hours" Int = "168", at_least(1);
    /// By how much a segment may begin early at random; log.roll.jitter.hours where not set.
    "log.roll.jitter.ms" Long, cluster_wide;
    /// By how many hours a segment may begin early at random.
    "log.roll.jitter.hours" Int = "0", at_least(0);
    /// How long records are kept, -1 for ever; log.retention.minutes where it is not set.
    "log.retention.ms" Long, cluster_wide;
    /// How long records are kept, in minutes; log.retention.hours where it is not set.
    "log.retention.minutes" Int;
    /// How long records are kept, in hours.
    "log.retention.hours" Int = "168";
    /// How large a partition grows before its oldest segments go; -1 sets no limit.
    "log.retention.bytes" Long = "-1", cluster_wide;
    /// How often segments past their retention are looked for.
    "log.retention.check.interval.ms" Long = "300000", at_least(1);
    /// What happens to old segments: delete, compact or both.
    "log.cleanup.policy" List = "delete", list_of(&["compact", "delete"]), cluster_wide;
    /// The largest offset index of a segment.
    "log.index.size.max.bytes" Int = "10485760", at_least(4), cluster_wide, ignored(INDEX);
    /// How many bytes lie between two entries of the offset index.
    "log.index.interval.bytes" Int = "4096", at_least(0), cluster_wide;
    /// After how many records a log is synced to disk; 1 syncs before every answer.
    "log.flush.interval.messages" Long = "9223372036854775807", at_least(1), cluster_wide;
    /// How long a deleted segment's file stays on disk.
    "log.segment.delete.delay.ms" Long = "60000", at_least(0), cluster_wide;
    /// How often logs that are due are synced to disk.
    "log.flush.scheduler.interval.ms" Long = "9223372036854775807";
    /// The longest time before a log is synced; log.flush.scheduler.interval.ms where not set.
    "log.flush.interval.ms" Long, cluster_wide;
    /// How often recovery points are written to disk.
    "log.flush.offset.checkpoint.interval.ms" Int = "60000", at_least(0);
    /// How often log start offsets are written to disk.
    "log.flush.start.offset.checkpoint.interval.ms" Int = "60000", at_least(0);
    /// Gives a new segment's file its full size at once.
    "log.preallocate" Boolean = "false", cluster_wide;
    /// How many logs of a log directory are recovered at the same time.
    "num.recovery.threads.per.data.dir" Int = "2", at_least(1), cluster_wide;
    /// Creates topics when a client asks for their metadata.
    "auto.create.topics.enable" Boolean = "true";
    /// How many in-sync replicas a produce with acks=all needs.
    "min.insync.replicas" Int = "1", at_least(1), cluster_wide;
    /// Whose clock stamps the records: the producer's or the broker's.
    "log.message.timestamp.type" String = "CreateTime", one_of(&["CreateTime", "LogAppendTime"]),
        cluster_wide;
    /// How far a record's timestamp may lie in the past.
    "log.message.timestamp.before.max.ms" Long = "9223372036854775807", at_least(0), cluster_wide;
    /// How far a record's timestamp may lie in the future.
    "log.message.timestamp.after.max.ms" Long = "3600000", at_least(0), cluster_wide;
    /// The class that may refuse new topics.
    "create.topic.policy.class.name" Class, ignored(PLUG_IN);
    /// The class that may refuse changes of configs.
    "alter.config.policy.class.name" Class, ignored(PLUG_IN);
    /// How long a broker may fail to report a dead log directory before it stops.
    "log.dir.failure.timeout.ms" Long = "30000", at_least(1), ignored(ONE_NODE);
    /// How long after the start the tasks on logs begin.
    "log.initial.task.delay.ms" Long = "30000", at_least(0), internal, ignored(HOUSEKEEPING);
}
