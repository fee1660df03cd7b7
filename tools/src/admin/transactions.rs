//! Transactions: which there are, what their coordinators and partitions know of them, ending them.
//!
//! Invariant: a partition's producers are asked of its leader unless a broker is named.

use std::collections::BTreeMap;

use protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ListTransactionsResponse, TransactionalId, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse, describe_producers_request, describe_producers_response,
    describe_transactions_response, list_transactions_response, write_txn_markers_request,
};
use protocol::{ErrorCode, TopicPartition};

use super::{text, topic_name};
use crate::client::{Client, CoordinatorKind, Target};
use crate::failure::Failure;

/// The first versions of ListTransactions that filter by age, and by the id's pattern.
const DURATION_FILTER: i16 = 1;
const PATTERN_FILTER: i16 = 2;

/// Which transactions are wanted: all, as far as nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub producer_ids: Vec<i64>,
    pub longer_than_ms: Option<i64>,
    pub pattern: Option<String>,
}

/// A transaction as a broker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub coordinator: i32,
    pub transactional_id: String,
    pub producer_id: i64,
    pub state: String,
}

/// The transactions of all brokers, in the order in which each broker names them.
pub async fn list(client: &Client, filter: &Filter) -> Result<Vec<Listing>, Failure> {
    let build = |version| {
        let request = ListTransactionsRequest::default()
            .with_producer_id_filters(filter.producer_ids.iter().map(|id| (*id).into()).collect())
            .with_duration_filter(filter.longer_than_ms.unwrap_or(-1))
            .with_transactional_id_pattern(filter.pattern.as_deref().map(text));
        if version < DURATION_FILTER && filter.longer_than_ms.is_some() {
            return Err(Failure::unsupported(
                "Duration filter can be set only when using API version 1 or higher. If client is \
                 connected to an older broker, do not specify duration filter or set duration \
                 filter to -1.",
            ));
        }
        if version < PATTERN_FILTER && filter.pattern.is_some() {
            return Err(Failure::unsupported(
                "Transactional ID pattern filter can be set only when using API version 2 or \
                 higher. If client is connected to an older broker, do not specify the pattern \
                 filter.",
            ));
        }
        Ok(request)
    };
    let cluster = client.cluster().await.map_err(|failure| {
        if failure.is_retriable() {
            let call = "listTransactions(api=METADATA)";
            Failure::timed_out(format!(
                "Timed out waiting for a node assignment. Call: {call}"
            ))
        } else {
            failure
        }
    })?;
    let mut listings = Vec::new();
    for coordinator in cluster.nodes.into_keys() {
        let read =
            |answer: ListTransactionsResponse| match ErrorCode::try_from_code(answer.error_code) {
                None => Ok(answer.transaction_states),
                Some(code) => Err(not_listed(code, coordinator)),
            };
        let states = client
            .call("listTransactions", Target::Node(coordinator), build, read)
            .await?;
        listings.extend(states.into_iter().map(|state| listed(coordinator, &state)));
    }
    Ok(listings)
}

fn not_listed(code: ErrorCode, coordinator: i32) -> Failure {
    if code == ErrorCode::CoordinatorLoadInProgress {
        return Failure::of(code, None);
    }
    let why = if code == ErrorCode::CoordinatorNotAvailable {
        "failed because the coordinator is shutting down"
    } else {
        "failed with an unexpected exception"
    };
    let message = format!("ListTransactions request sent to broker {coordinator} {why}");
    Failure::of(code, Some(&message)).not_retried()
}

/// What is to be said of a request for a transactional id that its coordinator refused.
fn refused(request: &str, transactional_id: &str, code: ErrorCode) -> Failure {
    let passing = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
    ];
    if passing.contains(&code) {
        return Failure::of(code, None);
    }
    let why = if code == ErrorCode::TransactionalIdNotFound {
        "failed because the ID could not be found"
    } else {
        "failed due to unexpected error"
    };
    let message = format!("{request} request for transactionalId `{transactional_id}` {why}");
    Failure::of(code, Some(&message)).not_retried()
}

