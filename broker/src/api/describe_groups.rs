//! DescribeGroups: state and members of classic groups.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::{RequestContext, authorized, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut described = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let asked = groups::ask(ctx, GroupRequest::DescribeGroup(group_id)).await;
        let GroupResponse::DescribeGroup(mut group) = asked else {
            unreachable!("the coordinator answers in kind")
        };
        if request.include_authorized_operations && group.error_code == 0 {
            group.authorized_operations = authorized::GROUP_OPERATIONS;
        }
        described.push(group);
    }
    DescribeGroupsResponse::default().with_groups(described)
}
