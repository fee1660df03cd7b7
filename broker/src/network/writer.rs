//! Writes an answer: small pieces gathered into one call, file ranges by sendfile.
//!
//! Invariant: record bytes on their way from a segment to a socket are not copied through this
//! process; a range that comes short ends the connection, for what follows would be misread.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use rustix::net::SendFlags;
use storage::FileRange;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A piece of an answer.
pub(crate) enum Chunk {
    Bytes(Bytes),
    File(FileRange),
}

impl Chunk {
    pub(super) fn size(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(range) => range.len,
        }
    }
}

/// Pieces given to the kernel in one call.
const GATHER: usize = 64;

/// Writes all of `chunks`, in order.
pub(crate) async fn write_all(socket: &TcpStream, chunks: Vec<Chunk>) -> io::Result<()> {
    let mut gathered: Vec<Bytes> = Vec::new();
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => {
                gathered.push(bytes);
                if gathered.len() == GATHER {
                    write_gathered(socket, &mut gathered, false).await?;
                }
            }
            Chunk::File(range) => {
                write_gathered(socket, &mut gathered, true).await?;
                send_file(socket, &range).await?;
            }
        }
    }
    write_gathered(socket, &mut gathered, false).await
}

/// `more` tells the kernel that a file range follows, so that both can share a packet.
async fn write_gathered(
    socket: &TcpStream,
    gathered: &mut Vec<Bytes>,
    more: bool,
) -> io::Result<()> {
    let flags = if more {
        SendFlags::MORE
    } else {
        SendFlags::empty()
    } | SendFlags::NOSIGNAL;
    while !gathered.is_empty() {
        let written = socket
            .async_io(Interest::WRITABLE, || {
                let slices = gathered
                    .iter()
                    .map(|bytes| IoSlice::new(bytes))
                    .collect::<Vec<_>>();
                let mut no_control = rustix::net::SendAncillaryBuffer::default();
                Ok(rustix::net::sendmsg(
                    socket,
                    &slices,
                    &mut no_control,
                    flags,
                )?)
            })
            .await?;
        drop_written(gathered, written);
    }
    Ok(())
}

fn drop_written(gathered: &mut Vec<Bytes>, mut written: usize) {
    let mut whole = 0;
    for bytes in gathered.iter_mut() {
        if written < bytes.len() {
            bytes.advance(written);
            break;
        }
        written -= bytes.len();
        whole += 1;
    }
    gathered.drain(..whole);
}

async fn send_file(socket: &TcpStream, range: &FileRange) -> io::Result<()> {
    let mut position = range.position;
    let end = range.position + range.len as u64;
    while position < end {
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        let sent = socket
            .async_io(Interest::WRITABLE, || {
                let mut at = position;
                let sent = range
                    .file
                    .with_fd(|file| rustix::fs::sendfile(socket, file, Some(&mut at), left))
                    .map_err(io::Error::other)?;
                Ok(sent?)
            })
            .await?;
        if sent == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the segment ends {left} bytes before the range that was promised"),
            ));
        }
        position += sent as u64;
    }
    Ok(())
}