fn listed(coordinator: i32, state: &list_transactions_response::TransactionState) -> Listing {
    Listing {
        coordinator,
        transactional_id: state.transactional_id.to_string(),
        producer_id: state.producer_id.0,
        state: state.transaction_state.to_string(),
    }
}

/// A transaction as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub coordinator: i32,
    pub state: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub timeout_ms: i32,
    pub start_ms: Option<i64>,
    pub partitions: Vec<TopicPartition>,
}

/// What the coordinator of a transactional id knows of it.
pub async fn describe(client: &Client, transactional_id: &str) -> Result<Description, Failure> {
    let name = "describeTransactions";
    let to = Target::Coordinator(CoordinatorKind::Transaction, transactional_id);
    let build = |_| {
        let ids = vec![TransactionalId(text(transactional_id))];
        Ok(DescribeTransactionsRequest::default().with_transactional_ids(ids))
    };
    let read = |answer: DescribeTransactionsResponse| {
        let rows = answer.transaction_states.into_iter();
        let mut rows = rows.filter(|row| row.transactional_id.as_str() == transactional_id);
        rows.next().ok_or_else(|| {
            let message = format!("the answer does not tell of `{transactional_id}`");
            Failure::of(ErrorCode::UnknownServerError, Some(&message))
        })
    };
    let checked = |answer| {
        let row = read(answer)?;
        match ErrorCode::try_from_code(row.error_code) {
            None => Ok(row),
            Some(code) => Err(refused("DescribeTransactions", transactional_id, code)),
        }
    };
    let row = client.call(name, to, build, checked).await?;
    let coordinator = client
        .coordinator_id(CoordinatorKind::Transaction, transactional_id)
        .await?;
    Ok(described(coordinator, &row))
}

fn described(
    coordinator: i32,
    row: &describe_transactions_response::TransactionState,
) -> Description {
    let partitions = row.topics.iter().flat_map(|topic| {
        let numbers = topic.partitions.iter();
        numbers.map(|number| TopicPartition::new(topic.topic.as_str(), *number))
    });
    Description {
        coordinator,
        state: row.transaction_state.to_string(),
        producer_id: row.producer_id.0,
        producer_epoch: row.producer_epoch,
        timeout_ms: row.transaction_timeout_ms,
        start_ms: Some(row.transaction_start_time_ms).filter(|time| *time >= 0),
        partitions: partitions.collect(),
    }
}

/// A producer as a partition remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i32,
    pub coordinator_epoch: Option<i32>,
    pub last_sequence: i32,
    pub last_timestamp: i64,
    /// Where its open transaction begins.
    pub open_from: Option<i64>,
}

/// The producers of each partition, as its leader or that broker knows them.
pub async fn producers(
    client: &Client,
    partitions: &[TopicPartition],
    broker: Option<i32>,
) -> Result<BTreeMap<TopicPartition, Vec<Producer>>, Failure> {
    let mut found = BTreeMap::new();
    for partition in partitions {
        let to = broker.map_or(Target::Leader(partition), Target::Node);
        let build = |_| {
            let topic = describe_producers_request::TopicRequest::default()
                .with_name(topic_name(&partition.topic))
                .with_partition_indexes(vec![partition.partition]);
            Ok(DescribeProducersRequest::default().with_topics(vec![topic]))
        };
        let read = |answer| producers_in(answer, partition, broker);
        let producers = client.call("describeProducers", to, build, read).await?;
        found.insert(partition.clone(), producers);
    }
    Ok(found)
}

fn producers_in(
    answer: DescribeProducersResponse,
    partition: &TopicPartition,
    broker: Option<i32>,
) -> Result<Vec<Producer>, Failure> {
    let mut rows = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let row = rows.next().ok_or_else(|| {
        let message = format!("the answer does not tell of {partition}");
        Failure::of(ErrorCode::UnknownServerError, Some(&message))
    })?;
    let message = row.error_message.as_deref();
    match (ErrorCode::try_from_code(row.error_code), broker) {
        (None, _) => Ok(row.active_producers.iter().map(producer).collect()),
        // Another broker would not help who asked for this one.
        (Some(code @ ErrorCode::NotLeaderOrFollower), Some(broker)) => {
            let message = format!(
                "Failed to describe active producers for partition {partition} on brokerId {broker}"
            );
            Err(Failure::of(code, Some(&message)).not_retried())
        }
        (Some(code), _) => Err(Failure::of(code, message)),
    }
}

