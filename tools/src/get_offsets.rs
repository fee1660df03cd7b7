//! `kafka-get-offsets`: offsets of partitions, at a point in time or at an end of their logs.
//!
//! Invariant: a partition whose offset cannot be had is named on standard error, and the others are printed.

mod filter;

use std::process::ExitCode;

use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::{
    BrokerId, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, TopicName,
};
use protocol::{ErrorCode, StrBytes, TopicPartition};

use crate::bootstrap;
use crate::client::{Client, Properties, Target, block_on, load_properties};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print::Output;
use crate::stop::{Stop, finish};
use filter::Filter;

const ABOUT: &str = "An interactive shell for getting topic-partition offsets.";
pub(crate) const NO_OFFSET: i64 = -1;

/// What stands for a point in a log, where it is no time: its names and the first version of
/// ListOffsets that knows it.
const POINTS: [(i64, &str, i16); 6] = [
    (-1, "latest", 1),
    (-2, "earliest", 1),
    (-3, "max-timestamp", 7),
    (-4, "earliest-local", 8),
    (-5, "latest-tiered", 9),
    (-6, "earliest-pending-upload", 11),
];

fn options() -> Options {
    Options::new()
        .value(
            "bootstrap-server",
            "String: HOST1:PORT1,...,HOST3:PORT3",
            "REQUIRED. The brokers to ask, as HOST1:PORT1,HOST2:PORT2.",
        )
        .value(
            "topic-partitions",
            "String: topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
            "Patterns of partitions, separated by commas. Each is a regular expression for the topic \
             (any topic where it is left out), then perhaps a colon and a partition: a number, \
             FROM-TO with TO excluded, FROM- or -TO.",
        )
        .value(
            "topic",
            "String: topic",
            "The topic to ask for, or a regular expression for topics; all topics if left out. Not \
             with --topic-partitions.",
        )
        .value(
            "partitions",
            "String: partition ids",
            "Partition ids, separated by commas; all partitions if left out. Not with \
             --topic-partitions.",
        )
        .value(
            "time",
            "String: <timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or \
             earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload",
            "The first offset at or after that time, in milliseconds since 1970, or a point in the \
             log. There is none where no record is that young. (default: latest)",
        )
        .value(
            "command-config",
            "String: config file",
            "A properties file for the admin client.",
        )
        .flag(
            "exclude-internal-topics",
            "Leaves internal topics out, which are asked for otherwise.",
        )
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options();
    let result = execute(&options, args);
    finish(result, &options, |failure| {
        crate::complain!("Error occurred: {failure}\n{}\n", failure.trace());
    })
}

/// A failure that upstream tells without a stack trace.
fn terse(message: impl std::fmt::Display) -> Stop {
    Stop::Message(format!("Error occurred: {message}"))
}

fn execute(options: &Options, args: &[String]) -> Result<(), Stop> {
    if args.is_empty() {
        return Err(Stop::Usage(ABOUT.to_owned()));
    }
    let parsed = options.parse(args).map_err(terse)?;
    options.help_or_version(args, &parsed, ABOUT)?;
    options.require(&parsed, &["bootstrap-server"])?;
    let bootstrap = parsed.value("bootstrap-server")?.unwrap_or_default();
    bootstrap::check(bootstrap)?;
    let filter = filter_of(&parsed)?;
    let time = time_of(parsed.value("time")?.unwrap_or("latest"))?;
    let mut properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    properties.insert("client.id".to_owned(), "GetOffsetShell".to_owned());
    let without_internal = parsed.has("exclude-internal-topics");
    block_on(async {
        let client = Client::admin(bootstrap, &properties)?;
        let partitions = partitions(&client, &filter, without_internal).await?;
        if partitions.is_empty() {
            return Err(terse(
                "Could not match any topic-partitions with the specified filters",
            ));
        }
        print_offsets(&client, partitions, time).await;
        Ok(())
    })
}

