//! The bounds that a broker sets to what groups may choose for themselves.
//!
//! Invariant: bounds are asked in upstream's order, and refusals are worded as upstream's.

use super::GROUP_CONFIGS;
use super::broker::find_broker_config;
use super::def::find;
use super::error::{ConfigError, InvalidConfig};
use super::resolve::{ConfigMap, Layers, resolve_value};
use super::resource::ConfigResourceType;
use super::value::Value;

/// One group config and the broker's keys that bound it.
struct Bounds {
    name: &'static str,
    min: Option<&'static str>,
    max: &'static str,
    /// The bounds hold only what a group sets itself.
    only_if_set: bool,
}

const fn bounds(name: &'static str, min: &'static str, max: &'static str) -> Bounds {
    Bounds {
        name,
        min: Some(min),
        max,
        only_if_set: false,
    }
}

const fn if_set(name: &'static str, min: &'static str, max: &'static str) -> Bounds {
    Bounds {
        name,
        min: Some(min),
        max,
        only_if_set: true,
    }
}

const BOUNDS: &[Bounds] = &[
    bounds(
        "consumer.heartbeat.interval.ms",
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    bounds(
        "consumer.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ),
    if_set(
        "consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    bounds(
        "share.heartbeat.interval.ms",
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ),
    bounds(
        "share.session.timeout.ms",
        "group.share.min.session.timeout.ms",
        "group.share.max.session.timeout.ms",
    ),
    bounds(
        "share.record.lock.duration.ms",
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ),
    bounds(
        "share.delivery.count.limit",
        "group.share.min.delivery.count.limit",
        "group.share.max.delivery.count.limit",
    ),
    bounds(
        "share.partition.max.record.locks",
        "group.share.min.partition.max.record.locks",
        "group.share.max.partition.max.record.locks",
    ),
    if_set(
        "share.assignment.interval.ms",
        "group.share.min.assignment.interval.ms",
        "group.share.max.assignment.interval.ms",
    ),
    bounds(
        "streams.heartbeat.interval.ms",
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
    ),
    bounds(
        "streams.session.timeout.ms",
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
    ),
    Bounds {
        name: "streams.num.standby.replicas",
        min: None,
        max: "group.streams.max.standby.replicas",
        only_if_set: false,
    },
    if_set(
        "streams.assignment.interval.ms",
        "group.streams.min.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
    ),
];

/// A member must be able to miss a heartbeat without being put out.
const SESSION_ABOVE_HEARTBEAT: [(&str, &str); 3] = [
    (
        "consumer.session.timeout.ms",
        "consumer.heartbeat.interval.ms",
    ),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    (
        "streams.session.timeout.ms",
        "streams.heartbeat.interval.ms",
    ),
];

/// The broker's keys that bound what groups choose.
pub fn group_bound_keys() -> impl Iterator<Item = &'static str> {
    BOUNDS
        .iter()
        .flat_map(|bounds| bounds.min.into_iter().chain([bounds.max]))
}

/// Refuses what lies outside the broker's bounds.
pub(super) fn check(layers: &Layers) -> Result<(), InvalidConfig> {
    for bounds in BOUNDS {
        if bounds.only_if_set && !layers.overrides.contains_key(bounds.name) {
            continue;
        }
        let value = group_int(bounds.name, layers)?;
        let (name, max) = (bounds.name, bounds.max);
        if let Some(min) = bounds.min
            && value < broker_int(min, layers)?
        {
            let message = format!("{name} must be greater than or equal to {min}");
            return Err(InvalidConfig::config(message));
        }
        if value > broker_int(max, layers)? {
            return Err(InvalidConfig::config(format!(
                "{name} must be less than or equal to {max}"
            )));
        }
    }
    for (session, heartbeat) in SESSION_ABOVE_HEARTBEAT {
        if group_int(session, layers)? <= group_int(heartbeat, layers)? {
            return Err(InvalidConfig::config(format!(
                "{session} must be greater than {heartbeat}"
            )));
        }
    }
    Ok(())
}

/// The overrides, each moved to the nearest bound where it lies outside.
pub(super) fn clamped(layers: &Layers) -> Result<ConfigMap, ConfigError> {
    let mut overrides = (*layers.overrides).clone();
    for bounds in BOUNDS {
        let Some(text) = overrides.get_mut(bounds.name) else {
            continue;
        };
        let value = group_int(bounds.name, layers)?;
        let max = broker_int(bounds.max, layers)?;
        let min = match bounds.min {
            Some(min) => broker_int(min, layers)?,
            None => i32::MIN,
        };
        // As upstream: the lower bound is asked first, should the two cross.
        if value < min {
            *text = min.to_string();
        } else if value > max {
            *text = max.to_string();
        }
    }
    Ok(overrides)
}

fn group_int(name: &str, layers: &Layers) -> Result<i32, ConfigError> {
    int(
        ConfigResourceType::Group,
        find(GROUP_CONFIGS, name),
        name,
        layers,
    )
}

fn broker_int(name: &str, layers: &Layers) -> Result<i32, ConfigError> {
    int(
        ConfigResourceType::Broker,
        find_broker_config(name),
        name,
        layers,
    )
}

fn int(
    resource_type: ConfigResourceType,
    def: Option<&'static super::ConfigDef>,
    name: &str,
    layers: &Layers,
) -> Result<i32, ConfigError> {
    match def
        .map(|def| resolve_value(resource_type, def, layers))
        .transpose()?
        .flatten()
    {
        Some(Value::Int(value)) => Ok(value),
        _ => Err(ConfigError::sentence(
            name,
            None,
            format!("{name} is no number of the table"),
        )),
    }
}
