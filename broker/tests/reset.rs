//! `/v1/reset`, `/v1/snapshot` and `/v1/restore`: back to an earlier state under running clients.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::messages::CreatePartitionsRequest;
use protocol::messages::create_partitions_request::CreatePartitionsTopic;
use serde_json::{Value, json};
use support::groups::Member;
use support::requests::{batch, batch_of, fetch_request, topic_name};
use support::{Client, Node, Start};

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
}

/// A node whose state after the start is: `orders` with two partitions and records in one of them,
/// `empty` with one.
fn seeded(folder: &tempfile::TempDir) -> Node {
    let node = start(folder).ready();
    let mut client = node.client();
    client.create("orders", 2, &[("retention.ms", "-1")]);
    client.create("empty", 1, &[]);
    client
        .produce("orders", 1, batch(&["a", "b", "c"]))
        .unwrap();
    node.stop();
    start(folder).ready()
}

fn reset(node: &Node) -> Value {
    node.http().post("/v1/reset", &json!({})).ok()
}

fn named(node: &Node, what: &str, name: &str) -> Value {
    node.http()
        .post(&format!("/v1/{what}"), &json!({"name": name}))
        .ok()
}

fn topics(client: &mut Client) -> Vec<String> {
    use protocol::messages::MetadataRequest;
    let response = client.ask(12, MetadataRequest::default().with_topics(None));
    let names = response.topics.iter().filter(|topic| !topic.is_internal);
    let mut names: Vec<String> = names
        .map(|topic| topic.name.as_ref().unwrap().as_str().to_owned())
        .collect();
    names.sort();
    names
}

fn values(read: &[(i64, Vec<u8>)]) -> Vec<(i64, &str)> {
    read.iter()
        .map(|(offset, value)| (*offset, std::str::from_utf8(value).unwrap()))
        .collect()
}

const SEEDED: [(i64, &str); 3] = [(0, "a"), (1, "b"), (2, "c")];

#[test]
fn it_is_refused_outside_of_test_mode() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).with("klamm.test.mode", "false").ready();
    for path in ["/v1/reset", "/v1/snapshot", "/v1/restore"] {
        let refused = node.http().post(path, &json!({"name": "x"}));
        assert!(
            refused.error(403).contains("klamm.test.mode=true"),
            "{path}"
        );
    }
    assert_eq!(
        node.http().get("/v1/snapshot").ok(),
        json!({"snapshots": []})
    );
}

#[test]
fn a_reset_brings_topics_records_and_configs_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let mut client = node.client();
    let before = client.topic("orders");
    for _ in 0..3 {
        client.create("other", 3, &[]);
        client.produce("other", 2, batch(&["x"])).unwrap();
        client.produce("orders", 1, batch(&["d", "e"])).unwrap();
        client.produce("orders", 0, batch(&["f"])).unwrap();
        client.produce("empty", 0, batch(&["g"])).unwrap();
        client.delete_records("orders", 1, 2).unwrap();
        for (topic, key) in [("orders", "retention.ms"), ("empty", "max.message.bytes")] {
            client
                .set_topic_config(topic, key, "5000")
                .unwrap()
                .unwrap();
        }
        let told = reset(&node);
        assert_eq!(
            (&told["topics"], &told["topics_deleted"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(topics(&mut client), ["empty", "orders"]);
        let now = client.topic("orders");
        assert_eq!((now.topic_id, now.partitions.len()), (before.topic_id, 2));
        assert_eq!(values(&client.read_all("orders", 1)), SEEDED);
        assert_eq!(client.offset("orders", 1, -2), Ok(0));
        assert_eq!(client.offset("orders", 0, -1), Ok(0));
        assert_eq!(client.offset("empty", 0, -1), Ok(0));
        assert_eq!(
            client.topic_config("orders", "retention.ms").as_deref(),
            Some("-1")
        );
        let size = client.topic_config("empty", "max.message.bytes");
        assert_eq!(size.as_deref(), Some("1048588"));
    }
    assert_eq!(client.produce("orders", 1, batch(&["next"])), Ok(3));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn lost_and_changed_topics_come_again_with_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let mut client = node.client();
    let (orders, empty) = (
        client.topic("orders").topic_id,
        client.topic("empty").topic_id,
    );
    client.try_delete("orders").unwrap().unwrap();
    client.create("orders", 1, &[]);
    client.produce("orders", 0, batch(&["another"])).unwrap();
    let more = CreatePartitionsTopic::default()
        .with_name(topic_name("empty"))
        .with_count(4)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![more])
        .with_timeout_ms(10_000);
    assert_eq!(client.ask(3, request).results[0].error_code, 0);
    assert_eq!(reset(&node)["topics_recreated"], 2);
    assert_eq!(client.topic("orders").topic_id, orders);
    assert_eq!(client.topic("empty").topic_id, empty);
    assert_eq!(client.topic("empty").partitions.len(), 1);
    assert_eq!(values(&client.read_all("orders", 1)), SEEDED);
    assert_eq!(
        client.topic_config("orders", "retention.ms").as_deref(),
        Some("-1")
    );
    client.produce("empty", 0, batch(&["x"])).unwrap();
    // And once more, of what came again.
    client.try_delete("orders").unwrap().unwrap();
    reset(&node);
    assert_eq!(values(&client.read_all("orders", 1)), SEEDED);
    assert_eq!(client.offset("empty", 0, -1), Ok(0));
    // The same after a restart.
    node.stop();
    let node = start(&folder).ready();
    let mut client = node.client();
    assert_eq!(client.topic("orders").topic_id, orders);
    assert_eq!(values(&client.read_all("orders", 1)), SEEDED);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_position_beyond_the_end_is_out_of_range_also_for_a_fetch_that_waits() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let mut client = node.client();
    client.produce("orders", 1, batch(&["d", "e"])).unwrap();
    let mut waiting = node.client();
    let wait = fetch_request("orders", 1, 5, 15_000);
    let asked = waiting.send(12, &wait).unwrap();
    reset(&node);
    let began = Instant::now();
    let answer = waiting
        .answer::<protocol::messages::FetchRequest>(12, asked)
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    let code = answer.responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::OffsetOutOfRange.code());
    assert_eq!(
        client.read_from("orders", 1, 4),
        Err(ErrorCode::OffsetOutOfRange)
    );
    assert_eq!(
        values(&client.read_from("orders", 1, 1).unwrap()),
        SEEDED[1..]
    );
}

