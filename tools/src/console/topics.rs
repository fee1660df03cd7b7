//! What the cluster says of topics: their partitions and who leads them.
//!
//! Invariant: a topic that is asked for by name is created where the brokers create topics by themselves,
//! as Java's producers and consumers have it.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::StrBytes;
use protocol::messages::metadata_request::MetadataRequestTopic;
use protocol::messages::{MetadataRequest, TopicName};
use uuid::Uuid;

use crate::client::{Client, Target};
use crate::failure::Failure;

/// The newest version of Metadata that is spoken.
const METADATA_NEWEST: i16 = 13;

/// One topic as a broker described it.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) id: Uuid,
    /// Why there is no more to know of it.
    pub(super) failure: Option<Failure>,
    pub(super) is_internal: bool,
    /// The leader of each partition, where there is one.
    pub(super) leaders: BTreeMap<i32, Option<i32>>,
}

pub(super) type Topics = BTreeMap<String, Topic>;

/// Asks for these topics, or for all.
pub(super) async fn ask(
    client: &Client,
    names: Option<&[String]>,
    creates: bool,
    wait: Duration,
) -> Result<Topics, Failure> {
    let topic = |name: &String| {
        MetadataRequestTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
    };
    let answer = client
        .ask(Target::Any, METADATA_NEWEST, wait, |_| {
            MetadataRequest::default()
                .with_topics(names.map(|names| names.iter().map(topic).collect()))
                .with_allow_auto_topic_creation(creates)
        })
        .await?;
    let topics = answer.topics.into_iter().filter_map(|row| {
        let leaders = row.partitions.iter().map(|partition| {
            let leader = Some(partition.leader_id.0).filter(|id| *id >= 0);
            (partition.partition_index, leader)
        });
        let topic = Topic {
            id: row.topic_id,
            failure: Failure::from_answer(row.error_code, None),
            is_internal: row.is_internal,
            leaders: leaders.collect(),
        };
        Some((row.name?.to_string(), topic))
    });
    Ok(topics.collect())
}

/// What Java's clients say of a name that brokers refuse.
pub(super) fn invalid_topic(name: &str) -> Failure {
    Failure::of(
        protocol::ErrorCode::InvalidTopicException,
        Some(&format!("Invalid topics: [{name}]")),
    )
}
