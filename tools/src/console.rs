//! The console producer and the console consumers, and what they need.
//!
//! Invariant: what they print on standard output is data; the rest goes to standard error.

pub(crate) mod consumer;
mod log;
pub(crate) mod producer;
mod properties;
pub(crate) mod share_consumer;
mod signals;
mod topics;
