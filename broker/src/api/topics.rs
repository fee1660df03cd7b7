//! Topics as requests name them: by name, or by id since KIP-516.

use metadata::{MetadataImage, TopicImage};
use protocol::{ErrorCode, LeaderEpoch, StrBytes, TopicId, TopicPartition};
use uuid::Uuid;

use super::RequestContext;

/// Topics that only coordinators write to.
pub(super) const INTERNAL_TOPICS: [&str; 3] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// A topic that exists.
#[derive(Clone, Copy)]
pub(super) struct Topic<'a>(&'a TopicImage);

/// Finds a topic by its id, or by its name.
///
/// # Errors
/// `UNKNOWN_TOPIC_ID` or `UNKNOWN_TOPIC_OR_PARTITION`.
pub(super) fn find<'a>(
    image: &'a MetadataImage,
    by_id: bool,
    name: &str,
    id: Uuid,
) -> Result<Topic<'a>, ErrorCode> {
    let (found, otherwise) = if by_id {
        (image.topics.by_id(TopicId(id)), ErrorCode::UnknownTopicId)
    } else {
        (
            image.topics.by_name(name),
            ErrorCode::UnknownTopicOrPartition,
        )
    };
    found.map(|topic| Topic(topic)).ok_or(otherwise)
}

impl Topic<'_> {
    pub(super) fn is_internal(&self) -> bool {
        is_internal(&self.0.name)
    }

    /// The partition of that index.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION` when the topic has fewer.
    pub(super) fn partition(&self, index: i32) -> Result<TopicPartition, ErrorCode> {
        self.0
            .partition(index)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(TopicPartition {
            topic: self.0.name.clone(),
            partition: index,
        })
    }

    /// The leader of a partition and its epoch.
    pub(super) fn leader(&self, index: i32) -> Option<(i32, LeaderEpoch)> {
        let partition = self.0.partition(index)?;
        Some((partition.leader?, partition.leader_epoch))
    }
}

/// Id, host, port and rack of a broker, as reached by the listener of this request.
pub(super) type NodeAddress = (i32, StrBytes, i32, Option<StrBytes>);

pub(super) fn endpoint(ctx: &RequestContext, broker: i32) -> Option<NodeAddress> {
    endpoint_in(&ctx.image, ctx, broker)
}

/// As `endpoint`, for a request that changed the metadata on its way.
pub(super) fn endpoint_in(
    image: &MetadataImage,
    ctx: &RequestContext,
    broker: i32,
) -> Option<NodeAddress> {
    let broker = image
        .cluster
        .broker(broker)
        .filter(|broker| !broker.fenced)?;
    let address = image.endpoint(broker, &ctx.peer.listener)?;
    let rack = broker.rack.clone().map(StrBytes::from_string);
    Some((
        broker.id,
        StrBytes::from_string(address.host.to_owned()),
        address.port.into(),
        rack,
    ))
}
