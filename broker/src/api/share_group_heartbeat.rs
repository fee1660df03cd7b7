//! ShareGroupHeartbeat: a member of a share group joins, goes on or leaves (KIP-932).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    if !groups::are_share_groups_served(ctx) {
        return ShareGroupHeartbeatResponse::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let asked = GroupRequest::ShareGroupHeartbeat(request);
    let GroupResponse::ShareGroupHeartbeat(response) = groups::ask(ctx, asked).await else {
        unreachable!("the coordinator answers in kind")
    };
    response
}
