//! One client's connection: a request is read, handled and answered before the next is read.
//!
//! Upstream mutes the socket in the same way (`SocketServer`), so answers keep the order of their
//! requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::budget::Budget;
use super::frames::{FrameError, Frames};
use super::writer;
use crate::api::{self, Node, Refusal, Reply};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The listener it came in by.
    pub(crate) listener: Arc<str>,
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
        let reply = tokio::select! {
            // Most requests are answered at once: the socket is looked at only for those that wait.
            biased;
            reply = api::dispatch(&node, &peer, frame) => reply,
            () = stop.cancelled() => return,
            () = gone(&socket) => return,
        };
        match reply {
            Ok(Reply::Answer(chunks)) => {
                if writer::write_all(&socket, chunks).await.is_err() {
                    return;
                }
            }
            Ok(Reply::Nothing) => {}
            Err(refusal @ Refusal::Unwritable { .. }) => {
                error!(peer = %peer.address, %refusal, "closing the connection");
                return;
            }
            Err(refusal) => {
                debug!(peer = %peer.address, %refusal, "closing the connection");
                return;
            }
        }
    }
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
