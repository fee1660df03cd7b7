//! Clients' own metrics over a socket: from the subscription to `/metrics` (KIP-714).
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::{
    ApiVersionsRequest, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
    IncrementalAlterConfigsRequest, PushTelemetryRequest,
};
use serde_json::json;
use support::http::Http;
use support::requests::text;
use support::{Client, Node, Start, eventually};
use uuid::Uuid;

const CLIENT_METRICS: i8 = 16;

/// `org.apache.kafka.compat.cases.total`, a counter that grew by 2.5, as upstream's client packs it
/// with gzip.
const PACKED: &str = "1f8b08000000000000ffe3cae212e512e6e24ecec94ccd2b892f4a4cce1662e1622a32140a14\
    f2e752ce2f4ad74b2c484cce48d5cb4e4ccb4ed44bcecf2d482cd14b4e2c4e2dd62bc92f49ccb1d2e05292643f35cb9a\
    01081419c080c5c18a8f8b3d2f3f25552f334588998bd15080518211005a196d8a6c000000";

fn packed() -> Bytes {
    let digits: Vec<u8> = PACKED.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn start(folder: &std::path::Path) -> Node {
    Start::new(folder)
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("telemetry.max.bytes", 2000)
        .ready()
}

fn subscribe(client: &mut Client, name: &str, configs: &[(&str, Option<&str>)]) {
    let configs = configs.iter().map(|(key, value)| {
        AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(i8::from(value.is_none()))
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(CLIENT_METRICS)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.ask(1, request).responses.remove(0);
    assert_eq!((answer.error_code, answer.error_message), (0, None));
}

fn get(client: &mut Client, id: Uuid) -> GetTelemetrySubscriptionsResponse {
    let request = GetTelemetrySubscriptionsRequest::default().with_client_instance_id(id);
    client.ask(0, request)
}

fn push(client: &mut Client, got: &GetTelemetrySubscriptionsResponse, metrics: Bytes) -> i16 {
    let request = PushTelemetryRequest::default()
        .with_client_instance_id(got.client_instance_id)
        .with_subscription_id(got.subscription_id)
        .with_compression_type(1)
        .with_metrics(metrics);
    client.ask(0, request).error_code
}

fn series(http: Http) -> Vec<String> {
    let page = http.get("/metrics").body;
    let pushed = page
        .lines()
        .filter(|line| line.starts_with("org_apache_kafka_"));
    pushed.map(str::to_owned).collect()
}

fn advance(http: Http, ms: i64) {
    http.post("/v1/clock", &json!({ "advance_ms": ms })).ok();
}

#[test]
fn what_a_client_pushes_stands_in_the_metrics_until_it_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path());
    let (http, mut client) = (node.http(), node.client());
    let software = ApiVersionsRequest::default()
        .with_client_software_name(text("test-client"))
        .with_client_software_version(text("1.2"));
    client.ask(3, software);
    let of_this = "client_software_name=test-.*,client_software_version=1\\..*,client_id=bad-days";
    let configs = [
        ("metrics", Some("org.apache.kafka.")),
        ("interval.ms", Some("1000")),
        ("match", Some(of_this)),
    ];
    subscribe(&mut client, "s", &configs);

    let got = get(&mut client, Uuid::nil());
    assert_eq!(got.error_code, 0);
    assert!(!got.client_instance_id.is_nil());
    assert_eq!(got.requested_metrics, [text("org.apache.kafka.")]);
    assert_eq!(got.push_interval_ms, 1000);
    assert_eq!(got.accepted_compression_types, [4, 3, 1, 2]);
    assert_eq!(got.telemetry_max_bytes, 2000);
    assert!(got.delta_temporality);
    // Another client is not meant.
    assert!(
        get(&mut node.client(), Uuid::nil())
            .requested_metrics
            .is_empty()
    );

    assert_eq!(push(&mut client, &got, packed()), 0);
    let throttled = ErrorCode::ThrottlingQuotaExceeded.code();
    assert_eq!(push(&mut client, &got, packed()), throttled);
    let too_large = Bytes::from(vec![0; 2001]);
    advance(http, 1000);
    let refused = ErrorCode::TelemetryTooLarge.code();
    assert_eq!(push(&mut client, &got, too_large), refused);
    let shown = series(http);
    let [line] = &*shown else {
        panic!("{shown:?}");
    };
    for part in [
        "org_apache_kafka_compat_cases_total{",
        "client_id=\"bad-days\"",
        "client_software_name=\"test-client\"",
        "client_software_version=\"1.2\"",
        "client_rack=\"r1\"",
        "node_id=\"1\"",
        "} 2.5",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    // The last push of a client that has gone can still be seen.
    drop(client);
    let counted = |name: &str| {
        let page = http.get("/metrics").body;
        page.lines().any(|line| line == name)
    };
    eventually("the instances are gone", || {
        counted("kafka_server_client_metrics_instance_count 0").then_some(())
    });
    assert_eq!(series(http), shown);
    assert!(counted("kafka_server_client_metrics_throttle_count 1"));
    advance(http, 60_000);
    assert_eq!(series(http), Vec::<String>::new());
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn subscriptions_are_there_again_after_a_restart_and_end_when_they_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path());
    let configs = [("metrics", Some("*")), ("interval.ms", Some("500"))];
    subscribe(&mut node.client(), "s", &configs);
    node.stop();
    let node = start(folder.path());
    let mut client = node.client();
    let got = get(&mut client, Uuid::nil());
    assert_eq!(got.requested_metrics, [text("*")]);
    assert_eq!(got.push_interval_ms, 500);
    subscribe(
        &mut client,
        "s",
        &[("metrics", None), ("interval.ms", None)],
    );
    // Not throttled: what it was told is no longer so.
    let got = get(&mut client, got.client_instance_id);
    assert_eq!(got.error_code, 0);
    assert!(got.requested_metrics.is_empty());
    assert_eq!(got.push_interval_ms, 300_000);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}

#[test]
fn a_reset_forgets_what_clients_have_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path());
    let (http, mut client) = (node.http(), node.client());
    let configs = [("metrics", Some("*")), ("interval.ms", Some("1000"))];
    subscribe(&mut client, "s", &configs);
    let got = get(&mut client, Uuid::nil());
    assert_eq!(push(&mut client, &got, packed()), 0);
    assert_eq!(series(http).len(), 1);
    http.post("/v1/reset", &json!({})).ok();
    assert_eq!(series(http).len(), 0);
    assert!(get(&mut client, Uuid::nil()).requested_metrics.is_empty());
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}
