use std::fmt::Write as _;

use metadata::{ConfigResource, MetadataDelta, MetadataRecord, Provenance};
use prometheus::Encoder as _;

use super::*;
use crate::clock::Change;

/// Protobuf, written by hand.
pub(super) mod proto {
    pub(crate) fn varint(mut value: u64, target: &mut Vec<u8>) {
        while value > 0x7f {
            target.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        target.push(value as u8);
    }

    pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint(field << 3, &mut bytes);
        varint(value, &mut bytes);
        bytes
    }

    pub(crate) fn fixed64(field: u64, value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint(field << 3 | 1, &mut bytes);
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes
    }

    pub(crate) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint(field << 3 | 2, &mut bytes);
        varint(value.len() as u64, &mut bytes);
        bytes.extend_from_slice(value);
        bytes
    }

    pub(crate) fn attribute(field: u64, key: &str, value: &str) -> Vec<u8> {
        let value = bytes(1, value.as_bytes());
        bytes(
            field,
            &[bytes(1, key.as_bytes()), bytes(2, &value)].concat(),
        )
    }

    pub(crate) fn double_point(value: f64, time: u64, attributes: &[(&str, &str)]) -> Vec<u8> {
        let mut point = fixed64(3, time);
        point.extend(fixed64(4, value.to_bits()));
        for (key, value) in attributes {
            point.extend(attribute(7, key, value));
        }
        bytes(1, &point)
    }

    /// `sort` is the field of `Metric`; what stands behind the points is `tail`.
    pub(crate) fn metric(name: &str, sort: u64, points: &[Vec<u8>], tail: &[u8]) -> Vec<u8> {
        let data = [points.concat(), tail.to_vec()].concat();
        bytes(2, &[bytes(sort, &data), bytes(1, name.as_bytes())].concat())
    }

    /// The resource behind the metrics, as protobuf allows it.
    pub(crate) fn metrics_data(metrics: &[Vec<u8>], resource: &[(&str, &str)]) -> Vec<u8> {
        let attributes = resource.iter().map(|(key, value)| attribute(1, key, value));
        let resource = bytes(1, &attributes.collect::<Vec<_>>().concat());
        let scope = bytes(2, &metrics.concat());
        bytes(1, &[scope, resource].concat())
    }
}

use proto::{double_point, metric, metrics_data, number};

const GAUGE: u64 = 5;
const SUM: u64 = 7;
/// Delta, monotonic.
fn delta_counter() -> Vec<u8> {
    [number(2, 1), number(3, 1)].concat()
}

fn client(connection: u64) -> Client {
    Client {
        connection,
        client_id: Some("app".to_owned()),
        software_name: "test".to_owned(),
        software_version: "1.0".to_owned(),
        source_address: "127.0.0.1".to_owned(),
        source_port: "5".to_owned(),
    }
}

struct Case {
    telemetry: Telemetry,
    clock: Clock,
}

impl Case {
    fn new() -> Case {
        let clock = Clock::default();
        clock.change(&[Change::Freeze]);
        Case {
            telemetry: Telemetry::new(clock.clone(), 1000),
            clock,
        }
    }

    fn subscription(&self, name: &str, configs: &[(&str, &str)]) {
        let image = Arc::new(MetadataImage::default());
        let mut delta = MetadataDelta::new(image);
        for (key, value) in configs {
            let record = MetadataRecord::Config {
                resource: ConfigResource::ClientMetrics(name.into()),
                name: (*key).to_owned(),
                value: Some((*value).to_owned()),
            };
            delta.replay(&record).unwrap();
        }
        let image = delta.apply(Provenance::default());
        self.telemetry.subscriptions_changed(&image);
    }

    fn advance(&self, ms: i64) {
        self.clock.change(&[Change::Advance(ms)]);
    }

    fn get(&self, id: Uuid) -> Result<(Uuid, Arc<Subscription>), ErrorCode> {
        self.telemetry.subscribe(id, &client(1))
    }

