//! Faults over the HTTP port: every API can be refused, and what is refused was not done.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use klamm::APIS;
use protocol::ErrorCode;
use protocol::messages::*;
use serde_json::{Value, json};
use support::http::Http;
use support::node::Node;
use support::requests::{batch, checked, fetch_request, produce_request, text, topic_name};
use support::{Client, Start, eventually};
use uuid::Uuid;

fn node(folder: &tempfile::TempDir) -> Node {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("klamm.topics", "t:2,u:1")
        .ready()
}

/// Adds a rule; gives back its id.
fn add(http: Http, rule: Value) -> u64 {
    let answer = http.post("/v1/faults", &rule);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_u64().unwrap()
}

fn hits(http: Http, id: u64) -> u64 {
    http.get(&format!("/v1/faults/{id}")).ok()["hits"]
        .as_u64()
        .unwrap()
}

#[test]
fn faults_are_refused_outside_test_mode() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path()).with("klamm.admin.listener", "127.0.0.1:0");
    let node = start.ready();
    let http = node.http();
    let refused = http.post("/v1/faults", &json!({"cut": true})).error(403);
    assert!(
        refused.contains("refused unless klamm.test.mode=true"),
        "{refused}"
    );
    assert_eq!(http.get("/v1/faults").ok(), json!({"faults": []}));
}

#[test]
fn rules_are_listed_counted_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    let id = add(
        http,
        json!({"api": "Produce", "error": "NOT_LEADER_OR_FOLLOWER", "count": 2}),
    );
    let mut client = node.client();
    for _ in 0..2 {
        let refused = client.produce("t", 0, batch(&["x"]));
        assert_eq!(refused, Err(ErrorCode::NotLeaderOrFollower));
    }
    assert_eq!(client.produce("t", 0, batch(&["x"])), Ok(0));
    let shown = http.get("/v1/faults").ok()["faults"][0].clone();
    assert_eq!((&shown["hits"], &shown["matched"]), (&json!(2), &json!(3)));
    assert_eq!(
        (&shown["used_up"], &shown["api"]),
        (&json!(true), &json!("Produce"))
    );
    let many = http.post(
        "/v1/faults",
        &json!([{"cut": true, "client_id": "nobody"}, {"delay_ms": 0}]),
    );
    assert_eq!(many.json()["faults"].as_array().unwrap().len(), 2);
    http.delete(&format!("/v1/faults/{id}")).ok();
    assert!(
        http.delete(&format!("/v1/faults/{id}"))
            .error(404)
            .contains("there is no rule")
    );
    assert_eq!(
        http.delete("/v1/faults").ok()["removed"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(http.get("/v1/faults").ok()["faults"], json!([]));
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    for (body, expected) in [
        ("{\"eror\": 6}", "unknown field `eror`"),
        ("{\"error\": ", "EOF"),
        ("", "nothing happens"),
        (
            "{\"cut\": true, \"probability\": 7}",
            "probability: 7 is not between 0 and 1",
        ),
    ] {
        let error = http.ask("POST", "/v1/faults", body).error(400);
        assert!(error.contains(expected), "{body}: {error}");
    }
    let large = format!("{{\"topic\": \"{}\"}}", "x".repeat(2_000_000));
    let error = http.ask("POST", "/v1/faults", &large).error(413);
    assert!(error.contains("at most 1048576 bytes"), "{error}");
}

/// The rule's partition carries the error; the other one is served.
#[test]
fn only_the_partitions_a_rule_is_of_carry_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let (http, mut client) = (node.http(), node.client());
    for partition in [0, 1] {
        client.produce("t", partition, batch(&["x"])).unwrap();
    }
    let id = add(
        http,
        json!({"topic": "t", "partition": 1, "error": "KAFKA_STORAGE_ERROR"}),
    );
    let failed = ErrorCode::KafkaStorageError.code();

    let mut request = produce_request("t", 0, -1, Some(batch(&["y"])));
    let more = produce_request("t", 1, -1, Some(batch(&["y"])));
    let more = more.topic_data[0].partition_data.clone();
    request.topic_data[0].partition_data.extend(more);
    for version in [3, 9, 12] {
        let answer = client.ask(version, request.clone());
        let partitions = &answer.responses[0].partition_responses;
        let codes: Vec<i16> = partitions.iter().map(|it| it.error_code).collect();
        assert_eq!(codes, [0, failed], "version {version}");
        assert_eq!(partitions[1].base_offset, -1);
    }
    assert_eq!(client.offset("t", 0, -1), Ok(4));

    let mut request = fetch_request("t", 0, 0, 1000);
    let more = fetch_request("t", 1, 0, 1000).topics[0].partitions.clone();
    request.topics[0].partitions.extend(more);
    for version in [4, 12] {
        let answer = client.ask(version, request.clone());
        let data = &answer.responses[0].partitions;
        assert_eq!((data[0].error_code, data[1].error_code), (0, failed));
        assert!(
            data[0]
                .records
                .as_ref()
                .is_some_and(|records| !records.is_empty())
        );
        assert!(
            data[1]
                .records
                .as_ref()
                .is_none_or(|records| records.is_empty())
        );
    }

    assert_eq!(client.offset("t", 1, -1), Err(ErrorCode::KafkaStorageError));
    assert_eq!(
        client.delete_records("t", 1, 1),
        Err(ErrorCode::KafkaStorageError)
    );
    let topic = client.topic("t");
    let codes: Vec<i16> = topic.partitions.iter().map(|it| it.error_code).collect();
    assert_eq!((topic.error_code, codes), (0, vec![0, failed]));
    assert!(hits(http, id) >= 8, "{}", hits(http, id));
    http.delete("/v1/faults").ok();
    // What was refused was not done.
    assert_eq!(client.offset("t", 1, -1), Ok(1));
    assert_eq!(client.offset("t", 1, -2), Ok(0));
}

