//! `--delete` and `--delete-offsets`.
//!
//! Invariant: what one group or partition comes to does not keep the others from being deleted.

use std::collections::BTreeMap;

use protocol::{ErrorCode, TopicPartition};

use super::calls::{self, partitions_of};
use super::describe::{Column, print_table};
use super::reset::parse_partitions;
use super::{error, group_names};
use crate::client::Client;
use crate::failure::Failure;
use crate::java_map::{in_order, text_hash};
use crate::options::Parsed;
use crate::print;

pub(super) async fn groups(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let mut names = group_names(parsed, client).await?;
    names.sort();
    names.dedup();
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for name in in_order(names, |name| text_hash(name)) {
        match calls::delete_group(client, &name).await {
            Ok(()) => deleted.push(name),
            Err(failure) => failed.push((name, failure)),
        }
    }
    let quoted = deleted
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ");
    if failed.is_empty() {
        print::line(format!(
            "Deletion of requested consumer groups ({quoted}) was successful."
        ));
        return Ok(());
    }
    error("Deletion of some consumer groups failed:");
    for (name, failure) in failed {
        print::line(format!(
            "* Group '{name}' could not be deleted due to: {}",
            failure.named()
        ));
    }
    if !deleted.is_empty() {
        print::line(format!(
            "\nThese consumer groups were deleted successfully: {quoted}"
        ));
    }
    Ok(())
}

/// What became of a partition; without a number it is of a topic that is not there.
type Status = ((String, Option<i32>), Option<Failure>);

pub(super) async fn offsets(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let group = parsed.value("group")?.unwrap_or_default();
    let mut partitions = Vec::new();
    let mut whole = Vec::new();
    for word in parsed.values("topic") {
        if word.contains(':') {
            partitions.extend(parse_partitions(word)?);
        } else {
            whole.push(word.clone());
        }
    }
    let mut statuses: Vec<Status> = Vec::new();
    if !whole.is_empty() {
        for (topic, found) in partitions_of(client, &whole).await? {
            match found {
                Ok(numbers) => partitions.extend(
                    numbers
                        .into_iter()
                        .map(|id| TopicPartition::new(topic.as_str(), id)),
                ),
                Err(failure) => statuses.push(((topic, None), Some(failure))),
            }
        }
    }
    let result = calls::delete_offsets(client, group, &partitions).await;
    let of_group = match &result {
        Ok(rows) => rows.iter().find_map(|(_, failure)| failure.clone()),
        Err(failure) => Some(failure.clone()),
    };
    let mut by_partition: BTreeMap<TopicPartition, Option<Failure>> = match result {
        Ok(rows) => rows.into_iter().collect(),
        Err(_) => BTreeMap::new(),
    };
    for partition in partitions {
        let failure = by_partition
            .remove(&partition)
            .unwrap_or_else(|| of_group.clone());
        let key = (partition.topic.to_string(), Some(partition.partition));
        statuses.push((key, failure));
    }
    tell(group, of_group.as_ref());
    print_statuses(statuses);
    Ok(())
}

fn tell(group: &str, failure: Option<&Failure>) {
    let Some(failure) = failure else {
        print::line(format!(
            "Request succeeded for deleting offsets from group {group}."
        ));
        return;
    };
    match failure.code() {
        Some(
            ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup,
        ) => error(&failure.to_string()),
        Some(
            ErrorCode::GroupSubscribedToTopic
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::UnknownTopicOrPartition,
        ) => error("Encountered some partition-level error, see the follow-up details."),
        _ => error(&format!("Encountered some unknown error: {failure}")),
    }
}

fn print_statuses(mut statuses: Vec<Status>) {
    statuses.sort_by(|(left, _), (right, _)| left.cmp(right));
    let rows: Vec<Vec<String>> = statuses
        .into_iter()
        .map(|((topic, number), failure)| {
            let status = failure.map_or("Successful".to_owned(), |failure| {
                format!("Error: {}", failure.named())
            });
            vec![
                topic,
                number.map_or("-".to_owned(), |it| it.to_string()),
                status,
            ]
        })
        .collect();
    let columns = [
        Column::at_least("TOPIC", 15),
        Column::fixed("PARTITION", 10),
        Column::fixed("STATUS", 15),
    ];
    print_table(&columns, &rows);
}
