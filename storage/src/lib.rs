//! Keeps offsets and bytes through a crash: one log directory, its partition logs, and the
//! key-value views of them.
//!
//! Invariants: truth is the segment files; what they cannot tell lies in small checkpoint files
//! with upstream's names; everything in RocksDB can be deleted and is made anew. What was synced
//! survives a power failure, what was acknowledged survives a crash of the process, and damage is
//! reported, never hidden. Calls block; there is no clock in here: time comes in as an argument.
//!
//! ```text
//! LogDir ── identity, lock, checkpoint files
//!   ├─ Log ── segments, producers, leader epochs     (one per partition)
//!   └─ Kv  ── index, producer state, coordinator rows (one RocksDB)
//! Fs     ── the one door to files
//! ```

mod checkpoint;
mod config;
mod dir;
mod error;
mod fs;
mod identity;
mod kv;
mod log;
mod put_back;
mod shared;

pub use checkpoint::MetaProperties;
pub use config::{CleanupPolicy, LogConfig, TargetCompression, TimestampType};
pub use dir::{FoundLog, LogDir, LogDirOptions};
pub use error::{AppendError, Corruption, Error, InvalidRecord, ReadError};
pub use fs::{DirEntry, Fs, FsFile, OpenMode, RealFs};
pub use identity::{format, new_uuid, read_identity};
pub use kv::{CoordinatorView, Kv, ViewBatch};
pub use log::{
    AbortedTransaction, AppendInfo, AppendOrigin, Cleanable, Compacted, FileRange, Log, LogContent,
    LogSlice, Pace, ProducerSummary, SegmentFile, TimestampedOffset, VerificationGuard,
};
pub use put_back::{PutBack, PutBackResult};
