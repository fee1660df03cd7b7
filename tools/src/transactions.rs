//! `kafka-transactions`: transactions as their coordinators and partitions know them, and ending those
//! that hang.
//!
//! Invariant: what a tool was told wrongly, or could not do, is one line on standard error and exit
//! code 1; a table is printed whole or not at all.

mod hanging;
mod options;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ArgMatches;
use protocol::TopicPartition;

use crate::admin::transactions::{self, Abort, Filter};
use crate::argparse;
use crate::client::{Client, Properties, block_on, load_properties};
use crate::failure::Failure;
use crate::java_map::{in_order, partition_hash};
use crate::print;
use crate::stop::{Stop, UPSTREAM_VERSION};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    // Asked for its version, this one of upstream's tools looks at nothing behind it.
    if options::asks_for_version(args) {
        crate::say!("{UPSTREAM_VERSION}");
        return ExitCode::SUCCESS;
    }
    // Asked for help, it ends with 1.
    let Ok(matches) = argparse::parse(options::command(), args) else {
        return ExitCode::FAILURE;
    };
    match act(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed(failure)) => {
            crate::complain!("Exception in thread \"main\" {}", failure.trace());
            ExitCode::FAILURE
        }
        Err(Stop::Message(message) | Stop::Usage(message)) => {
            crate::complain!("{message}");
            ExitCode::FAILURE
        }
        Err(Stop::Version) => ExitCode::SUCCESS,
        Err(Stop::Done(code)) => ExitCode::from(code),
    }
}

fn act(matches: &ArgMatches) -> Result<(), Stop> {
    let properties = match options::text(matches, "command-config") {
        Some(path) => load_properties(path)
            .map_err(|failure| failed("Failed to load admin client properties", &failure))?,
        None => Properties::new(),
    };
    let servers = options::text(matches, "bootstrap-server").unwrap_or_default();
    let client = Client::admin(servers, &properties)?;
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Stop::Message("too few arguments".to_owned()));
    };
    block_on(async {
        match name {
            "list" => list(&client, matches).await,
            "describe" => describe(&client, matches).await,
            "describe-producers" => describe_producers(&client, matches).await,
            "abort" => abort(&client, matches).await,
            "find-hanging" => hanging::find(&client, matches).await,
            _ => terminate(&client, matches).await,
        }
    })
}

/// What the tool says of a call that failed.
fn failed(what: &str, failure: &Failure) -> Stop {
    Stop::Message(format!(
        "{what}: {failure}. Enable debug logging for additional detail."
    ))
}

