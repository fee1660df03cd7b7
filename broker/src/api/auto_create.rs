//! Creation of topics on first use (`auto.create.topics.enable`).
//!
//! Invariant: what is not in the image returned could not be created; the reason is logged here.

use std::sync::Arc;

use metadata::MetadataImage;
use protocol::ErrorCode;
use protocol::messages::create_topics_request::CreatableTopic;
use protocol::messages::{CreateTopicsRequest, TopicName};
use tracing::info;

use super::{RequestContext, topics};
use crate::internal_topics;

/// How long a client is kept waiting for its topics, where the controller waits for room on the
/// disk. It asks again on what is answered then.
const TIMEOUT_MS: i32 = 5_000;

/// The metadata with those of `names` in it that did not exist and could be created.
pub(super) async fn missing(ctx: &RequestContext, names: &[TopicName]) -> Arc<MetadataImage> {
    let missing = names.iter().filter(|name| {
        ctx.image.topics.by_name(name).is_none()
            && controller::topic_name::validate(name).is_ok()
            && ctx.check_fault(name, None).is_ok()
    });
    let topics: Vec<CreatableTopic> = missing.filter_map(|name| definition(ctx, name)).collect();
    if topics.is_empty() {
        return ctx.image.clone();
    }
    let request = CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(TIMEOUT_MS);
    let response = ctx
        .node
        .controller
        .create_topics(ctx.for_controller(), request)
        .await;
    for topic in &response.topics {
        match ErrorCode::try_from_code(topic.error_code) {
            // Another client was quicker.
            None | Some(ErrorCode::TopicAlreadyExists) => {}
            Some(code) => {
                let message = topic.error_message.as_deref().unwrap_or_default();
                info!(topic = %topic.name.0, ?code, message, "auto topic creation failed");
            }
        }
    }
    ctx.node.controller.image()
}

/// A topic by the controller's defaults, an internal one by its own settings; `None` for an
/// internal one that no coordinator here serves yet: made wrongly it would stay so.
fn definition(ctx: &RequestContext, name: &TopicName) -> Option<CreatableTopic> {
    if topics::is_internal(name) {
        return internal_topics::definition(&ctx.node, name);
    }
    // -1 leaves it to the controller: `num.partitions`, `default.replication.factor`.
    let topic = CreatableTopic::default().with_name(name.clone());
    Some(topic.with_num_partitions(-1).with_replication_factor(-1))
}
