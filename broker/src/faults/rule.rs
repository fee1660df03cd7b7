//! One rule: which requests it is of, how often it fires, and what happens then.
//!
//! Invariant: a rule that was taken can be read back as it was given, its seed too.

use std::sync::Arc;
use std::time::Duration;

use protocol::ErrorCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Action, Asked, PartitionFault, Topics};
use crate::api::APIS;

/// APIs whose answers can carry an error for single partitions, by key: Produce, Fetch,
/// ListOffsets, Metadata, OffsetCommit, OffsetFetch, DeleteRecords, OffsetForLeaderEpoch,
/// AddPartitionsToTxn, WriteTxnMarkers, TxnOffsetCommit, those of share state, and those that
/// describe, alter and delete the offsets of share groups.
const OF_PARTITIONS: [i16; 19] = [
    0, 1, 2, 3, 8, 9, 21, 23, 24, 27, 28, 83, 84, 85, 86, 87, 90, 91, 92,
];
const FETCH: i16 = 1;
/// Errors of a fetch as such; any other belongs to its partitions.
const OF_FETCHES: [ErrorCode; 6] = [
    ErrorCode::FetchSessionIdNotFound,
    ErrorCode::InvalidFetchSessionEpoch,
    ErrorCode::FetchSessionTopicIdError,
    ErrorCode::InvalidRequest,
    ErrorCode::UnsupportedVersion,
    ErrorCode::UnknownServerError,
];

/// A rule as it is posted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    api: Option<NameOrNumber>,
    client_id: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    skip: Option<u64>,
    count: Option<u64>,
    probability: Option<f64>,
    seed: Option<u64>,
    error: Option<NameOrNumber>,
    delay_ms: Option<u32>,
    cut: Option<Cut>,
    #[serde(default)]
    swallow: bool,
    #[serde(default)]
    drop: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a name or a number")]
enum NameOrNumber {
    Number(i16),
    Name(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "cut: expected true, \"before\" or \"after\"")]
enum Cut {
    Flag(bool),
    When(When),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum When {
    Before,
    After,
}

/// A rule whose values make sense.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Posted")]
pub(crate) struct Spec {
    api: Option<i16>,
    client_id: Option<String>,
    topic: Option<Arc<str>>,
    partition: Option<i32>,
    skip: u64,
    count: Option<u64>,
    probability: f64,
    seed: u64,
    delay: Duration,
    action: Option<Action>,
}

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("api: {0:?} is no API of this broker: expected a name like \"Produce\", or its key")]
    Api(String),
    #[error(
        "error: {0:?} is no error of Kafka's: expected a name like \"NOT_LEADER_OR_FOLLOWER\", or \
         its number"
    )]
    Error(String),
    #[error("error: 0 is no error")]
    NoError,
    #[error("partition: a partition needs the topic it is of")]
    PartitionAlone,
    #[error("probability: {0} is not between 0 and 1")]
    Probability(f64),
    #[error("count: a rule that never fires does nothing: expected at least 1")]
    Count,
    #[error(
        "nothing happens: expected one of \"error\", \"cut\", \"swallow\" and \"drop\", or \
         \"delay_ms\" alone or beside them"
    )]
    Nothing,
    #[error("{0} exclude each other: expected one of \"error\", \"cut\", \"swallow\" and \"drop\"")]
    Several(String),
}

impl TryFrom<Posted> for Spec {
    type Error = SpecError;

