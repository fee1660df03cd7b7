//! What clients push of their own metrics (KIP-714): which of them they are asked for, who may push
//! when, and what was pushed, for `/metrics`.
//!
//! Invariant: a push is answered as upstream 4.3.1 answers it with a receiver configured; what is
//! kept, of clients and of their metrics, is bounded and goes when they have gone.

mod instances;
mod otlp;
mod received;
mod subscriptions;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use metadata::MetadataImage;
use parking_lot::Mutex;
use prometheus::proto::MetricFamily;
use protocol::{Compression, ErrorCode, Timestamp};
use tracing::debug;
use uuid::Uuid;

use crate::clock::Clock;
use instances::Instances;
pub(crate) use received::Counts as ReceivedCounts;
use received::Received;
pub(crate) use subscriptions::Subscription;
use subscriptions::Subscriptions;

/// What clients may compress with, the best first, as upstream offers them.
pub(crate) const ACCEPTED_COMPRESSION: [Compression; 4] = [
    Compression::Zstd,
    Compression::Lz4,
    Compression::Gzip,
    Compression::Snappy,
];

/// What clients keep of a place in a cache: so long after their last request, or three pushes where
/// that is more.
const EXPIRY_MS: i64 = 60_000;

/// When what is kept of a client goes, unless it comes again.
fn expires_at(now: Timestamp, interval_ms: i32) -> Timestamp {
    let kept = EXPIRY_MS.max(i64::from(interval_ms).saturating_mul(3));
    Timestamp(now.0.saturating_add(kept))
}

/// Who asks, as far as it can be matched and shown.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) connection: u64,
    pub(crate) client_id: Option<String>,
    pub(crate) software_name: String,
    pub(crate) software_version: String,
    pub(crate) source_address: String,
    pub(crate) source_port: String,
}

/// One PushTelemetry.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) instance: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) terminating: bool,
    pub(crate) compression: i8,
    pub(crate) metrics: Bytes,
}

/// Everything of client metrics that a node has.
pub(crate) struct Telemetry {
    clock: Clock,
    /// `telemetry.max.bytes`
    max_bytes: i32,
    subscriptions: ArcSwap<Subscriptions>,
    instances: Mutex<Instances>,
    received: Mutex<Received>,
    meters: Meters,
}

#[derive(Default)]
struct Meters {
    throttled: AtomicU64,
    unknown_subscriptions: AtomicU64,
    exports: AtomicU64,
    export_errors: AtomicU64,
}

/// What has been counted.
pub(crate) struct Counts {
    pub(crate) instances: usize,
    pub(crate) throttled: u64,
    pub(crate) unknown_subscriptions: u64,
    pub(crate) exports: u64,
    pub(crate) export_errors: u64,
    pub(crate) received: ReceivedCounts,
}

impl Telemetry {
    /// `max_bytes` is the largest push.
    pub(crate) fn new(clock: Clock, max_bytes: i32) -> Telemetry {
        Telemetry {
            clock,
            max_bytes,
            subscriptions: ArcSwap::default(),
            instances: Mutex::default(),
            received: Mutex::default(),
            meters: Meters::default(),
        }
    }

    pub(crate) fn max_bytes(&self) -> i32 {
        self.max_bytes
    }

    /// The CLIENT_METRICS configs have changed.
    pub(crate) fn subscriptions_changed(&self, image: &MetadataImage) {
        let version = self.subscriptions.load().version() + 1;
        let next = Subscriptions::of(&image.configs, version);
        self.subscriptions.store(Arc::new(next));
    }

    /// What the client is to push; `asked` is nil where it has no instance id yet.
    ///
    /// # Errors
    /// It asks again before it is time.
    pub(crate) fn subscribe(
        &self,
        asked: Uuid,
        client: &Client,
    ) -> Result<(Uuid, Arc<Subscription>), ErrorCode> {
        let (now, subscriptions) = (self.clock.now(), self.subscriptions.load());
        let mut instances = self.instances.lock();
        let id = if asked.is_nil() {
            instances.new_id()
        } else {
            asked
        };
        let instance = instances.of(id, client, &subscriptions, now);
        match instance.get(now) {
            Ok(subscription) => Ok((id, subscription)),
            Err(refused) => {
                self.count_refused(refused);
                Err(refused)
            }
        }
    }

