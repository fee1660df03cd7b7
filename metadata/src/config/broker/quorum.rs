//! The configs of the quorum of controllers.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{ONE_NODE, RAFT};
use super::super::valid::Valid;

config_table! {
    pub(super) const ROWS;

    /// The voters of the quorum, as id@host:port.
    "controller.quorum.voters" List = "", valid(Valid::QuorumVoters);
    /// Where nodes find the quorum, as host:port.
    "controller.quorum.bootstrap.servers" List = "", valid(Valid::QuorumBootstrapServers), ignored(ONE_NODE);
    /// How long a voter waits for a leader before it stands for election.
    "controller.quorum.election.timeout.ms" Int = "1000", at_least(0), ignored(RAFT);
    /// How long a voter may fail to fetch from the leader before an election.
    "controller.quorum.fetch.timeout.ms" Int = "2000", at_least(0), ignored(RAFT);
    /// The longest wait before a failed election is tried again.
    "controller.quorum.election.backoff.max.ms" Int = "1000", at_least(0), ignored(RAFT);
    /// How long the leader gathers writes before it syncs them.
    "controller.quorum.append.linger.ms" Int = "25", at_least(0), ignored(RAFT);
    /// How long a request within the quorum may take.
    "controller.quorum.request.timeout.ms" Int = "2000", at_least(0), ignored(RAFT);
    /// How long a request within the quorum waits before it is tried again.
    "controller.quorum.retry.backoff.ms" Int = "20", at_least(0), ignored(RAFT);
    /// Lets a controller join the voters by itself.
    "controller.quorum.auto.join.enable" Boolean = "false", ignored(RAFT);
    /// The bytes of a snapshot that one answer brings.
    "controller.quorum.fetch.snapshot.max.bytes" Int = "1048576", at_least(1), ignored(RAFT);
    /// The bytes of the metadata log that one answer brings.
    "controller.quorum.fetch.max.bytes" Int = "1048576", at_least(1), ignored(RAFT);
}
