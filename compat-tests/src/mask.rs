//! What may differ between two right brokers, by rule: each rule of `masks.json` names the fields it
//! holds for (`API.place`, `*` matches anything) and a kind; the value is checked for its shape and
//! replaced by the kind's name. A value of the wrong shape stays as it is and so shows as a
//! difference. Error codes have no rule.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::path::{Variables, matches};

const MASKS: &str = include_str!("../masks.json");
/// Shorter variables might be found in other texts by chance.
const NAME_LENGTH_MIN: usize = 8;
/// Longer texts are recorded by their beginning and their length.
const TEXT_LENGTH_MAX: usize = 3000;
const DAY_MS: u128 = 86_400_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    path: String,
    kind: Kind,
    /// For the reader.
    #[serde(rename = "why")]
    _why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// At least 0.
    Natural,
    /// Above 0.
    Positive,
    /// A producer id that the case has kept in a variable `pid...`; others stay.
    ProducerId,
    /// Not all zeros.
    Uuid,
    /// Milliseconds since 1970, within a day of now.
    Clock,
    /// This machine.
    Host,
    /// `/` and the IP address of whoever connected, which is a bridge's for a container.
    ClientHost,
    /// 1 to 65535.
    Port,
    /// Not empty.
    Text,
    /// An absolute path.
    Folder,
    /// Whatever it is.
    Any,
    /// The elements of an array, in any order.
    Unordered,
    /// Of record batches, those that are not cut off at the end.
    WholeBatches,
    /// An array of structs with a `Name` becomes an object by name.
    ByName,
    /// Of an array with one element per API, the APIs that are compared (`apis.json`).
    ComparedApis,
}

/// What a case's variables hold, and the signs that stand for it.
#[derive(Default)]
struct Known {
    names: Vec<(String, String)>,
    ids: Vec<(i64, String)>,
}

pub struct Masks {
    rules: Vec<Rule>,
    uuid: Regex,
    compared_apis: Vec<i16>,
}

impl Masks {
    pub fn load(compared_apis: Vec<i16>) -> Result<Self> {
        Ok(Self {
            rules: serde_json::from_str(MASKS).context("masks.json")?,
            uuid: Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")?,
            compared_apis,
        })
    }

    /// Masks an answer in place; the texts of variables (the case's names, ids that were saved)
    /// become `$` and the variable's name, so that equal ids stay equal.
    pub(crate) fn apply(&self, api: &str, answer: &mut Value, variables: &Variables) {
        // The longest first: the name of a case holds the salt.
        let mut names: Vec<(String, String)> = variables
            .iter()
            .filter_map(|(name, value)| Some((value.as_str()?.to_owned(), format!("${name}"))))
            .filter(|(text, _)| text.len() >= NAME_LENGTH_MIN)
            .collect();
        names.sort_by_key(|(text, sign)| (std::cmp::Reverse(text.len()), sign.clone()));
        let ids = variables
            .iter()
            .filter(|(name, _)| name.starts_with("pid"))
            .filter_map(|(name, value)| Some((value.as_i64()?, format!("${name}"))))
            .collect();
        self.walk(api, answer, &Known { names, ids });
    }

