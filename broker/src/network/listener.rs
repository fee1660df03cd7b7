//! Accepts connections on one address.
//!
//! Invariant: running out of descriptors slows accepting down and ends nothing.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::connection::{self, Connection, Peer};
use super::resources::{Place, Resources};
use crate::api::Node;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Between two warnings that clients wait.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// A bound address with the listener name clients know it by.
pub(crate) struct Listener {
    pub(crate) name: Arc<str>,
    socket: TcpListener,
}

/// Binds `address` for the listener `name`; the kernel holds `backlog` connections that are not
/// accepted yet (`socket.listen.backlog.size`).
pub(crate) fn bind(name: Arc<str>, address: SocketAddr, backlog: i32) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(Listener {
        name,
        socket: TcpListener::from_std(socket.into())?,
    })
}

impl Listener {
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` is cancelled; connections run on `tasks`.
    pub(crate) async fn run(
        self,
        node: Arc<Node>,
        resources: Arc<Resources>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let accepting = Accepting {
            name: self.name,
            socket: self.socket,
            node,
            resources,
            tasks,
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = accepting.run(&stop) => {}
        }
    }
}

struct Accepting {
    name: Arc<str>,
    socket: TcpListener,
    node: Arc<Node>,
    resources: Arc<Resources>,
    tasks: TaskTracker,
}

impl Accepting {
    async fn run(&self, stop: &CancellationToken) {
        let mut warned = None;
        loop {
            if !self.resources.has_place() {
                self.warn(&mut warned, &"no descriptors are left for it");
            }
            let Some(place) = self.resources.place().await else {
                return;
            };
            match self.socket.accept().await {
                Ok((socket, address)) => {
                    // As upstream, whose acceptor holds the connection until there is a slot.
                    self.resources.limits.room().await;
                    self.serve(socket, address, place, stop.clone());
                }
                Err(error) => {
                    self.warn(&mut warned, &error);
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Says now and then that clients wait, and why.
    fn warn(&self, warned: &mut Option<Instant>, reason: &dyn Display) {
        if warned.is_none_or(|at| at.elapsed() >= WARN_AGAIN) {
            warn!(listener = %self.name, %reason, "cannot accept a connection; clients wait");
            *warned = Some(Instant::now());
        }
    }

    fn serve(&self, socket: TcpStream, address: SocketAddr, place: Place, stop: CancellationToken) {
        let Some(admitted) = self.resources.limits.admit(address.ip()) else {
            debug!(listener = %self.name, %address, "connection refused: too many of its address");
            return;
        };
        let peer = Peer {
            address,
            listener: self.name.clone(),
            connection: Arc::new(Connection::new()),
        };
        let (node, request_bytes) = (self.node.clone(), self.resources.request_bytes.clone());
        self.tasks.spawn(async move {
            connection::serve(socket, peer, node, request_bytes, stop).await;
            drop((admitted, place));
        });
    }
}
