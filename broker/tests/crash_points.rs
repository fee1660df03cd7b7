//! Killed at every single step that the end of a transaction and a compaction take with files: all
//! or nothing, nothing lost, nothing back.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use protocol::messages::DescribeTransactionsRequest;
use protocol::{BatchBuilder, Offset, Timestamp};
use serde_json::{Value, json};
use support::transactions::{Kind, Transactional, transactional_id};
use support::{Client, Node, Start, eventually};

const TOPIC: &str = "t";
const GROUP: &str = "group";

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("transaction.state.log.num.partitions", 1)
        .with("offsets.topic.num.partitions", 1)
        // Only a moved clock has logs compacted: this is when.
        .with("log.cleaner.backoff.ms", 86_400_000)
}

fn set_crash(node: &Node, point: &Value) {
    assert_eq!(node.http().post("/v1/crash", point).status, 201, "{point}");
}

fn only_expected_complaints(node: &Node, context: &str) {
    let complaints = node.complaints();
    let is_expected = complaints.iter().all(|line| line.contains("torn tail"));
    assert!(is_expected, "{context}: {complaints:?}");
}

#[test]
fn a_place_is_set_in_test_mode_only_shown_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).with("klamm.test.mode", "false").ready();
    let refused = node.http().post("/v1/crash", &json!({"when": "before"}));
    assert!(refused.error(403).contains("klamm.test.mode=true"));
    node.stop();
    let node = start(&folder).ready();
    let http = node.http();
    assert_eq!(http.get("/v1/crash").ok(), json!({"crash": null}));
    let point = json!({"when": "after", "operation": "rename", "path": "^never", "count": 2});
    for take_away in ["delete", "reset"] {
        set_crash(&node, &point);
        assert_eq!(http.get("/v1/crash").ok(), json!({"crash": point}));
        match take_away {
            "delete" => assert_eq!(http.delete("/v1/crash").ok(), json!({"crash": point})),
            _ => drop(http.post("/v1/reset", &json!({})).ok()),
        }
        assert_eq!(http.get("/v1/crash").ok(), json!({"crash": null}));
    }
    for (body, expected) in [
        (json!({}), "when"),
        (json!({"when": "later"}), "before"),
        (
            json!({"when": "before", "path": "("}),
            "expected a regular expression",
        ),
        (
            json!({"when": "before", "count": 0}),
            "the first such call is 1",
        ),
        (json!({"when": "halfway"}), "only a write has a middle"),
        (json!({"when": "before", "opration": "write"}), "opration"),
    ] {
        let error = http.post("/v1/crash", &body).error(400);
        assert!(error.contains(expected), "{body}: {error}");
    }
    assert_eq!(http.get("/v1/crash").ok(), json!({"crash": null}));
    node.stop();
}

/// Waits until the broker is gone (true), or the transaction is complete (false).
fn is_killed(node: &mut Node, client: &mut Client, id: &str) -> bool {
    eventually("the kill, or a complete transaction", || {
        if !node.is_running() {
            return Some(true);
        }
        let request = DescribeTransactionsRequest::default()
            .with_transactional_ids(vec![transactional_id(id)]);
        let states = client.try_ask(0, request).ok()?.transaction_states;
        let state = states.first()?.transaction_state.to_string();
        state.starts_with("Complete").then_some(false)
    })
}

/// What is committed, and must stay.
#[derive(Default)]
struct Ends {
    values: BTreeMap<i32, Vec<String>>,
    offset: i64,
    round: usize,
}

impl Ends {
    /// One transaction whose end is killed at a step; false where it has no such step.
    fn round(
        &mut self,
        node: Node,
        start: &Start,
        how: (Kind, bool),
        step: &Value,
    ) -> (Node, bool) {
        let (kind, committed) = how;
        let context = format!("{kind:?} committed={committed} {step}");
        self.round += 1;
        let id = format!("id-{}", self.round);
        let value = format!("value-{}", self.round);
        let offset = i64::try_from(self.round).unwrap();
        let mut node = node;
        let mut client = node.client();
        let mut producer = Transactional::begin(&mut client, &id, kind);
        for partition in 0..2 {
            producer.write(&mut client, TOPIC, partition, &[&value]);
        }
        producer.commit_offset(&mut client, GROUP, TOPIC, offset);
        set_crash(&node, step);
        let is_answered = matches!(producer.clone().try_end(&mut client, committed), Ok(Ok(())));
        let is_killed = is_killed(&mut node, &mut client, &id);
        let node = if is_killed {
            // Dropped first: two nodes cannot have one folder.
            drop(node);
            start.ready()
        } else {
            node.http().delete("/v1/crash").ok();
            node
        };
        let mut client = node.client();
        let comes_back = self.round.is_multiple_of(2);
        if !is_answered && comes_back {
            producer.end(&mut client, committed);
        } else if !is_answered {
            Transactional::begin(&mut client, &id, kind);
        }
        self.check(&mut client, &value, offset, &context, |is_there| {
            if is_answered || comes_back {
                assert_eq!(is_there, committed, "{context}, answered: {is_answered}");
            }
            assert!(committed || !is_there, "aborted, and there: {context}");
        });
        only_expected_complaints(&node, &context);
        (node, is_killed)
    }

