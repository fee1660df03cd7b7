//! `kafka-log-dirs`: which partitions brokers keep in which folders, as JSON.
//!
//! Invariant: the keys and partitions stand in the order in which upstream's tool prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use protocol::TopicPartition;
use protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use serde_json::json;

use crate::client::{Client, Target, block_on, load_properties};
use crate::failure::Failure;
use crate::java_map::{in_order, partition_hash};
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::{Stop, finish};

const ABOUT: &str = "This tool helps to query log directory usage on the specified brokers.";

fn options() -> Options {
    Options::new()
        .value(
            "bootstrap-server",
            "String: The server(s) to use for bootstrapping",
            "REQUIRED: brokers to ask first.",
        )
        .value(
            "command-config",
            "String: Admin client property file",
            "A file with settings of the client.",
        )
        .flag("describe", "REQUIRED: describe the log directories.")
        .value(
            "topic-list",
            "String: Topic list",
            "Topics, separated by commas; all unless given.",
        )
        .value(
            "broker-list",
            "String: Broker list",
            "Brokers, separated by commas; all unless given.",
        )
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options();
    let result = read(&options, args).and_then(|parsed| describe(&parsed));
    finish(result, &options, |failure| {
        crate::complain!("{failure}\n{}\n", failure.trace())
    })
}

fn read(options: &Options, args: &[String]) -> Result<Parsed, Stop> {
    let parsed = options.parse(args)?;
    options.help_or_version(args, &parsed, ABOUT)?;
    options.require(&parsed, &["bootstrap-server", "describe"])?;
    Ok(parsed)
}

fn describe(parsed: &Parsed) -> Result<(), Stop> {
    let properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => BTreeMap::new(),
    };
    let client = Client::admin(
        parsed.value("bootstrap-server")?.unwrap_or_default(),
        &properties,
    )?;
    let topics: BTreeSet<String> = words(parsed.value("topic-list")?)
        .map(str::to_owned)
        .collect();
    let wanted = words(parsed.value("broker-list")?).map(|word| {
        word.parse::<i32>().map_err(|_| {
            let message = format!("For input string: \"{word}\"");
            Failure::new("java.lang.NumberFormatException", message)
        })
    });
    // As upstream: the cluster is asked first.
    block_on(async {
        let cluster = client.cluster().await.map_err(executed)?;
        let known: BTreeSet<i32> = cluster.nodes.into_keys().collect();
        let wanted: BTreeSet<i32> = wanted.collect::<Result<_, _>>()?;
        let unknown: Vec<i32> = wanted.difference(&known).copied().collect();
        if !unknown.is_empty() {
            return Err(Stop::Message(format!(
                "ERROR: The given brokers do not exist from --broker-list: {}. Current existent \
                 brokers: {}",
                listed(&unknown),
                listed(&known)
            )));
        }
        let asked = if wanted.is_empty() { known } else { wanted };
        print::line("Querying brokers for log directories information");
        let mut brokers = Vec::new();
        for broker in &asked {
            let dirs = ask(&client, *broker).await.map_err(executed)?;
            let dirs: Vec<_> = dirs.iter().map(|dir| shown(dir, &topics)).collect();
            brokers.push(json_object(&[
                ("broker", broker.to_string()),
                ("logDirs", array(&dirs)),
            ]));
        }
        print::line(format!(
            "Received log directory information from brokers {}",
            listed(&asked)
        ));
        print::line(json_object(&[
            ("brokers", array(&brokers)),
            ("version", "1".to_owned()),
        ]));
        Ok(())
    })
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    let words = list.unwrap_or_default().split(',');
    words.filter(|word| !word.is_empty())
}

fn listed<'a>(brokers: impl IntoIterator<Item = &'a i32>) -> String {
    let brokers = brokers.into_iter().map(ToString::to_string);
    brokers.collect::<Vec<_>>().join(",")
}

async fn ask(client: &Client, broker: i32) -> Result<Vec<DescribeLogDirsResult>, Failure> {
    let build = |_| Ok(DescribeLogDirsRequest::default().with_topics(None));
    let read = |answer: DescribeLogDirsResponse| match Failure::from_answer(answer.error_code, None)
    {
        Some(failure) => Err(failure),
        None => Ok(answer.results),
    };
    client
        .call("describeLogDirs", Target::Node(broker), build, read)
        .await
}

fn shown(dir: &DescribeLogDirsResult, topics: &BTreeSet<String>) -> String {
    let of_topics = dir
        .topics
        .iter()
        .filter(|topic| topics.is_empty() || topics.contains(topic.name.as_str()));
    let replicas = of_topics.flat_map(|topic| {
        let name = topic.name.as_str();
        let partitions = topic.partitions.iter();
        partitions.map(move |row| (TopicPartition::new(name, row.partition_index), row))
    });
    let replicas = in_order(replicas.collect(), |(partition, _)| {
        partition_hash(partition)
    });
    let replicas: Vec<String> = replicas
        .into_iter()
        .map(|(partition, row)| {
            json_object(&[
                ("partition", json!(partition.to_string()).to_string()),
                ("size", row.partition_size.to_string()),
                ("offsetLag", row.offset_lag.to_string()),
                ("isFuture", row.is_future_key.to_string()),
            ])
        })
        .collect();
    let error = Failure::from_answer(dir.error_code, None);
    let error = error.map(|failure| failure.class().to_owned());
    json_object(&[
        ("partitions", array(&replicas)),
        ("error", json!(error).to_string()),
        ("logDir", json!(dir.log_dir.as_str()).to_string()),
    ])
}

/// An object whose keys stand in this order: a map of `serde_json` would sort them.
fn json_object(fields: &[(&str, String)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// What `get` of a Java future throws for a failed call.
fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::StrBytes;
    use protocol::messages::TopicName;
    use protocol::messages::describe_log_dirs_response::{
        DescribeLogDirsPartition, DescribeLogDirsTopic,
    };

    #[test]
    fn a_folder_is_shown_as_upstream_shows_it() {
        let rows = [0, 1].map(|index| {
            DescribeLogDirsPartition::default()
                .with_partition_index(index)
                .with_partition_size(7)
        });
        let topic = DescribeLogDirsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("gd")))
            .with_partitions(rows.to_vec());
        let dir = DescribeLogDirsResult::default()
            .with_log_dir(StrBytes::from_static_str("/data"))
            .with_topics(vec![topic]);
        assert_eq!(
            shown(&dir, &BTreeSet::new()),
            r#"{"partitions":[{"partition":"gd-1","size":7,"offsetLag":0,"isFuture":false},{"partition":"gd-0","size":7,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/data"}"#
        );
        let none = BTreeSet::from(["other".to_owned()]);
        assert_eq!(
            shown(&dir, &none),
            r#"{"partitions":[],"error":null,"logDir":"/data"}"#
        );
    }
}
