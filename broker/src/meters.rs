//! What a node counts of its requests, for `/metrics`.
//!
//! Invariant: counting is relaxed atomics; no lock is taken and nothing is allocated on the way of
//! a request.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use prometheus::{Histogram, HistogramOpts, IntCounter};
use protocol::header::peek_key_and_version;
use tokio::time::Instant;

use crate::api::APIS;

/// Upper bounds of the latency buckets, in milliseconds.
const BUCKETS_MS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0, 5000.0,
];

/// The counts of a node.
pub(crate) struct Meters {
    /// In the order of the API table.
    pub(crate) apis: Vec<ApiMeters>,
    pub(crate) topics: TopicMeters,
    /// Of partitions, as upstream has it: a request may count several times.
    pub(crate) failed_produces: AtomicU64,
    pub(crate) failed_fetches: AtomicU64,
    /// Partitions that a transaction may not write to, as its coordinator says.
    pub(crate) failed_verifications: AtomicU64,
    pub(crate) connections: AtomicI64,
    pub(crate) connections_created: AtomicU64,
}

/// The counts of one API.
pub(crate) struct ApiMeters {
    pub(crate) name: &'static str,
    /// From the request's last byte read to the answer's last byte written.
    pub(crate) total_time_ms: Histogram,
    pub(crate) request_bytes: IntCounter,
    pub(crate) response_bytes: IntCounter,
    /// Answers that carry an error somewhere, by code; the last place is for closed connections.
    pub(crate) errors: Vec<AtomicU64>,
}

/// What went in and out of a partition, or of all.
#[derive(Debug, Default)]
pub(crate) struct TopicMeters {
    pub(crate) messages_in: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

/// A request under way.
pub(crate) struct Underway {
    api: usize,
    since: Instant,
}

/// The codes from -1 on that are counted one by one.
const CODES: usize = 136;
/// Where a request is counted that was answered by closing the connection.
pub(crate) const CLOSED: usize = CODES - 1;

impl TopicMeters {
    pub(crate) fn count_in(&self, messages: u64, bytes: u64) {
        self.messages_in.fetch_add(messages, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Meters {
    /// All counts at zero.
    ///
    /// # Errors
    /// None with names that are names; they are constants.
    pub(crate) fn new() -> Result<Meters, prometheus::Error> {
        let apis = APIS.iter().map(|api| {
            let opts = HistogramOpts::new(
                "kafka_network_requestmetrics_totaltimems",
                "Time from a request's arrival to the end of its answer, in milliseconds",
            );
            let opts = opts
                .const_label("request", api.name)
                .buckets(BUCKETS_MS.to_vec());
            Ok(ApiMeters {
                name: api.name,
                total_time_ms: Histogram::with_opts(opts)?,
                request_bytes: IntCounter::new("request_bytes", "bytes")?,
                response_bytes: IntCounter::new("response_bytes", "bytes")?,
                errors: (0..CODES).map(|_| AtomicU64::new(0)).collect(),
            })
        });
        Ok(Meters {
            apis: apis.collect::<Result<_, prometheus::Error>>()?,
            topics: TopicMeters::default(),
            failed_produces: AtomicU64::new(0),
            failed_fetches: AtomicU64::new(0),
            failed_verifications: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            connections_created: AtomicU64::new(0),
        })
    }

    /// A request of these bytes has arrived.
    pub(crate) fn arrived(&self, frame: &[u8]) -> Option<Underway> {
        let (key, _) = peek_key_and_version(frame)?;
        let api = APIS.binary_search_by_key(&key, |api| api.key).ok()?;
        self.apis.get(api)?.request_bytes.inc_by(frame.len() as u64);
        Some(Underway {
            api,
            since: Instant::now(),
        })
    }

    /// Its answer has left.
    pub(crate) fn answered(&self, request: Option<Underway>, bytes: usize) {
        if let Some((api, since)) = self.of(request) {
            api.total_time_ms
                .observe(since.elapsed().as_secs_f64() * 1000.0);
            api.response_bytes.inc_by(bytes as u64);
        }
    }

    /// Its connection was closed in place of an answer.
    pub(crate) fn closed(&self, request: Option<Underway>) {
        if let Some((api, since)) = self.of(request) {
            api.total_time_ms
                .observe(since.elapsed().as_secs_f64() * 1000.0);
            if let Some(count) = api.errors.get(CLOSED) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn of(&self, request: Option<Underway>) -> Option<(&ApiMeters, Instant)> {
        let Underway { api, since } = request?;
        Some((self.apis.get(api)?, since))
    }

    /// An answer carries this code.
    pub(crate) fn count_error(&self, key: i16, code: i16) {
        if code == 0 {
            return;
        }
        let api = APIS.binary_search_by_key(&key, |api| api.key).ok();
        let place = usize::try_from(code.saturating_add(1))
            .unwrap_or(0)
            .min(CLOSED - 1);
        let api = api.and_then(|api| self.apis.get(api));
        if let Some(count) = api.and_then(|api| api.errors.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection that counts until what is given back is dropped.
    pub(crate) fn connection(&self) -> Connected<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_created.fetch_add(1, Ordering::Relaxed);
        Connected(self)
    }
}

/// A connection that is open.
pub(crate) struct Connected<'a>(&'a Meters);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
