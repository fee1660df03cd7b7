//! The options of the console consumer, and what they ask for.
//!
//! Invariant: options are checked in upstream's order, so that the first thing wrong is the one told.

use std::time::Duration;

use protocol::TopicPartition;
use rand::Rng;
use regex::Regex;

use super::fetcher::Start;
use super::formatter::Formatter;
use super::membership::Topics;
use crate::client::{Properties, load_properties};
use crate::console::properties::{key_values, merge};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::Stop;

const ABOUT: &str =
    "This tool helps to read data from Kafka topics and outputs it to standard output.";
const DEFAULT_FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

const FORMATTER_PROPERTIES: &str = "key=value for the formatter. The keys:\n \
     print.timestamp=true|false\n print.key=true|false\n print.offset=true|false\n \
     print.epoch=true|false\n print.partition=true|false\n print.headers=true|false\n \
     print.value=true|false\n key.separator=<key.separator>\n line.separator=<line.separator>\n \
     headers.separator=<headers.separator>\n null.literal=<null.literal>\n \
     key.deserializer=<key.deserializer>\n value.deserializer=<value.deserializer>\n \
     headers.deserializer=<headers.deserializer>";

/// Pairs of which one is deprecated: the old name and the new one.
const RENAMED: [(&str, &str); 3] = [
    ("property", "formatter-property"),
    ("consumer-property", "command-property"),
    ("consumer.config", "command-config"),
];

/// What is to be consumed, and how.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) bootstrap: String,
    pub(super) properties: Properties,
    pub(super) from: From,
    pub(super) formatter: Formatter,
    pub(super) max_messages: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) skips_errors: bool,
    pub(super) tells_events: bool,
}

#[derive(Debug)]
pub(super) enum From {
    Partition(TopicPartition, Start),
    Topics(Topics),
}

pub(super) fn options() -> Options {
    formatting_options(reading_options(Options::new()))
        .value(
            "bootstrap-server",
            "String: server to connect to",
            "REQUIRED: The brokers to connect to, as HOST1:PORT1,HOST2:PORT2.",
        )
        .value(
            "consumer-property",
            "String: consumer_prop",
            "(DEPRECATED) As --command-property, which is to be used instead.",
        )
        .value(
            "command-property",
            "String: consumer_prop",
            "key=value for the consumer.",
        )
        .value(
            "consumer.config",
            "String: config file",
            "(DEPRECATED) As --command-config, which is to be used instead.",
        )
        .value(
            "command-config",
            "String: config file",
            "A properties file for the consumer; --command-property wins over it.",
        )
        .flag(
            "enable-systest-events",
            "Prints a line when the consumer has shut down.",
        )
}

/// How records are printed, by the consumers of groups of either type.
pub(in crate::console) fn formatting_options(options: Options) -> Options {
    options
        .value(
            "formatter",
            "String: class",
            "The class that prints records. (default: \
             org.apache.kafka.tools.consumer.DefaultMessageFormatter)",
        )
        .value(
            "property",
            "String: prop",
            "(DEPRECATED) As --formatter-property, which is to be used instead.",
        )
        .value("formatter-property", "String: prop", FORMATTER_PROPERTIES)
        .value(
            "formatter-config",
            "String: config file",
            "A properties file for the formatter; --formatter-property wins over it.",
        )
        .value(
            "key-deserializer",
            "String: deserializer for keys",
            "The class that reads keys.",
        )
        .value(
            "value-deserializer",
            "String: deserializer for values",
            "The class that reads values.",
        )
}

fn reading_options(options: Options) -> Options {
    options
        .value("topic", "String: topic", "The topic to consume.")
        .value(
            "include",
            "String: Java regex (String)",
            "A regular expression for the topics to consume.",
        )
        .value(
            "partition",
            "Integer: partition",
            "The partition to consume, from its end unless --offset says otherwise.",
        )
        .value(
            "offset",
            "String: consume offset",
            "Where to begin: an offset, earliest or latest. (default: latest)",
        )
        .flag(
            "from-beginning",
            "Begins with the earliest record where no offset was committed, and not with the next.",
        )
        .value(
            "max-messages",
            "Integer: num_messages",
            "How many records to print before the end. Without it there is none.",
        )
        .value(
            "timeout-ms",
            "Long: timeout_ms",
            "Ends when there is no record for so long.",
        )
        .flag(
            "skip-message-on-error",
            "Goes on behind a record that cannot be printed.",
        )
        .value(
            "isolation-level",
            "String",
            "read_committed leaves out what is not committed. (default: read_uncommitted)",
        )
        .value(
            "group",
            "String: consumer group id",
            "The group to consume in.",
        )
}

