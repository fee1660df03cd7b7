//! The configs of asking whether a transaction is open.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;

config_table! {
    pub(super) const ROWS;

    /// The longest wait before a partition is added to a transaction again.
    "add.partitions.to.txn.retry.backoff.max.ms" Int = "100", at_least(0);
    /// The first wait before a partition is added to a transaction again.
    "add.partitions.to.txn.retry.backoff.ms" Int = "20", at_least(1);
}
