//! Records handed out to the members of share groups over sockets, and what becomes of them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::{IncrementalAlterConfigsRequest, ShareFetchRequest};
use serde_json::json;
use support::requests::{batch, text};
use support::shares::{
    ACCEPT, Acquired, Member, REJECT, RELEASE, RENEW, acquired, initialize, initialize_at, values,
};
use support::transactions::{Kind, Transactional};
use support::{Client, Node, Start, eventually};
use uuid::Uuid;

const LOCK_MS: i64 = 30_000;
const GROUP: i8 = 32;

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("transaction.state.log.num.partitions", 1)
        .with("share.coordinator.state.topic.num.partitions", 1)
}

/// A node with the topic `t`, and the state of the group `g` begun at its start.
struct World {
    node: Node,
    client: Client,
    topic: Uuid,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    world_of(|start| start)
}

fn world_of(with: impl Fn(Start) -> Start) -> World {
    let folder = tempfile::tempdir().unwrap();
    let node = with(start(&folder)).ready();
    let mut client = node.client();
    client.create("t", 1, &[]);
    let topic = client.topic("t").topic_id;
    initialize(&mut client, "g", topic, 0);
    World {
        node,
        client,
        topic,
        _folder: folder,
    }
}

impl World {
    fn member(&self, id: &str) -> Member {
        Member::new(self.node.address(), id, self.topic)
    }

    fn produce(&mut self, values: &[&str]) {
        self.client.produce("t", 0, batch(values)).unwrap();
    }

    fn advance(&self, ms: i64) {
        let body = json!({"advance_ms": ms});
        self.node.http().post("/v1/clock", &body).ok();
    }

    fn set(&mut self, name: &str, value: &str) {
        let config = AlterableConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(GROUP)
            .with_resource_name(text("g"))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.client.ask(1, request);
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }
}

const NOTHING: [Acquired; 0] = [];

#[test]
fn what_is_acknowledged_is_done_with_and_the_next_records_come() {
    let mut world = world();
    world.produce(&["a", "b", "c"]);
    let mut member = world.member("m");
    let first = eventually("records", || member.fetch(500, &[]));
    assert_eq!(acquired(&first), [(0, 2, 1)]);
    assert_eq!(values(&first), ["a", "b", "c"]);
    assert_eq!(member.take_now(), NOTHING);
    world.produce(&["d", "e"]);
    let second = member.fetch(500, &[(0, 2, &[ACCEPT])]).unwrap();
    assert_eq!(acquired(&second), [(3, 4, 1)]);
    assert_eq!(values(&second), ["d", "e"]);
    member.acknowledge(&[(3, 4, &[ACCEPT, REJECT])]).unwrap();
    assert_eq!(member.take_now(), NOTHING);
    let again = member.acknowledge(&[(3, 4, &[ACCEPT])]);
    // It lies before the start of the share partition, of which nothing is said any more.
    assert_eq!(again, Ok(()));
}

#[test]
fn released_records_come_again_until_that_was_often_enough() {
    let mut world = world();
    world.produce(&["a"]);
    let mut member = world.member("m");
    for count in 1..=5 {
        assert_eq!(member.take(), [(0, 0, count)]);
        member.acknowledge(&[(0, 0, &[RELEASE])]).unwrap();
    }
    assert_eq!(member.take_now(), NOTHING);
    world.set("share.delivery.count.limit", "2");
    world.produce(&["b"]);
    for count in 1..=2 {
        assert_eq!(member.take(), [(1, 1, count)]);
        member.acknowledge(&[(1, 1, &[RELEASE])]).unwrap();
    }
    assert_eq!(member.take_now(), NOTHING);
}

#[test]
fn two_members_have_different_records_and_one_that_goes_leaves_its_own_to_the_other() {
    let mut world = world();
    world.produce(&["a"]);
    world.produce(&["b"]);
    let (mut one, mut other) = (world.member("one"), world.member("other"));
    one.max_records = 1;
    assert_eq!(one.take(), [(0, 0, 1)]);
    assert_eq!(other.take(), [(1, 1, 1)]);
    let refused = other.acknowledge(&[(0, 0, &[ACCEPT])]);
    assert_eq!(refused, Err(ErrorCode::InvalidRecordState));
    one.close();
    assert_eq!(other.take(), [(0, 0, 2)]);
    // One whose connection breaks has not said goodbye.
    drop(other);
    let mut counts: Vec<Acquired> = Vec::new();
    eventually("all records", || {
        counts.extend(
            one.fetch(500, &[])
                .map(|it| acquired(&it))
                .unwrap_or_default(),
        );
        (counts.len() == 2).then_some(())
    });
    counts.sort_unstable();
    assert_eq!(counts, [(0, 0, 3), (1, 1, 2)]);
}

