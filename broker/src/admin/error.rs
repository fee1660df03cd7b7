//! The one shape of an error: `{"error": "what was wrong and what was expected", ...}`.
//!
//! Invariant: `error` is a sentence for a person; what a program may want has fields of its own.

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// An answer that says what went wrong.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    fields: Map<String, Value>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, sentence: impl Into<String>) -> ApiError {
        let mut fields = Map::new();
        fields.insert("error".to_owned(), Value::String(sentence.into()));
        ApiError { status, fields }
    }

    pub(crate) fn bad_request(sentence: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, sentence)
    }

    pub(crate) fn forbidden(sentence: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, sentence)
    }

    pub(crate) fn not_found(sentence: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, sentence)
    }

    pub(crate) fn unavailable(sentence: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }

    pub(super) fn method_not_allowed(method: &Method, path: &str) -> ApiError {
        let sentence = format!("{method} is not what {path} takes; the header Allow says what is");
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, sentence)
    }

    /// Adds a field beside the sentence.
    pub(crate) fn with(mut self, name: &str, value: Value) -> ApiError {
        self.fields.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        answer(self.status, &Value::Object(self.fields))
    }
}

/// A JSON answer, a line of its own.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, format!("{body}\n")).into_response()
}
