//! The configs of leaders and followers.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{ONE_NODE, PLUG_IN, PURGATORY, TIERED_STORAGE};

config_table! {
    pub(super) const ROWS;

    /// How long a request from controller to broker may take.
    "controller.socket.timeout.ms" Int = "30000", ignored(ONE_NODE);
    /// The replicas of a partition where the creator of the topic does not say.
    "default.replication.factor" Int = "1";
    /// How long a follower may lag before it leaves the in-sync set.
    "replica.lag.time.max.ms" Long = "30000", ignored(ONE_NODE);
    /// How long a follower's request may take.
    "replica.socket.timeout.ms" Int = "30000", ignored(ONE_NODE);
    /// The receive buffer of a follower's connection to its leader.
    "replica.socket.receive.buffer.bytes" Int = "65536", ignored(ONE_NODE);
    /// The bytes a follower asks for in one partition.
    "replica.fetch.max.bytes" Int = "1048576", at_least(0), ignored(ONE_NODE);
    /// How long a leader may hold a follower's fetch.
    "replica.fetch.wait.max.ms" Int = "500", ignored(ONE_NODE);
    /// How long a follower waits after a fetch failed.
    "replica.fetch.backoff.ms" Int = "1000", at_least(0), ignored(ONE_NODE);
    /// The bytes a follower's fetch waits for.
    "replica.fetch.min.bytes" Int = "1", ignored(ONE_NODE);
    /// The bytes a follower asks for in one answer.
    "replica.fetch.response.max.bytes" Int = "10485760", at_least(0), ignored(ONE_NODE);
    /// The threads that fetch from each leader.
    "num.replica.fetchers" Int = "1", at_least(1), cluster_wide, ignored(ONE_NODE);
    /// How often high watermarks are written to disk.
    "replica.high.watermark.checkpoint.interval.ms" Long = "5000";
    /// How many finished fetches may lie among the waiting ones.
    "fetch.purgatory.purge.interval.requests" Int = "1000", ignored(PURGATORY);
    /// How many finished produces may lie among the waiting ones.
    "producer.purgatory.purge.interval.requests" Int = "1000", ignored(PURGATORY);
    /// How many finished DeleteRecords may lie among the waiting ones.
    "delete.records.purgatory.purge.interval.requests" Int = "1", ignored(PURGATORY);
    /// Gives leadership back to preferred replicas from time to time.
    "auto.leader.rebalance.enable" Boolean = "true", ignored(ONE_NODE);
    /// How often leadership is given back to preferred replicas.
    "leader.imbalance.check.interval.seconds" Long = "300", at_least(1), ignored(ONE_NODE);
    /// How often partitions without a leader are looked at for an unclean election.
    "unclean.leader.election.interval.ms" Long = "300000", at_least(1), internal, ignored(ONE_NODE);
    /// Lets a replica that lags become leader when no other is left, at the price of records.
    "unclean.leader.election.enable" Boolean = "false", cluster_wide, ignored(ONE_NODE);
    /// The security protocol between brokers where inter.broker.listener.name is not set.
    "security.inter.broker.protocol" String = "PLAINTEXT",
        one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]);
    /// The listener through which brokers talk to each other.
    "inter.broker.listener.name" String;
    /// The class that sends a consumer to the nearest replica.
    "replica.selector.class" String, ignored(PLUG_IN);
    /// Lets a new follower skip what is stored remotely.
    "follower.fetch.last.tiered.offset.enable" Boolean = "false", cluster_wide,
        ignored(TIERED_STORAGE);
}
