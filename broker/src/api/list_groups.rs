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
        let answer = match answer {
            Ok(answer) => answer,
            Err(code) => {
                // Its groups are listed by their next coordinator.
                response.error_code = code.code();
                continue;
            }
        };
        let GroupResponse::ListGroups(listed) = answer else {
            unreachable!("the coordinator answers in kind")
        };
        response.groups.extend(listed);
    }
    response
}
