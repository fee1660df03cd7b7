//! What a rule is of, how often it fires, and what it says.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::json;

use super::*;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const HEARTBEAT: i16 = 12;

fn rules(specs: &[serde_json::Value]) -> Faults {
    let faults = Faults::default();
    let specs = specs
        .iter()
        .map(|spec| serde_json::from_value(spec.clone()).unwrap());
    faults.add(specs.collect()).unwrap();
    faults
}

fn refusal(spec: serde_json::Value) -> String {
    serde_json::from_value::<Spec>(spec)
        .unwrap_err()
        .to_string()
}

fn about(topic: &str, partition: i32) -> Topics {
    Topics::Some(vec![(Arc::from(topic), Some(partition))])
}

fn decide(faults: &Faults, api: i16, client_id: &str, topics: &Topics) -> Verdict {
    faults.decide(&Asked {
        api,
        client_id,
        topics,
    })
}

#[test]
fn a_rule_is_of_an_api_a_client_and_a_topic() {
    let faults = rules(&[
        json!({"api": "produce", "client_id": "app-*", "topic": "t", "partition": 1,
        "cut": true}),
    ]);
    let cut = |api, client, topics: &Topics| decide(&faults, api, client, topics).action.is_some();
    assert!(cut(PRODUCE, "app-1", &about("t", 1)));
    assert!(cut(PRODUCE, "app-1", &Topics::All));
    assert!(!cut(FETCH, "app-1", &about("t", 1)));
    assert!(!cut(PRODUCE, "other", &about("t", 1)));
    assert!(!cut(PRODUCE, "app-1", &about("t", 0)));
    assert!(!cut(PRODUCE, "app-1", &about("u", 1)));
    assert!(!cut(PRODUCE, "app-1", &Topics::None));
    assert_eq!(faults.hits(), [(1, 2)]);
}

#[test]
fn a_rule_skips_fires_and_is_used_up() {
    let faults = rules(&[json!({"skip": 2, "count": 3, "drop": true})]);
    let fired: Vec<bool> = (0..8)
        .map(|_| decide(&faults, HEARTBEAT, "", &Topics::None).action == Some(Action::Drop))
        .collect();
    assert_eq!(fired, [false, false, true, true, true, false, false, false]);
    let shown = &faults.list()[0];
    assert_eq!(
        (&shown["matched"], &shown["hits"], &shown["used_up"]),
        (&json!(8), &json!(3), &json!(true))
    );
}

