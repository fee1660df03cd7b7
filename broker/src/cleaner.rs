//! Compacts logs in the background, the one with the largest uncompacted part first.
//!
//! Invariant: a log is compacted by one thread at a time; threads, memory and bytes a second are what
//! `log.cleaner.*` says now; a log that cannot be compacted is left as it is and said once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metadata::config::BrokerConfig;
use parking_lot::Mutex;
use protocol::{Timestamp, TopicId, TopicPartition};
use storage::{Error, Log};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::api::Node;
use crate::config::broker_layers;

/// How long a thread that is slowed down sleeps at most before it looks whether the broker stops.
const NAP: Duration = Duration::from_millis(20);

/// What is being compacted, and what cannot be.
#[derive(Default)]
pub(crate) struct Cleaner {
    busy: Mutex<HashSet<TopicPartition>>,
    /// Logs that are damaged: they are looked at again after a start.
    given_up: Mutex<HashSet<(TopicId, i32)>>,
    throttle: Mutex<Throttle>,
}

/// When the bytes that were read and written are paid for.
struct Throttle {
    paid_at: Instant,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            paid_at: Instant::now(),
        }
    }
}

impl Throttle {
    /// Takes bytes into account; tells how long to wait for them.
    fn spend(&mut self, bytes: usize, bytes_per_second: f64, now: Instant) -> Duration {
        let costs = Duration::try_from_secs_f64(bytes as f64 / bytes_per_second.max(1.0));
        self.paid_at = self.paid_at.max(now) + costs.unwrap_or_default();
        self.paid_at.saturating_duration_since(now)
    }
}

/// A log that one thread has taken.
struct Taken<'a> {
    cleaner: &'a Cleaner,
    log: Arc<Log>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.cleaner.busy.lock().remove(self.log.topic_partition());
    }
}

impl Cleaner {
    /// The log that needs it most, if one does.
    fn take(&self, node: &Node, now: Timestamp) -> Option<Taken<'_>> {
        let partitions = node.replicas.all();
        let mut due = Vec::new();
        for partition in &partitions {
            let log = partition.log();
            let id = (log.topic_id(), log.topic_partition().partition);
            if !log.config().cleanup.compact || self.given_up.lock().contains(&id) {
                continue;
            }
            match log.cleanable(now) {
                Ok(Some(cleanable)) if cleanable.is_due => due.push((cleanable.ratio, log)),
                Ok(_) | Err(Error::Closed { .. }) => {}
                Err(error) => self.failed(log, &error),
            }
        }
        due.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut busy = self.busy.lock();
        let found = due
            .into_iter()
            .find(|(_, log)| busy.insert(log.topic_partition().clone()));
        found.map(|(_, log)| Taken {
            cleaner: self,
            log: Arc::clone(log),
        })
    }

    /// A damaged log stays damaged; all else may be better the next time.
    fn failed(&self, log: &Log, error: &Error) {
        let partition = log.topic_partition();
        if !matches!(error, Error::Unreadable { .. } | Error::Batch(_)) {
            warn!(%partition, %error, "the log was not compacted; it is tried again");
            return;
        }
        let id = (log.topic_id(), log.topic_partition().partition);
        if self.given_up.lock().insert(id) {
            error!(
                %partition, %error,
                "the log cannot be compacted; it grows until the broker is started again"
            );
        }
    }
}

/// Runs until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    loop {
        let settings = settings(&node);
        let backoff = u64::try_from(settings.log_cleaner_backoff_ms).unwrap_or(0);
        // Never without a pause: looking at all logs costs something, too.
        let backoff = Duration::from_millis(backoff.max(1));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff) => {}
        }
        let threads = usize::try_from(settings.log_cleaner_threads).unwrap_or(1);
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (node, stop) = (node.clone(), stop.clone());
            workers.push(tokio::task::spawn_blocking(move || {
                compact_what_is_due(&node, &|| stop.is_cancelled());
            }));
        }
        for worker in workers {
            if worker.await.is_err() {
                error!("a compaction failed; it is tried again at its next turn");
            }
        }
    }
}

/// The settings as they are now: most of them can change at run time.
fn settings(node: &Node) -> BrokerConfig {
    let layers = broker_layers(&node.config, &node.controller.image());
    match BrokerConfig::parse(&layers) {
        Ok(settings) => settings,
        Err(error) => {
            warn!(%error, "the settings of the start are used");
            node.config.broker.clone()
        }
    }
}

/// Compacts one log after the other until none is due.
pub(crate) fn compact_what_is_due(node: &Node, stops: &dyn Fn() -> bool) {
    let settings = settings(node);
    if !settings.log_cleaner_enable {
        return;
    }
    let threads = settings.log_cleaner_threads.max(1);
    let map_bytes = settings.log_cleaner_dedupe_buffer_size / i64::from(threads);
    let map_bytes = usize::try_from(map_bytes).unwrap_or(usize::MAX);
    let rate = settings.log_cleaner_io_max_bytes_per_second;
    while !stops() {
        let now = node.clock.now();
        let Some(taken) = node.cleaner.take(node, now) else {
            return;
        };
        let log = &taken.log;
        let mut pace = |bytes: usize| pay(node, log, bytes, rate, stops);
        match log.compact(now, map_bytes, &mut pace) {
            // Nothing goes on without progress.
            Ok(done) if done.bytes_before == 0 => return,
            Ok(_) => {}
            Err(Error::Closed { .. }) => return,
            Err(error) => {
                node.cleaner.failed(log, &error);
                return;
            }
        }
    }
}

/// Waits until some bytes are paid for; ends the compaction when the broker stops.
fn pay(
    node: &Node,
    log: &Log,
    bytes: usize,
    bytes_per_second: f64,
    stops: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let wait = {
        let mut throttle = node.cleaner.throttle.lock();
        throttle.spend(bytes, bytes_per_second, Instant::now())
    };
    let until = Instant::now() + wait;
    loop {
        if stops() {
            return Err(Error::Closed {
                topic_partition: log.topic_partition().clone(),
            });
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(NAP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_paid_for_at_the_rate_that_is_set() {
        let start = Instant::now();
        let mut throttle = Throttle { paid_at: start };
        assert_eq!(
            throttle.spend(500, 1000.0, start),
            Duration::from_millis(500)
        );
        assert_eq!(throttle.spend(500, 1000.0, start), Duration::from_secs(1));
        // What was not spent in time is not saved up.
        let later = start + Duration::from_secs(10);
        assert_eq!(
            throttle.spend(100, 1000.0, later),
            Duration::from_millis(100)
        );
        assert_eq!(
            throttle.spend(usize::MAX, f64::MAX, later + Duration::from_secs(1)),
            Duration::ZERO
        );
    }
}
