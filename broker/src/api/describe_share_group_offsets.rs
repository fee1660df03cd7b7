//! DescribeShareGroupOffsets: how far share groups are in partitions (KIP-932).

use std::sync::Arc;

use coordinator::group::{DescribedOffsets, GroupRequest, GroupResponse};
use protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
};
use protocol::messages::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse, GroupId,
};
use protocol::{ErrorCode, TopicId, TopicPartition};

use super::{RequestContext, groups, share_states};
use crate::coordinators::{ClusterView, share_groups};
use crate::replica::Isolation;

/// Stands where there is no start offset, and where there is no lag.
const NONE: i64 = -1;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeShareGroupOffsetsRequest,
) -> DescribeShareGroupOffsetsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let group_id = group.group_id.clone();
        let described = describe(ctx, group).await;
        groups.push(described.unwrap_or_else(|refused| refused.of(group_id)));
    }
    DescribeShareGroupOffsetsResponse::default().with_groups(groups)
}

/// Why there is nothing of a group, and whether the code's words are said, too.
struct Refused {
    code: ErrorCode,
    has_words: bool,
}

impl Refused {
    fn of(self, group_id: GroupId) -> DescribeShareGroupOffsetsResponseGroup {
        let words = self.has_words.then(|| share_states::words(self.code));
        DescribeShareGroupOffsetsResponseGroup::default()
            .with_group_id(group_id)
            .with_error_code(self.code.code())
            .with_error_message(words)
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Refused {
        let has_words = true;
        Refused { code, has_words }
    }
}

async fn describe(
    ctx: &RequestContext,
    group: DescribeShareGroupOffsetsRequestGroup,
) -> Result<DescribeShareGroupOffsetsResponseGroup, Refused> {
    if !groups::are_share_groups_served(ctx) {
        return Err(Refused {
            code: ErrorCode::UnsupportedVersion,
            has_words: false,
        });
    }
    let group_id = group.group_id;
    let view = ClusterView::new(ctx.node.config.clone(), ctx.image.clone());
    let described = match group.topics {
        Some(topics) => {
            check_topics(ctx, &group_id, &topics)?;
            DescribedOffsets::of_topics(group_id.clone(), &topics, &view)
        }
        None => {
            let asked = GroupRequest::SharePartitions(group_id.clone());
            let GroupResponse::SharePartitions(partitions) = groups::ask(ctx, asked).await else {
                unreachable!("the coordinator answers in kind")
            };
            DescribedOffsets::of_group(group_id.clone(), partitions?, &view)
        }
    };
    let places = described.places().collect();
    let summaries = share_groups::summaries(&ctx.node, &group_id, places).await;
    let mut answer = described.answer(&summaries, |topic_id, index| end_of(ctx, topic_id, index));
    add_faults(ctx, &mut answer);
    Ok(answer)
}

/// What is asked of topics that are there is asked of the share coordinator, which can be asked of
/// no such things. Upstream answers UNKNOWN_SERVER_ERROR.
fn check_topics(
    ctx: &RequestContext,
    group_id: &str,
    topics: &[DescribeShareGroupOffsetsRequestTopic],
) -> Result<(), ErrorCode> {
    let is_there = |name: &str| ctx.image.topics.by_name(name).is_some();
    let mut known = topics.iter().filter(|topic| is_there(&topic.topic_name));
    let cannot_be_asked = known.any(|topic| {
        let partitions = &topic.partitions;
        group_id.is_empty() || partitions.is_empty() || partitions.iter().any(|index| *index < 0)
    });
    if cannot_be_asked {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

/// Where consumers see a partition end.
fn end_of(ctx: &RequestContext, topic_id: TopicId, index: i32) -> Result<i64, ErrorCode> {
    let topic = ctx.image.topics.by_id(topic_id);
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = TopicPartition::new(Arc::clone(&topic.name), index);
    let partition = ctx.node.replicas.partition(&partition)?;
    Ok(partition.read_limit(Isolation::ReadUncommitted).0)
}

/// Puts errors that rules ask for in the place of offsets.
fn add_faults(ctx: &RequestContext, group: &mut DescribeShareGroupOffsetsResponseGroup) {
    for topic in &mut group.topics {
        for partition in &mut topic.partitions {
            let index = partition.partition_index;
            if let Err(code) = ctx.check_fault(&topic.topic_name, index) {
                *partition = DescribeShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(index)
                    .with_start_offset(NONE)
                    .with_lag(NONE)
                    .with_error_code(code.code())
                    .with_error_message(Some(share_states::words(code)));
            }
        }
    }
}
