//! What DescribeConfigs answers for one resource.
//!
//! Invariant: entries, their order, values, sources and synonyms are upstream's; the value of a
//! secret, or of a key that no row knows, is never given out.

use super::broker::{BROKER_CONFIGS, find_broker_config};
use super::def::{ConfigDef, UpdateMode, find};
use super::java_order;
use super::names;
use super::resolve::{ConfigMap, ConfigSource, Layers, effective_properties, resolve};
use super::resource::{ConfigResource, ConfigResourceType};
use super::value::ConfigKind;
use super::{CLIENT_METRICS_CONFIGS, GROUP_CONFIGS, TOPIC_CONFIGS};

/// One entry of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConfig {
    pub name: String,
    /// `None` is null: not set, or secret.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub sensitive: bool,
    /// Where a value would come from, the one that counts first.
    pub synonyms: Vec<DescribedSynonym>,
    /// `None` where no row knows the key.
    pub kind: Option<ConfigKind>,
    pub doc: Option<&'static str>,
}

impl DescribedConfig {
    /// The type on the wire.
    pub fn kind_code(&self) -> i8 {
        self.kind.map_or(0, ConfigKind::code)
    }

    /// What versions below 1 ask instead of the source.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }
}

/// A place where the value of a config is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// All entries of `resource`; `layers.overrides` are those of the topic, group or subscription.
/// Loggers are not in the tables and have no entries here.
pub fn describe(resource: &ConfigResource, layers: &Layers) -> Vec<DescribedConfig> {
    match resource {
        ConfigResource::Topic(_) => {
            let describe = |def| describe_topic_config(def, layers);
            described_table(TOPIC_CONFIGS, &layers.overrides, describe)
        }
        ConfigResource::Group(_) => {
            let describe = |def| describe_group_config(def, layers);
            described_table(GROUP_CONFIGS, &layers.overrides, describe)
        }
        ConfigResource::ClientMetrics(_) => {
            let describe = |def| describe_client_metrics_config(def, layers);
            described_table(CLIENT_METRICS_CONFIGS, &layers.overrides, describe)
        }
        ConfigResource::Broker(Some(_)) => describe_broker(layers),
        ConfigResource::Broker(None) => describe_cluster_default(layers),
        ConfigResource::BrokerLogger(_) => Vec::new(),
    }
}

