//! What the broker that got a request refuses before the controller sees it, as upstream's
//! `ConfigAdminManager` does: the shape of the request, brokers other than itself, dynamic broker
//! configs, and loggers, which are its own and never stored.

use std::collections::{BTreeMap, BTreeSet};

use metadata::config::ConfigResourceType;
use metadata::{ConfigResource, MetadataImage};
use protocol::ErrorCode;

use super::super::api_error::ApiError;
use super::{Answers, KeyChange, Operation, ResourceChange, rules};
use crate::options::Settings;

/// The loggers of this process, by name with their levels. They are no part of the metadata.
pub trait Loggers: Send + Sync {
    /// The level a logger has now; `None` for a logger that does not exist.
    fn level(&self, logger: &str) -> Option<String>;

    /// Sets a logger's level; `None` gives it back to its parent. The level is a valid one.
    fn set_level(&self, logger: &str, level: Option<&str>);
}

/// Answers all resources that need not go to the controller, or may not.
pub(crate) fn check(
    resources: &[ResourceChange<'_>],
    validate_only: bool,
    image: &MetadataImage,
    settings: &Settings,
    loggers: &dyn Loggers,
) -> Answers {
    let mut counts: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for resource in resources {
        *counts
            .entry((resource.resource_type, resource.resource_name))
            .or_default() += 1;
    }
    resources
        .iter()
        .map(|resource| {
            if counts.get(&(resource.resource_type, resource.resource_name)) != Some(&1) {
                return Some(Err(invalid("Each resource must appear at most once.")));
            }
            check_resource(resource, validate_only, image, settings, loggers).transpose()
        })
        .collect()
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

/// `None` leaves the answer to the controller.
fn check_resource(
    resource: &ResourceChange<'_>,
    validate_only: bool,
    image: &MetadataImage,
    settings: &Settings,
    loggers: &dyn Loggers,
) -> Result<Option<()>, ApiError> {
    check_keys(&resource.keys)?;
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::BrokerLogger) if !resource.replaces => {
            alter_loggers(resource, validate_only, settings, loggers)?;
            Ok(Some(()))
        }
        Some(ConfigResourceType::Broker) => {
            if !resource.resource_name.is_empty() {
                check_node_id(resource.resource_name, settings.node_id)?;
            }
            check_broker(resource, image, settings)?;
            Ok(None)
        }
        Some(
            ConfigResourceType::Topic
            | ConfigResourceType::ClientMetrics
            | ConfigResourceType::Group,
        ) => Ok(None),
        Some(ConfigResourceType::BrokerLogger) | None => Err(invalid(format!(
            "Unknown resource type {}",
            resource.resource_type
        ))),
    }
}

fn check_keys(keys: &[KeyChange<'_>]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    if !keys.iter().all(|key| seen.insert(key.name)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    let nulls: Vec<&str> = keys
        .iter()
        .filter(|key| key.operation != Some(Operation::Delete) && key.value.is_none())
        .map(|key| key.name)
        .collect();
    if nulls.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "Null value not supported for : {}",
        nulls.join(", ")
    )))
}

fn check_node_id(name: &str, node_id: i32) -> Result<(), ApiError> {
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(_) => Err(invalid(format!(
            "Unexpected broker id, expected {node_id}, but received {name}"
        ))),
        Err(_) => Err(invalid(format!(
            "Node id must be an integer, but it is: {name}"
        ))),
    }
}

/// What the broker's overrides would be must be something it can change while it runs.
fn check_broker(
    resource: &ResourceChange<'_>,
    image: &MetadataImage,
    settings: &Settings,
) -> Result<(), ApiError> {
    let per_broker = !resource.resource_name.is_empty();
    let target = ConfigResource::Broker(per_broker.then_some(settings.node_id));
    let mut overrides = if resource.replaces {
        BTreeMap::new()
    } else {
        (*image.configs.of(&target)).clone()
    };
    for key in &resource.keys {
        let operation = key
            .operation
            .ok_or_else(|| invalid(format!("Unknown operations type {}", key.code)))?;
        let verb = match operation {
            Operation::Set => {
                overrides.insert(
                    key.name.to_owned(),
                    key.value.unwrap_or_default().to_owned(),
                );
                continue;
            }
            Operation::Delete => {
                overrides.remove(key.name);
                continue;
            }
            Operation::Append => "append",
            Operation::Subtract => "subtract",
        };
        if !rules::is_list(&target, key.name) {
            return Err(ApiError::new(
                ErrorCode::InvalidConfig,
                format!(
                    "Config value {verb} is not allowed for config key: {}",
                    key.name
                ),
            ));
        }
        let current = overrides.get(key.name).map(String::as_str);
        let current = current
            .or_else(|| rules::default_of(&target, key.name))
            .unwrap_or_default();
        let changed = super::change_list(current, operation, key.value);
        overrides.insert(key.name.to_owned(), changed);
    }
    rules::validate_dynamic_broker(&overrides, per_broker, image, settings)
}

/// The levels that a logger can have, in the order in which upstream names them.
const LEVELS: [&str; 6] = ["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];

/// The logger that all others come from.
const ROOT_LOGGER: &str = "root";

fn alter_loggers(
    resource: &ResourceChange<'_>,
    validate_only: bool,
    settings: &Settings,
    loggers: &dyn Loggers,
) -> Result<(), ApiError> {
    let node_id = settings.node_id;
    match resource.resource_name.parse::<i32>() {
        Ok(id) if id == node_id => {}
        Ok(id) => {
            return Err(invalid(format!(
                "Unexpected node id. Expected {node_id}, but received {id}"
            )));
        }
        Err(_) => {
            return Err(invalid(format!(
                "Node id must be an integer, but it is: {}",
                resource.resource_name
            )));
        }
    }
    for key in &resource.keys {
        check_logger(key, loggers)?;
    }
    if validate_only {
        return Ok(());
    }
    for key in &resource.keys {
        let level = match key.operation {
            Some(Operation::Set) => key.value,
            Some(Operation::Delete | Operation::Append | Operation::Subtract) | None => None,
        };
        loggers.set_level(key.name, level);
    }
    Ok(())
}

fn check_logger(key: &KeyChange<'_>, loggers: &dyn Loggers) -> Result<(), ApiError> {
    let operation = key.operation.ok_or_else(|| {
        invalid(format!(
            "Unknown operation type {} is not allowed for the BROKER_LOGGER resource",
            key.code
        ))
    })?;
    let invalid_config = |message: String| ApiError::new(ErrorCode::InvalidConfig, message);
    let exists = || {
        if loggers.level(key.name).is_some() {
            return Ok(());
        }
        Err(invalid_config(format!(
            "Logger {} does not exist!",
            key.name
        )))
    };
    match operation {
        Operation::Set => {
            exists()?;
            let level = key.value.unwrap_or_default();
            if LEVELS.contains(&level) {
                return Ok(());
            }
            Err(invalid_config(format!(
                "Cannot set the log level of {} to {level} as it is not a supported log level. \
                 Valid log levels are {}",
                key.name,
                LEVELS.join(", ")
            )))
        }
        Operation::Delete => {
            exists()?;
            if key.name == ROOT_LOGGER {
                return Err(invalid(format!(
                    "Removing the log level of the {ROOT_LOGGER} logger is not allowed"
                )));
            }
            Ok(())
        }
        Operation::Append | Operation::Subtract => Err(invalid(format!(
            "{} operation is not allowed for the BROKER_LOGGER resource",
            operation.name()
        ))),
    }
}

#[cfg(test)]
mod tests;
