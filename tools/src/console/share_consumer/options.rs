//! The options of the console share consumer, and what they ask for.
//!
//! Invariant: options are checked in upstream's order, so that the first thing wrong is the one told.

use std::time::Duration;

use super::printer::{ACCEPT, REJECT, RELEASE};
use crate::client::{Properties, load_properties};
use crate::console::consumer::formatter::Formatter;
use crate::console::consumer::options::{either, formatter, formatting_options};
use crate::console::properties::key_values;
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::Stop;

const ABOUT: &str = "This tool helps to read data from Kafka topics using share groups and outputs it \
                     to standard output.";
/// The group, and the client, of who names none.
const NAME: &str = "console-share-consumer";

/// Pairs of which one is deprecated: the old name and the new one.
const RENAMED: [(&str, &str); 2] = [
    ("consumer-property", "command-property"),
    ("consumer-config", "command-config"),
];
const RENAMED_OF_FORMATTER: (&str, &str) = ("property", "formatter-property");

/// What is to be consumed, and how.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) bootstrap: String,
    pub(super) topic: String,
    pub(super) properties: Properties,
    pub(super) formatter: Formatter,
    /// How records are acknowledged.
    pub(super) kind: i8,
    pub(super) rejects_errors: bool,
    /// These two are read when all else is well.
    pub(super) max_messages: Result<Option<u64>, Failure>,
    pub(super) timeout: Result<Option<Duration>, Failure>,
    pub(super) tells_events: bool,
}

pub(super) fn options() -> Options {
    formatting_options(Options::new())
        .values(&[
            (
                "bootstrap-server",
                "String: server to connect to",
                "REQUIRED: The brokers to connect to, as HOST1:PORT1,HOST2:PORT2.",
            ),
            ("topic", "String: topic", "REQUIRED: The topic to consume."),
            (
                "group",
                "String: share group id",
                "The share group. (default: console-share-consumer)",
            ),
            (
                "max-messages",
                "Integer: num_messages",
                "How many records to print before the end. Without it there is none.",
            ),
            (
                "timeout-ms",
                "Integer: timeout_ms",
                "Ends when there is no record for so long.",
            ),
            (
                "consumer-property",
                "String: consumer_prop",
                "(DEPRECATED) As --command-property, which is to be used instead.",
            ),
            (
                "command-property",
                "String: consumer_prop",
                "key=value for the consumer.",
            ),
            (
                "consumer-config",
                "String: config file",
                "(DEPRECATED) As --command-config, which is to be used instead.",
            ),
            (
                "command-config",
                "String: config file",
                "A properties file for the consumer; --command-property wins over it.",
            ),
        ])
        .flags(&[
            (
                "reject",
                "Records are rejected: the group will not see them again.",
            ),
            (
                "release",
                "Records are released: they are delivered again, to this consumer or another one.",
            ),
            (
                "reject-message-on-error",
                "Rejects a record that cannot be printed, and goes on.",
            ),
            (
                "enable-systest-events",
                "Prints a line when the consumer has shut down.",
            ),
        ])
}

/// Reads the command line.
pub(super) fn read(options: &Options, args: &[String]) -> Result<Wanted, Stop> {
    let usage = |message: &str| Stop::Usage(message.to_owned());
    let parsed = options
        .parse(args)
        .map_err(|failure| usage(&failure.to_string()))?;
    options.help_or_version(args, &parsed, ABOUT)?;
    if !parsed.has("topic") {
        return Err(usage("--topic is a required argument"));
    }
    options.require(&parsed, &["bootstrap-server"])?;
    if parsed.has("reject") && parsed.has("release") {
        return Err(usage(
            "At most one of --reject and --release may be specified.",
        ));
    }
    for names in RENAMED {
        check_renamed(&parsed, names)?;
    }
    RENAMED
        .iter()
        .for_each(|names| tell_renamed(&parsed, *names));
    let properties = consumer_properties(&parsed)?;
    check_renamed(&parsed, RENAMED_OF_FORMATTER)?;
    tell_renamed(&parsed, RENAMED_OF_FORMATTER);
    let formatter = formatter(&parsed).map_err(|failure| usage(&failure.to_string()))?;
    let text = |name| Ok::<_, Failure>(parsed.value(name)?.unwrap_or_default().to_owned());
    Ok(Wanted {
        bootstrap: text("bootstrap-server")?,
        topic: text("topic")?,
        properties,
        formatter,
        kind: if parsed.has("reject") {
            REJECT
        } else if parsed.has("release") {
            RELEASE
        } else {
            ACCEPT
        },
        rejects_errors: parsed.has("reject-message-on-error"),
        max_messages: parsed.number("max-messages").map(bound),
        timeout: parsed.number::<i32>("timeout-ms").map(|ms| {
            let ms = ms.and_then(|ms| u64::try_from(ms).ok());
            ms.map(Duration::from_millis)
        }),
        tells_events: parsed.has("enable-systest-events"),
    })
}

