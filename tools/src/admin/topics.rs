//! Topics: which there are, what they look like, making, growing and deleting them.
//!
//! Invariant: of several topics, the failure of the first that failed is reported.

mod describe;

use std::collections::BTreeMap;

use protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    ListPartitionReassignmentsRequest, MetadataRequest, create_partitions_request,
    create_topics_request, delete_topics_request, list_partition_reassignments_request,
};
use protocol::{ErrorCode, TopicId};

pub use describe::{Partition, Topic, by_id, by_name};

use super::{TIMEOUT_MS, text, topic_name};
use crate::client::{Client, Target};
use crate::failure::Failure;

/// The topics that brokers keep for themselves.
const INTERNAL: &[&str] = &[
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

/// The first version of DeleteTopics that takes ids as well as names.
const DELETE_BY_STATE: i16 = 6;

/// Whether brokers keep the topic for themselves.
#[must_use]
pub fn is_internal(topic: &str) -> bool {
    INTERNAL.contains(&topic)
}

/// All topics with their ids, by name.
pub async fn list(client: &Client) -> Result<BTreeMap<String, TopicId>, Failure> {
    let all = |_| {
        Ok(MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false))
    };
    client
        .call("listTopics", Target::Any, all, |answer| {
            let topics = answer.topics.into_iter();
            Ok(topics
                .filter_map(|topic| Some((topic.name?.to_string(), TopicId(topic.topic_id))))
                .collect())
        })
        .await
}

/// A topic that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// The replicas of each partition, instead of the two numbers.
    pub assignment: Vec<Vec<i32>>,
    pub configs: BTreeMap<String, String>,
}

/// Makes a topic.
pub async fn create(client: &Client, topic: &NewTopic) -> Result<(), Failure> {
    check_name(&topic.name)?;
    let request = CreateTopicsRequest::default()
        .with_topics(vec![creatable(topic)])
        .with_timeout_ms(TIMEOUT_MS);
    client
        .call(
            "createTopics",
            Target::Controller,
            |_| Ok(request.clone()),
            |answer| {
                first_failure(
                    answer
                        .topics
                        .iter()
                        .map(|row| (row.error_code, row.error_message.as_deref())),
                )
            },
        )
        .await
}

fn creatable(topic: &NewTopic) -> create_topics_request::CreatableTopic {
    let assignments = topic.assignment.iter().enumerate().map(|(at, brokers)| {
        create_topics_request::CreatableReplicaAssignment::default()
            .with_partition_index(at as i32)
            .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
    });
    let configs = topic.configs.iter().map(|(name, value)| {
        create_topics_request::CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    // -1 stands for the broker's default, and for none where there is an assignment.
    create_topics_request::CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.unwrap_or(-1))
        .with_assignments(assignments.collect())
        .with_configs(configs.collect())
}

/// Topics that are to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    pub topic: String,
    pub count: i32,
    /// The replicas of each new partition; the cluster chooses where there are none.
    pub assignment: Option<Vec<Vec<i32>>>,
}

/// Adds partitions to topics.
pub async fn create_partitions(client: &Client, topics: &[NewPartitions]) -> Result<(), Failure> {
    let rows = topics.iter().map(|topic| {
        let assignments = topic.assignment.as_ref().map(|partitions| {
            let rows = partitions.iter().map(|brokers| {
                create_partitions_request::CreatePartitionsAssignment::default()
                    .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
            });
            rows.collect()
        });
        create_partitions_request::CreatePartitionsTopic::default()
            .with_name(topic_name(&topic.topic))
            .with_count(topic.count)
            .with_assignments(assignments)
    });
    let request = CreatePartitionsRequest::default()
        .with_topics(rows.collect())
        .with_timeout_ms(TIMEOUT_MS);
    client
        .call(
            "createPartitions",
            Target::Controller,
            |_| Ok(request.clone()),
            |answer| {
                first_failure(
                    answer
                        .results
                        .iter()
                        .map(|row| (row.error_code, row.error_message.as_deref())),
                )
            },
        )
        .await
}

/// Deletes topics.
pub async fn delete(client: &Client, names: &[String]) -> Result<(), Failure> {
    let build = |version| {
        let request = DeleteTopicsRequest::default().with_timeout_ms(TIMEOUT_MS);
        let names = names.iter().map(|name| topic_name(name));
        Ok(if version < DELETE_BY_STATE {
            request.with_topic_names(names.collect())
        } else {
            let by_name =
                |name| delete_topics_request::DeleteTopicState::default().with_name(Some(name));
            request.with_topics(names.map(by_name).collect())
        })
    };
    client
        .call("deleteTopics", Target::Controller, build, |answer| {
            first_failure(
                answer
                    .responses
                    .iter()
                    .map(|row| (row.error_code, row.error_message.as_deref())),
            )
        })
        .await
}

/// A move of a partition to other replicas that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

/// The moves under way among these partitions; none where the cluster may not or cannot say.
pub async fn reassignments(
    client: &Client,
    partitions: &BTreeMap<String, Vec<i32>>,
) -> Result<BTreeMap<(String, i32), Reassignment>, Failure> {
    let topics = partitions.iter().map(|(topic, partitions)| {
        list_partition_reassignments_request::ListPartitionReassignmentsTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(partitions.clone())
    });
    let request = ListPartitionReassignmentsRequest::default()
        .with_topics(Some(topics.collect()))
        .with_timeout_ms(TIMEOUT_MS);
    let answer = client
        .call(
            "listPartitionReassignments",
            Target::Controller,
            |_| Ok(request.clone()),
            |answer| match Failure::from_answer(answer.error_code, answer.error_message.as_deref())
            {
                Some(failure) => Err(failure),
                None => Ok(answer),
            },
        )
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure)
            if failure.is(ErrorCode::UnsupportedVersion)
                || failure.is(ErrorCode::ClusterAuthorizationFailed) =>
        {
            return Ok(BTreeMap::new());
        }
        Err(failure) => return Err(failure),
    };
    let ids = |ids: Vec<protocol::messages::BrokerId>| ids.into_iter().map(|id| id.0).collect();
    let mut found = BTreeMap::new();
    for topic in answer.topics {
        for row in topic.partitions {
            let reassignment = Reassignment {
                replicas: ids(row.replicas),
                adding: ids(row.adding_replicas),
                removing: ids(row.removing_replicas),
            };
            found.insert((topic.name.to_string(), row.partition_index), reassignment);
        }
    }
    Ok(found)
}

/// Upstream's client sends no request that names no topic.
fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        let message = format!("The given topic name '{name}' cannot be represented in a request.");
        return Err(Failure::of(
            ErrorCode::InvalidTopicException,
            Some(&message),
        ));
    }
    Ok(())
}

/// The first row that is a failure. It ends the call unless the controller has moved: upstream's
/// client does not try one topic again.
fn first_failure<'a>(rows: impl Iterator<Item = (i16, Option<&'a str>)>) -> Result<(), Failure> {
    for (code, message) in rows {
        if let Some(failure) = Failure::from_answer(code, message) {
            return Err(if failure.is(ErrorCode::NotController) {
                failure
            } else {
                failure.not_retried()
            });
        }
    }
    Ok(())
}
