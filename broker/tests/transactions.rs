//! Transactions: all or nothing for who reads committed records, of both kinds of clients.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use protocol::messages::update_features_request::FeatureUpdateKey;
use protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use protocol::messages::{
    AddPartitionsToTxnRequest, ApiVersionsRequest, DescribeProducersRequest,
    ListTransactionsRequest, UpdateFeaturesRequest, WriteTxnMarkersRequest,
};
use serde_json::{Value, json};
use support::requests::{batch, checked, produce_request, text, topic_name};
use support::transactions::{Kind, Transactional, transactional_id};
use support::{Client, Node, Start, eventually};

const BOTH: [Kind; 2] = [Kind::V1, Kind::V2];

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("transaction.state.log.num.partitions", 3)
}

/// A node with the topic `t` of two partitions, and `u` of one.
fn node(folder: &tempfile::TempDir) -> Node {
    let node = start(folder).ready();
    let mut client = node.client();
    client.create("t", 2, &[]);
    client.create("u", 1, &[]);
    node
}

fn advance(node: &Node, ms: i64) {
    let body = json!({"advance_ms": ms});
    node.http().post("/v1/clock", &body).ok();
}

fn fault(node: &Node, rule: Value) {
    assert_eq!(node.http().post("/v1/faults", &rule).status, 201);
}

fn settled(node: &Node, id: &str) -> Value {
    node.http().get(&format!("/v1/wait?transaction={id}")).ok()
}

#[test]
fn what_is_committed_is_seen_whole_and_what_is_aborted_never() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    for (partition, kind) in (0..).zip(BOTH) {
        let mut producer = Transactional::begin(&mut client, &format!("{kind:?}"), kind);
        producer.write(&mut client, "t", partition, &["a", "b"]);
        let open = client.read_committed("t", partition);
        assert_eq!((open.records, open.last_stable_offset), (Vec::new(), 0));
        assert_eq!(open.high_watermark, 2);
        producer.end(&mut client, true);
        assert_eq!(client.settled("t", partition), ["a", "b"]);
        producer.write(&mut client, "t", partition, &["lost"]);
        producer.end(&mut client, false);
        assert_eq!(client.settled("t", partition), ["a", "b"]);
        producer.write(&mut client, "t", partition, &["c"]);
        producer.end(&mut client, true);
        assert_eq!(client.settled("t", partition), ["a", "b", "c"]);
        // Three markers take an offset each, and who reads uncommitted records sees all others.
        assert_eq!(client.offset("t", partition, -1), Ok(7));
        // The markers are records too, of control batches.
        assert_eq!(client.read_all("t", partition).len(), 7);
        let state = client.describe_transaction(&producer.id);
        assert_eq!(state.transaction_state.as_str(), "CompleteCommit");
        assert!(state.topics.is_empty(), "{state:?}");
    }
}

#[test]
fn one_transaction_ends_in_all_of_its_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    for kind in BOTH {
        let mut producer = Transactional::begin(&mut client, &format!("{kind:?}"), kind);
        for (topic, partition) in [("t", 0), ("t", 1), ("u", 0)] {
            producer.write(&mut client, topic, partition, &[format!("{kind:?}")]);
        }
        let state = client.describe_transaction(&producer.id);
        assert_eq!(state.transaction_state.as_str(), "Ongoing");
        assert_eq!(state.topics.len(), 2, "{state:?}");
        producer.end(&mut client, true);
    }
    for (topic, partition) in [("t", 0), ("t", 1), ("u", 0)] {
        assert_eq!(client.settled(topic, partition), ["V1", "V2"]);
    }
    let listed = client.ask(
        2,
        ListTransactionsRequest::default().with_duration_filter(-1),
    );
    assert_eq!(listed.transaction_states.len(), 2, "{listed:?}");
}

