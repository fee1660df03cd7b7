//! The metrics that clients have pushed, for `/metrics`.
//!
//! Invariant: what is held stays below [`BYTES_MAX`], and below [`CLIENT_BYTES_MAX`] for one client;
//! what is not pushed again goes when its time is over.

use std::collections::{BTreeMap, HashMap};

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use protocol::Timestamp;
use uuid::Uuid;

use super::Client;
use super::otlp::Attribute;
use super::subscriptions::kafka_uuid;

/// What all clients together may hold.
pub(super) const BYTES_MAX: usize = 32 * 1024 * 1024;
/// What one client may hold.
pub(super) const CLIENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a series takes beside its texts.
const SERIES_BYTES: usize = 192;
/// Buckets of a histogram that are kept.
const BUCKETS_MAX: usize = 64;
const LABELS_MAX: usize = 32;
const NAME_MAX: usize = 255;
const LABEL_VALUE_MAX: usize = 256;

/// The names of Kafka's own metrics begin with it; all others are set apart from ours.
const KAFKA_PREFIX: &str = "org.apache.kafka.";
const OTHERS_PREFIX: &str = "klamm_client_";

/// A data point as it was pushed.
pub(super) struct Point<'a> {
    pub(super) name: &'a str,
    pub(super) resource: &'a [Attribute<'a>],
    pub(super) attributes: &'a [Attribute<'a>],
    pub(super) kind: Kind,
    /// To be added to what was there, not in its place.
    pub(super) delta: bool,
    /// When it was measured; 0 is not known.
    pub(super) time: u64,
    pub(super) value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Distribution(Distribution),
}

/// A histogram, with buckets or without.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Distribution {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) bounds: Vec<f64>,
    pub(super) counts: Vec<u64>,
}

/// Everything that was pushed.
#[derive(Debug, Default)]
pub(super) struct Received {
    clients: HashMap<Uuid, Pushed>,
    bytes: usize,
    /// Series that found no room, ever.
    dropped: u64,
}

/// What is held.
pub(crate) struct Counts {
    pub(crate) series: usize,
    pub(crate) bytes: usize,
    pub(crate) dropped: u64,
}

/// What one client has pushed.
#[derive(Debug)]
struct Pushed {
    labels: Vec<(String, String)>,
    series: BTreeMap<Key, Series>,
    bytes: usize,
    last: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    family: String,
    labels: Vec<(String, String)>,
}

#[derive(Debug)]
struct Series {
    kind: Kind,
    value: Value,
    time: u64,
    expires_at: Timestamp,
    /// What it was counted with.
    bytes: usize,
}

/// A push that is being taken in.
pub(super) struct Pushing<'a> {
    received: &'a mut Received,
    instance: Uuid,
    kept_until: Timestamp,
}

