//! DeleteTopics: deletes topics by name or by id. The controller decides.

use protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    ctx.node
        .controller
        .delete_topics(ctx.for_controller(), request)
        .await
}
