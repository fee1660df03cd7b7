//! The HTTP port under bad requests, slow and many clients, and under everything at once.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use support::groups::Member;
use support::requests::{batch, batch_of, topic_name};
use support::{Client, DEADLINE, Node, Start};

const DAY: i64 = 24 * 3_600_000;

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(&folder.path().join("data"))
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with(
            "klamm.seed",
            "topics: [{name: t, partitions: 2, records: [{value: seeded, partition: 1}]}]",
        )
}

fn post(node: &Node, path: &str, body: Value) -> Value {
    node.http().post(path, &body).ok()
}

/// Sends a request without reading its answer.
fn sent(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn wait_for(address: SocketAddr, query: &str) -> TcpStream {
    let request = format!("GET /v1/wait?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    sent(address, &request)
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn bodies_that_make_no_sense_are_refused_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let http = node.http();
    let deep = "[".repeat(200_000);
    for path in [
        "/v1/reset",
        "/v1/snapshot",
        "/v1/restore",
        "/v1/clock",
        "/v1/faults",
    ] {
        for body in [
            "{",
            "nonsense",
            "[1",
            "\"\\ud800\"",
            "{\"nothing\": 1}",
            "7",
            "{} {}",
            &deep,
        ] {
            let refused = http.ask("POST", path, body).error(400);
            assert!(refused.contains("not as expected"), "{path}: {refused}");
        }
        let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(3_000_000));
        http.ask("POST", path, &huge).error(413);
    }
    assert_eq!(http.get("/v1/snapshot").ok()["snapshots"], json!([]));
    assert_eq!(http.get("/v1/faults").ok()["faults"], json!([]));
    assert_eq!(node.client().offset("t", 1, -1), Ok(1));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

/// Bodies that never come to their end keep nobody waiting, and are answered in the end.
#[test]
fn slow_clients_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let address = node.http().address();
    let half = "POST /v1/snapshot HTTP/1.1\r\nHost: t\r\nContent-Length: 20\r\n\r\n{\"name\"";
    let slow: Vec<TcpStream> = (0..200).map(|_| sent(address, half)).collect();
    let silent: Vec<TcpStream> = (0..200).map(|_| sent(address, "GET /heal")).collect();
    node.http().get("/readyz").ok();
    post(&node, "/v1/reset", json!({}));
    for mut stream in slow {
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(std::str::from_utf8(&first).unwrap(), "HTTP/1.1 400");
    }
    drop(silent);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

/// Sockets of a thousand clients are more than many shells allow.
fn allow_many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    let maximum = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// For records, for a group's state and for its lag.
fn a_thousand_waits(address: SocketAddr) -> Vec<TcpStream> {
    let queries = [
        "topic=t&records=5",
        "topic=t&partition=0&records=4",
        "group=g&state=stable",
        "group=g&lag=0",
    ];
    let queries = queries.iter().cycle().take(1000);
    queries.map(|query| wait_for(address, query)).collect()
}

#[test]
fn a_thousand_wait_at_once_and_all_are_woken() {
    allow_many_sockets();
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let address = node.http().address();
    let waiting = a_thousand_waits(address);
    node.http().get("/healthz").ok();
    let mut client = node.client();
    client
        .produce("t", 0, batch(&["a", "b", "c", "d"]))
        .unwrap();
    client.find_coordinator("g");
    let mut member = Member::join(node.address(), "g", 60_000);
    let commit = member.commit("t", 0, 4);
    assert_eq!(commit, Ok(()));
    for stream in waiting {
        let answer = answer(stream);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_stop_answers_a_thousand_who_wait_within_a_second() {
    allow_many_sockets();
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let waiting = a_thousand_waits(node.http().address());
    // Served after all of those before it were accepted.
    node.http().get("/healthz").ok();
    let ended = node.stop();
    assert!(ended.after < Duration::from_secs(2), "{:?}", ended.after);
    let mut told = 0;
    for mut stream in waiting {
        let mut answer = String::new();
        // Who was not heard yet is cut off.
        if stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
            let is_told = answer.starts_with("HTTP/1.1 503 ") && answer.contains("stopping");
            assert!(is_told, "{answer}");
            told += 1;
        }
    }
    assert!(told > 500, "{told}");
    assert_eq!(ended.complaints(), Vec::<String>::new());
}

#[test]
fn who_waits_outlives_deletions_and_resets_of_the_topic() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let address = node.http().address();
    let mut client = node.client();
    client.create("other", 1, &[]);
    client.produce("other", 0, batch(&["a"])).unwrap();
    let of_other = wait_for(address, "topic=other&records=3");
    let of_seeded = wait_for(address, "topic=t&records=3");
    node.http().get("/v1/wait?topic=other&records=1").ok();
    client.try_delete("other").unwrap().unwrap();
    client.create("other", 1, &[]);
    client.produce("other", 0, batch(&["a", "b"])).unwrap();
    client.produce("t", 0, batch(&["a"])).unwrap();
    post(&node, "/v1/reset", json!({}));
    client.create("other", 1, &[]);
    client.produce("other", 0, batch(&["a", "b"])).unwrap();
    client.produce("t", 0, batch(&["a"])).unwrap();
    let early = node
        .http()
        .get("/v1/wait?topic=other&records=3&timeout_ms=100");
    assert_eq!(early.json()["seen"]["records"], 2);
    client.produce("other", 0, batch(&["c"])).unwrap();
    client.produce("t", 0, batch(&["b"])).unwrap();
    for stream in [of_other, of_seeded] {
        let answer = answer(stream);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"records\":3"),
            "{answer}"
        );
    }
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

/// Whatever clients are told, the port itself goes on: it is no client.
#[test]
fn faults_of_every_request_leave_the_port_alone() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let http = node.http();
    for rule in [
        json!({"drop": true}),
        json!({"cut": true}),
        json!({"error": -1}),
    ] {
        assert_eq!(http.post("/v1/faults", &rule).status, 201);
        http.get("/readyz").ok();
        http.get("/v1/wait?topic=t&records=1").ok();
        http.get("/v1/wait?group=g&state=dead").ok();
        post(&node, "/v1/snapshot", json!({"name": "s"}));
        post(&node, "/v1/restore", json!({"name": "s"}));
        assert_eq!(http.get("/v1/faults").ok()["faults"][0]["matched"], 0);
        assert_eq!(post(&node, "/v1/reset", json!({}))["faults_removed"], 1);
        assert_eq!(node.client().offset("t", 1, -1), Ok(1));
    }
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_request_that_is_delayed_for_long_does_not_delay_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let rule = json!({"api": "ListOffsets", "delay_ms": u32::MAX});
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
    let mut client = node.client();
    client.set_deadline(Duration::from_millis(200));
    let request = protocol::messages::ListOffsetsRequest::default();
    assert!(client.try_ask(7, request).is_err());
    let ended = node.stop();
    assert!(ended.after < Duration::from_secs(2), "{:?}", ended.after);
}

