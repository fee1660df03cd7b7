//! `kafka-delete-records`: cuts the front of partitions up to an offset.
//!
//! Invariant: the file is read and checked as a whole before anything is deleted.

use std::collections::BTreeMap;
use std::process::ExitCode;

use protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};
use protocol::{ErrorCode, StrBytes, TopicPartition};
use serde_json::Value;

use crate::client::{Client, Properties, Target, block_on, load_properties};
use crate::failure::Failure;
use crate::options::Options;
use crate::print;
use crate::stop::{Stop, finish};

const ABOUT: &str =
    "This tool helps to delete records of the given partitions down to the specified offset.";
const OPERATION_EXCEPTION: &str = "org.apache.kafka.tools.AdminOperationException";
const MAPPING_EXCEPTION: &str = "com.fasterxml.jackson.databind.JsonMappingException";
/// The only format of the file there ever was.
const VERSION: i64 = 1;

fn options() -> Options {
    Options::new()
        .value(
            "bootstrap-server",
            "String: server(s) to use for bootstrapping",
            "REQUIRED: The broker to ask.",
        )
        .value(
            "offset-json-file",
            "String: Offset json file path",
            "REQUIRED: A JSON file with an offset for each partition, in the form\n\
             {\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1, \"offset\": 1}],\n \
             \"version\":1\n}",
        )
        .value(
            "command-config",
            "String: command config property file path",
            "A properties file for the admin client.",
        )
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options();
    let result = execute(&options, args);
    finish(result, &options, |failure| {
        crate::complain!("{failure}\n{}\n", failure.trace());
    })
}

fn execute(options: &Options, args: &[String]) -> Result<(), Stop> {
    let parsed = options.parse(args)?;
    options.help_or_version(args, &parsed, ABOUT)?;
    options.require(&parsed, &["bootstrap-server", "offset-json-file"])?;
    let properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    let bootstrap = parsed.value("bootstrap-server")?.unwrap_or_default();
    let path = parsed.value("offset-json-file")?.unwrap_or_default();
    block_on(async {
        let client = Client::admin(bootstrap, &properties)?;
        let offsets = unique(offsets_in(&read(path)?)?)?;
        print::line("Executing records delete operation");
        delete(&client, &offsets).await;
        Ok(())
    })
}

fn read(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let cause = if error.kind() == std::io::ErrorKind::NotFound {
            Failure::new("java.nio.file.NoSuchFileException", path)
        } else {
            Failure::new("java.io.IOException", format!("{path}: {error}"))
        };
        cause.within("java.io.IOException", format!("Unable to read file {path}"))
    })
}

/// What the file asks for, in its order.
fn offsets_in(text: &str) -> Result<Vec<(TopicPartition, i64)>, Failure> {
    let file: Value = serde_json::from_str(text)
        .map_err(|_| Failure::new(OPERATION_EXCEPTION, "The input string is not a valid JSON"))?;
    let file = file
        .as_object()
        .ok_or_else(|| expected("JSON object", &file))?;
    let version = match file.get("version") {
        Some(version) => integer(version)?.into(),
        None => VERSION,
    };
    if version != VERSION {
        return Err(Failure::new(
            OPERATION_EXCEPTION,
            format!("Not supported version field value {version}"),
        ));
    }
    let partitions = file
        .get("partitions")
        .ok_or_else(|| Failure::new(OPERATION_EXCEPTION, "Missing partitions field"))?;
    let partitions = partitions
        .as_array()
        .ok_or_else(|| expected("JSON array", partitions))?;
    partitions.iter().map(offset_in).collect()
}

fn offset_in(entry: &Value) -> Result<(TopicPartition, i64), Failure> {
    let entry = entry
        .as_object()
        .ok_or_else(|| expected("JSON object", entry))?;
    let field = |name: &str| {
        entry.get(name).ok_or_else(|| {
            Failure::new(MAPPING_EXCEPTION, format!("No such field exists: `{name}`"))
        })
    };
    let topic = field("topic")?;
    let topic = topic
        .as_str()
        .ok_or_else(|| expected("`String` value", topic))?;
    let partition = integer(field("partition")?)?;
    let offset = field("offset")?;
    let offset = offset
        .as_i64()
        .ok_or_else(|| expected("`Long` value", offset))?;
    Ok((TopicPartition::new(topic, partition), offset))
}

