//! One client's connection: a request is read, handled and answered before the next is read.
//!
//! Upstream mutes the socket in the same way (`SocketServer`), so answers keep the order of their
//! requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::budget::Budget;
use super::frames::{FrameError, Frames};
use super::writer::{self, Chunk};
use crate::api::{self, Node, Refusal, Reply};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The listener it came in by.
    pub(crate) listener: Arc<str>,
    pub(crate) connection: Arc<Connection>,
}

/// What a connection is known by while it is open.
#[derive(Debug)]
pub(crate) struct Connection {
    /// No other of this process has it.
    pub(crate) id: u64,
    /// What the client says it is (KIP-511).
    software: Mutex<Software>,
}

/// A client's software, by name and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Software {
    pub(crate) name: String,
    pub(crate) version: String,
}

impl Connection {
    pub(crate) fn new() -> Connection {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // As upstream calls who has not said it.
        let unknown = || "unknown".to_owned();
        Connection {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            software: Mutex::new(Software {
                name: unknown(),
                version: unknown(),
            }),
        }
    }

    pub(crate) fn software(&self) -> Software {
        self.software.lock().clone()
    }

    pub(crate) fn set_software(&self, software: Software) {
        *self.software.lock() = software;
    }
}

/// Tells the node when the connection ends, however that comes.
struct Ending<'a> {
    node: &'a Node,
    connection: u64,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.node.telemetry.disconnected(self.connection);
        self.node.shares.disconnected(self.connection);
    }
}

/// Serves `socket` until either side ends it.
pub(crate) async fn serve(
    mut socket: TcpStream,
    peer: Peer,
    node: Arc<Node>,
    request_bytes: Arc<Budget>,
    stop: CancellationToken,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = socket.set_nodelay(true);
    let _connected = node.meters.connection();
    let _ending = Ending {
        node: &node,
        connection: peer.connection.id,
    };
    let mut frames = Frames::new(
        node.config.request_max_bytes,
        node.config.max_idle,
        request_bytes,
    );
    loop {
        let frame = {
            let (mut read, _) = socket.split();
            tokio::select! {
                () = stop.cancelled() => return,
                frame = frames.next(&mut read) => frame,
            }
        };
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(FrameError::Idle(_) | FrameError::Torn | FrameError::Io(_)) => return,
            Err(error @ FrameError::Size { .. }) => {
                debug!(peer = %peer.address, %error, "closing the connection");
                return;
            }
        };
        let metered = node.meters.arrived(&frame);
        let reply = tokio::select! {
            // Most requests are answered at once: the socket is looked at only for those that wait.
            biased;
            reply = api::dispatch(&node, &peer, frame) => reply,
            () = stop.cancelled() => return,
            () = gone(&socket) => return,
        };
        match reply {
            Ok(Reply::Answer(chunks)) => {
                let size = chunks.iter().map(Chunk::size).sum();
                if writer::write_all(&socket, chunks).await.is_err() {
                    return;
                }
                node.meters.answered(metered, size);
            }
            Ok(Reply::Nothing) => node.meters.answered(metered, 0),
            Ok(Reply::Silence) => {
                node.meters.answered(metered, 0);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = stay_silent(&mut socket, node.config.max_idle) => {}
                }
                return;
            }
            Err(refusal @ Refusal::Unwritable { .. }) => {
                node.meters.closed(metered);
                error!(peer = %peer.address, %refusal, "closing the connection");
                return;
            }
            Err(refusal) => {
                node.meters.closed(metered);
                debug!(peer = %peer.address, %refusal, "closing the connection");
                return;
            }
        }
    }
}

/// Takes whatever comes and answers nothing, until the client gives up. Answers keep the order of
/// their requests: after one that never comes there is none.
async fn stay_silent(socket: &mut TcpStream, max_idle: Duration) {
    let mut thrown_away = [0; 4096];
    while let Ok(Ok(1..)) = tokio::time::timeout(max_idle, socket.read(&mut thrown_away)).await {}
}

/// How long a request goes on after its client has stopped sending. A client may have closed one
/// direction only and still wait; one that is gone must not hold a long poll for ever.
const GONE_GRACE: Duration = Duration::from_secs(10);

/// Completes some time after the client closed the connection; never while it may send more.
async fn gone(socket: &TcpStream) {
    let ended = match socket.peek(&mut [0; 1]).await {
        Ok(waiting) => waiting == 0,
        Err(_) => return,
    };
    if !ended {
        // The next request is here already: whether more follows shows when it is read.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(GONE_GRACE).await;
}
