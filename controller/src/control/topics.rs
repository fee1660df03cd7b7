//! CreateTopics and DeleteTopics.
//! Every topic of a request is judged alone; the records of those that pass come into force
//! together.

use std::collections::{BTreeMap, BTreeSet};

use metadata::{ConfigResource, MetadataImage, MetadataRecord};
use protocol::messages::create_topics_request::CreatableTopic;
use protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use protocol::messages::delete_topics_response::DeletableTopicResult;
use protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use protocol::{ErrorCode, TopicId};
use uuid::Uuid;

use super::api_error::ApiError;
use super::partitions::{self, NewPartition};
use super::topic_name::{self, CLUSTER_METADATA_TOPIC};
use super::{Decision, Environment, MAX_PARTITIONS_PER_REQUEST, configs};

/// A topic that may be created.
struct NewTopic {
    result: CreatableTopicResult,
    records: Vec<MetadataRecord>,
}

pub(crate) fn create_topics(
    request: &CreateTopicsRequest,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<CreateTopicsResponse> {
    let duplicates = Duplicates::among(request.topics.iter().map(|topic| &topic.name));
    let mut response = CreateTopicsResponse::default();
    let wanted: Vec<&CreatableTopic> = request
        .topics
        .iter()
        .filter(|topic| {
            !duplicates.contains(&topic.name) && topic.name.as_str() != CLUSTER_METADATA_TOPIC
        })
        .collect();
    if let Err(error) = check_total_of_partitions(&wanted, env) {
        return Decision::answer(refuse_create_topics(request, &error));
    }
    let mut records = Vec::new();
    for topic in wanted {
        match create_topic(topic, image, env) {
            Ok(created) => {
                records.extend(created.records);
                response.topics.push(created.result);
            }
            Err(error) => response.topics.push(refused(&topic.name, &error)),
        }
    }
    for name in &duplicates.ordered {
        let error = ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
        response.topics.push(refused(name, &error));
    }
    let metadata_topic = |topic: &&CreatableTopic| {
        topic.name.as_str() == CLUSTER_METADATA_TOPIC && !duplicates.contains(&topic.name)
    };
    for topic in request.topics.iter().filter(metadata_topic) {
        let error = ApiError::new(
            ErrorCode::InvalidRequest,
            format!("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited."),
        );
        response.topics.push(refused(&topic.name, &error));
    }
    if request.validate_only {
        return Decision::answer(response);
    }
    Decision::atomic(records, response)
}

/// Whether any topic is left when those refused by their names alone are gone.
pub(crate) fn has_topics_to_create(request: &CreateTopicsRequest) -> bool {
    let duplicates = Duplicates::among(request.topics.iter().map(|topic| &topic.name));
    request.topics.iter().any(|topic| {
        !duplicates.contains(&topic.name) && topic.name.as_str() != CLUSTER_METADATA_TOPIC
    })
}

/// The answer when the request as a whole is refused.
pub(crate) fn refuse_create_topics(
    request: &CreateTopicsRequest,
    error: &ApiError,
) -> CreateTopicsResponse {
    let topics = request
        .topics
        .iter()
        .map(|topic| refused(&topic.name, error))
        .collect();
    CreateTopicsResponse::default().with_topics(topics)
}

fn refused(name: &TopicName, error: &ApiError) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.clone())
        .with_error_code(error.code.code())
        .with_error_message(error.wire_message())
}

/// The names that come more than once, in the order of the request.
pub(super) struct Duplicates<'a> {
    pub(super) ordered: Vec<&'a TopicName>,
    known: BTreeSet<&'a TopicName>,
}

impl<'a> Duplicates<'a> {
    pub(super) fn among(names: impl Iterator<Item = &'a TopicName>) -> Self {
        let mut seen = BTreeSet::new();
        let (mut ordered, mut known) = (Vec::new(), BTreeSet::new());
        for name in names {
            if !seen.insert(name) && known.insert(name) {
                ordered.push(name);
            }
        }
        Self { ordered, known }
    }

    pub(super) fn contains(&self, name: &TopicName) -> bool {
        self.known.contains(name)
    }
}

fn check_total_of_partitions(
    topics: &[&CreatableTopic],
    env: &Environment<'_>,
) -> Result<(), ApiError> {
    let total: i64 = topics
        .iter()
        .map(
            |topic| match (topic.assignments.len(), topic.num_partitions) {
                (0, -1) => i64::from(env.settings.num_partitions),
                (0, count) => i64::from(count.max(0)),
                (assigned, _) => assigned as i64,
            },
        )
        .sum();
    if total > MAX_PARTITIONS_PER_REQUEST {
        return Err(ApiError::new(
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ));
    }
    Ok(())
}

