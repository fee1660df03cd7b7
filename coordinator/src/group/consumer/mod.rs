//! Consumer groups (KIP-848): the coordinator assigns, members follow by heartbeat.
//!
//! Invariant: a heartbeat decides from the group as it is and writes what changes; the group
//! changes when the records are replayed, so a heartbeat whose records were not written did nothing.

pub(crate) mod group;
pub(crate) mod member;
pub(crate) mod record;
