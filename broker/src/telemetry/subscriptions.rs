//! The subscriptions of client metrics, and what they come to for one client.
//!
//! Invariant: the subscription id depends on the client's instance, the metrics and the interval
//! alone, so that every broker gives the same (KIP-714).

use metadata::ConfigsImage;
use metadata::config::java_order::of_grown;
use metadata::config::{ClientAttribute, ClientMatch, ClientMetricsConfig, ConfigResource, Layers};
use tracing::error;
use uuid::Uuid;

use super::Client;

/// The interval of a client without a subscription, and the longest of all, as upstream has it.
const INTERVAL_MS_DEFAULT: i32 = 300_000;
const ALL_METRICS: &str = "*";

/// All of a cluster.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Rises with every change.
    version: u64,
    all: Vec<Configured>,
}

#[derive(Debug)]
struct Configured {
    metrics: Vec<String>,
    interval_ms: i32,
    matching: ClientMatch,
}

/// What one client is subscribed to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) id: i32,
    /// Prefixes of names, in upstream's order.
    pub(crate) metrics: Vec<String>,
    pub(crate) interval_ms: i32,
    pub(super) version: u64,
}

impl Subscriptions {
    pub(super) fn of(configs: &ConfigsImage, version: u64) -> Subscriptions {
        let mut all: Vec<(&str, Configured)> = Vec::new();
        for resource in configs.resources() {
            let ConfigResource::ClientMetrics(name) = resource else {
                continue;
            };
            let layers = Layers::default().with_overrides(configs.of(resource));
            match configured(&layers) {
                Ok(configured) => all.push((name, configured)),
                // Values are checked before they are kept.
                Err(reason) => error!(subscription = %name, %reason, "no client is asked for it"),
            }
        }
        let order = of_grown(all.iter().map(|(name, _)| *name));
        all.sort_by_key(|(name, _)| order.iter().position(|at| at == name));
        Subscriptions {
            version,
            all: all.into_iter().map(|(_, configured)| configured).collect(),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// What `client` is to push under the instance id `instance`.
    pub(super) fn of_client(&self, instance: Uuid, client: &Client) -> Subscription {
        let instance_id = kafka_uuid(instance);
        let attribute = |attribute| {
            Some(match attribute {
                ClientAttribute::InstanceId => &*instance_id,
                ClientAttribute::ClientId => client.client_id.as_deref()?,
                ClientAttribute::SoftwareName => &client.software_name,
                ClientAttribute::SoftwareVersion => &client.software_version,
                ClientAttribute::SourceAddress => &client.source_address,
                ClientAttribute::SourcePort => &client.source_port,
            })
        };
        let mut interval_ms = INTERVAL_MS_DEFAULT;
        let mut metrics: Vec<&str> = Vec::new();
        for configured in self.all.iter().filter(|it| it.matching.is_match(attribute)) {
            interval_ms = interval_ms.min(configured.interval_ms);
            for prefix in of_grown(configured.metrics.iter().map(String::as_str)) {
                if !metrics.contains(&prefix) {
                    metrics.push(prefix);
                }
            }
        }
        if metrics.contains(&ALL_METRICS) {
            metrics = vec![ALL_METRICS];
        }
        let metrics = of_grown(metrics);
        Subscription {
            id: subscription_id(instance, &metrics, interval_ms),
            metrics: metrics.into_iter().map(str::to_owned).collect(),
            interval_ms,
            version: self.version,
        }
    }
}

fn configured(layers: &Layers) -> Result<Configured, String> {
    let parsed = ClientMetricsConfig::parse(layers).map_err(|error| error.to_string())?;
    Ok(Configured {
        metrics: parsed.metrics,
        interval_ms: parsed.interval_ms,
        matching: ClientMatch::parse(&parsed.matching).map_err(|error| error.message)?,
    })
}

/// As upstream: the CRC-32C of the set of metrics as Java prints it with the interval behind it, mixed
/// with the hash of the instance id.
fn subscription_id(instance: Uuid, metrics: &[&str], interval_ms: i32) -> i32 {
    let text = format!("[{}]{interval_ms}", metrics.join(", "));
    protocol::crc32c(text.as_bytes()).cast_signed() ^ java_hash(instance)
}

/// `Uuid.hashCode` of Kafka.
fn java_hash(id: Uuid) -> i32 {
    let (high, low) = id.as_u64_pair();
    let mixed = high ^ low;
    let halves = (mixed >> 32) ^ (mixed & u64::from(u32::MAX));
    u32::try_from(halves).unwrap_or(0).cast_signed()
}

/// An id as Kafka prints it.
pub(super) fn kafka_uuid(id: Uuid) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.as_bytes())
}