fn create_topic(
    topic: &CreatableTopic,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Result<NewTopic, ApiError> {
    check_name(topic.name.as_str(), image)?;
    let overrides = config_overrides(topic)?;
    let resource = ConfigResource::Topic(topic.name.as_str().into());
    configs::validate(&resource, &overrides, image, env.settings)?;
    let partitions = new_partitions(topic, image, env)?;
    let topic_id = env.new_topic_id(image);
    let mut records = vec![MetadataRecord::Topic {
        name: topic.name.as_str().into(),
        topic_id,
    }];
    records.extend(
        overrides
            .iter()
            .map(|(name, value)| MetadataRecord::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }),
    );
    let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
    let replicas = partitions
        .first()
        .map_or(0, |partition| partition.replicas.len());
    records.extend(
        (0..)
            .zip(&partitions)
            .map(|(id, partition)| partition.record(topic_id, id, image)),
    );
    let result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic_id.0)
        .with_error_message(None)
        .with_num_partitions(count)
        .with_replication_factor(i16::try_from(replicas).unwrap_or(i16::MAX))
        .with_configs(Some(effective_configs(&overrides, image, env)));
    Ok(NewTopic { result, records })
}

fn check_name(name: &str, image: &MetadataImage) -> Result<(), ApiError> {
    if image.topics.by_name(name).is_some() {
        return Err(ApiError::new(
            ErrorCode::TopicAlreadyExists,
            format!("Topic '{name}' already exists."),
        ));
    }
    if let Some(prefix) = topic_name::collision_prefix(name) {
        let colliding = image
            .topics
            .iter_from(prefix)
            .take_while(|topic| topic.name.starts_with(prefix))
            .find(|topic| topic_name::collide(&topic.name, name));
        if let Some(other) = colliding {
            return Err(ApiError::new(
                ErrorCode::InvalidTopicException,
                format!(
                    "Topic '{name}' collides with existing topic: {}",
                    other.name
                ),
            ));
        }
    }
    topic_name::validate(name)
        .map_err(|message| ApiError::new(ErrorCode::InvalidTopicException, message))
}

fn config_overrides(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, ApiError> {
    let nulls: Vec<&str> = topic
        .configs
        .iter()
        .filter(|config| config.value.is_none())
        .map(|config| config.name.as_str())
        .collect();
    if !nulls.is_empty() {
        return Err(ApiError::new(
            ErrorCode::InvalidConfig,
            format!(
                "Null value not supported for topic configs: {}",
                nulls.join(",")
            ),
        ));
    }
    Ok(topic
        .configs
        .iter()
        .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())))
        .collect())
}

fn new_partitions(
    topic: &CreatableTopic,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Result<Vec<NewPartition>, ApiError> {
    if !topic.assignments.is_empty() {
        return assigned_partitions(topic, image);
    }
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let count = match topic.num_partitions {
        -1 => env.settings.num_partitions,
        count => count,
    };
    let replication_factor = match topic.replication_factor {
        -1 => env.settings.default_replication_factor,
        factor => factor,
    };
    partitions::place(count, replication_factor, image, env).map_err(|error| {
        let message = format!("Unable to replicate the partition {replication_factor} time(s): ");
        ApiError::new(
            error.code,
            message + error.message.as_deref().unwrap_or_default(),
        )
    })
}

fn assigned_partitions(
    topic: &CreatableTopic,
    image: &MetadataImage,
) -> Result<Vec<NewPartition>, ApiError> {
    if topic.replication_factor != -1 {
        return Err(ApiError::new(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to \
             -1.",
        ));
    }
    if topic.num_partitions != -1 {
        return Err(ApiError::new(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ));
    }
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    let mut assigned: BTreeMap<i32, NewPartition> = BTreeMap::new();
    let mut replication_factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if assigned.contains_key(&index) {
            return Err(invalid(format!(
                "Found multiple manual partition assignments for partition {index}"
            )));
        }
        let replicas: Vec<i32> = assignment.broker_ids.iter().map(|id| id.0).collect();
        partitions::check_assignment(&replicas, replication_factor, image)?;
        replication_factor = Some(replicas.len());
        assigned.insert(index, NewPartition::assigned(index, replicas, image)?);
    }
    if !assigned
        .keys()
        .copied()
        .eq(0..i32::try_from(assigned.len()).unwrap_or(i32::MAX))
    {
        return Err(invalid(
            "partitions should be a consecutive 0-based integer sequence".into(),
        ));
    }
    Ok(assigned.into_values().collect())
}

fn effective_configs(
    overrides: &BTreeMap<String, String>,
    image: &MetadataImage,
    env: &Environment<'_>,
) -> Vec<CreatableTopicConfigs> {
    configs::effective(overrides, image, env.settings)
        .into_iter()
        .map(|config| {
            CreatableTopicConfigs::default()
                .with_name(config.name.into())
                .with_value(config.value.filter(|_| !config.sensitive).map(Into::into))
                .with_read_only(false)
                .with_config_source(config.source)
                .with_is_sensitive(config.sensitive)
        })
        .collect()
}

/// What a request asks to delete, once its own faults are sorted out.
#[derive(Default)]
struct Wanted {
    names: Vec<TopicName>,
    ids: Vec<Uuid>,
    refused: Vec<DeletableTopicResult>,
}

