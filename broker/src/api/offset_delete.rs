//! OffsetDelete: removes committed offsets of topics no longer subscribed (KIP-496).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    mut request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let mut refused = Vec::new();
    for mut topic in std::mem::take(&mut request.topics) {
        refused = merge(refused, take_unknown(ctx, &mut topic).into_iter().collect());
        if !topic.partitions.is_empty() {
            request.topics.push(topic);
        }
    }
    // The coordinator is asked even when nothing is left: it knows whether the group exists.
    let asked = groups::ask(ctx, GroupRequest::OffsetDelete(request)).await;
    let GroupResponse::OffsetDelete(answer) = asked else {
        unreachable!("the coordinator answers in kind")
    };
    if answer.error_code != 0 || refused.is_empty() {
        return answer;
    }
    OffsetDeleteResponse::default().with_topics(merge(refused, answer.topics))
}

/// Takes the partitions that do not exist out of a topic.
fn take_unknown(
    ctx: &RequestContext,
    topic: &mut OffsetDeleteRequestTopic,
) -> Option<OffsetDeleteResponseTopic> {
    let found = ctx.image.topics.by_name(&topic.name);
    let exists = |index| found.is_some_and(|found| found.partition(index).is_some());
    let (known, unknown) = std::mem::take(&mut topic.partitions)
        .into_iter()
        .partition::<Vec<_>, _>(|partition| exists(partition.partition_index));
    topic.partitions = known;
    let refused = unknown.iter().map(|partition| {
        OffsetDeleteResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
    });
    let refused = OffsetDeleteResponseTopic::default()
        .with_name(topic.name.clone())
        .with_partitions(refused.collect());
    // A topic that is not there is named even where no partition of it is.
    (found.is_none() || !refused.partitions.is_empty()).then_some(refused)
}

/// Adds the coordinator's answer to what was refused before it was asked.
fn merge(
    mut topics: Vec<OffsetDeleteResponseTopic>,
    answered: Vec<OffsetDeleteResponseTopic>,
) -> Vec<OffsetDeleteResponseTopic> {
    for topic in answered {
        match topics.iter_mut().find(|known| known.name == topic.name) {
            Some(known) => known.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
    topics
}
