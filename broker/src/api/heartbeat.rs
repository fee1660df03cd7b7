//! Heartbeat: a member is alive, and learns of a rebalance.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
    let GroupResponse::Heartbeat(response) =
        groups::ask(ctx, GroupRequest::Heartbeat(request)).await
    else {
        unreachable!("the coordinator answers in kind")
    };
    response
}
