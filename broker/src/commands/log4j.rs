//! The variables by which upstream's images set the levels of loggers, as levels of ours.
//!
//! Invariant: what comes out is a valid `--log-level`, whatever the variables say.

/// Upstream's packages beside the loggers that do their work here, the wider ones first. A single class
/// of upstream's has no logger of its own here and is passed over: its level must not become that of
/// all the others.
const PACKAGES: [(&[&str], &[&str]); 7] = [
    (
        &["kafka", "org.apache.kafka"],
        &["controller", "coordinator", "klamm", "metadata", "storage"],
    ),
    (
        &["kafka.controller", "org.apache.kafka.controller"],
        &["controller"],
    ),
    (
        &["kafka.coordinator", "org.apache.kafka.coordinator"],
        &["coordinator"],
    ),
    (&["kafka.log", "org.apache.kafka.storage"], &["storage"]),
    (&["kafka.server", "org.apache.kafka.server"], &["klamm"]),
    (
        &["org.apache.kafka.image", "org.apache.kafka.metadata"],
        &["metadata"],
    ),
    (&["kafka.raft", "org.apache.kafka.raft"], &["openraft"]),
];

/// The levels that the environment asks for, as `--log-level` takes them.
pub(super) fn log_level() -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    log_level_of(
        &variable("KAFKA_LOG4J_ROOT_LOGLEVEL"),
        &variable("KAFKA_LOG4J_LOGGERS"),
    )
}

/// `loggers` is `NAME=LEVEL` with commas between, in any order: the narrower name wins.
fn log_level_of(root: &str, loggers: &str) -> String {
    let asked: Vec<(&str, &str)> = loggers
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(name, level)| Some((name.trim(), level_of(level)?)))
        .collect();
    let root_logger = asked.iter().rfind(|(name, _)| *name == "root");
    let root = level_of(root).or(root_logger.map(|(_, level)| *level));
    let mut parts = vec![root.unwrap_or("info").to_owned()];
    for (names, ours) in PACKAGES {
        let Some((_, level)) = asked.iter().rfind(|(name, _)| names.contains(name)) else {
            continue;
        };
        parts.extend(ours.iter().map(|logger| format!("{logger}={level}")));
    }
    parts.join(",")
}

/// A level of log4j's; `None` for what is none, which leaves the level as it was.
fn level_of(text: &str) -> Option<&'static str> {
    match text.trim().to_uppercase().as_str() {
        // Errors are the least that is logged here.
        "OFF" | "FATAL" | "ERROR" => Some("error"),
        "WARN" => Some("warn"),
        "INFO" => Some("info"),
        "DEBUG" => Some("debug"),
        "TRACE" | "ALL" => Some("trace"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_level_is_that_of_all() {
        assert_eq!(log_level_of("", ""), "info");
        assert_eq!(log_level_of("WARN", ""), "warn");
        assert_eq!(log_level_of(" off ", ""), "error");
        assert_eq!(log_level_of("ALL", ""), "trace");
        assert_eq!(log_level_of("LOUD", ""), "info");
        assert_eq!(log_level_of("", "root=DEBUG"), "debug");
    }

    #[test]
    fn packages_are_loggers_and_the_narrower_wins() {
        let asked = "kafka.controller=TRACE, org.apache.kafka=WARN,kafka.raft=INFO";
        assert_eq!(
            log_level_of("ERROR", asked),
            "error,controller=warn,coordinator=warn,klamm=warn,metadata=warn,storage=warn,\
             controller=trace,openraft=info"
        );
    }

    #[test]
    fn classes_and_nonsense_are_passed_over() {
        let asked =
            "kafka.request.logger=OFF,kafka.log.LogCleaner=ERROR,,kafka.log,kafka.log=,x=INFO";
        assert_eq!(log_level_of("", asked), "info");
    }
}