#[test]
fn a_second_producer_of_an_id_ends_what_the_first_left_open() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    for (partition, kind) in (0..).zip(BOTH) {
        let id = format!("{kind:?}");
        let mut zombie = Transactional::begin(&mut client, &id, kind);
        zombie.write(&mut client, "t", partition, &["of the zombie"]);
        let mut next = Transactional::begin(&mut client, &id, kind);
        assert_eq!(next.producer_id, zombie.producer_id);
        assert!(next.epoch > zombie.epoch);
        assert_eq!(client.settled("t", partition), Vec::<String>::new());
        let refused = zombie.try_write(&mut client, "t", partition, &["more"]);
        assert_eq!(refused.unwrap(), Err(ErrorCode::InvalidProducerEpoch));
        let refused = zombie.try_end(&mut client, true).unwrap();
        assert_eq!(refused, Err(ErrorCode::ProducerFenced));
        next.write(&mut client, "t", partition, &["of the next"]);
        next.end(&mut client, true);
        assert_eq!(client.settled("t", partition), ["of the next"]);
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_when_the_clock_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    for (partition, kind) in (0..).zip(BOTH) {
        let id = format!("{kind:?}");
        let mut slow = Transactional::begin_with(&mut client, &id, kind, 10_000);
        slow.write(&mut client, "t", partition, &["late"]);
        advance(&node, 9_000);
        let state = client.describe_transaction(&id);
        assert_eq!(state.transaction_state.as_str(), "Ongoing");
        // No wait: what the clock sets off is done when its change is answered.
        advance(&node, 20_000);
        let seen = client.read_committed("t", partition);
        assert!(seen.is_settled() && seen.records.is_empty(), "{seen:?}");
        assert_eq!(settled(&node, &id)["state"], "CompleteAbort");
        let refused = slow.try_end(&mut client, true).unwrap();
        let code = match kind {
            Kind::V1 => ErrorCode::ProducerFenced,
            // As that of an end whose answer was lost, had it been an abort.
            Kind::V2 => ErrorCode::InvalidTxnState,
        };
        assert_eq!(refused, Err(code));
        let mut next = Transactional::begin(&mut client, &id, kind);
        next.write(&mut client, "t", partition, &["in time"]);
        next.end(&mut client, true);
        assert_eq!(client.settled("t", partition), ["in time"]);
    }
}

#[test]
fn a_wait_for_a_transaction_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    let mut client = node.client();
    let unknown = http.get("/v1/wait?transaction=id&timeout_ms=50");
    assert_eq!(unknown.status, 408);
    assert_eq!(unknown.json()["seen"]["exists"], false);
    let mut producer = Transactional::begin(&mut client, "id", Kind::V2);
    assert_eq!(settled(&node, "id")["state"], "Empty");
    producer.write(&mut client, "t", 0, &["x"]);
    let open = http.get("/v1/wait?transaction=id&timeout_ms=50").json();
    assert_eq!(open["seen"]["state"], "Ongoing");
    assert_eq!(open["seen"]["partitions"], json!(["t-0"]));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| settled(&node, "id"));
        producer.end(&mut client, true);
        assert_eq!(waiting.join().unwrap()["state"], "CompleteCommit");
    });
}

/// Stages of a transaction at which the broker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begun,
    Written,
    OffsetsTaken,
    Committed,
    Aborted,
}

const STAGES: [Stage; 5] = [
    Stage::Begun,
    Stage::Written,
    Stage::OffsetsTaken,
    Stage::Committed,
    Stage::Aborted,
];

/// Goes up to a stage, with a transaction of earlier records committed before.
fn reach(client: &mut Client, producer: &mut Transactional, stage: Stage) {
    producer.write(client, "t", 0, &["before"]);
    producer.commit_offset(client, "g", "u", 1);
    producer.end(client, true);
    if stage == Stage::Begun {
        return;
    }
    producer.write(client, "t", 0, &["x"]);
    producer.write(client, "t", 1, &["y"]);
    if stage == Stage::Written {
        return;
    }
    producer.commit_offset(client, "g", "u", 2);
    match stage {
        Stage::Committed => producer.end(client, true),
        Stage::Aborted => producer.end(client, false),
        Stage::Begun | Stage::Written | Stage::OffsetsTaken => {}
    }
}