    fn push(&self, id: Uuid, change: impl FnOnce(&mut Push)) -> Result<(), ErrorCode> {
        let subscriptions = self.telemetry.subscriptions.load();
        let mut push = Push {
            instance: id,
            subscription_id: subscriptions.of_client(id, &client(1)).id,
            terminating: false,
            compression: 0,
            metrics: Bytes::new(),
        };
        change(&mut push);
        self.telemetry.push(&push, &client(1))
    }

    fn push_metrics(&self, id: Uuid, metrics: &[Vec<u8>]) -> Result<(), ErrorCode> {
        let data = metrics_data(metrics, &[("client.rack", "r1"), ("client_id", "other")]);
        self.push(id, |push| push.metrics = data.into())
    }

    fn page(&self) -> String {
        let mut text = Vec::new();
        let families = self.telemetry.families();
        prometheus::TextEncoder::new()
            .encode(&families, &mut text)
            .unwrap();
        String::from_utf8(text).unwrap()
    }
}

const ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const MINUTE: i64 = 60_000;

#[test]
fn a_client_without_a_subscription_is_asked_for_nothing_every_five_minutes() {
    let case = Case::new();
    let (id, subscription) = case.get(Uuid::nil()).unwrap();
    assert!(!is_reserved(id));
    assert_eq!(subscription.metrics, Vec::<String>::new());
    assert_eq!(subscription.interval_ms, 300_000);
}

/// The numbers are upstream's for this instance.
#[test]
fn the_subscription_id_depends_on_the_metrics_the_interval_and_the_instance() {
    let case = Case::new();
    let id_of = |configs: &[(&str, &str)]| {
        case.subscription("s", configs);
        case.get(ID).unwrap().1.id
    };
    assert_eq!(id_of(&[]), -725_132_322);
    let some = 642_696_426;
    assert_eq!(id_of(&[("metrics", "b,a"), ("interval.ms", "1000")]), some);
    assert_eq!(id_of(&[("metrics", "a,b"), ("interval.ms", "1000")]), some);
    assert_ne!(id_of(&[("metrics", "a,b"), ("interval.ms", "1001")]), some);
    let other = Uuid::from_u128(7);
    let of = |id| {
        case.telemetry
            .subscriptions
            .load()
            .of_client(id, &client(1))
            .id
    };
    assert_ne!(of(other), of(ID));
}

#[test]
fn matching_subscriptions_are_joined_and_all_metrics_swallow_the_rest() {
    let case = Case::new();
    let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
    let configs = [
        ("one", "metrics", "c,a"),
        ("one", "interval.ms", "2000"),
        ("two", "metrics", "a,b"),
        ("two", "interval.ms", "1000"),
        ("two", "match", "client_id=a.*,client_source_port=5"),
        ("none", "metrics", "*"),
        ("none", "match", "client_id=b.*"),
    ];
    for (resource, name, value) in configs {
        let record = MetadataRecord::Config {
            resource: ConfigResource::ClientMetrics(resource.into()),
            name: name.to_owned(),
            value: Some(value.to_owned()),
        };
        delta.replay(&record).unwrap();
    }
    let image = delta.apply(Provenance::default());
    case.telemetry.subscriptions_changed(&image);
    let (_, subscription) = case.get(ID).unwrap();
    assert_eq!(subscription.metrics, ["a", "b", "c"]);
    assert_eq!(subscription.interval_ms, 1000);
    let other = Client {
        client_id: Some("bee".to_owned()),
        ..client(2)
    };
    let (_, subscription) = case.telemetry.subscribe(Uuid::nil(), &other).unwrap();
    assert_eq!(subscription.metrics, ["*"]);
}

#[test]
fn who_asks_before_its_time_is_refused_until_subscriptions_change() {
    let case = Case::new();
    case.get(ID).unwrap();
    let throttled = ErrorCode::ThrottlingQuotaExceeded;
    assert_eq!(case.get(ID).unwrap_err(), throttled);
    case.push(ID, |_| {}).unwrap();
    assert_eq!(case.push(ID, |_| {}), Err(throttled));
    case.advance(299_999);
    assert_eq!(case.push(ID, |_| {}), Err(throttled));
    case.advance(1);
    case.push(ID, |_| {}).unwrap();
    assert_eq!(case.get(ID).unwrap_err(), throttled);
    case.subscription("s", &[("metrics", "a")]);
    case.get(ID).unwrap();
    assert_eq!(case.telemetry.counts().throttled, 4);
}

