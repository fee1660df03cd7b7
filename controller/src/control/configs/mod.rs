//! AlterConfigs and IncrementalAlterConfigs.
//! Every resource of a request is judged alone and changes wholly or not at all; what results is
//! checked as a whole against the config tables.
//!
//! As in upstream a request is judged twice: first as the broker that got it does (shape of the
//! request, its own id, its loggers), then as the controller does. The second half lies here.

pub(crate) mod check;
mod rules;

use std::collections::BTreeMap;

use metadata::config::ConfigResourceType;
use metadata::{ConfigResource, MetadataImage, MetadataRecord};
use protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_response,
};
use protocol::{ErrorCode, StrBytes};

use super::api_error::{self, ApiError};
use super::{Decision, Environment, topic_name};
use crate::options::Settings;

pub use check::Loggers;
pub(crate) use rules::{effective, effective_value, validate};

/// The largest value, in bytes: as upstream, a string of the record format.
const MAX_VALUE_SIZE: usize = i16::MAX as usize;

/// What is asked for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    fn from_code(code: i8) -> Option<Operation> {
        Some(match code {
            0 => Operation::Set,
            1 => Operation::Delete,
            2 => Operation::Append,
            3 => Operation::Subtract,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Operation::Set => "SET",
            Operation::Delete => "DELETE",
            Operation::Append => "APPEND",
            Operation::Subtract => "SUBTRACT",
        }
    }
}

/// One key of a request.
pub(crate) struct KeyChange<'a> {
    pub(crate) name: &'a str,
    /// `None` for a number that stands for nothing.
    pub(crate) operation: Option<Operation>,
    pub(crate) code: i8,
    pub(crate) value: Option<&'a str>,
}

/// One resource of a request, of the old and the new API alike.
pub(crate) struct ResourceChange<'a> {
    pub(crate) resource_type: i8,
    pub(crate) resource_name: &'a str,
    pub(crate) keys: Vec<KeyChange<'a>>,
    /// The old API: keys that are not named lose their override.
    pub(crate) replaces: bool,
}

pub(crate) fn resources_of(request: &AlterConfigsRequest) -> Vec<ResourceChange<'_>> {
    request
        .resources
        .iter()
        .map(|resource| ResourceChange {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.as_str(),
            keys: resource
                .configs
                .iter()
                .map(|config| KeyChange {
                    name: config.name.as_str(),
                    operation: Some(Operation::Set),
                    code: 0,
                    value: config.value.as_ref().map(StrBytes::as_str),
                })
                .collect(),
            replaces: true,
        })
        .collect()
}

pub(crate) fn incremental_resources_of(
    request: &IncrementalAlterConfigsRequest,
) -> Vec<ResourceChange<'_>> {
    request
        .resources
        .iter()
        .map(|resource| ResourceChange {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.as_str(),
            keys: resource
                .configs
                .iter()
                .map(|config| KeyChange {
                    name: config.name.as_str(),
                    operation: Operation::from_code(config.config_operation),
                    code: config.config_operation,
                    value: config.value.as_ref().map(StrBytes::as_str),
                })
                .collect(),
            replaces: false,
        })
        .collect()
}

/// The answer to each resource, in the order of the request; `None` is not answered yet.
pub(crate) type Answers = Vec<Option<Result<(), ApiError>>>;

