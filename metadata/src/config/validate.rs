//! The checks of AlterConfigs, IncrementalAlterConfigs and CreateTopics.
//!
//! Invariant: a change is checked as a whole, the new overrides over everything below them, and
//! refused with upstream's code and words.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::broker::{dynamic_configs, find_broker_config};
use super::broker_check::check_properties;
use super::client_metrics::ClientMatch;
use super::def::{ConfigDef, UpdateMode, find};
use super::error::{ConfigError, InvalidConfig};
use super::group_bounds;
use super::java_order::{of_grown, shown_set};
use super::listeners::ADVERTISED_LISTENERS;
use super::names::{LISTENER_SECURITY_CONFIGS, is_per_broker_listener_key, listener_key};
use super::resolve::{ConfigMap, Layers, effective_properties, resolve_value};
use super::resource::ConfigResourceType;
use super::value::Value;
use super::{CLIENT_METRICS_CONFIGS, GROUP_CONFIGS, TOPIC_CONFIGS};

/// Checks one value by itself.
pub fn validate(
    resource_type: ConfigResourceType,
    name: &str,
    value: &str,
) -> Result<(), InvalidConfig> {
    let def = match resource_type {
        ConfigResourceType::Topic => known(TOPIC_CONFIGS, name, "topic")?,
        ConfigResourceType::Group => known(GROUP_CONFIGS, name, "group")?,
        ConfigResourceType::ClientMetrics => {
            find(CLIENT_METRICS_CONFIGS, name).ok_or_else(|| unknown_client_metrics(name))?
        }
        // A broker may be given keys that no row knows: they are for plug-ins.
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            match find_broker_config(name) {
                Some(def) => def,
                None => return Ok(()),
            }
        }
    };
    Ok(def.parse(value).map(drop)?)
}

fn known(
    table: &'static [ConfigDef],
    name: &str,
    resource: &str,
) -> Result<&'static ConfigDef, InvalidConfig> {
    find(table, name)
        .ok_or_else(|| InvalidConfig::config(format!("Unknown {resource} config name: {name}")))
}

fn unknown_client_metrics(name: &str) -> InvalidConfig {
    InvalidConfig::request(format!("Unknown client metrics configuration: {name}"))
}

/// The refusal of configs that were set to null; `resource` is `topic`, `group` or
/// `client metrics`.
pub fn null_values<'a>(resource: &str, names: impl IntoIterator<Item = &'a str>) -> InvalidConfig {
    let names = of_grown(names).join(",");
    InvalidConfig::config(format!(
        "Null value not supported for {resource} configs: {names}"
    ))
}

/// Checks all overrides of a topic as they will be; `layers` are those of the broker.
pub fn validate_topic(overrides: &ConfigMap, layers: &Layers) -> Result<(), InvalidConfig> {
    for name in of_grown(overrides.keys().map(String::as_str)) {
        known(TOPIC_CONFIGS, name, "topic")?;
    }
    let layers = layers.with_overrides(Arc::new(overrides.clone()));
    let mut values = BTreeMap::new();
    for def in TOPIC_CONFIGS {
        values.insert(
            def.name,
            resolve_value(ConfigResourceType::Topic, def, &layers)?,
        );
    }
    let long = |name: &str| match values.get(name) {
        Some(Some(Value::Long(number))) => *number,
        _ => 0,
    };
    let (min, max) = (long("min.compaction.lag.ms"), long("max.compaction.lag.ms"));
    if min > max {
        return Err(InvalidConfig::config(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms \
             ({max})"
        )));
    }
    if values.get("remote.storage.enable") == Some(&Some(Value::Boolean(true))) {
        return Err(InvalidConfig::config(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage.",
        ));
    }
    Ok(())
}

/// Checks all overrides of a group as they will be; `layers` are those of the broker.
pub fn validate_group(
    group_id: &str,
    overrides: &ConfigMap,
    layers: &Layers,
) -> Result<(), InvalidConfig> {
    if group_id.is_empty() {
        return Err(InvalidConfig::request(
            "Default group resources are not allowed.",
        ));
    }
    for name in of_grown(overrides.keys().map(String::as_str)) {
        known(GROUP_CONFIGS, name, "group")?;
    }
    let layers = layers.with_overrides(Arc::new(overrides.clone()));
    for def in GROUP_CONFIGS {
        resolve_value(ConfigResourceType::Group, def, &layers)?;
    }
    group_bounds::check(&layers)
}

/// Checks all of a client metrics subscription as it will be.
pub fn validate_client_metrics(name: &str, configs: &ConfigMap) -> Result<(), InvalidConfig> {
    if name.is_empty() {
        return Err(InvalidConfig::request("Subscription name can't be empty"));
    }
    for name in of_grown(configs.keys().map(String::as_str)) {
        find(CLIENT_METRICS_CONFIGS, name).ok_or_else(|| unknown_client_metrics(name))?;
    }
    for def in CLIENT_METRICS_CONFIGS {
        let Some(text) = configs.get(def.name) else {
            continue;
        };
        let value = def.parse(text)?;
        if let Value::Int(interval) = value
            && !(100..=3_600_000).contains(&interval)
        {
            return Err(InvalidConfig::request(format!(
                "Invalid value {interval} for {}, interval must be between 100 and 3600000 (1 hour)",
                def.name
            )));
        }
        if let ("match", Value::List(patterns)) = (def.name, value) {
            ClientMatch::parse(&patterns)?;
        }
    }
    Ok(())
}