#[test]
fn the_same_seed_hits_the_same_requests() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let mut hits = |seed: u64| -> Vec<bool> {
        node.http().delete("/v1/faults").ok();
        let rule = json!({"api": "ListOffsets", "topic": "t", "error": 6, "probability": 0.5, "seed": seed});
        assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
        (0..64)
            .map(|_| client.offset("t", 0, -1).is_err())
            .collect()
    };
    let first = hits(7);
    assert_eq!(hits(7), first);
    assert_ne!(hits(8), first);
    let count = first.iter().filter(|hit| **hit).count();
    assert!((16..48).contains(&count), "{count} of 64");
}

#[test]
fn a_clock_at_the_ends_of_time_breaks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let http = node.http();
    for body in [
        r#"{"advance_ms": 9223372036854775807}"#,
        r#"{"advance_ms": -9223372036854775808}"#,
        r#"{"advance_ms": 99999999999999999999}"#,
        r#"{"advance_ms": 1.5}"#,
        r#"{"set": -1}"#,
        r#"{"set": 1e300}"#,
        r#"{"set": "10000-01-01T00:00:00Z"}"#,
    ] {
        http.ask("POST", "/v1/clock", body).error(400);
    }
    assert_eq!(http.get("/v1/clock").ok()["offset_ms"], 0);
    let mut client = node.client();
    client.create("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut end = 0;
    for set in [
        "1970-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z",
        "2030-01-01T00:00:00Z",
    ] {
        for freeze in [true, false] {
            post(&node, "/v1/clock", json!({"set": set, "freeze": freeze}));
            assert_eq!(client.produce("stamped", 0, batch(&["x"])), Ok(end));
            end += 1;
            let mut member = Member::join(node.address(), "g", 30_000);
            assert_eq!(member.heartbeat(), Ok(()));
            assert_eq!(member.commit("stamped", 0, end), Ok(()));
            http.get("/readyz").ok();
            assert_eq!(http.get("/metrics").status, 200);
            post(&node, "/v1/clock", json!({"advance_ms": 0}));
            // The session, which nothing else would end while the clock is frozen.
            let _ = http.post("/v1/clock", &json!({"advance_ms": 40_000}));
            post(&node, "/v1/clock", json!({"set": set, "advance_ms": -0}));
            drop(member);
            post(
                &node,
                "/v1/clock",
                json!({"reset": true, "advance_ms": 400 * DAY}),
            );
        }
    }
    post(&node, "/v1/reset", json!({}));
    assert_eq!(client.produce("t", 0, batch(&["x"])), Ok(0));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn the_name_of_a_snapshot_is_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let names = [
        "../../outside",
        "/etc/klamm",
        "a/b",
        ".",
        "..",
        "a\nb",
        "a\0b",
        "名前",
        " ",
    ];
    for name in names {
        post(&node, "/v1/snapshot", json!({"name": name}));
        client.produce("t", 0, batch(&["x"])).unwrap();
        post(&node, "/v1/restore", json!({"name": name}));
        assert_eq!(client.offset("t", 0, -1), Ok(0));
    }
    let listed = node.http().get("/v1/snapshot").ok();
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), names.len());
    let beside: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(beside, ["data"]);
    for name in ["", &"x".repeat(201)] {
        node.http()
            .post("/v1/snapshot", &json!({"name": name}))
            .error(400);
    }
    for number in names.len()..64 {
        post(&node, "/v1/snapshot", json!({"name": number.to_string()}));
    }
    let full = node
        .http()
        .post("/v1/snapshot", &json!({"name": "one more"}));
    assert!(full.error(409).contains("64 snapshots are kept already"));
    // Under a name that is taken there is still room.
    post(&node, "/v1/snapshot", json!({"name": "63"}));
}

