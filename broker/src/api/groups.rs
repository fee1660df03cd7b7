//! What the group APIs share: the way to the coordinator, and topic names beside topic ids.

use std::sync::Arc;

use coordinator::RequestMeta;
use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::TopicName;
use protocol::{StrBytes, TopicId};
use uuid::Uuid;

use super::RequestContext;
use crate::coordinators::GROUP_TOPIC;

pub(super) fn meta(ctx: &RequestContext) -> RequestMeta {
    RequestMeta {
        api_version: ctx.version,
        client_id: Arc::from(ctx.client_id()),
        client_host: Arc::from(format!("/{}", ctx.peer.address.ip().to_canonical())),
    }
}

/// Asks the coordinator of the group that `request` names.
pub(super) async fn ask(ctx: &RequestContext, request: GroupRequest) -> GroupResponse {
    let partitions = ctx
        .image
        .topics
        .by_name(GROUP_TOPIC)
        .map(|topic| topic.partition_count());
    ctx.node.groups.ask(meta(ctx), request, partitions).await
}

/// Whether consumer groups are served: the cluster's feature level has them, and so does
/// `group.coordinator.rebalance.protocols`.
pub(super) fn are_consumer_groups_served(ctx: &RequestContext) -> bool {
    let mut protocols = ctx
        .node
        .config
        .broker
        .group_coordinator_rebalance_protocols
        .iter();
    ctx.image.features.level(controller::GROUP_VERSION) >= 1
        && protocols.any(|protocol| protocol.eq_ignore_ascii_case("consumer"))
}

/// Whether share groups are served: the cluster's feature level has them.
pub(super) fn are_share_groups_served(ctx: &RequestContext) -> bool {
    ctx.image.features.level(controller::SHARE_VERSION) >= 1
}

/// The name of a topic that is known by id, if it exists.
pub(super) fn name_of(ctx: &RequestContext, id: Uuid) -> Option<TopicName> {
    let topic = ctx.image.topics.by_id(TopicId(id))?;
    Some(TopicName(StrBytes::from_string(topic.name.to_string())))
}

/// The id of a topic that is known by name; the zero id where there is none.
pub(super) fn id_of(ctx: &RequestContext, name: &str) -> Uuid {
    ctx.image
        .topics
        .by_name(name)
        .map_or(Uuid::nil(), |topic| topic.id.0)
}
