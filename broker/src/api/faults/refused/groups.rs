//! The answers that say nothing but an error, of the APIs of consumer and share groups.

use protocol::ErrorCode;
use protocol::messages::*;

use super::super::super::{
    RequestContext, alter_share_group_offsets, consumer_group_describe, delete_share_group_offsets,
    share_group_describe,
};
use super::super::{Faultable, topics};
use super::message;
use crate::faults::Topics;

impl Faultable for ConsumerGroupHeartbeatRequest {
    type Answer = ConsumerGroupHeartbeatResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
        ConsumerGroupHeartbeatResponse::default().with_error_code(code.code())
    }
}

impl Faultable for ConsumerGroupDescribeRequest {
    type Answer = ConsumerGroupDescribeResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ConsumerGroupDescribeResponse {
        consumer_group_describe::refused(self, code)
    }
}

impl Faultable for ShareGroupHeartbeatRequest {
    type Answer = ShareGroupHeartbeatResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ShareGroupHeartbeatResponse {
        ShareGroupHeartbeatResponse::default().with_error_code(code.code())
    }
}

impl Faultable for ShareGroupDescribeRequest {
    type Answer = ShareGroupDescribeResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ShareGroupDescribeResponse {
        share_group_describe::refused(self, code)
    }
}

impl Faultable for DescribeShareGroupOffsetsRequest {
    type Answer = DescribeShareGroupOffsetsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DescribeShareGroupOffsetsResponse {
        use describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
        let groups = self.groups.into_iter().map(|group| {
            DescribeShareGroupOffsetsResponseGroup::default()
                .with_group_id(group.group_id)
                .with_error_code(code.code())
                .with_error_message(message(code))
        });
        DescribeShareGroupOffsetsResponse::default().with_groups(groups.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        if self.groups.iter().any(|group| group.topics.is_none()) {
            return Topics::All;
        }
        let groups = self.groups.iter();
        let topics = groups.flat_map(|group| group.topics.iter().flatten());
        topics::named(topics.map(|topic| (&topic.topic_name, topic.partitions.iter().copied())))
    }
}

impl Faultable for AlterShareGroupOffsetsRequest {
    type Answer = AlterShareGroupOffsetsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> AlterShareGroupOffsetsResponse {
        alter_share_group_offsets::refused(code)
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::named(self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (&topic.topic_name, partitions)
        }))
    }
}

impl Faultable for DeleteShareGroupOffsetsRequest {
    type Answer = DeleteShareGroupOffsetsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DeleteShareGroupOffsetsResponse {
        delete_share_group_offsets::refused(code)
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::whole(self.topics.iter().map(|topic| topic.topic_name.as_str()))
    }
}
