//! `/v1/clock`: what waits for the service clock happens when it is moved, and not before.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use serde_json::{Value, json};
use support::groups::Member;
use support::requests::batch;
use support::{Node, Start, eventually};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
}

fn change(node: &Node, body: Value) -> Value {
    node.http().post("/v1/clock", &body).ok()
}

fn advance(node: &Node, ms: i64) {
    change(node, json!({"advance_ms": ms}));
}

#[test]
fn the_clock_is_shown_to_all_and_moved_in_test_mode_only() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).with("klamm.test.mode", "false").ready();
    let shown = node.http().get("/v1/clock").ok();
    assert_eq!(
        (&shown["frozen"], &shown["offset_ms"]),
        (&json!(false), &json!(0))
    );
    let refused = node.http().post("/v1/clock", &json!({"advance_ms": 1}));
    assert!(refused.error(403).contains("klamm.test.mode=true"));
}

#[test]
fn a_clock_is_moved_set_frozen_resumed_and_reset() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    assert_eq!(
        change(&node, json!({"advance_ms": HOUR}))["offset_ms"],
        HOUR
    );
    let set = change(
        &node,
        json!({"set": "2030-01-02T03:04:05Z", "freeze": true}),
    );
    assert_eq!(set["now"], "2030-01-02T03:04:05.000Z");
    assert_eq!(node.http().get("/v1/clock").ok()["now_ms"], set["now_ms"]);
    let moved = change(&node, json!({"advance_ms": 1000}));
    assert_eq!(moved["now"], "2030-01-02T03:04:06.000Z");
    assert_eq!(change(&node, json!({"resume": true}))["frozen"], false);
    let reset = change(&node, json!({"reset": true}));
    assert_eq!(
        (&reset["frozen"], &reset["offset_ms"]),
        (&json!(false), &json!(0))
    );
    for body in [
        json!({}),
        json!({"set": "tomorrow"}),
        json!({"advance": 5}),
        json!({"advance_ms": -100_000 * DAY}),
        json!({"freeze": true, "resume": true}),
    ] {
        node.http().post("/v1/clock", &body).error(400);
    }
    assert_eq!(node.http().get("/v1/clock").ok()["offset_ms"], 0);
}

#[test]
fn a_session_ends_when_the_clock_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut member = Member::join(node.address(), "g", 10_000);
    advance(&node, 8_000);
    assert_eq!(member.heartbeat(), Ok(()));
    advance(&node, 10_001);
    assert_eq!(member.heartbeat(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(member.rejoin(), Err(ErrorCode::UnknownMemberId));
    let again = Member::join(node.address(), "g", 10_000);
    assert_ne!(again.id, member.id);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_member_needs_no_heartbeat_while_the_clock_is_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("group.min.session.timeout.ms", 1)
        .ready();
    let frozen = change(&node, json!({"freeze": true}))["system_ms"]
        .as_i64()
        .unwrap();
    let mut member = Member::join(node.address(), "g", 100);
    // Three sessions pass by the system's clock.
    eventually("some time has passed", || {
        let now = node.http().get("/v1/clock").ok()["system_ms"]
            .as_i64()
            .unwrap();
        (now > frozen + 300).then_some(())
    });
    assert_eq!(member.heartbeat(), Ok(()));
    advance(&node, 101);
    assert_eq!(member.heartbeat(), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_session_is_no_longer_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    advance(&node, DAY);
    let mut member = Member::join(node.address(), "g", 10_000);
    change(&node, json!({"reset": true}));
    assert_eq!(member.heartbeat(), Ok(()));
    advance(&node, -DAY);
    advance(&node, 10_001);
    assert_eq!(member.heartbeat(), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn retention_has_run_when_the_clock_has_moved() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.create("short", 1, &[("retention.ms", "3600000")]);
    client.create("long", 1, &[("retention.ms", "-1")]);
    for topic in ["short", "long"] {
        client.produce(topic, 0, batch(&["a", "b"])).unwrap();
    }
    advance(&node, HOUR / 2);
    assert_eq!(client.offset("short", 0, -2).unwrap(), 0);
    advance(&node, HOUR);
    assert_eq!(client.offset("short", 0, -2).unwrap(), 2);
    assert_eq!(client.offset("long", 0, -2).unwrap(), 0);
    assert_eq!(
        client.read_from("short", 0, 0),
        Err(ErrorCode::OffsetOutOfRange)
    );
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn committed_offsets_expire_when_the_clock_has_moved() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.create("t", 1, &[]);
    client.find_coordinator("g");
    client.try_commit("g", "t", 5).unwrap().unwrap();
    advance(&node, 6 * DAY);
    assert_eq!(client.committed("g", "t"), Ok(5));
    advance(&node, DAY + 1000);
    assert_eq!(client.committed("g", "t"), Ok(-1));
}

#[test]
fn records_are_stamped_and_judged_by_the_moved_clock() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.create("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    client.create("made", 1, &[]);
    let later = change(&node, json!({"advance_ms": 100 * DAY, "freeze": true}));
    client.produce("stamped", 0, batch(&["x"])).unwrap();
    let at = later["now_ms"].as_i64().unwrap();
    assert_eq!(client.offset("stamped", 0, at), Ok(0));
    assert_eq!(client.offset("stamped", 0, at + 1), Ok(-1));
    // Its records seem to come from the future: more than an hour is refused.
    change(&node, json!({"reset": true, "advance_ms": -2 * HOUR}));
    let refused = client.produce("made", 0, batch(&["x"]));
    assert_eq!(refused, Err(ErrorCode::InvalidTimestamp));
    change(&node, json!({"reset": true}));
    client.produce("made", 0, batch(&["x"])).unwrap();
}
