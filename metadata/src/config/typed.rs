//! The configs that code reads, as structs: one field a key, its type the row's.
//!
//! Invariant: a row of brokers or topics is honoured exactly when a field reads it, here or
//! through a topic's synonym (a test compares the two).

use super::broker::find_broker_config;
use super::def::{ConfigDef, find};
use super::error::ConfigError;
use super::resolve::{Layers, resolve_value};
use super::resource::ConfigResourceType;
use super::value::Value;
use super::{CLIENT_METRICS_CONFIGS, GROUP_CONFIGS, KLAMM_CONFIGS, TOPIC_CONFIGS};

/// What a field can be made from.
trait FromValue: Sized {
    /// `None` where the value has another type.
    fn from_value(value: Option<Value>) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty: $($variant:ident)|+;)*) => {$(
        impl FromValue for $type {
            fn from_value(value: Option<Value>) -> Option<$type> {
                $(if let Some(Value::$variant(value)) = value {
                    return Some(value);
                })+
                None
            }
        }

        impl FromValue for Option<$type> {
            fn from_value(value: Option<Value>) -> Option<Option<$type>> {
                match value {
                    None => Some(None),
                    value => <$type>::from_value(value).map(Some),
                }
            }
        }
    )*};
}

from_value! {
    bool: Boolean;
    i16: Short;
    i32: Int;
    i64: Long;
    f64: Double;
    Vec<String>: List;
}

impl FromValue for String {
    fn from_value(value: Option<Value>) -> Option<String> {
        match value? {
            Value::String(text) | Value::Class(text) => Some(text),
            Value::Boolean(_)
            | Value::Int(_)
            | Value::Short(_)
            | Value::Long(_)
            | Value::Double(_)
            | Value::List(_)
            | Value::Password(_) => None,
        }
    }
}

impl FromValue for Option<String> {
    fn from_value(value: Option<Value>) -> Option<Option<String>> {
        match value {
            None => Some(None),
            value => String::from_value(value).map(Some),
        }
    }
}

fn read<T: FromValue>(
    resource_type: ConfigResourceType,
    def: Option<&'static ConfigDef>,
    name: &str,
    layers: &Layers,
) -> Result<T, ConfigError> {
    let def = def.ok_or_else(|| ConfigError::sentence(name, None, "is not in the table"))?;
    let value = resolve_value(resource_type, def, layers)?;
    T::from_value(value).ok_or_else(|| {
        ConfigError::sentence(
            name,
            None,
            format!("is no value of type {}", def.kind.name()),
        )
    })
}

macro_rules! typed_config {
    (
        $(#[$meta:meta])*
        pub struct $struct:ident, $resource_type:ident, $find:expr;
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $name:literal;)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $struct {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $struct {
            /// The keys that are read, in the order of the fields.
            pub const KEYS: &'static [&'static str] = &[$($name),*];

            /// Resolves, parses and checks every key.
            pub fn parse(layers: &Layers) -> Result<$struct, ConfigError> {
                let resource_type = ConfigResourceType::$resource_type;
                let find: fn(&str) -> Option<&'static ConfigDef> = $find;
                Ok($struct {
                    $($field: read(resource_type, find($name), $name, layers)?,)*
                })
            }
        }
    };
}

typed_config! {
    /// What a partition's log needs to know.
    pub struct TopicConfig, Topic, |name| find(TOPIC_CONFIGS, name);
    cleanup_policy: Vec<String> = "cleanup.policy";
    compression_type: String = "compression.type";
    delete_retention_ms: i64 = "delete.retention.ms";
    file_delete_delay_ms: i64 = "file.delete.delay.ms";
    flush_messages: i64 = "flush.messages";
    flush_ms: i64 = "flush.ms";
    index_interval_bytes: i32 = "index.interval.bytes";
    /// Counts before `segment_bytes`, see [`TopicConfig::segment_size`].
    internal_segment_bytes: Option<i32> = "internal.segment.bytes";
    max_compaction_lag_ms: i64 = "max.compaction.lag.ms";
    max_message_bytes: i32 = "max.message.bytes";
    message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms";
    message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms";
    message_timestamp_type: String = "message.timestamp.type";
    min_cleanable_dirty_ratio: f64 = "min.cleanable.dirty.ratio";
    min_compaction_lag_ms: i64 = "min.compaction.lag.ms";
    min_insync_replicas: i32 = "min.insync.replicas";
    preallocate: bool = "preallocate";
    /// -1 is no limit.
    retention_bytes: i64 = "retention.bytes";
    /// -1 is for ever.
    retention_ms: i64 = "retention.ms";
    segment_bytes: i32 = "segment.bytes";
    segment_jitter_ms: i64 = "segment.jitter.ms";
    segment_ms: i64 = "segment.ms";
}

