//! CreateAcls: there is no authorizer to keep them.

use protocol::ErrorCode;
use protocol::messages::create_acls_response::AclCreationResult;
use protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::RequestContext;
use super::acls::{Checked, no_authorizer};

pub(super) async fn handle(
    _: &RequestContext,
    request: CreateAclsRequest,
) -> Checked<CreateAclsResponse> {
    let codes = request.creations.iter().flat_map(|creation| {
        [
            creation.resource_type,
            creation.resource_pattern_type,
            creation.operation,
            creation.permission_type,
        ]
    });
    let refused = AclCreationResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(no_authorizer());
    let results = vec![refused; request.creations.len()];
    Checked::new(codes, CreateAclsResponse::default().with_results(results))
}
