//! A compacted topic keeps what was said last, and committed offsets outlive the compaction of theirs.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use bytes::Bytes;
use protocol::{BatchBuilder, Offset, Timestamp};
use serde_json::json;
use support::{Client, Node, Start};

const DAY: i64 = 24 * 3_600_000;

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        // Only a moved clock has logs compacted: this is when.
        .with("log.cleaner.backoff.ms", 86_400_000)
        .with("offsets.topic.num.partitions", 1)
}

/// All that is due then is done when this returns: logs are compacted, too.
fn advance(node: &Node, ms: i64) {
    node.http()
        .post("/v1/clock", &json!({"advance_ms": ms}))
        .ok();
}

fn now(node: &Node) -> i64 {
    node.http().get("/v1/clock").ok()["now_ms"]
        .as_i64()
        .unwrap()
}

fn record(at: i64, key: &str, value: Option<&str>) -> Bytes {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    let value = value.map(str::as_bytes);
    builder.push(Timestamp(at), Some(key.as_bytes()), value, &[]);
    builder.build().bytes().clone()
}

fn values(client: &mut Client) -> Vec<(i64, String)> {
    let read = client.read_all("t", 0).into_iter();
    read.map(|(offset, value)| (offset, String::from_utf8(value).unwrap()))
        .collect()
}

#[test]
fn of_each_key_the_last_value_is_kept_and_a_tombstone_goes_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("delete.retention.ms", "60000"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    client.create("t", 1, &configs);
    let put = |client: &mut Client, key: &str, value: Option<&str>| {
        client
            .produce("t", 0, record(now(&node), key, value))
            .unwrap()
    };
    for round in 0..50 {
        put(&mut client, "a", Some(&format!("a{round}")));
        put(&mut client, "b", Some(&format!("b{round}")));
    }
    // A record of seconds later has a segment of its own; what is in the last one stays as it is.
    let put_later = |client: &mut Client, key: &str, value: Option<&str>| {
        advance(&node, 5000);
        put(client, key, value);
        advance(&node, 1);
    };
    let left = |all: &[(i64, &str)]| -> Vec<(i64, String)> {
        all.iter()
            .map(|(offset, value)| (*offset, (*value).to_owned()))
            .collect()
    };
    put_later(&mut client, "c", Some("c1"));
    let all = left(&[(98, "a49"), (99, "b49"), (100, "c1")]);
    assert_eq!(values(&mut client), all);
    assert_eq!(client.offset("t", 0, -1), Ok(101));
    put_later(&mut client, "a", None);
    put_later(&mut client, "c", Some("c2"));
    // A tombstone reads as an empty value here.
    let all = left(&[(99, "b49"), (100, "c1"), (101, ""), (102, "c2")]);
    assert_eq!(values(&mut client), all);
    advance(&node, 60_000);
    put_later(&mut client, "c", Some("c3"));
    let all = left(&[(99, "b49"), (102, "c2"), (103, "c3")]);
    assert_eq!(values(&mut client), all);
    node.kill();
    let node = start(&folder).ready();
    let mut client = node.client();
    assert_eq!(values(&mut client), all);
    // Who stood in a hole reads on behind it.
    for from in 0..100 {
        let read = client.read_from("t", 0, from).unwrap();
        assert_eq!(read.first().unwrap().0, 99, "from {from}");
    }
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn offsets_that_expired_do_not_come_back_when_their_tombstones_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.create("t", 1, &[]);
    client.find_coordinator("old");
    for offset in 0..100 {
        client.try_commit("old", "t", offset).unwrap().unwrap();
        client.try_commit("new", "t", offset).unwrap().unwrap();
    }
    let group_log = folder.path().join("__consumer_offsets-0");
    let size = || -> u64 {
        let files = std::fs::read_dir(&group_log).unwrap().map(Result::unwrap);
        let logs = files.filter(|file| file.path().extension().is_some_and(|it| it == "log"));
        logs.map(|file| file.metadata().unwrap().len()).sum()
    };
    let before = size();
    // `old` expires; its tombstones are sealed, marked, and go.
    for round in 0..6 {
        advance(&node, 5 * DAY);
        client.try_commit("new", "t", 100 + round).unwrap().unwrap();
    }
    assert_eq!(client.committed("old", "t"), Ok(-1));
    assert!(size() < before / 4, "{} of {before} bytes are left", size());
    node.kill();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.find_coordinator("new");
    assert_eq!(client.committed("new", "t"), Ok(105));
    assert_eq!(client.committed("old", "t"), Ok(-1));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}
