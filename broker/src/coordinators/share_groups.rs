//! Asks the share coordinator for what the groups command, and tells them what it answered.
//!
//! Invariant: the commands are carried out one after the other, so that state is never deleted after
//! it was initialized anew; each is answered, but those of shards that were held meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coordinator::RequestMeta;
use coordinator::group::SharePartitionSummary;
use coordinator::share_state::{SharePartitionKey, ShareStateRequest, ShareStateResponse};
use protocol::{ErrorCode, TopicId};
use tokio_util::sync::CancellationToken;

use super::groups::Commanded;
use super::share_state::SHARE_STATE_TOPIC;
use crate::api::Node;
use crate::internal_topics;

/// How often a share coordinator that cannot answer now is asked, and the wait before it is asked
/// again.
const ATTEMPTS: usize = 5;
const BACKOFF: Duration = Duration::from_millis(100);

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

async fn carry_out(node: &Arc<Node>, commanded: Commanded) {
    let _alone = node.groups.no_commands().await;
    if node.groups.is_current(&commanded) {
        let answers = ask_patiently(node, commanded.command.requests()).await;
        node.groups.carried_out(&commanded, answers).await;
    }
}

/// What the share coordinator has of these share partitions.
pub(crate) async fn summaries(
    node: &Arc<Node>,
    group_id: &str,
    places: Vec<(TopicId, i32)>,
) -> BTreeMap<(TopicId, i32), SharePartitionSummary> {
    if partitions_of(node, SHARE_STATE_TOPIC).is_none() {
        // There is nothing yet, and to look need not make the topic.
        return BTreeMap::new();
    }
    let group_id: Arc<str> = Arc::from(group_id);
    let requests = places.iter().map(|(topic_id, partition)| {
        let key = SharePartitionKey {
            group_id: group_id.clone(),
            topic_id: *topic_id,
            partition: *partition,
        };
        ShareStateRequest::ReadSummary { key }
    });
    let answers = ask_patiently(node, requests.collect()).await;
    let known = places.into_iter().zip(answers);
    let summaries = known.filter_map(|(place, answer)| match answer {
        Ok(ShareStateResponse::Summary {
            leader_epoch,
            start_offset,
            delivery_complete_count,
            ..
        }) => {
            let summary = SharePartitionSummary {
                start_offset: start_offset.map(|offset| offset.0),
                leader_epoch: leader_epoch.0,
                delivery_complete_count,
            };
            Some((place, summary))
        }
        Ok(
            ShareStateResponse::Refused { .. }
            | ShareStateResponse::Done
            | ShareStateResponse::Read { .. },
        )
        | Err(_) => None,
    });
    summaries.collect()
}

/// Asks the share coordinator, and waits a while where it cannot answer yet. The answers are in the
/// order of the requests.
async fn ask_patiently(
    node: &Arc<Node>,
    requests: Vec<ShareStateRequest>,
) -> Vec<Result<ShareStateResponse, ErrorCode>> {
    if requests.is_empty() {
        return Vec::new();
    }
    let mut answers = ask(node, requests.clone()).await;
    for attempt in 1..ATTEMPTS {
        if !answers.iter().any(may_come_right) {
            break;
        }
        tokio::time::sleep(BACKOFF * (1 << attempt)).await;
        // What went well may be asked for again.
        answers = ask(node, requests.clone()).await;
    }
    answers
}

async fn ask(
    node: &Arc<Node>,
    requests: Vec<ShareStateRequest>,
) -> Vec<Result<ShareStateResponse, ErrorCode>> {
    if let Err(code) = internal_topics::ensure(node, SHARE_STATE_TOPIC).await {
        return vec![Err(code); requests.len()];
    }
    let partitions = partitions_of(node, SHARE_STATE_TOPIC);
    let states = &node.share_states;
    states.ask_each(&own_meta(), requests, partitions).await
}

/// Whether it is worth asking again.
fn may_come_right(answer: &Result<ShareStateResponse, ErrorCode>) -> bool {
    let code = match answer {
        Ok(ShareStateResponse::Refused { code, .. }) | Err(code) => *code,
        Ok(
            ShareStateResponse::Done
            | ShareStateResponse::Read { .. }
            | ShareStateResponse::Summary { .. },
        ) => return false,
    };
    matches!(
        code,
        ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::NotCoordinator
    )
}

fn partitions_of(node: &Node, topic: &str) -> Option<i32> {
    let image = node.controller.image();
    let topic = image.topics.by_name(topic);
    topic.map(|topic| topic.partition_count())
}

/// Of what this node asks itself.
fn own_meta() -> RequestMeta {
    RequestMeta {
        api_version: 0,
        client_id: Arc::from(""),
        client_host: Arc::from(""),
    }
}
