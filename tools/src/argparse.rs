//! Command lines of the tools whose options upstream reads with argparse4j (`kafka-storage`,
//! `kafka-cluster`, `kafka-metadata-quorum`): clap reads them, and complains in upstream's words.
//!
//! Invariant: help ends with 0 unless the tool knows better, a wrong command line with 1, and its last
//! line is `NAME: error: what is wrong`.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, Error, value_parser};

use crate::print;

/// Reads `args` as `command` describes; what was asked for wrongly, or help, is printed.
///
/// # Errors
/// What the tool is to end with, everything being said.
pub fn parse(command: Command, args: &[String]) -> Result<ArgMatches, ExitCode> {
    let command = command
        .no_binary_name(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .infer_subcommands(true)
        .infer_long_args(true);
    command.clone().try_get_matches_from(args).map_err(|error| {
        if error.kind() == ErrorKind::DisplayHelp {
            print::Output::stdout().bytes(error.to_string().as_bytes());
            return ExitCode::SUCCESS;
        }
        let name = command.get_name().to_owned();
        let mut chosen = chosen(command, args);
        crate::complain!(
            "{}",
            chosen.render_usage().to_string().replacen('U', "u", 1)
        );
        crate::complain!("{name}: error: {}", complaint(&error, &chosen));
        ExitCode::FAILURE
    })
}

/// The subcommand that the words name, or the command itself.
fn chosen(mut command: Command, args: &[String]) -> Command {
    command.build();
    let named = args
        .iter()
        .find_map(|word| command.find_subcommand(word).cloned());
    named.unwrap_or(command)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "clap's kinds are an open list"
)]
fn complaint(error: &Error, command: &Command) -> String {
    let about = |kind| words(error.get(kind));
    let argument = |kind| {
        about(kind)
            .last()
            .map(|word| flags(command, word))
            .unwrap_or_default()
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => missing(command, &about(ContextKind::InvalidArg)),
        // Every value that these tools check is a number.
        ErrorKind::ValueValidation => {
            let value = about(ContextKind::InvalidValue).join("");
            let word = about(ContextKind::InvalidArg).join("");
            format!(
                "argument {}: could not convert {}",
                argument(ContextKind::InvalidArg),
                unconverted(&value, named(command, &word))
            )
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "too few arguments".to_owned()
        }
        ErrorKind::UnknownArgument => {
            let unknown = about(ContextKind::InvalidArg);
            format!("unrecognized arguments: '{}'", unknown.join(" "))
        }
        ErrorKind::InvalidSubcommand => {
            let choices = command
                .get_subcommands()
                .map(|it| format!("'{}'", it.get_name()));
            format!(
                "invalid choice: '{}' (choose from {})",
                about(ContextKind::InvalidSubcommand).join(" "),
                choices.collect::<Vec<_>>().join(", ")
            )
        }
        // clap names the first of the two, upstream the second.
        ErrorKind::ArgumentConflict => format!(
            "argument {}: not allowed with argument {}",
            argument(ContextKind::PriorArg),
            argument(ContextKind::InvalidArg)
        ),
        ErrorKind::InvalidValue if about(ContextKind::InvalidValue).join("").is_empty() => {
            format!(
                "argument {}: expected one argument",
                argument(ContextKind::InvalidArg)
            )
        }
        // What is left is said in clap's words, on one line.
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    }
}

/// Why a value is not the number that its argument takes, in Java's words.
fn unconverted(value: &str, arg: Option<&Arg>) -> String {
    let kind = arg.map(|arg| arg.get_value_parser().type_id());
    let is = |parser: clap::builder::ValueParser| kind == Some(parser.type_id());
    let name = if is(value_parser!(i64).into()) {
        "Long"
    } else if is(value_parser!(i16).into()) {
        "Short"
    } else {
        "Integer"
    };
    // Java reads a short as an integer first.
    let why = if name == "Short" && value.parse::<i32>().is_ok() {
        format!("Value out of range. Value:\"{value}\" Radix:10")
    } else {
        format!("For input string: \"{value}\"")
    };
    format!("'{value}' to {name} ({why})")
}