#[test]
fn a_snapshot_brings_back_topics_that_were_deleted_or_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    for name in ["lost", "other"] {
        client.create(name, 2, &[("retention.ms", "-1")]);
        client.produce(name, 1, batch(&["a", "b"])).unwrap();
    }
    let ids = ["t", "lost", "other"].map(|name| client.topic(name).topic_id);
    post(&node, "/v1/snapshot", json!({"name": "s"}));
    for name in ["t", "lost", "other"] {
        client.try_delete(name).unwrap().unwrap();
    }
    client.create("other", 5, &[]);
    client.produce("other", 4, batch(&["c"])).unwrap();
    let told = post(&node, "/v1/restore", json!({"name": "s"}));
    assert_eq!(
        (&told["topics"], &told["topics_recreated"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(
        ["t", "lost", "other"].map(|name| client.topic(name).topic_id),
        ids
    );
    for name in ["lost", "other"] {
        assert_eq!(client.topic(name).partitions.len(), 2);
        let found: Vec<i64> = client.read_all(name, 1).iter().map(|read| read.0).collect();
        assert_eq!(found, [0, 1]);
        assert_eq!(
            client.topic_config(name, "retention.ms").as_deref(),
            Some("-1")
        );
        assert_eq!(client.produce(name, 1, batch(&["next"])), Ok(2));
    }
    assert_eq!(client.offset("t", 1, -1), Ok(1));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn an_ephemeral_node_keeps_snapshots_too() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .without("log.dirs")
        .argument("--ephemeral")
        .ready();
    let mut client = node.client();
    client.produce("t", 1, batch(&["kept"])).unwrap();
    post(&node, "/v1/snapshot", json!({"name": "s"}));
    client.produce("t", 1, batch(&["gone"])).unwrap();
    post(&node, "/v1/restore", json!({"name": "s"}));
    assert_eq!(client.read_all("t", 1).len(), 2);
    post(&node, "/v1/reset", json!({}));
    assert_eq!(client.read_all("t", 1).len(), 1);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

/// A way for clients to keep a node busy: each call is one round of it.
type Storm = fn(&Node, &mut Client, u64);

const STORMS: [Storm; 6] = [
    |_, client, round| {
        // Idempotent, its sequence never broken.
        let records = batch_of(1_000_000, i32::try_from(round).unwrap(), &["p"]);
        assert!(client.produce("t", 0, records).is_ok(), "round {round}");
    },
    |_, client, _| {
        match client.read_from("t", 1, 0) {
            Ok(read) => assert_eq!(read[0].1, b"seeded"),
            // It has read on beyond what is there since a reset.
            Err(code) => assert_eq!(code, ErrorCode::OffsetOutOfRange),
        }
    },
    |_, client, round| {
        use protocol::messages::MetadataRequest;
        use protocol::messages::metadata_request::MetadataRequestTopic;
        let name = format!("auto-{}", round % 7);
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(&name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        client.ask(12, request.with_allow_auto_topic_creation(true));
        let _ = client.produce(&name, 0, batch(&["x"]));
    },
    |_, client, round| {
        support::groups::come_and_go(client, &format!("storm-{}", round % 3));
    },
    |node, _, round| {
        let name = format!("s{}", round % 3);
        post(node, "/v1/snapshot", json!({"name": name}));
    },
    |node, _, round| {
        // A minute at a time: nothing gets old by it, but sessions end.
        let change = if round % 2 == 0 {
            json!({"advance_ms": 60_000})
        } else {
            json!({"reset": true})
        };
        post(node, "/v1/clock", change);
        node.http()
            .get("/v1/wait?group=storm-0&state=stable&timeout_ms=1");
        node.http()
            .get("/v1/wait?topic=auto-1&records=1&timeout_ms=1");
    },
];

#[test]
fn everything_at_once_loses_no_record_of_after_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let over = AtomicBool::new(false);
    let rounds = Arc::new(std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for storm in STORMS {
            let (node, over, rounds) = (&node, &over, rounds.clone());
            scope.spawn(move || {
                let mut client = node.client();
                let mut round = 0;
                while !over.load(Ordering::Relaxed) {
                    storm(node, &mut client, round);
                    round += 1;
                }
                rounds.lock().unwrap().push(round);
            });
        }
        let until = Instant::now() + Duration::from_secs(4);
        let mut client = node.client();
        let mut resets = 0;
        // Ended also where an assertion fails, or the storms would blow for ever.
        let end = Ended(&over);
        while Instant::now() < until || resets < 10 {
            post(&node, "/v1/reset", json!({}));
            let mine = format!("mine-{resets}");
            client.create(&mine, 1, &[]);
            assert_eq!(client.produce(&mine, 0, batch(&["kept"])), Ok(0));
            assert_eq!(client.produce("t", 1, batch(&["kept"])), Ok(1));
            assert_eq!(client.read_all(&mine, 0), [(0, b"kept".to_vec())]);
            assert_eq!(client.read_all("t", 1)[1], (1, b"kept".to_vec()));
            resets += 1;
        }
        drop(end);
    });
    assert!(
        rounds.lock().unwrap().iter().all(|rounds| *rounds > 5),
        "{rounds:?}"
    );
    post(&node, "/v1/reset", json!({}));
    let mut client = node.client();
    assert_eq!(client.offset("t", 0, -1), Ok(0));
    assert_eq!(client.offset("t", 1, -1), Ok(1));
    let gone = client.offset("mine-0", 0, -1);
    assert_eq!(gone, Err(ErrorCode::UnknownTopicOrPartition));
    for partition in [0, 1] {
        client.produce("t", partition, batch(&["x"])).unwrap();
    }
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
    let node = start(&folder).ready();
    assert_eq!(node.client().offset("t", 1, -1), Ok(2));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
