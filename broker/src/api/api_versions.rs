//! ApiVersions: what this broker serves, straight from the API table.

use protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::{ErrorCode, StrBytes};

use super::{APIS, RequestContext, telemetry};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    if ctx.version >= 3 && !is_valid_software(&request) {
        return ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
    }
    telemetry::remember_software(ctx, &request);
    let api_keys = APIS.iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(*api.advertised.start())
            .with_max_version(*api.advertised.end())
    });
    let mut response = ApiVersionsResponse::default()
        .with_api_keys(api_keys.collect())
        .with_finalized_features_epoch(ctx.image.provenance.offset.map_or(-1, |offset| offset.0));
    response.supported_features = supported_features(ctx.version);
    response.finalized_features = ctx
        .image
        .features
        .finalized()
        .map(|(name, level)| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_string(name.to_owned()))
                .with_max_version_level(level)
                .with_min_version_level(level)
        })
        .collect();
    response
}

/// KIP-584. Clients before version 4 cannot read a lowest version of 0, so such features are
/// left out for them (KAFKA-17011).
fn supported_features(version: i16) -> Vec<SupportedFeatureKey> {
    let features = controller::SUPPORTED_FEATURES.iter();
    let readable = features.filter(|feature| version >= 4 || feature.min_level > 0);
    readable
        .map(|feature| {
            SupportedFeatureKey::default()
                .with_name(StrBytes::from_static_str(feature.name))
                .with_min_version(feature.min_level)
                .with_max_version(feature.max_level)
        })
        .collect()
}

/// KIP-511: names and versions are of letters, digits, dots and dashes, and begin and end with a
/// letter or digit.
fn is_valid_software(request: &ApiVersionsRequest) -> bool {
    let is_valid = |text: &str| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        let bytes = text.as_bytes();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes
                .iter()
                .all(|byte| plain(byte) || matches!(byte, b'.' | b'-'))
    };
    is_valid(&request.client_software_name) && is_valid(&request.client_software_version)
}
