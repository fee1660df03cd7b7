//! UpdateFeatures: sets feature levels of the cluster (KIP-584). The controller decides.

use protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::RequestContext;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    ctx.node
        .controller
        .update_features(ctx.for_controller(), request)
        .await
}