#[test]
fn groups_end_and_their_offsets_go() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let mut client = node.client();
    for group in ["g", "h"] {
        let mut member = Member::join(node.address(), group, 30_000);
        client.find_coordinator("simple");
        client.try_commit("simple", "orders", 2).unwrap().unwrap();
        assert_eq!(client.committed("simple", "orders"), Ok(2));
        reset(&node);
        assert_eq!(member.heartbeat(), Err(ErrorCode::UnknownMemberId));
        assert_eq!(member.rejoin(), Err(ErrorCode::UnknownMemberId));
        assert_eq!(client.committed("simple", "orders"), Ok(-1));
        Member::join(node.address(), group, 30_000);
    }
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn an_idempotent_producer_goes_on_without_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let mut client = node.client();
    let id = client.producer_id();
    for sequence in 0..3 {
        client
            .produce("orders", 0, batch_of(id, sequence, &["x"]))
            .unwrap();
    }
    reset(&node);
    for sequence in 3..6 {
        let offset = client.produce("orders", 0, batch_of(id, sequence, &["x"]));
        assert_eq!(offset, Ok(i64::from(sequence) - 3));
    }
    assert!(client.producer_id() > id);
    // Also where the node is killed right after.
    reset(&node);
    node.kill();
    let node = start(&folder).ready();
    let mut client = node.client();
    assert_eq!(client.produce("orders", 0, batch_of(id, 6, &["x"])), Ok(0));
    assert!(client.producer_id() > id);
}

#[test]
fn a_snapshot_is_restored_as_often_as_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let mut client = node.client();
    client.create("more", 1, &[]);
    client.produce("more", 0, batch(&["m"])).unwrap();
    client.find_coordinator("simple");
    client.try_commit("simple", "orders", 2).unwrap().unwrap();
    let mut member = Member::join(node.address(), "g", 30_000);
    let kept = named(&node, "snapshot", "with more");
    assert_eq!(
        (&kept["topics"], &kept["name"]),
        (&json!(4), &json!("with more"))
    );
    for round in 0..3 {
        client.produce("more", 0, batch(&["n"])).unwrap();
        client.try_commit("simple", "orders", 3).unwrap().unwrap();
        if round == 1 {
            reset(&node);
            assert_eq!(topics(&mut client), ["empty", "orders"]);
        }
        named(&node, "restore", "with more");
        assert_eq!(topics(&mut client), ["empty", "more", "orders"]);
        assert_eq!(values(&client.read_all("more", 0)), [(0, "m")]);
        assert_eq!(client.committed("simple", "orders"), Ok(2));
        assert_eq!(member.heartbeat(), Err(ErrorCode::UnknownMemberId));
        member = Member::join(node.address(), "g", 30_000);
    }
    let listed = node.http().get("/v1/snapshot").ok();
    assert_eq!(listed["snapshots"][0]["name"], "with more");
    node.http().delete("/v1/snapshot?name=with%20more").ok();
    let gone = node
        .http()
        .post("/v1/restore", &json!({"name": "with more"}));
    assert!(gone.error(404).contains("there are: none"));
    node.http()
        .post("/v1/snapshot", &json!({"name": ""}))
        .error(400);
    node.http().post("/v1/snapshot", &json!({})).error(400);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_reset_brings_the_clock_back_and_ends_faults() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    node.http()
        .post("/v1/clock", &json!({"advance_ms": 5000, "freeze": true}))
        .ok();
    let rule = json!({"api": "Produce", "error": "NOT_LEADER_OR_FOLLOWER"});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    named(&node, "snapshot", "any");
    assert_eq!(named(&node, "restore", "any")["faults_removed"], 0);
    assert_eq!(reset(&node)["faults_removed"], 1);
    assert_eq!(node.http().get("/v1/faults").ok()["faults"], json!([]));
    let mut client = node.client();
    assert_eq!(client.produce("empty", 0, batch(&["x"])), Ok(0));
    let clock = node.http().get("/v1/clock").ok();
    assert_eq!(
        (&clock["offset_ms"], &clock["frozen"]),
        (&json!(0), &json!(false))
    );
}

