//! The options of `kafka-topics`, and which of them go together.
//!
//! Invariant: they are checked in upstream's order, so that of several mistakes the same is named.

use metadata::config::TOPIC_CONFIGS;

use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::Stop;

const ACTIONS: [&str; 5] = ["alter", "create", "describe", "list", "delete"];
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];
const USE_CONFIGS: &str = " (To alter topic configurations, the kafka-configs tool can be used.)";

const FLAGS: &[(&str, &str)] = &[
    ("list", "Names all topics."),
    ("create", "Makes a topic."),
    ("delete", "Deletes topics."),
    ("describe", "Shows topics with their partitions."),
    (
        "under-replicated-partitions",
        "With --describe, only partitions with replicas that are not in sync.",
    ),
    (
        "unavailable-partitions",
        "With --describe, only partitions without a living leader.",
    ),
    (
        "under-min-isr-partitions",
        "With --describe, only partitions with fewer replicas in sync than must be.",
    ),
    (
        "at-min-isr-partitions",
        "With --describe, only partitions with just as many replicas in sync as must be.",
    ),
    (
        "topics-with-overrides",
        "With --describe, only topics with configs of their own.",
    ),
    (
        "if-exists",
        "With --alter, --delete and --describe, a topic that is not there is no error.",
    ),
    (
        "if-not-exists",
        "With --create, a topic that is there already is no error.",
    ),
    (
        "exclude-internal",
        "With --list and --describe, without the brokers' own topics.",
    ),
];

const VALUES: &[(&str, &str, &str)] = &[
    (
        "bootstrap-server",
        "String: server to connect to",
        "REQUIRED: Addresses of brokers, host:port, parted by commas.",
    ),
    (
        "command-config",
        "String: command config property file",
        "A properties file for the client.",
    ),
    (
        "topic",
        "String: topic",
        "The topic. But for --create, a regular expression that matches whole names.",
    ),
    (
        "topic-id",
        "String: topic-id",
        "The id of the topic to describe.",
    ),
    (
        "delete-config",
        "String: name",
        "Has no effect since 4.0; kafka-configs does it.",
    ),
    (
        "partitions",
        "Integer: # of partitions",
        "With --create and --alter, how many partitions the topic is to have. More partitions \
             send keys elsewhere than before. Without it, --create leaves the number to the cluster.",
    ),
    (
        "replication-factor",
        "Integer: replication factor",
        "With --create, how many replicas each partition is to have; else the cluster decides.",
    ),
    (
        "replica-assignment",
        "String: broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , \
             broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...",
        "With --create and --alter, the brokers of each partition.",
    ),
    (
        "partition-size-limit-per-response",
        "Integer: maximum number of partitions per response",
        "With --describe, how many partitions one answer may hold.",
    ),
];

pub(super) fn options() -> Options {
    Options::new()
        .flags(FLAGS)
        .values(VALUES)
        .flag("alter", format!("Adds partitions to topics.{USE_CONFIGS}"))
        .value("config", "String: name=value", config_help())
}

fn config_help() -> String {
    let mut names: Vec<&str> = TOPIC_CONFIGS
        .iter()
        .filter(|def| !def.internal)
        .map(|def| def.name)
        .collect();
    names.sort_unstable();
    format!(
        "With --create, a config of the topic. There are:\n{}\nWhat they mean is told in the \
         documentation.{USE_CONFIGS}",
        names.join("\n")
    )
}

/// Refuses options that do not go together.
pub(super) fn check(options: &Options, args: &[String], parsed: &Parsed) -> Result<(), Stop> {
    if args.is_empty() {
        return Err(Stop::Usage(
            "Create, delete, describe, or change a topic.".to_owned(),
        ));
    }
    options.help_or_version(
        args,
        parsed,
        "This tool helps to create, delete, describe, or change a topic.",
    )?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        return Err(Stop::Usage(
            "Command must include exactly one action: --list, --describe, --create, --alter or \
             --delete"
                .to_owned(),
        ));
    }
    if parsed.has("delete-config") {
        crate::complain!(
            "delete-config option is no longer supported and deprecated since version 4.0. The \
             config will be fully removed in future releases."
        );
    }
    check_required(options, parsed)?;
    check_combined(options, parsed)
}

