//! The signals that end a console tool after it has cleaned up.
//!
//! Invariant: the exit code names the signal, as a shell and a JVM would.

use tokio::signal::unix::{Signal, SignalKind, signal};

const SIGINT_CODE: u8 = 130;
const SIGTERM_CODE: u8 = 143;

/// Waits for SIGINT and SIGTERM.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The exit code of the signal that came.
    pub(super) async fn received(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT_CODE,
            _ = self.terminate.recv() => SIGTERM_CODE,
        }
    }
}
