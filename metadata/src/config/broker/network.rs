//! The configs of listeners, connections and requests.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{ASYNC_RUNTIME, AUTOTUNING, QUOTAS, SECURITY};
use super::super::valid::Valid;

config_table! {
    pub(super) const ROWS;

    /// Where the node listens: NAME://host:port, where an empty host means every interface.
    "listeners" List = "PLAINTEXT://:9092", valid(Valid::Listeners { null: false }), per_broker;
    /// The addresses that clients are told, where they differ from listeners.
    "advertised.listeners" List, valid(Valid::Listeners { null: true });
    /// Which security protocol each listener name stands for.
    "listener.security.protocol.map" String =
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", per_broker;
    /// The send buffer of a client's socket; -1 leaves it to the system.
    "socket.send.buffer.bytes" Int = "102400", ignored(AUTOTUNING);
    /// The receive buffer of a client's socket; -1 leaves it to the system.
    "socket.receive.buffer.bytes" Int = "102400", ignored(AUTOTUNING);
    /// The largest request taken; a larger one closes the connection.
    "socket.request.max.bytes" Int = "104857600", at_least(1);
    /// How many connections may wait to be accepted.
    "socket.listen.backlog.size" Int = "50", at_least(1);
    /// How many connections one address may hold.
    "max.connections.per.ip" Int = "2147483647", at_least(0), cluster_wide;
    /// Other limits for single addresses or host names, as host:limit.
    "max.connections.per.ip.overrides" String = "", cluster_wide, ignored(QUOTAS);
    /// How many connections the broker, or a listener, may hold.
    "max.connections" Int = "2147483647", at_least(0), cluster_wide;
    /// How many connections a second the broker, or a listener, may accept.
    "max.connection.creation.rate" Int = "2147483647", at_least(0), cluster_wide, ignored(QUOTAS);
    /// How long a connection may be idle before it is closed.
    "connections.max.idle.ms" Long = "600000";
    /// How long a refused login waits before its connection closes.
    "connection.failed.authentication.delay.ms" Int = "100", at_least(0), ignored(SECURITY);
    /// How many requests may queue for the threads that handle them.
    "queued.max.requests" Int = "500", at_least(1), ignored(ASYNC_RUNTIME);
    /// How many bytes of requests may be in flight at once; -1 sets no limit.
    "queued.max.request.bytes" Long = "-1";
    /// The threads that read requests and write answers.
    "num.network.threads" Int = "3", at_least(1), cluster_wide, ignored(ASYNC_RUNTIME);
}
