//! The configs of the node's place in its cluster and of the metadata log.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{METRICS, ONE_LOG_DIR, ONE_NODE, RAFT, SECURITY, STARTUP};

config_table! {
    pub(super) const ROWS;

    /// What this process is: broker, controller or both.
    "process.roles" List, required, non_empty_list_of(&["broker", "controller"]);
    /// The number of this node in its cluster.
    "node.id" Int, required, at_least(0);
    /// How long the first registration with the controller may take.
    "initial.broker.registration.timeout.ms" Int = "60000", ignored(ONE_NODE);
    /// How often a broker tells the controller that it is alive.
    "broker.heartbeat.interval.ms" Int = "2000", ignored(ONE_NODE);
    /// How long a broker may be silent before the controller fences it.
    "broker.session.timeout.ms" Int = "9000", ignored(ONE_NODE);
    /// The listeners that controllers use; clients are not told of them.
    "controller.listener.names" List, required, non_empty_list;
    /// The SASL mechanism between nodes and controllers.
    "sasl.mechanism.controller.protocol" String = "GSSAPI", ignored(SECURITY);
    /// How often the controller reports how long its work took.
    "controller.performance.sample.period.ms" Long = "60000", at_least(100), internal,
        ignored(METRICS);
    /// From which duration on slow work of the controller is always logged.
    "controller.performance.always.log.threshold.ms" Long = "2000", at_least(0), internal,
        ignored(METRICS);
    /// How long the start may take before the process gives up.
    "server.max.startup.time.ms" Long = "9223372036854775807", at_least(0), internal,
        ignored(STARTUP);
    /// How many bytes of metadata records bring a snapshot about.
    "metadata.log.max.record.bytes.between.snapshots" Long = "20971520", at_least(1);
    /// How much time brings a snapshot of the metadata about.
    "metadata.log.max.snapshot.interval.ms" Long = "3600000", at_least(0), ignored(RAFT);
    /// The log directory of the metadata log; the first of log.dirs where it is not set.
    "metadata.log.dir" String, ignored(ONE_LOG_DIR);
    /// The largest segment file of the metadata log.
    "metadata.log.segment.bytes" Int = "1073741824", at_least(8388608), ignored(RAFT);
    /// The longest time before the metadata log begins a new segment.
    "metadata.log.segment.ms" Long = "604800000", ignored(RAFT);
    /// How much metadata log and snapshots may take before old ones go.
    "metadata.max.retention.bytes" Long = "104857600", ignored(RAFT);
    /// How long old metadata log and snapshots stay.
    "metadata.max.retention.ms" Long = "604800000", ignored(RAFT);
    /// How often an idle controller writes a record that changes nothing.
    "metadata.max.idle.interval.ms" Int = "500", at_least(0), ignored(RAFT);
    /// The segment size of the metadata log in tests.
    "internal.metadata.log.segment.bytes" Int, internal, ignored(RAFT);
    /// The largest batch of the metadata log in tests.
    "internal.metadata.max.batch.size.in.bytes" Int = "8388608", internal, ignored(RAFT);
    /// How long deleted files of the metadata log stay, in tests.
    "internal.metadata.delete.delay.millis" Long = "60000", internal, ignored(RAFT);
}
