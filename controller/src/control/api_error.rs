//! An error code with the message that upstream sends beside it.

use protocol::error_code::error_message;
use protocol::{ErrorCode, StrBytes};

/// Why one item of a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: Option<String>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError {
            code,
            message: Some(message.into()),
        }
    }

    /// The code alone. Upstream drops the message of an exception that says nothing of its own.
    pub fn bare(code: ErrorCode) -> ApiError {
        ApiError {
            code,
            message: None,
        }
    }

    /// The code with the sentence that Kafka has for it.
    pub fn generic(code: ErrorCode) -> ApiError {
        ApiError {
            code,
            message: generic_message(code).map(str::to_owned),
        }
    }

    pub(crate) fn wire_message(&self) -> Option<StrBytes> {
        self.message.clone().map(error_message)
    }
}

/// `0` and no message for success.
pub(crate) fn wire(result: &Result<(), ApiError>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (protocol::error_code::NONE, None),
        Err(error) => (error.code.code(), error.wire_message()),
    }
}

/// Kafka's own sentences, for the codes that are sent with them.
fn generic_message(code: ErrorCode) -> Option<&'static str> {
    // The codes are kafka-protocol's; those without a row here are never sent generically.
    #[allow(clippy::wildcard_enum_match_arm)]
    Some(match code {
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::ElectionNotNeeded => "Leader election not needed for topic partition.",
        ErrorCode::PreferredLeaderNotAvailable => "The preferred leader was not available.",
        ErrorCode::EligibleLeadersNotAvailable => {
            "Eligible topic partition leaders are not available."
        }
        ErrorCode::TopicDeletionDisabled => "Topic deletion is disabled.",
        _ => return None,
    })
}