/// Reads the command line.
pub(super) fn read(options: &Options, args: &[String]) -> Result<Wanted, Stop> {
    let parsed = options
        .parse(args)
        .map_err(|failure| Stop::Usage(failure.to_string()))?;
    options.help_or_version(args, &parsed, ABOUT)?;
    options.one_of(&parsed, &["topic", "include"])?;
    let partition: Option<i32> = parsed.number("partition")?;
    check_partition(&parsed, partition)?;
    options.require(&parsed, &["bootstrap-server"])?;
    check_renamed(&parsed)?;
    let properties = consumer_properties(&parsed, partition)?;
    let start = start(&parsed)?;
    let timeout: Option<i64> = parsed.number("timeout-ms")?;
    let formatter = formatter(&parsed).map_err(|failure| Stop::Usage(failure.to_string()))?;
    let from = match (parsed.value("topic")?, partition) {
        (Some(topic), Some(partition)) => {
            From::Partition(TopicPartition::new(topic, partition), start)
        }
        (Some(topic), None) => From::Topics(Topics::Names(vec![topic.to_owned()])),
        (None, _) => From::Topics(pattern(parsed.value("include")?.unwrap_or_default())?),
    };
    // -1, or any other number below 0, is no bound.
    let max_messages: Option<i32> = parsed.number("max-messages")?;
    Ok(Wanted {
        bootstrap: parsed
            .value("bootstrap-server")?
            .unwrap_or_default()
            .to_owned(),
        properties,
        from,
        formatter,
        max_messages: max_messages.and_then(|max| u64::try_from(max).ok()),
        timeout: timeout
            .and_then(|ms| u64::try_from(ms).ok())
            .map(Duration::from_millis),
        skips_errors: parsed.has("skip-message-on-error"),
        tells_events: parsed.has("enable-systest-events"),
    })
}

fn check_partition(parsed: &Parsed, partition: Option<i32>) -> Result<(), Stop> {
    let message = if partition.is_some() {
        if !parsed.has("topic") {
            "The topic is required when partition is specified."
        } else if parsed.has("from-beginning") && parsed.has("offset") {
            "Options from-beginning and offset cannot be specified together."
        } else {
            return Ok(());
        }
    } else if parsed.has("offset") {
        "The partition is required when offset is specified."
    } else {
        return Ok(());
    };
    Err(Stop::Usage(message.to_owned()))
}

fn check_renamed(parsed: &Parsed) -> Result<(), Stop> {
    for (old, new) in RENAMED {
        if parsed.has(old) && parsed.has(new) {
            return Err(Stop::Usage(format!(
                "Options --{old} and --{new} cannot be specified together."
            )));
        }
        if parsed.has(old) {
            print::line(format!(
                "Option --{old} is deprecated and will be removed in a future version. Use --{new} \
                 instead."
            ));
        }
    }
    Ok(())
}

/// The values of an option under its old or its new name.
pub(in crate::console) fn either<'p>(parsed: &'p Parsed, old: &str, new: &str) -> &'p [String] {
    match parsed.values(new) {
        [] => parsed.values(old),
        values => values,
    }
}

