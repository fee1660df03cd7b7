//! `kafka-configs --describe`.
//!
//! Invariant: without `--all` only what was set by request is shown, by name.

use metadata::config::java_order;
use protocol::ErrorCode;

use super::entities::{Entities, singular};
use super::{executed, users};
use crate::admin::cluster::{self, Nodes};
use crate::admin::configs::{self, Entry, Resource, ResourceType, Source};
use crate::admin::{groups, topics};
use crate::client::Client;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print::Output;

/// The longest name of a topic.
const TOPIC_NAME_MAX: usize = 249;

pub(super) async fn run(
    parsed: &Parsed,
    entities: &Entities,
    client: &Client,
) -> Result<(), Failure> {
    let kind = entities.kind();
    match resource_type(kind) {
        Some(_) => resources(kind, entities.name(), parsed.has("all"), client).await,
        None => users::describe(entities, client).await,
    }
}

/// What configs of that type belong to on the wire; none for quotas and credentials.
pub(super) fn resource_type(kind: &str) -> Option<ResourceType> {
    match kind {
        "topics" => Some(ResourceType::Topic),
        "brokers" => Some(ResourceType::Broker),
        "broker-loggers" => Some(ResourceType::BrokerLogger),
        "client-metrics" => Some(ResourceType::ClientMetrics),
        "groups" => Some(ResourceType::Group),
        _ => None,
    }
}

async fn resources(
    kind: &str,
    name: Option<&str>,
    all: bool,
    client: &Client,
) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if let (Some(name), false) = (name, all)
        && !exists(kind, name, client).await?
    {
        output.line(format!(
            "The {} '{name}' doesn't exist and doesn't have dynamic config.",
            singular(kind)
        ));
        return Ok(());
    }
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => every(kind, client).await?,
    };
    for name in names {
        if name.is_empty() {
            output.line(format!("Default configs for {kind} in the cluster are:"));
        } else {
            let which = if all { "All" } else { "Dynamic" };
            output.line(format!(
                "{which} configs for {} {name} are:",
                singular(kind)
            ));
        }
        for entry in entries(kind, &name, all, client).await? {
            output.line(shown(&entry));
        }
    }
    Ok(())
}

/// Whether there is something of that name, or its configs are kept.
async fn exists(kind: &str, name: &str, client: &Client) -> Result<bool, Failure> {
    match kind {
        "topics" => {
            check_topic_name(name)?;
            let topics = topics::list(client).await.map_err(executed)?;
            Ok(topics.contains_key(name))
        }
        "brokers" | "broker-loggers" => {
            Ok(name.is_empty() || brokers(client).await?.iter().any(|broker| broker == name))
        }
        "client-metrics" => Ok(subscriptions(client).await?.iter().any(|it| it == name)),
        _ => {
            let groups = groups::list(client).await.map_err(executed)?;
            if groups.iter().any(|group| group == name) {
                return Ok(true);
            }
            // Where nobody can tell which groups have configs, the group may be one of them.
            let configured = configured_groups(client).await?;
            Ok(configured.is_none_or(|groups| groups.iter().any(|group| group == name)))
        }
    }
}

/// The names of all there are.
async fn every(kind: &str, client: &Client) -> Result<Vec<String>, Failure> {
    match kind {
        "topics" => {
            let topics = topics::list(client).await.map_err(executed)?;
            let order = java_order::of_grown(topics.keys().map(String::as_str));
            Ok(order.into_iter().map(str::to_owned).collect())
        }
        "brokers" | "broker-loggers" => {
            let mut names = brokers(client).await?;
            names.push(String::new());
            Ok(names)
        }
        "client-metrics" => subscriptions(client).await,
        _ => {
            let mut names = groups::list(client).await.map_err(executed)?;
            for name in configured_groups(client).await?.unwrap_or_default() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Ok(names)
        }
    }
}

