//! The two bare loops that no broker can beat: receive and write a file, and sendfile a file.
//!
//! They speak just enough for the same generator to drive them.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Result, ensure};

/// The answer to any frame: an empty Produce answer of version 8.
const EMPTY_ANSWER: [u8; 16] = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const FRAME_SIZE_MAX: usize = 64 << 20;

/// Receives frames, writes each to the file with one write, and answers. No check, no index.
pub(crate) fn sink(address: SocketAddr, file: &Path) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    let mut file = File::create(file)?;
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            let length = u32::from_be_bytes(length) as usize;
            ensure!(length <= FRAME_SIZE_MAX, "a frame of {length} bytes");
            if buffer.len() < length {
                buffer.resize(length, 0);
            }
            let frame = &mut buffer[..length];
            stream.read_exact(frame)?;
            file.write_all(frame)?;
            stream.write_all(&EMPTY_ANSWER)?;
        }
    }
}

/// Sends the whole file to whoever connects.
pub(crate) fn source(address: SocketAddr, file: &Path) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    let file = File::open(file)?;
    let size = file.metadata()?.len();
    loop {
        let (stream, _) = listener.accept()?;
        let mut position = 0;
        while position < size {
            let count = usize::try_from(size - position)?;
            if rustix::fs::sendfile(&stream, &file, Some(&mut position), count)? == 0 {
                break;
            }
        }
    }
}