/// Checks all that will be set for a broker (`per_broker`) or for all of them; `layers` are what
/// is set now.
pub fn validate_broker(
    configs: &ConfigMap,
    per_broker: bool,
    layers: &Layers,
) -> Result<(), InvalidConfig> {
    check_update_modes(configs, per_broker)?;
    let mut changed = layers.clone();
    if per_broker {
        changed.broker = Arc::new(configs.clone());
    } else {
        changed.cluster = Arc::new(configs.clone());
    }
    // The broker has answered with these layers so far: only the new ones can be wrong.
    let effective = effective_properties(&changed);
    check_properties(&effective).map_err(as_request)?;
    check_thread_counts(&effective, &effective_properties(layers)).map_err(|error| {
        InvalidConfig::request(format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: {} for configuration \
             Invalid dynamic configuration",
            error.message()
        ))
    })
}

fn as_request(error: ConfigError) -> InvalidConfig {
    InvalidConfig::request(error.message())
}

/// Beyond upstream, which refuses it in KRaft: `advertised.listeners` of a broker may be set at run
/// time, as with ZooKeeper before. Programs that start a broker in a container learn its port only
/// then.
fn check_update_modes(configs: &ConfigMap, per_broker: bool) -> Result<(), InvalidConfig> {
    let names = || configs.keys().map(String::as_str);
    let is_read_only = |name: &&str| {
        *name != ADVERTISED_LISTENERS
            && find_broker_config(name).is_some_and(|def| def.update == UpdateMode::ReadOnly)
    };
    refuse(
        "Cannot update these configs dynamically",
        names().filter(is_read_only),
    )?;
    refuse(
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix",
        names().filter(|name| LISTENER_SECURITY_CONFIGS.contains(name)),
    )?;
    check_types(configs).map_err(as_request)?;
    if per_broker {
        return Ok(());
    }
    let is_per_broker = |name: &&str| match listener_key(name) {
        Some(key) => is_per_broker_listener_key(key),
        None if *name == ADVERTISED_LISTENERS => true,
        None => find_broker_config(name).is_some_and(|def| def.update == UpdateMode::PerBroker),
    };
    refuse(
        "Cannot update these configs at default cluster level, broker id must be specified",
        names().filter(is_per_broker),
    )
}

fn refuse<'a>(reason: &str, names: impl Iterator<Item = &'a str>) -> Result<(), InvalidConfig> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(InvalidConfig::request(format!(
        "{reason}: {}",
        shown_set(names)
    )))
}

/// Each value by itself, those of one listener as the key of all.
fn check_types(configs: &ConfigMap) -> Result<(), ConfigError> {
    let by_key: BTreeMap<&str, &str> = configs
        .iter()
        .map(|(name, text)| (listener_key(name).unwrap_or(name), text.as_str()))
        .collect();
    for def in dynamic_configs() {
        if let Some(text) = by_key.get(def.name) {
            def.parse(text)?;
        }
    }
    Ok(())
}

/// Upstream resizes its pools step by step: to half, or to the double, at most.
fn check_thread_counts(new: &ConfigMap, current: &ConfigMap) -> Result<(), ConfigError> {
    let pools = [
        "num.io.threads",
        "num.replica.fetchers",
        "num.recovery.threads.per.data.dir",
        "background.threads",
    ];
    for key in pools {
        let (count, before) = (thread_count(key, new)?, thread_count(key, current)?);
        let failed = format!("Dynamic thread count update validation failed for {key}={count}");
        let reason = if count == before {
            continue;
        } else if count < before / 2 {
            format!("{failed}, value should be at least half the current value {before}")
        } else if count > before.saturating_mul(2) {
            format!("{failed}, value should not be greater than double the current value {before}")
        } else {
            continue;
        };
        return Err(ConfigError::sentence(key, Some(&count.to_string()), reason));
    }
    let key = "log.cleaner.threads";
    let (count, before) = (thread_count(key, new)?, thread_count(key, current)?);
    let reason = if count < 1 {
        "Log cleaner threads should be at least 1".to_owned()
    } else if count < before / 2 {
        format!(
            "Log cleaner threads cannot be reduced to less than half the current value {before}"
        )
    } else if count > before.saturating_mul(2) {
        format!(
            "Log cleaner threads cannot be increased to more than double the current value {before}"
        )
    } else {
        return Ok(());
    };
    Err(ConfigError::sentence(key, Some(&count.to_string()), reason))
}

fn thread_count(key: &str, properties: &ConfigMap) -> Result<i32, ConfigError> {
    let layers = Layers {
        properties: Arc::new(properties.clone()),
        ..Layers::default()
    };
    let value = find_broker_config(key)
        .map(|def| resolve_value(ConfigResourceType::Broker, def, &layers))
        .transpose()?;
    match value.flatten() {
        Some(Value::Int(count)) => Ok(count),
        _ => Err(ConfigError::sentence(
            key,
            None,
            format!("{key} is no number of the table"),
        )),
    }
}
