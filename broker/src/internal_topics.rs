//! Topics that the broker itself needs: made when they are first asked for, as upstream does.

use std::sync::Arc;

use metadata::MetadataImage;
use metadata::config::BrokerConfig;
use protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use protocol::messages::{CreateTopicsRequest, TopicName};
use protocol::{ErrorCode, StrBytes};

use crate::api::Node;
use crate::coordinators::{GROUP_TOPIC, SHARE_STATE_TOPIC, TRANSACTION_TOPIC};

/// The metadata with the internal topic `name` in it, created where it was missing.
///
/// # Errors
/// `COORDINATOR_NOT_AVAILABLE`, which clients ask again on, when it cannot be created now.
pub(crate) async fn ensure(
    node: &Node,
    name: &'static str,
) -> Result<Arc<MetadataImage>, ErrorCode> {
    let image = node.controller.image();
    if image.topics.by_name(name).is_some() {
        return Ok(image);
    }
    let topic = definition(node, name).ok_or(ErrorCode::InvalidRequest)?;
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    let response = node
        .controller
        .create_topics(node.own_context(), request)
        .await;
    let result = response.topics.first().map(|topic| topic.error_code);
    match result.map(ErrorCode::try_from_code) {
        Some(None | Some(ErrorCode::TopicAlreadyExists)) => Ok(node.controller.image()),
        Some(Some(code)) => {
            tracing::warn!(topic = name, ?code, "could not create an internal topic");
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        None => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// How an internal topic is made: partitions and replication by its own settings.
///
/// The replication factor is clamped to the brokers there are, so that one node is enough, and the
/// in-sync replicas that are asked for to that: else every tool would warn of these topics.
pub(crate) fn definition(node: &Node, name: &str) -> Option<CreatableTopic> {
    let broker = &node.config.broker;
    let image = node.controller.image();
    let brokers = image.cluster.brokers().filter(|it| it.is_active()).count();
    let brokers = i16::try_from(brokers).unwrap_or(i16::MAX).max(1);
    let (partitions, replication_factor, settings) = match name {
        GROUP_TOPIC => (
            broker.offsets_topic_num_partitions,
            broker.offsets_topic_replication_factor,
            vec![
                ("compression.type", "producer".to_owned()),
                ("cleanup.policy", "compact".to_owned()),
                (
                    "segment.bytes",
                    broker.offsets_topic_segment_bytes.to_string(),
                ),
            ],
        ),
        TRANSACTION_TOPIC => (
            broker.transaction_state_log_num_partitions,
            broker.transaction_state_log_replication_factor,
            vec![
                ("unclean.leader.election.enable", "false".to_owned()),
                ("compression.type", "uncompressed".to_owned()),
                ("cleanup.policy", "compact".to_owned()),
                (
                    "min.insync.replicas",
                    in_sync(
                        broker.transaction_state_log_min_isr,
                        broker.transaction_state_log_replication_factor.min(brokers),
                    ),
                ),
                (
                    "segment.bytes",
                    broker.transaction_state_log_segment_bytes.to_string(),
                ),
            ],
        ),
        SHARE_STATE_TOPIC => (
            broker.share_coordinator_state_topic_num_partitions,
            broker.share_coordinator_state_topic_replication_factor,
            share_state_settings(broker, brokers),
        ),
        _ => return None,
    };
    let configs = settings.into_iter().map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(key))
            .with_value(Some(StrBytes::from_string(value)))
    });
    Some(
        CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_num_partitions(partitions)
            .with_replication_factor(replication_factor.min(brokers))
            .with_configs(configs.collect()),
    )
}

fn in_sync(wanted: impl Into<i64>, replicas: i16) -> String {
    wanted.into().min(i64::from(replicas)).to_string()
}

fn share_state_settings(broker: &BrokerConfig, brokers: i16) -> Vec<(&'static str, String)> {
    let segment_bytes = broker.share_coordinator_state_topic_segment_bytes;
    let replicas = broker.share_coordinator_state_topic_replication_factor;
    let min_isr = in_sync(
        broker.share_coordinator_state_topic_min_isr,
        replicas.min(brokers),
    );
    vec![
        ("cleanup.policy", "delete".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", segment_bytes.to_string()),
        ("min.insync.replicas", min_isr),
        ("retention.ms", "-1".to_owned()),
    ]
}
