//! What a broker does by the clock: checkpoints, retention, syncs.

use std::sync::Arc;
use std::time::Duration;

use protocol::Timestamp;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::api::Node;
use crate::cleaner;
use crate::clock::SystemClock;

/// Runs until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let broker = &node.config.broker;
    // One file write serves all that upstream writes in rhythms of their own.
    let checkpoints = [
        i64::from(broker.log_flush_offset_checkpoint_interval_ms),
        i64::from(broker.log_flush_start_offset_checkpoint_interval_ms),
        broker.replica_high_watermark_checkpoint_interval_ms,
        broker.log_flush_scheduler_interval_ms,
    ];
    let mut checkpoint = every(checkpoints.into_iter().fold(i64::MAX, i64::min));
    let mut retention = every(broker.log_retention_check_interval_ms);
    loop {
        let work: fn(&Node) = tokio::select! {
            () = stop.cancelled() => return,
            _ = checkpoint.tick() => write_checkpoints,
            _ = retention.tick() => apply_retention,
        };
        let node = node.clone();
        if tokio::task::spawn_blocking(move || work(&node))
            .await
            .is_err()
        {
            error!("a housekeeping task failed; it runs again at its next turn");
        }
    }
}

/// What upstream calls never; a timer cannot wait for ever.
const PERIOD_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1000;

fn every(period_ms: i64) -> tokio::time::Interval {
    let period_ms = u64::try_from(period_ms).unwrap_or(1);
    let period = Duration::from_millis(period_ms.clamp(1, PERIOD_MS_MAX));
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

fn write_checkpoints(node: &Node) {
    sync_what_is_due(node);
    node.telemetry.expire();
    node.groups.checkpoint();
    node.transactions.checkpoint();
    node.log_dir.remove_former_logs();
    if let Err(error) = node.log_dir.checkpoint() {
        warn!(%error, "checkpoints were not written; they are tried again");
    }
}

/// The service clock jumped: what is due at the new time is done now. Syncs are done whatever the
/// time, since those that wait are stamped with the old one.
pub(crate) fn clock_moved(node: &Node) {
    sync_due_at(node, Timestamp(i64::MAX));
    apply_retention(node);
    node.telemetry.expire();
    cleaner::compact_what_is_due(node, &|| false);
}

/// `flush.ms`: records that waited for a sync long enough get it.
fn sync_what_is_due(node: &Node) {
    // A clock that stands still, or was set back, holds up no sync.
    sync_due_at(node, node.clock.now().max(SystemClock.now()));
}

fn sync_due_at(node: &Node, now: Timestamp) {
    for partition in node.replicas.all() {
        if let Err(error) = partition.log().sync_if_due(now) {
            error!(partition = %partition.topic_partition(), %error, "the log could not be synced");
        }
    }
}

/// Deletes what is too old or too much, by the service clock.
fn apply_retention(node: &Node) {
    for partition in node.replicas.all() {
        match partition.log().apply_retention(node.clock.now()) {
            // Deleted, or put back, meanwhile.
            Ok(_) | Err(storage::Error::Closed { .. }) => {}
            Err(error) => {
                let partition = partition.topic_partition();
                warn!(%partition, %error, "retention was not applied");
            }
        }
    }
}
