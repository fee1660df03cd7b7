//! Consumer groups over the HTTP port, and the feature level that has them.

use protocol::ErrorCode;
use protocol::messages::update_features_request::FeatureUpdateKey;
use protocol::messages::{ApiVersionsRequest, UpdateFeaturesRequest};
use serde_json::json;

use super::support::Client;
use super::support::consumer_groups::{Consumer, LEAVES, describe, settle};
use super::support::requests::{batch, checked, text};
use super::{nobody_complained, node, start};

#[test]
fn a_consumer_group_is_waited_for_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    let mut a = Consumer::joined(node.address(), "a");
    let mut b = Consumer::joined(node.address(), "b");
    // `a` has not given up its half yet.
    let seen = http.get("/v1/wait?group=g&state=reconciling").ok();
    assert_eq!(
        (&seen["state"], &seen["members"]),
        (&json!("Reconciling"), &json!(2))
    );
    let early = http.get("/v1/wait?group=g&members=2&timeout_ms=0");
    assert_eq!(early.status, 408);
    settle(&mut [&mut a, &mut b]);
    let seen = http.get("/v1/wait?group=g&members=2").ok();
    assert_eq!(seen["state"], "Stable");

    let mut client = node.client();
    let partition = a.partitions()[0];
    client.produce("t", partition, batch(&["x", "y"])).unwrap();
    assert_eq!(a.commit_in(a.epoch, partition, 1), Ok(()));
    let behind = http.get("/v1/wait?group=g&lag=0&timeout_ms=0");
    assert_eq!(behind.status, 408, "{behind:?}");
    assert_eq!(behind.json()["seen"]["lag"], 1);
    // What is assigned counts, committed or not.
    let shown = behind.json()["seen"]["partitions"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(shown, 4);
    assert_eq!(a.commit_in(a.epoch, partition, 2), Ok(()));
    assert_eq!(http.get("/v1/wait?group=g&lag=0").ok()["lag"], 0);

    let metrics = http.get("/metrics").body;
    for line in [
        r#"kafka_server_groupcoordinatormetrics_group_count{protocol="consumer"} 1"#,
        r#"kafka_server_groupcoordinatormetrics_group_count{protocol="classic"} 0"#,
        r#"kafka_server_groupcoordinatormetrics_consumer_group_count{state="Stable"} 1"#,
        r#"kafka_server_groupcoordinatormetrics_consumer_group_count{state="Empty"} 0"#,
        // One for each member that came.
        "kafka_server_groupcoordinatormetrics_consumer_group_rebalance_count 2",
        "kafka_coordinator_group_groupmetadatamanager_numgroups 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}");
    }
    for consumer in [&mut a, &mut b] {
        assert_eq!(consumer.beat_in(LEAVES), Ok(()));
    }
    let seen = http.get("/v1/wait?group=g&state=empty&members=0").ok();
    assert_eq!(seen["members"], 0);
    nobody_complained(node);
}

#[test]
fn a_heartbeat_that_is_refused_by_a_rule_was_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::new(node.address(), "g", "a");
    let rule = json!({"api": "ConsumerGroupHeartbeat", "error": "COORDINATOR_LOAD_IN_PROGRESS", "count": 1});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    assert_eq!(a.join(), Err(ErrorCode::CoordinatorLoadInProgress));
    let none = describe(&mut a.client, "g");
    assert_eq!(checked(none.error_code), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(a.join(), Ok(()));
    // One whose answer never arrives was made; the next one finds out.
    let rule = json!({"api": "ConsumerGroupHeartbeat", "cut": "after", "count": 1});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    let mut b = Consumer::new(node.address(), "g", "b");
    assert!(b.try_join().is_err());
    b.client = node.client();
    assert_eq!(describe(&mut a.client, "g").members.len(), 2);
    assert_eq!(b.join(), Ok(()));
    settle(&mut [&mut a, &mut b]);
    assert_eq!((a.owned.len(), b.owned.len()), (2, 2));
    nobody_complained(node);
}

