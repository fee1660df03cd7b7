//! Cases as data: what the files under `cases/` may say. A scenario is a setup and a request, sent
//! in each version of its API, once as it stands and, where it says `mutate`, once per mutation.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::schema::Versions;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The API under test: its requests without a version go out in the version under test.
    pub api: String,
    pub scenarios: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Lower-case letters, digits and dashes: part of the names of topics and groups.
    pub name: String,
    /// For the reader.
    #[serde(default, rename = "why")]
    pub _why: Option<String>,
    #[serde(default)]
    versions: Option<String>,
    #[serde(default)]
    pub scope: Scope,
    /// Touches what others see, so it runs alone, after all that may run side by side.
    #[serde(default)]
    pub exclusive: bool,
    /// Once per scope; not observed; must succeed.
    #[serde(default)]
    pub setup: Vec<Step>,
    /// Before each request; not observed; must succeed.
    #[serde(default)]
    pub before: Vec<Step>,
    /// The body that is sent, observed and, with `mutate`, mutated.
    pub request: Option<Value>,
    /// How `request` is sent, where it is not the plain way.
    #[serde(default)]
    pub send: Send,
    /// After the request as it stands (not after its mutations); observed.
    #[serde(default)]
    pub then: Vec<Step>,
    #[serde(default)]
    pub mutate: bool,
    /// Labels of mutations left out (`*` matches anything), each with the reason.
    #[serde(default)]
    pub skip: BTreeMap<String, String>,
}