#[test]
fn a_kill_at_any_stage_loses_nothing_and_leaves_nothing_open() {
    for kind in BOTH {
        for stage in STAGES {
            let folder = tempfile::tempdir().unwrap();
            let first = node(&folder);
            let mut client = first.client();
            client.find_coordinator("g");
            let mut producer = Transactional::begin(&mut client, "id", kind);
            reach(&mut client, &mut producer, stage);
            first.kill();
            let node = start(&folder).ready();
            let mut client = node.client();
            if matches!(stage, Stage::Written | Stage::OffsetsTaken) {
                // It goes on where it was.
                producer.write(&mut client, "t", 1, &["z"]);
                producer.commit_offset(&mut client, "g", "u", 3);
                producer.end(&mut client, true);
            }
            let (x, y, offset): (&[&str], &[&str], i64) = match stage {
                Stage::Begun | Stage::Aborted => (&["before"], &[], 1),
                Stage::Written | Stage::OffsetsTaken => (&["before", "x"], &["y", "z"], 3),
                Stage::Committed => (&["before", "x"], &["y"], 2),
            };
            assert_eq!(client.settled("t", 0), x, "{kind:?} {stage:?}");
            assert_eq!(client.settled("t", 1), y, "{kind:?} {stage:?}");
            let committed =
                eventually("the group's offset", || client.stable_offset("g", "u").ok());
            assert_eq!(committed, offset, "{kind:?} {stage:?}");
            // And the next transaction of the same producer works.
            producer.write(&mut client, "t", 0, &["after"]);
            producer.end(&mut client, true);
            let mut all = x.to_vec();
            all.push("after");
            assert_eq!(client.settled("t", 0), all, "{kind:?} {stage:?}");
        }
    }
}

#[test]
fn markers_that_a_kill_came_before_are_written_after_it() {
    for kind in BOTH {
        for committed in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let first = node(&folder);
            // What a coordinator's markers meet on their way, in one partition only.
            fault(
                &first,
                json!({"api": "WriteTxnMarkers", "topic": "t", "partition": 1,
                    "error": "KAFKA_STORAGE_ERROR"}),
            );
            let mut client = first.client();
            let mut producer = Transactional::begin(&mut client, "id", kind);
            producer.write(&mut client, "t", 0, &["x"]);
            producer.write(&mut client, "t", 1, &["y"]);
            producer.end(&mut client, committed);
            // The other partition does not wait for it.
            let shown: &[&str] = if committed { &["x"] } else { &[] };
            assert_eq!(client.settled("t", 0), shown);
            let held_up = client.read_committed("t", 1);
            assert_eq!((held_up.last_stable_offset, held_up.high_watermark), (0, 1));
            let state = client.describe_transaction("id");
            let prepared = if committed {
                "PrepareCommit"
            } else {
                "PrepareAbort"
            };
            assert_eq!(state.transaction_state.as_str(), prepared);
            first.kill();
            let node = start(&folder).ready();
            let mut client = node.client();
            assert_eq!(client.settled("t", 0), shown);
            let shown: &[&str] = if committed { &["y"] } else { &[] };
            assert_eq!(client.settled("t", 1), shown);
            settled(&node, "id");
            producer.write(&mut client, "t", 1, &["z"]);
            producer.end(&mut client, true);
            assert_eq!(client.settled("t", 1).last().unwrap(), "z");
        }
    }
}

#[test]
fn a_marker_whose_answer_is_lost_is_written_again_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    fault(
        &node,
        json!({"api": "WriteTxnMarkers", "cut": "after", "count": 3}),
    );
    let mut client = node.client();
    let mut producer = Transactional::begin(&mut client, "id", Kind::V2);
    producer.write(&mut client, "t", 0, &["x"]);
    producer.end(&mut client, true);
    settled(&node, "id");
    assert_eq!(client.settled("t", 0), ["x"]);
    producer.write(&mut client, "t", 0, &["y"]);
    producer.end(&mut client, false);
    settled(&node, "id");
    assert_eq!(client.settled("t", 0), ["x"]);
}

