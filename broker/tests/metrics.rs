//! `/metrics` counts what clients do, in Prometheus's text format.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use serde_json::json;
use support::http::Http;
use support::requests::batch;
use support::{Start, eventually};

/// Samples of counts, and what they are once the clients of the test are served.
const COUNTS: &[(&str, f64)] = &[
    (
        r#"kafka_server_brokertopicmetrics_messagesin_total{topic=""}"#,
        3.0,
    ),
    (
        r#"kafka_server_brokertopicmetrics_messagesin_total{topic="t"}"#,
        3.0,
    ),
    (
        "kafka_server_brokertopicmetrics_totalproducerequests_total",
        3.0,
    ),
    (
        "kafka_server_brokertopicmetrics_failedproducerequests_total",
        1.0,
    ),
    (
        "kafka_server_brokertopicmetrics_failedfetchrequests_total",
        0.0,
    ),
    (
        r#"kafka_network_requestmetrics_requests_total{request="Produce"}"#,
        3.0,
    ),
    (
        r#"kafka_network_requestmetrics_totaltimems_count{request="Produce"}"#,
        3.0,
    ),
    (
        r#"kafka_network_requestmetrics_errors_total{error="UNKNOWN_TOPIC_OR_PARTITION",request="Produce"}"#,
        1.0,
    ),
    (
        r#"kafka_network_requestmetrics_errors_total{error="NOT_LEADER_OR_FOLLOWER",request="ListOffsets"}"#,
        1.0,
    ),
    ("kafka_server_socketservermetrics_connection_count", 1.0),
    (
        r#"kafka_log_log_logendoffset{partition="0",topic="t"}"#,
        2.0,
    ),
    ("kafka_server_replicamanager_partitioncount", 5.0),
    ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
    ("kafka_controller_kafkacontroller_globaltopiccount", 2.0),
    (
        "kafka_coordinator_group_groupmetadatamanager_numgroups",
        1.0,
    ),
    (
        "kafka_coordinator_group_groupmetadatamanager_numgroupsempty",
        1.0,
    ),
    (r#"klamm_fault_hits_total{id="1"}"#, 1.0),
    ("klamm_request_memory_used_bytes", 0.0),
];

/// The value of a sample, by its name and labels as they are written.
fn sample(http: Http, name: &str) -> Option<f64> {
    let answer = http.get("/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let line = answer.body.lines().find_map(|line| {
        let (found, value) = line.rsplit_once(' ')?;
        (found == name).then_some(value)
    });
    line.map(|value| value.parse().unwrap())
}

#[test]
fn what_clients_do_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("klamm.topics", "t:2")
        .ready();
    let http = node.http();
    let mut client = node.client();
    client.produce("t", 0, batch(&["a", "b"])).unwrap();
    client.produce("t", 1, batch(&["c"])).unwrap();
    let refused = client.produce("t", 7, batch(&["d"]));
    assert_eq!(refused, Err(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(client.read_all("t", 0).len(), 2);
    client.find_coordinator("g");
    client.try_commit("g", "t", 1).unwrap().unwrap();
    http.post("/v1/faults", &json!({"api": "ListOffsets", "error": 6}));
    assert!(client.offset("t", 0, -1).is_err());

    let is = |name: &str, value: f64| {
        eventually(name, || (sample(http, name) == Some(value)).then_some(()));
    };
    for (name, value) in COUNTS {
        is(name, *value);
    }
    let bytes_in = sample(
        http,
        "kafka_server_brokertopicmetrics_bytesin_total{topic=\"t\"}",
    );
    // A batch takes 61 bytes, each of these records 8.
    assert_eq!(bytes_in, Some(146.0));
    let bytes_out = sample(
        http,
        "kafka_server_brokertopicmetrics_bytesout_total{topic=\"t\"}",
    );
    assert_eq!(bytes_out, Some(77.0));
    assert!(sample(http, "kafka_log_log_size{partition=\"0\",topic=\"t\"}").unwrap() > 60.0);
    assert!(sample(http, "process_resident_memory_bytes").unwrap() > 1e6);
    drop(client);
    is("kafka_server_socketservermetrics_connection_count", 0.0);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

/// Names stand once, each sample below the type of its family.
#[test]
fn the_page_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path()).with("klamm.admin.listener", "127.0.0.1:0");
    let node = start.ready();
    let page = node.http().get("/metrics").body;
    let mut family = "";
    let mut seen = std::collections::BTreeSet::new();
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            family = kind.split(' ').next().unwrap();
            assert!(seen.insert(family.to_owned()), "{family} comes twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line} stands below {family}");
            let (_, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}
