//! The controller's questions to the config tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::config::{
    self, CLIENT_METRICS_CONFIGS, ConfigDef, ConfigKind, ConfigMap, ConfigResourceType,
    GROUP_CONFIGS, InvalidConfig, Layers, TOPIC_CONFIGS,
};
use metadata::{ConfigResource, MetadataImage};

use super::super::api_error::ApiError;
use crate::options::Settings;

/// One config of a topic as CreateTopics answers it.
pub(crate) struct EffectiveConfig {
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) source: i8,
    pub(crate) sensitive: bool,
}

fn layers(image: &MetadataImage, settings: &Settings) -> Layers {
    let properties = Arc::clone(&settings.static_properties);
    Layers::of_broker(&image.configs, settings.node_id, properties)
}

fn refused(error: InvalidConfig) -> ApiError {
    ApiError::new(error.code, error.message)
}

/// Checks all overrides of a resource as they will be.
pub(crate) fn validate(
    resource: &ConfigResource,
    overrides: &ConfigMap,
    image: &MetadataImage,
    settings: &Settings,
) -> Result<(), ApiError> {
    match resource {
        ConfigResource::Topic(_) => config::validate_topic(overrides, &layers(image, settings)),
        ConfigResource::Group(group) => {
            config::validate_group(group, overrides, &layers(image, settings))
        }
        ConfigResource::ClientMetrics(name) => config::validate_client_metrics(name, overrides),
        // The broker itself has checked what it can change, see `check`.
        ConfigResource::Broker(_) | ConfigResource::BrokerLogger(_) => Ok(()),
    }
    .map_err(refused)
}

/// Checks all that will be set for this broker, or for all of them.
pub(super) fn validate_dynamic_broker(
    overrides: &ConfigMap,
    per_broker: bool,
    image: &MetadataImage,
    settings: &Settings,
) -> Result<(), ApiError> {
    config::validate_broker(overrides, per_broker, &layers(image, settings)).map_err(refused)
}

fn definition(resource: &ConfigResource, name: &str) -> Option<&'static ConfigDef> {
    match resource {
        ConfigResource::Topic(_) => config::find(TOPIC_CONFIGS, name),
        ConfigResource::Group(_) => config::find(GROUP_CONFIGS, name),
        ConfigResource::ClientMetrics(_) => config::find(CLIENT_METRICS_CONFIGS, name),
        ConfigResource::Broker(_) => config::find_broker_config(name),
        ConfigResource::BrokerLogger(_) => None,
    }
}

pub(super) fn is_list(resource: &ConfigResource, name: &str) -> bool {
    // Upstream's controller does not know the types of subscriptions: none of their configs is one.
    if matches!(resource, ConfigResource::ClientMetrics(_)) {
        return false;
    }
    definition(resource, name).is_some_and(|definition| definition.kind == ConfigKind::List)
}

pub(super) fn default_of(resource: &ConfigResource, name: &str) -> Option<&'static str> {
    definition(resource, name).and_then(|definition| definition.default)
}

/// The value of a topic's config, wherever it comes from.
pub(crate) fn effective_value(
    name: &str,
    overrides: Arc<BTreeMap<String, String>>,
    image: &MetadataImage,
    settings: &Settings,
) -> Option<String> {
    let definition = config::find(TOPIC_CONFIGS, name)?;
    let layers = layers(image, settings).with_overrides(overrides);
    config::resolve(ConfigResourceType::Topic, definition, &layers).text
}

/// All configs of a topic with these overrides, in name order.
pub(crate) fn effective(
    overrides: &ConfigMap,
    image: &MetadataImage,
    settings: &Settings,
) -> Vec<EffectiveConfig> {
    let layers = layers(image, settings).with_overrides(Arc::new(overrides.clone()));
    let mut configs: Vec<EffectiveConfig> = TOPIC_CONFIGS
        .iter()
        .filter(|definition| !definition.internal || overrides.contains_key(definition.name))
        .map(|definition| {
            let resolved = config::resolve(ConfigResourceType::Topic, definition, &layers);
            EffectiveConfig {
                name: definition.name,
                value: resolved.text,
                source: resolved.source.code(),
                sensitive: definition.is_sensitive(),
            }
        })
        .collect();
    configs.sort_by_key(|config| config.name);
    configs
}