#[test]
fn a_partition_that_is_slow_to_end_a_transaction_delays_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    fault(
        &node,
        json!({"api": "WriteTxnMarkers", "topic": "t", "partition": 1, "delay_ms": 3000}),
    );
    let mut client = node.client();
    let mut producer = Transactional::begin(&mut client, "id", Kind::V2);
    for (topic, partition) in [("t", 0), ("t", 1), ("u", 0)] {
        producer.write(&mut client, topic, partition, &["x"]);
    }
    producer.end(&mut client, true);
    assert_eq!(client.settled("t", 0), ["x"]);
    assert_eq!(client.settled("u", 0), ["x"]);
    assert_eq!(client.read_committed("t", 1).last_stable_offset, 0);
    settled(&node, "id");
    assert_eq!(client.settled("t", 1), ["x"]);
}

#[test]
fn offsets_count_once_their_transaction_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    for kind in BOTH {
        let group = format!("g-{kind:?}");
        client.find_coordinator(&group);
        let mut producer = Transactional::begin(&mut client, &format!("{kind:?}"), kind);
        producer.commit_offset(&mut client, &group, "t", 5);
        assert_eq!(client.committed(&group, "t"), Ok(-1));
        let unstable = Err(ErrorCode::UnstableOffsetCommit);
        assert_eq!(client.stable_offset(&group, "t"), unstable);
        producer.end(&mut client, true);
        let offset = eventually("a stable offset", || client.stable_offset(&group, "t").ok());
        assert_eq!(offset, 5);
        producer.commit_offset(&mut client, &group, "t", 9);
        producer.end(&mut client, false);
        let offset = eventually("a stable offset", || client.stable_offset(&group, "t").ok());
        assert_eq!(offset, 5);
        assert_eq!(client.committed(&group, "t"), Ok(5));
    }
}

#[test]
fn an_end_that_comes_late_is_refused_in_version_2() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let mut producer = Transactional::begin(&mut client, "id", Kind::V2);
    producer.write(&mut client, "t", 0, &["a"]);
    let mut late = producer.clone();
    producer.end(&mut client, true);
    settled(&node, "id");
    // The same end once more is one whose answer was lost.
    let mut again = late.clone();
    assert_eq!(again.try_end(&mut client, true).unwrap(), Ok(()));
    assert_eq!(
        (again.producer_id, again.epoch),
        (producer.producer_id, producer.epoch)
    );
    producer.write(&mut client, "t", 0, &["b"]);
    // One of the transaction before may not end this one.
    let refused = late.try_end(&mut client, false).unwrap();
    assert_eq!(refused, Err(ErrorCode::ProducerFenced));
    let refused = late.try_write(&mut client, "t", 0, &["late"]).unwrap();
    assert_eq!(refused, Err(ErrorCode::InvalidProducerEpoch));
    producer.end(&mut client, true);
    assert_eq!(client.settled("t", 0), ["a", "b"]);
}

#[test]
fn a_topic_that_is_deleted_does_not_hold_up_its_transaction() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let node = node(&folder);
        let mut client = node.client();
        let mut producer = Transactional::begin(&mut client, "id", kind);
        producer.write(&mut client, "u", 0, &["gone"]);
        producer.write(&mut client, "t", 0, &["here"]);
        client.try_delete("u").unwrap().unwrap();
        producer.end(&mut client, true);
        assert_eq!(settled(&node, "id")["state"], "CompleteCommit");
        assert_eq!(client.settled("t", 0), ["here"]);
        // Deleted while its marker is refused: it is given up.
        client.create("u", 1, &[]);
        fault(
            &node,
            json!({"api": "WriteTxnMarkers", "topic": "u", "error": "NOT_LEADER_OR_FOLLOWER"}),
        );
        producer.write(&mut client, "u", 0, &["gone"]);
        producer.end(&mut client, false);
        let state = client.describe_transaction("id");
        assert_eq!(state.transaction_state.as_str(), "PrepareAbort");
        client.try_delete("u").unwrap().unwrap();
        assert_eq!(settled(&node, "id")["state"], "CompleteAbort");
    }
}

