//! SyncGroup: the leader hands in the assignment, members fetch their part.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
    let GroupResponse::SyncGroup(response) =
        groups::ask(ctx, GroupRequest::SyncGroup(request)).await
    else {
        unreachable!("the coordinator answers in kind")
    };
    response
}
