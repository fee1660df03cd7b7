//! ListPartitionReassignments: the partitions whose replicas are being changed.

use protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ctx.node
        .controller
        .list_partition_reassignments(ctx.for_controller(), request)
        .await
}
