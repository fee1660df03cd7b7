//! ShareGroupDescribe: state, epochs and members of share groups (KIP-932).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::share_group_describe_response::DescribedGroup;
use protocol::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};

use super::{RequestContext, authorized, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ShareGroupDescribeRequest,
) -> ShareGroupDescribeResponse {
    if !groups::are_share_groups_served(ctx) {
        return refused(request, ErrorCode::UnsupportedVersion);
    }
    let mut described = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let asked = groups::ask(ctx, GroupRequest::ShareGroupDescribe(group_id)).await;
        let GroupResponse::ShareGroupDescribe(mut group) = asked else {
            unreachable!("the coordinator answers in kind")
        };
        if request.include_authorized_operations && group.error_code == 0 {
            group.authorized_operations = authorized::GROUP_OPERATIONS;
        }
        described.push(group);
    }
    ShareGroupDescribeResponse::default().with_groups(described)
}

/// The same code for each group.
pub(super) fn refused(
    request: ShareGroupDescribeRequest,
    code: ErrorCode,
) -> ShareGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|group_id| {
        DescribedGroup::default()
            .with_group_id(group_id)
            .with_error_code(code.code())
    });
    ShareGroupDescribeResponse::default().with_groups(groups.collect())
}