/// Clients that produce, fetch, commit and create while the node is reset again and again: each
/// gets an answer in time, and nothing that was produced after a reset is lost.
#[test]
fn nobody_hangs_and_nothing_is_lost_under_a_storm_of_resets() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(&folder);
    let address = node.address();
    let over = Arc::new(AtomicBool::new(false));
    let storms: [fn(&mut Client, u64); 4] = [
        |client, _| {
            let _ = client.produce("orders", 0, batch(&["p"]));
        },
        |client, _| {
            let _ = client.read_from("orders", 0, 0);
        },
        |client, _| {
            client.find_coordinator("storm");
            let _ = client.try_commit("storm", "orders", 1).unwrap();
        },
        |client, round| {
            let name = format!("storm-{}", round % 5);
            let _ = client.try_create(&name, 2).unwrap();
            let _ = client.try_delete(&name).unwrap();
        },
    ];
    let threads = storms.map(|storm| {
        let over = over.clone();
        std::thread::spawn(move || {
            let mut client = Client::connect(address);
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                storm(&mut client, round);
                round += 1;
            }
            round
        })
    });
    let mut client = node.client();
    for round in 0..30 {
        reset(&node);
        let produced = client.produce("empty", 0, batch(&["kept"])).unwrap();
        assert_eq!(produced, 0, "round {round}");
        assert_eq!(values(&client.read_all("empty", 0)), [(0, "kept")]);
        assert_eq!(values(&client.read_all("orders", 1)), SEEDED);
    }
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        assert!(thread.join().unwrap() > 10);
    }
    reset(&node);
    assert_eq!(client.offset("orders", 0, -1), Ok(0));
    assert_eq!(topics(&mut client), ["empty", "orders"]);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_node_killed_in_the_middle_of_a_reset_starts_again() {
    for delay_us in (0..12).map(|step| step * 2000) {
        let folder = tempfile::tempdir().unwrap();
        let node = seeded(&folder);
        let mut client = node.client();
        client.create("other", 3, &[]);
        client.produce("orders", 1, batch(&["d", "e"])).unwrap();
        let http = node.http();
        let asking = std::thread::spawn(move || {
            // The node may be gone before it answers.
            std::panic::catch_unwind(|| http.post("/v1/reset", &json!({})))
        });
        let end = Instant::now() + Duration::from_micros(delay_us);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        node.kill();
        drop(asking.join());
        let node = start(&folder).ready();
        let mut client = node.client();
        let read = client.read_all("orders", 1);
        let whole = [(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "e")];
        assert!(
            [&whole[..3], &whole[..]].contains(&&values(&read)[..]),
            "{read:?}"
        );
        // A topic whose deletion was cut short.
        let mut complaints = node.stop().complaints();
        complaints.retain(|line| !line.contains("no topic has this log: set aside log=other-"));
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

#[test]
fn twenty_topics_are_reset_in_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let names: Vec<String> = (0..20).map(|number| format!("topic-{number}")).collect();
    for name in &names {
        client.create(name, 3, &[]);
        for partition in 0..3 {
            client.produce(name, partition, batch(&["a", "b"])).unwrap();
        }
    }
    named(&node, "snapshot", "twenty");
    let mut took: Vec<f64> = (0..7)
        .map(|_| {
            for name in &names {
                for partition in 0..3 {
                    client.produce(name, partition, batch(&["c"])).unwrap();
                }
            }
            let told = named(&node, "restore", "twenty");
            assert_eq!(told["partitions_put_back"], 60);
            told["took_ms"].as_f64().unwrap()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("20 topics x 3 partitions: {took:.1?} ms");
    assert!(took[3] < 1000.0, "{took:?}");
}
