//! The configs of replication quotas, which can only be set at run time.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::QUOTAS;

config_table! {
    pub(super) const ROWS;

    /// The rate limit of what a leader sends for throttled replicas.
    "leader.replication.throttled.rate" Long = "9223372036854775807", at_least(0), cluster_wide,
        ignored(QUOTAS);
    /// The rate limit of what a follower fetches for throttled replicas.
    "follower.replication.throttled.rate" Long = "9223372036854775807", at_least(0), cluster_wide,
        ignored(QUOTAS);
    /// The rate limit of moves between log directories.
    "replica.alter.log.dirs.io.max.bytes.per.second" Long = "9223372036854775807", at_least(0),
        cluster_wide, ignored(QUOTAS);
}