/// -1 is no bound; any other number below 0 is reached before the first record.
fn bound(max: Option<i32>) -> Option<u64> {
    max.filter(|max| *max != -1)
        .map(|max| u64::try_from(max).unwrap_or(0))
}

fn check_renamed(parsed: &Parsed, (old, new): (&str, &str)) -> Result<(), Stop> {
    if parsed.has(old) && parsed.has(new) {
        return Err(Stop::Usage(format!(
            "Options --{old} and --{new} cannot be specified together."
        )));
    }
    Ok(())
}

fn tell_renamed(parsed: &Parsed, (old, new): (&str, &str)) {
    if parsed.has(old) {
        print::line(format!(
            "Option --{old} is deprecated and will be removed in a future version. Use --{new} \
             instead."
        ));
    }
}

fn consumer_properties(parsed: &Parsed) -> Result<Properties, Stop> {
    let file = either(parsed, "consumer-config", "command-config");
    let mut properties = match file.first() {
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    let words = key_values(either(parsed, "consumer-property", "command-property"));
    let places = [
        parsed.value("group")?.map(str::to_owned),
        properties.get("group.id").cloned(),
        words.get("group.id").cloned(),
    ];
    let mut groups: Vec<String> = places.into_iter().flatten().collect();
    groups.sort();
    groups.dedup();
    if groups.len() > 1 {
        let shown: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        return Err(Stop::Usage(format!(
            "The group ids provided in different places (directly using '--group', via \
             '--consumer-property', or via '--consumer-config') do not match. Detected group ids: {}",
            shown.join(", ")
        )));
    }
    properties.extend(words);
    properties
        .entry("client.id".to_owned())
        .or_insert_with(|| NAME.to_owned());
    let group = groups.pop().unwrap_or_else(|| NAME.to_owned());
    properties.insert("group.id".to_owned(), group);
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> Result<Wanted, Stop> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        read(&options(), &words)
    }

    #[test]
    fn what_is_wrong_is_said_in_upstreams_words() {
        for (line, said) in [
            ("--bootstrap-server a:1", "--topic is a required argument"),
            (
                "--topic t",
                "Missing required argument \"[bootstrap-server]\"",
            ),
            (
                "--bootstrap-server a:1 --topic t --reject --release",
                "At most one of --reject and --release may be specified.",
            ),
            (
                "--bootstrap-server a:1 --topic t --formatter foo.Bar",
                "foo.Bar",
            ),
        ] {
            let Err(Stop::Usage(message)) = wanted(line) else {
                panic!("{line}");
            };
            assert_eq!(message, said, "{line}");
        }
    }

    #[test]
    fn minus_one_is_no_bound_and_less_is_reached_at_once() {
        let max = |text| {
            let line = format!("--bootstrap-server a:1 --topic t --max-messages {text}");
            wanted(&line).unwrap().max_messages
        };
        assert_eq!(max("3").unwrap(), Some(3));
        assert_eq!(max("-1").unwrap(), None);
        assert_eq!(max("-2").unwrap(), Some(0));
        assert!(max("x").is_err());
    }

    #[test]
    fn who_names_no_group_is_in_one_with_the_others() {
        let wanted = wanted("--bootstrap-server a:1 --topic t").unwrap();
        assert_eq!(wanted.properties.get("group.id").unwrap(), NAME);
        assert_eq!(wanted.kind, ACCEPT);
    }
}
