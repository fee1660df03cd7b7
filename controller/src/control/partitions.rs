//! CreatePartitions, and what creating topics shares with it: new partitions and the rules for
//! assignments made by hand.

use metadata::record::Partition;
use metadata::{LeaderRecoveryState, MetadataImage, MetadataRecord, TopicImage};
use protocol::messages::create_partitions_request::CreatePartitionsTopic;
use protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};
use protocol::{ErrorCode, LeaderEpoch, TopicId};
use uuid::Uuid;

use super::api_error::ApiError;
use super::topics::Duplicates;
use super::{Decision, Environment, MAX_PARTITIONS_PER_REQUEST, UNASSIGNED_DIRECTORY};
use crate::placement;

/// A partition that does not exist yet: its first in-sync replica will lead it.
pub(crate) struct NewPartition {
    pub(crate) replicas: Vec<i32>,
    isr: Vec<i32>,
}

impl NewPartition {
    /// A partition whose replicas were chosen by hand.
    pub(crate) fn assigned(
        index: i32,
        replicas: Vec<i32>,
        image: &MetadataImage,
    ) -> Result<NewPartition, ApiError> {
        NewPartition::new(replicas, image).ok_or_else(|| {
            ApiError::new(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "All brokers specified in the manual partition assignment for partition \
                     {index} are fenced or in controlled shutdown."
                ),
            )
        })
    }

    /// `None` where no replica is active, so that none could lead.
    fn new(replicas: Vec<i32>, image: &MetadataImage) -> Option<NewPartition> {
        let active = |id: &i32| {
            image
                .cluster
                .broker(*id)
                .is_some_and(|broker| broker.is_active())
        };
        let isr: Vec<i32> = replicas.iter().copied().filter(active).collect();
        (!isr.is_empty()).then_some(NewPartition { replicas, isr })
    }

    pub(crate) fn record(
        &self,
        topic_id: TopicId,
        partition_id: i32,
        image: &MetadataImage,
    ) -> MetadataRecord {
        MetadataRecord::Partition(Partition {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            directories: self
                .replicas
                .iter()
                .map(|id| default_directory(*id, image))
                .collect(),
            isr: self.isr.clone(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: self.isr.first().copied(),
            leader_recovery_state: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            eligible_leader_replicas: Vec::new(),
            last_known_elr: Vec::new(),
        })
    }
}

/// A broker with one log directory has no choice; with several it tells where it put the replica.
fn default_directory(broker: i32, image: &MetadataImage) -> Uuid {
    match image
        .cluster
        .broker(broker)
        .map(|broker| broker.log_dirs.as_slice())
    {
        Some([only]) => *only,
        Some(_) | None => UNASSIGNED_DIRECTORY,
    }
}

/// New partitions placed by us. An error's message goes behind "Unable to replicate ...".
pub(crate) fn place(
    count: i32,
    replication_factor: i16,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Result<Vec<NewPartition>, ApiError> {
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicationFactor, message);
    let factor = i32::from(replication_factor);
    let placed = placement::place(&image.cluster, count, factor, env.rng)
        .map_err(|error| invalid(error.to_string()))?;
    placed
        .into_iter()
        .map(|replicas| {
            NewPartition::new(replicas, image).ok_or_else(|| {
                invalid("All brokers are currently fenced or in controlled shutdown.".into())
            })
        })
        .collect()
}

