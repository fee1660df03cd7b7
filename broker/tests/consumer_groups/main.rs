//! Consumer groups of KIP-848 over real sockets: who has what, in which epoch, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod controls;
mod crash;
mod hostile;
mod members;
mod migration;
mod topics;

use serde_json::{Value, json};
use support::{Node, Start};

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("klamm.topics", "t:4")
        .with("offsets.topic.num.partitions", 3)
        .with("group.initial.rebalance.delay.ms", 0)
        .with("group.consumer.assignment.interval.ms", 0)
}

/// A node with the topic `t` of four partitions.
fn node(folder: &tempfile::TempDir) -> Node {
    start(folder).ready()
}

fn advance(node: &Node, ms: i64) -> Value {
    let body = json!({"advance_ms": ms});
    node.http().post("/v1/clock", &body).ok()
}

fn nobody_complained(node: Node) {
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}
