//! Reads length-prefixed frames from a socket.
//!
//! Invariant: the buffer grows with the bytes that arrived, never to the announced length
//! (CVE-2022-34917), and an idle connection holds none. A frame's room counts against the budget of
//! all connections until the next one is asked for, which is after its answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;
use tokio::time::timeout;

use super::budget::{Budget, Held, STALL};

/// The least that is read at once.
const READ_STEP: usize = 16 * 1024;

/// A frame may reserve this many times the bytes that have arrived of it.
const GROWTH: usize = 4;

/// Why no further frame comes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(
        "a frame announces {announced} bytes; 0 to {max} are accepted (socket.request.max.bytes)"
    )]
    Size { announced: i32, max: usize },
    #[error("nothing arrived for {0:?} (connections.max.idle.ms, or less inside a large frame)")]
    Idle(Duration),
    #[error("the connection ended inside a frame")]
    Torn,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The frames of one connection.
pub(crate) struct Frames {
    buffer: BytesMut,
    max_size: usize,
    max_idle: Duration,
    budget: Arc<Budget>,
    held: Held,
}

impl Frames {
    pub(super) fn new(max_size: usize, max_idle: Duration, budget: Arc<Budget>) -> Self {
        Frames {
            buffer: BytesMut::new(),
            max_size,
            max_idle,
            budget,
            held: Held::default(),
        }
    }

    /// The next frame without its length, or `None` at a clean end.
    pub(crate) async fn next(
        &mut self,
        socket: &mut ReadHalf<'_>,
    ) -> Result<Option<Bytes>, FrameError> {
        self.held = Held::default();
        if self.buffer.is_empty() {
            // Waiting for a request costs no buffer.
            self.buffer = BytesMut::new();
            match timeout(self.max_idle, socket.readable()).await {
                Ok(ready) => ready?,
                Err(_) => return Err(FrameError::Idle(self.max_idle)),
            }
        }
        while self.buffer.len() < 4 {
            if !self.read_some(socket, READ_STEP).await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(FrameError::Torn)
                };
            }
        }
        let size = self.announced_size()?;
        while self.buffer.len() < 4 + size {
            let missing = 4 + size - self.buffer.len();
            let step = missing.min(READ_STEP.max(self.buffer.len().saturating_mul(GROWTH)));
            self.held
                .cover(&self.budget, self.buffer.len() + step)
                .await;
            if !self.read_some(socket, step).await? {
                return Err(FrameError::Torn);
            }
        }
        let mut frame = self.buffer.split_to(4 + size);
        Ok(Some(frame.split_off(4).freeze()))
    }

    fn announced_size(&self) -> Result<usize, FrameError> {
        let prefix = self.buffer.first_chunk::<4>().copied().unwrap_or_default();
        let announced = i32::from_be_bytes(prefix);
        let refused = FrameError::Size {
            announced,
            max: self.max_size,
        };
        let size = usize::try_from(announced)
            .ok()
            .filter(|size| *size <= self.max_size);
        size.ok_or(refused)
    }

    async fn read_some(
        &mut self,
        socket: &mut ReadHalf<'_>,
        room: usize,
    ) -> Result<bool, FrameError> {
        if self.buffer.capacity() - self.buffer.len() < room {
            self.buffer.reserve(room);
        }
        let patience = if self.held.is_some() {
            self.max_idle.min(STALL)
        } else {
            self.max_idle
        };
        match timeout(patience, socket.read_buf(&mut self.buffer)).await {
            Ok(read) => Ok(read? > 0),
            Err(_) => Err(FrameError::Idle(patience)),
        }
    }
}
