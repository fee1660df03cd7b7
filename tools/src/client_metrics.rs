//! `kafka-client-metrics`: the subscriptions to clients' metrics (KIP-714).
//!
//! Invariant: a subscription changes in one request: all of its configs or none.

use std::process::ExitCode;

use crate::admin::configs::{self, Change, Resource, ResourceType};
use crate::client::{Client, Properties, block_on, in_time};
use crate::failure::Failure;
use crate::java_map::{in_order, text_hash};
use crate::options::{Options, Parsed};
use crate::print;
use crate::random_id::random_id;
use crate::stop::{Stop, finish, prepared};

const ABOUT: &str = "This tool helps to manipulate and describe client metrics configurations.";
const ACTIONS: [&str; 4] = ["alter", "delete", "describe", "list"];

fn options() -> Options {
    Options::new()
        .flags(&[
            ("alter", "Changes a subscription, or makes it."),
            ("delete", "Takes a subscription away."),
            ("describe", "Shows subscriptions."),
            ("list", "Lists the names of subscriptions."),
            ("generate-name", "A new UUID is the name."),
        ])
        .values(&[
            (
                "bootstrap-server",
                "String: server to connect to",
                "REQUIRED: Addresses of brokers, host:port, parted by commas.",
            ),
            (
                "command-config",
                "String: command config property file",
                "A properties file for the client.",
            ),
            ("name", "String: name", "The name of the subscription."),
            (
                "interval",
                "Integer: push interval",
                "How often clients push, in milliseconds.",
            ),
            (
                "match",
                "String: k1=v1,k2=v2",
                "Which clients are meant: a regular expression for each of client_id, \
                 client_instance_id, client_software_name, client_software_version, \
                 client_source_address, client_source_port.",
            ),
            (
                "metrics",
                "String: m1,m2",
                "Prefixes of the metrics that are wanted; * is all.",
            ),
        ])
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options();
    let (parsed, properties) = match prepared(&options, args, read) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let done = act(&parsed, &properties).map_err(Stop::from);
    finish(done, &options, |failure| {
        print::line(format!(
            "Error while executing client metrics command : {failure}"
        ));
        print::log_error(failure, "org.apache.kafka.tools.ClientMetricsCommand");
    })
}

fn read(options: &Options, args: &[String]) -> Result<Parsed, Stop> {
    let refused = |words: &str| Err(Failure::illegal_argument(words).into());
    let usage = |failure: Failure| Stop::Usage(failure.to_string());
    let parsed = options.parse(args).map_err(usage)?;
    options.help_or_version(args, &parsed, ABOUT)?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        return Err(Stop::Usage(
            "Command must include exactly one action: --alter, --delete, --describe or --list."
                .to_owned(),
        ));
    }
    if !parsed.has("bootstrap-server") {
        return refused("--bootstrap-server must be specified.");
    }
    let values = ["generate-name", "interval", "match", "metrics"];
    options.exclude(&parsed, "delete", &values)?;
    options.exclude(&parsed, "describe", &values)?;
    options.exclude(&parsed, "list", &["name"])?;
    options.exclude(&parsed, "list", &values)?;
    if parsed.has("alter") && parsed.has("name") == parsed.has("generate-name") {
        return refused("One of --name or --generate-name must be specified with --alter.");
    }
    if parsed.has("alter")
        && let Some(interval) = parsed.value("interval")?
        && !interval.is_empty()
        && interval.parse::<i32>().is_err()
    {
        return refused("Invalid interval value. Enter an integer, or leave empty to reset.");
    }
    if parsed.has("delete") && !parsed.has("name") {
        return refused("A client metrics resource name must be specified with --delete.");
    }
    Ok(parsed)
}

fn act(parsed: &Parsed, properties: &Properties) -> Result<(), Failure> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let client = Client::admin(servers, properties)?;
    block_on(act_through(parsed, &client))
}

async fn act_through(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    if parsed.has("alter") {
        alter(parsed, client).await
    } else if parsed.has("describe") {
        describe(parsed, client).await
    } else if parsed.has("delete") {
        delete(parsed, client).await
    } else {
        print::line(names(client).await?.join("\n"));
        Ok(())
    }
}

async fn alter(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let name = match parsed.value("name")? {
        Some(name) if !parsed.has("generate-name") => name.to_owned(),
        Some(_) | None => random_id(),
    };
    let mut values = Vec::new();
    if let Some(interval) = parsed.value("interval")? {
        values.push(("interval.ms", interval.to_owned()));
    }
    for key in ["metrics", "match"] {
        if parsed.has(key) {
            values.push((key, parts(parsed.values(key)).join(",")));
        }
    }
    let changes: Vec<Change> = values
        .into_iter()
        .map(|(key, value)| Change {
            name: key.to_owned(),
            value: Some(value).filter(|value| !value.is_empty()),
        })
        .collect();
    change(client, &name, &changes).await?;
    print::line(format!("Altered client metrics config for {name}."));
    Ok(())
}

async fn delete(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let name = parsed.value("name")?.unwrap_or_default();
    let changes: Vec<Change> = described(client, name)
        .await?
        .into_iter()
        .map(|(name, _)| Change { name, value: None })
        .collect();
    change(client, name, &changes).await?;
    print::line(format!("Deleted client metrics config for {name}."));
    Ok(())
}

async fn describe(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let asked = parsed.value("name")?;
    let mut names = names(client).await?;
    if let Some(asked) = asked {
        names.retain(|name| name == asked);
        if names.is_empty() {
            print::line(format!(
                "The client metric resource {asked} doesn't exist and doesn't have dynamic config."
            ));
        }
    }
    for name in names {
        print::line(format!("Client metrics configs for {name} are:"));
        for (key, value) in described(client, &name).await? {
            print::line(format!("  {key}={value}"));
        }
    }
    Ok(())
}

/// The parts between commas, of every repetition; empty ones are passed over unless there is nothing
/// else, which takes the config away.
fn parts(values: &[String]) -> Vec<&str> {
    values.iter().flat_map(|value| split(value)).collect()
}

fn split(value: &str) -> Vec<&str> {
    let parts: Vec<&str> = value.split(',').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { vec![value] } else { parts }
}

async fn change(client: &Client, name: &str, changes: &[Change]) -> Result<(), Failure> {
    let resource = Resource::new(ResourceType::ClientMetrics, name);
    in_time(configs::alter(client, &resource, changes)).await
}

/// In the order in which upstream's tool prints them.
async fn described(client: &Client, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let resource = Resource::new(ResourceType::ClientMetrics, name);
    let resources = [resource];
    let found = in_time(configs::describe(client, &resources, false)).await?;
    let entries = found.into_iter().flatten();
    let pairs = entries.map(|entry| {
        let value = entry.value.unwrap_or_else(|| "null".to_owned());
        (entry.name, value)
    });
    Ok(in_order(pairs.collect(), |(name, _)| text_hash(name)))
}

async fn names(client: &Client) -> Result<Vec<String>, Failure> {
    let names = in_time(configs::list(client, ResourceType::ClientMetrics)).await?;
    // Java keeps the listed things in a set, by a hash made of the name's.
    Ok(in_order(names, |name| text_hash(name).wrapping_add(31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_at_commas_and_joined_again() {
        let of = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(|it| (*it).to_owned()).collect();
            parts(&values).join(",")
        };
        assert_eq!(of(&["a,b", "c"]), "a,b,c");
        assert_eq!(of(&["a,,b,"]), "a,b");
        assert_eq!(of(&[""]), "");
    }
}
