//! ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::consumer_group_describe_response::DescribedGroup;
use protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId};

use super::{RequestContext, authorized, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    if !groups::are_consumer_groups_served(ctx) {
        return refused(request, ErrorCode::UnsupportedVersion);
    }
    let mut described = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        if group_id.is_empty() {
            described.push(of_error(group_id, ErrorCode::InvalidGroupId));
            continue;
        }
        let asked = groups::ask(ctx, GroupRequest::ConsumerGroupDescribe(group_id)).await;
        let GroupResponse::ConsumerGroupDescribe(mut group) = asked else {
            unreachable!("the coordinator answers in kind")
        };
        if request.include_authorized_operations && group.error_code == 0 {
            group.authorized_operations = authorized::GROUP_OPERATIONS;
        }
        described.push(group);
    }
    ConsumerGroupDescribeResponse::default().with_groups(described)
}

/// The same code for each group.
pub(super) fn refused(
    request: ConsumerGroupDescribeRequest,
    code: ErrorCode,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter();
    let groups = groups.map(|group_id| of_error(group_id, code));
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn of_error(group_id: GroupId, code: ErrorCode) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(group_id)
        .with_error_code(code.code())
}