/// What is set and internal comes first, then all rows that are not internal.
fn described_table(
    table: &'static [ConfigDef],
    overrides: &ConfigMap,
    describe: impl Fn(&'static ConfigDef) -> DescribedConfig,
) -> Vec<DescribedConfig> {
    let is_set_internal = |def: &&ConfigDef| def.internal && overrides.contains_key(def.name);
    let internal = table.iter().filter(is_set_internal).map(|def| def.name);
    let public = table.iter().filter(|def| !def.internal).map(|def| def.name);
    java_order::of_copied(internal)
        .into_iter()
        .chain(java_order::of_grown(public))
        .filter_map(|name| find(table, name))
        .map(describe)
        .collect()
}

fn describe_topic_config(def: &'static ConfigDef, layers: &Layers) -> DescribedConfig {
    let text = resolve(ConfigResourceType::Topic, def, layers).text;
    let value = shown_value(def, text);
    let mut synonyms = match def.synonym() {
        Some(name) => broker_synonyms(name, def.is_sensitive(), layers),
        None => Vec::new(),
    };
    if layers.overrides.contains_key(def.name) {
        synonyms.insert(0, own_synonym(def, value.clone(), ConfigSource::Topic));
    }
    described(def, value, synonyms)
}

fn describe_group_config(def: &'static ConfigDef, layers: &Layers) -> DescribedConfig {
    let value = shown_value(def, resolve(ConfigResourceType::Group, def, layers).text);
    let mut synonyms = match def.synonym() {
        Some(name) => broker_synonyms(name, def.is_sensitive(), layers),
        None => {
            let default = def.default.map(str::to_owned);
            vec![own_synonym(def, default, ConfigSource::Default)]
        }
    };
    if layers.overrides.contains_key(def.name) {
        synonyms.insert(0, own_synonym(def, value.clone(), ConfigSource::Group));
    }
    described(def, value, synonyms)
}

fn describe_client_metrics_config(def: &'static ConfigDef, layers: &Layers) -> DescribedConfig {
    let value = shown_value(
        def,
        resolve(ConfigResourceType::ClientMetrics, def, layers).text,
    );
    let mut synonyms = Vec::new();
    if layers.overrides.contains_key(def.name) {
        synonyms.push(own_synonym(def, value.clone(), ConfigSource::ClientMetrics));
    }
    described(def, value, synonyms)
}

/// The first synonym is the one that counts, so its source is the entry's.
fn described(
    def: &'static ConfigDef,
    value: Option<String>,
    synonyms: Vec<DescribedSynonym>,
) -> DescribedConfig {
    DescribedConfig {
        name: def.name.to_owned(),
        value,
        source: source_of(&synonyms),
        read_only: false,
        sensitive: def.is_sensitive(),
        synonyms,
        kind: Some(def.kind),
        doc: Some(def.doc()),
    }
}

fn own_synonym(def: &ConfigDef, value: Option<String>, source: ConfigSource) -> DescribedSynonym {
    DescribedSynonym {
        name: def.name.to_owned(),
        value,
        source,
    }
}

fn source_of(synonyms: &[DescribedSynonym]) -> ConfigSource {
    synonyms
        .first()
        .map_or(ConfigSource::Default, |synonym| synonym.source)
}

/// The text of a value after parsing: ` 1` is shown as `1`. A text that does not parse cannot have
/// been set, but is shown rather than hidden.
fn shown_value(def: &ConfigDef, text: Option<String>) -> Option<String> {
    let text = text?;
    if def.is_sensitive() {
        return None;
    }
    Some(def.parse(&text).map_or(text, |value| value.to_text()))
}

/// Everywhere a broker's key is set, the nearest first. What stands before the key itself is left
/// out: `log.retention.hours` alone leaves `log.retention.ms` without synonyms, as upstream has it.
fn broker_synonyms(name: &str, sensitive: bool, layers: &Layers) -> Vec<DescribedSynonym> {
    let names = names::synonyms(name);
    let mut all = Vec::new();
    let by_layer = [
        (&layers.broker, ConfigSource::DynamicBroker),
        (&layers.cluster, ConfigSource::DynamicDefaultBroker),
        (&layers.properties, ConfigSource::StaticBroker),
    ];
    let synonym = |name: &str, text: &str, source| DescribedSynonym {
        name: name.to_owned(),
        value: (!sensitive).then(|| text.to_owned()),
        source,
    };
    for (layer, source) in by_layer {
        for name in &names {
            all.extend(layer.get(*name).map(|text| synonym(name, text, source)));
        }
    }
    for name in &names {
        let default = find(BROKER_CONFIGS, name).and_then(|def| def.default);
        all.extend(default.map(|text| synonym(name, text, ConfigSource::Default)));
    }
    all.into_iter()
        .skip_while(|synonym| synonym.name != name)
        .collect()
}

/// Keys that no public row knows come first, then the rows.
fn describe_broker(layers: &Layers) -> Vec<DescribedConfig> {
    let effective = effective_properties(layers);
    let is_public = |name: &str| find(BROKER_CONFIGS, name).is_some_and(|def| !def.internal);
    let originals: Vec<&str> = java_order::of_copied(effective.keys().map(String::as_str))
        .into_iter()
        .filter(|name| !is_public(name))
        .collect();
    let rows = BROKER_CONFIGS
        .iter()
        .filter(|def| !def.internal)
        .map(|def| def.name);
    originals
        .into_iter()
        .chain(java_order::of_grown(rows))
        .map(|name| {
            let text = effective.get(name).cloned();
            let default = || find(BROKER_CONFIGS, name)?.default.map(str::to_owned);
            describe_broker_config(name, text.or_else(default), layers)
        })
        .collect()
}

fn describe_broker_config(name: &str, text: Option<String>, layers: &Layers) -> DescribedConfig {
    let def = typed_by(name);
    let sensitive = def.is_none_or(ConfigDef::is_sensitive);
    let value = match find(BROKER_CONFIGS, name) {
        Some(def) if !def.internal => shown_value(def, text),
        _ => text.filter(|_| !sensitive),
    };
    let synonyms = broker_synonyms(name, sensitive, layers);
    DescribedConfig {
        name: name.to_owned(),
        value,
        source: source_of(&synonyms),
        read_only: is_read_only(name),
        sensitive,
        synonyms,
        kind: def.map(|def| def.kind),
        doc: find(BROKER_CONFIGS, name).map(ConfigDef::doc),
    }
}

/// Only what was set, and only its value for all brokers.
fn describe_cluster_default(layers: &Layers) -> Vec<DescribedConfig> {
    let cluster = &layers.cluster;
    java_order::of_scala(cluster.keys().map(String::as_str))
        .into_iter()
        .map(|name| {
            let mut config = describe_broker_config(name, None, layers);
            config.value = cluster.get(name).filter(|_| !config.sensitive).cloned();
            config
                .synonyms
                .retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
            config.source = source_of(&config.synonyms);
            config
        })
        .collect()
}

/// The row that gives a key its type: its own, or for a key of one listener the key of all.
fn typed_by(name: &str) -> Option<&'static ConfigDef> {
    find_broker_config(name).or_else(|| {
        names::synonyms(name)
            .into_iter()
            .find_map(|name| find(BROKER_CONFIGS, name))
    })
}

/// A key of one listener is read-only here as in upstream's answer, though it can be changed.
fn is_read_only(name: &str) -> bool {
    find_broker_config(name).is_none_or(|def| def.update == UpdateMode::ReadOnly)
}
