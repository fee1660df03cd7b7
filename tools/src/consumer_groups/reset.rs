//! `--reset-offsets`: plans new offsets of groups that have no members, and commits them if told to.
//!
//! Invariant: no offset lies outside its partition's log; a group with members is left alone.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{ErrorCode, TopicPartition};

use super::calls::{self, partitions_of};
use super::describe::{Column, print_table};
use super::described::describe;
use super::offsets::{EARLIEST, LATEST, offsets};
use super::options::no_scenario;
use super::{error, executed, group_names, plan, time, unchecked};
use crate::client::Client;
use crate::failure::Failure;
use crate::java_map::{in_order, partition_hash, text_hash};
use crate::options::Parsed;
use crate::print;
use crate::stop::Stop;

pub(crate) type Offsets = Vec<(TopicPartition, i64)>;

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Stop> {
    let names = group_names(parsed, client).await?;
    let mut results: Vec<(String, Offsets)> = Vec::new();
    for group in in_order(names, |name| text_hash(name)) {
        if results.iter().any(|(done, _)| *done == group) {
            continue;
        }
        let offsets = reset(parsed, client, &group).await?;
        results.push((
            group,
            in_order(offsets, |(partition, _)| partition_hash(partition)),
        ));
    }
    if parsed.has("export") {
        let with_group = parsed.values("group").len() != 1;
        let lines = results.iter().flat_map(|(group, offsets)| {
            let group = with_group.then_some(group.as_str());
            offsets
                .iter()
                .map(move |(partition, offset)| plan::line(group, partition, *offset))
        });
        let text: String = lines.map(|line| line + "\n").collect();
        print::line(text);
    } else {
        print_plan(&results);
    }
    Ok(())
}

pub(crate) fn print_plan(results: &[(String, Offsets)]) {
    if results.is_empty() {
        print::line("");
        return;
    }
    let rows = results.iter().flat_map(|(group, offsets)| {
        offsets.iter().map(move |(partition, offset)| {
            vec![
                group.clone(),
                partition.topic.to_string(),
                partition.partition.to_string(),
                offset.to_string(),
            ]
        })
    });
    // As wide as the names, even where there are no rows.
    let widest = results.iter().map(|(group, _)| group.chars().count()).max();
    let columns = [
        Column::fixed("GROUP", widest.unwrap_or(0).max(15)),
        Column::at_least("TOPIC", 15),
        Column::fixed("PARTITION", 10),
        Column::fixed("NEW-OFFSET", 0),
    ];
    print_table(&columns, &rows.collect::<Vec<_>>());
}

async fn reset(parsed: &Parsed, client: &Client, group: &str) -> Result<Offsets, Stop> {
    let state = match describe(client, group).await {
        Ok(described) => described.state,
        // A group that is not there may be given its first offsets.
        Err(failure) if failure.is(ErrorCode::GroupIdNotFound) => "Dead".to_owned(),
        Err(failure) => return Err(unchecked(executed(failure)).into()),
    };
    if !matches!(state.as_str(), "Empty" | "Dead") {
        error(&format!(
            "Assignments can only be reset if the group '{group}' is inactive, but the current state \
             is {state}."
        ));
        return Ok(Vec::new());
    }
    let partitions = scope(parsed, client, group).await?;
    let planned = prepare(parsed, client, group, &partitions).await?;
    if parsed.has("execute") {
        calls::commit(client, group, &planned).await?;
    }
    Ok(planned)
}

/// The partitions that are to be reset.
async fn scope(parsed: &Parsed, client: &Client, group: &str) -> Result<Vec<TopicPartition>, Stop> {
    if parsed.has("all-topics") {
        let committed = committed(client, group).await?;
        return Ok(committed.into_keys().collect());
    }
    if parsed.has("topic") {
        return Ok(named(parsed.values("topic"), client).await?);
    }
    if parsed.has("from-file") {
        return Ok(Vec::new());
    }
    Err(Stop::Usage(
        "One of the reset scopes should be defined: --all-topics, --topic.".to_owned(),
    ))
}