#[test]
fn a_strict_fetch_gets_no_more_records_than_it_asks_for() {
    let mut world = world();
    world.produce(&["a", "b", "c"]);
    let mut member = world.member("m");
    member.max_records = 2;
    member.is_strict = true;
    assert_eq!(member.take(), [(0, 1, 1)]);
    assert_eq!(member.take(), [(2, 2, 1)]);
}

#[test]
fn only_batches_that_hold_what_was_acquired_are_sent() {
    let mut world = world();
    for value in ["a", "b", "c"] {
        world.produce(&[value]);
    }
    let mut member = world.member("m");
    member.max_records = 1;
    let mut fetch = || {
        let fetched = eventually("a record", || member.fetch(500, &[]));
        (acquired(&fetched), values(&fetched))
    };
    for (offset, value) in (0..).zip(["a", "b", "c"]) {
        let expected = (vec![(offset, offset, 1)], vec![value.to_owned()]);
        assert_eq!(fetch(), expected);
    }
}

#[test]
fn a_lock_ends_when_its_time_is_over_unless_it_is_renewed() {
    let mut world = world();
    world.produce(&["a"]);
    world.produce(&["b"]);
    let (mut one, mut other) = (world.member("one"), world.member("other"));
    assert_eq!(one.take(), [(0, 1, 1)]);
    world.advance(LOCK_MS - 5_000);
    one.acknowledge(&[(1, 1, &[RENEW])]).unwrap();
    assert_eq!(other.take_now(), NOTHING);
    world.advance(6_000);
    assert_eq!(other.take(), [(0, 0, 2)]);
    let late = one.acknowledge(&[(0, 0, &[ACCEPT])]);
    assert_eq!(late, Err(ErrorCode::InvalidRecordState));
    one.acknowledge(&[(1, 1, &[ACCEPT])]).unwrap();
    world.advance(LOCK_MS);
    assert_eq!(one.take(), [(0, 0, 3)]);
}

#[test]
fn a_restart_keeps_what_was_acknowledged_and_how_often_records_came() {
    for is_killed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let node = start(&folder).ready();
        let mut client = node.client();
        client.create("t", 1, &[]);
        let topic = client.topic("t").topic_id;
        initialize(&mut client, "g", topic, 0);
        for value in ["a", "b", "c", "d"] {
            client.produce("t", 0, batch(&[value])).unwrap();
        }
        let mut member = Member::new(node.address(), "m", topic);
        assert_eq!(member.take(), [(0, 3, 1)]);
        let said = [(0, 0, [ACCEPT]), (1, 1, [RELEASE]), (2, 2, [ACCEPT])];
        let said = said
            .each_ref()
            .map(|(first, last, types)| (*first, *last, &types[..]));
        member.acknowledge(&said).unwrap();
        if is_killed {
            node.kill();
        } else {
            node.stop();
        }
        let node = start(&folder).ready();
        let mut member = Member::new(node.address(), "other", topic);
        let mut taken = Vec::new();
        eventually("the rest", || {
            let answer = member.request(500, &[]);
            let answer = member.ask(answer);
            let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
            taken.extend(partitions.flat_map(acquired));
            (taken.len() == 2).then_some(())
        });
        assert_eq!(taken[0], (1, 1, 2));
        assert_eq!((taken[1].0, taken[1].1), (3, 3));
    }
}

#[test]
fn a_fetch_waits_for_records_and_for_those_that_others_release() {
    let mut world = world();
    let (mut one, mut other) = (world.member("one"), world.member("other"));
    assert_eq!(one.take_now(), NOTHING);
    let request = one.request(15_000, &[]);
    let waiting = one.client.send(2, &request).unwrap();
    world.produce(&["a"]);
    let answer = one.client.answer::<ShareFetchRequest>(2, waiting).unwrap();
    one.epoch += 1;
    assert_eq!(acquired(&answer.responses[0].partitions[0]), [(0, 0, 1)]);
    assert_eq!(answer.acquisition_lock_timeout_ms, 30_000);
    assert_eq!(other.take_now(), NOTHING);
    let request = other.request(15_000, &[]);
    let waiting = other.client.send(2, &request).unwrap();
    one.acknowledge(&[(0, 0, &[RELEASE])]).unwrap();
    let answer = other
        .client
        .answer::<ShareFetchRequest>(2, waiting)
        .unwrap();
    assert_eq!(acquired(&answer.responses[0].partitions[0]), [(0, 0, 2)]);
}

