//! Share groups over real sockets: who has what, what is known of their offsets, and what is
//! refused.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::update_features_request::FeatureUpdateKey;
use protocol::messages::*;
use serde_json::{Value, json};
use support::consumer_groups::Consumer;
use support::requests::{batch, checked, text, topic_name};
use support::share_groups::{ShareMember, alter, delete, describe, forget, offsets, settle};
use support::{Client, Node, Start, eventually};
use uuid::Uuid;

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("klamm.topics", "t:4")
        .with("share.coordinator.state.topic.num.partitions", 3)
        .with("group.share.assignment.interval.ms", 0)
        .with("group.share.initialize.retry.interval.ms", 100)
}

/// A node with the topic `t` of four partitions.
fn node(folder: &tempfile::TempDir) -> Node {
    start(folder).ready()
}

fn advance(node: &Node, ms: i64) -> Value {
    let body = json!({"advance_ms": ms});
    node.http().post("/v1/clock", &body).ok()
}

fn nobody_complained(node: Node) {
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

/// Name and partition of `t`.
fn place(index: i32) -> (String, i32) {
    ("t".to_owned(), index)
}

/// What the share coordinator has of a partition for `g`: its start offset, if there is state.
fn state(client: &mut Client, topic_id: Uuid, index: i32) -> Result<i64, ErrorCode> {
    use read_share_group_state_request::{PartitionData, ReadStateData};
    let partition = PartitionData::default()
        .with_partition(index)
        .with_leader_epoch(-1);
    let topic = ReadStateData::default()
        .with_topic_id(topic_id)
        .with_partitions(vec![partition]);
    let request = ReadShareGroupStateRequest::default()
        .with_group_id(text("g"))
        .with_topics(vec![topic]);
    let answer = client.ask(0, request);
    let result = &answer.results[0].partitions[0];
    checked(result.error_code).map(|()| result.start_offset)
}

#[test]
fn partitions_are_shared_out_and_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    assert_eq!(a.partitions(), [0, 1, 2, 3]);
    assert_eq!(a.heartbeat_interval_ms, 5_000);
    let mut b = ShareMember::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b], 4);
    assert_eq!((a.assigned.len(), b.assigned.len()), (2, 2));

    let group = describe(&mut a.client, "g");
    let shown = (group.group_state.as_str(), group.assignor_name.as_str());
    assert_eq!(shown, ("Stable", "simple"));
    assert_eq!(group.group_epoch, a.epoch);
    assert_eq!(group.assignment_epoch, a.epoch);
    assert_eq!(group.authorized_operations, i32::MIN);
    for (member, known) in group.members.iter().zip([&a, &b]) {
        assert_eq!(member.member_id, known.id);
        assert_eq!(member.member_epoch, known.epoch);
        let topic = &member.assignment.topic_partitions[0];
        assert_eq!(topic.topic_name, topic_name("t"));
        assert_eq!(topic.partitions, known.partitions());
        assert_eq!(member.subscribed_topic_names, [topic_name("t")]);
    }

    assert_eq!(b.leave(), Ok(()));
    assert_eq!(b.beat(), Err(ErrorCode::UnknownMemberId));
    settle(&mut [&mut a], 4);
    assert_eq!(a.leave(), Ok(()));
    let group = describe(&mut a.client, "g");
    assert_eq!(
        (group.group_state.as_str(), group.members.len()),
        ("Empty", 0)
    );
    nobody_complained(node);
}

#[test]
fn a_heartbeat_of_another_epoch_is_fenced_and_a_full_group_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).with("group.share.max.size", 1).ready();
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    let epoch = a.epoch;
    a.epoch = epoch + 1;
    assert_eq!(a.beat(), Err(ErrorCode::FencedMemberEpoch));
    a.epoch = epoch;
    assert_eq!(a.beat(), Ok(()));
    let mut b = ShareMember::new(node.address(), "g", "b");
    assert_eq!(b.join(), Err(ErrorCode::GroupMaxSizeReached));
    b.topics.clear();
    assert_eq!(b.join(), Err(ErrorCode::InvalidRequest));
    nobody_complained(node);
}

