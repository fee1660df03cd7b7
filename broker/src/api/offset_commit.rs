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
    let mut refused = OffsetCommitResponse::default();
    let mut known = Vec::new();
    for mut topic in std::mem::take(&mut request.topics) {
        if by_id {
            topic.name = groups::name_of(ctx, topic.topic_id).unwrap_or_default();
        } else {
            topic.topic_id = groups::id_of(ctx, &topic.name);
        }
        let (found, missing) = split(ctx, by_id, topic);
        known.extend(found);
        let missing = missing.into_iter().collect();
        merge(
            &mut refused,
            OffsetCommitResponse::default().with_topics(missing),
        );
    }
    // What was refused comes first; with nothing left the coordinator is not asked.
    let mut response = refused;
    if !known.is_empty() {
        request.topics = known;
        let asked = groups::ask(ctx, GroupRequest::OffsetCommit(request)).await;
        let GroupResponse::OffsetCommit(answer) = asked else {
            unreachable!("the coordinator answers in kind")
        };
        merge(&mut response, answer);
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
                && ctx
                    .check_fault(&topic.name, partition.partition_index)
                    .is_ok()
        });
    let is_unknown = found.is_err();
    let code = found
        .err()
        .unwrap_or(ErrorCode::UnknownTopicOrPartition)
        .code();
    let refused = unknown.iter().map(|partition| {
        let index = partition.partition_index;
        let fault = ctx.check_fault(&topic.name, index).err();
        OffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(fault.map_or(code, |fault| fault.code()))
    });
    let refused = OffsetCommitResponseTopic::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_partitions(refused.collect());
    topic.partitions = known;
    // A topic that is not there is named even where no partition of it is.
    let refused = (is_unknown || !refused.partitions.is_empty()).then_some(refused);
    let known = (!topic.partitions.is_empty()).then_some(topic);
    (known, refused)
}

/// Adds the coordinator's answer to what was refused before it was asked.
fn merge(response: &mut OffsetCommitResponse, answer: OffsetCommitResponse) {
    if response.topics.is_empty() {
        *response = answer;
        return;
    }
    for topic in answer.topics {
        let same = response
            .topics
            .iter_mut()
            .find(|known| known.name == topic.name && known.topic_id == topic.topic_id);
        match same {
            Some(known) => known.partitions.extend(topic.partitions),
            None => response.topics.push(topic),
        }
    }
}
