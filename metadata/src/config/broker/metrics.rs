//! The configs of metrics and of measuring quotas.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{METRICS, PLUG_IN, QUOTAS};

config_table! {
    pub(super) const ROWS;

    /// The samples a metric is computed from.
    "metrics.num.samples" Int = "2", at_least(1), ignored(METRICS);
    /// The length of one sample of a metric.
    "metrics.sample.window.ms" Long = "30000", at_least(1), ignored(METRICS);
    /// The classes that report metrics.
    "metric.reporters" List = "org.apache.kafka.common.metrics.JmxReporter", any_list, cluster_wide,
        ignored(PLUG_IN);
    /// The lowest level of metrics that are recorded.
    "metrics.recording.level" String = "INFO", ignored(METRICS);
    /// The classes that report the older metrics.
    "kafka.metrics.reporters" List = "", any_list, ignored(PLUG_IN);
    /// How often the older metrics are reported.
    "kafka.metrics.polling.interval.secs" Int = "10", at_least(1), ignored(METRICS);
    /// The largest metrics push taken from a client.
    "telemetry.max.bytes" Int = "1048576", at_least(1);
    /// The samples over which clients' quotas are measured.
    "quota.window.num" Int = "11", at_least(1), ignored(QUOTAS);
    /// The samples over which replication quotas are measured.
    "replication.quota.window.num" Int = "11", at_least(1), ignored(QUOTAS);
    /// The samples over which the quota of moves between log directories is measured.
    "alter.log.dirs.replication.quota.window.num" Int = "11", at_least(1), ignored(QUOTAS);
    /// The samples over which quotas of cluster changes are measured.
    "controller.quota.window.num" Int = "11", at_least(1), ignored(QUOTAS);
    /// The length of one sample of clients' quotas.
    "quota.window.size.seconds" Int = "1", at_least(1), ignored(QUOTAS);
    /// The length of one sample of replication quotas.
    "replication.quota.window.size.seconds" Int = "1", at_least(1), ignored(QUOTAS);
    /// The length of one sample of the quota of moves between log directories.
    "alter.log.dirs.replication.quota.window.size.seconds" Int = "1", at_least(1), ignored(QUOTAS);
    /// The length of one sample of quotas of cluster changes.
    "controller.quota.window.size.seconds" Int = "1", at_least(1), ignored(QUOTAS);
    /// The class that decides on clients' quotas.
    "client.quota.callback.class" Class, ignored(PLUG_IN);
}
