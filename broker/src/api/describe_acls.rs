//! DescribeAcls: there is no authorizer to ask.

use protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use protocol::{ErrorCode, StrBytes};

use super::RequestContext;
use super::acls::Checked;

pub(super) async fn handle(
    _: &RequestContext,
    request: DescribeAclsRequest,
) -> Checked<DescribeAclsResponse> {
    let codes = [
        request.resource_type_filter,
        request.pattern_type_filter,
        request.operation,
        request.permission_type,
    ];
    let message = StrBytes::from_static_str("No Authorizer is configured on the broker");
    let answer = DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(message));
    Checked::new(codes.into_iter(), answer)
}
