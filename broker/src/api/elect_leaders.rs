//! ElectLeaders: has partitions led by their preferred, or by any, replica. The controller decides.

use protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let controller = &ctx.node.controller;
    let mut response = controller
        .elect_leaders(ctx.for_controller(), request)
        .await;
    if ctx.version == 0 {
        // Only the partitions have codes there.
        response.error_code = 0;
    }
    response
}
