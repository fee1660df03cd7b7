use std::collections::BTreeMap;

use super::*;

fn server(settings: &[(&str, &str)]) -> ServerConfig {
    let properties: BTreeMap<String, String> = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    ServerConfig::from_properties(properties).unwrap()
}

#[test]
fn the_coordinator_reads_the_brokers_settings() {
    let plain = coordinator_config(&server(&[]));
    assert_eq!(plain, GroupCoordinatorConfig::default());
    let config = coordinator_config(&server(&[
        ("group.consumer.session.timeout.ms", "46000"),
        ("group.consumer.heartbeat.interval.ms", "6000"),
        ("group.consumer.max.size", "7"),
        ("group.consumer.regex.refresh.interval.ms", "10000"),
        ("group.consumer.assignment.interval.ms", "0"),
        ("group.consumer.migration.policy", "Upgrade"),
        (
            "group.consumer.assignors",
            "org.apache.kafka.coordinator.group.assignor.RangeAssignor,uniform",
        ),
        ("group.share.session.timeout.ms", "47000"),
        ("group.share.heartbeat.interval.ms", "7000"),
        ("group.share.assignment.interval.ms", "2"),
        ("group.share.max.size", "8"),
        ("group.share.initialize.retry.interval.ms", "9"),
    ]));
    assert_eq!(config.group_consumer_session_timeout_ms, 46_000);
    assert_eq!(config.group_consumer_heartbeat_interval_ms, 6_000);
    assert_eq!(config.group_consumer_max_size, 7);
    assert_eq!(config.group_consumer_regex_refresh_interval_ms, 10_000);
    assert_eq!(config.group_consumer_assignment_interval_ms, 0);
    let policy = config.group_consumer_migration_policy;
    assert_eq!(policy, ConsumerGroupMigrationPolicy::Upgrade);
    let assignors = config.group_consumer_assignors;
    assert_eq!(assignors, [Arc::from("range"), Arc::from("uniform")]);
    assert_eq!(config.group_share_session_timeout_ms, 47_000);
    assert_eq!(config.group_share_heartbeat_interval_ms, 7_000);
    assert_eq!(config.group_share_assignment_interval_ms, 2);
    assert_eq!(config.group_share_max_size, 8);
    assert_eq!(config.group_share_initialize_retry_interval_ms, 9);
}
