//! ElectLeaders: has partitions led by their preferred, or by any, replica. The controller decides.

use protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    ctx.node
        .controller
        .elect_leaders(ctx.for_controller(), request)
        .await
}
