//! The settings that the group coordinator reads, with upstream's defaults.
//!
//! Invariant: plain values, already validated; key strings stay with the broker.

use std::sync::Arc;

/// Which way groups may change between the classic and the consumer protocol while members are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerGroupMigrationPolicy {
    Bidirectional,
    Upgrade,
    Downgrade,
    Disabled,
}

impl ConsumerGroupMigrationPolicy {
    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// The settings of the group coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCoordinatorConfig {
    /// `group.min.session.timeout.ms`
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub group_max_size: i32,
    /// How long a new member may wait in its first JoinGroup. No key: upstream fixes it.
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`. Upstream counts UTF-16 units, not bytes.
    pub offset_metadata_max_bytes: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// `group.consumer.session.timeout.ms`
    pub group_consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`
    pub group_consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms`
    pub group_consumer_assignment_interval_ms: i32,
    /// `group.consumer.regex.refresh.interval.ms`
    pub group_consumer_regex_refresh_interval_ms: i32,
    /// `group.consumer.max.size`
    pub group_consumer_max_size: i32,
    /// `group.consumer.assignors`: the names of assignors, the first for groups that ask for none.
    pub group_consumer_assignors: Vec<Arc<str>>,
    /// `group.consumer.migration.policy`
    pub group_consumer_migration_policy: ConsumerGroupMigrationPolicy,
    /// `group.share.session.timeout.ms`
    pub group_share_session_timeout_ms: i32,
    /// `group.share.heartbeat.interval.ms`
    pub group_share_heartbeat_interval_ms: i32,
    /// `group.share.assignment.interval.ms`
    pub group_share_assignment_interval_ms: i32,
    /// `group.share.max.size`
    pub group_share_max_size: i32,
    /// `group.share.initialize.retry.interval.ms`
    pub group_share_initialize_retry_interval_ms: i32,
    /// How many bytes of tombstones one batch may hold when offsets are removed in bulk.
    pub removal_batch_bytes_max: usize,
}

impl Default for GroupCoordinatorConfig {
    fn default() -> Self {
        GroupCoordinatorConfig {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX,
            new_member_join_timeout_ms: 300_000,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            group_consumer_session_timeout_ms: 45_000,
            group_consumer_heartbeat_interval_ms: 5_000,
            group_consumer_assignment_interval_ms: 1_000,
            group_consumer_regex_refresh_interval_ms: 600_000,
            group_consumer_max_size: i32::MAX,
            group_consumer_assignors: vec![Arc::from("uniform"), Arc::from("range")],
            group_consumer_migration_policy: ConsumerGroupMigrationPolicy::Bidirectional,
            group_share_session_timeout_ms: 45_000,
            group_share_heartbeat_interval_ms: 5_000,
            group_share_assignment_interval_ms: 1_000,
            group_share_max_size: 200,
            group_share_initialize_retry_interval_ms: 30_000,
            removal_batch_bytes_max: 256 * 1024,
        }
    }
}
