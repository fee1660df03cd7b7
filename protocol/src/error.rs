//! What can be wrong with a frame.
//!
//! Invariant: a `ProtocolError` means that the bytes cannot be a request; upstream closes the
//! connection then.

use crate::error_code::ErrorCode;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("the request header is cut off")]
    HeaderCutOff,
    #[error("there is no API with key {0}")]
    UnknownApiKey(i16),
    #[error("API {api_key} has no version {api_version}")]
    UnsupportedVersion { api_key: i16, api_version: i16 },
    #[error("the message has no version {0}")]
    NoSuchVersion(i16),
    #[error("{field} is cut off")]
    CutOff { field: &'static str },
    #[error("{field} claims {count} elements, there are {left} bytes")]
    Count {
        field: &'static str,
        count: u32,
        left: usize,
    },
    #[error("{field} claims {length} bytes, there are {left}")]
    Length {
        field: &'static str,
        length: u32,
        left: usize,
    },
    #[error("{field} has a negative length")]
    NegativeLength { field: &'static str },
    #[error("{field} is null")]
    Null { field: &'static str },
    #[error("{field} is a text of {length} bytes")]
    TextTooLong { field: &'static str, length: u32 },
    #[error("{field} is not UTF-8")]
    NotUtf8 { field: &'static str },
    #[error("a number in {field} takes too many bytes")]
    NumberTooLong { field: &'static str },
    #[error("{field} would take more memory than {max} bytes")]
    TooLarge { field: &'static str, max: usize },
    #[error("{field} is a tag of another version")]
    TagNotInVersion { field: &'static str },
    #[error("the message cannot be decoded: {0}")]
    Undecodable(String),
    #[error("the message cannot be encoded: {0}")]
    Unencodable(String),
}

impl From<&ProtocolError> for ErrorCode {
    fn from(error: &ProtocolError) -> Self {
        match error {
            ProtocolError::UnsupportedVersion { .. } | ProtocolError::NoSuchVersion(_) => {
                ErrorCode::UnsupportedVersion
            }
            ProtocolError::HeaderCutOff
            | ProtocolError::UnknownApiKey(_)
            | ProtocolError::CutOff { .. }
            | ProtocolError::Count { .. }
            | ProtocolError::Length { .. }
            | ProtocolError::NegativeLength { .. }
            | ProtocolError::Null { .. }
            | ProtocolError::TextTooLong { .. }
            | ProtocolError::NotUtf8 { .. }
            | ProtocolError::NumberTooLong { .. }
            | ProtocolError::TooLarge { .. }
            | ProtocolError::TagNotInVersion { .. }
            | ProtocolError::Undecodable(_) => ErrorCode::InvalidRequest,
            // Only a bug of ours asks for what its version cannot say.
            ProtocolError::Unencodable(_) => ErrorCode::UnknownServerError,
        }
    }
}

impl From<ProtocolError> for ErrorCode {
    fn from(error: ProtocolError) -> Self {
        ErrorCode::from(&error)
    }
}
