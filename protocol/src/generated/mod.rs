//! What `scripts/schemas` writes from the specs in the kafka-clients jar.
//!
//! Invariant: nothing in this folder but this file is written by hand.

pub(crate) mod requests;
