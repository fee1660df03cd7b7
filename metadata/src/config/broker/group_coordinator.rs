//! The configs of groups and committed offsets.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{ASYNC_RUNTIME, GROUPS, LOADING, ONE_ASSIGNOR, SMALL_BATCHES, WRITES};
use super::super::valid::Valid;

config_table! {
    pub(super) const ROWS;

    /// The group protocols that are switched on.
    "group.coordinator.rebalance.protocols" List = "classic,consumer,streams",
        non_empty_list_of(&["consumer", "classic", "share", "streams"]);
    /// The threads of the group coordinator.
    "group.coordinator.threads" Int = "4", at_least(1), ignored(ASYNC_RUNTIME);
    /// The threads for long work of the group coordinator.
    "group.coordinator.background.threads" Int = "2", at_least(1), ignored(ASYNC_RUNTIME);
    /// How long the group coordinator gathers writes before it appends them; -1 adapts.
    "group.coordinator.append.linger.ms" Int = "-1", at_least(-1), ignored(WRITES);
    /// How long a commit of offsets may wait for its replicas.
    "offsets.commit.timeout.ms" Int = "5000", at_least(1);
    /// How many bytes are read at a time when offsets are loaded.
    "offsets.load.buffer.size" Int = "5242880", at_least(1), ignored(LOADING);
    /// The replicas of __consumer_offsets, or as many as there are nodes.
    "offsets.topic.replication.factor" Short = "3", at_least(1);
    /// The partitions of __consumer_offsets; not to be changed once it exists.
    "offsets.topic.num.partitions" Int = "50", at_least(1);
    /// The segment size of __consumer_offsets, small so that it loads and compacts quickly.
    "offsets.topic.segment.bytes" Int = "104857600", at_least(1);
    /// The number of the codec of __consumer_offsets; 0 is none.
    "offsets.topic.compression.codec" Int = "0", ignored(SMALL_BATCHES);
    /// The largest buffer the group coordinator keeps between writes.
    "group.coordinator.cached.buffer.max.bytes" Int = "1048588", at_least(524288), cluster_wide,
        ignored(WRITES);
    /// The longest text a consumer may commit beside an offset.
    "offset.metadata.max.bytes" Int = "4096";
    /// How long offsets outlive the last member or commit of their group.
    "offsets.retention.minutes" Int = "10080", at_least(1);
    /// How often expired offsets are looked for.
    "offsets.retention.check.interval.ms" Long = "600000", at_least(1);
    /// The shortest session timeout a member of a classic group may ask for.
    "group.min.session.timeout.ms" Int = "6000";
    /// The longest session timeout a member of a classic group may ask for.
    "group.max.session.timeout.ms" Int = "1800000";
    /// How long an empty classic group waits for more members before its first rebalance.
    "group.initial.rebalance.delay.ms" Int = "3000";
    /// The most members of a classic group.
    "group.max.size" Int = "2147483647", at_least(1);
    /// How long a member of a consumer group may be silent.
    "group.consumer.session.timeout.ms" Int = "45000", at_least(1);
    /// The shortest session timeout a consumer group may be given.
    "group.consumer.min.session.timeout.ms" Int = "45000", at_least(1);
    /// The longest session timeout a consumer group may be given.
    "group.consumer.max.session.timeout.ms" Int = "60000", at_least(1);
    /// How often a member of a consumer group sends a heartbeat.
    "group.consumer.heartbeat.interval.ms" Int = "5000", at_least(1);
    /// The shortest heartbeat interval a consumer group may be given.
    "group.consumer.min.heartbeat.interval.ms" Int = "5000", at_least(1);
    /// The longest heartbeat interval a consumer group may be given.
    "group.consumer.max.heartbeat.interval.ms" Int = "15000", at_least(1);
    /// The most members of a consumer group.
    "group.consumer.max.size" Int = "2147483647", at_least(1);
    /// The assignors of consumer groups, the default first.
    "group.consumer.assignors" List = "uniform,range", non_empty_list;
    /// Which moves between classic and consumer groups happen by themselves.
    "group.consumer.migration.policy" String = "bidirectional",
        valid(Valid::OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]));
    /// The shortest time between two assignments of a consumer group.
    "group.consumer.assignment.interval.ms" Int = "1000", at_least(0), cluster_wide;
    /// The shortest assignment interval a consumer group may be given.
    "group.consumer.min.assignment.interval.ms" Int = "0", at_least(0);
    /// The longest assignment interval a consumer group may be given.
    "group.consumer.max.assignment.interval.ms" Int = "15000", at_least(0);
    /// How often the topics behind a subscription by pattern are looked up anew.
    "group.consumer.regex.refresh.interval.ms" Int = "600000", at_least(10000), internal;
    /// How long a member of a share group may be silent.
    "group.share.session.timeout.ms" Int = "45000", at_least(1);
    /// The shortest session timeout a share group may be given.
    "group.share.min.session.timeout.ms" Int = "45000", at_least(1);
    /// The longest session timeout a share group may be given.
    "group.share.max.session.timeout.ms" Int = "60000", at_least(1);
    /// How often a member of a share group sends a heartbeat.
    "group.share.heartbeat.interval.ms" Int = "5000", at_least(1);
    /// The shortest heartbeat interval a share group may be given.
    "group.share.min.heartbeat.interval.ms" Int = "5000", at_least(1);
    /// The longest heartbeat interval a share group may be given.
    "group.share.max.heartbeat.interval.ms" Int = "15000", at_least(1);
    /// The most members of a share group.
    "group.share.max.size" Int = "200", between(1, 1000);
    /// The assignor of share groups; just one.
    "group.share.assignors" List = "simple", non_empty_list, ignored(ONE_ASSIGNOR);
    /// The shortest time between two assignments of a share group.
    "group.share.assignment.interval.ms" Int = "1000", at_least(0), cluster_wide;
    /// The shortest assignment interval a share group may be given.
    "group.share.min.assignment.interval.ms" Int = "0", at_least(0);
    /// The longest assignment interval a share group may be given.
    "group.share.max.assignment.interval.ms" Int = "15000", at_least(0);
    /// How long before initialising a share partition is tried again.
    "group.share.initialize.retry.interval.ms" Int = "30000", at_least(1), internal;
    /// How long a member of a streams group may be silent.
    "group.streams.session.timeout.ms" Int = "45000", at_least(1), ignored(GROUPS);
    /// The shortest session timeout a streams group may be given.
    "group.streams.min.session.timeout.ms" Int = "45000", at_least(1), ignored(GROUPS);
    /// The longest session timeout a streams group may be given.
    "group.streams.max.session.timeout.ms" Int = "60000", at_least(1), ignored(GROUPS);
    /// How often a member of a streams group sends a heartbeat.
    "group.streams.heartbeat.interval.ms" Int = "5000", at_least(1), ignored(GROUPS);
    /// The shortest heartbeat interval a streams group may be given.
    "group.streams.min.heartbeat.interval.ms" Int = "5000", at_least(1), ignored(GROUPS);
    /// The longest heartbeat interval a streams group may be given.
    "group.streams.max.heartbeat.interval.ms" Int = "15000", at_least(1), ignored(GROUPS);
    /// The most members of a streams group.
    "group.streams.max.size" Int = "2147483647", at_least(1), ignored(GROUPS);
    /// The standby copies of each task of a streams group.
    "group.streams.num.standby.replicas" Int = "0", at_least(0), ignored(GROUPS);
    /// The most standby copies a streams group may be given.
    "group.streams.max.standby.replicas" Int = "2", at_least(0), ignored(GROUPS);
    /// How long an empty streams group waits for more members before its first assignment.
    "group.streams.initial.rebalance.delay.ms" Int = "3000", at_least(0), ignored(GROUPS);
    /// The shortest time between two assignments of a streams group.
    "group.streams.assignment.interval.ms" Int = "1000", at_least(0), cluster_wide, ignored(GROUPS);
    /// The shortest assignment interval a streams group may be given.
    "group.streams.min.assignment.interval.ms" Int = "0", at_least(0), ignored(GROUPS);
    /// The longest assignment interval a streams group may be given.
    "group.streams.max.assignment.interval.ms" Int = "15000", at_least(0), ignored(GROUPS);
}
