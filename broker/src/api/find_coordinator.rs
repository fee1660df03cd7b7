//! FindCoordinator: which broker coordinates a group, a transactional id or a share partition; of
//! many keys at once since KIP-699.

use coordinator::share_state::SharePartitionKey;
use protocol::messages::find_coordinator_response::Coordinator;
use protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::{ErrorCode, StrBytes};

use super::{RequestContext, topics};
use crate::coordinators::{GROUP_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC};
use crate::internal_topics;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// A refusal, with the words that upstream adds where it does.
type Refused = (ErrorCode, Option<&'static str>);

pub(super) async fn handle(
    ctx: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if ctx.version < 4 {
        let found = find(ctx, request.key_type, &request.key).await;
        let coordinator = shape(request.key, found, "NONE");
        return FindCoordinatorResponse::default()
            .with_error_code(coordinator.error_code)
            .with_error_message(coordinator.error_message)
            .with_node_id(coordinator.node_id)
            .with_host(coordinator.host)
            .with_port(coordinator.port);
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let found = find(ctx, request.key_type, &key).await;
        coordinators.push(shape(key, found, ""));
    }
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

async fn find(
    ctx: &RequestContext,
    key_type: i8,
    key: &str,
) -> Result<topics::NodeAddress, Refused> {
    let topic = match key_type {
        GROUP => GROUP_TOPIC,
        TRANSACTION if ctx.version >= 1 => TRANSACTION_TOPIC,
        // As upstream, whatever the level of share.version.
        SHARE if ctx.version >= 6 => SHARE_STATE_TOPIC,
        _ => {
            let why = "a key's type is 0 (group), 1 (transaction, since version 1) or 2 (share, since version 6)";
            return Err((ErrorCode::InvalidRequest, Some(why)));
        }
    };
    let share_partition: Option<SharePartitionKey> = match topic {
        SHARE_STATE_TOPIC => Some(key.parse().map_err(|_| {
            let why = "a key of type 2 (share) is group:topic id:partition";
            (ErrorCode::InvalidRequest, Some(why))
        })?),
        _ => None,
    };
    let image = internal_topics::ensure(&ctx.node, topic)
        .await
        .map_err(|code| (code, None))?;
    let leader = image.topics.by_name(topic).and_then(|topic| {
        let count = topic.partition_count();
        let index = match &share_partition {
            Some(of) => of.state_partition(count),
            None => coordinator::partition_for(key, count),
        };
        topic.partition(index)?.leader
    });
    let address = leader.and_then(|leader| topics::endpoint_in(&image, ctx, leader));
    address.ok_or((ErrorCode::CoordinatorNotAvailable, None))
}

/// `fine` is the message where there is no error, which upstream words in two ways.
fn shape(
    key: StrBytes,
    found: Result<topics::NodeAddress, Refused>,
    fine: &'static str,
) -> Coordinator {
    let coordinator = Coordinator::default().with_key(key);
    match found {
        Ok((id, host, port, _)) => coordinator
            .with_node_id(id.into())
            .with_host(host)
            .with_port(port)
            .with_error_message(Some(StrBytes::from_static_str(fine))),
        Err((code, message)) => coordinator
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_static_str(message.unwrap_or_default()))),
    }
}
