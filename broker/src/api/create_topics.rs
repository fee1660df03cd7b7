//! CreateTopics: creates topics, or says whether they could be. The controller decides.

use protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    ctx.node
        .controller
        .create_topics(ctx.for_controller(), request)
        .await
}
