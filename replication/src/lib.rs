//! Says what a leader or follower may acknowledge, keep or cut.
//!
//! Decisions only: no files, no sockets, no clock. The broker's `replica::Partition` owns one of
//! these state machines beside its `storage::Log` and does the I/O around it.

mod leader;
mod watermark;

pub use leader::{Leader, LeaderChange};
pub use watermark::{Reached, Ticket, Waiter, Watermark};
