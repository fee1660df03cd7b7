//! IncrementalAlterConfigs: sets, deletes, appends to and subtracts from single configs (KIP-339).
//! The controller decides; the loggers of this broker are changed on the way.

use protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    ctx.node
        .controller
        .incremental_alter_configs(ctx.for_controller(), request)
        .await
}