#[test]
fn a_push_for_another_subscription_may_ask_again_at_once() {
    let case = Case::new();
    case.get(ID).unwrap();
    let wrong = case.push(ID, |push| push.subscription_id ^= 1);
    assert_eq!(wrong, Err(ErrorCode::UnknownSubscriptionId));
    case.get(ID).unwrap();
    assert_eq!(
        case.get(ID).unwrap_err(),
        ErrorCode::ThrottlingQuotaExceeded
    );
    assert_eq!(case.telemetry.counts().unknown_subscriptions, 1);
}

#[test]
fn each_wrong_push_has_its_code() {
    let push = |change: fn(&mut Push)| Case::new().push(ID, change);
    assert_eq!(push(|_| {}), Ok(()));
    for reserved in [Uuid::nil(), Uuid::from_u128(1)] {
        let refused = Case::new().push(reserved, |_| {});
        assert_eq!(refused, Err(ErrorCode::InvalidRequest));
    }
    let unsupported = Err(ErrorCode::UnsupportedCompressionType);
    assert_eq!(push(|it| it.compression = 5), unsupported);
    assert_eq!(push(|it| it.compression = -1), unsupported);
    let too_large = Err(ErrorCode::TelemetryTooLarge);
    assert_eq!(push(|it| it.metrics = vec![0; 1001].into()), too_large);
    let unreadable = Err(ErrorCode::InvalidRecord);
    assert_eq!(
        push(|it| it.metrics = Bytes::from_static(b"\xff")),
        unreadable
    );
    assert_eq!(
        push(|it| (it.compression, it.metrics) = (4, Bytes::from_static(b"x"))),
        unreadable
    );
}

#[test]
fn what_unpacks_to_more_than_a_push_may_have_is_not_read() {
    let case = Case::new();
    // 4 KiB of zeros, by the run-length block of a zstd frame.
    let bomb = b"\x28\xb5\x2f\xfd\x60\x00\x0f\x03\x80\x00\x00";
    let pushed = case.push(ID, |push| {
        push.compression = 4;
        push.metrics = Bytes::from_static(bomb);
    });
    assert_eq!(pushed, Err(ErrorCode::InvalidRecord));
    assert_eq!(case.telemetry.counts().export_errors, 1);
}

#[test]
fn behind_a_terminating_push_comes_no_other() {
    let case = Case::new();
    case.push(ID, |_| {}).unwrap();
    case.push(ID, |push| push.terminating = true).unwrap();
    let refused = Err(ErrorCode::InvalidRequest);
    assert_eq!(case.push(ID, |push| push.terminating = true), refused);
    assert_eq!(case.push(ID, |_| {}), refused);
    // As upstream: the refused push was not the last.
    let throttled = Err(ErrorCode::ThrottlingQuotaExceeded);
    assert_eq!(case.push(ID, |_| {}), throttled);
}

#[test]
fn an_instance_goes_with_its_connection_or_when_its_time_is_over() {
    let case = Case::new();
    case.subscription("s", &[("interval.ms", "1000")]);
    case.get(ID).unwrap();
    case.telemetry.disconnected(2);
    assert_eq!(case.telemetry.counts().instances, 1);
    case.telemetry.disconnected(1);
    assert_eq!(case.telemetry.counts().instances, 0);
    case.get(ID).unwrap();
    case.advance(MINUTE - 1);
    case.telemetry.expire();
    assert_eq!(case.telemetry.counts().instances, 1);
    case.advance(1);
    case.telemetry.expire();
    assert_eq!(case.telemetry.counts().instances, 0);
}

#[test]
fn the_longest_unused_instance_makes_room() {
    let case = Case::new();
    let id = |number: usize| Uuid::from_u128(number as u128 + 2);
    for number in 0..instances::INSTANCES_MAX {
        case.get(id(number)).unwrap();
    }
    // Used again, though refused.
    assert!(case.get(id(0)).is_err());
    case.get(id(instances::INSTANCES_MAX)).unwrap();
    assert_eq!(case.telemetry.counts().instances, instances::INSTANCES_MAX);
    assert!(case.get(id(0)).is_err());
    case.get(id(1)).unwrap();
}