#[test]
fn who_is_silent_for_too_long_is_no_member_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = ShareMember::joined(node.address(), "a");
    let mut b = ShareMember::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b], 4);
    advance(&node, 40_000);
    assert_eq!(a.beat(), Ok(()));
    advance(&node, 40_000);
    assert_eq!(b.beat(), Err(ErrorCode::UnknownMemberId));
    settle(&mut [&mut a], 4);
    assert_eq!(a.partitions(), [0, 1, 2, 3]);
    assert_eq!(b.join(), Ok(()));
    settle(&mut [&mut a, &mut b], 4);
    nobody_complained(node);
}

#[test]
fn offsets_of_an_empty_group_are_moved_told_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    let mut client = node.client();
    client.produce("t", 1, batch(&["x", "y", "z"])).unwrap();
    // Nobody has read yet: there is state, and no offset.
    let told = offsets(&mut client, "g").unwrap();
    assert_eq!(told.len(), 4);
    assert!(told.values().all(|it| *it == (-1, -1)), "{told:?}");
    let non_empty = Err(ErrorCode::NonEmptyGroup);
    assert_eq!(alter(&mut client, "g", ("t", 1), 1), non_empty);
    assert_eq!(forget(&mut client, "g", "t"), non_empty);
    assert_eq!(delete(&mut client, "g"), non_empty);
    assert_eq!(a.leave(), Ok(()));

    assert_eq!(alter(&mut client, "g", ("t", 1), 1), Ok(()));
    let unknown = Err(ErrorCode::UnknownTopicOrPartition);
    for (topic, index) in [("t", 4), ("t", -1), ("u", 0)] {
        assert_eq!(alter(&mut client, "g", (topic, index), 1), unknown);
    }
    let told = offsets(&mut client, "g").unwrap();
    assert_eq!(told[&place(1)].0, 1);
    assert_eq!(told[&place(0)].0, -1);

    assert_eq!(forget(&mut client, "g", "u"), unknown);
    assert_eq!(forget(&mut client, "g", "t"), Ok(()));
    assert_eq!(offsets(&mut client, "g"), Ok(Default::default()));
    assert_eq!(forget(&mut client, "g", "t"), unknown);
    let id = client.topic("t").topic_id;
    assert_eq!(state(&mut client, id, 1), Err(ErrorCode::InvalidRequest));
    // Whoever comes begins anew.
    assert_eq!(a.join(), Ok(()));
    settle(&mut [&mut a], 4);
    assert_eq!(offsets(&mut client, "g").unwrap()[&place(1)], (-1, -1));
    nobody_complained(node);
}

#[test]
fn a_group_is_made_by_its_offsets_and_deleted_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    client.find_coordinator("g");
    assert_eq!(delete(&mut client, "g"), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(alter(&mut client, "g", ("t", 2), 5), Ok(()));
    let group = describe(&mut client, "g");
    assert_eq!((group.error_code, group.group_state.as_str()), (0, "Empty"));
    let id = client.topic("t").topic_id;
    assert_eq!(state(&mut client, id, 2), Ok(5));
    assert_eq!(delete(&mut client, "g"), Ok(()));
    let group = describe(&mut client, "g");
    assert_eq!(checked(group.error_code), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(state(&mut client, id, 2), Err(ErrorCode::InvalidRequest));
    assert_eq!(offsets(&mut client, "g"), Ok(Default::default()));
    // The name is free for another sort of group.
    let mut consumer = Consumer::new(node.address(), "g", "c");
    assert_eq!(consumer.join(), Ok(()));
    nobody_complained(node);
}

#[test]
fn a_lag_is_what_a_group_is_not_done_with() {
    use write_share_group_state_request::{PartitionData, WriteStateData};
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    client.find_coordinator("g");
    client
        .produce("t", 2, batch(&["1", "2", "3", "4"]))
        .unwrap();
    assert_eq!(alter(&mut client, "g", ("t", 2), 1), Ok(()));
    let early = node.http().get("/v1/wait?group=g&lag=0&timeout_ms=0");
    assert_eq!(early.status, 408, "{early:?}");
    let mut write = |start, complete| {
        let partition = PartitionData::default()
            .with_partition(2)
            .with_state_epoch(-1)
            .with_leader_epoch(-1)
            .with_start_offset(start)
            .with_delivery_complete_count(complete);
        let topic = WriteStateData::default()
            .with_topic_id(client.topic("t").topic_id)
            .with_partitions(vec![partition]);
        let request = WriteShareGroupStateRequest::default()
            .with_group_id(text("g"))
            .with_topics(vec![topic]);
        let answer = client.ask(1, request);
        assert_eq!(answer.results[0].partitions[0].error_code, 0);
        offsets(&mut client, "g").unwrap()[&place(2)]
    };
    assert_eq!(write(1, 2), (1, 1));
    assert_eq!(write(3, 0), (3, 1));
    let late = node.http().get("/v1/wait?group=g&lag=0&timeout_ms=0");
    assert_eq!((late.status, &late.json()["seen"]["lag"]), (408, &json!(1)));
    assert_eq!(write(3, 1), (3, 0));
    assert_eq!(node.http().get("/v1/wait?group=g&lag=0").ok()["lag"], 0);
    nobody_complained(node);
}

#[test]
fn a_group_is_there_after_a_stop_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = start(&folder).ready();
    let mut client = node.client();
    client.find_coordinator("moved");
    assert_eq!(alter(&mut client, "moved", ("t", 3), 7), Ok(()));
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    for is_killed in [false, true] {
        if is_killed {
            node.kill();
        } else {
            node.stop();
        }
        node = start(&folder).ready();
        client = node.client();
        let told = eventually("the offsets", || {
            offsets(&mut client, "moved")
                .ok()
                .filter(|it| !it.is_empty())
        });
        assert_eq!(told[&place(3)].0, 7);
        // The member goes on in the epoch it has.
        a.client = node.client();
        let epoch = a.epoch;
        eventually("the group", || {
            (a.beat() != Err(ErrorCode::CoordinatorLoadInProgress)).then_some(())
        });
        settle(&mut [&mut a], 4);
        assert_eq!(a.epoch, epoch);
        assert_eq!(a.partitions(), [0, 1, 2, 3]);
    }
    nobody_complained(node);
}