#[test]
fn clients_of_both_kinds_write_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let mut old = Transactional::begin(&mut client, "old", Kind::V1);
    let mut new = Transactional::begin(&mut client, "new", Kind::V2);
    let mut expected = Vec::new();
    for round in 0..20 {
        let value = format!("old {round}");
        old.write(&mut client, "t", 0, &[&value]);
        let other = format!("new {round}");
        new.write(&mut client, "t", 0, &[&other]);
        old.end(&mut client, round % 2 == 0);
        new.end(&mut client, round % 3 == 0);
        expected.extend((round % 2 == 0).then_some(value));
        expected.extend((round % 3 == 0).then_some(other));
    }
    assert_eq!(client.settled("t", 0), expected);
    // One id may change its kind.
    let mut newer = Transactional::begin(&mut client, "old", Kind::V2);
    newer.write(&mut client, "t", 1, &["x"]);
    newer.end(&mut client, true);
    let mut older = Transactional::begin(&mut client, "old", Kind::V1);
    older.write(&mut client, "t", 1, &["y"]);
    older.end(&mut client, true);
    assert_eq!(client.settled("t", 1), ["x", "y"]);
}

#[test]
fn records_outside_of_a_transaction_are_refused_as_each_version_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let mut producer = Transactional::begin(&mut client, "id", Kind::V1);
    for (version, code) in [
        (9, ErrorCode::InvalidTxnState),
        (10, ErrorCode::InvalidTxnState),
        (11, ErrorCode::TransactionAbortable),
    ] {
        let refused = producer.try_write_at(&mut client, version, "t", 0, &["x"]);
        assert_eq!(refused.unwrap(), Err(code), "version {version}");
    }
    assert_eq!(client.offset("t", 0, -1), Ok(0));
    // Another partition of the same transaction is not enough.
    producer.write(&mut client, "t", 1, &["y"]);
    let refused = producer.try_write_at(&mut client, 11, "t", 0, &["x"]);
    assert_eq!(refused.unwrap(), Err(ErrorCode::TransactionAbortable));
    let refused = "kafka_server_addpartitionstotxnmanager_verificationfailurerate_total 4\n";
    let metrics = node.http().get("/metrics").body;
    assert!(metrics.contains(refused), "{metrics}");
    // Without verification old clients get through.
    let set = json!({"transaction.partition.verification.enable": "false"});
    set_cluster_config(&mut client, &set);
    assert_eq!(
        producer
            .try_write_at(&mut client, 11, "t", 0, &["x"])
            .unwrap(),
        Ok(0)
    );
    // Transactional records of nobody.
    let mut request = produce_request("t", 0, -1, Some(batch(&["x"])));
    request.topic_data[0].partition_data[0].records = Some(transactional_batch());
    let response = client.ask(12, request);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(
        checked(code),
        Err(ErrorCode::TransactionalIdAuthorizationFailed)
    );
}

fn transactional_batch() -> bytes::Bytes {
    use protocol::{BatchBuilder, Offset, Producer, ProducerEpoch, ProducerId};
    let producer = Producer {
        id: ProducerId(77),
        epoch: ProducerEpoch(0),
        base_sequence: 0,
    };
    let batch = BatchBuilder::new(Offset::ZERO).transactional();
    support::requests::build(batch.producer(producer), &["x"])
}

