//! From `server.properties` to typed settings: of the broker, and of each topic's log.
//!
//! Invariant: keys, types and defaults come from the tables of the crate `metadata`; what differs
//! from upstream's defaults is the short list in [`embedded_defaults`].

pub(crate) mod groups;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metadata::config::{
    BrokerConfig, ConfigError, ConfigMap, ConfigResourceType, KLAMM_CONFIGS, KlammConfig, Layers,
    Listeners, TopicConfig, Value, check_properties, environment_variable, find_broker_config,
    resolve_value, unknown_properties, with_node_id,
};
use metadata::{ConfigResource, MetadataImage};
use protocol::{Compression, TimestampType};
use tempfile::TempDir;

use storage::{CleanupPolicy, LogConfig, TargetCompression};

use crate::admin::AdminAddress;

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartConfigError {
    #[error("cannot read {path}: {reason}", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("cannot make a temporary data folder in {path}: {reason}", path = .path.display())]
    NoTemporaryFolder { path: PathBuf, reason: String },
    #[error(transparent)]
    Value(#[from] ConfigError),
    #[error("{key}={value}: {reason}")]
    AdminListener {
        key: &'static str,
        value: String,
        reason: String,
    },
    #[error("{key}={value}: {reason}")]
    NotServed {
        key: &'static str,
        value: String,
        reason: &'static str,
    },
}

/// Everything one node is started with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub(crate) properties: Arc<ConfigMap>,
    pub(crate) broker: BrokerConfig,
    pub(crate) klamm: KlammConfig,
    /// The HTTP port, where one is asked for.
    pub(crate) admin_listener: Option<AdminAddress>,
    pub(crate) listeners: Listeners,
    pub(crate) node_id: i32,
    pub(crate) data_folder: PathBuf,
    pub(crate) request_max_bytes: usize,
    pub(crate) max_idle: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_ip: usize,
    pub(crate) fetch_max_bytes: usize,
    unknown: Vec<String>,
    /// Removed with the last copy of these settings.
    temporary: Option<Arc<TempDir>>,
}

/// What a topic's settings come to: for its log, and for the replica around it.
pub(crate) struct TopicSettings {
    pub(crate) log: LogConfig,
    pub(crate) min_in_sync_replicas: i32,
}

impl ServerConfig {
    /// Reads a properties file, if there is one, lays what the process's environment says of
    /// Klamm's own keys over it (`KLAMM_ADMIN_LISTENER`), and then `overrides`.
    ///
    /// # Errors
    /// A file that cannot be read, a value that does not parse (key, value and what was
    /// expected), or a setting that only a cluster could serve.
    pub fn load(
        file: Option<&Path>,
        overrides: &[(String, String)],
    ) -> Result<ServerConfig, StartConfigError> {
        let mut properties = file.map(read_properties).transpose()?.unwrap_or_default();
        properties.extend(from_environment(|name| std::env::var(name).ok()));
        take_create_topics(&mut properties, std::env::var("KAFKA_CREATE_TOPICS").ok());
        properties.extend(overrides.iter().cloned());
        ServerConfig::from_properties(properties)
    }

