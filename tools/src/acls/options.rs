//! The options of `kafka-acls`, and which of them go together.
//!
//! Invariant: they are checked in upstream's order, so that of several mistakes the same is named.

use crate::options::{Options, Parsed};
use crate::stop::Stop;

const ACTIONS: [&str; 3] = ["add", "remove", "list"];

const FLAGS: &[(&str, &str)] = &[
    ("add", "Adds ACLs."),
    ("remove", "Takes ACLs away."),
    (
        "list",
        "Shows ACLs, of all resources unless some are named.",
    ),
    ("cluster", "The cluster as the resource."),
    (
        "idempotent",
        "With --producer: the right to produce idempotently.",
    ),
    (
        "producer",
        "All that a producer needs: Write, Describe and Create on the topics.",
    ),
    (
        "consumer",
        "All that a consumer needs: Read and Describe on the topics, Read on the groups.",
    ),
    ("force", "Asks for no confirmation."),
];

const VALUES: &[(&str, &str, &str)] = &[
    (
        "bootstrap-server",
        "String: server to connect to",
        "Addresses of brokers, host:port, parted by commas.",
    ),
    (
        "bootstrap-controller",
        "String: controller to connect to",
        "Addresses of controllers, host:port, parted by commas.",
    ),
    (
        "topic",
        "String: topic",
        "A topic as the resource; '*' for all.",
    ),
    (
        "group",
        "String: group",
        "A group as the resource; '*' for all.",
    ),
    (
        "transactional-id",
        "String: transactional-id",
        "A transactional id as the resource; '*' for all.",
    ),
    (
        "delegation-token",
        "String: delegation-token",
        "A delegation token as the resource; '*' for all.",
    ),
    (
        "user-principal",
        "String: user-principal",
        "A user's principal as the resource.",
    ),
    (
        "resource-pattern-type",
        "ANY|MATCH|LITERAL|PREFIXED",
        "How the resource's name is meant; with --add, literal or prefixed. (default: LITERAL)",
    ),
    (
        "operation",
        "String",
        "What is allowed or denied: All, Alter, AlterConfigs, ClusterAction, Create, CreateTokens, \
         Delete, Describe, DescribeConfigs, DescribeTokens, IdempotentWrite, Read, TwoPhaseCommit, \
         Write. (default: All)",
    ),
    (
        "allow-principal",
        "String: allow-principal",
        "Who is allowed it, as type:name, for example User:ann; User:* for all.",
    ),
    (
        "deny-principal",
        "String: deny-principal",
        "Who is denied it, as type:name. What is denied is denied, whatever is allowed.",
    ),
    (
        "allow-host",
        "String: allow-host",
        "Where from it is allowed; everywhere unless given.",
    ),
    (
        "deny-host",
        "String: deny-host",
        "Where from it is denied; everywhere unless given.",
    ),
];

pub(super) fn options() -> Options {
    Options::new()
        .flags(FLAGS)
        .values(VALUES)
        .optional_value(
            "command-config",
            "String: command-config",
            "A properties file for the client.",
        )
        .optional_value(
            "principal",
            "String: principal",
            "With --list, only what concerns this principal.",
        )
}

/// Refuses options that do not go together.
pub(super) fn check(options: &Options, args: &[String], parsed: &Parsed) -> Result<(), Stop> {
    options.help_or_version(args, parsed, "This tool helps to manage acls on kafka.")?;
    let refuse = |wrong: bool, message: &str| {
        if wrong {
            return Err(Stop::Usage(message.to_owned()));
        }
        Ok(())
    };
    let has = |name| parsed.has(name);
    let servers = ["bootstrap-server", "bootstrap-controller"];
    refuse(
        servers.into_iter().all(has),
        "Only one of --bootstrap-server or --bootstrap-controller must be specified",
    )?;
    refuse(
        !servers.into_iter().any(has),
        "One of --bootstrap-server or --bootstrap-controller must be specified",
    )?;
    refuse(
        ACTIONS.into_iter().filter(|action| has(action)).count() != 1,
        "Command must include exactly one action: --list, --add, --remove. ",
    )?;
    let not_for_list = [
        "producer",
        "consumer",
        "allow-host",
        "allow-principal",
        "deny-host",
        "deny-principal",
    ];
    options.exclude(parsed, "list", &not_for_list)?;
    let inferred = ["operation", "deny-principal", "deny-host"];
    options.exclude(parsed, "producer", &inferred)?;
    options.exclude(parsed, "consumer", &inferred)?;
    refuse(
        has("principal") && !has("list"),
        "The --principal option is only available if --list is set",
    )?;
    refuse(
        has("producer") && !has("topic"),
        "With --producer you must specify a --topic",
    )?;
    refuse(
        has("idempotent") && !has("producer"),
        "The --idempotent option is only available if --producer is set",
    )?;
    let other = !has("producer") && (has("cluster") || has("transactional-id"));
    refuse(
        has("consumer") && (!has("topic") || !has("group") || other),
        "With --consumer you must specify a --topic and a --group and no --cluster or \
         --transactional-id option should be specified.",
    )
}
