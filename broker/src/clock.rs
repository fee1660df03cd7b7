//! The broker's wall clock: the one place that reads it.
//!
//! Invariant: retention, group and offset expiry ask this clock; time-outs of sockets and requests
//! use tokio's monotonic one.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::Timestamp;

/// Reads the time of day and waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock;

impl Clock {
    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// Completes when `now()` has reached `at`.
    pub(crate) fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let left = u64::try_from(at.0.saturating_sub(self.now().0)).unwrap_or(0);
        Box::pin(tokio::time::sleep(Duration::from_millis(left)))
    }
}

impl controller::Clock for Clock {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }
}
