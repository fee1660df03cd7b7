//! ConsumerGroupHeartbeat: a member of a consumer group joins, goes on or leaves (KIP-848).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if !groups::are_consumer_groups_served(ctx) {
        return ConsumerGroupHeartbeatResponse::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let asked = GroupRequest::ConsumerGroupHeartbeat(request);
    let GroupResponse::ConsumerGroupHeartbeat(response) = groups::ask(ctx, asked).await else {
        unreachable!("the coordinator answers in kind")
    };
    response
}