/// What one run of `setup` serves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All versions and mutations.
    All,
    /// All mutations in one version.
    #[default]
    Version,
    /// One request.
    Case,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    Send(Send),
    /// The answer of a request sent with `async`.
    Await(Await),
    /// Bytes as they are.
    Raw(Raw),
    /// Creates a topic and waits until its leaders serve.
    Topic(Topic),
    /// Appends one batch with acks=all.
    Produce(Produce),
    /// Waits until the group's coordinator answers.
    Group(String),
    /// Gives a transactional id a producer id.
    Transactional(Transactional),
    /// Waits until no marker of this transactional id is still to be written.
    Settled(String),
    /// Makes a member of a classic group and completes the rebalance.
    Join(Join),
    /// Makes a member of a consumer group (KIP-848).
    Consumer(Consumer),
    /// Makes a member of a share group (KIP-932) and waits until it has partitions.
    Sharer(Sharer),
    /// Closes a connection from our side.
    Disconnect(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Send {
    pub api: Option<String>,
    pub version: Option<i16>,
    pub body: Value,
    /// Name of the connection.
    pub on: Option<String>,
    pub client_id: Option<String>,
    pub no_client_id: bool,
    /// Unknown tagged fields of the header.
    pub header_tags: Option<Value>,
    /// Variable <- path in the answer.
    pub save: BTreeMap<String, String>,
    /// Sent again until the answer has these values, for at most the deadline.
    pub until: BTreeMap<String, Value>,
    /// Sent again while the answer has one of these error codes, for at most the deadline.
    pub retry: Vec<i64>,
    /// In a setup: error codes that are as good as none.
    pub allow: Vec<i64>,
    /// Do not wait for the answer; an `await` by this name does.
    #[serde(rename = "async")]
    pub later: Option<String>,
    /// Keep only the elements of the array at `path` that mention this text.
    pub only: BTreeMap<String, String>,
    /// Places of whose value nothing is compared, since it depends on what came before.
    pub any: Vec<String>,
    pub deadline_ms: Option<u64>,
    /// There will be no answer (acks=0): do not wait for one.
    pub no_answer: bool,
    /// Not part of the recording although it stands under `then`.
    pub unobserved: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Await {
    pub name: String,
    #[serde(default)]
    pub save: BTreeMap<String, String>,
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    #[serde(default)]
    pub unobserved: bool,
}

/// Bytes for a connection of their own, and how to read an answer to them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub hex: String,
    /// That many zero bytes behind `hex`.
    #[serde(default)]
    pub zeros: usize,
    /// API and version of the answer.
    #[serde(default)]
    pub answer: Option<(String, i16)>,
    /// Close our half after sending.
    #[serde(default)]
    pub half_close: bool,
    #[serde(default)]
    pub deadline_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub name: String,
    #[serde(default = "one")]
    pub partitions: i32,
    #[serde(default)]
    pub configs: BTreeMap<String, String>,
    /// Variable for the topic's id.
    pub id: Option<String>,
}

fn one() -> i32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Produce {
    pub topic: String,
    #[serde(default)]
    pub partition: i32,
    pub batch: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    pub group: String,
    /// Prefix of the variables `<as>.member` and `<as>.generation`, and name of the connection.
    #[serde(rename = "as")]
    pub member: String,
    pub instance: Option<String>,
    #[serde(default = "consumer")]
    pub protocol_type: String,
    #[serde(default = "range")]
    pub protocols: Vec<String>,
    /// Topics of the subscription.
    #[serde(default)]
    pub topics: Vec<String>,
    /// What it assigns to itself, pairs of a topic and its partitions; bytes that are none otherwise.
    pub assigned: Option<Vec<(String, Vec<i32>)>>,
    #[serde(default = "five_minutes")]
    pub session_timeout_ms: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    pub group: String,
    /// The member's id, prefix of the variable `<as>.epoch`, and name of the connection.
    #[serde(rename = "as")]
    pub member: String,
    pub instance: Option<String>,
    pub topics: Option<Vec<String>>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharer {
    pub group: String,
    /// The member's id, prefix of the variable `<as>.epoch`, and name of the connection.
    #[serde(rename = "as")]
    pub member: String,
    pub topics: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transactional {
    pub id: String,
    /// End of the variables `pid<as>` and `epoch<as>`.
    #[serde(default, rename = "as")]
    pub producer: String,
    #[serde(default = "one_minute")]
    pub timeout_ms: i32,
}

fn one_minute() -> i32 {
    60_000
}
fn consumer() -> String {
    "consumer".to_owned()
}
fn range() -> Vec<String> {
    vec!["range".to_owned()]
}
fn five_minutes() -> i32 {
    300_000
}

impl Scenario {
    /// The versions to run, within those that the API's broker advertises.
    pub fn versions(&self, advertised: Versions) -> Result<Vec<i16>> {
        let wanted = match &self.versions {
            None => advertised,
            Some(text) => Versions::parse(text)?,
        };
        let all = advertised.low..=advertised.high;
        Ok(all.filter(|version| wanted.contains(*version)).collect())
    }
}

/// All files of the folder, by their names' order.
pub fn load(folder: &Path) -> Result<Vec<CaseFile>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
    {
        let text = std::fs::read_to_string(path)?;
        let file = expanded(&text).with_context(|| format!("{}", path.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// A file with each scenario that has `each` (names and the texts they stand for) once per
/// combination; `<name>` in the scenario becomes the text.
fn expanded(text: &str) -> Result<CaseFile> {
    let mut file: Value = serde_json::from_str(text)?;
    let scenarios = file.get_mut("scenarios").and_then(Value::as_array_mut);
    let scenarios = scenarios.context("no scenarios")?;
    let mut all = Vec::new();
    for mut scenario in std::mem::take(scenarios) {
        let object = scenario
            .as_object_mut()
            .context("a scenario is an object")?;
        let each: BTreeMap<String, Vec<String>> = match object.remove("each") {
            None => BTreeMap::new(),
            Some(each) => serde_json::from_value(each).context("each")?,
        };
        let name = scenario.get("name").and_then(Value::as_str);
        let name = name.context("a scenario has a name")?.to_owned();
        let mut texts = vec![(name, scenario.to_string())];
        for (variable, values) in each {
            let place = format!("<{variable}>");
            let of_one = |(name, text): &(String, String)| -> Vec<(String, String)> {
                let of_value = |value: &String| {
                    let name = name.replace(&place, &in_a_name(value));
                    (name, text.replace(&place, value))
                };
                values.iter().map(of_value).collect()
            };
            texts = texts.iter().flat_map(of_one).collect();
        }
        for (name, text) in texts {
            let mut scenario: Value = serde_json::from_str(&text)?;
            if let Some(object) = scenario.as_object_mut() {
                object.insert("name".to_owned(), Value::from(name));
            }
            all.push(scenario);
        }
    }
    *scenarios = all;
    Ok(serde_json::from_value(file)?)
}

/// A text as it stands in names of topics.
fn in_a_name(text: &str) -> String {
    let parts = text.chars().map(|letter| match letter {
        '-' => "minus".to_owned(),
        '.' => "dot".to_owned(),
        ',' => "and".to_owned(),
        ' ' => "space".to_owned(),
        other => other.to_ascii_lowercase().to_string(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_run_once_per_combination() {
        let text = r#"{"api": "Fetch", "scenarios": [
            {"name": "a-<x>-<y>", "each": {"x": ["1", "2"], "y": ["3", "4"]}}, {"name": "b"}]}"#;
        let file = expanded(text).unwrap();
        let names: Vec<&str> = file.scenarios.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a-1-3", "a-1-4", "a-2-3", "a-2-4", "b"]);
    }
}