pub(crate) fn alter_configs(
    request: &AlterConfigsRequest,
    answered: &Answers,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<AlterConfigsResponse> {
    let (records, results) = alter(&resources_of(request), answered, image, env);
    let responses = request
        .resources
        .iter()
        .zip(&results)
        .map(|(resource, result)| {
            let (code, message) = api_error::wire(result);
            alter_configs_response::AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(code)
                .with_error_message(message)
        })
        .collect();
    let response = AlterConfigsResponse::default().with_responses(responses);
    if request.validate_only {
        return Decision::answer(response);
    }
    Decision::atomic(records, response)
}

pub(crate) fn incremental_alter_configs(
    request: &IncrementalAlterConfigsRequest,
    answered: &Answers,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<IncrementalAlterConfigsResponse> {
    let (records, results) = alter(&incremental_resources_of(request), answered, image, env);
    let responses = request
        .resources
        .iter()
        .zip(&results)
        .map(|(resource, result)| {
            let (code, message) = api_error::wire(result);
            incremental_alter_configs_response::AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(code)
                .with_error_message(message)
        })
        .collect();
    let response = IncrementalAlterConfigsResponse::default().with_responses(responses);
    if request.validate_only {
        return Decision::answer(response);
    }
    Decision::atomic(records, response)
}

/// The answer to every resource when the request as a whole is refused.
pub(crate) fn refuse_alter_configs(
    request: &AlterConfigsRequest,
    error: &ApiError,
) -> AlterConfigsResponse {
    let responses = request
        .resources
        .iter()
        .map(|resource| {
            alter_configs_response::AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(error.code.code())
                .with_error_message(error.wire_message())
        })
        .collect();
    AlterConfigsResponse::default().with_responses(responses)
}

/// The answer to every resource when the request as a whole is refused.
pub(crate) fn refuse_incremental_alter_configs(
    request: &IncrementalAlterConfigsRequest,
    error: &ApiError,
) -> IncrementalAlterConfigsResponse {
    let responses = request
        .resources
        .iter()
        .map(|resource| {
            incremental_alter_configs_response::AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(error.code.code())
                .with_error_message(error.wire_message())
        })
        .collect();
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

fn alter(
    resources: &[ResourceChange<'_>],
    answered: &Answers,
    image: &MetadataImage,
    env: &Environment<'_>,
) -> (Vec<MetadataRecord>, Vec<Result<(), ApiError>>) {
    let mut records = Vec::new();
    let results = resources
        .iter()
        .enumerate()
        .map(|(index, resource)| match answered.get(index) {
            Some(Some(result)) => result.clone(),
            Some(None) | None => {
                alter_resource(resource, image, env.settings).map(|changes| records.extend(changes))
            }
        })
        .collect();
    (records, results)
}

fn alter_resource(
    change: &ResourceChange<'_>,
    image: &MetadataImage,
    settings: &Settings,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let resource = parse_resource(change)?;
    let existing = image.configs.of(&resource);
    let mut all = (*existing).clone();
    // Upstream writes what a broker is set to again, so that it is loaded again (KAFKA-14136).
    let always = resource.resource_type() == ConfigResourceType::Broker;
    let mut changes: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for key in &change.keys {
        let current = existing.get(key.name);
        let new = new_value(key, &resource, current.map(String::as_str))?;
        if let Some(value) = &new {
            check_size(value)?;
        }
        if always || new.as_ref() != current {
            changes.insert(key.name, new);
        }
    }
    if change.replaces {
        for name in existing.keys() {
            if !change.keys.iter().any(|key| key.name == name) {
                changes.insert(name, None);
            }
        }
    }
    for (name, value) in &changes {
        match value {
            Some(value) => all.insert((*name).to_owned(), value.clone()),
            None => all.remove(*name),
        };
    }
    validate(&resource, &all, image, settings)?;
    check_existence(&resource, image, settings)?;
    Ok(changes
        .into_iter()
        .map(|(name, value)| MetadataRecord::Config {
            resource: resource.clone(),
            name: name.to_owned(),
            value,
        })
        .collect())
}

fn parse_resource(change: &ResourceChange<'_>) -> Result<ConfigResource, ApiError> {
    let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    let name = change.resource_name;
    match ConfigResourceType::from_code(change.resource_type) {
        Some(ConfigResourceType::Topic) => {
            if name.is_empty() {
                return invalid("Default topic resources are not allowed.");
            }
            topic_name::validate(name)
                .map_err(|message| ApiError::new(ErrorCode::InvalidTopicException, message))?;
            Ok(ConfigResource::Topic(name.into()))
        }
        Some(ConfigResourceType::Broker) if name.is_empty() => Ok(ConfigResource::Broker(None)),
        Some(ConfigResourceType::Broker) => match name.parse::<i32>() {
            Ok(id) if id < 0 => invalid("Invalid negative broker ID."),
            Ok(id) => Ok(ConfigResource::Broker(Some(id))),
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
        },
        Some(ConfigResourceType::Group) => {
            if name.is_empty() {
                return invalid("Default group resources are not allowed.");
            }
            Ok(ConfigResource::Group(name.into()))
        }
        Some(ConfigResourceType::ClientMetrics) => {
            if name.is_empty() {
                return invalid("Subscription name can't be empty");
            }
            Ok(ConfigResource::ClientMetrics(name.into()))
        }
        Some(ConfigResourceType::BrokerLogger) => {
            invalid("Unexpected resource type BROKER_LOGGER.")
        }
        None => invalid(&format!("Unknown resource type {}", change.resource_type)),
    }
}

/// The override that results; `None` is none.
fn new_value(
    key: &KeyChange<'_>,
    resource: &ConfigResource,
    current: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let Some(operation) = key.operation else {
        return Err(ApiError::new(
            ErrorCode::InvalidRequest,
            format!("Unknown operations type {}", key.code),
        ));
    };
    match operation {
        Operation::Set => Ok(key.value.map(str::to_owned)),
        Operation::Delete => Ok(None),
        Operation::Append | Operation::Subtract => {
            if !rules::is_list(resource, key.name) {
                return Err(ApiError::new(
                    ErrorCode::InvalidConfig,
                    format!(
                        "Can't {} to key {} because its type is not LIST.",
                        operation.name(),
                        key.name
                    ),
                ));
            }
            let current = current.or_else(|| rules::default_of(resource, key.name));
            Ok(Some(change_list(
                current.unwrap_or_default(),
                operation,
                key.value,
            )))
        }
    }
}

fn change_list(current: &str, operation: Operation, value: Option<&str>) -> String {
    let mut items: Vec<&str> = current.split(',').filter(|item| !item.is_empty()).collect();
    for item in value.unwrap_or_default().split(',') {
        let position = items.iter().position(|existing| *existing == item);
        match (operation, position) {
            (Operation::Append, None) => items.push(item),
            (Operation::Subtract, Some(index)) => {
                items.remove(index);
            }
            (Operation::Append | Operation::Subtract | Operation::Set | Operation::Delete, _) => {}
        }
    }
    items.join(",")
}

fn check_size(value: &str) -> Result<(), ApiError> {
    if value.len() > MAX_VALUE_SIZE {
        return Err(ApiError::new(
            ErrorCode::InvalidConfig,
            format!(
                "The configuration value cannot be added because it exceeds the maximum value \
                 size of {MAX_VALUE_SIZE} bytes."
            ),
        ));
    }
    Ok(())
}

fn check_existence(
    resource: &ConfigResource,
    image: &MetadataImage,
    settings: &Settings,
) -> Result<(), ApiError> {
    match resource {
        ConfigResource::Topic(name) if image.topics.by_name(name).is_none() => Err(ApiError::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        )),
        ConfigResource::Broker(Some(id))
            if *id != settings.node_id && image.cluster.broker(*id).is_none() =>
        {
            Err(ApiError::new(
                ErrorCode::BrokerIdNotRegistered,
                format!("No node with id {id} found."),
            ))
        }
        ConfigResource::Topic(_)
        | ConfigResource::Broker(_)
        | ConfigResource::BrokerLogger(_)
        | ConfigResource::ClientMetrics(_)
        | ConfigResource::Group(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
