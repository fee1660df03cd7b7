//! The options of `kafka-consumer-groups`, and which of them go together.

use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::stop::Stop;

pub(super) const ACTIONS: &[&str] = &[
    "list",
    "describe",
    "delete",
    "reset-offsets",
    "delete-offsets",
    "validate-regex",
];

/// How offsets are reset, in the order in which upstream's message names them.
const SCENARIOS: &[&str] = &[
    "by-duration",
    "to-datetime",
    "from-file",
    "shift-by",
    "to-offset",
    "to-earliest",
    "to-current",
    "to-latest",
];

/// What each of these options needs beside it.
const NEEDED: &[(&str, &[&str])] = &[
    ("members", &["describe"]),
    ("offsets", &["describe"]),
    ("state", &["describe", "list"]),
    ("type", &["list"]),
    ("verbose", &["describe"]),
];

fn actions() -> Options {
    let options = Options::new()
        .value(
            "bootstrap-server",
            "String: server to connect to",
            "REQUIRED, but for --validate-regex: brokers to ask first.",
        )
        .value(
            "command-config",
            "String: command config property file",
            "A file with settings of the client.",
        )
        .value(
            "timeout",
            "Long: timeout (ms)",
            "How long each call may take, in milliseconds. (default: 5000)",
        )
        .flag("list", "List the consumer groups.")
        .flag(
            "describe",
            "Describe groups: partitions, offsets and lag, or members, or the state.",
        )
        .flag("delete", "Delete groups.")
        .flag(
            "reset-offsets",
            "Plan new offsets of groups without members; with --execute commit them.",
        )
        .flag("delete-offsets", "Delete a group's offsets of topics.")
        .value(
            "validate-regex",
            "String: regex",
            "Tell whether a consumer may subscribe by this expression.",
        )
        .value(
            "group",
            "String: consumer group",
            "The group; may be given many times.",
        )
        .flag("all-groups", "All consumer groups.")
        .value(
            "topic",
            "String: topic",
            "A topic, or topic:0,1,2; may be given many times.",
        )
        .flag("all-topics", "All topics that the group has offsets of.");
    options
        .flag("members", "With --describe: the members.")
        .flag("offsets", "With --describe: the offsets. (default)")
        .optional_value(
            "state",
            "String",
            "With --describe: the state. With --list: the states, or groups in these.",
        )
        .optional_value(
            "type",
            "String",
            "With --list: the types, or groups of these.",
        )
        .flag("verbose", "With --describe: more columns.")
}

pub(super) fn options() -> Options {
    let options = actions();
    options
        .flag(
            "dry-run",
            "With --reset-offsets: show the plan only. (default)",
        )
        .flag("execute", "With --reset-offsets: do it.")
        .flag("export", "With --reset-offsets: print the plan as CSV.")
        .value("to-offset", "Long: offset", "Reset to this offset.")
        .value(
            "from-file",
            "String: path to CSV file",
            "Reset to the offsets of a file, as --export prints them.",
        )
        .value(
            "to-datetime",
            "String: datetime",
            "Reset to the time YYYY-MM-DDTHH:mm:SS.sss.",
        )
        .value(
            "by-duration",
            "String: duration",
            "Reset to a time before now, PnDTnHnMnS.",
        )
        .flag("to-earliest", "Reset to the earliest offset.")
        .flag("to-latest", "Reset to the latest offset.")
        .flag("to-current", "Reset to the committed offset.")
        .value(
            "shift-by",
            "Long: number-of-offsets",
            "Move the committed offset, back where negative.",
        )
}

pub(super) fn check(options: &Options, args: &[String], parsed: &Parsed) -> Result<(), Stop> {
    unavailable(parsed, NEEDED)?;
    let about = "This tool helps to list all consumer groups, describe a consumer group, delete \
                 consumer group info, or reset consumer group offsets.";
    options.help_or_version(args, parsed, about)?;
    if !parsed.has("validate-regex") {
        options.require(parsed, &["bootstrap-server"])?;
    }
    let usage = |message: String| Err(Stop::Usage(message));
    let has_groups = parsed.has("group") || parsed.has("all-groups");
    if parsed.has("describe") {
        if !has_groups {
            return usage(
                "Option [describe] takes one of these options: [all-groups], [group]".into(),
            );
        }
        let kinds = ["members", "offsets", "state"];
        if kinds.iter().filter(|kind| parsed.has(kind)).count() > 1 {
            return usage(
                "Option [describe] takes at most one of these options: [members], [offsets], [state]"
                    .into(),
            );
        }
        if !parsed.values("state").is_empty() {
            return usage("Option [describe] does not take a value for [state]".into());
        }
    }
    if parsed.has("delete") {
        if !has_groups {
            return usage(
                "Option [delete] takes one of these options: [all-groups], [group]".into(),
            );
        }
        if parsed.has("topic") {
            return usage(
                "The consumer does not support topic-specific offset deletion from a consumer group."
                    .into(),
            );
        }
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return usage(
            "Option [delete-offsets] takes the following options: [topic], [group]".into(),
        );
    }
    if parsed.has("reset-offsets") {
        check_reset(options, parsed, has_groups)?;
    }
    options.exclude(parsed, "group", &["all-groups"])?;
    options.exclude(parsed, "group", &["list"])?;
    options.exclude(parsed, "topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return usage(format!(
            "Command must include exactly one action: {}",
            actions.join(", ")
        ));
    }
    Ok(())
}

fn check_reset(options: &Options, parsed: &Parsed, has_groups: bool) -> Result<(), Stop> {
    if parsed.has("dry-run") && parsed.has("execute") {
        return Err(Stop::Usage(
            "Option [reset-offsets] only accepts one of [execute] and [dry-run]".into(),
        ));
    }
    if !parsed.has("dry-run") && !parsed.has("execute") {
        crate::complain!(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, \
             this command will require either --dry-run or --execute to be specified. You should add \
             the --dry-run option explicitly if you are scripting this command and want to keep the \
             current default behavior without prompting."
        );
    }
    if !has_groups {
        return Err(Stop::Usage(
            "Option [reset-offsets] takes one of these options: [all-groups], [group]".into(),
        ));
    }
    let order = [
        "to-offset",
        "to-datetime",
        "by-duration",
        "to-earliest",
        "to-latest",
        "to-current",
        "shift-by",
        "from-file",
    ];
    for used in order {
        let others: Vec<&str> = SCENARIOS.iter().copied().filter(|it| *it != used).collect();
        options.exclude(parsed, used, &others)?;
    }
    Ok(())
}

/// Options that need another one beside them, as joptsimple checks it while it reads.
pub(crate) fn unavailable(parsed: &Parsed, needed: &[(&str, &[&str])]) -> Result<(), Failure> {
    let wrong: Vec<&str> = needed
        .iter()
        .filter(|(name, beside)| parsed.has(name) && !beside.iter().any(|it| parsed.has(it)))
        .map(|(name, _)| *name)
        .collect();
    if wrong.is_empty() || parsed.has("help") {
        return Ok(());
    }
    Err(Failure::new(
        "joptsimple.UnavailableOptionException",
        format!(
            "Option(s) [{}] are unavailable given other options on the command line",
            wrong.join(", ")
        ),
    ))
}

/// What is said where no way to reset is given.
pub(super) fn no_scenario() -> Stop {
    let shown: Vec<String> = SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
    Stop::Usage(format!(
        "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
        shown.join(", ")
    ))
}
