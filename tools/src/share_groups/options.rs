//! The options of `kafka-share-groups`, and which of them go together.
//!
//! Invariant: options are checked in upstream's order, so that the first thing wrong is the one told.

use crate::consumer_groups::unavailable;
use crate::options::{Options, Parsed};
use crate::stop::Stop;

const ACTIONS: [&str; 5] = [
    "list",
    "describe",
    "delete",
    "reset-offsets",
    "delete-offsets",
];

/// How offsets are reset.
const SCENARIOS: [&str; 3] = ["to-datetime", "to-earliest", "to-latest"];

/// What each of these options needs beside it.
const NEEDED: &[(&str, &[&str])] = &[
    ("members", &["describe"]),
    ("offsets", &["describe"]),
    ("state", &["describe", "list"]),
    ("verbose", &["describe"]),
];

pub(super) fn options() -> Options {
    Options::new()
        .values(&[
            (
                "bootstrap-server",
                "String: server to connect to",
                "REQUIRED: brokers to ask first.",
            ),
            (
                "command-config",
                "String: command config property file",
                "A file with settings of the client.",
            ),
            (
                "timeout",
                "Long: timeout (ms)",
                "How long each call may take, in milliseconds. (default: 30000)",
            ),
            (
                "group",
                "String: share group",
                "The group; with --describe and --delete it may be given many times.",
            ),
            (
                "topic",
                "String: topic",
                "A topic, or topic:0,1,2 for --reset-offsets; may be given many times.",
            ),
            (
                "to-datetime",
                "String: datetime",
                "Reset to the time YYYY-MM-DDThh:mm:ss.sss.",
            ),
        ])
        .flags(&[
            ("list", "List the share groups."),
            (
                "describe",
                "Describe groups: offsets and lag, or members, or the state.",
            ),
            ("delete", "Delete groups that have no members."),
            (
                "reset-offsets",
                "Plan new offsets of a group without members with --dry-run; set them with --execute.",
            ),
            ("delete-offsets", "Delete a group's offsets of topics."),
            ("all-groups", "All share groups."),
            ("all-topics", "All topics that the group has offsets of."),
            ("dry-run", "With --reset-offsets: show the plan only."),
            ("execute", "With --reset-offsets: do it."),
            ("to-earliest", "Reset to the earliest offset."),
            ("to-latest", "Reset to the latest offset."),
            ("members", "With --describe: the members."),
            ("offsets", "With --describe: the offsets. (default)"),
            ("verbose", "With --describe: more columns."),
        ])
        .optional_value(
            "state",
            "String",
            "With --describe: the state. With --list: the states, or groups in these: Empty, Stable, \
             Dead.",
        )
}

pub(super) fn check(options: &Options, args: &[String], parsed: &Parsed) -> Result<(), Stop> {
    unavailable(parsed, NEEDED)?;
    let about = "This tool helps to list, describe, reset and delete share groups.";
    options.help_or_version(args, parsed, about)?;
    options.require(parsed, &["bootstrap-server"])?;
    if parsed.has("describe") {
        check_describe(parsed)?;
    }
    if parsed.has("delete") {
        check_delete(parsed)?;
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [topic], [group]");
    }
    if parsed.has("reset-offsets") {
        check_reset(options, parsed)?;
    }
    options.exclude(parsed, "group", &["all-groups"])?;
    options.exclude(parsed, "group", &["list"])?;
    options.exclude(parsed, "topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        let actions = ACTIONS.map(|action| format!("--{action}"));
        return usage(&format!(
            "Command must include exactly one action: {}.",
            actions.join(", ")
        ));
    }
    Ok(())
}

fn usage(message: &str) -> Result<(), Stop> {
    Err(Stop::Usage(message.to_owned()))
}

fn check_describe(parsed: &Parsed) -> Result<(), Stop> {
    if !parsed.has("group") && !parsed.has("all-groups") {
        return usage("Option [describe] takes one of these options: [all-groups], [group]");
    }
    let kinds = ["members", "offsets", "state"];
    if kinds.iter().filter(|kind| parsed.has(kind)).count() > 1 {
        return usage(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        );
    }
    if !parsed.values("state").is_empty() {
        return usage("Option [describe] does not take a value for [state]");
    }
    Ok(())
}

fn check_delete(parsed: &Parsed) -> Result<(), Stop> {
    match (parsed.has("group"), parsed.has("all-groups")) {
        (false, false) => {
            return usage("Option [delete] takes the options [group] or [all-groups]");
        }
        (true, true) => {
            return usage("Option [delete] takes either [group] or [all-groups], not both.");
        }
        (true, false) | (false, true) => {}
    }
    if parsed.has("topic") {
        return usage("Option [delete] does not take the option: [topic]");
    }
    Ok(())
}

fn check_reset(options: &Options, parsed: &Parsed) -> Result<(), Stop> {
    match (parsed.has("dry-run"), parsed.has("execute")) {
        (true, true) => {
            return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
        }
        (false, false) => {
            return usage("Option [reset-offsets] takes the option: [execute] or [dry-run]");
        }
        (true, false) | (false, true) => {}
    }
    if !parsed.has("group") {
        return usage("Option [reset-offsets] takes the option: [group]");
    }
    if !parsed.has("topic") && !parsed.has("all-topics") {
        return usage("Option [reset-offsets] takes one of these options: [all-topics], [topic]");
    }
    if !SCENARIOS.iter().any(|scenario| parsed.has(scenario)) {
        let shown = SCENARIOS.map(|name| format!("[{name}]")).join(", ");
        return usage(&format!(
            "Option [reset-offsets] takes one of these options: {shown}"
        ));
    }
    for used in SCENARIOS {
        let others: Vec<&str> = SCENARIOS.into_iter().filter(|it| *it != used).collect();
        options.exclude(parsed, used, &others)?;
    }
    Ok(())
}
