//! AlterConfigs: replaces all that is set of a topic, broker, group or client metrics
//! subscription. The controller decides.

use protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    ctx.node
        .controller
        .alter_configs(ctx.for_controller(), request)
        .await
}
