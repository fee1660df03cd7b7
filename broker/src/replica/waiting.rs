//! One waiting request: which of its partitions have news.
//!
//! Invariant: a wake costs one push and one notification, however many partitions are waited for.

use std::time::Duration;

use parking_lot::Mutex;
use replication::{Ticket, Waiter};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The partitions of a request, by index, that reached what it waits for.
#[derive(Default)]
pub(crate) struct ReadyList {
    ready: Mutex<Vec<Ticket>>,
    notify: Notify,
}

impl Waiter for ReadyList {
    fn wake(&self, ticket: Ticket) {
        self.ready.lock().push(ticket);
        self.notify.notify_one();
    }
}

impl ReadyList {
    /// Waits for news until `deadline`; returns the partitions woken, none when time is up.
    pub(crate) async fn next(&self, deadline: Instant) -> Vec<Ticket> {
        loop {
            let woken = std::mem::take(&mut *self.ready.lock());
            if !woken.is_empty() {
                return woken;
            }
            if tokio::time::timeout_at(deadline, self.notify.notified())
                .await
                .is_err()
            {
                return std::mem::take(&mut *self.ready.lock());
            }
        }
    }
}

/// A deadline `wait_ms` from now; negative waits are none.
pub(crate) fn deadline(wait_ms: i32) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
}