#[test]
fn a_topic_that_is_deleted_goes_from_groups_and_comes_back_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    client.create("u", 2, &[]);
    let mut a = ShareMember::new(node.address(), "g", "a");
    a.topics.push("u".to_owned());
    assert_eq!(a.join(), Ok(()));
    settle(&mut [&mut a], 6);
    client.find_coordinator("empty");
    assert_eq!(alter(&mut client, "empty", ("u", 1), 3), Ok(()));
    let former = client.topic("u").topic_id;
    client.try_delete("u").unwrap().unwrap();
    settle(&mut [&mut a], 4);
    eventually("the end of its offsets", || {
        let told = offsets(&mut client, "empty").unwrap();
        told.is_empty().then_some(())
    });
    client.create("u", 1, &[]);
    settle(&mut [&mut a], 5);
    assert!(a.assigned.iter().all(|(topic, _)| *topic != former));
    // New partitions are shared out, too.
    let more = create_partitions_request::CreatePartitionsTopic::default()
        .with_name(topic_name("u"))
        .with_count(3)
        .with_assignments(None);
    let more = CreatePartitionsRequest::default()
        .with_topics(vec![more])
        .with_timeout_ms(10_000);
    assert_eq!(client.ask(3, more).results[0].error_code, 0);
    settle(&mut [&mut a], 7);
    nobody_complained(node);
}

