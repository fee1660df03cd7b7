//! `/metrics`: the node in the text format of Prometheus.
//!
//! Invariant: upstream's metrics have the names that the Kafka rules of the JMX exporter give
//! them; what upstream has not begins with `klamm_`. What can be read off the node is read when
//! it is asked for and counted nowhere else.

mod state;

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Error, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};
use protocol::ErrorCode;

use super::{Admin, ApiError};
use crate::api::Node;
use crate::faults::error_name;
use crate::meters::CLOSED;

pub(super) async fn metrics(State(admin): State<Admin>) -> Result<Response, ApiError> {
    let groups = state::groups(&admin.node).await;
    let text = text(&admin.node, &groups).map_err(|error| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("metrics: {error}"),
        )
    })?;
    let kind = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
    Ok((kind, text).into_response())
}

fn text(node: &Node, groups: &state::GroupCounts) -> Result<Vec<u8>, Error> {
    let page = Page {
        registry: Registry::new(),
    };
    page.requests(node)?;
    page.topics(node)?;
    state::add(&page, node, groups)?;
    let hits = node.faults.hits().into_iter();
    let hits = hits.map(|(id, hits)| (vec![id.to_string()], hits));
    let help = "Requests that a rule of /v1/faults happened to";
    page.counters("klamm_fault_hits_total", help, &["id"], hits)?;
    let process = prometheus::process_collector::ProcessCollector::for_self();
    page.registry.register(Box::new(process))?;
    page.telemetry(node)?;
    // What clients pushed has names of its own: none stands twice.
    let mut families = page.registry.gather();
    families.extend(node.telemetry.families());
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}

/// The page that is being written.
struct Page {
    registry: Registry,
}

impl Page {
    fn add(&self, collector: impl Collector + 'static) -> Result<(), Error> {
        self.registry.register(Box::new(collector))
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: impl Iterator<Item = (Vec<String>, u64)>,
    ) -> Result<(), Error> {
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        for (labels, value) in values {
            family.get_metric_with_label_values(&labels)?.inc_by(value);
        }
        self.add(family)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: impl Iterator<Item = (Vec<String>, i64)>,
    ) -> Result<(), Error> {
        let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
        for (labels, value) in values {
            family.get_metric_with_label_values(&labels)?.set(value);
        }
        self.add(family)
    }

    fn counter(&self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.counters(name, help, &[], std::iter::once((Vec::new(), value)))
    }

    fn gauge(&self, name: &str, help: &str, value: i64) -> Result<(), Error> {
        self.gauges(name, help, &[], std::iter::once((Vec::new(), value)))
    }

    fn ratio(&self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let family = GaugeVec::new(Opts::new(name, help), &[])?;
        family.get_metric_with_label_values::<&str>(&[])?.set(value);
        self.add(family)
    }

    /// What is counted of each API.
    fn requests(&self, node: &Node) -> Result<(), Error> {
        let apis = &node.meters.apis;
        for api in apis {
            self.add(api.total_time_ms.clone())?;
        }
        let name = |api: &crate::meters::ApiMeters| vec![api.name.to_owned()];
        self.counters(
            "kafka_network_requestmetrics_requests_total",
            "Requests that were answered, or closed the connection",
            &["request"],
            apis.iter()
                .map(|api| (name(api), api.total_time_ms.get_sample_count())),
        )?;
        self.counters(
            "kafka_network_requestmetrics_requestbytes_total",
            "Bytes of requests",
            &["request"],
            apis.iter().map(|api| (name(api), api.request_bytes.get())),
        )?;
        self.counters(
            "kafka_network_requestmetrics_responsebytes_total",
            "Bytes of answers",
            &["request"],
            apis.iter().map(|api| (name(api), api.response_bytes.get())),
        )?;
        let errors = apis.iter().flat_map(|api| {
            let counts = api.errors.iter().map(|count| count.load(Ordering::Relaxed));
            let counts = counts.enumerate().filter(|(_, count)| *count > 0);
            counts.map(|(place, count)| (vec![api.name.to_owned(), error_at(place)], count))
        });
        self.counters(
            "kafka_network_requestmetrics_errors_total",
            "Errors in answers, by code; CONNECTION_CLOSED where there was no answer",
            &["request", "error"],
            errors,
        )
    }

