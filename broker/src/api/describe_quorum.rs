//! DescribeQuorum: the voters of the metadata log and how far they are (KIP-595).

use protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    ctx.node
        .controller
        .describe_quorum(ctx.for_controller(), request)
        .await
}