/// Sets something of the group `g`.
fn set(client: &mut Client, name: &str, value: &str) -> Result<(), ErrorCode> {
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(32)
        .with_resource_name(text("g"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    checked(client.ask(1, request).responses[0].error_code)
}

#[test]
fn settings_of_one_group_hold_for_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("group.share.min.session.timeout.ms", 1_000)
        .with("group.share.min.heartbeat.interval.ms", 100)
        .ready();
    let mut client = node.client();
    let mut a = ShareMember::joined(node.address(), "a");
    let mut other = ShareMember::new(node.address(), "other", "b");
    assert_eq!(other.join(), Ok(()));
    let refused = Err(ErrorCode::InvalidConfig);
    for (name, value) in [
        ("share.heartbeat.interval.ms", "99"),
        ("share.session.timeout.ms", "60001"),
        ("share.session.timeout.ms", "4000"),
        ("share.record.lock.duration.ms", "14999"),
        ("share.delivery.count.limit", "11"),
        ("share.partition.max.record.locks", "99"),
        ("share.auto.offset.reset", "sometimes"),
        ("share.isolation.level", "none"),
        ("share.nothing", "1"),
    ] {
        assert_eq!(set(&mut client, name, value), refused, "{name}={value}");
    }
    assert_eq!(
        set(&mut client, "share.heartbeat.interval.ms", "500"),
        Ok(())
    );
    assert_eq!(set(&mut client, "share.session.timeout.ms", "6000"), Ok(()));
    assert_eq!((a.beat(), other.beat()), (Ok(()), Ok(())));
    assert_eq!(a.heartbeat_interval_ms, 500);
    assert_eq!(other.heartbeat_interval_ms, 5_000);
    advance(&node, 7_000);
    assert_eq!(a.beat(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(other.beat(), Ok(()));
    nobody_complained(node);
}

#[test]
fn a_share_group_is_listed_as_one_and_is_none_for_other_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    let client = &mut a.client;
    for (types, states, is_shown) in [
        (vec![], vec![], true),
        (vec!["share"], vec!["Stable"], true),
        (vec!["SHARE"], vec!["stable"], true),
        (vec!["consumer"], vec![], false),
        (vec![], vec!["Empty"], false),
    ] {
        let request = ListGroupsRequest::default()
            .with_types_filter(types.iter().map(|it| text(it)).collect())
            .with_states_filter(states.iter().map(|it| text(it)).collect());
        let listed = client.ask(5, request).groups;
        assert_eq!(listed.len(), usize::from(is_shown), "{types:?} {states:?}");
        for group in listed {
            assert_eq!(group.group_type.as_str(), "share");
            assert_eq!(group.group_state.as_str(), "Stable");
            assert_eq!(group.protocol_type.as_str(), "share");
        }
    }
    let described = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
    let group = client.ask(6, described).groups.remove(0);
    assert_eq!(checked(group.error_code), Err(ErrorCode::GroupIdNotFound));
    let not_found = Err(ErrorCode::GroupIdNotFound);
    let consumer = support::consumer_groups::describe(client, "g");
    assert_eq!(checked(consumer.error_code), not_found);
    let mut consumer = Consumer::new(node.address(), "g", "c");
    assert_eq!(consumer.join(), not_found);
    let mut c = Consumer::new(node.address(), "other", "c");
    assert_eq!(c.join(), Ok(()));
    let mut b = ShareMember::new(node.address(), "other", "b");
    assert_eq!(b.join(), not_found);
    let share = describe(&mut b.client, "other");
    assert_eq!(checked(share.error_code), not_found);
    nobody_complained(node);
}

#[test]
fn share_groups_are_waited_for_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    let mut a = ShareMember::joined(node.address(), "a");
    let seen = http.get("/v1/wait?group=g&state=stable&members=1").ok();
    assert_eq!(seen["members"], 1);
    settle(&mut [&mut a], 4);
    // Groups begin in epoch 1.
    let rebalances = a.epoch - 1;
    let metrics = http.get("/metrics").body;
    for line in [
        r#"kafka_server_groupcoordinatormetrics_group_count{protocol="share"} 1"#,
        r#"kafka_server_groupcoordinatormetrics_group_count{protocol="classic"} 0"#,
        r#"kafka_server_groupcoordinatormetrics_share_group_count{state="Stable"} 1"#,
        r#"kafka_server_groupcoordinatormetrics_share_group_count{state="Empty"} 0"#,
        &format!("kafka_server_groupcoordinatormetrics_share_group_rebalance_count {rebalances}"),
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}");
    }
    assert_eq!(a.leave(), Ok(()));
    let seen = http.get("/v1/wait?group=g&state=empty").ok();
    assert_eq!(seen["members"], 0);
    nobody_complained(node);
}

#[test]
fn a_reset_puts_share_groups_and_their_offsets_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    client.find_coordinator("moved");
    assert_eq!(alter(&mut client, "moved", ("t", 0), 2), Ok(()));
    let named = |what: &str| {
        let body = json!({"name": "kept"});
        node.http().post(&format!("/v1/{what}"), &body).ok()
    };
    named("snapshot");
    for _ in 0..2 {
        assert_eq!(alter(&mut client, "moved", ("t", 0), 9), Ok(()));
        assert_eq!(alter(&mut client, "late", ("t", 0), 9), Ok(()));
        named("restore");
        let told = offsets(&mut client, "moved").unwrap();
        assert_eq!(told[&place(0)].0, 2);
        assert_eq!(offsets(&mut client, "late"), Ok(Default::default()));
        assert_eq!(a.beat(), Err(ErrorCode::UnknownMemberId));
        assert_eq!(a.join(), Ok(()));
        settle(&mut [&mut a], 4);
    }
    node.http().post("/v1/reset", &json!({})).ok();
    assert_eq!(a.beat(), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(offsets(&mut client, "moved"), Ok(Default::default()));
    assert_eq!(a.join(), Ok(()));
    settle(&mut [&mut a], 4);
    nobody_complained(node);
}

