//! Waiting over the HTTP port: it ends as soon as what is waited for is true, or with what was
//! seen last.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::time::{Duration, Instant};

use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::messages::{GroupId, JoinGroupRequest, SyncGroupRequest};
use support::node::Node;
use support::requests::{batch, text};
use support::{Client, Start, eventually};

fn node(folder: &tempfile::TempDir) -> Node {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.topics", "t:2")
        .ready()
}

#[test]
fn records_are_waited_for_and_wake_the_one_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    let seen = http.get("/v1/wait?topic=t&records=0").ok();
    assert_eq!(
        (&seen["records"], &seen["exists"]),
        (&0.into(), &true.into())
    );
    let mut client = node.client();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let answer = http.get("/v1/wait?topic=t&records=3");
            (answer.ok(), Instant::now())
        });
        let other = scope.spawn(|| http.get("/v1/wait?topic=t&partition=1&records=2").ok());
        client.produce("t", 0, batch(&["a"])).unwrap();
        client.produce("t", 1, batch(&["b", "c"])).unwrap();
        let produced = Instant::now();
        let (seen, woken) = waiting.join().unwrap();
        assert_eq!(seen["records"], 3);
        assert_eq!(seen["partitions"][1]["end_offset"], 2);
        let late = woken.saturating_duration_since(produced);
        assert!(late < Duration::from_secs(2), "{late:?}");
        assert_eq!(other.join().unwrap()["records"], 2);
    });
}

#[test]
fn a_topic_that_is_still_to_come_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| http.get("/v1/wait?topic=new&records=1").ok());
        let mut client = node.client();
        client.create("new", 1, &[]);
        client.produce("new", 0, batch(&["a"])).unwrap();
        assert_eq!(waiting.join().unwrap()["records"], 1);
    });
}

#[test]
fn when_time_is_up_what_was_seen_last_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let answer = node.http().get("/v1/wait?topic=t&records=1&timeout_ms=50");
    assert!(
        answer.error(408).contains("what was seen last"),
        "{answer:?}"
    );
    assert_eq!(answer.json()["seen"]["records"], 0);
    let answer = node
        .http()
        .get("/v1/wait?group=none&state=stable&timeout_ms=0");
    assert_eq!(answer.status, 408);
    assert_eq!(answer.json()["seen"]["state"], "Dead");
    let answer = node.http().get("/v1/wait?group=none&lag=0&timeout_ms=0");
    assert_eq!(answer.status, 408);
}

/// Joins as the only member and takes partition 0 of `t`.
fn join(client: &mut Client) {
    let request = |member: &str| {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(bytes::Bytes::from_static(b"\0\0"));
        JoinGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_session_timeout_ms(30_000)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(text(member))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol])
    };
    client.find_coordinator("g");
    let member = eventually("a member id", || {
        let response = client.ask(7, request(""));
        (!response.member_id.is_empty()).then_some(response.member_id)
    });
    let joined = client.ask(7, request(&member));
    assert_eq!(joined.error_code, 0);
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(member.clone())
        .with_assignment(bytes::Bytes::from_static(
            b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0",
        ));
    let synced = client.ask(
        5,
        SyncGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id(joined.generation_id)
            .with_member_id(member)
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(vec![assignment]),
    );
    assert_eq!(synced.error_code, 0);
}

#[test]
fn a_group_is_waited_for_until_it_is_stable() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| http.get("/v1/wait?group=g&state=stable&members=1").ok());
        join(&mut node.client());
        let seen = waiting.join().unwrap();
        assert_eq!(
            (&seen["state"], &seen["members"]),
            (&"Stable".into(), &1.into())
        );
    });
    let answer = http.get("/v1/wait?group=g&state=stable&members=2&timeout_ms=0");
    assert_eq!(answer.json()["seen"]["members"], 1);
    assert_eq!(
        http.get("/v1/wait?group=g&members=1").ok()["state"],
        "Stable"
    );
}

#[test]
fn a_group_has_no_lag_once_it_has_committed_all() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let (http, mut client) = (node.http(), node.client());
    client.produce("t", 0, batch(&["a", "b", "c"])).unwrap();
    client.find_coordinator("g");
    client.try_commit("g", "t", 1).unwrap().unwrap();
    let behind = http.get("/v1/wait?group=g&lag=0&timeout_ms=0");
    assert_eq!(behind.json()["seen"]["lag"], 2, "{behind:?}");
    assert_eq!(http.get("/v1/wait?group=g&lag=2").ok()["lag"], 2);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| http.get("/v1/wait?group=g&lag=0").ok());
        client.try_commit("g", "t", 3).unwrap().unwrap();
        let seen = waiting.join().unwrap();
        assert_eq!(
            (&seen["lag"], &seen["partitions"][0]["committed_offset"]),
            (&0.into(), &3.into())
        );
    });
    // A partition of the topic that nobody has read counts, where the topic is asked for.
    client.produce("t", 1, batch(&["d"])).unwrap();
    http.get("/v1/wait?group=g&lag=0").ok();
    let answer = http.get("/v1/wait?group=g&topic=t&lag=0&timeout_ms=0");
    assert_eq!(answer.json()["seen"]["lag"], 1);
}

#[test]
fn what_cannot_be_waited_for_is_refused_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    for (query, status, expected) in [
        ("", 400, "nothing is waited for; expected topic=T&records=N"),
        ("topic=t", 400, "a topic is waited for with records"),
        ("group=g", 400, "either state or lag"),
        (
            "group=g&state=happy",
            400,
            "state=happy: expected one of Empty",
        ),
        ("group=g&state=stable&lag=0", 400, "either state or lag"),
        ("group=g&records=1", 400, "of a topic alone"),
        ("topic=t&records=many", 400, "invalid digit"),
        ("topic=t&record=1", 400, "unknown field `record`"),
        (
            "topic=t&records=1&timeout_ms=999999999",
            400,
            "expected at most 600000",
        ),
        (
            "transaction=x&lag=0",
            400,
            "a transaction is waited for alone",
        ),
    ] {
        let error = node.http().get(&format!("/v1/wait?{query}")).error(status);
        assert!(error.contains(expected), "{query}: {error}");
    }
}

#[test]
fn a_stop_does_not_wait_for_those_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| http.get("/v1/wait?topic=t&records=1"));
        // Asked after the one above is on its way.
        http.get("/v1/wait?topic=t&records=1&timeout_ms=200");
        let ended = node.stop();
        assert!(ended.after < Duration::from_secs(2), "{:?}", ended.after);
        assert!(waiting.join().unwrap().error(503).contains("stopping"));
    });
}
