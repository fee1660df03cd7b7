//! `--reset-offsets`: plans new start offsets of a group that has no members, and sets them if told to.
//!
//! Invariant: no offset lies outside its partition's log; a group with members is left alone.

use protocol::{ErrorCode, TopicPartition};

use super::calls;
use crate::client::Client;
use crate::consumer_groups::offsets::{EARLIEST, LATEST};
use crate::consumer_groups::reset::{Offsets, at, at_time, check_there, named, print_plan};
use crate::consumer_groups::time;
use crate::failure::Failure;
use crate::java_map::{in_order, partition_hash};
use crate::options::Parsed;
use crate::stop::Stop;

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Stop> {
    let group = parsed.value("group")?.unwrap_or_default();
    match calls::describe(client, group).await {
        Ok(described) if matches!(described.state.as_str(), "Empty" | "Dead") => {}
        Ok(_) => {
            return Err(Stop::Message(format!(
                "Share group '{group}' is not empty."
            )));
        }
        // A group that is not there may be given its first offsets.
        Err(failure) if failure.is(ErrorCode::GroupIdNotFound) => {}
        Err(failure) => return Err(Stop::Message(failure.to_string())),
    }
    let partitions = scope(parsed, client, group).await?;
    let planned = prepare(parsed, client, &partitions).await?;
    if parsed.has("execute") {
        calls::alter_offsets(client, group, &planned).await?;
    }
    let planned = in_order(planned, |(partition, _)| partition_hash(partition));
    print_plan(&[(group.to_owned(), planned)]);
    Ok(())
}

/// The partitions that are to be reset.
async fn scope(
    parsed: &Parsed,
    client: &Client,
    group: &str,
) -> Result<Vec<TopicPartition>, Failure> {
    if parsed.has("topic") {
        return named(parsed.values("topic"), client).await;
    }
    let offsets = calls::offsets(client, group).await?;
    let partitions: Vec<TopicPartition> = offsets.into_keys().collect();
    check_there(client, &partitions).await?;
    Ok(partitions)
}

async fn prepare(
    parsed: &Parsed,
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<Offsets, Failure> {
    if let Some(text) = parsed.value("to-datetime")? {
        return at_time(client, partitions, time::datetime(text)?).await;
    }
    // The command line has one of the three.
    let point = if parsed.has("to-earliest") {
        EARLIEST
    } else {
        LATEST
    };
    at(client, partitions, point).await
}