fn show(headers: &[&str], rows: &[Vec<String>]) {
    print::Output::stdout().bytes(print::table(headers, rows).as_bytes());
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

fn or_none(value: Option<i64>) -> String {
    value.map_or_else(|| "None".to_owned(), |value| value.to_string())
}

async fn list(client: &Client, matches: &ArgMatches) -> Result<(), Stop> {
    let longer_than_ms = matches.get_one::<i64>("duration-filter").copied();
    let filter = Filter {
        producer_ids: Vec::new(),
        longer_than_ms: longer_than_ms.filter(|duration| *duration >= 0),
        pattern: options::text(matches, "transactional-id-pattern").map(str::to_owned),
    };
    let listings = transactions::list(client, &filter).await;
    let listings = listings.map_err(|failure| failed("Failed to list transactions", &failure))?;
    let rows: Vec<Vec<String>> = listings
        .into_iter()
        .map(|listing| {
            vec![
                listing.transactional_id,
                listing.coordinator.to_string(),
                listing.producer_id.to_string(),
                listing.state,
            ]
        })
        .collect();
    let headers = [
        "TransactionalId",
        "Coordinator",
        "ProducerId",
        "TransactionState",
    ];
    show(&headers, &rows);
    Ok(())
}

async fn describe(client: &Client, matches: &ArgMatches) -> Result<(), Stop> {
    let id = options::text(matches, "transactional-id").unwrap_or_default();
    let described = transactions::describe(client, id).await;
    let described = described.map_err(|failure| {
        let what = format!("Failed to describe transaction state of transactional-id `{id}`");
        failed(&what, &failure)
    })?;
    let partitions = in_order(described.partitions, partition_hash);
    let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    let row = vec![
        described.coordinator.to_string(),
        id.to_owned(),
        described.producer_id.to_string(),
        described.producer_epoch.to_string(),
        described.state,
        described.timeout_ms.to_string(),
        or_none(described.start_ms),
        or_none(described.start_ms.map(|start| now_ms() - start)),
        partitions.join(","),
    ];
    let headers = [
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ];
    show(&headers, &[row]);
    Ok(())
}

fn partition(matches: &ArgMatches) -> TopicPartition {
    let topic = options::text(matches, "topic").unwrap_or_default();
    let number = matches.get_one::<i32>("partition").copied();
    TopicPartition::new(topic, number.unwrap_or_default())
}

async fn describe_producers(client: &Client, matches: &ArgMatches) -> Result<(), Stop> {
    let partition = partition(matches);
    let broker = matches.get_one::<i32>("broker-id").copied();
    let asked = std::slice::from_ref(&partition);
    let producers = transactions::producers(client, asked, broker).await;
    let producers = producers.map_err(|failure| {
        let whom = broker.map_or_else(|| "leader".to_owned(), |id| format!("broker {id}"));
        let what = format!("Failed to describe producers for partition {partition} on {whom}");
        failed(&what, &failure)
    })?;
    let rows: Vec<Vec<String>> = producers
        .values()
        .flatten()
        .map(|producer| {
            vec![
                producer.id.to_string(),
                producer.epoch.to_string(),
                producer.coordinator_epoch.unwrap_or(-1).to_string(),
                producer.last_sequence.to_string(),
                producer.last_timestamp.to_string(),
                or_none(producer.open_from),
            ]
        })
        .collect();
    let headers = [
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ];
    show(&headers, &rows);
    Ok(())
}

async fn abort(client: &Client, matches: &ArgMatches) -> Result<(), Stop> {
    let partition = partition(matches);
    let start = matches.get_one::<i64>("start-offset").copied();
    let producer_id = matches.get_one::<i64>("producer-id").copied();
    let abort = match (start, producer_id) {
        (Some(start), _) => open_at(client, &partition, start).await?,
        (None, Some(producer_id)) => {
            let missing = |name| Stop::Message(format!("Missing required argument --{name}"));
            let epoch = matches.get_one::<i16>("producer-epoch").copied();
            let coordinator = matches.get_one::<i32>("coordinator-epoch").copied();
            Abort {
                partition,
                producer_id,
                producer_epoch: epoch.ok_or_else(|| missing("producer-epoch"))?,
                // A partition that never saw a marker says -1; no coordinator's epoch is below 0.
                coordinator_epoch: coordinator
                    .ok_or_else(|| missing("coordinator-epoch"))?
                    .max(0),
            }
        }
        (None, None) => {
            return Err(Stop::Message(
                "The transaction to abort must be identified either with --start-offset (for \
                 brokers on 3.0 or above) or with --producer-id, --producer-epoch, and \
                 --coordinator-epoch (for older brokers)"
                    .to_owned(),
            ));
        }
    };
    let done = transactions::abort(client, &abort).await;
    done.map_err(|failure| failed(&format!("Failed to abort transaction {abort}"), &failure))
}

/// The open transaction that begins at this offset of the partition.
async fn open_at(client: &Client, partition: &TopicPartition, start: i64) -> Result<Abort, Stop> {
    let asked = std::slice::from_ref(partition);
    let producers = transactions::producers(client, asked, None).await;
    let producers = producers.map_err(|failure| {
        let what = format!("Failed to validate producer state for partition {partition}");
        failed(&what, &failure)
    })?;
    let mut producers = producers.into_values().flatten();
    let open = producers.find(|producer| producer.open_from == Some(start));
    let open = open.ok_or_else(|| {
        Stop::Message(format!(
            "Could not find any open transactions starting at offset {start} on partition {partition}"
        ))
    })?;
    Ok(Abort {
        partition: partition.clone(),
        producer_id: open.id,
        // Epochs have 16 bits; the answer has room for 32.
        producer_epoch: i16::try_from(open.epoch).unwrap_or(i16::MAX),
        coordinator_epoch: open.coordinator_epoch.unwrap_or(0),
    })
}

async fn terminate(client: &Client, matches: &ArgMatches) -> Result<(), Stop> {
    let id = options::text(matches, "transactionalId").unwrap_or_default();
    let done = transactions::terminate(client, id).await;
    done.map_err(|failure| {
        let what = format!("Failed to force terminate transactionalId `{id}`");
        failed(&what, &failure)
    })
}