fn producer(row: &describe_producers_response::ProducerState) -> Producer {
    Producer {
        id: row.producer_id.0,
        epoch: row.producer_epoch,
        coordinator_epoch: Some(row.coordinator_epoch).filter(|epoch| *epoch >= 0),
        last_sequence: row.last_sequence,
        last_timestamp: row.last_timestamp,
        open_from: Some(row.current_txn_start_offset).filter(|offset| *offset >= 0),
    }
}

/// A transaction that hangs in a partition, and as whom it is to be aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    pub partition: TopicPartition,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub coordinator_epoch: i32,
}

impl std::fmt::Display for Abort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "AbortTransactionSpec(topicPartition={}, producerId={}, producerEpoch={}, \
             coordinatorEpoch={})",
            self.partition, self.producer_id, self.producer_epoch, self.coordinator_epoch
        )
    }
}

/// Writes the marker that ends the transaction in its partition.
pub async fn abort(client: &Client, abort: &Abort) -> Result<(), Failure> {
    let build = |_| {
        let topic = write_txn_markers_request::WritableTxnMarkerTopic::default()
            .with_name(topic_name(&abort.partition.topic))
            .with_partition_indexes(vec![abort.partition.partition]);
        let marker = write_txn_markers_request::WritableTxnMarker::default()
            .with_producer_id(abort.producer_id.into())
            .with_producer_epoch(abort.producer_epoch)
            .with_coordinator_epoch(abort.coordinator_epoch)
            .with_transaction_result(false)
            .with_topics(vec![topic]);
        Ok(WriteTxnMarkersRequest::default().with_markers(vec![marker]))
    };
    let read = |answer: WriteTxnMarkersResponse| {
        let topics = answer.markers.into_iter().flat_map(|marker| marker.topics);
        let mut rows = topics.flat_map(|topic| topic.partitions);
        let code = rows.next().map_or(-1, |row| row.error_code);
        match ErrorCode::try_from_code(code) {
            None => Ok(()),
            Some(code) => Err(Failure::of(code, abort_failed(abort, code).as_deref())),
        }
    };
    let to = Target::Leader(&abort.partition);
    client.call("abortTransaction", to, build, read).await
}

/// Upstream's words where the marker was refused for good.
fn abort_failed(abort: &Abort, code: ErrorCode) -> Option<String> {
    let why = if code == ErrorCode::InvalidProducerEpoch {
        "failed due an invalid producer epoch".to_owned()
    } else if code == ErrorCode::TransactionCoordinatorFenced {
        format!(
            "failed since the provided coordinator epoch {} has been fenced by the active \
             coordinator",
            abort.coordinator_epoch
        )
    } else {
        let known = Failure::of(code, None);
        if known.is_retriable() {
            return None;
        }
        format!("failed due to unexpected error: {known}")
    };
    Some(format!("WriteTxnMarkers request with {abort} {why}"))
}

/// Has the coordinator abort the open transaction of an id and fence its producer: as a new producer
/// of that id would.
pub async fn terminate(client: &Client, transactional_id: &str) -> Result<(), Failure> {
    // The id is left with this time-out until its next producer comes.
    let timeout = client.settings().request_timeout.as_millis();
    let timeout_ms = i32::try_from(timeout).unwrap_or(i32::MAX);
    let build = |_| {
        Ok(InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(transactional_id))))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1))
    };
    let read = |answer: InitProducerIdResponse| match ErrorCode::try_from_code(answer.error_code) {
        None => Ok(()),
        Some(code @ ErrorCode::ConcurrentTransactions) => Err(Failure::of(code, None).retried()),
        Some(code) => Err(refused("InitProducerId", transactional_id, code)),
    };
    let to = Target::Coordinator(CoordinatorKind::Transaction, transactional_id);
    client.call("fenceProducer", to, build, read).await
}