#[test]
fn what_is_pushed_stands_in_the_page_until_its_time_is_over() {
    let case = Case::new();
    case.subscription("s", &[("interval.ms", "1000")]);
    let sent = |value, time| {
        let point = double_point(value, time, &[("node.id", "1")]);
        metric(
            "org.apache.kafka.producer.record.send.total",
            SUM,
            &[point],
            &delta_counter(),
        )
    };
    let age = |value| metric("app.age", GAUGE, &[double_point(value, 0, &[])], &[]);
    case.push_metrics(ID, &[sent(2.0, 1), age(5.0)]).unwrap();
    case.advance(1000);
    // The same again adds nothing.
    case.push_metrics(ID, &[sent(2.0, 1)]).unwrap();
    case.advance(1000);
    case.push_metrics(ID, &[sent(3.5, 2), age(4.0)]).unwrap();
    let labels = "client_id=\"app\",client_instance_id=\"ASNFZ4mrze8BI0VniavN7w\",\
                  client_software_name=\"test\",client_software_version=\"1.0\",client_rack=\"r1\"";
    let mut expected = String::new();
    for (name, kind, more, value) in [
        ("klamm_client_app_age", "gauge", "", "4"),
        (
            "org_apache_kafka_producer_record_send_total",
            "counter",
            ",node_id=\"1\"",
            "5.5",
        ),
    ] {
        writeln!(expected, "# HELP {name} Pushed by clients (KIP-714)").unwrap();
        writeln!(
            expected,
            "# TYPE {name} {kind}\n{name}{{{labels}{more}}} {value}"
        )
        .unwrap();
    }
    assert_eq!(case.page(), expected);
    case.telemetry.disconnected(1);
    case.advance(MINUTE - 1);
    assert_eq!(case.page(), expected);
    case.advance(1);
    assert_eq!(case.page(), "");
    assert_eq!(case.telemetry.counts().received.bytes, 0);
}

#[test]
fn histograms_are_added_up_and_summaries_shown_by_sum_and_count() {
    let case = Case::new();
    case.subscription("s", &[("interval.ms", "1000")]);
    let packed = |field, values: [u64; 2]| {
        let values = values.map(u64::to_le_bytes).concat();
        proto::bytes(field, &values)
    };
    let point = [
        proto::fixed64(4, 3),
        proto::fixed64(5, 2.5_f64.to_bits()),
        packed(6, [1, 2]),
        proto::fixed64(7, 0.5_f64.to_bits()),
    ]
    .concat();
    let histogram = metric(
        "org.apache.kafka.h",
        9,
        &[proto::bytes(1, &point)],
        &number(2, 1),
    );
    let summary = [proto::fixed64(4, 7), proto::fixed64(5, 9.0_f64.to_bits())].concat();
    let summary = metric("org.apache.kafka.s", 11, &[proto::bytes(1, &summary)], &[]);
    for _ in 0..2 {
        case.push_metrics(ID, &[histogram.clone(), summary.clone()])
            .unwrap();
        case.advance(1000);
    }
    let page = case.page();
    let value = |name: &str, le: &str| {
        let line = page.lines().find(|line| {
            line.starts_with(&format!("{name}{{")) && (le.is_empty() || line.contains(le))
        });
        line.and_then(|line| line.rsplit_once(' '))
            .map(|(_, value)| value.to_owned())
    };
    assert_eq!(value("org_apache_kafka_h_count", "").as_deref(), Some("6"));
    assert_eq!(value("org_apache_kafka_h_sum", "").as_deref(), Some("5"));
    assert_eq!(
        value("org_apache_kafka_h_bucket", "le=\"0.5\"").as_deref(),
        Some("2")
    );
    assert_eq!(
        value("org_apache_kafka_h_bucket", "le=\"+Inf\"").as_deref(),
        Some("6")
    );
    assert_eq!(value("org_apache_kafka_s_sum", "").as_deref(), Some("9"));
    assert_eq!(value("org_apache_kafka_s_count", "").as_deref(), Some("7"));
}