/// Whether replicas chosen by hand are registered brokers, each once, and as many as before.
pub(crate) fn check_assignment(
    replicas: &[i32],
    replication_factor: Option<usize>,
    image: &MetadataImage,
) -> Result<(), ApiError> {
    let invalid = |message: String| {
        Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!("The manual partition assignment includes {message}"),
        ))
    };
    if replicas.is_empty() {
        return invalid("an empty replica list.".into());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for id in sorted {
        if image.cluster.broker(id).is_none() {
            return invalid(format!("broker {id}, but no such broker is registered."));
        }
        if previous == Some(id) {
            return invalid(format!("the broker {id} more than once."));
        }
        previous = Some(id);
    }
    match replication_factor {
        Some(expected) if expected != replicas.len() => invalid(format!(
            "a partition with {} replica(s), but this is not consistent with previous \
             partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// Whether any topic is named just once.
pub(crate) fn has_topics_to_grow(request: &CreatePartitionsRequest) -> bool {
    let duplicates = Duplicates::among(request.topics.iter().map(|topic| &topic.name));
    let mut topics = request.topics.iter();
    topics.any(|topic| !duplicates.contains(&topic.name))
}

pub(crate) fn create_partitions(
    request: &CreatePartitionsRequest,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<CreatePartitionsResponse> {
    let duplicates = Duplicates::among(request.topics.iter().map(|topic| &topic.name));
    let duplicate = Err(ApiError::new(
        ErrorCode::InvalidRequest,
        "Duplicate topic name.",
    ));
    let mut results: Vec<CreatePartitionsTopicResult> = duplicates
        .ordered
        .iter()
        .map(|name| answered(name, &duplicate))
        .collect();
    let wanted: Vec<&CreatePartitionsTopic> = request
        .topics
        .iter()
        .filter(|topic| !duplicates.contains(&topic.name))
        .collect();
    if let Err(error) = check_total(&wanted, image) {
        return Decision::answer(refuse_create_partitions(request, &error));
    }
    let mut records = Vec::new();
    for topic in wanted {
        let result = add_partitions(topic, image, env).map(|added| records.extend(added));
        results.push(answered(&topic.name, &result));
    }
    let response = CreatePartitionsResponse::default().with_results(results);
    if request.validate_only {
        return Decision::answer(response);
    }
    Decision::atomic(records, response)
}

/// The answer when the request as a whole is refused.
pub(crate) fn refuse_create_partitions(
    request: &CreatePartitionsRequest,
    error: &ApiError,
) -> CreatePartitionsResponse {
    let refused = Err(error.clone());
    let results = request
        .topics
        .iter()
        .map(|topic| answered(&topic.name, &refused))
        .collect();
    CreatePartitionsResponse::default().with_results(results)
}

fn answered(name: &TopicName, result: &Result<(), ApiError>) -> CreatePartitionsTopicResult {
    let (code, message) = super::api_error::wire(result);
    CreatePartitionsTopicResult::default()
        .with_name(name.clone())
        .with_error_code(code)
        .with_error_message(message)
}

fn check_total(topics: &[&CreatePartitionsTopic], image: &MetadataImage) -> Result<(), ApiError> {
    let added = |topic: &&CreatePartitionsTopic| {
        let existing = image.topics.by_name(topic.name.as_str())?.partition_count();
        Some(
            i64::from(topic.count)
                .saturating_sub(i64::from(existing))
                .max(0),
        )
    };
    if topics.iter().filter_map(added).sum::<i64>() > MAX_PARTITIONS_PER_REQUEST {
        return Err(ApiError::new(
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ));
    }
    Ok(())
}

fn add_partitions(
    request: &CreatePartitionsTopic,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let topic = image
        .topics
        .by_name(request.name.as_str())
        .ok_or_else(|| ApiError::bare(ErrorCode::UnknownTopicOrPartition))?;
    let first = topic.partition_count();
    let additional = additional(request, topic)?;
    let replication_factor = topic
        .partition(0)
        .map_or(0, |partition| partition.replicas.len());
    let added = match &request.assignments {
        Some(assignments) => {
            let mut added = Vec::with_capacity(assignments.len());
            for (index, assignment) in (first..).zip(assignments) {
                let replicas: Vec<i32> = assignment.broker_ids.iter().map(|id| id.0).collect();
                check_assignment(&replicas, Some(replication_factor), image)?;
                added.push(NewPartition::assigned(index, replicas, image)?);
            }
            added
        }
        None => {
            let factor = i16::try_from(replication_factor).unwrap_or(i16::MAX);
            place(additional, factor, image, env)?
        }
    };
    Ok((first..)
        .zip(added)
        .map(|(id, new)| new.record(topic.id, id, image))
        .collect())
}

/// How many partitions the topic gets, more than none.
fn additional(request: &CreatePartitionsTopic, topic: &TopicImage) -> Result<i32, ApiError> {
    let existing = topic.partition_count();
    if request.count == existing {
        return Err(ApiError::new(
            ErrorCode::InvalidPartitions,
            format!("Topic already has {existing} partition(s)."),
        ));
    }
    if request.count < existing {
        return Err(ApiError::new(
            ErrorCode::InvalidPartitions,
            format!(
                "The topic {} currently has {existing} partition(s); {} would not be an increase.",
                request.name.as_str(),
                request.count
            ),
        ));
    }
    let additional = request.count - existing;
    match &request.assignments {
        Some(assignments) if i32::try_from(assignments.len()) != Ok(additional) => {
            Err(ApiError::new(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "Attempted to add {additional} additional partition(s), but only {} \
                     assignment(s) were specified.",
                    assignments.len()
                ),
            ))
        }
        _ => Ok(additional),
    }
}

#[cfg(test)]
mod tests;