    /// Holds what is committed against what must be, with the last transaction there or not.
    fn check(
        &mut self,
        client: &mut Client,
        value: &str,
        offset: i64,
        context: &str,
        is_right: impl Fn(bool),
    ) {
        let mut found = Vec::new();
        for partition in 0..2 {
            let seen = client.settled(TOPIC, partition);
            let before = self.values.entry(partition).or_default();
            assert!(
                seen.starts_with(before),
                "{context}: {seen:?} after {before:?}"
            );
            let new = &seen[before.len()..];
            assert!(new.is_empty() || new == [value], "{context}: {new:?}");
            found.push(!new.is_empty());
            *before = seen;
        }
        let committed = eventually("an offset that is stable", || {
            client.stable_offset(GROUP, TOPIC).ok()
        });
        found.push(committed == offset);
        assert!(
            committed == offset || committed == self.offset,
            "{context}: {committed}"
        );
        self.offset = committed;
        assert!(
            found.iter().all(|it| *it == found[0]),
            "torn: {found:?}, {context}"
        );
        is_right(found[0]);
    }
}

#[test]
fn the_end_of_a_transaction_is_whole_at_whichever_write_the_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let mut node = start.ready();
    let mut client = node.client();
    client.create(TOPIC, 2, &[]);
    client.find_coordinator(GROUP);
    let mut ends = Ends {
        offset: -1,
        ..Ends::default()
    };
    for how in [
        (Kind::V1, true),
        (Kind::V2, true),
        (Kind::V1, false),
        (Kind::V2, false),
    ] {
        let mut steps = 0;
        for when in ["before", "halfway", "after"] {
            for count in 1.. {
                let step =
                    json!({"when": when, "operation": "write", "path": "\\.log$", "count": count});
                let (next, is_killed) = ends.round(node, &start, how, &step);
                node = next;
                if !is_killed {
                    break;
                }
                steps += 1;
            }
        }
        // The prepared end, a marker for each partition and for the group, and the complete end.
        assert_eq!(steps, 3 * 5, "{how:?}");
    }
    node.stop();
}

/// What a compacted log must hold.
#[derive(Default)]
struct Compacted {
    /// By key, the offset of what was written last, and whether that is a tombstone.
    last: BTreeMap<String, (i64, bool)>,
    /// All that may be there: what was written, less what was once gone.
    alive: BTreeSet<(i64, String)>,
    written: usize,
}

impl Compacted {
    /// A batch of several keys, with a tombstone now and then.
    fn write(&mut self, node: &Node, client: &mut Client) {
        let now = Timestamp(
            node.http().get("/v1/clock").ok()["now_ms"]
                .as_i64()
                .unwrap(),
        );
        let mut builder = BatchBuilder::new(Offset::ZERO);
        let mut batch = Vec::new();
        for _ in 0..5 {
            self.written += 1;
            let key = format!("key {}", self.written % 7);
            let is_tombstone = self.written.is_multiple_of(11);
            let value = format!("{key} at {}", self.written);
            let bytes = (!is_tombstone).then_some(value.as_bytes());
            builder.push(now, Some(key.as_bytes()), bytes, &[]);
            // A tombstone reads as an empty value.
            batch.push((key, if is_tombstone { String::new() } else { value }));
        }
        let records = builder.build().bytes().clone();
        let base = client.produce(TOPIC, 0, records).unwrap();
        for (offset, (key, value)) in (base..).zip(batch) {
            self.last.insert(key, (offset, value.is_empty()));
            self.alive.insert((offset, value));
        }
    }

