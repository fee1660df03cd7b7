//! A coordinator partition between two shards.
//!
//! Invariant: who asks while it is held waits, and is answered by the next shard.

use coordinator::Shard;

use super::runtime::Mailbox;

/// A partition whose shard has ended and whose requests wait.
pub(crate) struct HeldShard<S: Shard> {
    pub(crate) partition: i32,
    pub(super) mailbox: Mailbox<S>,
}
