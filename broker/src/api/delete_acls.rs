//! DeleteAcls: there is no authorizer that keeps any.

use protocol::ErrorCode;
use protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::RequestContext;
use super::acls::{Checked, no_authorizer};

pub(super) async fn handle(
    _: &RequestContext,
    request: DeleteAclsRequest,
) -> Checked<DeleteAclsResponse> {
    let codes = request.filters.iter().flat_map(|filter| {
        [
            filter.resource_type_filter,
            filter.pattern_type_filter,
            filter.operation,
            filter.permission_type,
        ]
    });
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(no_authorizer());
    let results = vec![refused; request.filters.len()];
    Checked::new(
        codes,
        DeleteAclsResponse::default().with_filter_results(results),
    )
}
