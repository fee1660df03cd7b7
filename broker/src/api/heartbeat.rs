//! Heartbeat: a member is alive, and learns of a rebalance.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
    match groups::ask(ctx, GroupRequest::Heartbeat(request)).await {
        GroupResponse::Heartbeat(response) => response,
        other => unreachable!("Heartbeat was answered {other:?}"),
    }
}
