//! `/v1/faults`: rules that make requests fail.
//!
//! Invariant: a rule is only ever added in test mode; reading and removing is always allowed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::body::JsonBody;
use super::error::answer;
use super::{Admin, ApiError, TestMode};
use crate::faults::Spec;

/// One rule, or several at once.
pub(super) enum Posted {
    One(Box<Spec>),
    Many(Vec<Spec>),
}

/// By hand, so that what is wrong with a rule is told and not only that none fits.
impl<'de> Deserialize<'de> for Posted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let posted = if value.is_array() {
            serde_json::from_value(value).map(Posted::Many)
        } else {
            serde_json::from_value(value).map(|spec| Posted::One(Box::new(spec)))
        };
        posted.map_err(serde::de::Error::custom)
    }
}

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    answer(StatusCode::OK, &json!({"faults": admin.node.faults.list()}))
}

pub(super) async fn add(
    _: TestMode,
    State(admin): State<Admin>,
    JsonBody(posted): JsonBody<Posted>,
) -> Result<Response, ApiError> {
    let (specs, is_one) = match posted {
        Posted::One(spec) => (vec![*spec], true),
        Posted::Many(specs) => (specs, false),
    };
    let added = admin.node.faults.add(specs).ok_or_else(|| {
        ApiError::bad_request("too many rules: remove some with DELETE /v1/faults")
    })?;
    let body = match added.as_slice() {
        [rule] if is_one => rule.clone(),
        rules => json!({"faults": rules}),
    };
    Ok(answer(StatusCode::CREATED, &body))
}

pub(super) async fn remove_all(State(admin): State<Admin>) -> Response {
    let removed = admin.node.faults.remove(None);
    answer(StatusCode::OK, &json!({"removed": removed}))
}

pub(super) async fn one(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let found = number(&id).and_then(|id| admin.node.faults.get(id));
    let rule = found.ok_or_else(|| none(&id))?;
    Ok(answer(StatusCode::OK, &rule))
}

pub(super) async fn remove_one(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let removed = number(&id).map(|id| admin.node.faults.remove(Some(id)));
    let removed = removed.filter(|removed| !removed.is_empty());
    let removed = removed.ok_or_else(|| none(&id))?;
    Ok(answer(StatusCode::OK, &json!({"removed": removed})))
}

fn number(id: &str) -> Option<u64> {
    id.parse().ok()
}

fn none(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no rule {id}: GET /v1/faults lists them"))
}