impl TopicConfig {
    /// The largest segment file, in bytes.
    pub fn segment_size(&self) -> i32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }

    /// Whether old segments are deleted.
    pub fn deletes(&self) -> bool {
        self.cleanup_policy.iter().any(|policy| policy == "delete")
    }

    /// Whether the log is to be compacted.
    pub fn compacts(&self) -> bool {
        self.cleanup_policy.iter().any(|policy| policy == "compact")
    }
}

typed_config! {
    /// What a broker needs to know. The defaults of its topics are in
    /// `TopicConfig::parse(&layers)`.
    pub struct BrokerConfig, Broker, find_broker_config;
    add_partitions_to_txn_retry_backoff_max_ms: i32 = "add.partitions.to.txn.retry.backoff.max.ms";
    add_partitions_to_txn_retry_backoff_ms: i32 = "add.partitions.to.txn.retry.backoff.ms";
    advertised_listeners: Option<Vec<String>> = "advertised.listeners";
    auto_create_topics_enable: bool = "auto.create.topics.enable";
    broker_id: i32 = "broker.id";
    broker_rack: Option<String> = "broker.rack";
    /// Negative for ever.
    connections_max_idle_ms: i64 = "connections.max.idle.ms";
    controller_listener_names: Vec<String> = "controller.listener.names";
    controller_quorum_voters: Vec<String> = "controller.quorum.voters";
    default_replication_factor: i32 = "default.replication.factor";
    delete_topic_enable: bool = "delete.topic.enable";
    fetch_max_bytes: i32 = "fetch.max.bytes";
    group_consumer_assignment_interval_ms: i32 = "group.consumer.assignment.interval.ms";
    group_consumer_assignors: Vec<String> = "group.consumer.assignors";
    group_consumer_heartbeat_interval_ms: i32 = "group.consumer.heartbeat.interval.ms";
    group_consumer_max_size: i32 = "group.consumer.max.size";
    group_consumer_migration_policy: String = "group.consumer.migration.policy";
    group_consumer_regex_refresh_interval_ms: i32 = "group.consumer.regex.refresh.interval.ms";
    group_consumer_session_timeout_ms: i32 = "group.consumer.session.timeout.ms";
    group_coordinator_rebalance_protocols: Vec<String> = "group.coordinator.rebalance.protocols";
    group_initial_rebalance_delay_ms: i32 = "group.initial.rebalance.delay.ms";
    group_max_session_timeout_ms: i32 = "group.max.session.timeout.ms";
    group_max_size: i32 = "group.max.size";
    group_min_session_timeout_ms: i32 = "group.min.session.timeout.ms";
    group_share_assignment_interval_ms: i32 = "group.share.assignment.interval.ms";
    group_share_heartbeat_interval_ms: i32 = "group.share.heartbeat.interval.ms";
    group_share_initialize_retry_interval_ms: i32 = "group.share.initialize.retry.interval.ms";
    group_share_max_share_sessions: i32 = "group.share.max.share.sessions";
    group_share_max_size: i32 = "group.share.max.size";
    group_share_session_timeout_ms: i32 = "group.share.session.timeout.ms";
    inter_broker_listener_name: Option<String> = "inter.broker.listener.name";
    listener_security_protocol_map: String = "listener.security.protocol.map";
    listeners: Vec<String> = "listeners";
    log_cleaner_backoff_ms: i64 = "log.cleaner.backoff.ms";
    log_cleaner_dedupe_buffer_size: i64 = "log.cleaner.dedupe.buffer.size";
    log_cleaner_enable: bool = "log.cleaner.enable";
    log_cleaner_io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second";
    log_cleaner_threads: i32 = "log.cleaner.threads";
    log_dir: Vec<String> = "log.dir";
    /// See [`BrokerConfig::data_dirs`].
    log_dirs: Option<Vec<String>> = "log.dirs";
    log_flush_offset_checkpoint_interval_ms: i32 = "log.flush.offset.checkpoint.interval.ms";
    log_flush_scheduler_interval_ms: i64 = "log.flush.scheduler.interval.ms";
    log_flush_start_offset_checkpoint_interval_ms: i32 =
        "log.flush.start.offset.checkpoint.interval.ms";
    log_retention_check_interval_ms: i64 = "log.retention.check.interval.ms";
    max_connections: i32 = "max.connections";
    max_connections_per_ip: i32 = "max.connections.per.ip";
    max_incremental_fetch_session_cache_slots: i32 = "max.incremental.fetch.session.cache.slots";
    max_request_partition_size_limit: i32 = "max.request.partition.size.limit";
    metadata_log_max_record_bytes_between_snapshots: i64 =
        "metadata.log.max.record.bytes.between.snapshots";
    node_id: i32 = "node.id";
    num_partitions: i32 = "num.partitions";
    num_recovery_threads_per_data_dir: i32 = "num.recovery.threads.per.data.dir";
    offset_metadata_max_bytes: i32 = "offset.metadata.max.bytes";
    offsets_commit_timeout_ms: i32 = "offsets.commit.timeout.ms";
    offsets_retention_check_interval_ms: i64 = "offsets.retention.check.interval.ms";
    offsets_retention_minutes: i32 = "offsets.retention.minutes";
    offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions";
    offsets_topic_replication_factor: i16 = "offsets.topic.replication.factor";
    offsets_topic_segment_bytes: i32 = "offsets.topic.segment.bytes";
    process_roles: Vec<String> = "process.roles";
    producer_id_expiration_ms: i32 = "producer.id.expiration.ms";
    /// -1 is no limit.
    queued_max_request_bytes: i64 = "queued.max.request.bytes";
    replica_high_watermark_checkpoint_interval_ms: i64 =
        "replica.high.watermark.checkpoint.interval.ms";
    security_inter_broker_protocol: String = "security.inter.broker.protocol";
    share_coordinator_cold_partition_snapshot_interval_ms: i32 =
        "share.coordinator.cold.partition.snapshot.interval.ms";
    share_coordinator_snapshot_update_records_per_snapshot: i32 =
        "share.coordinator.snapshot.update.records.per.snapshot";
    share_coordinator_state_topic_min_isr: i16 = "share.coordinator.state.topic.min.isr";
    share_coordinator_state_topic_num_partitions: i32 =
        "share.coordinator.state.topic.num.partitions";
    share_coordinator_state_topic_prune_interval_ms: i32 =
        "share.coordinator.state.topic.prune.interval.ms";
    share_coordinator_state_topic_replication_factor: i16 =
        "share.coordinator.state.topic.replication.factor";
    share_coordinator_state_topic_segment_bytes: i32 =
        "share.coordinator.state.topic.segment.bytes";
    share_coordinator_write_timeout_ms: i32 = "share.coordinator.write.timeout.ms";
    socket_listen_backlog_size: i32 = "socket.listen.backlog.size";
    socket_request_max_bytes: i32 = "socket.request.max.bytes";
    telemetry_max_bytes: i32 = "telemetry.max.bytes";
    transaction_abort_timed_out_transaction_cleanup_interval_ms: i32 =
        "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    transaction_max_timeout_ms: i32 = "transaction.max.timeout.ms";
    transaction_partition_verification_enable: bool = "transaction.partition.verification.enable";
    transaction_remove_expired_transaction_cleanup_interval_ms: i32 =
        "transaction.remove.expired.transaction.cleanup.interval.ms";
    transaction_state_log_min_isr: i32 = "transaction.state.log.min.isr";
    transaction_state_log_num_partitions: i32 = "transaction.state.log.num.partitions";
    transaction_state_log_replication_factor: i16 = "transaction.state.log.replication.factor";
    transaction_state_log_segment_bytes: i32 = "transaction.state.log.segment.bytes";
    transaction_two_phase_commit_enable: bool = "transaction.two.phase.commit.enable";
    transactional_id_expiration_ms: i32 = "transactional.id.expiration.ms";
}