    /// What is known of clients' own metrics (KIP-714).
    fn telemetry(&self, node: &Node) -> Result<(), Error> {
        let counts = node.telemetry.counts();
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (name, help, value) in [
            (
                "kafka_server_client_metrics_instance_count",
                "Clients that are known by an instance id",
                counts.instances,
            ),
            (
                "klamm_telemetry_series",
                "Series that clients have pushed",
                counts.received.series,
            ),
            (
                "klamm_telemetry_bytes",
                "Memory that pushed series hold",
                counts.received.bytes,
            ),
        ] {
            self.gauge(name, help, gauge(value))?;
        }
        for (name, help, value) in [
            (
                "kafka_server_client_metrics_unknown_subscription_request_count",
                "Pushes for another subscription than the client's",
                counts.unknown_subscriptions,
            ),
            (
                "kafka_server_client_metrics_throttle_count",
                "Requests that came before their time",
                counts.throttled,
            ),
            (
                "kafka_server_client_metrics_plugin_export_count",
                "Pushes whose metrics were taken",
                counts.exports,
            ),
            (
                "kafka_server_client_metrics_plugin_error_count",
                "Pushes whose metrics could not be read",
                counts.export_errors,
            ),
            (
                "klamm_telemetry_dropped_series_total",
                "Pushed series that there was no room for",
                counts.received.dropped,
            ),
        ] {
            self.counter(name, help, value)?;
        }
        Ok(())
    }

    /// What went in and out, in all and by topic.
    fn topics(&self, node: &Node) -> Result<(), Error> {
        let by_topic = state::by_topic(node);
        let all = &node.meters.topics;
        let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        type Of = fn(&state::TopicCounts) -> u64;
        let families: [(&str, &str, u64, Of); 3] = [
            (
                "messagesin",
                "Records appended",
                load(&all.messages_in),
                |it| it.messages_in,
            ),
            (
                "bytesin",
                "Bytes of records appended",
                load(&all.bytes_in),
                |it| it.bytes_in,
            ),
            (
                "bytesout",
                "Bytes of records sent",
                load(&all.bytes_out),
                |it| it.bytes_out,
            ),
        ];
        for (name, help, total, of) in families {
            let total = (vec![String::new()], total);
            let topics = by_topic
                .iter()
                .map(|(topic, counts)| (vec![topic.clone()], of(counts)));
            let name = format!("kafka_server_brokertopicmetrics_{name}_total");
            let values = std::iter::once(total).chain(topics);
            self.counters(&name, help, &["topic"], values)?;
        }
        let count_of = |key: i16| {
            let found = node.meters.apis.iter().zip(crate::api::APIS);
            let mut found = found.filter(|(_, api)| api.key == key);
            found
                .next()
                .map_or(0, |(api, _)| api.total_time_ms.get_sample_count())
        };
        for (name, help, value) in [
            ("totalproducerequests", "Produce requests", count_of(0)),
            ("totalfetchrequests", "Fetch requests", count_of(1)),
            (
                "failedproducerequests",
                "Partitions of Produce requests that failed",
                load(&node.meters.failed_produces),
            ),
            (
                "failedfetchrequests",
                "Partitions of Fetch requests that failed",
                load(&node.meters.failed_fetches),
            ),
        ] {
            let name = format!("kafka_server_brokertopicmetrics_{name}_total");
            self.counter(&name, help, value)?;
        }
        self.counter(
            "kafka_server_addpartitionstotxnmanager_verificationfailurerate_total",
            "Partitions that were refused to a transaction by its coordinator",
            load(&node.meters.failed_verifications),
        )
    }
}

/// The name of what is counted at a place of `ApiMeters::errors`.
fn error_at(place: usize) -> String {
    if place == CLOSED {
        return "CONNECTION_CLOSED".to_owned();
    }
    let code = i16::try_from(place).unwrap_or(i16::MAX) - 1;
    ErrorCode::try_from_code(code).map_or_else(|| code.to_string(), error_name)
}