    /// Takes what a client pushes.
    ///
    /// # Errors
    /// In this order: no instance id, a push behind a terminating one, too early, another
    /// subscription than the client's, an unknown codec, too large; then metrics that cannot be
    /// read.
    pub(crate) fn push(&self, push: &Push, client: &Client) -> Result<(), ErrorCode> {
        if is_reserved(push.instance) {
            return Err(ErrorCode::InvalidRequest);
        }
        let now = self.clock.now();
        let subscription = {
            let subscriptions = self.subscriptions.load();
            let mut instances = self.instances.lock();
            let instance = instances.of(push.instance, client, &subscriptions, now);
            let subscription = instance.push(push, self.max_bytes, now);
            subscription.inspect_err(|refused| self.count_refused(*refused))?
        };
        if push.metrics.is_empty() {
            return Ok(());
        }
        let kept_until = expires_at(now, subscription.interval_ms);
        match self.export(push, client, kept_until) {
            Ok(()) => {
                self.meters.exports.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(reason) => {
                self.meters.export_errors.fetch_add(1, Ordering::Relaxed);
                debug!(instance = %push.instance, %reason, "the metrics of a client cannot be read");
                let mut instances = self.instances.lock();
                instances.failed(push.instance, ErrorCode::InvalidRecord);
                Err(ErrorCode::InvalidRecord)
            }
        }
    }

    fn export(&self, push: &Push, client: &Client, kept_until: Timestamp) -> Result<(), String> {
        let max = usize::try_from(self.max_bytes).unwrap_or(0);
        let compression =
            compression(push.compression).ok_or_else(|| "its codec is unknown".to_owned())?;
        let metrics = protocol::decompress(compression, push.metrics.clone(), max)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("unpacked they have more than {max} bytes"))?;
        otlp::check(&metrics).map_err(|error| error.to_string())?;
        let mut received = self.received.lock();
        let now = self.clock.now();
        let mut pushing = received.pushing(push.instance, client, now, kept_until);
        otlp::read(&metrics, &mut |point| pushing.add(point)).map_err(|error| error.to_string())
    }

    fn count_refused(&self, code: ErrorCode) {
        if code == ErrorCode::ThrottlingQuotaExceeded {
            self.meters.throttled.fetch_add(1, Ordering::Relaxed);
        } else if code == ErrorCode::UnknownSubscriptionId {
            self.meters
                .unknown_subscriptions
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection has ended. As upstream, the instance that was made on it goes with it; what it
    /// has pushed stays until it expires, so that the last push of a client can be seen.
    pub(crate) fn disconnected(&self, connection: u64) {
        self.instances.lock().disconnected(connection);
    }

    /// Forgets what has expired.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        self.instances.lock().expire(now);
        self.received.lock().expire(now);
    }

    /// Forgets everything but the subscriptions.
    pub(crate) fn clear(&self) {
        *self.instances.lock() = Instances::default();
        *self.received.lock() = Received::default();
    }

    /// What clients have pushed, as it is to stand in `/metrics`.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        let mut received = self.received.lock();
        received.expire(self.clock.now());
        received.families()
    }

    pub(crate) fn counts(&self) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            instances: self.instances.lock().len(),
            throttled: load(&self.meters.throttled),
            unknown_subscriptions: load(&self.meters.unknown_subscriptions),
            exports: load(&self.meters.exports),
            export_errors: load(&self.meters.export_errors),
            received: self.received.lock().counts(),
        }
    }
}

/// The codec of a push; upstream takes more than it offers.
fn compression(id: i8) -> Option<Compression> {
    [Compression::None]
        .into_iter()
        .chain(ACCEPTED_COMPRESSION)
        .find(|compression| compression.id() == i16::from(id))
}

/// Upstream's ids that stand for something else: none, and the metadata topic.
fn is_reserved(id: Uuid) -> bool {
    id.as_u128() <= 1
}
