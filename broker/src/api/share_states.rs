//! What the APIs of share state share: the way to the coordinator, and the shape of an answer.
//!
//! Invariant: a request is cut into one per share partition, and the answer has upstream's order.

use std::sync::Arc;

use coordinator::share_state::{
    SharePartitionKey, ShareStateRequest, ShareStateResponse, answer_order,
};
use protocol::{ErrorCode, Offset, StrBytes, TopicId};
use uuid::Uuid;

use super::{RequestContext, groups};
use crate::coordinators::SHARE_STATE_TOPIC;

/// Stands where no offset is known.
const NO_OFFSET: i64 = -1;

/// A topic of a request: what is asked of each of its partitions.
pub(super) struct Asked {
    pub(super) topic_id: Uuid,
    pub(super) requests: Vec<ShareStateRequest>,
}

/// A topic of an answer.
pub(super) struct Answered {
    pub(super) topic_id: Uuid,
    pub(super) partitions: Vec<(i32, Outcome)>,
}

pub(super) type Outcome = Result<ShareStateResponse, Refused>;

/// Why a share partition is refused.
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: StrBytes,
}

/// Asks of each share partition. As upstream, nothing is answered where there is no group, or a
/// topic without partitions. `what` is the end of "Unable to ...".
pub(super) async fn ask(
    ctx: &RequestContext,
    group_id: &str,
    topics: Vec<Asked>,
    what: &str,
) -> Vec<Answered> {
    if group_id.is_empty() || topics.iter().any(|topic| topic.requests.is_empty()) {
        return Vec::new();
    }
    let places: Vec<(TopicId, Vec<i32>)> = topics.iter().map(places).collect();
    let requests = topics.into_iter().flat_map(|topic| topic.requests);
    let mut outcomes = ask_each(ctx, requests.collect(), what).await.into_iter();
    let mut outcomes: Vec<Vec<Option<Outcome>>> = places
        .iter()
        .map(|(_, partitions)| outcomes.by_ref().take(partitions.len()).map(Some).collect())
        .collect();
    let order = answer_order(places.iter().map(|(id, partitions)| (*id, &**partitions)));
    let answered = order.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().filter_map(|it| {
            let of_topic = outcomes.get_mut(it.topic_index)?;
            let outcome = of_topic.get_mut(it.partition_index)?.take()?;
            Some((it.partition, outcome))
        });
        Answered {
            topic_id: topic.topic_id.0,
            partitions: partitions.collect(),
        }
    });
    answered.collect()
}

fn places(topic: &Asked) -> (TopicId, Vec<i32>) {
    let keys = topic.requests.iter().filter_map(ShareStateRequest::key);
    (
        TopicId(topic.topic_id),
        keys.map(|key| key.partition).collect(),
    )
}

async fn ask_each(
    ctx: &RequestContext,
    requests: Vec<ShareStateRequest>,
    what: &str,
) -> Vec<Outcome> {
    let partitions = ctx
        .image
        .topics
        .by_name(SHARE_STATE_TOPIC)
        .map(|topic| topic.partition_count());
    let faults: Vec<_> = requests.iter().map(|it| check_fault(ctx, it)).collect();
    let (wanted, faults): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .zip(faults)
        .map(|(request, fault)| match fault {
            Ok(()) => (Some(request), None),
            Err(code) => (None, Some(code)),
        })
        .unzip();
    let wanted = wanted.into_iter().flatten().collect();
    let shards = &ctx.node.share_states;
    let answers = shards
        .ask_each(&groups::meta(ctx), wanted, partitions)
        .await;
    let mut answers = answers.into_iter();
    let outcomes = faults.into_iter().filter_map(|fault| match fault {
        Some(code) => Some(Err(Refused::of(code, what))),
        None => answers.next().map(|answer| outcome(answer, what)),
    });
    outcomes.collect()
}

fn check_fault(ctx: &RequestContext, request: &ShareStateRequest) -> Result<(), ErrorCode> {
    let Some(key) = request.key() else {
        return Ok(());
    };
    match ctx.image.topics.by_id(key.topic_id) {
        Some(topic) => ctx.check_fault(&topic.name, key.partition),
        None => Ok(()),
    }
}

fn outcome(answer: Result<ShareStateResponse, ErrorCode>, what: &str) -> Outcome {
    match answer {
        Ok(ShareStateResponse::Refused { code, message }) => {
            let message = message.map_or_else(|| words(code), StrBytes::from_static_str);
            Err(Refused { code, message })
        }
        Ok(response) => Ok(response),
        Err(code) => Err(Refused::of(code, what)),
    }
}

/// What an error code means.
pub(super) fn words(code: ErrorCode) -> StrBytes {
    // Kafka's enum is not ours: the other codes speak for themselves.
    #[allow(clippy::wildcard_enum_match_arm)]
    let words = match code {
        ErrorCode::FencedLeaderEpoch => {
            "The leader epoch in the request is older than the epoch on the broker."
        }
        ErrorCode::FencedStateEpoch => {
            "The share coordinator rejected the request because the share-group state epoch did \
             not match."
        }
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnsupportedVersion => "The version of API is not supported.",
        ErrorCode::UnknownServerError => {
            "The server experienced an unexpected error when processing the request."
        }
        ErrorCode::CoordinatorLoadInProgress => {
            "The coordinator is loading and hence can't process requests."
        }
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        other => return StrBytes::from_string(other.to_string()),
    };
    StrBytes::from_static_str(words)
}

impl Refused {
    /// It failed as a whole.
    fn of(code: ErrorCode, what: &str) -> Refused {
        Refused {
            code,
            message: StrBytes::from_string(format!("Unable to {what}: {}", &*words(code))),
        }
    }
}

pub(super) fn key(group_id: &str, topic_id: Uuid, partition: i32) -> SharePartitionKey {
    SharePartitionKey {
        group_id: Arc::from(group_id),
        topic_id: TopicId(topic_id),
        partition,
    }
}

pub(super) fn some_offset(offset: i64) -> Option<Offset> {
    (offset != NO_OFFSET).then_some(Offset(offset))
}

pub(super) fn offset_or_none(offset: Option<Offset>) -> i64 {
    offset.map_or(NO_OFFSET, |offset| offset.0)
}