async fn brokers(client: &Client) -> Result<Vec<String>, Failure> {
    let described = cluster::describe(client, Nodes::Brokers)
        .await
        .map_err(executed)?;
    let nodes = described.nodes.iter();
    Ok(nodes.map(|node| node.id.to_string()).collect())
}

async fn subscriptions(client: &Client) -> Result<Vec<String>, Failure> {
    configs::list(client, ResourceType::ClientMetrics)
        .await
        .map_err(executed)
}

/// The groups with configs of their own; none where the cluster may not or cannot tell.
async fn configured_groups(client: &Client) -> Result<Option<Vec<String>>, Failure> {
    match configs::list(client, ResourceType::Group).await {
        Ok(groups) => Ok(Some(groups)),
        Err(failure)
            if failure.is(ErrorCode::UnsupportedVersion)
                || failure.is(ErrorCode::ClusterAuthorizationFailed) =>
        {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The configs of one, by name.
pub(super) async fn entries(
    kind: &str,
    name: &str,
    all: bool,
    client: &Client,
) -> Result<Vec<Entry>, Failure> {
    if kind == "topics" && !name.is_empty() {
        check_topic_name(name)?;
    }
    let dynamic = match kind {
        "topics" => Some(Source::DYNAMIC_TOPIC),
        "brokers" if name.is_empty() => Some(Source::DYNAMIC_DEFAULT_BROKER),
        "brokers" => Some(Source::DYNAMIC_BROKER),
        "client-metrics" => Some(Source::CLIENT_METRICS),
        "groups" => Some(Source::GROUP),
        _ => None,
    };
    let wanted = dynamic.filter(|_| !all);
    let Some(resource_type) = resource_type(kind) else {
        return Err(Failure::illegal_argument(format!(
            "Invalid entity type: {kind}"
        )));
    };
    let resource = Resource::new(resource_type, name);
    let mut found = configs::describe(client, &[resource], true)
        .await
        .map_err(executed)?;
    let mut entries = found.pop().unwrap_or_default();
    entries.retain(|entry| wanted.is_none_or(|source| entry.source == source));
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

fn shown(entry: &Entry) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<String> = entry
        .synonyms
        .iter()
        .map(|synonym| {
            let source = synonym.source.name();
            format!("{source}:{}={}", synonym.name, value(&synonym.value))
        })
        .collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        value(&entry.value),
        entry.sensitive,
        synonyms.join(", ")
    )
}

/// Refuses what can be no topic's name, as upstream's clients do before they ask.
fn check_topic_name(name: &str) -> Result<(), Failure> {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let reason = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > TOPIC_NAME_MAX {
        format!("the length of '{name}' is longer than the max allowed length {TOPIC_NAME_MAX}")
    } else if !name.chars().all(is_legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and \
             '-'"
        )
    } else {
        return Ok(());
    };
    Err(Failure::of(
        ErrorCode::InvalidTopicException,
        Some(&format!("Topic name is invalid: {reason}")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::configs::Synonym;

    #[test]
    fn a_config_is_shown_with_where_its_value_comes_from() {
        let synonym = |source, name: &str, value: Option<&str>| Synonym {
            source: Source(source),
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        let entry = Entry {
            name: "retention.ms".to_owned(),
            value: Some("5".to_owned()),
            source: Source::DYNAMIC_TOPIC,
            sensitive: false,
            synonyms: vec![
                synonym(1, "retention.ms", Some("5")),
                synonym(5, "log.retention.ms", None),
            ],
        };
        assert_eq!(
            shown(&entry),
            "  retention.ms=5 sensitive=false \
             synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=5, DEFAULT_CONFIG:log.retention.ms=null}"
        );
    }

    #[test]
    fn what_can_be_no_topic_is_refused() {
        assert!(check_topic_name("a.b_c-1").is_ok());
        for name in ["", ".", "..", "a b", &"x".repeat(250)] {
            let error = check_topic_name(name).unwrap_err().to_string();
            assert!(error.starts_with("Topic name is invalid: "), "{error}");
        }
    }
}
