//! OffsetCommit: a group, or a consumer without one, remembers how far it got.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{RequestContext, groups, topics};

pub(super) async fn handle(
    ctx: &RequestContext,
    mut request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let by_id = ctx.version >= 10;
    let mut refused = Vec::new();
    let mut known = Vec::new();
    for mut topic in std::mem::take(&mut request.topics) {
        if by_id {
            topic.name = groups::name_of(ctx, topic.topic_id).unwrap_or_default();
        } else {
            topic.topic_id = groups::id_of(ctx, &topic.name);
        }
        let (found, missing) = split(ctx, by_id, topic);
        known.extend(found);
        refused.extend(missing);
    }
    if known.is_empty() && !refused.is_empty() {
        return OffsetCommitResponse::default().with_topics(refused);
    }
    request.topics = known;
    let mut response = match groups::ask(ctx, GroupRequest::OffsetCommit(request)).await {
        GroupResponse::OffsetCommit(response) => response,
        other => unreachable!("OffsetCommit was answered {other:?}"),
    };
    for topic in refused {
        merge(&mut response, topic);
    }
    if by_id {
        response
            .topics
            .iter_mut()
            .for_each(|topic| topic.name = Default::default());
    }
    response
}

/// Parts a topic into partitions that exist, for the coordinator, and those that do not.
fn split(
    ctx: &RequestContext,
    by_id: bool,
    mut topic: OffsetCommitRequestTopic,
) -> (
    Option<OffsetCommitRequestTopic>,
    Option<OffsetCommitResponseTopic>,
) {
    let found = topics::find(&ctx.image, by_id, &topic.name, topic.topic_id);
    let (known, unknown): (Vec<_>, Vec<_>) = std::mem::take(&mut topic.partitions)
        .into_iter()
        .partition(|partition| {
            found
                .as_ref()
                .is_ok_and(|found| found.partition(partition.partition_index).is_ok())
        });
    let code = found
        .err()
        .unwrap_or(ErrorCode::UnknownTopicOrPartition)
        .code();
    let refused = unknown.iter().map(|partition| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(code)
    });
    let refused = OffsetCommitResponseTopic::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_partitions(refused.collect());
    topic.partitions = known;
    let refused = (!refused.partitions.is_empty()).then_some(refused);
    // A topic without partitions is repeated in the answer as it came.
    let known = (!topic.partitions.is_empty() || refused.is_none()).then_some(topic);
    (known, refused)
}

fn merge(response: &mut OffsetCommitResponse, refused: OffsetCommitResponseTopic) {
    let same = response
        .topics
        .iter_mut()
        .find(|topic| topic.name == refused.name && topic.topic_id == refused.topic_id);
    match same {
        Some(topic) => topic.partitions.extend(refused.partitions),
        None => response.topics.push(refused),
    }
}
