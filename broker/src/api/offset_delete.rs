//! OffsetDelete: removes committed offsets of topics no longer subscribed (KIP-496).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{RequestContext, groups};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    match groups::ask(ctx, GroupRequest::OffsetDelete(request)).await {
        GroupResponse::OffsetDelete(response) => response,
        other => unreachable!("OffsetDelete was answered {other:?}"),
    }
}