#[test]
fn offsets_of_a_faulted_topic_are_neither_committed_nor_told() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let (http, mut client) = (node.http(), node.client());
    client.find_coordinator("g");
    client.try_commit("g", "t", 1).unwrap().unwrap();
    let error = Err(ErrorCode::CoordinatorLoadInProgress);
    let commit = add(
        http,
        json!({"api": "OffsetCommit", "topic": "t", "error": 14}),
    );
    assert_eq!(client.try_commit("g", "t", 2).unwrap(), error);
    assert_eq!(client.try_commit("g", "u", 2).unwrap(), Ok(()));
    assert_eq!(client.committed("g", "t"), Ok(1));
    let fetch = add(
        http,
        json!({"api": "OffsetFetch", "topic": "t", "error": 14}),
    );
    assert_eq!(
        client.committed("g", "t"),
        Err(ErrorCode::CoordinatorLoadInProgress)
    );
    assert_eq!(client.committed("g", "u"), Ok(2));
    assert_eq!((hits(http, commit), hits(http, fetch)), (1, 1));
}

#[test]
fn a_topic_that_metadata_is_to_refuse_is_not_created_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let (http, mut client) = (node.http(), node.client());
    add(
        http,
        json!({"api": "Metadata", "topic": "new", "error": "LEADER_NOT_AVAILABLE", "count": 1}),
    );
    let topic =
        metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("new")));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(true);
    let answer = client.ask(12, request.clone());
    assert_eq!(
        checked(answer.topics[0].error_code),
        Err(ErrorCode::LeaderNotAvailable)
    );
    let answer = client.ask(12, MetadataRequest::default().with_topics(None));
    assert!(
        answer
            .topics
            .iter()
            .all(|topic| topic.name != Some(topic_name("new")))
    );
    assert_eq!(client.ask(12, request).topics[0].error_code, 0);
}

/// A fetch session names its partitions once; a rule is of them all the same.
#[test]
fn an_error_reaches_an_incremental_fetch_that_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let (http, mut client) = (node.http(), node.client());
    let first = fetch_request("t", 0, 0, 0).with_session_epoch(0);
    let session = client.ask(12, first).session_id;
    assert_ne!(session, 0);
    let id = add(
        http,
        json!({"topic": "t", "error": "OFFSET_OUT_OF_RANGE", "count": 1}),
    );
    let next = |epoch: i32| {
        let next = fetch_request("t", 0, 0, 100).with_topics(Vec::new());
        next.with_session_id(session).with_session_epoch(epoch)
    };
    let answer = client.ask(12, next(1));
    let codes: Vec<i16> = answer.responses[0]
        .partitions
        .iter()
        .map(|it| it.error_code)
        .collect();
    assert_eq!((answer.error_code, codes), (0, vec![1]));
    assert_eq!(hits(http, id), 1);
    assert_eq!(client.ask(12, next(2)).error_code, 0);
}

