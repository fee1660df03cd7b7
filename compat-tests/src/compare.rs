//! Two answers, field by field. A difference is listed (`differences.json` names the case, the
//! field, both values, and the sentence that wants it), a matter of wording (the text of an error
//! message or of documentation, counted but not failed), or open. UNKNOWN_SERVER_ERROR of ours is open even where
//! upstream answers it too.

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::path::matches;

const UNKNOWN_SERVER_ERROR: i64 = -1;
const DIFFERENCES: &str = include_str!("../differences.json");

#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    pub place: String,
    pub upstream: Value,
    pub ours: Value,
    pub standing: Standing,
    /// The place on the list of what is listed.
    #[serde(skip)]
    pub row: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Open,
    Listed,
    Wording,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `API case`, with `*` for anything.
    case: String,
    place: String,
    /// Both are compared when they are given, null too.
    #[serde(default, deserialize_with = "given")]
    upstream: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    ours: Option<Value>,
    /// Values that ours must not have.
    #[serde(default)]
    not_ours: Vec<Value>,
    /// The sentence that wants the difference.
    why: String,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Which differences are right.
pub struct Listed {
    entries: Vec<Entry>,
    /// Whether an UNKNOWN_SERVER_ERROR that upstream has too is one of its own.
    upstream: bool,
}

impl Listed {
    pub fn load() -> Result<Self> {
        let entries = serde_json::from_str(DIFFERENCES).context("differences.json")?;
        Ok(Self::new(entries, false))
    }

    /// None at all: the broker compared is upstream itself.
    pub fn upstream() -> Self {
        Self::new(Vec::new(), true)
    }

    fn new(entries: Vec<Entry>, upstream: bool) -> Self {
        Self { entries, upstream }
    }

    /// Case, place and reason of each entry, in the list's order.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let entries = self.entries.iter();
        entries.map(|entry| {
            (
                entry.case.as_str(),
                entry.place.as_str(),
                entry.why.as_str(),
            )
        })
    }

    /// The entry that allows this difference.
    fn covers(&self, case: &str, place: &str, upstream: &Value, ours: &Value) -> Option<usize> {
        self.entries.iter().position(|entry| {
            matches(&entry.case, case)
                && matches(&entry.place, place)
                && entry
                    .upstream
                    .as_ref()
                    .is_none_or(|wanted| wanted == upstream)
                && entry.ours.as_ref().is_none_or(|wanted| wanted == ours)
                && !entry.not_ours.contains(ours)
        })
    }
}

/// All differences between two answers to the case (`API case`).
pub fn compare(case: &str, upstream: &Value, ours: &Value, listed: &Listed) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", upstream, ours, &mut found);
    found.retain(|found| !listed.upstream || found.upstream != found.ours);
    for difference in &mut found {
        let Difference {
            place,
            upstream,
            ours,
            ..
        } = &*difference;
        difference.row = listed.covers(case, place, upstream, ours);
        if difference.row.is_some() {
            difference.standing = Standing::Listed;
        }
    }
    found
}

fn walk(place: &str, upstream: &Value, ours: &Value, found: &mut Vec<Difference>) {
    match (upstream, ours) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                let inner = format!("{place}.{name}");
                walk(
                    &inner,
                    value,
                    right.get(name).unwrap_or(&Value::Null),
                    found,
                );
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                note(&format!("{place}.{name}"), &Value::Null, value, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                walk(&format!("{place}[{index}]"), left, right, found);
            }
        }
        _ if upstream == ours => {
            // Only our own bugs may end so, even where upstream's do.
            if *ours == UNKNOWN_SERVER_ERROR && place.ends_with("ErrorCode") {
                note(place, upstream, ours, found);
            }
        }
        _ => note(place, upstream, ours, found),
    }
}

fn note(place: &str, upstream: &Value, ours: &Value, found: &mut Vec<Difference>) {
    let texts = upstream.is_string() && ours.is_string();
    let wording = texts && (place.ends_with("ErrorMessage") || place.ends_with("Documentation"));
    found.push(Difference {
        place: place.to_owned(),
        upstream: upstream.clone(),
        ours: ours.clone(),
        standing: if wording {
            Standing::Wording
        } else {
            Standing::Open
        },
        row: None,
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_strict_and_wording_is_not() {
        let listed = Listed::new(Vec::new(), false);
        let upstream = json!([{ "ErrorCode": 3, "ErrorMessage": "Gone." }]);
        let ours = json!([{ "ErrorCode": 0, "ErrorMessage": "gone" }]);
        let found = compare("Metadata x v0", &upstream, &ours, &listed);
        let standings: Vec<Standing> = found.iter().map(|found| found.standing).collect();
        assert_eq!(standings, [Standing::Open, Standing::Wording]);
        let silent = json!([{ "ErrorCode": 3, "ErrorMessage": null }]);
        let found = compare("Metadata x v0", &upstream, &silent, &listed);
        assert_eq!(found[0].standing, Standing::Open);
    }

    #[test]
    fn an_unknown_server_error_is_open_even_where_upstream_has_it() {
        let listed = Listed::new(Vec::new(), false);
        let answer = json!([{ "ErrorCode": -1 }]);
        assert_eq!(compare("Fetch x v4", &answer, &answer, &listed).len(), 1);
    }

    #[test]
    fn a_listed_difference_stands_only_where_its_pattern_and_values_match() {
        let listed = Listed::new(
            vec![Entry {
                case: "Produce *".into(),
                place: "[0]".into(),
                upstream: Some(json!("silence")),
                ours: Some(json!("closed")),
                not_ours: Vec::new(),
                why: String::new(),
            }],
            false,
        );
        let of = |case| compare(case, &json!(["silence"]), &json!(["closed"]), &listed);
        assert_eq!(of("Produce null v3")[0].standing, Standing::Listed);
        assert_eq!(of("Fetch null v3")[0].standing, Standing::Open);
    }
}
