//! SaslHandshake: out of place on a listener without SASL.

use protocol::ErrorCode;
use protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::RequestContext;

pub(super) async fn handle(_: &RequestContext, _: SaslHandshakeRequest) -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ErrorCode::IllegalSaslState.code())
}
