//! `/v1/clock`: shows, moves and stops the service clock.
//!
//! Invariant: when a change is answered, all that was due at the new time has been done.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use protocol::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::JsonBody;
use super::error::answer;
use super::state::detached;
use super::{Admin, ApiError, TestMode};
use crate::clock::{Change, Reading};
use crate::test_controls::change_clock;

const EXPECTED: &str = "expected one or more of {\"advance_ms\": 60000}, \
    {\"set\": \"2030-01-01T00:00:00Z\"} (or milliseconds since 1970), {\"freeze\": true}, \
    {\"resume\": true} and {\"reset\": true}";

/// What may be asked, together too: they are done in the order in which they stand here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Back to the system's clock.
    #[serde(default)]
    reset: bool,
    set: Option<Value>,
    advance_ms: Option<i64>,
    /// False is as good as `resume`.
    freeze: Option<bool>,
    #[serde(default)]
    resume: bool,
}

pub(super) async fn show(State(admin): State<Admin>) -> Response {
    answer(StatusCode::OK, &shown(admin.node.clock.read()))
}

pub(super) async fn change(
    _: TestMode,
    State(admin): State<Admin>,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Response, ApiError> {
    let changes = asked.changes()?;
    let changed = async move { change_clock(&admin.node, &changes).await };
    Ok(answer(StatusCode::OK, &shown(detached(changed).await?)))
}

fn shown(reading: Reading) -> Value {
    json!({
        "now": rfc3339(reading.now),
        "now_ms": reading.now.0,
        "system_ms": reading.system.0,
        "offset_ms": reading.now.0.saturating_sub(reading.system.0),
        "frozen": reading.frozen,
    })
}

fn rfc3339(at: Timestamp) -> Value {
    let time = DateTime::<Utc>::from_timestamp_millis(at.0);
    time.map_or(Value::Null, |time| {
        Value::String(time.to_rfc3339_opts(SecondsFormat::Millis, true))
    })
}

impl Asked {
    fn changes(&self) -> Result<Vec<Change>, ApiError> {
        let mut changes = Vec::new();
        if self.reset {
            changes.push(Change::Reset);
        }
        if let Some(set) = &self.set {
            changes.push(Change::Set(time_of(set)?));
        }
        if let Some(by) = self.advance_ms {
            changes.push(Change::Advance(by));
        }
        if self.resume && self.freeze == Some(true) {
            return Err(ApiError::bad_request(
                "the clock cannot freeze and resume at once: leave one of the two out",
            ));
        }
        if self.resume || self.freeze == Some(false) {
            changes.push(Change::Resume);
        } else if self.freeze == Some(true) {
            changes.push(Change::Freeze);
        }
        if changes.is_empty() {
            let sentence = format!("the body asks for no change of the clock: {EXPECTED}");
            return Err(ApiError::bad_request(sentence));
        }
        Ok(changes)
    }
}

fn time_of(value: &Value) -> Result<Timestamp, ApiError> {
    let millis = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let time = DateTime::parse_from_rfc3339(text).ok()?;
            Some(time.timestamp_millis())
        }),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    millis.map(Timestamp).ok_or_else(|| {
        ApiError::bad_request(format!(
            "set: {value} is no time: expected milliseconds since 1970, or RFC 3339 as in \
             \"2030-01-01T00:00:00Z\""
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(body: &str) -> Option<Vec<Change>> {
        let asked: Asked = serde_json::from_str(body).ok()?;
        asked.changes().ok()
    }

    #[test]
    fn times_are_read_as_numbers_and_as_rfc_3339() {
        let second = Some(vec![Change::Set(Timestamp(1_000))]);
        assert_eq!(changes(r#"{"set": 1000}"#), second);
        assert_eq!(changes(r#"{"set": "1000"}"#), second);
        assert_eq!(changes(r#"{"set": "1970-01-01T00:00:01Z"}"#), second);
        assert_eq!(
            changes(r#"{"set": "1970-01-01T01:00:01.000+01:00"}"#),
            second
        );
        assert_eq!(rfc3339(Timestamp(1_000)), "1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn what_is_asked_together_is_done_in_order() {
        let all = changes(r#"{"freeze": true, "advance_ms": -5, "set": 7, "reset": true}"#);
        let expected = [
            Change::Reset,
            Change::Set(Timestamp(7)),
            Change::Advance(-5),
            Change::Freeze,
        ];
        assert_eq!(all, Some(expected.to_vec()));
        assert_eq!(changes(r#"{"freeze": false}"#), Some(vec![Change::Resume]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for body in [
            "{}",
            r#"{"set": "tomorrow"}"#,
            r#"{"set": null, "advance": 5}"#,
            r#"{"advance_ms": "5"}"#,
            r#"{"freeze": true, "resume": true}"#,
            r#"{"reset": false}"#,
        ] {
            assert_eq!(changes(body), None, "{body}");
        }
    }
}
