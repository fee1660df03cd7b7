//! Recorded answers: one file per API, each distinct answer once and one line per case, so that a
//! change in review is as small as the change in behaviour.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::run::CaseKey;

#[derive(Debug, Deserialize)]
struct File {
    answers: BTreeMap<String, Value>,
    cases: BTreeMap<String, String>,
}

/// The answers of all cases, by API and case.
#[derive(Debug, Default)]
pub struct Recording {
    cases: BTreeMap<(String, String), Value>,
}

impl Recording {
    pub fn load(folder: &Path) -> Result<Self> {
        let mut recording = Self::default();
        if !folder.exists() {
            return Ok(recording);
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(api) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            let text = std::fs::read_to_string(&path)?;
            let file: File =
                serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
            for (case, id) in file.cases {
                let answer = file
                    .answers
                    .get(&id)
                    .with_context(|| format!("{api} {case}: {id}"))?;
                recording
                    .cases
                    .insert((api.to_owned(), case), answer.clone());
            }
        }
        Ok(recording)
    }

    pub fn insert(&mut self, key: &CaseKey, answer: Value) {
        self.cases
            .insert((key.api.clone(), key.to_string()), answer);
    }

    pub fn get(&self, key: &CaseKey) -> Option<&Value> {
        self.cases.get(&(key.api.clone(), key.to_string()))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.cases
            .iter()
            .map(|((api, case), answer)| (api.as_str(), case.as_str(), answer))
    }

    /// Drops cases, of one API or of all, that no scenario makes any more.
    pub fn retain(&mut self, made: &BTreeSet<(String, String)>, api: Option<&str>) {
        let concerns = |name: &str| api.is_none_or(|api| api == name);
        self.cases
            .retain(|key, _| !concerns(&key.0) || made.contains(key));
    }

    pub fn len(&self) -> usize {
        self.cases.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let apis: BTreeSet<&str> = self.iter().map(|(api, _, _)| api).collect();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            if path.extension().is_some_and(|end| end == "json") && !apis.contains(stem) {
                std::fs::remove_file(path)?;
            }
        }
        for api in apis {
            std::fs::write(folder.join(format!("{api}.json")), self.file(api)?)?;
        }
        Ok(())
    }

    fn file(&self, api: &str) -> Result<String> {
        let mut answers: BTreeMap<String, String> = BTreeMap::new();
        let mut cases = BTreeMap::new();
        for (_, case, answer) in self.iter().filter(|(of, _, _)| *of == api) {
            let text = answer.to_string();
            let id = format!("{:016x}", digest(text.as_bytes()));
            let known = answers.insert(id.clone(), text.clone());
            ensure!(
                known.is_none_or(|known| known == text),
                "two answers share the id {id}"
            );
            cases.insert(case, id);
        }
        let mut text = String::from("{\"answers\":{\n");
        let lines: Vec<String> = answers
            .iter()
            .map(|(id, answer)| format!("\"{id}\":{answer}"))
            .collect();
        writeln!(text, "{}", lines.join(",\n"))?;
        text.push_str("},\"cases\":{\n");
        let lines: Vec<String> = cases
            .iter()
            .map(|(case, id)| format!("{}:\"{id}\"", Value::from(*case)))
            .collect();
        writeln!(text, "{}", lines.join(",\n"))?;
        text.push_str("}}\n");
        Ok(text)
    }
}

/// All error codes in an answer.
pub fn error_codes(answer: &Value) -> BTreeSet<i64> {
    match answer {
        Value::Array(items) => items.iter().flat_map(error_codes).collect(),
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| match value.as_i64() {
                Some(code) if name.ends_with("ErrorCode") => BTreeSet::from([code]),
                _ => error_codes(value),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

/// Names an answer; equal answers, equal names, on every machine.
fn digest(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let folder = std::env::temp_dir().join(format!("compat-recording-{}", std::process::id()));
        let mut recording = Recording::default();
        for version in 0..3 {
            let key = CaseKey {
                api: "Fetch".into(),
                scenario: "plain".into(),
                version,
                mutation: "Topics=null".into(),
            };
            recording.insert(&key, json!([{ "ErrorCode": version / 2 }]));
        }
        recording.save(&folder).unwrap();
        let loaded = Recording::load(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(loaded.cases, recording.cases);
    }
}
