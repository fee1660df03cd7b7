//! The configs of groups.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::def::{config_table, same};
use super::ignored::GROUPS;
use super::valid::Valid;

config_table! {
    pub(in crate::config) const ROWS;

    /// How long a member of the consumer group may be silent.
    "consumer.session.timeout.ms" Int = "45000", at_least(1), cluster_wide,
        synonyms(&[same("group.consumer.session.timeout.ms")]);
    /// How often a member of the consumer group sends a heartbeat.
    "consumer.heartbeat.interval.ms" Int = "5000", at_least(1), cluster_wide,
        synonyms(&[same("group.consumer.heartbeat.interval.ms")]);
    /// The shortest time between two assignments of the consumer group.
    "consumer.assignment.interval.ms" Int = "1000", at_least(0), cluster_wide,
        synonyms(&[same("group.consumer.assignment.interval.ms")]);
    /// How long a member of the share group may be silent.
    "share.session.timeout.ms" Int = "45000", at_least(1), cluster_wide,
        synonyms(&[same("group.share.session.timeout.ms")]);
    /// How often a member of the share group sends a heartbeat.
    "share.heartbeat.interval.ms" Int = "5000", at_least(1), cluster_wide,
        synonyms(&[same("group.share.heartbeat.interval.ms")]);
    /// How long a member of the share group holds a record.
    "share.record.lock.duration.ms" Int = "30000", at_least(1000), cluster_wide,
        synonyms(&[same("group.share.record.lock.duration.ms")]);
    /// How often the share group is given a record before it is given up.
    "share.delivery.count.limit" Int = "5", at_least(2), cluster_wide,
        synonyms(&[same("group.share.delivery.count.limit")]);
    /// How many records of a share partition may be held at once.
    "share.partition.max.record.locks" Int = "2000", at_least(100), cluster_wide,
        synonyms(&[same("group.share.partition.max.record.locks")]);
    /// Where the share group begins on a partition that is new to it.
    "share.auto.offset.reset" String = "latest", valid(Valid::ShareAutoOffsetReset), cluster_wide;
    /// Whether the share group sees records of aborted transactions.
    "share.isolation.level" String = "read_uncommitted",
        one_of(&["read_committed", "read_uncommitted"]), cluster_wide;
    /// Lets members of the share group prolong their hold on a record.
    "share.renew.acknowledge.enable" Boolean = "true", cluster_wide;
    /// The shortest time between two assignments of the share group.
    "share.assignment.interval.ms" Int = "1000", at_least(0), cluster_wide,
        synonyms(&[same("group.share.assignment.interval.ms")]);
    /// How long a member of the streams group may be silent.
    "streams.session.timeout.ms" Int = "45000", at_least(1), cluster_wide,
        synonyms(&[same("group.streams.session.timeout.ms")]), ignored(GROUPS);
    /// How often a member of the streams group sends a heartbeat.
    "streams.heartbeat.interval.ms" Int = "5000", at_least(1), cluster_wide,
        synonyms(&[same("group.streams.heartbeat.interval.ms")]), ignored(GROUPS);
    /// The standby copies of each task.
    "streams.num.standby.replicas" Int = "0", at_least(0), cluster_wide,
        synonyms(&[same("group.streams.num.standby.replicas")]), ignored(GROUPS);
    /// How long the empty streams group waits for more members before its first assignment.
    "streams.initial.rebalance.delay.ms" Int = "3000", at_least(0), cluster_wide,
        synonyms(&[same("group.streams.initial.rebalance.delay.ms")]), ignored(GROUPS);
    /// The shortest time between two assignments of the streams group.
    "streams.assignment.interval.ms" Int = "1000", at_least(0), cluster_wide,
        synonyms(&[same("group.streams.assignment.interval.ms")]), ignored(GROUPS);
}
