//! The answers that say nothing but an error, of the APIs that hand records out and take them back.

use std::sync::Arc;

use coordinator::share::session::ShareSessionKey;
use protocol::ErrorCode;
use protocol::messages::*;

use crate::api::faults::{Faultable, topics};
use crate::api::respond::ShareFetchReply;
use crate::api::{RequestContext, share_fetch};
use crate::faults::Topics;

impl Faultable for ShareFetchRequest {
    type Answer = ShareFetchReply;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ShareFetchReply {
        ShareFetchReply::from(share_fetch::refused(code))
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        let named = self.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|it| (topic.topic_id, it.partition_index))
        });
        let key = ShareSessionKey {
            group_id: Arc::from(self.group_id.as_ref().map_or("", |id| id.as_str())),
            member_id: Arc::from(self.member_id.as_deref().unwrap_or("")),
        };
        let known = ctx.node.shares.session_partitions(&key);
        let known = known.into_iter().map(|named| named.partition);
        let known = known.map(|of| (of.topic_id.0, of.partition));
        let all = named.chain(known);
        topics::by_name_or_id(ctx, all.map(|(id, index)| (Arc::from(""), id, [index])))
    }
}

impl Faultable for ShareAcknowledgeRequest {
    type Answer = ShareAcknowledgeResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ShareAcknowledgeResponse {
        ShareAcknowledgeResponse::default().with_error_code(code.code())
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        let all = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (Arc::from(""), topic.topic_id, partitions)
        });
        topics::by_name_or_id(ctx, all)
    }
}
