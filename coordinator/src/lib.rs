//! The group and transaction coordinators as state machines: say what a group or a transaction
//! answers, and what to write first.
//!
//! Invariant: no clock, no socket, no disk, no randomness that was not given.

pub mod group;
mod java;
mod shard;
pub mod share;
pub mod share_state;
pub mod transaction;
mod wire;

pub use java::partition_for;
pub use shard::{
    AppendToken, Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard,
    TransactionResult, TransactionalAppend,
};
