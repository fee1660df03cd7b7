//! The records inside a batch: built for what we write, checked for what clients send, read one by
//! one where somebody needs them.
//!
//! Invariant: no length or count in the records sizes an allocation before its bytes are there.

mod builder;
pub mod control;
mod iterator;
mod walk;

use bytes::Bytes;

pub use builder::BatchBuilder;
pub use iterator::{MAX_DECOMPRESSED, Records};
pub use walk::{RecordFields, walk};

use crate::ids::{Offset, Timestamp};

/// One record, read out of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub sequence: Option<i32>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// A header of a record. Keys may repeat, their order counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: Bytes,
    pub value: Option<Bytes>,
}