fn set_cluster_config(client: &mut Client, configs: &Value) {
    use protocol::messages::IncrementalAlterConfigsRequest;
    use protocol::messages::incremental_alter_configs_request::{
        AlterConfigsResource, AlterableConfig,
    };
    let configs = configs.as_object().unwrap().iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(0)
            .with_value(value.as_str().map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(client.ask(1, request).responses[0].error_code, 0);
}

#[test]
fn partitions_are_added_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let producer = Transactional::begin(&mut client, "id", Kind::V1);
    let topic = |name, partitions: &[i32]| {
        AddPartitionsToTxnTopic::default()
            .with_name(topic_name(name))
            .with_partitions(partitions.to_vec())
    };
    let transaction = |verify_only| {
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(transactional_id("id"))
            .with_producer_id(producer.producer_id.into())
            .with_producer_epoch(producer.epoch)
            .with_verify_only(verify_only)
    };
    let topics = vec![topic("t", &[0, 7]), topic("nowhere", &[0])];
    let ask = |client: &mut Client, transaction| {
        let request = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
        let response = client.ask(5, request);
        let results = response.results_by_transaction[0].topic_results.iter();
        let codes = results.flat_map(|topic| {
            let partitions = topic.results_by_partition.iter();
            partitions.map(|it| ErrorCode::try_from_code(it.partition_error_code))
        });
        codes.collect::<Vec<_>>()
    };
    let codes = ask(&mut client, transaction(false).with_topics(topics));
    let unknown = Some(ErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        codes,
        [Some(ErrorCode::OperationNotAttempted), unknown, unknown]
    );
    let verified = |client: &mut Client| {
        let topics = vec![topic("t", &[0, 1])];
        ask(client, transaction(true).with_topics(topics))
    };
    let abortable = Some(ErrorCode::TransactionAbortable);
    assert_eq!(verified(&mut client), [abortable, abortable]);
    producer.add(&mut client, "t", 1);
    assert_eq!(verified(&mut client), [abortable, None]);
}

#[test]
fn an_administrator_ends_a_transaction_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("transaction.partition.verification.enable", "false")
        .ready();
    let mut client = node.client();
    client.create("t", 1, &[]);
    let mut producer = Transactional::begin(&mut client, "id", Kind::V1);
    producer
        .try_write_at(&mut client, 9, "t", 0, &["hangs"])
        .unwrap()
        .unwrap();
    assert_eq!(client.read_committed("t", 0).last_stable_offset, 0);
    let described = client.ask(
        0,
        DescribeProducersRequest::default().with_topics(vec![
            protocol::messages::describe_producers_request::TopicRequest::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]),
        ]),
    );
    let found = &described.topics[0].partitions[0].active_producers[0];
    assert_eq!(found.current_txn_start_offset, 0);
    let topic = WritableTxnMarkerTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0, 5]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(found.producer_id)
        .with_producer_epoch(i16::try_from(found.producer_epoch).unwrap())
        .with_coordinator_epoch(found.coordinator_epoch)
        .with_topics(vec![topic]);
    let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let answer = client.ask(1, request);
    let partitions = answer.markers[0].topics[0].partitions.iter();
    let codes: Vec<_> = partitions.map(|it| checked(it.error_code)).collect();
    assert_eq!(codes, [Ok(()), Err(ErrorCode::UnknownTopicOrPartition)]);
    assert_eq!(client.settled("t", 0), Vec::<String>::new());
}

#[test]
fn the_transaction_version_is_lowered_and_raised_at_run_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = node(&folder);
    let mut client = first.client();
    let finalized = |client: &mut Client| {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("tests"))
            .with_client_software_version(text("1"));
        let answer = client.ask(4, request);
        let mut features = answer.finalized_features.iter();
        let found = features.find(|it| it.name.as_str() == "transaction.version");
        found.map_or(0, |found| found.max_version_level)
    };
    let set = |client: &mut Client, level: i16, upgrade_type: i8| {
        let update = FeatureUpdateKey::default()
            .with_feature(text("transaction.version"))
            .with_max_version_level(level)
            .with_upgrade_type(upgrade_type);
        let request = UpdateFeaturesRequest::default()
            .with_timeout_ms(10_000)
            .with_feature_updates(vec![update]);
        assert_eq!(client.ask(2, request).error_code, 0);
    };
    assert_eq!(finalized(&mut client), 2);
    let mut open = Transactional::begin(&mut client, "open", Kind::V2);
    open.write(&mut client, "t", 0, &["a"]);
    for level in [1, 0] {
        set(&mut client, level, 2);
        assert_eq!(finalized(&mut client), level);
        let mut old = Transactional::begin(&mut client, "old", Kind::V1);
        old.write(&mut client, "t", 1, &["x"]);
        old.end(&mut client, true);
    }
    // A start brings no other level.
    first.stop();
    let node = start(&folder).ready();
    let mut client = node.client();
    assert_eq!(finalized(&mut client), 0);
    // What was begun at level 2 ends at level 2.
    let refused = open.try_end(&mut client, true).unwrap();
    assert_eq!(refused, Err(ErrorCode::UnsupportedVersion));
    set(&mut client, 2, 1);
    assert_eq!(finalized(&mut client), 2);
    open.end(&mut client, true);
    open.write(&mut client, "t", 0, &["b"]);
    open.end(&mut client, true);
    assert_eq!(client.settled("t", 0), ["a", "b"]);
    assert_eq!(client.settled("t", 1), ["x", "x"]);
}