fn integer(value: &Value) -> Result<i32, Failure> {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .ok_or_else(|| expected("`Integer` value", value))
}

fn expected(what: &str, found: &Value) -> Failure {
    Failure::new(
        MAPPING_EXCEPTION,
        format!("Expected {what}, received {found}"),
    )
}

fn unique(offsets: Vec<(TopicPartition, i64)>) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let mut unique = BTreeMap::new();
    let mut twice: Vec<String> = Vec::new();
    for (partition, offset) in offsets {
        let name = partition.to_string();
        if unique.insert(partition, offset).is_some() && !twice.contains(&name) {
            twice.push(name);
        }
    }
    if twice.is_empty() {
        return Ok(unique);
    }
    Err(Failure::new(
        "org.apache.kafka.tools.AdminCommandFailedException",
        format!(
            "Offset json file contains duplicate topic partitions: {}",
            twice.join(",")
        ),
    ))
}

async fn delete(client: &Client, offsets: &BTreeMap<TopicPartition, i64>) {
    print::line("Records delete operation completed:");
    for (partition, offset) in offsets {
        match delete_one(client, partition, *offset).await {
            Ok(low_watermark) => print::line(format!(
                "partition: {partition}\tlow_watermark: {low_watermark}"
            )),
            Err(failure) => {
                print::line(format!(
                    "partition: {partition}\terror: {}",
                    failure.named()
                ));
            }
        }
    }
}

async fn delete_one(
    client: &Client,
    partition: &TopicPartition,
    offset: i64,
) -> Result<i64, Failure> {
    let build = |_| {
        let row = DeleteRecordsPartition::default()
            .with_partition_index(partition.partition)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(TopicName(StrBytes::from_string(
                partition.topic.to_string(),
            )))
            .with_partitions(vec![row]);
        Ok(DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(client.settings().request_timeout.as_millis() as i32))
    };
    let read = |answer: DeleteRecordsResponse| {
        let mut rows = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let row = rows
            .next()
            .ok_or_else(|| Failure::of(ErrorCode::UnknownServerError, None))?;
        match Failure::from_answer(row.error_code, None) {
            Some(failure) => Err(failure),
            None => Ok(row.low_watermark),
        }
    };
    let leader = Target::Leader(partition);
    client.call("deleteRecords", leader, build, read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_partitions_and_offsets() {
        let text = r#"{"version":1,"partitions":[{"topic":"a","partition":2,"offset":-1}]}"#;
        let offsets = unique(offsets_in(text).unwrap()).unwrap();
        assert_eq!(offsets.get(&TopicPartition::new("a", 2)), Some(&-1));
        assert!(offsets_in(r#"{"partitions":[]}"#).unwrap().is_empty());
    }

    /// As upstream 4.3.1 was seen to answer.
    #[test]
    fn what_is_wrong_in_the_file_is_said_in_upstreams_words() {
        for (text, message) in [
            ("foo", "The input string is not a valid JSON"),
            ("[1]", "Expected JSON object, received [1]"),
            (r#"{"version":1}"#, "Missing partitions field"),
            (r#"{"version":2}"#, "Not supported version field value 2"),
            (
                r#"{"partitions":{"a":1}}"#,
                r#"Expected JSON array, received {"a":1}"#,
            ),
            (
                r#"{"partitions":[{"topic":"a","partition":0}]}"#,
                "No such field exists: `offset`",
            ),
            (
                r#"{"partitions":[{"topic":"a","partition":"0","offset":1}]}"#,
                r#"Expected `Integer` value, received "0""#,
            ),
        ] {
            assert_eq!(offsets_in(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn a_partition_cannot_have_two_offsets() {
        let partition = TopicPartition::new("a", 0);
        let error = unique(vec![(partition.clone(), 1), (partition, 2)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Offset json file contains duplicate topic partitions: a-0"
        );
    }
}
