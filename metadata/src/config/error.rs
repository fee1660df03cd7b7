//! Why a config was refused, in upstream's words: people and scripts match on them.
//!
//! Invariant: a secret value never stands in a message.

use protocol::ErrorCode;
use thiserror::Error;

/// A value that does not parse or is out of its limits. What stops the start of a broker.
/// `Display` names key, value and what was expected, also where upstream's words leave one out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.explained())]
pub struct ConfigError {
    pub key: String,
    /// `None` where there is no value at all, or it is a secret.
    pub value: Option<String>,
    /// What would have been right, as a sentence.
    pub expected: String,
    message: String,
}

impl ConfigError {
    /// `Invalid value banana for configuration retention.ms: Not a number of type LONG`.
    pub fn new(key: &str, value: &str, expected: impl Into<String>) -> ConfigError {
        let expected = expected.into();
        let message = format!("Invalid value {value} for configuration {key}: {expected}");
        ConfigError {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            expected,
            message,
        }
    }

    /// A refusal that upstream words as a sentence of its own.
    pub fn sentence(key: &str, value: Option<&str>, sentence: impl Into<String>) -> ConfigError {
        let message = sentence.into();
        let value = value.map(str::to_owned);
        ConfigError {
            key: key.to_owned(),
            value,
            expected: message.clone(),
            message,
        }
    }

    /// Upstream's words.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn explained(&self) -> String {
        let ConfigError {
            key,
            value,
            message,
            ..
        } = self;
        let value = value.as_deref().unwrap_or_default();
        if message.contains(key.as_str()) && message.contains(value) {
            return message.clone();
        }
        format!("{key}={value}: {message}")
    }
}

/// A change of configs that is refused, with the code that goes on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct InvalidConfig {
    pub code: ErrorCode,
    pub message: String,
}

impl InvalidConfig {
    pub(super) fn config(message: impl Into<String>) -> InvalidConfig {
        InvalidConfig {
            code: ErrorCode::InvalidConfig,
            message: message.into(),
        }
    }

    pub(super) fn request(message: impl Into<String>) -> InvalidConfig {
        InvalidConfig {
            code: ErrorCode::InvalidRequest,
            message: message.into(),
        }
    }
}

impl From<ConfigError> for InvalidConfig {
    fn from(error: ConfigError) -> InvalidConfig {
        InvalidConfig::config(error.message)
    }
}
