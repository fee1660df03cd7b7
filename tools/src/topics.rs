//! `kafka-topics`: lists, describes, makes, grows and deletes topics.
//!
//! Invariant: what fails once there is a client is told on standard output, behind upstream's words
//! for it; the exit code is 1.

mod assignment;
mod describe;
mod filter;
mod options;

use std::collections::BTreeMap;
use std::process::ExitCode;

use metadata::config::{java_order, validate_topic};

use crate::admin::topics::{self, NewPartitions, NewTopic};
use crate::client::{Client, block_on, load_properties};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::{Stop, finish};
use filter::matching;

const COLLISIONS: &str = "WARNING: Due to limitations in metric names, topics with a period ('.') or \
                          underscore ('_') could collide. To avoid issues it is best to use either, \
                          but not both.";

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options::options();
    let result = prepare(&options, args).and_then(|(parsed, client)| {
        block_on(act(&parsed, &client)).map_err(|failure| {
            print::line(format!("Error while executing topic command : {failure}"));
            print::log_error(&failure, "org.apache.kafka.tools.TopicCommand");
            Stop::Done(1)
        })
    });
    finish(result, &options, |failure| {
        crate::complain!("{failure}\n{}\n", failure.trace());
    })
}

/// Everything before the cluster is asked for the first time.
fn prepare(options: &Options, args: &[String]) -> Result<(Parsed, Client), Stop> {
    let parsed = options.parse(args)?;
    options::check(options, args, &parsed)?;
    let properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => BTreeMap::new(),
    };
    let bootstrap = parsed.value("bootstrap-server")?.unwrap_or_default();
    let client = Client::admin(bootstrap, &properties)?;
    Ok((parsed, client))
}

async fn act(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    if parsed.has("create") {
        create(parsed, client).await
    } else if parsed.has("alter") {
        alter(parsed, client).await
    } else if parsed.has("list") {
        list(parsed, client).await
    } else if parsed.has("describe") {
        describe::run(parsed, client).await
    } else {
        delete(parsed, client).await
    }
}

async fn list(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    print::line(matching(parsed, client).await?.join("\n"));
    Ok(())
}

/// The topic that options describe, for `--create` and `--alter`.
fn described(parsed: &Parsed) -> Result<NewTopic, Failure> {
    let name = parsed.value("topic")?.unwrap_or_default().to_owned();
    let partitions = parsed.number::<i32>("partitions")?;
    let replication_factor = parsed.number::<i32>("replication-factor")?;
    let assignment = match parsed.value("replica-assignment")? {
        None | Some("") => Vec::new(),
        Some(text) => assignment::parse(text)?,
    };
    let configs = configs_to_add(parsed.values("config"))?;
    if parsed.has("create") {
        if replication_factor.is_some_and(|factor| !(1..=i32::from(i16::MAX)).contains(&factor)) {
            return Err(Failure::illegal_argument(
                "The replication factor must be between 1 and 32767 inclusive",
            ));
        }
        if partitions.is_some_and(|count| count < 1) {
            return Err(Failure::illegal_argument(
                "The partitions must be greater than 0",
            ));
        }
    }
    Ok(NewTopic {
        name,
        partitions,
        replication_factor: replication_factor.and_then(|factor| i16::try_from(factor).ok()),
        assignment,
        configs,
    })
}

/// The configs that `--config name=value` gives, checked as a broker would check them.
fn configs_to_add(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut configs = BTreeMap::new();
    for word in words {
        // As Java splits: what is empty at the end counts for nothing.
        let mut parts: Vec<&str> = word.split('=').map(str::trim).collect();
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let [name, value] = parts.as_slice() else {
            return Err(Failure::illegal_argument(
                "requirement failed: Invalid topic config: all configs to be added must be in the \
                 format \"key=val\".",
            ));
        };
        configs.insert((*name).to_owned(), (*value).to_owned());
    }
    validate_topic(&configs, &metadata::config::Layers::default()).map_err(|invalid| {
        // A value that is none has another exception than a name that is none.
        if invalid.message.starts_with("Invalid value") {
            Failure::new(
                "org.apache.kafka.common.config.ConfigException",
                invalid.message,
            )
        } else {
            Failure::of(invalid.code, Some(&invalid.message))
        }
    })?;
    Ok(configs)
}

async fn create(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let name = parsed.value("topic")?.unwrap_or_default();
    let topic = described(parsed);
    if topic.is_ok() && name.contains(['.', '_']) {
        print::line(COLLISIONS);
    }
    match topics::create(client, &topic?).await {
        Ok(()) => print::line(format!("Created topic {name}.")),
        Err(failure)
            if failure.is(protocol::ErrorCode::TopicAlreadyExists)
                && parsed.has("if-not-exists") => {}
        Err(failure) => return Err(failure),
    }
    Ok(())
}

async fn alter(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let wanted = described(parsed)?;
    let names = matching(parsed, client).await?;
    filter::must_exist(parsed, &names)?;
    if names.is_empty() {
        return Ok(());
    }
    let known = topics::by_name(client, &names, describe::PARTITIONS_PER_ANSWER).await?;
    let count = wanted.partitions.unwrap_or_default();
    let order = java_order::of_grown(names.iter().map(String::as_str));
    let growth = order.into_iter().map(|name| NewPartitions {
        topic: name.to_owned(),
        count,
        assignment: (!wanted.assignment.is_empty()).then(|| {
            let there = known.get(name).map_or(0, |topic| topic.partitions.len());
            wanted.assignment.iter().skip(there).cloned().collect()
        }),
    });
    topics::create_partitions(client, &growth.collect::<Vec<_>>()).await
}

async fn delete(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let names = matching(parsed, client).await?;
    filter::must_exist(parsed, &names)?;
    if names.is_empty() {
        return Ok(());
    }
    topics::delete(client, &names).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(word: &str) -> Result<BTreeMap<String, String>, String> {
        configs_to_add(&[word.to_owned()]).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_config_is_a_name_and_a_value_that_topics_have() {
        let one = configs(" retention.ms = 5 ").unwrap();
        assert_eq!(one.get("retention.ms").map(String::as_str), Some("5"));
        for word in ["retention.ms", "retention.ms=", "a=b=c"] {
            assert!(configs(word).unwrap_err().contains("\"key=val\""), "{word}");
        }
        assert_eq!(
            configs("foo=1").unwrap_err(),
            "Unknown topic config name: foo"
        );
        assert_eq!(
            configs("retention.ms=abc").unwrap_err(),
            "Invalid value abc for configuration retention.ms: Not a number of type LONG"
        );
    }
}
