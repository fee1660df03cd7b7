//! Share groups (KIP-932): whose records are handed out one by one, and who fetches them.
//!
//! Invariant: pure; what a share partition must remember beyond this process, it gives out as a
//! write of its state and rests nothing on before the write is answered.

pub mod partition;
mod range;
pub mod session;

pub use range::OffsetRange;
