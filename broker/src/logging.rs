//! What is logged, and at which level: set at the start, changed at run time through the
//! BROKER_LOGGER configs (KIP-412).
//!
//! Loggers are the crates of this program, the larger parts of the broker (`klamm.api`), and `root` for
//! all the rest.
//!
//! Invariant: a logger without a level of its own has that of the one it lies in.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// The logger that others inherit from.
pub(crate) const ROOT: &str = "root";

/// The loggers there are.
pub(crate) const LOGGERS: [&str; 13] = [
    "controller",
    "coordinator",
    "klamm",
    "klamm.api",
    "klamm.cleaner",
    "klamm.coordinators",
    "klamm.network",
    "klamm.replica",
    "klamm.telemetry",
    "metadata",
    "openraft",
    ROOT,
    "storage",
];

/// openraft narrates every election; its warnings are enough.
const QUIET: (&str, &str) = ("openraft", "WARN");

/// Lines that show whatever the level is.
const ALWAYS: &str = "klamm::ready=info";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Human,
    Json,
}

/// The levels in force.
pub struct Logging {
    levels: Mutex<BTreeMap<&'static str, String>>,
    /// None where the embedding program has its own subscriber.
    filter: Option<reload::Handle<EnvFilter, tracing_subscriber::Registry>>,
}

impl std::fmt::Debug for Logging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logging")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}

impl Default for Logging {
    fn default() -> Self {
        Logging {
            levels: Mutex::new(initial("INFO")),
            filter: None,
        }
    }
}

fn initial(root: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([(ROOT, root.to_owned()), (QUIET.0, QUIET.1.to_owned())])
}

fn parse(text: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let mut levels = initial("INFO");
    for part in text.split(',').map(str::trim) {
        let (name, level) = part.split_once('=').unwrap_or((ROOT, part));
        let logger = Logging::logger(name.trim())
            .ok_or_else(|| format!("logger {name:?}: expected one of {}", LOGGERS.join(", ")))?;
        let level = level.trim().to_uppercase();
        if !["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level.as_str()) {
            return Err(format!(
                "level {level:?}: expected error, warn, info, debug or trace"
            ));
        }
        levels.insert(logger, level);
    }
    Ok(levels)
}

impl Logging {
    /// Logs to standard output from now on, for the whole process. `levels` is a level for all,
    /// and `LOGGER=LEVEL` for single ones, with commas between: `warn,storage=debug`.
    ///
    /// # Errors
    /// A level that is none of `error`, `warn`, `info`, `debug` and `trace`, or an unknown logger.
    pub fn init(levels: &str, format: Format) -> Result<Logging, String> {
        let levels = parse(levels)?;
        let (filter, handle) = reload::Layer::new(filter_of(&levels));
        let lines = tracing_subscriber::fmt::layer().with_target(false);
        let registry = tracing_subscriber::registry().with(filter);
        match format {
            Format::Human => {
                let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
                registry.with(lines.with_ansi(terminal)).init();
            }
            Format::Json => registry.with(lines.json()).init(),
        }
        Ok(Logging {
            levels: Mutex::new(levels),
            filter: Some(handle),
        })
    }

    /// Every logger with the level it has now, by name.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        use controller::Loggers as _;
        let levels = LOGGERS
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.level(name)?)));
        levels.collect()
    }

    fn logger(name: &str) -> Option<&'static str> {
        LOGGERS.into_iter().find(|logger| *logger == name)
    }
}

fn filter_of(levels: &BTreeMap<&'static str, String>) -> EnvFilter {
    let directives = levels.iter().map(|(logger, level)| match *logger {
        ROOT => level.clone(),
        // Names of configs have no colons: `kafka-configs` would refuse them.
        logger => format!("{}={level}", logger.replace('.', "::")),
    });
    let text = directives
        .chain([ALWAYS.to_owned()])
        .collect::<Vec<_>>()
        .join(",");
    EnvFilter::new(text)
}

impl controller::Loggers for Logging {
    fn level(&self, logger: &str) -> Option<String> {
        // A program with its own subscriber minds its own loggers: none exist here.
        self.filter.as_ref()?;
        let logger = Logging::logger(logger)?;
        let levels = self.levels.lock();
        let parent = logger.split_once('.').map_or(ROOT, |(parent, _)| parent);
        let mut from = [logger, parent, ROOT].into_iter();
        from.find_map(|name| levels.get(name)).cloned()
    }

    fn set_level(&self, logger: &str, level: Option<&str>) {
        let Some(logger) = Logging::logger(logger) else {
            return;
        };
        let mut levels = self.levels.lock();
        match level {
            // log4j's FATAL and OFF have no counterpart: errors are the least that is logged.
            Some("FATAL" | "OFF") => levels.insert(logger, "ERROR".to_owned()),
            Some(level) => levels.insert(logger, level.to_owned()),
            None if logger == ROOT => levels.insert(ROOT, "INFO".to_owned()),
            None => levels.remove(logger),
        };
        if let Some(filter) = &self.filter
            && filter.reload(filter_of(&levels)).is_err()
        {
            tracing::warn!(logger, "the level could not be changed: logging has ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use controller::Loggers as _;

    use super::*;

    #[test]
    fn levels_are_one_for_all_and_others_for_single_loggers() {
        let levels = parse("warn, storage=Debug,root=error").unwrap();
        let pairs: Vec<_> = levels.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let expected = [
            ("openraft", "WARN"),
            ("root", "ERROR"),
            ("storage", "DEBUG"),
        ];
        assert_eq!(pairs, expected);
        for (wrong, reason) in [
            ("loud", "\"LOUD\""),
            ("", "\"\""),
            ("info,disk=warn", "\"disk\""),
            ("storage=", "\"\""),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(reason), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_broker_inside_another_program_has_no_loggers() {
        let logging = Logging::default();
        assert_eq!(logging.level(ROOT), None);
        assert!(logging.all().is_empty());
    }
}
