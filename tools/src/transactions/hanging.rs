//! `find-hanging`: open transactions of partitions that no coordinator will ever end.
//!
//! Invariant: a transaction is called hanging only where it is older than any time-out allows, and its
//! coordinator does not count the partition among those it still has to tell.

use std::collections::BTreeMap;

use clap::ArgMatches;
use protocol::{ErrorCode, TopicPartition};

use super::{failed, now_ms, options, show};
use crate::admin::topics;
use crate::admin::transactions::{self, Description, Filter, Producer};
use crate::client::Client;
use crate::java_map::{in_order, partition_hash};
use crate::stop::Stop;

const MINUTE_MS: i64 = 60_000;
/// How many partitions an answer may describe: what upstream's client asks for.
const PARTITIONS_PER_ANSWER: i32 = 2000;

/// An open transaction of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    partition: TopicPartition,
    producer: Producer,
}

/// Finds and prints them.
pub(super) async fn find(client: &Client, matches: &ArgMatches) -> Result<(), Stop> {
    let broker = matches.get_one::<i32>("broker-id").copied();
    let topic = options::text(matches, "topic");
    let partition = matches.get_one::<i32>("partition").copied();
    if topic.is_none() && broker.is_none() {
        return Err(Stop::Message(
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope \
             of the search"
                .to_owned(),
        ));
    }
    if partition.is_some() && topic.is_none() {
        return Err(Stop::Message(
            "The --partition argument requires --topic to be provided".to_owned(),
        ));
    }
    let minutes = matches.get_one::<i32>("max-transaction-timeout").copied();
    let older_than_ms = i64::from(minutes.unwrap_or_default()) * MINUTE_MS;
    let partitions = match (topic, partition) {
        (Some(topic), Some(number)) => vec![TopicPartition::new(topic, number)],
        (topic, _) => partitions_of(client, topic, broker).await?,
    };
    let open = open_transactions(client, &partitions, broker, older_than_ms).await?;
    let hanging = if open.is_empty() {
        open
    } else {
        let descriptions = descriptions_of(client, &open).await?;
        hanging_of(open, &descriptions)
    };
    print(&hanging);
    Ok(())
}