#[test]
fn what_was_asked_for_a_group_before_a_reset_is_not_done_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    client.find_coordinator("g");
    // Begins while the state of many partitions is still to be initialized, and ends with none.
    for round in 0..5 {
        let mut a = ShareMember::joined(node.address(), "a");
        for _ in 0..round {
            assert_eq!(a.beat(), Ok(()));
        }
        node.http().post("/v1/reset", &json!({})).ok();
        let id = client.topic("t").topic_id;
        for index in 0..4 {
            let gone = state(&mut client, id, index);
            assert!(
                matches!(
                    gone,
                    Err(ErrorCode::InvalidRequest | ErrorCode::NotCoordinator)
                ),
                "round {round}, partition {index}: {gone:?}"
            );
        }
    }
    let mut a = ShareMember::joined(node.address(), "a");
    settle(&mut [&mut a], 4);
    nobody_complained(node);
}

#[test]
fn partitions_that_a_rule_is_of_are_neither_moved_nor_told() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    client.find_coordinator("g");
    for index in [0, 1] {
        assert_eq!(alter(&mut client, "g", ("t", index), 1), Ok(()));
    }
    let rule = json!({"topic": "t", "partition": 1, "error": "KAFKA_STORAGE_ERROR"});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    assert_eq!(alter(&mut client, "g", ("t", 0), 5), Ok(()));
    let failed = Err(ErrorCode::KafkaStorageError);
    assert_eq!(alter(&mut client, "g", ("t", 1), 5), failed);
    assert_eq!(offsets(&mut client, "g").map(drop), failed);
    node.http().delete("/v1/faults").ok();
    let told = offsets(&mut client, "g").unwrap();
    assert_eq!((told[&place(0)].0, told[&place(1)].0), (5, 1));
    let rule = json!({"topic": "t", "error": "KAFKA_STORAGE_ERROR"});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    assert_eq!(forget(&mut client, "g", "t"), failed);
    node.http().delete("/v1/faults").ok();
    assert_eq!(offsets(&mut client, "g").unwrap().len(), 2);
    nobody_complained(node);
}

#[test]
fn a_join_whose_answer_is_lost_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let rule = json!({"api": "ShareGroupHeartbeat", "cut": "after", "count": 1});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    let mut a = ShareMember::new(node.address(), "g", "a");
    assert!(a.try_join().is_err());
    a.client = node.client();
    assert_eq!(describe(&mut a.client, "g").members.len(), 1);
    assert_eq!(a.join(), Ok(()));
    settle(&mut [&mut a], 4);
    assert_eq!(describe(&mut a.client, "g").members.len(), 1);
    nobody_complained(node);
}

#[test]
fn without_the_feature_level_there_are_no_share_groups() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = ShareMember::joined(node.address(), "a");
    let mut client = node.client();
    let set_level = |client: &mut Client, level: i16| {
        let update = FeatureUpdateKey::default()
            .with_feature(text("share.version"))
            .with_max_version_level(level)
            .with_upgrade_type(if level == 0 { 2 } else { 1 });
        let request = UpdateFeaturesRequest::default()
            .with_timeout_ms(10_000)
            .with_feature_updates(vec![update]);
        let answer = client.ask(1, request);
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    };
    set_level(&mut client, 0);
    let unsupported = Err(ErrorCode::UnsupportedVersion);
    assert_eq!(a.beat(), unsupported);
    assert_eq!(checked(describe(&mut client, "g").error_code), unsupported);
    assert_eq!(offsets(&mut client, "g").map(drop), unsupported);
    assert_eq!(alter(&mut client, "g", ("t", 0), 1), unsupported);
    assert_eq!(forget(&mut client, "g", "t"), unsupported);
    set_level(&mut client, 1);
    assert_eq!(a.beat(), Ok(()));
    nobody_complained(node);
}