    /// Checks and types `properties`.
    ///
    /// # Errors
    /// As for [`ServerConfig::load`].
    pub fn from_properties(properties: ConfigMap) -> Result<ServerConfig, StartConfigError> {
        let unknown = unknown_properties(&properties)
            .into_iter()
            .map(String::from)
            .collect();
        let properties = embedded_defaults(with_node_id(properties));
        let layers = Layers::of_properties(properties.clone());
        let broker = BrokerConfig::parse(&layers)?;
        let klamm = KlammConfig::parse(&layers)?;
        refuse_clusters(&broker)?;
        // First, since it names the key as it was given (log.retention.ms, not retention.ms).
        let listeners = check_properties(&properties)?;
        // Defaults of topics are settings of the broker: a bad one stops the start, not a topic.
        TopicConfig::parse(&layers)?;
        refuse_secured(&listeners)?;
        refuse_authorizer(&properties)?;
        let limit = |count: i32| usize::try_from(count).unwrap_or(usize::MAX);
        let idle = u64::try_from(broker.connections_max_idle_ms).unwrap_or(u64::MAX);
        let data_folder = broker
            .data_dirs()
            .first()
            .map(PathBuf::from)
            .unwrap_or_default();
        Ok(ServerConfig {
            node_id: broker.node_id,
            data_folder,
            request_max_bytes: limit(broker.socket_request_max_bytes),
            max_idle: Duration::from_millis(idle.min(u64::from(u32::MAX) * 1000)),
            max_connections: limit(broker.max_connections),
            max_connections_per_ip: limit(broker.max_connections_per_ip),
            fetch_max_bytes: limit(broker.fetch_max_bytes),
            admin_listener: admin_listener(&klamm)?,
            properties: Arc::new(properties),
            broker,
            klamm,
            listeners,
            unknown,
            temporary: None,
        })
    }

    pub fn node_id(&self) -> i32 {
        self.node_id
    }

    /// The log directory.
    pub fn data_folder(&self) -> &Path {
        &self.data_folder
    }

    /// Whether the file or an override gives this key a value.
    pub fn is_set(&self, key: &str) -> bool {
        self.properties
            .get(key)
            .is_some_and(|value| !value.trim().is_empty())
    }

    /// For a broker inside a test: upstream's defaults, a free port of 127.0.0.1, data in a temporary
    /// folder that is removed with the broker, no wait for the first rebalance of a group, and
    /// `settings` over all of that.
    ///
    /// # Errors
    /// As for [`ServerConfig::load`]; and when there is no place for temporary files.
    pub fn ephemeral(settings: &[(&str, &str)]) -> Result<ServerConfig, StartConfigError> {
        let folder = tempfile::Builder::new().prefix("klamm-").tempdir();
        let folder = folder.map_err(|reason| StartConfigError::NoTemporaryFolder {
            path: std::env::temp_dir(),
            reason: reason.to_string(),
        })?;
        let log_dirs = folder.path().display().to_string();
        let embedded = [
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("log.dirs", log_dirs.as_str()),
            ("group.initial.rebalance.delay.ms", "0"),
        ];
        let properties = embedded.iter().chain(settings);
        let properties = properties.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut config = ServerConfig::from_properties(properties.collect())?;
        config.temporary = Some(Arc::new(folder));
        Ok(config)
    }

    /// What a user should know before the start, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let unknown = self.unknown.iter();
        unknown
            .map(|key| format!("{key} is not a setting of Kafka 4.3.1; it is ignored"))
            .collect()
    }
}

