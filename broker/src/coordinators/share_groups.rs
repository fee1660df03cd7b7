//! Asks the share coordinator for what the groups command, and tells them what it answered.
//!
//! Invariant: the commands are carried out one after the other, so that state is never deleted after
//! it was initialized anew; each is answered.

use std::sync::Arc;

use coordinator::RequestMeta;
use coordinator::group::{GroupCommand, GroupRequest};
use tokio_util::sync::CancellationToken;

use super::groups::GROUP_TOPIC;
use crate::api::Node;

/// Carries the commands of all shards out until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let Some(mut commands) = node.groups.take_commands() else {
        return;
    };
    loop {
        let command = tokio::select! {
            () = stop.cancelled() => return,
            command = commands.recv() => command,
        };
        let Some(command) = command else { return };
        tokio::select! {
            () = stop.cancelled() => return,
            () = carry_out(&node, command) => {}
        }
    }
}

async fn carry_out(node: &Arc<Node>, command: GroupCommand) {
    // Nobody keeps state of share partitions here yet.
    let change = command.answered(Vec::new());
    let meta = RequestMeta {
        api_version: 0,
        client_id: Arc::from(""),
        client_host: Arc::from(""),
    };
    let image = node.controller.image();
    let topic = image.topics.by_name(GROUP_TOPIC);
    let partitions = topic.map(|topic| topic.partition_count());
    let request = GroupRequest::ShareStateChanged(change);
    node.groups.ask(meta, request, partitions).await;
}
