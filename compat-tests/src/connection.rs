//! One TCP connection: frames out, frames in, every wait bounded. What happens is an
//! [`Observation`], never an error: a broker that closes or stays silent has answered too.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// An answer above this is a fault, not data.
const FRAME_SIZE_MAX: usize = 64 << 20;

const SILENCE: [ErrorKind; 2] = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
const CLOSED: [ErrorKind; 4] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];

#[derive(Debug)]
pub(crate) enum Observation {
    Frame(Vec<u8>),
    Closed,
    Silence,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream })
    }

    /// Whether all bytes went out; a peer that has closed makes it false.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) -> Result<bool> {
        let mut bytes = u32::try_from(frame.len())?.to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        Ok(self.send_bytes(&bytes))
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn close_our_half(&mut self) {
        // A peer that has closed already makes this fail, which the next read shows.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn receive(&mut self, deadline: Duration) -> Result<Observation> {
        self.stream.set_read_timeout(Some(deadline))?;
        let mut length = [0; 4];
        if let Some(end) = self.fill(&mut length)? {
            return Ok(end);
        }
        let length = usize::try_from(i32::from_be_bytes(length)).context("a negative length")?;
        anyhow::ensure!(length <= FRAME_SIZE_MAX, "an answer of {length} bytes");
        let mut frame = vec![0; length];
        match self.fill(&mut frame)? {
            Some(end) => Ok(end),
            None => Ok(Observation::Frame(frame)),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<Option<Observation>> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Ok(None),
            Err(error) if SILENCE.contains(&error.kind()) => Ok(Some(Observation::Silence)),
            Err(error) if CLOSED.contains(&error.kind()) => Ok(Some(Observation::Closed)),
            Err(error) => Err(error.into()),
        }
    }
}
