//! DescribeQuorum: the voters of the metadata log and how far they are (KIP-595).

use protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let context = ctx.for_controller();
    let response = ctx.node.controller.describe_quorum(context, request).await;
    if ctx.version < 2 {
        // KIP-853 came with version 2.
        return response.with_nodes(Vec::new());
    }
    response
}