impl Received {
    /// A push has come whose series are kept until `kept_until`.
    pub(super) fn pushing(
        &mut self,
        instance: Uuid,
        client: &Client,
        now: Timestamp,
        kept_until: Timestamp,
    ) -> Pushing<'_> {
        self.expire(now);
        let pushed = self.clients.entry(instance).or_insert_with(|| Pushed {
            labels: Vec::new(),
            series: BTreeMap::new(),
            bytes: 0,
            last: now,
        });
        pushed.labels = labels_of(instance, client);
        pushed.last = now;
        Pushing {
            received: self,
            instance,
            kept_until,
        }
    }

    /// Forgets what was not pushed again in time.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let freed = &mut self.bytes;
        self.clients.retain(|_, pushed| {
            pushed.expire(now, freed);
            !pushed.series.is_empty()
        });
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            series: self.clients.values().map(|it| it.series.len()).sum(),
            bytes: self.bytes,
            dropped: self.dropped,
        }
    }

    /// By family. Where clients do not agree on what one is, it is a gauge.
    pub(super) fn families(&self) -> Vec<MetricFamily> {
        let mut families: BTreeMap<&str, (Kind, Vec<Metric>)> = BTreeMap::new();
        for (key, series) in self.clients.values().flat_map(|it| &it.series) {
            let (kind, _) = families
                .entry(&key.family)
                .or_insert((series.kind, Vec::new()));
            if *kind != series.kind {
                *kind = Kind::Gauge;
            }
        }
        for pushed in self.clients.values() {
            for (key, series) in &pushed.series {
                if let Some((kind, metrics)) = families.get_mut(&*key.family) {
                    metrics.extend(series.metric(*kind, pushed.labels.iter().chain(&key.labels)));
                }
            }
        }
        families
            .into_iter()
            .filter(|(_, (_, metrics))| !metrics.is_empty())
            .map(|(name, (kind, metrics))| {
                let mut family = MetricFamily::default();
                family.set_name(name.to_owned());
                family.set_help("Pushed by clients (KIP-714)".to_owned());
                family.set_field_type(match kind {
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Gauge => MetricType::GAUGE,
                    Kind::Histogram => MetricType::HISTOGRAM,
                });
                family.set_metric(metrics);
                family
            })
            .collect()
    }

    /// Makes room for `bytes` by letting go of those who have not pushed for the longest time.
    fn make_room(&mut self, bytes: usize, of: Uuid) -> bool {
        while self.bytes + bytes > BYTES_MAX {
            let others = self.clients.iter().filter(|(id, _)| **id != of);
            let Some((&oldest, _)) = others.min_by_key(|(_, pushed)| pushed.last) else {
                return false;
            };
            if let Some(gone) = self.clients.remove(&oldest) {
                self.bytes -= gone.bytes;
                self.dropped += gone.series.len() as u64;
            }
        }
        true
    }
}

impl Pushed {
    fn expire(&mut self, now: Timestamp, all: &mut usize) {
        let own = &mut self.bytes;
        self.series.retain(|_, series| {
            let stays = series.expires_at > now;
            if !stays {
                *own -= series.bytes;
                *all -= series.bytes;
            }
            stays
        });
    }
}

impl Pushing<'_> {
    /// Takes a point in; where there is no room for it, that is counted.
    pub(super) fn add(&mut self, point: Point<'_>) {
        let kept = Key::of(&point).is_some_and(|key| self.keep(key, point));
        if !kept {
            self.received.dropped += 1;
        }
    }

    fn keep(&mut self, key: Key, point: Point<'_>) -> bool {
        let Some(pushed) = self.received.clients.get_mut(&self.instance) else {
            return false;
        };
        if let Some(series) = pushed.series.get_mut(&key) {
            series.take(point, self.kept_until);
            return true;
        }
        let bytes = key.size() + size_of_labels(&pushed.labels) + point.value.size();
        if pushed.bytes + bytes > CLIENT_BYTES_MAX || !self.received.make_room(bytes, self.instance)
        {
            return false;
        }
        let Some(pushed) = self.received.clients.get_mut(&self.instance) else {
            return false;
        };
        pushed.bytes += bytes;
        self.received.bytes += bytes;
        let series = Series {
            kind: point.kind,
            value: point.value,
            time: point.time,
            expires_at: self.kept_until,
            bytes,
        };
        pushed.series.insert(key, series);
        true
    }
}

impl Value {
    fn size(&self) -> usize {
        match self {
            Value::Number(_) => 0,
            // It may get more buckets later.
            Value::Distribution(_) => BUCKETS_MAX * 2 * size_of::<u64>(),
        }
    }

    fn add(&mut self, more: Value) {
        match (self, more) {
            (Value::Number(sum), Value::Number(more)) => *sum += more,
            (Value::Distribution(all), Value::Distribution(more)) => all.add(more),
            (this, more) => *this = more,
        }
    }
}

impl Distribution {
    fn add(&mut self, more: Distribution) {
        self.count = self.count.saturating_add(more.count);
        self.sum += more.sum;
        if self.bounds != more.bounds || self.counts.len() != more.counts.len() {
            // Other buckets: those of before cannot be told apart any more.
            (self.bounds, self.counts) = (more.bounds, more.counts);
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(more.counts) {
            *count = count.saturating_add(more);
        }
    }
}

impl Series {
    fn take(&mut self, point: Point<'_>, kept_until: Timestamp) {
        let is_repeated = point.time != 0 && point.time == self.time;
        self.kind = point.kind;
        self.time = point.time;
        self.expires_at = kept_until;
        if !point.delta {
            self.value = point.value;
        } else if !is_repeated {
            // A client that missed the answer may push the same again: it is not added twice.
            self.value.add(point.value);
        }
    }

