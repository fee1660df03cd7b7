//! Topics and records that are there when the broker is ready: once per folder, or no start.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::path::Path;

use protocol::RecordBatch;
use protocol::messages::MetadataRequest;
use protocol::records::Record;
use support::requests::fetch_request;
use support::{Client, Start};

const SEED: &str = r#"
topics:
  - name: orders
    partitions: 3
    configs: {cleanup.policy: compact, retention.ms: 60000}
    records:
      - {partition: 2, key: k, value: {json: {id: 1, tags: [a]}}, timestamp: 1700000000000,
         headers: {source: seed}}
      - {partition: 2, key: k, value: null}
  - name: plain
    partitions: 1
    records:
      - {value: one}
      - {value: {base64: dHdv}}
"#;

fn seeded(folder: &Path, seed: &str) -> Start {
    let file = folder.join("seed.yaml");
    std::fs::write(&file, seed).unwrap();
    Start::new(&folder.join("data")).with("klamm.seed.file", file.display())
}

fn ends(client: &mut Client, topic: &str, partitions: i32) -> Vec<i64> {
    (0..partitions)
        .map(|partition| client.offset(topic, partition, -1).unwrap())
        .collect()
}

fn topics(client: &mut Client) -> Vec<String> {
    let all = MetadataRequest::default().with_topics(None);
    let topics = client.ask(12, all).topics.into_iter();
    topics
        .filter_map(|topic| Some(topic.name?.to_string()))
        .collect()
}

/// The records of the first batch, with all that they carry.
fn records(client: &mut Client, topic: &str, partition: i32) -> Vec<Record> {
    let response = client.ask(12, fetch_request(topic, partition, 0, 0));
    let mut bytes = response.responses[0].partitions[0].records.clone().unwrap();
    let batch = RecordBatch::split_first(&mut bytes).unwrap().unwrap();
    batch.records().unwrap().map(Result::unwrap).collect()
}

#[test]
fn topics_and_records_are_there_at_the_ready_line_and_come_once() {
    let folder = tempfile::tempdir().unwrap();
    let start = seeded(folder.path(), SEED);
    for _ in 0..3 {
        let node = start.ready();
        let mut client = node.client();
        assert_eq!(ends(&mut client, "orders", 3), [0, 0, 2]);
        assert_eq!(ends(&mut client, "plain", 1), [2]);
        let ended = node.stop();
        assert_eq!(ended.complaints(), Vec::<String>::new());
    }
}

#[test]
fn records_carry_what_the_seed_says() {
    let folder = tempfile::tempdir().unwrap();
    let node = seeded(folder.path(), SEED).ready();
    let records = records(&mut node.client(), "orders", 2);
    let [first, second] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(first.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(
        first.value.as_deref(),
        Some(&br#"{"id":1,"tags":["a"]}"#[..])
    );
    assert_eq!(first.timestamp.0, 1_700_000_000_000);
    let headers: Vec<_> = first
        .headers
        .iter()
        .map(|it| (&it.key[..], it.value.as_deref()))
        .collect();
    assert_eq!(headers, [(&b"source"[..], Some(&b"seed"[..]))]);
    assert_eq!(second.value, None);
    assert!(second.timestamp.0 > 1_700_000_000_000);
    let values = node.client().read_all("plain", 0);
    assert_eq!(values, [(0, b"one".to_vec()), (1, b"two".to_vec())]);
}

#[test]
fn the_environment_seeds_too() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path())
        .variable("KLAMM_TOPICS", "a:3,b:1:cleanup.policy=compact")
        .variable("KLAMM_SEED", "topics: [{name: c, records: [{value: x}]}]")
        .variable("KAFKA_CREATE_TOPICS", "not-this-one:1:1")
        .ready();
    let mut client = node.client();
    assert_eq!(topics(&mut client), ["a", "b", "c"]);
    assert_eq!(ends(&mut client, "a", 3), [0, 0, 0]);
    assert_eq!(ends(&mut client, "c", 1), [1]);
    drop(node);
    let node = Start::new(&folder.path().join("older"))
        .variable("KAFKA_CREATE_TOPICS", "d:2:1:compact, e:1:1")
        .ready();
    assert_eq!(topics(&mut node.client()), ["d", "e"]);
    assert_eq!(node.complaints(), Vec::<String>::new());
}