    fn try_from(posted: Posted) -> Result<Spec, SpecError> {
        let action = action(&posted)?;
        let api = posted.api.as_ref().map(api).transpose()?.flatten();
        if posted.partition.is_some() && posted.topic.is_none() {
            return Err(SpecError::PartitionAlone);
        }
        let probability = posted.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err(SpecError::Probability(probability));
        }
        if posted.count == Some(0) {
            return Err(SpecError::Count);
        }
        if action.is_none() && posted.delay_ms.is_none() {
            return Err(SpecError::Nothing);
        }
        Ok(Spec {
            api,
            client_id: posted.client_id,
            topic: posted.topic.map(Arc::from),
            partition: posted.partition,
            skip: posted.skip.unwrap_or(0),
            count: posted.count,
            probability,
            // What a JSON reader holds exactly.
            seed: posted.seed.unwrap_or_else(|| rand::random::<u32>().into()),
            delay: Duration::from_millis(posted.delay_ms.unwrap_or(0).into()),
            action,
        })
    }
}

fn action(posted: &Posted) -> Result<Option<Action>, SpecError> {
    let error = posted.error.as_ref().map(error_code).transpose()?;
    let cut = match posted.cut {
        None | Some(Cut::Flag(false)) => None,
        Some(Cut::Flag(true) | Cut::When(When::Before)) => Some(Action::Cut),
        Some(Cut::When(When::After)) => Some(Action::CutAfter),
    };
    let all = [
        ("error", error.map(Action::Error)),
        ("cut", cut),
        ("swallow", posted.swallow.then_some(Action::Swallow)),
        ("drop", posted.drop.then_some(Action::Drop)),
    ];
    let asked = all
        .iter()
        .filter_map(|(name, action)| Some((*name, (*action)?)));
    let asked: Vec<(&str, Action)> = asked.collect();
    match asked.as_slice() {
        [] => Ok(None),
        [(_, action)] => Ok(Some(*action)),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(SpecError::Several(names.join(" and ")))
        }
    }
}

/// The key of an API; `*` is any.
fn api(given: &NameOrNumber) -> Result<Option<i16>, SpecError> {
    let found = match given {
        NameOrNumber::Name(name) if name == "*" => return Ok(None),
        NameOrNumber::Name(name) => APIS.iter().find(|api| api.name.eq_ignore_ascii_case(name)),
        NameOrNumber::Number(key) => APIS.iter().find(|api| api.key == *key),
    };
    found.map(|api| Some(api.key)).ok_or_else(|| {
        SpecError::Api(match given {
            NameOrNumber::Name(name) => name.clone(),
            NameOrNumber::Number(key) => key.to_string(),
        })
    })
}

fn error_code(given: &NameOrNumber) -> Result<ErrorCode, SpecError> {
    let wanted = match given {
        NameOrNumber::Number(0) => return Err(SpecError::NoError),
        NameOrNumber::Name(name) if name.eq_ignore_ascii_case("NONE") => {
            return Err(SpecError::NoError);
        }
        NameOrNumber::Number(code) => code.to_string(),
        NameOrNumber::Name(name) => name.clone(),
    };
    let known = (-1..i16::from(u8::MAX)).filter_map(|code| {
        let known = ErrorCode::try_from_code(code)?;
        (!is_unknown(known)).then_some(known)
    });
    let is_wanted = |code: &ErrorCode| match given {
        NameOrNumber::Number(number) => code.code() == *number,
        NameOrNumber::Name(name) => {
            name.eq_ignore_ascii_case(&error_name(*code))
                || name.eq_ignore_ascii_case(&format!("{code:?}"))
        }
    };
    let mut known = known;
    known.find(is_wanted).ok_or(SpecError::Error(wanted))
}

/// Whether the code stands for a number that Kafka has not given out.
fn is_unknown(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unknown(_))
}

/// Kafka's name of an error: `NOT_LEADER_OR_FOLLOWER`.
pub(crate) fn error_name(code: ErrorCode) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// A rule with its counts.
pub(crate) struct Rule {
    id: u64,
    spec: Spec,
    random: StdRng,
    /// Requests that it is of.
    matched: u64,
    /// Requests it happened to.
    hits: u64,
}