/// Single arguments are complained of first, then groups of which one must be there:
/// `<--one <one>|--other <other>>`.
fn missing(command: &Command, words: &[String]) -> String {
    let (groups, single): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with('<'));
    match (single.last(), groups.last()) {
        (None, Some(group)) => {
            let members = group.trim_start_matches('<').split('|');
            let members: Vec<String> = members.map(|word| flags(command, word)).collect();
            format!("one of the arguments {} is required", members.join(" "))
        }
        (single, _) => {
            let named = single.map(|word| flags(command, word)).unwrap_or_default();
            format!("argument {named} is required")
        }
    }
}

fn words(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    }
}

/// `--config <CONFIG>` as upstream names it: `--config/-c`.
fn flags(command: &Command, word: &str) -> String {
    let long = word.split([' ', '=']).next().unwrap_or(word);
    match named(command, word).and_then(Arg::get_short) {
        Some(short) => format!("{long}/-{short}"),
        None => long.to_owned(),
    }
}

fn named<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.split([' ', '=']).next().unwrap_or(word);
    command.get_arguments().find(|arg| {
        arg.get_long()
            .is_some_and(|name| long == format!("--{name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{ArgAction, ArgGroup};

    fn command() -> Command {
        let flag = |name: &'static str, short| {
            Arg::new(name)
                .long(name)
                .short(short)
                .action(ArgAction::SetTrue)
        };
        let format = Command::new("format")
            .arg(Arg::new("config").long("config").short('c').required(true))
            .arg(
                Arg::new("cluster-id")
                    .long("cluster-id")
                    .short('t')
                    .required(true),
            )
            .arg(flag("standalone", 's').conflicts_with("nobody"))
            .arg(flag("nobody", 'N'));
        Command::new("kafka-storage")
            .subcommand_required(true)
            .subcommand(format)
            .subcommand(Command::new("info"))
            .subcommand(
                Command::new("ask")
                    .arg(Arg::new("server").long("server").short('b'))
                    .arg(Arg::new("controller").long("controller").short('C'))
                    .group(
                        ArgGroup::new("who")
                            .args(["server", "controller"])
                            .required(true),
                    )
                    .arg(
                        Arg::new("id")
                            .long("id")
                            .short('i')
                            .value_parser(clap::value_parser!(i32)),
                    )
                    .arg(
                        Arg::new("epoch")
                            .long("epoch")
                            .value_parser(clap::value_parser!(i16)),
                    ),
            )
            .disable_help_subcommand(true)
            .no_binary_name(true)
    }

    fn complaint_of(line: &str) -> String {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let error = command().try_get_matches_from(&args).unwrap_err();
        complaint(&error, &chosen(command(), &args))
    }

    #[test]
    fn complaints_are_upstreams() {
        let said = |line| complaint_of(line);
        assert_eq!(said(""), "too few arguments");
        assert_eq!(said("format"), "argument --cluster-id/-t is required");
        assert_eq!(said("format -t x"), "argument --config/-c is required");
        assert_eq!(
            said("format -t x -c"),
            "argument --config/-c: expected one argument"
        );
        assert_eq!(said("info foo"), "unrecognized arguments: 'foo'");
        assert_eq!(
            said("nonsense"),
            "invalid choice: 'nonsense' (choose from 'format', 'info', 'ask')"
        );
        assert_eq!(
            said("ask"),
            "one of the arguments --server/-b --controller/-C is required"
        );
        assert_eq!(
            said("ask -b x -i y"),
            "argument --id/-i: could not convert 'y' to Integer (For input string: \"y\")"
        );
        assert_eq!(
            said("ask -b x --epoch 70000"),
            "argument --epoch: could not convert '70000' to Short (Value out of range. \
             Value:\"70000\" Radix:10)"
        );
        assert_eq!(
            said("format -t x -c y -s -N"),
            "argument --nobody/-N: not allowed with argument --standalone/-s"
        );
    }
}
