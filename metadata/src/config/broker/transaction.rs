//! The configs of transactions, their state and producer ids.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{HOUSEKEEPING, LOADING};

config_table! {
    pub(super) const ROWS;

    /// The in-sync replicas that writes to __transaction_state need.
    "transaction.state.log.min.isr" Int = "2", at_least(1);
    /// How many bytes are read at a time when transactions are loaded.
    "transaction.state.log.load.buffer.size" Int = "5242880", at_least(1), ignored(LOADING);
    /// The replicas of __transaction_state, or as many as there are nodes.
    "transaction.state.log.replication.factor" Short = "3", at_least(1);
    /// The partitions of __transaction_state; not to be changed once it exists.
    "transaction.state.log.num.partitions" Int = "50", at_least(1);
    /// The segment size of __transaction_state.
    "transaction.state.log.segment.bytes" Int = "104857600", at_least(1);
    /// Asks the coordinator whether a transaction is open before its records are appended.
    "transaction.partition.verification.enable" Boolean = "true", cluster_wide;
    /// How long a partition remembers an idle producer.
    "producer.id.expiration.ms" Int = "86400000", at_least(1), cluster_wide;
    /// How often idle producers are looked for.
    "producer.id.expiration.check.interval.ms" Int = "600000", at_least(1), internal, ignored(HOUSEKEEPING);
    /// How long an idle transactional id is remembered.
    "transactional.id.expiration.ms" Int = "604800000", at_least(1);
    /// The longest transaction timeout a producer may ask for.
    "transaction.max.timeout.ms" Int = "900000", at_least(1);
    /// How often transactions past their timeout are aborted.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms" Int = "10000", at_least(1);
    /// How often expired transactional ids are removed.
    "transaction.remove.expired.transaction.cleanup.interval.ms" Int = "3600000", at_least(1);
    /// Lets a producer take part in a two-phase commit.
    "transaction.two.phase.commit.enable" Boolean = "false";
}