#[test]
fn requests_are_delayed_cut_dropped_and_their_answers_swallowed() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let http = node.http();
    let mut client = node.client();

    add(http, json!({"api": "Produce", "delay_ms": 300, "count": 1}));
    let asked = Instant::now();
    assert_eq!(client.produce("t", 0, batch(&["delayed"])), Ok(0));
    assert!(asked.elapsed() >= Duration::from_millis(300));

    let closed = |rule: Value| {
        add(http, rule);
        let mut client = node.client();
        client
            .send(9, &produce_request("t", 0, -1, Some(batch(&["x"]))))
            .unwrap();
        assert!(client.is_closed());
    };
    closed(json!({"api": "Produce", "cut": true, "count": 1}));
    assert_eq!(client.offset("t", 0, -1), Ok(1));
    closed(json!({"api": "Produce", "cut": "after", "count": 1}));
    assert_eq!(client.offset("t", 0, -1), Ok(2));

    // Nothing is answered on the connection from then on: answers keep the order of requests.
    let silent = |rule: Value| {
        let id = add(http, rule);
        let mut client = node.client();
        let request = produce_request("t", 0, -1, Some(batch(&["x"])));
        client.send(9, &request).unwrap();
        client.send(12, &fetch_request("t", 0, 0, 0)).unwrap();
        eventually("a hit", || (hits(http, id) == 1).then_some(()));
        client.set_deadline(Duration::from_millis(300));
        let kind = client.read_frame().unwrap_err().kind();
        let timed_out = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        assert!(timed_out.contains(&kind), "{kind:?}");
        node.client().offset("t", 0, -1)
    };
    assert_eq!(
        silent(json!({"api": "Produce", "drop": true, "count": 1})),
        Ok(2)
    );
    assert_eq!(
        silent(json!({"api": "Produce", "swallow": true, "count": 1})),
        Ok(3)
    );
    assert_eq!(
        http.get("/v1/faults").ok()["faults"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn a_produce_that_expects_no_answer_loses_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    add(
        node.http(),
        json!({"api": "Produce", "error": "NOT_LEADER_OR_FOLLOWER", "count": 1}),
    );
    let mut client = node.client();
    client
        .send(9, &produce_request("t", 0, 0, Some(batch(&["x"]))))
        .unwrap();
    assert!(client.is_closed());
    assert_eq!(node.client().offset("t", 0, -1), Ok(0));
}

/// Asks at every version that is served; the answer must hold the code (or, where a version has
/// no place for one, nothing).
macro_rules! refused_everywhere {
    ($client:ident, $covered:ident: $($request:expr;)*) => {$(
        refuse_all_versions($client, $covered, $request);
    )*};
}

fn refuse_all_versions<R: support::client::Question + Clone>(
    client: &mut Client,
    covered: &mut BTreeSet<i16>,
    request: impl Fn(i16) -> R,
) {
    let api = APIS.iter().find(|api| api.key == R::KEY).unwrap();
    covered.insert(api.key);
    for version in api.served.clone() {
        let answer = client.ask(version, request(version));
        let shown = format!("{answer:?}");
        let code = format!("error_code: {}", ErrorCode::PolicyViolation.code());
        let has_no_place = api.name == "DescribeLogDirs" && version < 3;
        assert_ne!(
            shown.contains(&code),
            has_no_place,
            "{} {version}: {shown}",
            api.name
        );
    }
}

fn refuse_records(client: &mut Client, covered: &mut BTreeSet<i16>, id: Uuid) {
    refused_everywhere! { client, covered:
        |version: i16| {
            let mut request = produce_request("t", 0, -1, Some(batch(&["x"])));
            if version >= 13 {
                request.topic_data[0].name = TopicName::default();
                request.topic_data[0].topic_id = id;
            }
            request
        };
        |version: i16| {
            let mut request = fetch_request("t", 0, 0, 0);
            if version >= 13 {
                request.topics[0].topic = TopicName::default();
                request.topics[0].topic_id = id;
            }
            request
        };
        |_| ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![
            list_offsets_request::ListOffsetsTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![Default::default()]),
        ]);
        |_| MetadataRequest::default().with_topics(Some(vec![
            metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t"))),
        ])).with_allow_auto_topic_creation(true);
    }
}

