//! ListGroups: the groups coordinated here, by state and type.

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(ctx: &RequestContext, request: ListGroupsRequest) -> ListGroupsResponse {
    let asked = GroupRequest::ListGroups {
        states: request.states_filter,
        types: request.types_filter,
    };
    let mut response = ListGroupsResponse::default();
    for answer in ctx.node.groups.ask_all(&groups::meta(ctx), &asked).await {
        match answer {
            Ok(GroupResponse::ListGroups(listed)) => response.groups.extend(listed),
            Ok(other) => unreachable!("ListGroups was answered {other:?}"),
            // Its groups are listed by their next coordinator.
            Err(code) => response.error_code = code.code(),
        }
    }
    response
}
