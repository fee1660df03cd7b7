//! The command line of `kafka-transactions`.
//!
//! Invariant: names, short names and kinds of values are upstream's.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// The tool and its subcommands.
pub(super) fn command() -> Command {
    let broker = || number("broker-id", "The broker to ask.").value_parser(value_parser!(i32));
    let topic = || value("topic", "The topic's name.");
    let partition =
        || number("partition", "The partition's number.").value_parser(value_parser!(i32));
    Command::new("kafka-transactions.sh")
        .about("Shows transactions, and finds and ends those that hang.")
        .subcommand_required(true)
        .arg(
            Arg::new("version")
                .long("version")
                .short('v')
                .help("Shows the version.")
                .action(ArgAction::SetTrue),
        )
        .arg(value(
            "command-config",
            "A file with settings of the client.",
        ))
        .arg(value("bootstrap-server", "Brokers to ask first, host:port.").required(true))
        .subcommand(
            Command::new("list")
                .about("Lists transactions.")
                .arg(
                    number("duration-filter", "Only those that run longer, in ms.")
                        .value_parser(value_parser!(i64)),
                )
                .arg(value(
                    "transactional-id-pattern",
                    "Only ids that match the regular expression.",
                )),
        )
        .subcommand(
            Command::new("describe")
                .about("Describes the transaction of a transactional id.")
                .arg(value("transactional-id", "The transactional id.").required(true)),
        )
        .subcommand(
            Command::new("describe-producers")
                .about("Describes the producers of a partition.")
                .arg(broker())
                .arg(topic().required(true))
                .arg(partition().required(true)),
        )
        .subcommand(abort(topic().required(true), partition().required(true)))
        .subcommand(
            Command::new("find-hanging")
                .about("Finds transactions that hang.")
                .arg(broker())
                .arg(
                    number("max-transaction-timeout", "Only those older, in minutes.")
                        .value_parser(value_parser!(i32))
                        .default_value("15"),
                )
                .arg(topic())
                .arg(partition()),
        )
        .subcommand(
            Command::new("forceTerminateTransaction")
                .about("Ends the open transaction of a transactional id.")
                .arg(value("transactionalId", "The transactional id.").required(true)),
        )
}

fn abort(topic: Arg, partition: Arg) -> Command {
    Command::new("abort")
        .about("Ends a transaction that hangs in a partition.")
        .arg(topic)
        .arg(partition)
        .arg(
            number(
                "start-offset",
                "Where the transaction begins (brokers from 3.0).",
            )
            .value_parser(value_parser!(i64)),
        )
        .arg(
            number("producer-id", "The producer's id (older brokers).")
                .value_parser(value_parser!(i64)),
        )
        .arg(
            number("producer-epoch", "The producer's epoch (older brokers).")
                .value_parser(value_parser!(i16)),
        )
        .arg(
            number(
                "coordinator-epoch",
                "The coordinator's epoch (older brokers).",
            )
            .value_parser(value_parser!(i32)),
        )
}

fn value(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help)
}

fn number(name: &'static str, help: &'static str) -> Arg {
    value(name, help).allow_negative_numbers(true)
}

/// Whether the version is wanted: said before the subcommand.
pub(super) fn asks_for_version(args: &[String]) -> bool {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-v" | "--version" => return true,
            // Their values are no words of their own.
            "--bootstrap-server" | "--command-config" => drop(words.next()),
            word if word.starts_with('-') => {}
            _ => return false,
        }
    }
    false
}

/// The value of an option.
pub(super) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_without_anything_else() {
        let asks = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            asks_for_version(&args)
        };
        assert!(asks("-v") && asks("--bootstrap-server -h:1 --version list"));
        assert!(!asks("--bootstrap-server -v list") && !asks("list -v"));
    }

    #[test]
    fn the_command_line_is_a_sound_one() {
        command().debug_assert();
    }
}