#[test]
fn a_session_is_known_by_its_epoch_and_there_are_no_more_than_allowed() {
    let world = world_of(|start| {
        start
            .with("group.share.max.size", 10)
            .with("group.share.max.share.sessions", 10)
    });
    let mut member = world.member("m");
    let mut fetch = |epoch: i32| {
        let request = member.request(0, &[]).with_share_session_epoch(epoch);
        ErrorCode::try_from_code(member.client.ask(2, request).error_code)
    };
    assert_eq!(fetch(1), Some(ErrorCode::ShareSessionNotFound));
    assert_eq!(fetch(-1), Some(ErrorCode::ShareSessionNotFound));
    assert_eq!(fetch(0), None);
    assert_eq!(fetch(2), Some(ErrorCode::InvalidShareSessionEpoch));
    assert_eq!(fetch(1), None);
    member.epoch = 0;
    let refused = Err(ErrorCode::InvalidShareSessionEpoch);
    assert_eq!(member.acknowledge(&[]), refused);
    member.epoch = 7;
    assert_eq!(member.acknowledge(&[]), refused);
    let nameless = [None, Some(text("")), Some(text(&"x".repeat(37)))];
    for id in nameless {
        let request = member.request(0, &[]).with_member_id(id);
        let answer = member.client.ask(2, request);
        assert_eq!(answer.error_code, ErrorCode::InvalidRequest.code());
    }
    let mut others: Vec<Member> = (1..10)
        .map(|index| world.member(&format!("m-{index}")))
        .collect();
    for other in &mut others {
        assert!(other.take_now().is_empty());
    }
    let mut late = world.member("late");
    let request = late.request(0, &[]);
    let limit = late.client.ask(2, request).error_code;
    assert_eq!(limit, ErrorCode::ShareSessionLimitReached.code());
    others[0].close();
    assert!(late.take_now().is_empty());
}

#[test]
fn records_of_aborted_transactions_are_for_nobody_who_reads_committed_ones() {
    let mut world = world();
    world.set("share.isolation.level", "read_committed");
    let mut producer = Transactional::begin(&mut world.client, "id", Kind::V2);
    producer.write(&mut world.client, "t", 0, &["no"]);
    producer.end(&mut world.client, false);
    producer.write(&mut world.client, "t", 0, &["yes"]);
    let mut member = world.member("m");
    eventually("the end of the aborted transaction", || {
        let taken = member.take_now();
        assert!(taken.iter().all(|(first, _, _)| *first == 1), "{taken:?}");
        (!taken.is_empty()).then_some(())
    });
    // Of what is not decided yet, nothing is handed out.
    assert_eq!(member.take_now(), NOTHING);
    producer.end(&mut world.client, true);
    let fetched = eventually("the committed record", || {
        let fetched = member.fetch(500, &[]);
        fetched.filter(|it| !acquired(it).is_empty())
    });
    assert_eq!(acquired(&fetched)[0].0, 2);
    assert_eq!(values(&fetched), ["yes"]);
}

#[test]
fn what_the_log_loses_at_its_begin_is_passed_over() {
    let mut world = world();
    world.produce(&["a"]);
    world.produce(&["b"]);
    world.client.delete_records("t", 0, 1).unwrap();
    let mut member = world.member("m");
    assert_eq!(member.take(), [(1, 1, 1)]);
}

#[test]
fn a_deleted_topic_is_shared_out_no_more() {
    let mut world = world();
    world.produce(&["a"]);
    let mut member = world.member("m");
    assert_eq!(member.take(), [(0, 0, 1)]);
    world.client.try_delete("t").unwrap().unwrap();
    let gone = ErrorCode::UnknownTopicOrPartition.code();
    let request = member.request(0, &[]);
    let answer = member.ask(request);
    assert_eq!(answer.responses[0].partitions[0].error_code, gone);
    // The request does not know the id any more; the session does.
    let refused = member.acknowledge(&[(0, 0, &[ACCEPT])]);
    assert_eq!(refused, Err(ErrorCode::UnknownTopicId));
}

#[test]
fn a_group_begins_where_it_is_told_to() {
    let mut world = world();
    let resets = ["earliest", "latest", "by_duration:PT1H"];
    for (name, reset) in ["u", "v", "w"].into_iter().zip(resets) {
        world.set("share.auto.offset.reset", reset);
        world.client.create(name, 1, &[]);
        world.client.produce(name, 0, batch(&["a"])).unwrap();
        let mut member = world.member(name);
        member.topic = world.client.topic(name).topic_id;
        initialize_at(&mut world.client, "g", member.topic, 0, -1);
        let taken = eventually("records", || {
            let taken = member.fetch(100, &[]).map(|it| acquired(&it));
            // Who begins at the end waits for what comes after it has begun.
            world.client.produce(name, 0, batch(&["b"])).unwrap();
            taken.filter(|taken| !taken.is_empty())
        });
        assert_eq!(taken[0].0 == 0, reset != "latest", "{reset}: {taken:?}");
    }
}
