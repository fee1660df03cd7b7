//! AlterShareGroupOffsets: moves a share group without members in partitions (KIP-932).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use protocol::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};

use super::{RequestContext, groups, share_states};

pub(super) async fn handle(
    ctx: &RequestContext,
    mut request: AlterShareGroupOffsetsRequest,
) -> AlterShareGroupOffsetsResponse {
    if !groups::are_share_groups_served(ctx) {
        return refused(ErrorCode::UnsupportedVersion);
    }
    let mut answered = Vec::new();
    for mut topic in std::mem::take(&mut request.topics) {
        let refused = take_refused(ctx, &mut topic);
        let is_known = ctx.image.topics.by_name(&topic.topic_name).is_some();
        let is_left = !topic.partitions.is_empty() || refused.is_empty();
        if !refused.is_empty() {
            let refused = AlterShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic.topic_name.clone())
                .with_partitions(refused);
            merge(&mut answered, refused);
        }
        if is_known && is_left {
            request.topics.push(topic);
        }
    }
    // The coordinator is asked even when nothing is left: it knows whether the group may be altered.
    let asked = GroupRequest::AlterShareGroupOffsets(request);
    let GroupResponse::AlterShareGroupOffsets(response) = groups::ask(ctx, asked).await else {
        unreachable!("the coordinator answers in kind")
    };
    if response.error_code != 0 {
        return response;
    }
    for topic in response.responses {
        merge(&mut answered, topic);
    }
    for topic in &mut answered {
        topic.topic_id = groups::id_of(ctx, &topic.topic_name);
    }
    AlterShareGroupOffsetsResponse::default().with_responses(answered)
}

/// The same code for all.
pub(super) fn refused(code: ErrorCode) -> AlterShareGroupOffsetsResponse {
    AlterShareGroupOffsetsResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(share_states::words(code)))
}

/// Takes the partitions out of a topic for which the coordinator is not asked: all of a topic that
/// is not there, and those that rules make fail.
fn take_refused(
    ctx: &RequestContext,
    topic: &mut AlterShareGroupOffsetsRequestTopic,
) -> Vec<AlterShareGroupOffsetsResponsePartition> {
    let is_known = ctx.image.topics.by_name(&topic.topic_name).is_some();
    let mut refused = Vec::new();
    topic.partitions.retain(|partition| {
        let index = partition.partition_index;
        let outcome = if is_known {
            ctx.check_fault(&topic.topic_name, index)
        } else {
            Err(ErrorCode::UnknownTopicOrPartition)
        };
        if let Err(code) = outcome {
            let answer = AlterShareGroupOffsetsResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code.code())
                .with_error_message(Some(share_states::words(code)));
            refused.push(answer);
        }
        outcome.is_ok()
    });
    refused
}

/// A topic that was named twice is answered once.
fn merge(
    answered: &mut Vec<AlterShareGroupOffsetsResponseTopic>,
    topic: AlterShareGroupOffsetsResponseTopic,
) {
    let mut topics = answered.iter_mut();
    match topics.find(|known| known.topic_name == topic.topic_name) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => answered.push(topic),
    }
}
