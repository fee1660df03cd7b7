//! `GET /v1/wait`: answers once a topic has records, a group is stable or has no lag, or a
//! transaction is settled.
//!
//! Invariant: what was seen last is told, whether it was enough or time was up.

mod group;
mod topic;
mod transaction;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::body::Params;
use super::error::answer;
use super::{Admin, ApiError};

/// How long is waited where nothing is said.
const TIMEOUT_MS: u64 = 30_000;
const TIMEOUT_MAX_MS: u64 = 600_000;

/// The query, all fields of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    topic: Option<String>,
    records: Option<u64>,
    partition: Option<i32>,
    group: Option<String>,
    state: Option<String>,
    members: Option<usize>,
    lag: Option<u64>,
    transaction: Option<String>,
    timeout_ms: Option<u64>,
}

impl Query {
    fn is_of_topic_or_group(&self) -> bool {
        self.topic.is_some()
            || self.records.is_some()
            || self.partition.is_some()
            || self.group.is_some()
            || self.state.is_some()
            || self.members.is_some()
            || self.lag.is_some()
    }
}

/// What is waited for.
enum Awaited {
    Records(topic::Records),
    State(group::State),
    Lag(group::Lag),
    Settled(transaction::Settled),
}

/// What was seen, and whether it is what is waited for.
struct Seen {
    enough: bool,
    fields: Value,
}

const EXPECTED: &str = "expected topic=T&records=N[&partition=P], group=G&state=S[&members=N], \
                        group=G&lag=N[&topic=T], or transaction=X, each with &timeout_ms=N where 30 seconds are not \
                        what you want";

pub(super) async fn wait(
    State(admin): State<Admin>,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    let timeout_ms = query.timeout_ms.unwrap_or(TIMEOUT_MS);
    if timeout_ms > TIMEOUT_MAX_MS {
        return Err(ApiError::bad_request(format!(
            "timeout_ms={timeout_ms}: expected at most {TIMEOUT_MAX_MS}"
        )));
    }
    let mut awaited = awaited(query)?;
    let started = Instant::now();
    let deadline = started + Duration::from_millis(timeout_ms);
    loop {
        let seen = awaited.look(&admin).await;
        let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let timed_out = Instant::now() >= deadline;
        if seen.enough || timed_out {
            return Ok(shown(seen, waited_ms));
        }
        tokio::select! {
            () = admin.stop.cancelled() => {
                return Err(ApiError::unavailable("the broker is stopping"));
            }
            () = awaited.news(started, deadline) => {}
        }
    }
}

fn shown(mut seen: Seen, waited_ms: u64) -> Response {
    if let Some(fields) = seen.fields.as_object_mut() {
        fields.insert("waited_ms".to_owned(), json!(waited_ms));
    }
    if seen.enough {
        return answer(StatusCode::OK, &seen.fields);
    }
    let sentence = format!("not within {waited_ms} ms; what was seen last stands beside this");
    let error = ApiError::new(StatusCode::REQUEST_TIMEOUT, sentence);
    error.with("seen", seen.fields).into_response()
}

fn awaited(query: Query) -> Result<Awaited, ApiError> {
    let misfit = |what: &str| ApiError::bad_request(format!("{what}; {EXPECTED}"));
    if let Some(transactional_id) = &query.transaction {
        if query.is_of_topic_or_group() {
            return Err(misfit("a transaction is waited for alone"));
        }
        let settled = transaction::Settled::new(transactional_id);
        return Ok(Awaited::Settled(settled));
    }
    match (query.topic, query.group) {
        (Some(topic), None) => {
            if query.state.is_some() || query.members.is_some() || query.lag.is_some() {
                return Err(misfit("state, members and lag are of a group"));
            }
            let records = query
                .records
                .ok_or_else(|| misfit("a topic is waited for with records"))?;
            let awaited = topic::Records::new(topic, query.partition, records);
            Ok(Awaited::Records(awaited))
        }
        (topic, Some(group)) => {
            if query.records.is_some() || query.partition.is_some() {
                return Err(misfit("records and partition are of a topic alone"));
            }
            match (query.state, query.lag) {
                (Some(state), None) if topic.is_none() => {
                    let state = group::State::new(group, &state, query.members);
                    Ok(Awaited::State(state.map_err(|what| misfit(&what))?))
                }
                (None, None) if topic.is_none() && query.members.is_some() => {
                    let state = group::State::new(group, "stable", query.members);
                    Ok(Awaited::State(state.map_err(|what| misfit(&what))?))
                }
                (None, Some(lag)) if query.members.is_none() => {
                    Ok(Awaited::Lag(group::Lag::new(group, topic, lag)))
                }
                _ => Err(misfit("a group is waited for with either state or lag")),
            }
        }
        (None, None) => Err(misfit("nothing is waited for")),
    }
}

impl Awaited {
    async fn look(&mut self, admin: &Admin) -> Seen {
        match self {
            Awaited::Records(records) => records.look(admin),
            Awaited::State(state) => state.look(admin).await,
            Awaited::Lag(lag) => lag.look(admin).await,
            Awaited::Settled(settled) => settled.look(admin).await,
        }
    }

    /// Completes when it is worth looking again, or at the deadline.
    async fn news(&self, started: Instant, deadline: Instant) {
        match self {
            Awaited::Records(records) => records.news(deadline).await,
            // Coordinators tell nobody of their changes: they are asked now and then.
            Awaited::State(_) | Awaited::Lag(_) | Awaited::Settled(_) => {
                let again = Instant::now() + group::ask_again(started.elapsed());
                tokio::time::sleep_until(deadline.min(again)).await;
            }
        }
    }
}
