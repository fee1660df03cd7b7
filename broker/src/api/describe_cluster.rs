//! DescribeCluster: the brokers and who controls them (KIP-700, KIP-919, KIP-1073).

use protocol::messages::describe_cluster_response::DescribeClusterBroker;
use protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};
use protocol::{ErrorCode, StrBytes};

use super::authorized::{CLUSTER_OPERATIONS, NOT_ASKED};
use super::{RequestContext, describe};

/// Kinds of endpoints that a request may be meant for.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    if let Err((code, message)) = check_endpoint_type(request.endpoint_type) {
        // Version 0 came before the kinds, and so before their codes.
        let code = if ctx.version == 0 {
            ErrorCode::InvalidRequest
        } else {
            code
        };
        return DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(message)));
    }
    let nodes = describe::nodes(&ctx.peer.listener, &ctx.image);
    let shown = nodes.filter(|node| !node.fenced || request.include_fenced_brokers);
    let brokers: Vec<DescribeClusterBroker> = shown
        .map(|node| {
            DescribeClusterBroker::default()
                .with_broker_id(BrokerId(node.id))
                .with_host(node.host)
                .with_port(node.port)
                .with_rack(node.rack)
                .with_is_fenced(node.fenced && ctx.version >= 2)
        })
        .collect();
    let controller = describe::controller_id(ctx, &ctx.image)
        .filter(|id| brokers.iter().any(|broker| broker.broker_id.0 == *id));
    let operations = if request.include_cluster_authorized_operations {
        CLUSTER_OPERATIONS
    } else {
        NOT_ASKED
    };
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(ctx.node.cluster_id.clone())
        .with_controller_id(BrokerId(controller.unwrap_or(-1)))
        .with_brokers(brokers)
        .with_cluster_authorized_operations(operations)
}

fn check_endpoint_type(endpoint_type: i8) -> Result<(), (ErrorCode, String)> {
    match endpoint_type {
        BROKERS => Ok(()),
        CONTROLLERS => Err((
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
             type CONTROLLER"
                .to_owned(),
        )),
        unknown => Err((
            ErrorCode::UnsupportedEndpointType,
            format!("Unsupported endpoint type {unknown}"),
        )),
    }
}
