//! OffsetFetch: what groups committed; of many groups at once since KIP-709.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if ctx.version < 8 {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(request.group_id)
            .with_topics(
                request
                    .topics
                    .map(|topics| topics.into_iter().map(into_many).collect()),
            );
        return into_one(ask(ctx, group, request.require_stable).await);
    }
    let mut answered = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        answered.push(ask(ctx, group, request.require_stable).await);
    }
    OffsetFetchResponse::default().with_groups(answered)
}

async fn ask(
    ctx: &RequestContext,
    mut group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let by_id = ctx.version >= 10;
    let mut unknown = Vec::new();
    if by_id && let Some(topics) = group.topics.take() {
        let mut known = Vec::with_capacity(topics.len());
        for mut topic in topics {
            match groups::name_of(ctx, topic.topic_id) {
                Some(name) => {
                    topic.name = name;
                    known.push(topic);
                }
                None => unknown.push(unknown_topic(&topic)),
            }
        }
        group.topics = Some(known);
    }
    let request = GroupRequest::OffsetFetch {
        group,
        require_stable,
    };
    let GroupResponse::OffsetFetch(mut response) = groups::ask(ctx, request).await else {
        unreachable!("the coordinator answers in kind")
    };
    add_faults(ctx, &mut response);
    if by_id {
        for topic in &mut response.topics {
            if topic.topic_id.is_nil() {
                topic.topic_id = groups::id_of(ctx, &topic.name);
            }
            topic.name = Default::default();
        }
        // Offsets of a topic that is gone have no id to be told by.
        response.topics.retain(|topic| !topic.topic_id.is_nil());
        if response.error_code == 0 {
            response.topics.extend(unknown);
        }
    }
    response
}

/// Puts errors that rules ask for in the place of offsets.
fn add_faults(ctx: &RequestContext, response: &mut OffsetFetchResponseGroup) {
    for topic in &mut response.topics {
        for partition in &mut topic.partitions {
            let index = partition.partition_index;
            if let Err(code) = ctx.check_fault(&topic.name, index) {
                *partition = OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(-1)
                    .with_committed_leader_epoch(-1)
                    .with_metadata(Some(Default::default()))
                    .with_error_code(code.code());
            }
        }
    }
}

fn unknown_topic(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|index| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(Default::default()))
            .with_error_code(ErrorCode::UnknownTopicId.code())
    });
    OffsetFetchResponseTopics::default()
        .with_topic_id(topic.topic_id)
        .with_partitions(partitions.collect())
}

fn into_many(
    topic: protocol::messages::offset_fetch_request::OffsetFetchRequestTopic,
) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics::default()
        .with_name(topic.name)
        .with_partition_indexes(topic.partition_indexes)
}

/// Up to version 7 an answer is of one group.
fn into_one(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let topics = group.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_committed_offset(partition.committed_offset)
                .with_committed_leader_epoch(partition.committed_leader_epoch)
                .with_metadata(partition.metadata)
                .with_error_code(partition.error_code)
        });
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default()
        .with_error_code(group.error_code)
        .with_topics(topics.collect())
}