#[test]
fn what_is_there_is_kept_and_a_difference_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let start = seeded(folder.path(), SEED);
    let node = start.ready();
    node.client()
        .produce("plain", 0, support::requests::batch(&["three"]))
        .unwrap();
    node.stop();
    let changed = SEED
        .replace("partitions: 3", "partitions: 4")
        .replace("60000", "70000");
    let node = seeded(folder.path(), &changed).ready();
    let mut client = node.client();
    assert_eq!(ends(&mut client, "plain", 1), [3]);
    assert_eq!(ends(&mut client, "orders", 3), [0, 0, 2]);
    let warnings = node.complaints().join("\n");
    for expected in [
        "seed.yaml:3:5: topic orders exists with 3 partitions, not 4; it is kept",
        "seed.yaml:3:5: topic orders exists with retention.ms 60000, not 70000; it is kept",
    ] {
        assert!(warnings.contains(expected), "{warnings}");
    }
    assert_eq!(node.complaints().len(), 2, "{warnings}");
}

#[test]
fn what_is_wrong_stops_the_start_with_its_place() {
    let record =
        |record: &str| format!("topics:\n- name: t\n  partitions: 2\n  records:\n  - {record}\n");
    for (seed, expected) in [
        ("topics:\n- nam: t\n".to_owned(), "seed.yaml:2:3: unknown field `nam`"),
        ("topics:\n- name: a/b\n".to_owned(), "seed.yaml:2:3: topic a/b cannot be made: Topic name is invalid"),
        ("topics:\n- {name: t, configs: {retention.ms: soon}}\n".to_owned(), "seed.yaml:2:3: topic t cannot be made: Invalid value soon"),
        ("topics:\n- {name: t, replication_factor: 3}\n".to_owned(), "seed.yaml:2:3: topic t cannot be made: "),
        ("topics:\n- name: t\n- name: t\n".to_owned(), "seed.yaml:3:3: topic t stands at "),
        ("users: [{name: alice}]\n".to_owned(), "SASL, which this broker does not serve yet"),
        (record("{value: a, partition: 2}"), "seed.yaml:5:5: partition 2: topic t has the partitions 0 to 1"),
        ("topics:\n- name: t\n  configs: {cleanup.policy: compact}\n  records:\n  - {key: a}\n  - {value: a}\n".to_owned(),
         "seed.yaml:6:5: the record is refused by t-0: Compacted topic cannot accept message without key"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ended = seeded(folder.path(), &seed).ends();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.text().contains(expected), "{expected}\n{}", ended.text());
        assert!(!ended.text().contains("Kafka Server started"));
    }
    let folder = tempfile::tempdir().unwrap();
    let ended = Start::new(folder.path())
        .with("klamm.seed.file", "/nowhere/seed.yaml")
        .ends();
    assert!(
        ended
            .text()
            .contains("cannot read the seed file /nowhere/seed.yaml"),
        "{}",
        ended.text()
    );
    let ended = Start::new(folder.path()).with("klamm.topics", "a:b").ends();
    assert!(
        ended
            .text()
            .contains("klamm.topics: \"a:b\": \"b\" is no number"),
        "{}",
        ended.text()
    );
}

/// A user that could not log in would only seem to be there.
#[test]
fn users_stop_the_start_until_they_could_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Start::new(folder.path())
        .variable("KLAMM_USERS", "alice:secret")
        .ends();
    assert_eq!(ended.status.code(), Some(1));
    let expected = "klamm.users: users need SASL, which this broker does not serve yet";
    assert!(ended.text().contains(expected), "{}", ended.text());
    assert!(!ended.text().contains("Kafka Server started"));
    assert!(!ended.text().contains("secret"), "{}", ended.text());
}

#[test]
fn records_beyond_one_batch_come_in_several() {
    let folder = tempfile::tempdir().unwrap();
    let value = "x".repeat(100_000);
    let mut seed = "topics:\n- name: large\n  partitions: 1\n  records:\n".to_owned();
    for record in 0..25 {
        seed += &format!("  - {{key: {record}, value: {value}}}\n");
    }
    let node = seeded(folder.path(), &seed).ready();
    assert_eq!(node.client().offset("large", 0, -1).unwrap(), 25);
    let too_large = format!(
        "topics:\n- name: t\n  records:\n  - value: {}\n",
        "x".repeat(2_000_000)
    );
    let other = tempfile::tempdir().unwrap();
    let ended = seeded(other.path(), &too_large).ends();
    assert!(
        ended
            .text()
            .contains("seed.yaml:4:5: the record is refused by t-0"),
        "{}",
        ended.text().chars().take(500).collect::<String>()
    );
}
