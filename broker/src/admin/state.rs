//! `/v1/reset`, `/v1/snapshot` and `/v1/restore`: back to an earlier state in milliseconds, while
//! clients stay connected.
//!
//! Invariant: each is answered once the state is the other one.

use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{JsonBody, Params};
use super::error::answer;
use super::{Admin, ApiError, TestMode};
use crate::test_controls::{self, ControlError, Counts, Listed};

/// The longest name of a snapshot, in bytes.
const NAME_MAX: usize = 200;

/// Nothing is expected; a field that is not known is a misunderstanding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The name of a snapshot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

pub(super) async fn reset(
    _: TestMode,
    State(admin): State<Admin>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let counts = detached(async move { test_controls::reset(&admin.node).await }).await?;
    Ok(answer(StatusCode::OK, &shown(counts, began)))
}

pub(super) async fn snapshot(
    _: TestMode,
    State(admin): State<Admin>,
    JsonBody(asked): JsonBody<Named>,
) -> Result<Response, ApiError> {
    let name = asked.checked()?;
    let listed = detached(async move { test_controls::keep(&admin.node, &name).await }).await?;
    Ok(answer(StatusCode::OK, &listing(&listed)))
}

pub(super) async fn restore(
    _: TestMode,
    State(admin): State<Admin>,
    JsonBody(asked): JsonBody<Named>,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let name = asked.checked()?;
    let counts = detached(async move { test_controls::restore(&admin.node, &name).await }).await?;
    Ok(answer(StatusCode::OK, &shown(counts, began)))
}

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    let snapshots = admin.node.test_controls.list();
    let listed: Vec<Value> = snapshots.iter().map(listing).collect();
    answer(StatusCode::OK, &json!({"snapshots": listed}))
}

pub(super) async fn delete(
    _: TestMode,
    State(admin): State<Admin>,
    Params(asked): Params<Named>,
) -> Result<Response, ApiError> {
    let name = asked.checked()?;
    admin.node.test_controls.delete(&name)?;
    Ok(answer(StatusCode::OK, &json!({"deleted": name})))
}

/// Goes on to its end although the one who asked may go away: half of it is no state.
pub(super) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, ControlError>> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn shown(counts: Counts, began: Instant) -> Value {
    json!({
        "topics": counts.topics,
        "topics_deleted": counts.topics_deleted,
        "topics_recreated": counts.topics_recreated,
        "partitions_put_back": counts.partitions_put_back,
        "faults_removed": counts.faults_removed,
        "took_ms": began.elapsed().as_secs_f64() * 1000.0,
    })
}

fn listing(listed: &Listed) -> Value {
    json!({"name": listed.name, "topics": listed.topics, "records": listed.records})
}

impl Named {
    fn checked(self) -> Result<String, ApiError> {
        if (1..=NAME_MAX).contains(&self.name.len()) {
            return Ok(self.name);
        }
        Err(ApiError::bad_request(format!(
            "the name of a snapshot has {} bytes; expected 1 to {NAME_MAX}",
            self.name.len()
        )))
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> ApiError {
        let status = match &error {
            ControlError::ClockOutOfRange { .. } => StatusCode::BAD_REQUEST,
            ControlError::UnknownSnapshot { .. } => StatusCode::NOT_FOUND,
            ControlError::TooManySnapshots | ControlError::NamesTaken => StatusCode::CONFLICT,
            ControlError::NotStarted => StatusCode::SERVICE_UNAVAILABLE,
            ControlError::Metadata(_) | ControlError::Storage(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        ApiError::new(status, error.to_string())
    }
}
