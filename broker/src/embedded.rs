//! A node as a value: it runs on threads of its own, and is gone when it is dropped.
//!
//! Invariant: nothing of the node outlives its [`Broker`], whatever runtime the owner has, or none.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::broker::{Running, StartError};
use crate::config::ServerConfig;
use crate::logging::Logging;

/// How long a stop may take before what is left of it is abandoned.
const STOP: Duration = Duration::from_secs(10);
/// How long blocking work may take to end behind a stop.
const SHUT_DOWN: Duration = Duration::from_secs(2);

/// A running node.
///
/// Several may run side by side in one process. Dropping one stops it cleanly: when `drop` returns,
/// its ports are closed and, where its [`ServerConfig`] was [`ephemeral`](ServerConfig::ephemeral), its data is
/// removed.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use klamm::{Broker, ServerConfig};
///
/// let config = ServerConfig::ephemeral(&[("num.partitions", "3")])?;
/// let broker = Broker::start(config).await?;
/// println!("bootstrap.servers={}", broker.bootstrap_servers());
/// # Ok(())
/// # }
/// ```
pub struct Broker {
    /// Taken by the stop.
    parts: Option<Parts>,
}

struct Parts {
    running: Running,
    runtime: Runtime,
}

impl Broker {
    /// Starts a node. When this returns, a produce succeeds.
    ///
    /// # Errors
    /// What stands in the way: an address in use, a data folder that cannot be used.
    pub async fn start(config: ServerConfig) -> Result<Broker, StartError> {
        Broker::start_with(config, Arc::new(Logging::default())).await
    }

    /// As [`Broker::start`], with the logging whose levels clients may change.
    ///
    /// # Errors
    /// As for [`Broker::start`].
    pub async fn start_with(
        config: ServerConfig,
        logging: Arc<Logging>,
    ) -> Result<Broker, StartError> {
        let runtime = new_runtime()?;
        let started = runtime.spawn(Running::start(config, logging)).await;
        Broker::of(runtime, started)
    }

    /// As [`Broker::start`], where there is no async runtime: a plain `#[test]`.
    ///
    /// # Errors
    /// As for [`Broker::start`].
    pub fn start_blocking(config: ServerConfig) -> Result<Broker, StartError> {
        let runtime = new_runtime()?;
        let (send, started) = std::sync::mpsc::channel();
        // Not block_on, which would panic where the caller is a task after all.
        runtime.spawn(async move {
            let logging = Arc::new(Logging::default());
            let started = tokio::spawn(Running::start(config, logging)).await;
            // Nobody gave up waiting: the other end is below.
            let _ = send.send(started);
        });
        match started.recv() {
            Ok(started) => Broker::of(runtime, started),
            Err(_) => Err(StartError::Runtime(std::io::Error::other("it was ended"))),
        }
    }

    fn of(
        runtime: Runtime,
        started: Result<Result<Running, StartError>, tokio::task::JoinError>,
    ) -> Result<Broker, StartError> {
        let failure = match started {
            Ok(Ok(running)) => {
                let parts = Some(Parts { running, runtime });
                return Ok(Broker { parts });
            }
            Ok(Err(error)) => error,
            Err(ended) => StartError::Runtime(std::io::Error::other(ended)),
        };
        runtime.shutdown_background();
        Err(failure)
    }

    fn running(&self) -> &Running {
        let parts = self.parts.as_ref();
        &parts
            .expect("only the stop takes it, and ends the value")
            .running
    }

    /// `node.id`
    #[must_use]
    pub fn node_id(&self) -> i32 {
        self.running().config().node_id
    }

    /// Where the node listens, as one line.
    pub fn addresses(&self) -> impl fmt::Display {
        let addresses = self.running().addresses().iter();
        let texts = addresses.map(|(name, address)| format!("{name}://{address}"));
        texts.collect::<Vec<_>>().join(",")
    }

    /// The address of the first listener.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let addresses = self.running().addresses();
        addresses.first().map(|(_, address)| *address)
    }

    /// What a client in the same process has as its `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let address = self.address();
        address
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    /// The address of the HTTP port (`klamm.admin.listener`), where there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.running().admin_address()
    }

    /// Whether `advertised.listeners` was set at run time: clients are told of another place than
    /// that of the start.
    #[must_use]
    pub fn is_advertised_anew(&self) -> bool {
        self.running().is_advertised_anew()
    }

    /// Where the data lies.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        &self.running().config().data_folder
    }

    /// Completes when the node cannot go on, with the reason: its metadata log has failed. Who
    /// waits for it then calls [`Broker::stop`].
    pub async fn failed(&self) -> controller::Error {
        self.running().failed().await
    }

    /// Stops cleanly: no new requests, everything on disk, the next start recovers nothing.
    pub async fn stop(mut self) {
        let Some(parts) = self.parts.take() else {
            return;
        };
        let (send, stopped) = oneshot::channel();
        parts.stop_on_a_thread(move || {
            // Who does not wait any more need not hear of it.
            let _ = send.send(());
        });
        // An error is the thread's end: it has stopped what it could.
        let _ = stopped.await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else {
            return;
        };
        let (send, stopped) = std::sync::mpsc::channel();
        parts.stop_on_a_thread(move || {
            // As above.
            let _ = send.send(());
        });
        let _ = stopped.recv();
    }
}

impl Parts {
    /// On a thread of its own, since the caller may be a task, which must not wait for a runtime.
    fn stop_on_a_thread(self, stopped: impl FnOnce() + Send + 'static) {
        let Parts { running, runtime } = self;
        let stop = move || {
            runtime.block_on(async {
                if tokio::time::timeout(STOP, running.stop()).await.is_err() {
                    warn!(
                        "the stop takes more than {} s: left at that",
                        STOP.as_secs()
                    );
                }
            });
            runtime.shutdown_timeout(SHUT_DOWN);
            stopped();
        };
        let thread = std::thread::Builder::new().name("klamm-stop".to_owned());
        if let Err(error) = thread.spawn(stop) {
            error!(%error, "no thread for the stop: the node ends without it");
        }
    }
}

fn new_runtime() -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("klamm")
        .enable_all()
        .build()
        .map_err(StartError::Runtime)
}
