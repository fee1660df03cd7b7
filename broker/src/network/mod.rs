//! Sockets: accepts connections, reads frames, writes answers.
//!
//! Invariant: memory held for a connection is bounded by the bytes it sent, not by those it
//! announced, and that of all connections by one budget.

mod budget;
mod connection;
mod frames;
mod limits;
mod listener;
mod resources;
mod writer;

pub(crate) use connection::{Peer, Software};
pub(crate) use limits::Limits;
pub(crate) use listener::{Listener, bind};
pub(crate) use resources::Resources;
pub(crate) use writer::Chunk;