impl Rule {
    pub(super) fn new(id: u64, spec: Spec) -> Rule {
        Rule {
            id,
            random: StdRng::seed_from_u64(spec.seed),
            spec,
            matched: 0,
            hits: 0,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits
    }

    pub(super) fn delay(&self) -> Duration {
        self.spec.delay
    }

    pub(super) fn action(&self) -> Option<Action> {
        self.spec.action
    }

    /// Whether it happens to this request; counts it.
    pub(super) fn fires(&mut self, asked: &Asked<'_>) -> bool {
        if !self.is_of(asked) {
            return false;
        }
        self.matched += 1;
        if self.matched <= self.spec.skip || self.is_used_up() {
            return false;
        }
        // Drawn only where it counts, so that what a seed means does not depend on `skip`.
        if self.spec.probability < 1.0 && self.random.random::<f64>() >= self.spec.probability {
            return false;
        }
        self.hits += 1;
        true
    }

    fn is_used_up(&self) -> bool {
        self.spec.count.is_some_and(|count| self.hits >= count)
    }

    fn is_of(&self, asked: &Asked<'_>) -> bool {
        let spec = &self.spec;
        let same_client = match spec.client_id.as_deref() {
            None => true,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(start) => asked.client_id.starts_with(start),
                None => asked.client_id == pattern,
            },
        };
        let same_api = spec.api.is_none_or(|api| api == asked.api);
        let same_topic = match (&spec.topic, asked.topics) {
            (None, _) | (Some(_), Topics::All) => true,
            (Some(_), Topics::None) => false,
            (Some(wanted), Topics::Some(named)) => named.iter().any(|(topic, partition)| {
                let same = spec.partition.is_none() || partition.is_none();
                topic == wanted && (same || *partition == spec.partition)
            }),
        };
        same_api && same_client && same_topic
    }

    /// Whether an error of it is carried by single partitions of an answer.
    pub(super) fn is_of_partitions(&self, api: i16, code: ErrorCode) -> bool {
        match self.spec.topic {
            Some(_) => OF_PARTITIONS.contains(&api),
            None => api == FETCH && !OF_FETCHES.contains(&code),
        }
    }

    pub(super) fn partition_fault(&self, code: ErrorCode) -> PartitionFault {
        PartitionFault {
            topic: self.spec.topic.clone(),
            partition: self.spec.partition,
            code,
        }
    }

    /// As it was posted, with its id and its counts.
    pub(super) fn to_json(&self) -> Value {
        let spec = &self.spec;
        let mut shown = json!({
            "id": self.id,
            "seed": spec.seed,
            "probability": spec.probability,
            "skip": spec.skip,
            "matched": self.matched,
            "hits": self.hits,
            "used_up": self.is_used_up(),
        });
        let api = spec
            .api
            .and_then(|key| APIS.iter().find(|api| api.key == key));
        let (error, cut) = match spec.action {
            Some(Action::Error(code)) => (Some(error_name(code)), None),
            Some(Action::Cut) => (None, Some("before")),
            Some(Action::CutAfter) => (None, Some("after")),
            Some(Action::Swallow | Action::Drop) | None => (None, None),
        };
        let delay_ms = u64::try_from(spec.delay.as_millis()).unwrap_or(u64::MAX);
        let flag = |action| (spec.action == Some(action)).then_some(true);
        let given = [
            ("api", json!(api.map_or("*", |api| api.name))),
            ("client_id", json!(spec.client_id)),
            ("topic", json!(spec.topic.as_deref())),
            ("partition", json!(spec.partition)),
            ("count", json!(spec.count)),
            ("error", json!(error)),
            ("delay_ms", json!((delay_ms > 0).then_some(delay_ms))),
            ("cut", json!(cut)),
            ("swallow", json!(flag(Action::Swallow))),
            ("drop", json!(flag(Action::Drop))),
        ];
        if let Some(fields) = shown.as_object_mut() {
            let given = given.into_iter().filter(|(_, value)| !value.is_null());
            fields.extend(given.map(|(name, value)| (name.to_owned(), value)));
        }
        shown
    }
}
