//! Why a group refuses a request.
//!
//! Invariant: the code is upstream's, and so is the message where upstream gives one.

use protocol::ErrorCode;

/// Why a request is refused, for its client and for whoever reads the client's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
        }
    }
}
