//! `kafka-configs --alter`.
//!
//! Invariant: configs of one resource change in one request: all of them or none.

use protocol::ErrorCode;

use super::describe::{entries, resource_type};
use super::entities::{Entities, singular};
use super::{additions, executed, users};
use crate::admin::configs::{self, Change, Resource, ResourceType};
use crate::client::Client;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print;

const UNSUPPORTED: &str = "The INCREMENTAL_ALTER_CONFIGS API is not supported by the cluster. The API is supported starting \
     from version 2.3.0. You may want to use an older version of this tool to interact with your \
     cluster, or upgrade your brokers to version 2.3.0 or newer to avoid this error.";

pub(super) async fn run(
    parsed: &Parsed,
    entities: &Entities,
    client: &Client,
) -> Result<(), Failure> {
    let added = additions::added(parsed)?;
    let deleted = additions::deleted(parsed);
    let kind = entities.kind();
    let name = entities.name().unwrap_or_default();
    match resource_type(kind) {
        Some(resource_type) => {
            if resource_type == ResourceType::BrokerLogger {
                check_loggers(name, &added, &deleted, client).await?;
            }
            let resource = Resource::new(resource_type, name);
            configs::alter(client, &resource, &changes(&added, &deleted))
                .await
                .map_err(|failure| {
                    if failure.is(ErrorCode::UnsupportedVersion) {
                        Failure::unsupported(UNSUPPORTED)
                    } else {
                        executed(failure)
                    }
                })?;
        }
        None => users::alter(entities, &added, &deleted, client).await?,
    }
    if name.is_empty() {
        print::line(format!(
            "Completed updating default config for {kind} in the cluster."
        ));
    } else {
        print::line(format!(
            "Completed updating config for {} {name}.",
            singular(kind)
        ));
    }
    Ok(())
}

fn changes(added: &[(String, String)], deleted: &[String]) -> Vec<Change> {
    let deletions = deleted.iter().map(|name| Change {
        name: name.clone(),
        value: None,
    });
    let additions = added.iter().map(|(name, value)| Change {
        name: name.clone(),
        value: Some(value.clone()),
    });
    deletions.chain(additions).collect()
}

/// Refuses loggers that the broker does not have.
async fn check_loggers(
    broker: &str,
    added: &[(String, String)],
    deleted: &[String],
    client: &Client,
) -> Result<(), Failure> {
    let known = entries("broker-loggers", broker, false, client).await?;
    let names = deleted.iter().chain(added.iter().map(|(name, _)| name));
    let unknown: Vec<&str> = names
        .filter(|name| known.iter().all(|entry| entry.name != **name))
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("Invalid broker logger(s): {}", unknown.join(","));
    Err(Failure::of(ErrorCode::InvalidConfig, Some(&message)))
}