#[test]
fn a_family_that_clients_do_not_agree_on_is_a_gauge() {
    let case = Case::new();
    let point = || [double_point(1.0, 0, &[])];
    let counter = metric("org.apache.kafka.x", SUM, &point(), &delta_counter());
    let gauge = metric("org.apache.kafka.x", GAUGE, &point(), &[]);
    case.push_metrics(Uuid::from_u128(2), &[counter]).unwrap();
    case.push_metrics(Uuid::from_u128(3), &[gauge]).unwrap();
    let page = case.page();
    assert!(page.contains("# TYPE org_apache_kafka_x gauge\n"), "{page}");
    assert_eq!(page.matches("\norg_apache_kafka_x{").count(), 2, "{page}");
}

/// A telemetry that takes larger pushes.
fn roomy() -> Case {
    let mut case = Case::new();
    case.telemetry = Telemetry::new(case.clock.clone(), 1 << 24);
    case
}

#[test]
fn what_clients_push_stays_within_its_bounds() {
    let case = roomy();
    let value = "x".repeat(10_000);
    let many = |from: usize, count: usize| {
        let point =
            |number: usize| double_point(1.0, 0, &[("n", &number.to_string()), ("long", &value)]);
        let points: Vec<_> = (from..from + count).map(point).collect();
        metric("org.apache.kafka.m", GAUGE, &points, &[])
    };
    let id = |number: u128| Uuid::from_u128(number + 2);
    for client in 0..20 {
        case.clock.change(&[Change::Advance(1)]);
        // 1,500 series fit into no more than a client may have: long values are cut.
        case.push_metrics(id(client), &[many(0, 1500)]).unwrap();
    }
    let counts = case.telemetry.counts().received;
    assert!(counts.bytes <= received::BYTES_MAX, "{}", counts.bytes);
    assert!(counts.bytes > received::BYTES_MAX / 4, "{}", counts.bytes);
    let page = case.page();
    assert!(!page.contains(&"x".repeat(257)));
    assert!(page.contains(&subscriptions::kafka_uuid(id(19))));
}

#[test]
fn one_client_cannot_fill_the_room_of_all() {
    let case = roomy();
    let other = metric(
        "org.apache.kafka.o",
        GAUGE,
        &[double_point(1.0, 0, &[])],
        &[],
    );
    case.push_metrics(Uuid::from_u128(2), &[other]).unwrap();
    let points: Vec<_> = (0..30_000)
        .map(|number: usize| double_point(1.0, 0, &[("n", &number.to_string())]))
        .collect();
    let many = metric("org.apache.kafka.m", GAUGE, &points, &[]);
    case.push_metrics(Uuid::from_u128(3), &[many]).unwrap();
    let counts = case.telemetry.counts().received;
    assert!(
        counts.bytes <= received::CLIENT_BYTES_MAX + 1000,
        "{}",
        counts.bytes
    );
    assert!(counts.dropped > 0);
    assert!(case.page().contains("org_apache_kafka_o{"));
}

#[test]
fn bytes_that_are_no_metrics_are_refused_wherever_they_end() {
    let point = double_point(1.5, 9, &[("a", "b")]);
    let whole = metrics_data(
        &[metric("m", SUM, &[point], &delta_counter())],
        &[("r", "s")],
    );
    otlp::check(&whole).unwrap();
    for end in 1..whole.len() {
        assert!(otlp::check(whole.split_at(end).0).is_err(), "cut at {end}");
    }
    for wrong in [
        &b"\x0b"[..],                                    // a group
        b"\x00\x01",                                     // no field number
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", // more than 64 bits
        b"\x08\x01",                                     // resource metrics as a number
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // longer than memory
    ] {
        assert!(otlp::check(wrong).is_err(), "{wrong:?}");
    }
    // What is not known is passed over.
    otlp::check(&[proto::bytes(9, b"x"), number(100, 3), whole].concat()).unwrap();
}
