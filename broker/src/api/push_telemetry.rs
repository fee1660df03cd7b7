//! PushTelemetry: takes a client's metrics, which then stand in `/metrics` (KIP-714).

use protocol::messages::{PushTelemetryRequest, PushTelemetryResponse};

use super::{RequestContext, telemetry};
use crate::telemetry::Push;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: PushTelemetryRequest,
) -> PushTelemetryResponse {
    let push = Push {
        instance: request.client_instance_id,
        subscription_id: request.subscription_id,
        terminating: request.terminating,
        compression: request.compression_type,
        metrics: request.metrics,
    };
    let pushed = ctx.node.telemetry.push(&push, &telemetry::client(ctx));
    PushTelemetryResponse::default().with_error_code(pushed.err().map_or(0, |error| error.code()))
}