async fn partitions_of(
    client: &Client,
    topic: Option<&str>,
    broker: Option<i32>,
) -> Result<Vec<TopicPartition>, Stop> {
    let names: Vec<String> = match topic {
        Some(topic) => vec![topic.to_owned()],
        None => {
            let topics = topics::list(client).await;
            let topics = topics.map_err(|failure| failed("Failed to list topics", &failure))?;
            // Those that brokers keep for themselves are not listed unless asked for.
            topics
                .into_keys()
                .filter(|name| !topics::is_internal(name))
                .collect()
        }
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let described = topics::by_name(client, &names, PARTITIONS_PER_ANSWER).await;
    let described = described.map_err(|failure| {
        failed(
            &format!("Failed to describe {} topics", names.len()),
            &failure,
        )
    })?;
    let mut partitions = Vec::new();
    for topic in described.values() {
        let held = topic
            .partitions
            .iter()
            .filter(|row| broker.is_none_or(|id| row.replicas.contains(&id)));
        partitions.extend(held.map(|row| TopicPartition::new(topic.name.as_str(), row.index)));
    }
    Ok(partitions)
}

async fn open_transactions(
    client: &Client,
    partitions: &[TopicPartition],
    broker: Option<i32>,
    older_than_ms: i64,
) -> Result<Vec<Open>, Stop> {
    let producers = transactions::producers(client, partitions, broker).await;
    let producers = producers.map_err(|failure| {
        let whom = broker.map_or_else(
            || "Optional.empty".to_owned(),
            |id| format!("Optional[{id}]"),
        );
        let count = partitions.len();
        let what = format!("Failed to describe producers for {count} partitions on broker {whom}");
        failed(&what, &failure)
    })?;
    let now = now_ms();
    let mut open = Vec::new();
    let producers = in_order(producers.into_iter().collect(), |(it, _)| {
        partition_hash(it)
    });
    for (partition, producers) in producers {
        let old = producers.into_iter().filter(|producer| {
            producer.open_from.is_some()
                && now.saturating_sub(producer.last_timestamp) > older_than_ms
        });
        open.extend(old.map(|producer| Open {
            partition: partition.clone(),
            producer,
        }));
    }
    Ok(open)
}

/// What coordinators know of the transactions of these producers, as far as they know them.
async fn descriptions_of(
    client: &Client,
    open: &[Open],
) -> Result<BTreeMap<i64, Description>, Stop> {
    let mut producer_ids: Vec<i64> = open.iter().map(|open| open.producer.id).collect();
    producer_ids.sort_unstable();
    producer_ids.dedup();
    let filter = Filter {
        producer_ids: producer_ids.clone(),
        ..Filter::default()
    };
    let listings = transactions::list(client, &filter).await;
    let listings = listings.map_err(|failure| {
        let count = producer_ids.len();
        failed(
            &format!("Failed to list transactions for {count} producers"),
            &failure,
        )
    })?;
    let count = listings.len();
    let mut found = BTreeMap::new();
    for listing in listings {
        match transactions::describe(client, &listing.transactional_id).await {
            Ok(description) => drop(found.insert(listing.producer_id, description)),
            Err(failure) if failure.is(ErrorCode::TransactionalIdNotFound) => {}
            Err(failure) => {
                let what = format!("Failed to describe {count} transactions");
                return Err(failed(&what, &failure));
            }
        }
    }
    Ok(found)
}

/// Those that no coordinator knows of, or whose partition it does not name: all it names it will end.
fn hanging_of(open: Vec<Open>, descriptions: &BTreeMap<i64, Description>) -> Vec<Open> {
    let hangs = |open: &Open| {
        let description = descriptions.get(&open.producer.id);
        description.is_none_or(|known| !known.partitions.contains(&open.partition))
    };
    let hanging = open.into_iter().filter(hangs).collect();
    in_order(hanging, |open| {
        let id = open.producer.id.cast_unsigned();
        (id ^ (id >> 32)) as u32
    })
}

fn print(hanging: &[Open]) {
    let now = now_ms();
    let rows: Vec<Vec<String>> = hanging
        .iter()
        .map(
            |Open {
                 partition,
                 producer,
             }| {
                vec![
                    partition.topic.to_string(),
                    partition.partition.to_string(),
                    producer.id.to_string(),
                    producer.epoch.to_string(),
                    producer.coordinator_epoch.unwrap_or(-1).to_string(),
                    producer.open_from.unwrap_or(-1).to_string(),
                    producer.last_timestamp.to_string(),
                    (now.saturating_sub(producer.last_timestamp) / MINUTE_MS).to_string(),
                ]
            },
        )
        .collect();
    let headers = [
        "Topic",
        "Partition",
        "ProducerId",
        "ProducerEpoch",
        "CoordinatorEpoch",
        "StartOffset",
        "LastTimestamp",
        "Duration(min)",
    ];
    show(&headers, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(partition: i32, id: i64) -> Open {
        Open {
            partition: TopicPartition::new("t", partition),
            producer: Producer {
                id,
                epoch: 0,
                coordinator_epoch: None,
                last_sequence: 0,
                last_timestamp: 0,
                open_from: Some(0),
            },
        }
    }

    #[test]
    fn a_transaction_hangs_where_its_coordinator_will_not_end_it() {
        let known = Description {
            coordinator: 1,
            state: "Ongoing".to_owned(),
            producer_id: 5,
            producer_epoch: 0,
            timeout_ms: 1,
            start_ms: None,
            partitions: vec![TopicPartition::new("t", 0)],
        };
        let descriptions = BTreeMap::from([(5, known)]);
        let hanging = hanging_of(vec![open(0, 5), open(1, 5), open(0, 6)], &descriptions);
        assert_eq!(hanging, [open(1, 5), open(0, 6)]);
    }
}