    /// Has the log compacted with a place to be killed at set; whether it was.
    fn compact(node: &mut Node, step: &Value) -> bool {
        set_crash(node, step);
        // All that is due is done when this is answered.
        if node.http().try_post("/v1/clock", &json!({"advance_ms": 1})) {
            node.http().delete("/v1/crash").ok();
            return false;
        }
        eventually("the end of the broker", || {
            (!node.is_running()).then_some(true)
        })
    }

    fn check(&mut self, client: &mut Client, context: &str) {
        let read = client.read_all(TOPIC, 0).into_iter();
        let seen: BTreeSet<(i64, String)> = read
            .map(|(offset, value)| (offset, String::from_utf8(value).unwrap()))
            .collect();
        let back: Vec<_> = seen.difference(&self.alive).collect();
        assert!(back.is_empty(), "came back, {context}: {back:?}");
        for (key, (offset, is_tombstone)) in &self.last {
            let is_there = seen.iter().any(|(at, _)| at == offset);
            let is_gone = !seen.iter().any(|(_, value)| value.starts_with(key));
            let is_right = is_there || (*is_tombstone && is_gone);
            assert!(is_right, "{key} at {offset}, {context}: {seen:?}");
        }
        self.alive = seen;
    }
}

#[test]
fn a_compaction_loses_and_brings_back_nothing_at_whichever_step_the_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let mut node = start.ready();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("delete.retention.ms", "0"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    node.client().create(TOPIC, 1, &configs);
    let mut log = Compacted::default();
    let mut steps = BTreeMap::new();
    let mut rounds = 0;
    for (when, operation) in [("before", "any"), ("halfway", "write"), ("after", "any")] {
        for count in 1.. {
            let mut client = node.client();
            log.write(&node, &mut client);
            // A start puts the clock back to the system's: each time it goes farther than before.
            rounds += 1;
            let later = json!({"reset": true, "advance_ms": 5000 * rounds});
            node.http().post("/v1/clock", &later).ok();
            // A record of seconds later has a segment of its own: the one before may be compacted.
            log.write(&node, &mut client);
            let step =
                json!({"when": when, "operation": operation, "path": "^t-0/", "count": count});
            let is_killed = Compacted::compact(&mut node, &step);
            if is_killed {
                // Dropped first: two nodes cannot have one folder.
                drop(node);
                node = start.ready();
            }
            log.check(&mut node.client(), &step.to_string());
            only_expected_complaints(&node, &step.to_string());
            if !is_killed {
                break;
            }
            *steps.entry(when).or_insert(0) += 1;
        }
    }
    println!("steps: {steps:?}");
    assert!(
        steps["before"] >= 8 && steps["after"] >= 8 && steps["halfway"] >= 1,
        "{steps:?}"
    );
    node.stop();
}

#[test]
fn what_was_answered_of_the_metadata_is_there_at_whichever_step_of_a_snapshot_the_broker_is_killed()
{
    let folder = tempfile::tempdir().unwrap();
    // Every topic brings a snapshot about.
    let start = start(&folder).with("metadata.log.max.record.bytes.between.snapshots", 1);
    let mut node = start.ready();
    let mut names = 0..;
    let mut created = BTreeSet::new();
    for (when, operation, path, rounds) in [
        ("before", "any", "checkpoint", 12),
        ("after", "any", "checkpoint", 12),
        ("halfway", "write", "checkpoint", 4),
        ("before", "any", "^__cluster_metadata-0/", 24),
        ("halfway", "write", "^__cluster_metadata-0/", 8),
    ] {
        for count in 1..=rounds {
            let step = json!({"when": when, "operation": operation, "path": path, "count": count});
            set_crash(&node, &step);
            let mut client = node.client();
            let (mut asked, mut is_killed) = (BTreeSet::new(), false);
            for _ in 0..50 {
                let name = format!("topic-{}", names.next().unwrap());
                asked.insert(name.clone());
                if client.try_create(&name, 1).is_ok_and(|it| it.is_ok()) {
                    created.insert(name);
                } else {
                    is_killed = true;
                    break;
                }
            }
            assert!(is_killed, "never reached: {step}");
            // Dropped first: two nodes cannot have one folder.
            drop(node);
            node = start.ready();
            let mut client = node.client();
            for name in &created {
                assert_eq!(client.topic(name).error_code, 0, "{name} is lost: {step}");
            }
            // A topic that is there and was not answered is there for good.
            created.extend(
                asked
                    .into_iter()
                    .filter(|name| client.topic(name).error_code == 0),
            );
            only_expected_complaints(&node, &step.to_string());
        }
    }
    node.stop();
}