#[test]
fn after_a_reset_nobody_is_a_member_and_everybody_may_be_one_again() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let epoch = a.epoch;
    assert_eq!(a.commit_in(epoch, 0, 4), Ok(()));
    let named = |what: &str| {
        let body = json!({"name": "kept"});
        node.http().post(&format!("/v1/{what}"), &body).ok()
    };
    named("snapshot");
    assert_eq!(a.commit_in(epoch, 0, 7), Ok(()));
    for _ in 0..2 {
        named("restore");
        assert_eq!(a.beat(), Err(ErrorCode::UnknownMemberId));
        assert_eq!(a.join(), Ok(()));
        assert!(a.epoch > epoch);
        settle(&mut [&mut a]);
        assert_eq!(a.partitions(), [0, 1, 2, 3]);
        assert_eq!(a.committed_in(a.epoch, 0), Ok(4));
    }
    node.http().post("/v1/reset", &json!({})).ok();
    assert_eq!(a.beat(), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(a.join(), Ok(()));
    settle(&mut [&mut a]);
    assert_eq!(
        (a.partitions().len(), a.committed_in(a.epoch, 0)),
        (4, Ok(-1))
    );
    nobody_complained(node);
}

fn set_level(client: &mut Client, level: i16) {
    let update = FeatureUpdateKey::default()
        .with_feature(text("group.version"))
        .with_max_version_level(level)
        .with_upgrade_type(if level == 0 { 2 } else { 1 });
    let request = UpdateFeaturesRequest::default()
        .with_timeout_ms(10_000)
        .with_feature_updates(vec![update]);
    let answer = client.ask(1, request);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
}

#[test]
fn without_the_feature_level_there_are_no_consumer_groups() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let mut client = node.client();
    set_level(&mut client, 0);
    assert_eq!(a.beat(), Err(ErrorCode::UnsupportedVersion));
    let group = describe(&mut client, "g");
    assert_eq!(
        checked(group.error_code),
        Err(ErrorCode::UnsupportedVersion)
    );
    assert_eq!(group.group_id.as_str(), "g");
    set_level(&mut client, 1);
    assert_eq!(a.beat(), Ok(()));
    nobody_complained(node);
}

#[test]
fn without_the_protocol_there_are_no_consumer_groups() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("group.coordinator.rebalance.protocols", "classic")
        .ready();
    let mut a = Consumer::new(node.address(), "g", "a");
    assert_eq!(a.join(), Err(ErrorCode::UnsupportedVersion));
    // Upstream advertises the API all the same.
    let versions = node.client().ask(2, ApiVersionsRequest::default());
    assert!(versions.api_keys.iter().any(|api| api.api_key == 68));
}

#[test]
fn settings_of_one_group_hold_for_it_at_once() {
    use protocol::messages::IncrementalAlterConfigsRequest;
    use protocol::messages::incremental_alter_configs_request::{
        AlterConfigsResource, AlterableConfig,
    };
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("group.consumer.min.session.timeout.ms", 1_000)
        .with("group.consumer.min.heartbeat.interval.ms", 100)
        .ready();
    let mut a = Consumer::joined(node.address(), "a");
    // With offsets the group stays when its last member is gone.
    assert_eq!(a.commit_in(a.epoch, 0, 1), Ok(()));
    let mut other = Consumer::new(node.address(), "other", "b");
    assert_eq!(other.join(), Ok(()));
    let set = |name: &str, value: &str| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(32)
        .with_resource_name(text("g"))
        .with_configs(vec![
            set("consumer.session.timeout.ms", "6000"),
            set("consumer.heartbeat.interval.ms", "500"),
        ]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = node.client().ask(1, request).responses.remove(0);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    assert_eq!(a.beat(), Ok(()));
    assert_eq!(a.heartbeat_interval_ms, 500);
    assert_eq!(other.beat(), Ok(()));
    assert_eq!(other.heartbeat_interval_ms, 5_000);
    super::advance(&node, 7_000);
    assert_eq!(a.beat(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(other.beat(), Ok(()));
    nobody_complained(node);
}
