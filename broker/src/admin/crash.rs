//! `/v1/crash`: the step of its work with files at which the process is killed.
//!
//! Invariant: a step is only ever set in test mode; there is one at most.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::body::JsonBody;
use super::error::answer;
use super::{Admin, TestMode};
use crate::crash_points::CrashPoint;

pub(super) async fn show(State(admin): State<Admin>) -> Response {
    answer(StatusCode::OK, &shown(admin.node.crash_points.get()))
}

pub(super) async fn set(
    _: TestMode,
    State(admin): State<Admin>,
    JsonBody(point): JsonBody<CrashPoint>,
) -> Response {
    let set = shown(Some(point.clone()));
    admin.node.crash_points.set(Some(point));
    answer(StatusCode::CREATED, &set)
}

pub(super) async fn remove(State(admin): State<Admin>) -> Response {
    answer(StatusCode::OK, &shown(admin.node.crash_points.set(None)))
}

fn shown(point: Option<CrashPoint>) -> Value {
    json!({"crash": point.map(|point| point.shown())})
}
