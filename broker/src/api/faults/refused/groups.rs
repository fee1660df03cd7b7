//! The answers that say nothing but an error, of the consumer group APIs.

use protocol::ErrorCode;
use protocol::messages::*;

use super::super::super::{RequestContext, consumer_group_describe};
use super::super::Faultable;

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
