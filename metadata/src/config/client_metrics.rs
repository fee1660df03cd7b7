//! The configs of client metrics subscriptions.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::def::config_table;
use super::ignored::METRICS;

config_table! {
    pub(in crate::config) const ROWS;

    /// The prefixes of the metrics that clients push; * is all of them.
    "metrics" List = "", any_list, cluster_wide, ignored(METRICS);
    /// How often clients push their metrics.
    "interval.ms" Int = "300000", cluster_wide, ignored(METRICS);
    /// Which clients the subscription is for, as name=pattern.
    "match" List = "", any_list, cluster_wide, ignored(METRICS);
}