fn check_required(options: &Options, parsed: &Parsed) -> Result<(), Stop> {
    if !parsed.has("bootstrap-server") {
        return Err(Failure::illegal_argument("--bootstrap-server must be specified").into());
    }
    if parsed.has("describe") && parsed.has("if-exists") {
        match (parsed.has("topic"), parsed.has("topic-id")) {
            (false, false) => {
                return Err(Stop::Usage(
                    "--topic or --topic-id is required to describe a topic".to_owned(),
                ));
            }
            (true, true) => print::line(
                "Only topic id will be used when both --topic and --topic-id are specified and \
                 topicId is not Uuid.ZERO_UUID",
            ),
            (true, false) | (false, true) => {}
        }
    }
    if !parsed.has("list") && !parsed.has("describe") {
        options.require(parsed, &["topic"])?;
    }
    if parsed.has("alter") {
        if parsed.has("config") {
            return Err(Stop::Usage(format!(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
                 \"[alter]\"{USE_CONFIGS}"
            )));
        }
        options.require(parsed, &["partitions"])?;
    }
    Ok(())
}

fn check_combined(options: &Options, parsed: &Parsed) -> Result<(), Stop> {
    let only_with = |used: &str, allowed: &[&str]| {
        let others: Vec<&str> = ACTIONS
            .into_iter()
            .filter(|action| !allowed.contains(action))
            .collect();
        options.exclude(parsed, used, &others)
    };
    only_with("config", &["alter", "create"])?;
    only_with("partitions", &["alter", "create"])?;
    only_with("replication-factor", &["create"])?;
    only_with("replica-assignment", &["alter", "create"])?;
    if parsed.has("create") {
        let numbers = ["partitions", "replication-factor"];
        options.exclude(parsed, "replica-assignment", &numbers)?;
    }
    for report in REPORTS {
        only_with(report, &["describe"])?;
        options.exclude(parsed, report, &["topics-with-overrides"])?;
    }
    only_with("topics-with-overrides", &["describe"])?;
    only_with("if-exists", &["alter", "delete", "describe"])?;
    only_with("if-not-exists", &["create"])?;
    only_with("exclude-internal", &["list", "describe"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str) -> Result<(), Stop> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let options = options();
        let parsed = options.parse(&args)?;
        check(&options, &args, &parsed)
    }

    fn usage(line: &str) -> String {
        match checked(line) {
            Err(Stop::Usage(message)) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_does_not_go_together_is_named_in_upstreams_words() {
        let server = "--bootstrap-server a:1";
        assert!(usage("").starts_with("Create, delete"));
        assert!(usage(&format!("{server} --list --create")).contains("exactly one action"));
        for (line, message) in [
            ("--create", "Missing required argument \"[topic]\""),
            (
                "--alter --topic a",
                "Missing required argument \"[partitions]\"",
            ),
            (
                "--create --topic a --if-exists",
                "Option \"[if-exists]\" can't be used with option \"[create]\"",
            ),
            (
                "--list --partitions 1",
                "Option \"[partitions]\" can't be used with option \"[list]\"",
            ),
            (
                "--create --topic a --replica-assignment 1 --partitions 2",
                "Option \"[replica-assignment]\" can't be used with option \"[partitions]\"",
            ),
            (
                "--describe --unavailable-partitions --topics-with-overrides",
                "Option \"[unavailable-partitions]\" can't be used with option \
                 \"[topics-with-overrides]\"",
            ),
            (
                "--describe --if-exists",
                "--topic or --topic-id is required to describe a topic",
            ),
        ] {
            assert_eq!(usage(&format!("{server} {line}")), message);
        }
    }

    #[test]
    fn a_cluster_must_be_named() {
        let Err(Stop::Failed(failure)) = checked("--list") else {
            panic!("a list of nowhere");
        };
        assert_eq!(failure.to_string(), "--bootstrap-server must be specified");
        assert!(checked("--list --bootstrap-server a:1").is_ok());
    }
}
