//! JoinGroup: a member enters its group, or comes back for the next generation.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: JoinGroupRequest) -> JoinGroupResponse {
    let GroupResponse::JoinGroup(response) =
        groups::ask(ctx, GroupRequest::JoinGroup(request)).await
    else {
        unreachable!("the coordinator answers in kind")
    };
    response
}
