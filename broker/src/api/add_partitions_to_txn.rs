//! AddPartitionsToTxn: partitions that a transaction writes to; of many transactions at once, and
//! to verify alone, since KIP-890.

use std::collections::HashMap;

use coordinator::transaction::TransactionRequest;
use protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, TopicPartition};

use super::{RequestContext, topics, transactions};

/// From this version on brokers ask, for many transactions.
const BATCHED_SINCE: i16 = 4;
/// The first version whose clients know `PRODUCER_FENCED`.
const FENCED_SINCE: i16 = 2;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if ctx.version < BATCHED_SINCE {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let result = add(ctx, transaction).await;
        return AddPartitionsToTxnResponse::default()
            .with_results_by_topic_v3_and_below(result.topic_results);
    }
    let mut results: Vec<AddPartitionsToTxnResult> = Vec::new();
    for transaction in request.transactions {
        results.push(add(ctx, transaction).await);
    }
    AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
}

/// A topic of the request with the code of each partition.
type Topic<'a> = (&'a AddPartitionsToTxnTopic, Vec<(i32, Option<ErrorCode>)>);

async fn add(
    ctx: &RequestContext,
    transaction: AddPartitionsToTxnTransaction,
) -> AddPartitionsToTxnResult {
    let mut topics = distinct(ctx, &transaction.topics);
    let all = || topics.iter().flat_map(|(_, partitions)| partitions);
    let is_refused = all().any(|(_, code)| code.is_some());
    if is_refused {
        // One that fails keeps all of them out.
        for (_, code) in topics.iter_mut().flat_map(|(_, partitions)| partitions) {
            code.get_or_insert(ErrorCode::OperationNotAttempted);
        }
    } else {
        ask(ctx, &transaction, &mut topics).await;
    }
    if is_refused || transaction.verify_only {
        topics.retain(|(_, partitions)| !partitions.is_empty());
    } else {
        topics = as_asked(&transaction.topics, &topics);
    }
    let results = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, code)| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(code.map_or(0, |code| code.code()))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    let results = results.collect();
    AddPartitionsToTxnResult::default()
        .with_transactional_id(transaction.transactional_id)
        .with_topic_results(results)
}

/// The codes as the request names topics and partitions: what it names twice is answered twice.
fn as_asked<'a>(asked: &'a [AddPartitionsToTxnTopic], known: &[Topic<'_>]) -> Vec<Topic<'a>> {
    let codes: HashMap<(&str, i32), Option<ErrorCode>> = known
        .iter()
        .flat_map(|(topic, partitions)| {
            let partitions = partitions.iter();
            partitions.map(|(index, code)| ((topic.name.as_str(), *index), *code))
        })
        .collect();
    let answer = |topic: &'a AddPartitionsToTxnTopic| {
        let partitions = topic.partitions.iter().map(|index| {
            let code = codes.get(&(topic.name.as_str(), *index));
            (*index, code.copied().flatten())
        });
        (topic, partitions.collect())
    };
    asked.iter().map(answer).collect()
}

/// The topics and partitions, each once, with the codes of those that do not exist.
fn distinct<'a>(ctx: &RequestContext, asked: &'a [AddPartitionsToTxnTopic]) -> Vec<Topic<'a>> {
    let mut topics: Vec<Topic<'a>> = Vec::new();
    for topic in asked {
        if topics.iter().any(|(known, _)| known.name == topic.name) {
            continue;
        }
        let mut partitions: Vec<(i32, Option<ErrorCode>)> = Vec::new();
        for &index in &topic.partitions {
            if !partitions.iter().any(|(known, _)| *known == index) {
                partitions.push((index, check(ctx, &topic.name, index).err()));
            }
        }
        topics.push((topic, partitions));
    }
    topics
}

fn check(ctx: &RequestContext, topic: &str, index: i32) -> Result<(), ErrorCode> {
    ctx.check_fault(topic, index)?;
    if ctx.version < BATCHED_SINCE && topics::is_internal(topic) {
        // Offsets are added by their group; brokers, who ask in later versions, may name its topic.
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let topic = topics::find(&ctx.image, false, topic, uuid::Uuid::nil())?;
    topic.partition(index).map(|_| ())
}

async fn ask(
    ctx: &RequestContext,
    transaction: &AddPartitionsToTxnTransaction,
    topics: &mut [Topic<'_>],
) {
    let partitions: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|(topic, partitions)| {
            let indexes = partitions.iter();
            indexes.map(|(index, _)| TopicPartition::new(topic.name.as_str(), *index))
        })
        .collect();
    let request = TransactionRequest::AddPartitions {
        transactional_id: transactions::id(&transaction.transactional_id),
        producer_id: ProducerId(transaction.producer_id.0),
        producer_epoch: ProducerEpoch(transaction.producer_epoch),
        partitions: partitions.clone(),
        verify_only: transaction.verify_only,
        version2: ctx.version >= BATCHED_SINCE,
    };
    let verdicts = transactions::partitions(ctx, request, &partitions).await;
    let codes = topics.iter_mut().flat_map(|(_, partitions)| partitions);
    for ((_, code), (_, verdict)) in codes.zip(verdicts) {
        *code = verdict.map(|verdict| transactions::known_at(ctx, FENCED_SINCE, verdict));
    }
}