impl BrokerConfig {
    /// The folders of the data: `log.dirs`, or `log.dir` where that is not set.
    pub fn data_dirs(&self) -> &[String] {
        self.log_dirs.as_deref().unwrap_or(&self.log_dir)
    }
}

typed_config! {
    /// What a broker does beside Kafka's protocol.
    pub struct KlammConfig, Broker, |name| find(KLAMM_CONFIGS, name);
    admin_listener: Option<String> = "klamm.admin.listener";
    seed: Option<String> = "klamm.seed";
    seed_file: Option<String> = "klamm.seed.file";
    test_mode: bool = "klamm.test.mode";
    topics: Option<String> = "klamm.topics";
    users: Option<String> = "klamm.users";
}

typed_config! {
    /// A client metrics subscription (KIP-714).
    pub struct ClientMetricsConfig, ClientMetrics, |name| find(CLIENT_METRICS_CONFIGS, name);
    interval_ms: i32 = "interval.ms";
    /// See [`ClientMatch`](super::ClientMatch).
    matching: Vec<String> = "match";
    /// Prefixes; `*` is all.
    metrics: Vec<String> = "metrics";
}

typed_config! {
    /// What a consumer, share or streams group may set for itself. The values are as they were
    /// set; a broker's bounds hold them in [`GroupConfig::within_bounds`].
    pub struct GroupConfig, Group, |name| find(GROUP_CONFIGS, name);
    consumer_assignment_interval_ms: i32 = "consumer.assignment.interval.ms";
    consumer_heartbeat_interval_ms: i32 = "consumer.heartbeat.interval.ms";
    consumer_session_timeout_ms: i32 = "consumer.session.timeout.ms";
    share_assignment_interval_ms: i32 = "share.assignment.interval.ms";
    share_auto_offset_reset: String = "share.auto.offset.reset";
    share_delivery_count_limit: i32 = "share.delivery.count.limit";
    share_heartbeat_interval_ms: i32 = "share.heartbeat.interval.ms";
    share_isolation_level: String = "share.isolation.level";
    share_partition_max_record_locks: i32 = "share.partition.max.record.locks";
    share_record_lock_duration_ms: i32 = "share.record.lock.duration.ms";
    share_renew_acknowledge_enable: bool = "share.renew.acknowledge.enable";
    share_session_timeout_ms: i32 = "share.session.timeout.ms";
    streams_assignment_interval_ms: i32 = "streams.assignment.interval.ms";
    streams_heartbeat_interval_ms: i32 = "streams.heartbeat.interval.ms";
    streams_initial_rebalance_delay_ms: i32 = "streams.initial.rebalance.delay.ms";
    streams_num_standby_replicas: i32 = "streams.num.standby.replicas";
    streams_session_timeout_ms: i32 = "streams.session.timeout.ms";
}

impl GroupConfig {
    /// Reads a group's configs and holds each override within the bounds of the broker, which may
    /// have become narrower since it was set.
    pub fn within_bounds(layers: &Layers) -> Result<GroupConfig, ConfigError> {
        GroupConfig::parse(&layers.with_overrides(super::group_bounds::clamped(layers)?.into()))
    }

    /// Where a share group begins on a partition that is new to it. The value was checked.
    pub fn auto_offset_reset(&self) -> ShareAutoOffsetReset {
        let text = self.share_auto_offset_reset.as_str();
        match text.split_once(':') {
            Some((_, duration)) => ShareAutoOffsetReset::ByDuration {
                milliseconds: super::duration::milliseconds(duration).unwrap_or(0),
            },
            None if text == "earliest" => ShareAutoOffsetReset::Earliest,
            None => ShareAutoOffsetReset::Latest,
        }
    }
}

/// `share.auto.offset.reset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareAutoOffsetReset {
    Earliest,
    Latest,
    /// At the first record that is at most so old.
    ByDuration {
        milliseconds: i64,
    },
}