fn refuse_groups(client: &mut Client, covered: &mut BTreeSet<i16>, id: Uuid) {
    let group = || GroupId(text("g"));
    refused_everywhere! { client, covered:
        |version: i16| {
            let topic = offset_commit_request::OffsetCommitRequestTopic::default()
                .with_partitions(vec![Default::default()]);
            let topic = if version >= 10 { topic.with_topic_id(id) } else { topic.with_name(topic_name("t")) };
            OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic])
        };
        |version: i16| {
            if version >= 8 {
                let group = offset_fetch_request::OffsetFetchRequestGroup::default()
                    .with_group_id(group())
                    .with_topics(None);
                return OffsetFetchRequest::default().with_groups(vec![group]);
            }
            let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]);
            OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]))
        };
        |version: i16| if version >= 4 {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")])
        } else {
            FindCoordinatorRequest::default().with_key(text("g"))
        };
        |_| JoinGroupRequest::default().with_group_id(group());
        |_| HeartbeatRequest::default().with_group_id(group());
        |_| LeaveGroupRequest::default().with_group_id(group());
        |_| SyncGroupRequest::default().with_group_id(group());
        |_| DescribeGroupsRequest::default().with_groups(vec![group()]);
        |_| ListGroupsRequest::default();
        |_| ConsumerGroupHeartbeatRequest::default().with_group_id(group());
        |_| ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()]);
        |_| ShareGroupHeartbeatRequest::default().with_group_id(group());
        |_| ShareGroupDescribeRequest::default().with_group_ids(vec![group()]);
        |_| DescribeShareGroupOffsetsRequest::default().with_groups(vec![
            describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default()
                .with_group_id(group())
                .with_topics(None),
        ]);
        |_| AlterShareGroupOffsetsRequest::default().with_group_id(group());
        |_| DeleteShareGroupOffsetsRequest::default().with_group_id(group());
    }
}

fn refuse_administration(client: &mut Client, covered: &mut BTreeSet<i16>) {
    let group = || GroupId(text("g"));
    refused_everywhere! { client, covered:
        |_| SaslHandshakeRequest::default();
        |_| ApiVersionsRequest::default();
        |_| support::requests::create_request("new", 1, &[]);
        |version: i16| if version >= 6 {
            support::requests::delete_request("t")
        } else {
            DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")])
        };
        |_| DeleteRecordsRequest::default().with_topics(vec![
            delete_records_request::DeleteRecordsTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![Default::default()]),
        ]);
        |_| InitProducerIdRequest::default();
        |_| OffsetForLeaderEpochRequest::default().with_topics(vec![
            offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(topic_name("t"))
                .with_partitions(vec![Default::default()]),
        ]);
        |_| DescribeAclsRequest::default();
        |_| CreateAclsRequest::default().with_creations(vec![Default::default()]);
        |_| DeleteAclsRequest::default().with_filters(vec![Default::default()]);
        |_| DescribeConfigsRequest::default().with_resources(vec![Default::default()]);
        |_| AlterConfigsRequest::default().with_resources(vec![Default::default()]);
        |_| DescribeLogDirsRequest::default();
        |_| CreatePartitionsRequest::default().with_topics(vec![Default::default()]);
        |_| DeleteGroupsRequest::default().with_groups_names(vec![group()]);
        |_| ElectLeadersRequest::default().with_topic_partitions(Some(vec![
            elect_leaders_request::TopicPartitions::default()
                .with_topic(topic_name("t"))
                .with_partitions(vec![0]),
        ]));
        |_| IncrementalAlterConfigsRequest::default().with_resources(vec![Default::default()]);
        |_| ListPartitionReassignmentsRequest::default();
        |_| OffsetDeleteRequest::default().with_group_id(group());
        |_| DescribeQuorumRequest::default();
        |_| UpdateFeaturesRequest::default();
        |_| DescribeClusterRequest::default();
        |_| DescribeProducersRequest::default().with_topics(vec![
            describe_producers_request::TopicRequest::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]),
        ]);
        |_| ListConfigResourcesRequest::default();
        |_| DescribeTopicPartitionsRequest::default().with_topics(vec![
            describe_topic_partitions_request::TopicRequest::default().with_name(topic_name("t")),
        ]);
    }
}

