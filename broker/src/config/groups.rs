//! What the group coordinator is to go by: the broker's settings, as they were at the start.
//!
//! Invariant: what single groups set for themselves, and what changes at run time, is no part of it:
//! the coordinator sees those in the metadata.

use std::sync::Arc;

use coordinator::group::{ConsumerGroupMigrationPolicy, GroupCoordinatorConfig};
use metadata::config::consumer_assignor;

use super::ServerConfig;

pub(crate) fn coordinator_config(config: &ServerConfig) -> GroupCoordinatorConfig {
    let broker = &config.broker;
    GroupCoordinatorConfig {
        group_min_session_timeout_ms: broker.group_min_session_timeout_ms,
        group_max_session_timeout_ms: broker.group_max_session_timeout_ms,
        group_initial_rebalance_delay_ms: broker.group_initial_rebalance_delay_ms,
        group_max_size: broker.group_max_size,
        offset_metadata_max_bytes: broker.offset_metadata_max_bytes,
        offsets_retention_ms: i64::from(broker.offsets_retention_minutes) * 60_000,
        offsets_retention_check_interval_ms: broker.offsets_retention_check_interval_ms,
        group_consumer_session_timeout_ms: broker.group_consumer_session_timeout_ms,
        group_consumer_heartbeat_interval_ms: broker.group_consumer_heartbeat_interval_ms,
        group_consumer_assignment_interval_ms: broker.group_consumer_assignment_interval_ms,
        group_consumer_regex_refresh_interval_ms: broker.group_consumer_regex_refresh_interval_ms,
        group_consumer_max_size: broker.group_consumer_max_size,
        group_consumer_assignors: assignors(&broker.group_consumer_assignors),
        group_consumer_migration_policy: migration_policy(&broker.group_consumer_migration_policy),
        group_share_session_timeout_ms: broker.group_share_session_timeout_ms,
        group_share_heartbeat_interval_ms: broker.group_share_heartbeat_interval_ms,
        group_share_assignment_interval_ms: broker.group_share_assignment_interval_ms,
        group_share_max_size: broker.group_share_max_size,
        group_share_initialize_retry_interval_ms: broker.group_share_initialize_retry_interval_ms,
        ..GroupCoordinatorConfig::default()
    }
}

/// Other names were refused at the start.
fn assignors(names: &[String]) -> Vec<Arc<str>> {
    let names = names.iter().filter_map(|name| consumer_assignor(name));
    names.map(Arc::from).collect()
}

/// Other texts were refused at the start.
fn migration_policy(text: &str) -> ConsumerGroupMigrationPolicy {
    match text.to_ascii_lowercase().as_str() {
        "disabled" => ConsumerGroupMigrationPolicy::Disabled,
        "upgrade" => ConsumerGroupMigrationPolicy::Upgrade,
        "downgrade" => ConsumerGroupMigrationPolicy::Downgrade,
        _ => ConsumerGroupMigrationPolicy::Bidirectional,
    }
}

#[cfg(test)]
mod tests;
