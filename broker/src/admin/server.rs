//! The HTTP server: a bound socket, and a task for each connection.
//!
//! Invariant: connections are bounded in number and in how long a request's head may take; all end
//! when the broker stops.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::body::BODY_MAX;
use super::{Admin, AdminAddress, router};

/// Connections at once; further ones wait to be accepted. Whoever waits over `/v1/wait` holds one,
/// and a suite of tests may wait for much at once.
const CONNECTIONS_MAX: usize = 2048;
/// How long the head of a request may take to come.
const HEAD: Duration = Duration::from_secs(10);
/// How long an answer may take to leave once the broker stops.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The bound HTTP port.
pub(crate) struct AdminListener {
    socket: TcpListener,
    address: SocketAddr,
}

impl AdminListener {
    /// Binds `at`, without serving yet.
    ///
    /// # Errors
    /// What the system says: the port is in use, the host is unknown.
    pub(crate) fn bind(at: &AdminAddress) -> io::Result<AdminListener> {
        let socket = match &at.host {
            Some(host) => bind_first((host.as_str(), at.port).to_socket_addrs()?)?,
            // All interfaces: of both families, where the system has IPv6.
            None => bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, at.port)))
                .or_else(|_| bind(SocketAddr::from(([0, 0, 0, 0], at.port))))?,
        };
        let address = socket.local_addr()?;
        Ok(AdminListener { socket, address })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the broker stops; connections run on `tasks`.
    pub(crate) async fn run(self, admin: Admin, tasks: TaskTracker) {
        let stop = admin.stop.clone();
        let router = router(admin).layer(DefaultBodyLimit::max(BODY_MAX));
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.accept(router, &stop, &tasks) => {}
        }
    }

    async fn accept(&self, router: Router, stop: &CancellationToken, tasks: &TaskTracker) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            match self.socket.accept().await {
                Ok((socket, _)) => {
                    let connection = serve(socket, router.clone(), stop.clone());
                    tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    debug!(%error, "an HTTP connection was not accepted");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }
}

fn bind_first(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut failed = io::Error::other("the host has no address");
    for address in addresses {
        match bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Serves one connection; once the broker stops, the answer under way may still leave.
async fn serve(socket: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = socket.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let last = tokio::time::timeout(LAST_ANSWERS, connection).await;
            last.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an HTTP connection ended");
    }
}