fn refuse_transactions(client: &mut Client, covered: &mut BTreeSet<i16>) {
    let id = || TransactionalId(text("transactions"));
    refused_everywhere! { client, covered:
        |version: i16| {
            let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![0]);
            if version < 4 {
                return AddPartitionsToTxnRequest::default()
                    .with_v3_and_below_transactional_id(id())
                    .with_v3_and_below_topics(vec![topic]);
            }
            AddPartitionsToTxnRequest::default().with_transactions(vec![
                add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
                    .with_transactional_id(id())
                    .with_topics(vec![topic]),
            ])
        };
        |_| AddOffsetsToTxnRequest::default().with_transactional_id(id());
        |_| EndTxnRequest::default().with_transactional_id(id());
        |_| {
            let topic = write_txn_markers_request::WritableTxnMarkerTopic::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]);
            WriteTxnMarkersRequest::default().with_markers(vec![
                write_txn_markers_request::WritableTxnMarker::default().with_topics(vec![topic]),
            ])
        };
        |_| {
            let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
            let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![partition]);
            TxnOffsetCommitRequest::default()
                .with_transactional_id(id())
                .with_topics(vec![topic])
        };
        |_| DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]);
        |_| ListTransactionsRequest::default().with_duration_filter(-1);
    }
}

fn refuse_client_metrics(client: &mut Client, covered: &mut BTreeSet<i16>) {
    refused_everywhere! { client, covered:
        |_| GetTelemetrySubscriptionsRequest::default();
        |_| PushTelemetryRequest::default();
    }
}

fn refuse_share_states(client: &mut Client, covered: &mut BTreeSet<i16>) {
    macro_rules! of_a_partition {
        ($($request:ident $module:ident $topic:ident;)*) => {
            refused_everywhere! { client, covered: $(
                |_| $request::default().with_group_id(text("g")).with_topics(vec![
                    $module::$topic::default().with_partitions(vec![Default::default()]),
                ]);
            )*}
        };
    }
    of_a_partition! {
        InitializeShareGroupStateRequest initialize_share_group_state_request InitializeStateData;
        ReadShareGroupStateRequest read_share_group_state_request ReadStateData;
        WriteShareGroupStateRequest write_share_group_state_request WriteStateData;
        DeleteShareGroupStateRequest delete_share_group_state_request DeleteStateData;
        ReadShareGroupStateSummaryRequest read_share_group_state_summary_request
            ReadStateSummaryData;
    }
}

fn refuse_shares(client: &mut Client, covered: &mut BTreeSet<i16>, id: Uuid) {
    refused_everywhere! { client, covered:
        |_| ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text("m")))
            .with_topics(vec![
                share_fetch_request::FetchTopic::default()
                    .with_topic_id(id)
                    .with_partitions(vec![Default::default()]),
            ]);
        |_| ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text("m")));
    }
}

#[test]
fn every_api_at_every_version_can_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let id = node.client().topic("t").topic_id;
    add(node.http(), json!({"error": "POLICY_VIOLATION"}));
    let (client, covered) = (&mut node.client(), &mut BTreeSet::new());
    refuse_records(client, covered, id);
    refuse_groups(client, covered, id);
    refuse_administration(client, covered);
    refuse_transactions(client, covered);
    refuse_client_metrics(client, covered);
    refuse_share_states(client, covered);
    refuse_shares(client, covered, id);
    let all: BTreeSet<i16> = APIS.iter().map(|api| api.key).collect();
    assert_eq!(*covered, all);
    node.http().delete("/v1/faults").ok();
    // Nothing of it was done.
    let mut client = node.client();
    assert_eq!(client.offset("t", 0, -1), Ok(0));
    assert_ne!(client.topic("new").error_code, 0);
}