fn filter_of(parsed: &Parsed) -> Result<Filter, Stop> {
    let Some(patterns) = parsed.value("topic-partitions")? else {
        let topic = parsed.value("topic")?.unwrap_or(".*");
        let partitions = parsed.value("partitions")?.unwrap_or_default();
        return Filter::of_topics_and_partitions(topic, partitions);
    };
    if parsed.has("topic") || parsed.has("partitions") {
        return Err(terse(
            "--topic-partitions cannot be used with --topic or --partitions",
        ));
    }
    Ok(Filter::of_patterns(patterns)?)
}

fn time_of(text: &str) -> Result<i64, Stop> {
    let point = POINTS.iter().find(|(_, name, _)| *name == text);
    match point {
        Some((time, ..)) => Ok(*time),
        None => text.parse().map_err(|_| {
            terse(format!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or \
                 max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or \
                 earliest-pending-upload, or a specified long format timestamp"
            ))
        }),
    }
}

/// What `get` of a Java future throws for a failed call.
fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}

/// The partitions that the filter takes, in the order in which they are printed.
async fn partitions(
    client: &Client,
    filter: &Filter,
    without_internal: bool,
) -> Result<Vec<TopicPartition>, Failure> {
    let build = |_| {
        Ok(MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false))
    };
    let metadata: MetadataResponse = client
        .call("listTopics", Target::Any, build, Ok)
        .await
        .map_err(executed)?;
    let mut partitions = Vec::new();
    for topic in &metadata.topics {
        let Some(name) = &topic.name else { continue };
        if (topic.is_internal && without_internal) || !filter.takes_topic(name) {
            continue;
        }
        let ids = topic.partitions.iter().map(|row| row.partition_index);
        partitions.extend(
            ids.filter(|id| filter.takes(name, *id))
                .map(|id| TopicPartition::new(name.as_str(), id)),
        );
    }
    partitions.sort_by_cached_key(TopicPartition::to_string);
    Ok(partitions)
}

async fn print_offsets(client: &Client, partitions: Vec<TopicPartition>, time: i64) {
    let mut output = Output::stdout();
    for partition in partitions {
        match offset(client, &partition, time).await {
            Ok(NO_OFFSET) => {}
            Ok(offset) => output.line(format!(
                "{}:{}:{offset}",
                partition.topic, partition.partition
            )),
            Err(failure) => crate::complain!(
                "Skip getting offsets for topic-partition {partition} due to error: {}",
                failure.named()
            ),
        }
    }
}

pub(crate) async fn offset(
    client: &Client,
    partition: &TopicPartition,
    time: i64,
) -> Result<i64, Failure> {
    let needed = POINTS.iter().find(|(point, ..)| *point == time);
    let needed = needed.map_or(1, |(_, _, version)| *version);
    let build = |version| {
        if version < needed {
            return Err(Failure::of(ErrorCode::UnsupportedVersion, None));
        }
        let row = ListOffsetsPartition::default()
            .with_partition_index(partition.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(time);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(
                partition.topic.to_string(),
            )))
            .with_partitions(vec![row]);
        Ok(ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic])
            .with_timeout_ms(client.settings().request_timeout.as_millis() as i32))
    };
    let read = |answer: ListOffsetsResponse| {
        let mut rows = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let row = rows
            .next()
            .ok_or_else(|| Failure::of(ErrorCode::UnknownServerError, None))?;
        match Failure::from_answer(row.error_code, None) {
            Some(failure) => Err(failure),
            None => Ok(row.offset),
        }
    };
    let leader = Target::Leader(partition);
    let name = format!("listOffsets on broker of {partition}");
    client.call(&name, leader, build, read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_or_a_name() {
        assert_eq!(time_of("earliest").unwrap(), -2);
        assert_eq!(time_of("-5").unwrap(), -5);
        assert_eq!(time_of("1700000000000").unwrap(), 1_700_000_000_000);
        for text in ["", "now", "1.5"] {
            assert!(matches!(time_of(text), Err(Stop::Message(_))), "{text}");
        }
    }
}
