//! Accepts connections on one address.
//!
//! Invariant: running out of descriptors slows accepting down and ends nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::connection::{self, Peer};
use super::limits::Limits;
use crate::api::Node;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

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
    pub(crate) async fn run(self, node: Arc<Node>, tasks: TaskTracker, stop: CancellationToken) {
        let limits = Limits::new(
            node.config.max_connections,
            node.config.max_connections_per_ip,
        );
        let mut starved = false;
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    starved = false;
                    self.serve(socket, address, &limits, &node, &tasks, &stop);
                }
                Err(error) => {
                    if !starved {
                        warn!(listener = %self.name, %error, "cannot accept a connection; clients wait");
                        starved = true;
                    }
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    fn serve(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        limits: &Arc<Limits>,
        node: &Arc<Node>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Some(admitted) = limits.admit(address.ip()) else {
            debug!(listener = %self.name, %address, "connection refused: too many");
            return;
        };
        let peer = Peer {
            address,
            listener: self.name.clone(),
        };
        let (node, stop) = (node.clone(), stop.clone());
        tasks.spawn(async move {
            connection::serve(socket, peer, node, stop).await;
            drop(admitted);
        });
    }
}
