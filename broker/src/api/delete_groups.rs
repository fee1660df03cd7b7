//! DeleteGroups: removes groups without members, with their offsets.

use std::collections::HashSet;

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    let mut named = HashSet::new();
    for group_id in request.groups_names {
        if !named.insert(group_id.clone()) {
            continue;
        }
        let asked = groups::ask(ctx, GroupRequest::DeleteGroup(group_id)).await;
        let GroupResponse::DeleteGroup(result) = asked else {
            unreachable!("the coordinator answers in kind")
        };
        results.push(result);
    }
    DeleteGroupsResponse::default().with_results(results)
}
