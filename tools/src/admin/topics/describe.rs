//! What topics look like: their partitions, with leaders and replicas.
//!
//! Invariant: a topic is described whole, however many answers its partitions take.

use std::collections::BTreeMap;

use protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, MetadataRequest,
    MetadataResponse, describe_topic_partitions_request, metadata_request,
};
use protocol::{ErrorCode, TopicId};

use super::check_name;
use crate::admin::topic_name;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// The first version of Metadata that takes topics by their ids alone.
const METADATA_BY_ID: i16 = 12;

/// A topic as the cluster knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub id: TopicId,
    pub partitions: Vec<Partition>,
}

/// A partition of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    pub leader: Option<i32>,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// The eligible leader replicas; none where the answer does not speak of them.
    pub elr: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
}

/// Topics by their names; the first that cannot be described is the failure.
pub async fn by_name(
    client: &Client,
    names: &[String],
    partitions_per_answer: i32,
) -> Result<BTreeMap<String, Topic>, Failure> {
    for name in names {
        check_name(name)?;
    }
    let mut found = BTreeMap::new();
    let mut cursor = None;
    loop {
        let request = by_name_request(names, partitions_per_answer, cursor.take());
        let answer = client
            .call("describeTopics", Target::Any, |_| Ok(request.clone()), Ok)
            .await;
        let answer = match answer {
            Err(failure) if failure.is(ErrorCode::UnsupportedVersion) => {
                return by_name_from_metadata(client, names).await;
            }
            other => other?,
        };
        cursor = take_page(answer, &mut found)?;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

type Cursor = describe_topic_partitions_request::Cursor;

fn by_name_request(
    names: &[String],
    partitions_per_answer: i32,
    cursor: Option<Cursor>,
) -> DescribeTopicPartitionsRequest {
    // What lies before the cursor was answered already.
    let done = cursor.as_ref().map(|cursor| cursor.topic_name.to_string());
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    let topics = names
        .into_iter()
        .filter(|name| done.as_ref().is_none_or(|done| *name >= done))
        .map(|name| {
            describe_topic_partitions_request::TopicRequest::default().with_name(topic_name(name))
        });
    DescribeTopicPartitionsRequest::default()
        .with_topics(topics.collect())
        .with_response_partition_limit(partitions_per_answer)
        .with_cursor(cursor)
}

/// Adds what an answer tells; where the next one is to begin, if there is more.
fn take_page(
    answer: DescribeTopicPartitionsResponse,
    found: &mut BTreeMap<String, Topic>,
) -> Result<Option<Cursor>, Failure> {
    for row in answer.topics {
        if let Some(failure) = Failure::from_answer(row.error_code, None) {
            return Err(failure.not_retried());
        }
        let name = row.name.map(|name| name.to_string()).unwrap_or_default();
        let topic = found.entry(name.clone()).or_insert_with(|| Topic {
            name,
            id: TopicId(row.topic_id),
            partitions: Vec::new(),
        });
        for row in row.partitions {
            topic.partitions.push(Partition {
                index: row.partition_index,
                leader: leader(row.leader_id),
                replicas: ids(row.replica_nodes),
                isr: ids(row.isr_nodes),
                elr: Some(row.eligible_leader_replicas.map(ids).unwrap_or_default()),
                last_known_elr: Some(row.last_known_elr.map(ids).unwrap_or_default()),
            });
        }
    }
    Ok(answer.next_cursor.map(|next| {
        Cursor::default()
            .with_topic_name(next.topic_name)
            .with_partition_index(next.partition_index)
    }))
}

async fn by_name_from_metadata(
    client: &Client,
    names: &[String],
) -> Result<BTreeMap<String, Topic>, Failure> {
    let topic = |name: &String| {
        metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)))
    };
    let request = MetadataRequest::default()
        .with_topics(Some(names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false);
    let answer = client
        .call("describeTopics", Target::Any, |_| Ok(request.clone()), Ok)
        .await?;
    let topics = topics_of(answer)?.into_iter();
    Ok(topics.map(|topic| (topic.name.clone(), topic)).collect())
}

/// One topic by its id.
pub async fn by_id(client: &Client, id: TopicId) -> Result<Option<Topic>, Failure> {
    let build = |version| {
        if version < METADATA_BY_ID {
            return Err(Failure::unsupported(
                "MetadataRequest version 12 or above is needed to describe a topic by its id",
            ));
        }
        let topic = metadata_request::MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(id.0);
        Ok(MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false))
    };
    let answer = client
        .call("describeTopicsWithIds", Target::Any, build, Ok)
        .await?;
    Ok(topics_of(answer)?.into_iter().next())
}

fn topics_of(answer: MetadataResponse) -> Result<Vec<Topic>, Failure> {
    let topic = |row: protocol::messages::metadata_response::MetadataResponseTopic| {
        if let Some(failure) = Failure::from_answer(row.error_code, None) {
            return Err(failure.not_retried());
        }
        let partitions = row.partitions.into_iter().map(|row| Partition {
            index: row.partition_index,
            leader: leader(row.leader_id),
            replicas: ids(row.replica_nodes),
            isr: ids(row.isr_nodes),
            elr: None,
            last_known_elr: None,
        });
        Ok(Topic {
            name: row.name.map(|name| name.to_string()).unwrap_or_default(),
            id: TopicId(row.topic_id),
            partitions: partitions.collect(),
        })
    };
    answer.topics.into_iter().map(topic).collect()
}

fn leader(id: BrokerId) -> Option<i32> {
    Some(id.0).filter(|id| *id >= 0)
}

fn ids(ids: Vec<BrokerId>) -> Vec<i32> {
    ids.into_iter().map(|id| id.0).collect()
}
