//! CreatePartitions: adds partitions to topics. The controller decides.

use protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    ctx.node
        .controller
        .create_partitions(ctx.for_controller(), request)
        .await
}