fn read_properties(path: &Path) -> Result<ConfigMap, StartConfigError> {
    let unreadable = |reason: String| StartConfigError::Unreadable {
        path: path.into(),
        reason,
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut properties = BTreeMap::new();
    java_properties::PropertiesIter::new(std::io::BufReader::new(file))
        .read_into(|key, value| {
            properties.insert(key, value);
        })
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(properties)
}

/// Klamm's own keys that variables set, as `variable` gives them.
fn from_environment(
    variable: impl Fn(&str) -> Option<String>,
) -> impl Iterator<Item = (String, String)> {
    KLAMM_CONFIGS.iter().filter_map(move |def| {
        let value = variable(&environment_variable(def.name))?;
        Some((def.name.to_owned(), value))
    })
}

/// `KAFKA_CREATE_TOPICS` is what older images made topics from; the image's entry point turns it
/// into a property of that name. Where nothing else says which topics there are, it does.
fn take_create_topics(properties: &mut ConfigMap, variable: Option<String>) {
    let mapped = properties.remove("create.topics");
    if let Some(topics) = mapped.or(variable) {
        properties
            .entry("klamm.topics".to_owned())
            .or_insert(topics);
    }
}

/// The closed list of settings whose default is not upstream's.
fn embedded_defaults(mut properties: ConfigMap) -> ConfigMap {
    let mut default = |key: &str, value: &str| {
        properties
            .entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
    };
    default("node.id", "1");
    default("broker.id", "1");
    default("process.roles", "broker,controller");
    default("controller.listener.names", "CONTROLLER");
    default("listeners", "PLAINTEXT://127.0.0.1:9092");
    if !properties.contains_key("log.dir") {
        properties
            .entry("log.dirs".to_owned())
            .or_insert_with(|| "./data".to_owned());
    }
    properties
}

/// One node is served: its own controller, one log directory.
fn refuse_clusters(broker: &BrokerConfig) -> Result<(), StartConfigError> {
    let refuse = |key, value: &[String], reason| {
        Err(StartConfigError::NotServed {
            key,
            value: value.join(","),
            reason,
        })
    };
    let has_role = |role: &str| broker.process_roles.iter().any(|it| it == role);
    if !has_role("broker") || !has_role("controller") {
        let reason = "one node is broker and controller: expected process.roles=broker,controller";
        return refuse("process.roles", &broker.process_roles, reason);
    }
    if broker.controller_quorum_voters.len() > 1 {
        let reason = "a quorum of several controllers is not served: name this node alone";
        return refuse(
            "controller.quorum.voters",
            &broker.controller_quorum_voters,
            reason,
        );
    }
    if broker.data_dirs().len() != 1 {
        let reason = "several log directories are not served: name one";
        return refuse("log.dirs", broker.data_dirs(), reason);
    }
    Ok(())
}

/// Where the HTTP port is to be; an empty text turns it off.
fn admin_listener(klamm: &KlammConfig) -> Result<Option<AdminAddress>, StartConfigError> {
    let text = klamm.admin_listener.as_deref().map(str::trim);
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = AdminAddress::parse(text).map_err(|reason| StartConfigError::AdminListener {
        key: "klamm.admin.listener",
        value: text.to_owned(),
        reason: reason.to_string(),
    });
    parsed.map(Some)
}

fn refuse_secured(listeners: &Listeners) -> Result<(), StartConfigError> {
    let plain = metadata::SecurityProtocol::Plaintext;
    let mut all = listeners.broker.iter().chain(&listeners.controller);
    match all.find(|listener| listener.security_protocol != plain) {
        None => Ok(()),
        Some(listener) => Err(StartConfigError::NotServed {
            key: "listeners",
            value: listener.name.clone(),
            reason: "TLS and SASL are not served yet: expected a listener that \
                     listener.security.protocol.map makes PLAINTEXT",
        }),
    }
}

/// Who asks for ACLs must not get a broker that lets everyone do everything.
fn refuse_authorizer(properties: &ConfigMap) -> Result<(), StartConfigError> {
    let key = "authorizer.class.name";
    match properties.get(key).filter(|class| !class.trim().is_empty()) {
        None => Ok(()),
        Some(class) => Err(StartConfigError::NotServed {
            key,
            value: class.clone(),
            reason: "ACLs are not served yet: expected no authorizer",
        }),
    }
}

/// The layers below a topic's own settings.
pub(crate) fn broker_layers(config: &ServerConfig, image: &MetadataImage) -> Layers {
    Layers::of_broker(&image.configs, config.node_id, config.properties.clone())
}

/// `max.connections` and `max.connections.per.ip`, as they are now.
pub(crate) fn connection_limits(config: &ServerConfig, image: &MetadataImage) -> (usize, usize) {
    let broker = &config.broker;
    let limit = |key, at_start| {
        usize::try_from(broker_int(config, image, key, at_start)).unwrap_or(usize::MAX)
    };
    (
        limit("max.connections", broker.max_connections),
        limit("max.connections.per.ip", broker.max_connections_per_ip),
    )
}

/// `num.recovery.threads.per.data.dir`, as it is now.
pub(crate) fn recovery_threads(config: &ServerConfig, image: &MetadataImage) -> usize {
    let key = "num.recovery.threads.per.data.dir";
    let at_start = config.broker.num_recovery_threads_per_data_dir;
    usize::try_from(broker_int(config, image, key, at_start))
        .unwrap_or(1)
        .max(1)
}

/// `transaction.partition.verification.enable`, as it is now.
pub(crate) fn verifies_transactions(config: &ServerConfig, image: &MetadataImage) -> bool {
    let key = "transaction.partition.verification.enable";
    let at_start = config.broker.transaction_partition_verification_enable;
    broker_switch(config, image, key, at_start)
}

/// As [`broker_int`], of a switch.
fn broker_switch(config: &ServerConfig, image: &MetadataImage, key: &str, at_start: bool) -> bool {
    match broker_value(config, image, key) {
        Some(Value::Boolean(value)) => value,
        Some(_) | None => at_start,
    }
}

/// A number that can change at run time; what stands in the metadata was checked when it was set.
fn broker_int(config: &ServerConfig, image: &MetadataImage, key: &str, at_start: i32) -> i32 {
    match broker_value(config, image, key) {
        Some(Value::Int(value)) => value,
        Some(_) | None => at_start,
    }
}

fn broker_value(config: &ServerConfig, image: &MetadataImage, key: &str) -> Option<Value> {
    let def = find_broker_config(key)?;
    let layers = broker_layers(config, image);
    resolve_value(ConfigResourceType::Broker, def, &layers)
        .ok()
        .flatten()
}

/// The settings of a topic.
pub(crate) fn topic_settings(
    config: &ServerConfig,
    image: &MetadataImage,
    topic: &Arc<str>,
) -> Result<TopicSettings, ConfigError> {
    let own = image.configs.of(&ConfigResource::Topic(topic.clone()));
    let parsed = TopicConfig::parse(&broker_layers(config, image).with_overrides(own))?;
    Ok(TopicSettings {
        log: LogConfig {
            producer_id_expiration_ms: i64::from(broker_int(
                config,
                image,
                "producer.id.expiration.ms",
                config.broker.producer_id_expiration_ms,
            )),
            verify_transactions: verifies_transactions(config, image),
            ..log_config(&parsed)
        },
        min_in_sync_replicas: parsed.min_insync_replicas,
    })
}

fn log_config(topic: &TopicConfig) -> LogConfig {
    let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
    LogConfig {
        segment_bytes: unsigned(topic.segment_size()),
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        index_interval_bytes: unsigned(topic.index_interval_bytes),
        max_message_bytes: usize::try_from(topic.max_message_bytes).unwrap_or(0),
        flush_messages: topic.flush_messages,
        flush_ms: topic.flush_ms,
        retention_bytes: topic.retention_bytes,
        retention_ms: topic.retention_ms,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        cleanup: CleanupPolicy {
            delete: topic.deletes(),
            compact: topic.compacts(),
        },
        timestamp_type: match topic.message_timestamp_type.as_str() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        },
        timestamp_before_max_ms: topic.message_timestamp_before_max_ms,
        timestamp_after_max_ms: topic.message_timestamp_after_max_ms,
        compression: match topic.compression_type.as_str() {
            "uncompressed" => TargetCompression::Codec(Compression::None),
            "gzip" => TargetCompression::Codec(Compression::Gzip),
            "snappy" => TargetCompression::Codec(Compression::Snappy),
            "lz4" => TargetCompression::Codec(Compression::Lz4),
            "zstd" => TargetCompression::Codec(Compression::Zstd),
            _ => TargetCompression::Producer,
        },
        preallocate: topic.preallocate,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        delete_retention_ms: topic.delete_retention_ms,
        ..LogConfig::default()
    }
}
