//! The console producer and the console consumer, and what both need.
//!
//! Invariant: what they print on standard output is data; the rest goes to standard error.

pub(crate) mod consumer;
mod log;
pub(crate) mod producer;
mod properties;
mod signals;
mod topics;
