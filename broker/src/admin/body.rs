//! What handlers take: a JSON body, a query.
//!
//! Invariant: what does not fit is refused with the field, the place and what was expected, and
//! never read beyond [`BODY_MAX`], nor waited for longer than [`BODY_TIMEOUT`].

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::ApiError;

/// The largest body; all that is sent here is small.
pub(super) const BODY_MAX: usize = 1024 * 1024;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of JSON, whatever its content type says.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = Bytes::from_request(request, state);
        let read = tokio::time::timeout(BODY_TIMEOUT, read).await;
        let bytes = read.map_err(|_| late())?.map_err(unread)?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(JsonBody)
            .map_err(|error| ApiError::bad_request(format!("the body is not as expected: {error}")))
    }
}

fn late() -> ApiError {
    ApiError::bad_request(format!(
        "the body did not come within {} s: expected as many bytes as Content-Length says",
        BODY_TIMEOUT.as_secs()
    ))
}

fn unread(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let sentence = format!("the body is too large: at most {BODY_MAX} bytes are read");
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence);
    }
    ApiError::bad_request(format!(
        "the body could not be read: {}",
        rejection.body_text()
    ))
}

/// The query of the URL.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(params)| Params(params)).map_err(|error| {
            ApiError::bad_request(format!(
                "the query is not as expected: {}",
                error.body_text()
            ))
        })
    }
}