fn consumer_properties(parsed: &Parsed, partition: Option<i32>) -> Result<Properties, Stop> {
    let file = either(parsed, "consumer.config", "command-config");
    let mut properties = match file.first() {
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    let words = key_values(either(parsed, "consumer-property", "command-property"));
    let group = group(parsed, &properties, &words, partition)?;
    properties.extend(words);
    set_reset(&mut properties, parsed.has("from-beginning"))?;
    properties
        .entry("client.id".to_owned())
        .or_insert_with(|| "console-consumer".to_owned());
    merge(
        &mut properties,
        "isolation.level",
        parsed,
        "isolation-level",
        "read_uncommitted",
    )?;
    let group = group.unwrap_or_else(|| {
        // A group that nobody will ask for again needs no offsets.
        properties
            .entry("enable.auto.commit".to_owned())
            .or_insert_with(|| "false".to_owned());
        format!("console-consumer-{}", rand::rng().random_range(0..100_000))
    });
    properties.insert("group.id".to_owned(), group);
    Ok(properties)
}

/// The group's id, which may stand in several places but must be the same in all.
fn group(
    parsed: &Parsed,
    file: &Properties,
    words: &Properties,
    partition: Option<i32>,
) -> Result<Option<String>, Stop> {
    let places = [
        parsed.value("group")?.map(str::to_owned),
        file.get("group.id").cloned(),
        words.get("group.id").cloned(),
    ];
    let mut groups: Vec<String> = places.into_iter().flatten().collect();
    groups.sort();
    groups.dedup();
    if groups.len() > 1 {
        let shown: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        return Err(Stop::Usage(format!(
            "The group ids provided in different places (directly using '--group', via \
             '--consumer-property', or via '--consumer.config') do not match. Detected group ids: {}",
            shown.join(", ")
        )));
    }
    if !groups.is_empty() && partition.is_some() {
        return Err(Stop::Usage(
            "Options group and partition cannot be specified together.".to_owned(),
        ));
    }
    Ok(groups.pop())
}

fn set_reset(properties: &mut Properties, from_beginning: bool) -> Result<(), Stop> {
    const NAME: &str = "auto.offset.reset";
    match properties.get(NAME) {
        Some(reset) if from_beginning && reset != "earliest" => Err(Stop::Message(format!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please \
             remove one option"
        ))),
        Some(_) => Ok(()),
        None => {
            let reset = if from_beginning { "earliest" } else { "latest" };
            properties.insert(NAME.to_owned(), reset.to_owned());
            Ok(())
        }
    }
}

fn start(parsed: &Parsed) -> Result<Start, Stop> {
    let Some(text) = parsed.value("offset")? else {
        return Ok(if parsed.has("from-beginning") {
            Start::Earliest
        } else {
            Start::Latest
        });
    };
    match text.to_lowercase().as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        _ => match text.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(Start::At(offset)),
            Ok(_) | Err(_) => Err(Stop::Usage(format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
                 'latest', or a non-negative long."
            ))),
        },
    }
}

pub(in crate::console) fn formatter(parsed: &Parsed) -> Result<Formatter, Failure> {
    let class = parsed.value("formatter")?.unwrap_or(DEFAULT_FORMATTER);
    let mut properties = match parsed.value("formatter-config")? {
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    for option in ["key-deserializer", "value-deserializer"] {
        if let Some(class) = parsed.value(option)?.filter(|class| !class.is_empty()) {
            properties.insert(option.replace('-', "."), class.to_owned());
        }
    }
    properties.extend(key_values(either(parsed, "property", "formatter-property")));
    Formatter::of_class(class, &properties)
}

/// A whole name of a topic must match.
fn pattern(text: &str) -> Result<Topics, Failure> {
    let pattern = Regex::new(&format!("^(?:{text})$"));
    pattern
        .map(Topics::Pattern)
        .map_err(|error| Failure::new("java.util.regex.PatternSyntaxException", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> Result<Wanted, Stop> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        read(&options(), &words)
    }

    fn message(line: &str) -> String {
        match wanted(line) {
            Err(Stop::Usage(message) | Stop::Message(message)) => message,
            Err(Stop::Failed(failure)) => failure.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// As upstream 4.3.1 was seen to answer.
    #[test]
    fn what_is_wrong_is_said_in_upstreams_words() {
        for (line, said) in [
            (
                "--bootstrap-server a:1",
                "Exactly one of the following arguments is required: [topic], [include]",
            ),
            (
                "--topic t",
                "Missing required argument \"[bootstrap-server]\"",
            ),
            (
                "--bootstrap-server a:1 --topic t --offset 3",
                "The partition is required when offset is specified.",
            ),
            (
                "--bootstrap-server a:1 --topic t --group g --partition 0",
                "Options group and partition cannot be specified together.",
            ),
            (
                "--bootstrap-server a:1 --topic t --partition 0 --offset -3",
                "The provided offset value '-3' is incorrect. Valid values are 'earliest', 'latest', \
                 or a non-negative long.",
            ),
            (
                "--bootstrap-server a:1 --topic t --formatter foo.Bar",
                "foo.Bar",
            ),
            (
                "--bootstrap-server a:1 --topic t --partition x",
                "Cannot parse argument 'x' of option partition",
            ),
        ] {
            assert_eq!(message(line), said, "{line}");
        }
    }

    #[test]
    fn a_group_of_its_own_commits_nothing() {
        let wanted = wanted("--bootstrap-server a:1 --topic t --from-beginning").unwrap();
        let property = |name: &str| wanted.properties.get(name).unwrap().clone();
        assert!(property("group.id").starts_with("console-consumer-"));
        assert_eq!(property("enable.auto.commit"), "false");
        assert_eq!(property("auto.offset.reset"), "earliest");
    }
}
