//! The tables of configs, and all that derives from them: parsing, checks, the order in which a
//! value is looked up, what DescribeConfigs answers, and `docs/configuration.md`.
//!
//! Invariant: a config that upstream 4.3.1 knows is a row here, with upstream's type, default,
//! limits and update mode; a row says whether Klamm reads it. Keys of our own are a table apart.

mod broker;
mod broker_check;
mod client_metrics;
mod def;
mod describe;
mod duration;
mod error;
mod group;
mod group_bounds;
mod ignored;
pub mod java_order;
mod klamm;
mod listeners;
mod markdown;
mod names;
mod resolve;
mod resource;
mod topic;
mod typed;
mod valid;
mod validate;
mod value;

pub use broker::{BROKER_CONFIGS, DYNAMIC_ONLY_BROKER_CONFIGS, find_broker_config};
pub use broker_check::{check_properties, consumer_assignor, unknown_properties};
pub use client_metrics::{ClientAttribute, ClientMatch};
pub use def::{ConfigDef, Served, Synonym, Unit, UpdateMode, find};
pub use describe::{DescribedConfig, DescribedSynonym, describe};
pub use error::{ConfigError, InvalidConfig};
pub use group_bounds::group_bound_keys;
pub use klamm::environment_variable;
pub(crate) use listeners::{ADVERTISED_LISTENERS, advertised_address};
pub use listeners::{Listener, ListenerProperties, Listeners, parse_listeners, parse_protocol_map};
pub use markdown::configuration_markdown;
pub use resolve::{
    ConfigMap, ConfigSource, Layers, Resolved, effective_properties, resolve, resolve_value,
    with_node_id,
};
pub use resource::{ConfigResource, ConfigResourceType};
pub use typed::{
    BrokerConfig, ClientMetricsConfig, GroupConfig, KlammConfig, ShareAutoOffsetReset, TopicConfig,
};
pub use valid::Valid;
pub use validate::{
    null_values, validate, validate_broker, validate_client_metrics, validate_group, validate_topic,
};
pub use value::{ConfigKind, Value};

/// What upstream has not, read from the same file.
pub static KLAMM_CONFIGS: &[ConfigDef] = klamm::ROWS;
/// What a topic may override.
pub static TOPIC_CONFIGS: &[ConfigDef] = topic::ROWS;
/// What a consumer, share or streams group may override.
pub static GROUP_CONFIGS: &[ConfigDef] = group::ROWS;
/// What a client metrics subscription is made of.
pub static CLIENT_METRICS_CONFIGS: &[ConfigDef] = client_metrics::ROWS;
