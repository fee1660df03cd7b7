//! What is there before the first client: topics and records from a YAML file or from the
//! environment.
//!
//! Invariants: a topic is made once per data folder, and a partition that ever held a record is
//! never written to; whatever is wrong stops the start with its place.

mod apply;
mod file;
mod list;
mod partitioner;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use metadata::config::KlammConfig;

/// Why a seed was not sown.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("cannot read the seed file {path}: {reason}", path = .path.display())]
    Unreadable {
        path: PathBuf,
        reason: std::io::Error,
    },
    /// Where, and what was found and expected there.
    #[error("{place}: {problem}")]
    Wrong { place: Place, problem: String },
}

/// Where something was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A file, or the key of a setting.
    source: Arc<str>,
    /// Line and column, from 1.
    position: Option<(u64, u64)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

impl Place {
    fn wrong(&self, problem: impl Into<String>) -> SeedError {
        SeedError::Wrong {
            place: self.clone(),
            problem: problem.into(),
        }
    }
}

/// All that is to be there.
#[derive(Debug, Default)]
pub(crate) struct Seed {
    topics: Vec<SeedTopic>,
}

/// A topic with its settings and first records.
#[derive(Debug)]
pub(crate) struct SeedTopic {
    pub(crate) name: String,
    /// `None` is `num.partitions`.
    pub(crate) partitions: Option<i32>,
    /// `None` is `default.replication.factor`.
    pub(crate) replication_factor: Option<i16>,
    pub(crate) configs: BTreeMap<String, String>,
    records: Vec<SeedRecord>,
    place: Place,
}

#[derive(Debug)]
struct SeedRecord {
    /// `None` leaves it to the key, as a Java producer would.
    partition: Option<i32>,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<protocol::records::Header>,
    /// `None` is the time of sowing.
    timestamp: Option<i64>,
    place: Place,
}

impl Seed {
    /// Reads what the settings name: `klamm.seed.file`, `klamm.seed`, `klamm.topics`.
    ///
    /// # Errors
    /// A file that cannot be read, or the first thing in it that is wrong.
    pub(crate) fn load(settings: &KlammConfig) -> Result<Seed, SeedError> {
        let mut topics = Vec::new();
        if let Some(path) = given(settings.seed_file.as_deref()) {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path);
            let source = path.display().to_string();
            let text = text.map_err(|reason| SeedError::Unreadable { path, reason })?;
            topics.extend(file::parse(&source, &text)?);
        }
        if let Some(text) = given(settings.seed.as_deref()) {
            topics.extend(file::parse("klamm.seed", text)?);
        }
        if let Some(text) = given(settings.topics.as_deref()) {
            topics.extend(list::parse("klamm.topics", text)?);
        }
        if given(settings.users.as_deref()).is_some() {
            let place = Place {
                source: Arc::from("klamm.users"),
                position: None,
            };
            return Err(place.wrong(NO_USERS));
        }
        let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
        for topic in &topics {
            if let Some(first) = seen.insert(&topic.name, &topic.place) {
                let problem = format!("topic {} stands at {first} already", topic.name);
                return Err(topic.place.wrong(problem));
            }
        }
        Ok(Seed { topics })
    }
}

/// A setting that is more than blanks.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

const NO_USERS: &str = "users need SASL, which this broker does not serve yet: expected none, \
                        remove them";