    /// None where the family is of numbers and this is none, or the other way round.
    fn metric<'a>(
        &self,
        kind: Kind,
        labels: impl Iterator<Item = &'a (String, String)>,
    ) -> Option<Metric> {
        let labels = labels.map(|(name, value)| {
            let mut label = LabelPair::default();
            label.set_name(name.clone());
            label.set_value(value.clone());
            label
        });
        let mut metric = Metric::default();
        metric.set_label(labels.collect());
        match (kind, &self.value) {
            (Kind::Counter, Value::Number(value)) => {
                let mut counter = Counter::default();
                counter.set_value(*value);
                metric.set_counter(counter);
            }
            (Kind::Gauge, Value::Number(value)) => {
                let mut gauge = Gauge::default();
                gauge.set_value(*value);
                metric.set_gauge(gauge);
            }
            (Kind::Histogram, Value::Distribution(value)) => {
                metric.set_histogram(value.histogram());
            }
            (Kind::Counter | Kind::Gauge, Value::Distribution(_))
            | (Kind::Histogram, Value::Number(_)) => return None,
        }
        Some(metric)
    }
}

impl Distribution {
    fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.set_sample_count(self.count);
        histogram.set_sample_sum(self.sum);
        let mut below = 0_u64;
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, count)| {
            below = below.saturating_add(*count);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram
    }
}

impl Key {
    /// None for what Prometheus could not show.
    fn of(point: &Point<'_>) -> Option<Key> {
        if point.name.is_empty() || point.name.len() > NAME_MAX {
            return None;
        }
        if let Value::Distribution(distribution) = &point.value
            && distribution.bounds.len().max(distribution.counts.len()) > BUCKETS_MAX
        {
            return None;
        }
        let name = prometheus_name(point.name);
        let family = if point.name.starts_with(KAFKA_PREFIX) {
            name
        } else {
            format!("{OTHERS_PREFIX}{name}")
        };
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in point.attributes.iter().chain(point.resource) {
            let name = prometheus_name(cut(name, NAME_MAX));
            let is_ours = OWN_LABELS.contains(&&*name) || matches!(&*name, "" | "le" | "quantile");
            if is_ours || labels.len() == LABELS_MAX || labels.iter().any(|(it, _)| *it == name) {
                continue;
            }
            labels.push((name, cut(value, LABEL_VALUE_MAX).to_owned()));
        }
        labels.sort();
        Some(Key { family, labels })
    }

    fn size(&self) -> usize {
        SERIES_BYTES + self.family.len() + size_of_labels(&self.labels)
    }
}

fn size_of_labels(labels: &[(String, String)]) -> usize {
    let sizes = labels.iter().map(|(name, value)| name.len() + value.len());
    sizes.sum()
}

/// The labels that say whose a series is.
const OWN_LABELS: [&str; 4] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
];

fn labels_of(instance: Uuid, client: &Client) -> Vec<(String, String)> {
    let client_id = client.client_id.as_deref().unwrap_or_default();
    let instance = kafka_uuid(instance);
    let values = [
        client_id,
        &instance,
        &client.software_name,
        &client.software_version,
    ];
    let labels = OWN_LABELS.into_iter().zip(values);
    labels
        .map(|(name, value)| (name.to_owned(), cut(value, LABEL_VALUE_MAX).to_owned()))
        .collect()
}

/// As OpenTelemetry names metrics for Prometheus: whatever is no letter, digit or underscore becomes
/// an underscore.
fn prometheus_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    let front = if digit_first { "_" } else { "" };
    front.chars().chain(name.chars().map(plain)).collect()
}

/// The text, or as much of its beginning as fits.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.split_at(end).0
}
