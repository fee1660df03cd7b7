//! The clock as the controller sees it.
//! No decision depends on the time; the service and the log store stamp entries with it.

use protocol::Timestamp;

/// Tells the time. The broker brings a real one, tests one they move.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}