/// The partitions that `topic` and `topic:0,1` name.
pub(crate) async fn named(
    words: &[String],
    client: &Client,
) -> Result<Vec<TopicPartition>, Failure> {
    let mut partitions = Vec::new();
    let mut whole = Vec::new();
    for word in words {
        if word.contains(':') {
            partitions.extend(parse_partitions(word)?);
        } else {
            whole.push(word.clone());
        }
    }
    let there = topics_of(client, &partitions, &whole).await?;
    check_in(&there, &partitions)?;
    for topic in &whole {
        let numbers = numbers_in(&there, topic)?;
        partitions.extend(
            numbers
                .into_iter()
                .map(|id| TopicPartition::new(topic.as_str(), id)),
        );
    }
    Ok(partitions)
}

/// All of these partitions must be there.
pub(crate) async fn check_there(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<(), Failure> {
    let there = topics_of(client, partitions, &[]).await?;
    check_in(&there, partitions)
}

/// The partitions that topics have, or why a topic has none.
type There = BTreeMap<String, Result<Vec<i32>, Failure>>;

async fn topics_of(
    client: &Client,
    partitions: &[TopicPartition],
    whole: &[String],
) -> Result<There, Failure> {
    let mut topics: Vec<String> = partitions.iter().map(|it| it.topic.to_string()).collect();
    topics.extend(whole.iter().cloned());
    topics.sort();
    topics.dedup();
    if topics.is_empty() {
        return Ok(There::new());
    }
    partitions_of(client, &topics).await
}

fn numbers_in(there: &There, topic: &str) -> Result<Vec<i32>, Failure> {
    match there.get(topic) {
        Some(found) => found.clone(),
        None => Err(Failure::of(ErrorCode::UnknownTopicOrPartition, None)),
    }
}

fn check_in(there: &There, partitions: &[TopicPartition]) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for partition in partitions {
        if !numbers_in(there, &partition.topic)?.contains(&partition.partition) {
            missing.push(partition.to_string());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("The partitions \"{}\" do not exist", missing.join(","));
    Err(Failure::of(
        ErrorCode::UnknownTopicOrPartition,
        Some(&message),
    ))
}

pub(super) fn parse_partitions(word: &str) -> Result<Vec<TopicPartition>, Failure> {
    let mut parts: Vec<&str> = word.split(':').collect();
    // As Java splits: what is empty at the end counts for nothing.
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    let [topic, numbers] = parts.as_slice() else {
        return Err(Failure::illegal_argument(format!(
            "Invalid topic arg '{word}', expected topic name and partitions"
        )));
    };
    let numbers = numbers.split(',').map(|number| {
        let number = number.parse().map_err(|_| {
            Failure::illegal_argument(format!(
                "Invalid partition '{number}' specified in topic arg '{word}''"
            ))
        })?;
        Ok(TopicPartition::new(*topic, number))
    });
    numbers.collect()
}

async fn committed(
    client: &Client,
    group: &str,
) -> Result<BTreeMap<TopicPartition, calls::Committed>, Failure> {
    calls::committed(client, group)
        .await
        .map_err(|failure| unchecked(executed(failure)))
}

async fn prepare(
    parsed: &Parsed,
    client: &Client,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Offsets, Stop> {
    if let Some(offset) = parsed.number::<i64>("to-offset")? {
        let wanted = partitions
            .iter()
            .map(|partition| (partition.clone(), offset));
        return Ok(within_logs(client, wanted.collect()).await?);
    }
    if parsed.has("to-earliest") {
        return Ok(at(client, partitions, EARLIEST).await?);
    }
    if parsed.has("to-latest") {
        return Ok(at(client, partitions, LATEST).await?);
    }
    if let Some(shift) = parsed.number::<i64>("shift-by")? {
        return shifted(client, group, partitions, shift).await;
    }
    if let Some(text) = parsed.value("to-datetime")? {
        return Ok(at_time(client, partitions, time::datetime(text)?).await?);
    }
    if let Some(text) = parsed.value("by-duration")? {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let time = now.saturating_sub(time::duration(text)?);
        return Ok(at_time(client, partitions, time).await?);
    }
    if let Some(path) = parsed.value("from-file")? {
        return from_file(parsed, client, group, path).await;
    }
    if parsed.has("to-current") {
        return Ok(current(client, group, partitions).await?);
    }
    Err(no_scenario())
}

pub(crate) async fn at(
    client: &Client,
    partitions: &[TopicPartition],
    point: i64,
) -> Result<Offsets, Failure> {
    Ok(offsets(client, partitions, point)
        .await?
        .into_iter()
        .collect())
}

pub(crate) async fn at_time(
    client: &Client,
    partitions: &[TopicPartition],
    time: i64,
) -> Result<Offsets, Failure> {
    let found = offsets(client, partitions, time).await?;
    let (mut planned, none): (Offsets, Offsets) =
        found.into_iter().partition(|(_, offset)| *offset >= 0);
    let none: Vec<TopicPartition> = none.into_iter().map(|(partition, _)| partition).collect();
    for partition in in_order(none.clone(), partition_hash) {
        print::line(format!(
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            partition.partition, partition.topic
        ));
    }
    planned.extend(offsets(client, &none, LATEST).await?);
    Ok(planned)
}

async fn shifted(
    client: &Client,
    group: &str,
    partitions: &[TopicPartition],
    shift: i64,
) -> Result<Offsets, Stop> {
    let committed = committed(client, group).await?;
    let mut wanted = Vec::new();
    for partition in partitions {
        let Some(current) = committed.get(partition) else {
            return Err(Failure::illegal_argument(format!(
                "Cannot shift offset for partition {partition} since there is no current committed \
                 offset"
            ))
            .into());
        };
        wanted.push((partition.clone(), current.offset.saturating_add(shift)));
    }
    Ok(within_logs(client, wanted).await?)
}

async fn current(
    client: &Client,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Offsets, Failure> {
    let committed = committed(client, group).await?;
    let (known, unknown): (Vec<_>, Vec<_>) = partitions
        .iter()
        .cloned()
        .partition(|partition| committed.contains_key(partition));
    let known = known.into_iter().filter_map(|partition| {
        let offset = committed.get(&partition)?.offset;
        Some((partition, offset))
    });
    let mut planned: Offsets = known.collect();
    planned.extend(offsets(client, &unknown, LATEST).await?);
    Ok(planned)
}

async fn from_file(
    parsed: &Parsed,
    client: &Client,
    group: &str,
    path: &str,
) -> Result<Offsets, Stop> {
    let text = std::fs::read_to_string(path).map_err(|_| {
        let unread = Failure::new("java.io.IOException", format!("Unable to read file {path}"));
        unchecked(unread)
    })?;
    let only = match parsed.values("group") {
        [group] => Some(group.as_str()),
        _ => None,
    };
    let mut plan = plan::parse(&text, only)?;
    let Some(wanted) = plan.remove(group) else {
        error(&format!("No reset plan for group {group} found"));
        return Ok(Vec::new());
    };
    Ok(within_logs(client, wanted).await?)
}

/// Moves what lies outside a partition's log to its nearer end.
async fn within_logs(client: &Client, wanted: Offsets) -> Result<Offsets, Failure> {
    let partitions: Vec<TopicPartition> = wanted.iter().map(|(it, _)| it.clone()).collect();
    let starts = offsets(client, &partitions, EARLIEST).await?;
    let ends = offsets(client, &partitions, LATEST).await?;
    let moved = wanted.into_iter().map(|(partition, offset)| {
        let start = starts.get(&partition).copied().unwrap_or(offset);
        let end = ends.get(&partition).copied().unwrap_or(offset);
        let kept = if offset > end { end } else { offset.max(start) };
        if kept != offset {
            let (side, point) = if offset > end {
                ("higher", "latest")
            } else {
                ("lower", "earliest")
            };
            crate::complain!(
                "WARN New offset ({offset}) is {side} than {point} offset for topic partition \
                 {partition}. Value will be set to {kept}"
            );
        }
        (partition, kept)
    });
    Ok(moved.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_stand_behind_their_topic() {
        let names = |word| {
            let partitions = parse_partitions(word).unwrap();
            partitions
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("a:0,2"), ["a-0", "a-2"]);
        let said = |word| parse_partitions(word).unwrap_err().to_string();
        assert_eq!(
            said("a:x"),
            "Invalid partition 'x' specified in topic arg 'a:x''"
        );
        assert_eq!(
            said("a:"),
            "Invalid topic arg 'a:', expected topic name and partitions"
        );
    }
}
