//! LeaveGroup: members leave before their session ends (KIP-345 for many at once).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
    match groups::ask(ctx, GroupRequest::LeaveGroup(request)).await {
        GroupResponse::LeaveGroup(response) => response,
        other => unreachable!("LeaveGroup was answered {other:?}"),
    }
}