#[test]
fn a_reset_leaves_no_transaction_open_and_its_producers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    node(&folder).stop();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.find_coordinator("g");
    for kind in BOTH {
        let id = format!("{kind:?}");
        let mut producer = Transactional::begin(&mut client, &id, kind);
        producer.write(&mut client, "t", 0, &["kept by nobody"]);
        producer.commit_offset(&mut client, "g", "t", 1);
        producer.end(&mut client, true);
        producer.write(&mut client, "t", 1, &["open"]);
        node.http().post("/v1/reset", &json!({})).ok();
        for partition in [0, 1] {
            assert_eq!(client.settled("t", partition), Vec::<String>::new());
            assert_eq!(client.offset("t", partition, -1), Ok(0));
        }
        assert_eq!(client.stable_offset("g", "t"), Ok(-1));
        let state = client.describe_transaction(&id);
        let unknown = Err(ErrorCode::TransactionalIdNotFound);
        assert_eq!(checked(state.error_code), unknown);
        // What is gone may not pass for committed; it can be aborted.
        let refused = producer.try_end(&mut client, true).unwrap();
        let code = match kind {
            Kind::V1 => ErrorCode::InvalidProducerIdMapping,
            Kind::V2 => ErrorCode::TransactionAbortable,
        };
        assert_eq!(refused, Err(code));
        producer.end(&mut client, false);
        producer.write(&mut client, "t", 0, &["after"]);
        producer.end(&mut client, true);
        assert_eq!(client.settled("t", 0), ["after"]);
        let before = producer.producer_id;
        let mut next = Transactional::begin(&mut client, &id, kind);
        assert!(next.producer_id > before, "producer ids never come again");
        next.write(&mut client, "t", 1, &["of the next"]);
        next.end(&mut client, true);
        assert_eq!(client.settled("t", 1), ["of the next"]);
    }
}

#[test]
fn a_snapshot_brings_back_what_was_committed_and_nothing_that_was_open() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let named = |what: &str| {
        let path = format!("/v1/{what}");
        node.http().post(&path, &json!({"name": "open"})).ok()
    };
    for (partition, kind) in (0..).zip(BOTH) {
        let id = format!("{kind:?}");
        let mut producer = Transactional::begin(&mut client, &id, kind);
        producer.write(&mut client, "t", partition, &["a"]);
        producer.end(&mut client, true);
        producer.write(&mut client, "t", partition, &["b"]);
        named("snapshot");
        producer.write(&mut client, "u", 0, &["c"]);
        producer.end(&mut client, true);
        settled(&node, &id);
        assert_eq!(client.settled("t", partition), ["a", "b"]);
        named("restore");
        assert_eq!(client.settled("t", partition), ["a"]);
        assert_eq!(client.settled("u", 0), Vec::<String>::new());
        producer.write(&mut client, "t", partition, &["d"]);
        producer.end(&mut client, true);
        assert_eq!(client.settled("t", partition), ["a", "d"]);
    }
}