#[test]
fn a_seed_decides_the_same_each_time() {
    let run = |seed: u64| -> Vec<bool> {
        let faults = rules(&[json!({"probability": 0.5, "seed": seed, "swallow": true})]);
        (0..200)
            .map(|_| decide(&faults, PRODUCE, "", &Topics::None).action.is_some())
            .collect()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let fired = run(7).iter().filter(|fired| **fired).count();
    assert!((60..140).contains(&fired), "{fired}");
    assert_eq!(
        rules(&[json!({"probability": 0.0, "drop": true})]).hits(),
        [(1, 0)]
    );
}

#[test]
fn delays_add_up_and_the_first_other_rule_counts() {
    let faults = rules(&[
        json!({"delay_ms": 10}),
        json!({"delay_ms": 5, "error": "NOT_COORDINATOR"}),
        json!({"cut": "after"}),
    ]);
    let verdict = decide(&faults, HEARTBEAT, "", &Topics::None);
    assert_eq!(verdict.delay, Duration::from_millis(15));
    assert_eq!(
        verdict.action,
        Some(Action::Error(ErrorCode::NotCoordinator))
    );
    assert_eq!(faults.hits(), [(1, 1), (2, 1), (3, 0)]);
}

#[test]
fn an_error_of_a_topic_is_carried_by_its_partitions_where_answers_can() {
    let faults = rules(&[
        json!({"topic": "t", "error": 6}),
        json!({"topic": "t", "partition": 1, "error": 3}),
    ]);
    let verdict = decide(&faults, PRODUCE, "", &about("t", 1));
    assert_eq!(verdict.action, None);
    let of = |partition| {
        let faults = verdict.partitions.iter();
        let of = faults.filter(|fault| fault.is_of("t", Some(partition)));
        of.map(|fault| fault.code).collect::<Vec<_>>()
    };
    let (leader, unknown) = (
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::UnknownTopicOrPartition,
    );
    assert_eq!((of(0), of(1)), (vec![leader], vec![leader, unknown]));
    // CreateTopics can only be refused as a whole.
    let verdict = decide(&faults, 19, "", &Topics::Some(vec![(Arc::from("t"), None)]));
    assert_eq!(verdict.action, Some(Action::Error(leader)));
}

#[test]
fn an_error_of_a_fetch_stands_where_clients_look_for_it() {
    for (error, of_partitions) in [
        ("NOT_LEADER_OR_FOLLOWER", true),
        ("FETCH_SESSION_ID_NOT_FOUND", false),
    ] {
        let faults = rules(&[json!({"api": "Fetch", "error": error})]);
        let verdict = decide(&faults, FETCH, "", &about("t", 0));
        assert_eq!(verdict.action.is_none(), of_partitions, "{error}");
        assert_eq!(
            verdict.partitions.len(),
            usize::from(of_partitions),
            "{error}"
        );
    }
}

#[test]
fn rules_are_read_back_and_removed() {
    let faults = rules(&[
        json!({"api": 1, "error": "OffsetOutOfRange", "seed": 5}),
        json!({"cut": true}),
    ]);
    assert!(!faults.is_empty());
    let first = faults.get(1).unwrap();
    assert_eq!(
        (&first["api"], &first["error"], &first["seed"]),
        (&json!("Fetch"), &json!("OFFSET_OUT_OF_RANGE"), &json!(5))
    );
    assert_eq!(faults.get(2).unwrap()["cut"], "before");
    assert_eq!(faults.remove(Some(3)).len(), 0);
    assert_eq!(faults.remove(Some(1)).len(), 1);
    assert_eq!(faults.list().len(), 1);
    assert_eq!(faults.remove(None).len(), 1);
    assert!(faults.is_empty());
    let many = serde_json::from_value::<Spec>(json!({"cut": true})).unwrap();
    assert!(faults.add(vec![many; RULES_MAX + 1]).is_none());
    assert!(faults.is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_with_what_was_expected() {
    for (spec, expected) in [
        (json!({}), "nothing happens: expected one of \"error\""),
        (
            json!({"api": "Produc", "cut": true}),
            "api: \"Produc\" is no API",
        ),
        (json!({"api": 999, "cut": true}), "api: \"999\" is no API"),
        (
            json!({"error": "NOPE"}),
            "error: \"NOPE\" is no error of Kafka's",
        ),
        (
            json!({"error": 250}),
            "error: \"250\" is no error of Kafka's",
        ),
        (json!({"error": "NONE"}), "error: 0 is no error"),
        (
            json!({"partition": 1, "cut": true}),
            "partition: a partition needs the topic",
        ),
        (
            json!({"probability": 1.5, "cut": true}),
            "probability: 1.5 is not between 0 and 1",
        ),
        (
            json!({"count": 0, "cut": true}),
            "count: a rule that never fires",
        ),
        (
            json!({"error": 6, "drop": true}),
            "error and drop exclude each other",
        ),
        (json!({"eror": 6}), "unknown field `eror`"),
        (
            json!({"cut": "later"}),
            "cut: expected true, \"before\" or \"after\"",
        ),
        (json!({"delay_ms": -1}), "invalid value"),
    ] {
        let refusal = refusal(spec.clone());
        assert!(refusal.contains(expected), "{spec}: {refusal}");
    }
}

#[test]
fn errors_have_kafkas_names() {
    for (code, name) in [
        (ErrorCode::UnknownServerError, "UNKNOWN_SERVER_ERROR"),
        (ErrorCode::NotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER"),
        (ErrorCode::InvalidTopicException, "INVALID_TOPIC_EXCEPTION"),
        (
            ErrorCode::UnsupportedSaslMechanism,
            "UNSUPPORTED_SASL_MECHANISM",
        ),
    ] {
        assert_eq!(error_name(code), name);
        serde_json::from_value::<Spec>(json!({"error": name.to_lowercase()})).unwrap();
    }
}
