//! GetTelemetrySubscriptions: which of its metrics a client is to push, and how often (KIP-714).

use protocol::StrBytes;
use protocol::messages::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};

use super::{RequestContext, telemetry};
use crate::telemetry::ACCEPTED_COMPRESSION;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let response = GetTelemetrySubscriptionsResponse::default();
    let node = &ctx.node.telemetry;
    let (id, subscription) =
        match node.subscribe(request.client_instance_id, &telemetry::client(ctx)) {
            Ok(subscribed) => subscribed,
            Err(refused) => return response.with_error_code(refused.code()),
        };
    let prefixes = subscription.metrics.iter();
    let codecs = ACCEPTED_COMPRESSION.into_iter();
    response
        .with_client_instance_id(id)
        .with_subscription_id(subscription.id)
        .with_accepted_compression_types(codecs.map(|it| it.id() as i8).collect())
        .with_push_interval_ms(subscription.interval_ms)
        .with_telemetry_max_bytes(node.max_bytes())
        .with_delta_temporality(true)
        .with_requested_metrics(prefixes.cloned().map(StrBytes::from_string).collect())
}
