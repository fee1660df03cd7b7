//! Runs cases against one broker. The work is cut into units (one run of a setup and the cases it
//! serves); units run side by side on a bounded number of threads, exclusive ones alone at the end.
//! Names of topics and groups carry the case's name and a salt, so no case sees another's state and
//! a broker can be checked twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::case::{CaseFile, Scenario, Scope};
use crate::client::Client;
use crate::mask::Masks;
use crate::mutate::{Mutation, mutations};
use crate::path::{self, Variables};
use crate::schema::{Api, Compared, Schemas};

const THREADS: usize = 24;

/// What identifies a case in the recording.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseKey {
    pub api: String,
    pub scenario: String,
    pub version: i16,
    /// Empty for the request as it stands.
    pub mutation: String,
}

impl std::fmt::Display for CaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} v{}", self.scenario, self.version)?;
        if !self.mutation.is_empty() {
            write!(f, " {}", self.mutation)?;
        }
        Ok(())
    }
}

/// The masked answers of each case, or why it could not be run.
pub type Answers = BTreeMap<CaseKey, Result<Value, String>>;

/// Which cases to run.
#[derive(Debug, Default)]
pub struct Selection {
    pub api: Option<String>,
    pub case: Option<String>,
}

pub struct Runner<'a> {
    pub address: SocketAddr,
    pub schemas: &'a Schemas,
    pub masks: &'a Masks,
    pub compared: &'a Compared,
    pub salt: String,
    /// Cases known to stay without an answer; no need to wait long for that.
    pub silent: &'a (dyn Fn(&CaseKey) -> bool + Sync),
}

struct Unit<'a> {
    file: &'a CaseFile,
    scenario: &'a Scenario,
    cases: Vec<(CaseKey, usize, Option<Mutation>)>,
}

impl Runner<'_> {
    pub fn run(&self, files: &[CaseFile], selection: &Selection) -> Result<Answers> {
        let mut units = Vec::new();
        for file in files {
            for scenario in &file.scenarios {
                units.extend(self.units(file, scenario, selection)?);
            }
        }
        let (alone, together): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(|unit| unit.scenario.exclusive);
        let answers = Mutex::new(Answers::new());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(unit) = together.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.run_unit(unit, &answers);
                    }
                });
            }
        });
        for unit in &alone {
            self.run_unit(unit, &answers);
        }
        answers.into_inner().ok().context("a thread panicked")
    }

    fn units<'a>(
        &self,
        file: &'a CaseFile,
        scenario: &'a Scenario,
        selection: &Selection,
    ) -> Result<Vec<Unit<'a>>> {
        let api = self.schemas.api(&file.api)?;
        if selection
            .api
            .as_ref()
            .is_some_and(|wanted| *wanted != api.name)
        {
            return Ok(Vec::new());
        }
        let compared = self.compared.versions_of(&api.name)?;
        let mut cases = Vec::new();
        for version in scenario.versions(compared)? {
            let mut all = vec![None];
            if scenario.mutate {
                let body = scenario
                    .request
                    .as_ref()
                    .context("mutate wants a request")?;
                all.extend(mutations(api, version, body).into_iter().map(Some));
            }
            cases.extend(keyed(api, version, scenario, selection, all));
        }
        Ok(split(file, scenario, cases))
    }

    fn run_unit(&self, unit: &Unit, answers: &Mutex<Answers>) {
        let record = |key: &CaseKey, answer| {
            if let Ok(mut answers) = answers.lock() {
                answers.insert(key.clone(), answer);
            }
        };
        let Some((first, number, _)) = unit.cases.first() else {
            return;
        };
        let mut id = format!("{}-{}", unit.scenario.name, self.salt);
        if unit.scenario.scope != Scope::All {
            id = format!("{id}-v{}", first.version);
        }
        if unit.scenario.scope == Scope::Case {
            id = format!("{id}-m{number}");
        }
        let mut client = Client::new(self.address, self.schemas, self.masks, &self.salt, &id);
        client.version_of(&unit.file.api, first.version);
        if let Err(error) = client.prepare(&unit.scenario.setup) {
            for (key, _, _) in &unit.cases {
                record(key, Err(format!("setup: {error:#}")));
            }
            return;
        }
        for (key, number, mutation) in &unit.cases {
            let case = format!(
                "{}-{}-v{}-m{number}",
                unit.scenario.name, self.salt, key.version
            );
            client.begin_case(&case, (self.silent)(key));
            client.version_of(&unit.file.api, key.version);
            let answer = run_case(&mut client, unit.scenario, mutation.as_ref());
            record(key, answer.map_err(|error| format!("{error:#}")));
        }
    }
}

fn run_case(
    client: &mut Client,
    scenario: &Scenario,
    mutation: Option<&Mutation>,
) -> Result<Value> {
    client.prepare(&scenario.before)?;
    let mut seen = Vec::new();
    if let Some(body) = &scenario.request {
        seen.extend(client.request(&scenario.send, body, mutation)?);
    }
    if mutation.is_none() {
        for step in &scenario.then {
            seen.extend(client.step(step)?);
        }
    }
    Ok(Value::Array(seen))
}

/// The cases among these that are wanted, each with its number.
fn keyed(
    api: &Api,
    version: i16,
    scenario: &Scenario,
    selection: &Selection,
    mutations: Vec<Option<Mutation>>,
) -> Vec<(CaseKey, usize, Option<Mutation>)> {
    let mut cases = Vec::new();
    for (number, mutation) in mutations.into_iter().enumerate() {
        let label = mutation.as_ref().map(|mutation| mutation.label.clone());
        let label = label.unwrap_or_default();
        let mut skipped = scenario.skip.keys();
        if skipped.any(|pattern| path::matches(pattern, &label)) {
            continue;
        }
        let key = CaseKey {
            api: api.name.clone(),
            scenario: scenario.name.clone(),
            version,
            mutation: label,
        };
        let wanted = |pattern: &String| path::matches(pattern, &key.to_string());
        if selection.case.as_ref().is_none_or(wanted) {
            cases.push((key, number, mutation));
        }
    }
    cases
}

fn split<'a>(
    file: &'a CaseFile,
    scenario: &'a Scenario,
    cases: Vec<(CaseKey, usize, Option<Mutation>)>,
) -> Vec<Unit<'a>> {
    let mut units: Vec<Unit> = Vec::new();
    for case in cases {
        let shared = units.last_mut().filter(|unit| match scenario.scope {
            Scope::All => true,
            Scope::Version => unit
                .cases
                .last()
                .is_some_and(|last| last.0.version == case.0.version),
            Scope::Case => false,
        });
        match shared {
            Some(unit) => unit.cases.push(case),
            None => units.push(Unit {
                file,
                scenario,
                cases: vec![case],
            }),
        }
    }
    units
}

/// Variables every case has: its own name, its scope's, and the salt.
pub(crate) fn names(id: &str, case: &str, salt: &str) -> Variables {
    let pairs = [("id", id), ("case", case), ("salt", salt)];
    pairs
        .map(|(name, text)| (name.to_owned(), Value::from(text)))
        .into()
}
