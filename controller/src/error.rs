//! What stops a controller, or keeps it from starting.

use protocol::{BatchError, ErrorCode};
use thiserror::Error;

use crate::raft::FileError;
use crate::raft::SnapshotError;

#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error("the metadata log cannot be read: {0}")]
    Read(#[from] storage::ReadError),
    #[error("the metadata log holds a bad batch: {0}")]
    Batch(#[from] BatchError),
    #[error("entry {index} of the metadata log cannot be read: {reason}")]
    Entry { index: u64, reason: String },
    #[error("entry {index} of the metadata log lies at offset {offset}")]
    LogOutOfStep { index: u64, offset: i64 },
    #[error("the metadata log belongs to voter {found}, and this is voter {me}")]
    ForeignLog { found: String, me: String },
    #[error("the metadata log begins at entry {first}, and no snapshot has what was before it")]
    MissingSnapshot { first: u64 },
    #[error(
        "entries {first} to {last} of the metadata log were durable, and are gone: it must not \
         go on without them"
    )]
    LostEntries { first: u64, last: u64 },
    #[error("{0}")]
    File(String),
    #[error("the metadata snapshot cannot be loaded: {0}")]
    Snapshot(String),
    #[error("the consensus has stopped: {0}")]
    Consensus(String),
    #[error("the controller did not become leader within {millis} ms: {state}")]
    NoLeader { millis: u128, state: String },
    #[error("the controller's thread could not be started: {0}")]
    Thread(std::io::Error),
    #[error("the controller has stopped")]
    Stopped,
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Error {
        Error::File(error.to_string())
    }
}

impl From<SnapshotError> for Error {
    fn from(error: SnapshotError) -> Error {
        Error::Snapshot(error.to_string())
    }
}

impl From<&Error> for ErrorCode {
    fn from(error: &Error) -> ErrorCode {
        match error {
            Error::Storage(error) => ErrorCode::from(error),
            Error::Read(_)
            | Error::Batch(_)
            | Error::Entry { .. }
            | Error::LogOutOfStep { .. }
            | Error::ForeignLog { .. }
            | Error::MissingSnapshot { .. }
            | Error::LostEntries { .. }
            | Error::File(_)
            | Error::Snapshot(_) => ErrorCode::KafkaStorageError,
            Error::Consensus(_) | Error::NoLeader { .. } | Error::Thread(_) | Error::Stopped => {
                ErrorCode::NotController
            }
        }
    }
}
