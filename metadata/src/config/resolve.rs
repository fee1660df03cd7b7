//! Where the value of a config comes from.
//!
//! Invariant: one order for all: the topic's (or group's) own value, then the broker's, then the
//! cluster default, then server.properties, then the table's default.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::def::ConfigDef;
use super::error::ConfigError;
use super::names;
use super::resource::{ConfigResource, ConfigResourceType};
use super::value::Value;
use crate::image::ConfigsImage;

/// Keys and the texts of their values.
pub type ConfigMap = BTreeMap<String, String>;

/// Where a value was set, by its number in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigSource {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

impl ConfigSource {
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// All that was set, from the nearest to the farthest.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Of the topic, group or subscription itself; empty for a broker.
    pub overrides: Arc<ConfigMap>,
    pub broker: Arc<ConfigMap>,
    pub cluster: Arc<ConfigMap>,
    /// server.properties, see [`with_node_id`].
    pub properties: Arc<ConfigMap>,
}

impl Layers {
    /// The layers of broker `node_id`, without those of a topic or group.
    pub fn of_broker(image: &ConfigsImage, node_id: i32, properties: Arc<ConfigMap>) -> Layers {
        Layers {
            overrides: Arc::default(),
            broker: image.of(&ConfigResource::Broker(Some(node_id))),
            cluster: image.of(&ConfigResource::Broker(None)),
            properties,
        }
    }

    /// The same, with what a topic, group or subscription overrides.
    pub fn with_overrides(&self, overrides: Arc<ConfigMap>) -> Layers {
        Layers {
            overrides,
            ..self.clone()
        }
    }

    /// The layers of server.properties alone, as at the start.
    pub fn of_properties(properties: ConfigMap) -> Layers {
        Layers {
            properties: Arc::new(properties),
            ..Layers::default()
        }
    }
}

/// `broker.id` and `node.id` are one thing: each stands in for the other.
pub fn with_node_id(mut properties: ConfigMap) -> ConfigMap {
    for (from, to) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let (Some(id), false) = (properties.get(from), properties.contains_key(to)) {
            let id = id.clone();
            properties.insert(to.to_owned(), id);
        }
    }
    properties
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// `None` is null.
    pub text: Option<String>,
    pub source: ConfigSource,
    /// The key that was set, which may be another than the one asked for.
    pub key: String,
}

/// Looks up the value of `def`, a row of the table of `resource_type`.
pub fn resolve(resource_type: ConfigResourceType, def: &ConfigDef, layers: &Layers) -> Resolved {
    let found = |text: String, source, key: &str| Resolved {
        text: Some(text),
        source,
        key: key.to_owned(),
    };
    if let Some((text, source)) = override_of(resource_type, def, layers) {
        return found(text, source, def.name);
    }
    let by_layer = [
        (&layers.broker, ConfigSource::DynamicBroker),
        (&layers.cluster, ConfigSource::DynamicDefaultBroker),
        (&layers.properties, ConfigSource::StaticBroker),
    ];
    for (layer, source) in by_layer {
        if resource_type == ConfigResourceType::Broker
            && let Some(text) = layer.get(def.name)
        {
            return found(text.clone(), source, def.name);
        }
        for synonym in def.synonyms {
            if let Some(text) = layer.get(synonym.name) {
                return found(synonym.convert(text), source, synonym.name);
            }
        }
    }
    Resolved {
        text: def.default.map(str::to_owned),
        source: ConfigSource::Default,
        key: def.name.to_owned(),
    }
}

fn override_of(
    resource_type: ConfigResourceType,
    def: &ConfigDef,
    layers: &Layers,
) -> Option<(String, ConfigSource)> {
    let source = match resource_type {
        ConfigResourceType::Topic => ConfigSource::Topic,
        ConfigResourceType::Group => ConfigSource::Group,
        ConfigResourceType::ClientMetrics => ConfigSource::ClientMetrics,
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => return None,
    };
    layers
        .overrides
        .get(def.name)
        .map(|text| (text.clone(), source))
}

/// The value of `def`, parsed and checked; `None` is null.
pub fn resolve_value(
    resource_type: ConfigResourceType,
    def: &ConfigDef,
    layers: &Layers,
) -> Result<Option<Value>, ConfigError> {
    match resolve(resource_type, def, layers).text {
        Some(text) => def.parse(&text).map(Some),
        None => {
            let default = def.default_value()?;
            def.valid.check(def.name, default.as_ref())?;
            Ok(default)
        }
    }
}

/// The keys of a running broker in one map: what was set at run time replaces what stands in
/// server.properties, and with it the other keys of its sort.
pub fn effective_properties(layers: &Layers) -> ConfigMap {
    let mut effective = (*layers.properties).clone();
    for layer in [&layers.cluster, &layers.broker] {
        for (name, text) in layer.iter() {
            for replaced in names::replaced_by(name) {
                effective.remove(replaced);
            }
            effective.insert(name.clone(), text.clone());
        }
    }
    effective
}
