//! The group coordinator as a state machine: says what a group answers, and what to write first.
//!
//! Invariant: no clock, no socket, no disk, no randomness that was not given.

pub mod group;
mod java;
mod shard;

pub use java::partition_for;
pub use shard::{
    AppendToken, Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard,
    TransactionResult,
};
