//! ElectLeaders: has partitions led by their preferred, or by any, replica. The controller
//! decides.

use protocol::error_code::NONE;
use protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let context = ctx.for_controller();
    let response = ctx.node.controller.elect_leaders(context, request).await;
    if ctx.version == 0 {
        // Without a code for the whole: each partition has its own.
        return response.with_error_code(NONE);
    }
    response
}
