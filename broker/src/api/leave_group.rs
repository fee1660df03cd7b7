//! LeaveGroup: members leave before their session ends (KIP-345 for many at once).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let GroupResponse::LeaveGroup(response) =
        groups::ask(ctx, GroupRequest::LeaveGroup(request)).await
    else {
        unreachable!("the coordinator answers in kind")
    };
    response
}