pub(crate) fn delete_topics(
    request: &DeleteTopicsRequest,
    api_version: i16,
    image: &MetadataImage,
    env: &Environment<'_>,
) -> Decision<DeleteTopicsResponse> {
    if !env.settings.delete_topic_enable {
        let code = if api_version < 3 {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::TopicDeletionDisabled
        };
        return Decision::answer(refuse_delete_topics(request, code));
    }
    let wanted = wanted(request);
    let mut responses = wanted.refused;
    // By topic id, with the name to answer under.
    let mut chosen: Vec<(TopicId, TopicName)> = Vec::new();
    for id in wanted.ids {
        match image.topics.by_id(TopicId(id)) {
            Some(topic) => chosen.push((topic.id, topic_name_of(&topic.name))),
            None => responses.push(undeleted(
                None,
                id,
                &ApiError::generic(ErrorCode::UnknownTopicId),
            )),
        }
    }
    let by_id: BTreeSet<TopicId> = chosen.iter().map(|(id, _)| *id).collect();
    for name in wanted.names {
        let Some(topic) = image.topics.by_name(name.as_str()) else {
            let error = ApiError::generic(ErrorCode::UnknownTopicOrPartition);
            responses.push(undeleted(Some(name), Uuid::nil(), &error));
            continue;
        };
        if by_id.contains(&topic.id) {
            let error = ApiError::new(
                ErrorCode::InvalidRequest,
                "The provided topic name maps to an ID that was already supplied.",
            );
            chosen.retain(|(id, _)| *id != topic.id);
            responses.push(undeleted(Some(name), topic.id.0, &error));
        } else {
            chosen.push((topic.id, name));
        }
    }
    let records = chosen
        .iter()
        .map(|(topic_id, _)| MetadataRecord::RemoveTopic {
            topic_id: *topic_id,
        });
    let records = records.collect();
    responses.extend(chosen.into_iter().map(|(id, name)| {
        DeletableTopicResult::default()
            .with_name(Some(name))
            .with_topic_id(id.0)
    }));
    Decision::atomic(
        records,
        DeleteTopicsResponse::default().with_responses(responses),
    )
}

/// Whether any topic is left when those that are named wrongly are gone.
pub(crate) fn has_topics_to_delete(request: &DeleteTopicsRequest) -> bool {
    let wanted = wanted(request);
    !wanted.names.is_empty() || !wanted.ids.is_empty()
}

/// The answer when the request as a whole is refused.
pub(crate) fn refuse_delete_topics(
    request: &DeleteTopicsRequest,
    code: ErrorCode,
) -> DeleteTopicsResponse {
    let error = ApiError::bare(code);
    let by_name = request
        .topic_names
        .iter()
        .map(|name| undeleted(Some(name.clone()), Uuid::nil(), &error));
    let by_state = request
        .topics
        .iter()
        .map(|topic| undeleted(topic.name.clone(), topic.topic_id, &error));
    DeleteTopicsResponse::default().with_responses(by_name.chain(by_state).collect())
}

fn wanted(request: &DeleteTopicsRequest) -> Wanted {
    let mut wanted = Wanted::default();
    let refuse = |name, id, message: &str| {
        undeleted(name, id, &ApiError::new(ErrorCode::InvalidRequest, message))
    };
    let mut names = request.topic_names.clone();
    let mut ids = Vec::new();
    for topic in &request.topics {
        match (&topic.name, topic.topic_id.is_nil()) {
            (None, true) => wanted.refused.push(refuse(
                None,
                Uuid::nil(),
                "Neither topic name nor id were specified.",
            )),
            (None, false) => ids.push(topic.topic_id),
            (Some(name), true) => names.push(name.clone()),
            (Some(name), false) => wanted.refused.push(refuse(
                Some(name.clone()),
                topic.topic_id,
                "You may not specify both topic name and topic id.",
            )),
        }
    }
    let (names, duplicate_names) = apart(names);
    let (ids, duplicate_ids) = apart(ids);
    wanted.names = names;
    wanted.ids = ids;
    wanted.refused.extend(
        duplicate_names
            .into_iter()
            .map(|name| refuse(Some(name), Uuid::nil(), "Duplicate topic name.")),
    );
    wanted.refused.extend(
        duplicate_ids
            .into_iter()
            .map(|id| refuse(None, id, "Duplicate topic id.")),
    );
    wanted
}

/// Those that come once and those that come more often, each once and in order.
fn apart<T: Ord + Clone>(values: Vec<T>) -> (Vec<T>, Vec<T>) {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in &values {
        *counts.entry(value.clone()).or_default() += 1;
    }
    let mut told = BTreeSet::new();
    values
        .into_iter()
        .filter(|value| told.insert(value.clone()))
        .partition(|value| counts.get(value) == Some(&1))
}

fn undeleted(name: Option<TopicName>, id: Uuid, error: &ApiError) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(name)
        .with_topic_id(id)
        .with_error_code(error.code.code())
        .with_error_message(error.wire_message())
}

pub(crate) fn topic_name_of(name: &str) -> TopicName {
    TopicName(protocol::StrBytes::from_string(name.to_owned()))
}

#[cfg(test)]
mod tests;