    fn walk(&self, place: &str, value: &mut Value, known: &Known) {
        let rules: Vec<&Rule> = self
            .rules
            .iter()
            .filter(|rule| matches(&rule.path, place))
            .collect();
        // Before the rest: it gives the places inside their names.
        if rules.iter().any(|rule| rule.kind == Kind::ByName) {
            key_by_name(value);
        }
        match value {
            Value::Object(object) => {
                for (name, inner) in object.iter_mut() {
                    self.walk(&format!("{place}.{name}"), inner, known);
                }
            }
            Value::Array(items) => {
                let inner = format!("{place}[]");
                items
                    .iter_mut()
                    .for_each(|item| self.walk(&inner, item, known));
            }
            Value::String(text) => {
                let is_bytes = text.starts_with("hex:");
                for (name, sign) in &known.names {
                    *text = text.replace(name.as_str(), sign);
                    if is_bytes {
                        let digits = crate::codec::format_hex(name.as_bytes());
                        *text = text.replace(&digits, sign);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if let Value::String(text) = value
            && text.chars().count() > TEXT_LENGTH_MAX
        {
            let head: String = text.chars().take(80).collect();
            *text = format!("{head}... ({} characters)", text.chars().count());
        }
        for rule in rules {
            self.mask(rule.kind, value, known);
        }
        // A UUID alone is a field with a rule of its own; inside a text (a member id, a message)
        // it is always random.
        if let Value::String(text) = value
            && self
                .uuid
                .find(text)
                .is_some_and(|found| found.len() < text.len())
        {
            *text = self.uuid.replace_all(text, "<uuid>").into_owned();
        }
    }

    fn mask(&self, kind: Kind, value: &mut Value, known: &Known) {
        let number = value.as_i64();
        let text = value.as_str();
        let (holds, name) = match kind {
            Kind::Natural => (number.is_some_and(|number| number >= 0), "<natural>"),
            Kind::Positive => (number.is_some_and(|number| number > 0), "<positive>"),
            Kind::ProducerId => {
                let mut ids = known.ids.iter();
                match ids.find(|(id, _)| Some(*id) == number) {
                    Some((_, sign)) => (true, sign.as_str()),
                    None => (false, ""),
                }
            }
            Kind::Uuid => {
                let digits = |text: &str| {
                    text.len() == 36 && text.chars().any(|digit| !"0-".contains(digit))
                };
                (text.is_some_and(digits), "<uuid>")
            }
            Kind::Clock => (number.is_some_and(is_now), "<clock>"),
            Kind::Host => {
                let hosts = ["127.0.0.1", "localhost", "/127.0.0.1"];
                (text.is_some_and(|text| hosts.contains(&text)), "<host>")
            }
            Kind::ClientHost => {
                let address = text.and_then(|text| text.strip_prefix('/'));
                let is_address = address.is_some_and(|it| it.parse::<IpAddr>().is_ok());
                (is_address, "<host>")
            }
            Kind::Port => (
                number.is_some_and(|number| (1..65536).contains(&number)),
                "<port>",
            ),
            Kind::Text => (text.is_some_and(|text| !text.is_empty()), "<text>"),
            Kind::Folder => (text.is_some_and(|text| text.starts_with('/')), "<folder>"),
            Kind::Any => (true, "<any>"),
            Kind::Unordered => {
                if let Value::Array(items) = value {
                    items.sort_by_cached_key(identity);
                }
                return;
            }
            Kind::ByName => return,
            Kind::WholeBatches => {
                if let Value::Array(batches) = value
                    && batches.len() > 1
                    && batches
                        .last()
                        .is_some_and(|last| last.get("unreadable").is_some())
                {
                    batches.pop();
                }
                return;
            }
            Kind::ComparedApis => {
                if let Value::Array(items) = value {
                    let key = |item: &Value| item.get("ApiKey").and_then(Value::as_i64);
                    items.retain(|item| {
                        self.compared_apis
                            .iter()
                            .any(|api| Some(i64::from(*api)) == key(item))
                    });
                }
                return;
            }
        };
        if holds {
            *value = Value::from(name);
        }
    }
}

/// What an element of a set is sorted by: what it is about, then all of it, so that a difference in
/// one element does not move the others.
fn identity(item: &Value) -> String {
    let names = [
        "Name",
        "TransactionalId",
        "Topic",
        "TopicId",
        "ResourceName",
        "GroupId",
        "Index",
        "PartitionIndex",
        "MemberId",
    ];
    let about = names
        .iter()
        .filter_map(|name| item.get(name))
        .map(Value::to_string);
    about.chain([item.to_string()]).collect()
}

fn key_by_name(value: &mut Value) {
    let Value::Array(items) = value else {
        return;
    };
    let name = |item: &Value| Some(item.get("Name")?.as_str()?.to_owned());
    let named: Option<Map<String, Value>> = items
        .iter()
        .map(|item| Some((name(item)?, item.clone())))
        .collect();
    if let Some(named) = named.filter(|named| named.len() == items.len()) {
        *value = Value::Object(named);
    }
}

fn is_now(milliseconds: i64) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    u128::try_from(milliseconds).is_ok_and(|then| now.abs_diff(then) < DAY_MS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_of_the_wrong_shape_is_not_masked() {
        let masks = Masks::load(Vec::new()).unwrap();
        let mut zero = json!("00000000-0000-0000-0000-000000000000");
        masks.mask(Kind::Uuid, &mut zero, &Known::default());
        assert_eq!(zero, "00000000-0000-0000-0000-000000000000");
        let mut old = json!(5);
        masks.mask(Kind::Clock, &mut old, &Known::default());
        assert_eq!(old, 5);
    }

    #[test]
    fn a_producer_id_that_was_kept_is_told_from_others() {
        let masks = Masks::load(Vec::new()).unwrap();
        let variables = Variables::from([("pid".to_owned(), json!(7000))]);
        let mut answer =
            json!({ "TransactionStates": [{ "ProducerId": 7000 }, { "ProducerId": 7001 }] });
        masks.apply("DescribeTransactions", &mut answer, &variables);
        assert_eq!(
            answer,
            json!({ "TransactionStates": [{ "ProducerId": "$pid" }, { "ProducerId": 7001 }] })
        );
    }

    #[test]
    fn the_case_s_own_names_and_inner_uuids_are_replaced() {
        let masks = Masks::load(Vec::new()).unwrap();
        let variables = Variables::from([
            ("case".to_owned(), json!("x-qabcdefgh-v2")),
            ("id".to_owned(), json!("x-qabcdefgh")),
            ("salt".to_owned(), json!("qabcdefgh")),
        ]);
        let uuid = "0123abcd-0123-4567-89ab-0123456789ab";
        let mut answer = json!({ "Group": "x-qabcdefgh-v2", "MemberId": format!("compat-{uuid}") });
        masks.apply("JoinGroup", &mut answer, &variables);
        assert_eq!(
            answer,
            json!({ "Group": "$case", "MemberId": "compat-<uuid>" })
        );
    }
}
