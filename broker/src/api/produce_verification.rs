//! Transactional records before they are appended: their coordinator must know that the partition
//! is part of the transaction (KIP-890).
//!
//! Invariant: a request without transactional records pays nothing for this. A client of
//! transactions version 2 has its partitions added here; of another it is asked whether it did.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use coordinator::transaction::TransactionRequest;
use protocol::{BatchHeader, ErrorCode, Producer, TopicPartition};
use storage::VerificationGuard;
use tokio::time::Instant;

use super::produce::Refused;
use super::{RequestContext, transactions};
use crate::faults::error_name;

/// What a request of some API may do in a transaction, by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// Partitions are added, not only looked for: the client is of transactions version 2.
    pub(super) adds: bool,
    /// Clients know `TRANSACTION_ABORTABLE`.
    pub(super) knows_abortable: bool,
}

impl Operation {
    fn of_produce(version: i16) -> Operation {
        Operation {
            adds: version >= 12,
            knows_abortable: version >= 11,
        }
    }

    /// Of TxnOffsetCommit.
    pub(super) fn of_commit(version: i16) -> Operation {
        Operation {
            adds: version >= 5,
            knows_abortable: version >= 4,
        }
    }
}

/// The right to append, by partition; none for one whose transaction is open already.
pub(super) type Verdicts = HashMap<TopicPartition, Result<Option<VerificationGuard>, ErrorCode>>;

/// The producer of transactional records.
pub(super) fn producer(records: &[u8]) -> Option<Producer> {
    let header = BatchHeader::parse(records).ok()?;
    header
        .producer
        .filter(|_| header.attributes.is_transactional())
}

/// Verifies the partitions that a produce writes transactional records to.
///
/// # Errors
/// The records are of more than one producer.
pub(super) async fn verify(
    ctx: &RequestContext,
    transactional_id: &str,
    wanted: &[(TopicPartition, Producer)],
) -> Result<HashMap<TopicPartition, Result<Option<VerificationGuard>, Refused>>, Refused> {
    let Some((_, first)) = wanted.first() else {
        return Ok(HashMap::new());
    };
    let other = |it: &Producer| (it.id, it.epoch) != (first.id, first.epoch);
    if wanted.iter().any(|(_, producer)| other(producer)) {
        let message = "Transactional records contained more than one producer ID".to_owned();
        return Err(Refused::with_message(
            ErrorCode::InvalidProducerIdMapping,
            message,
        ));
    }
    let operation = Operation::of_produce(ctx.version);
    let verdicts = ask_again(ctx, transactional_id, wanted, operation).await;
    let told = verdicts
        .into_iter()
        .map(|(of, verdict)| (of, verdict.map_err(|code| refused(code, operation))));
    Ok(told.collect())
}

/// How often the end of an earlier transaction may overtake the beginning of the next one.
pub(super) const TRIES: usize = 5;

/// Verifies a partition again whose guard is no longer good: between its being given and the answer
/// of the coordinator the marker of the transaction before was written, which ends it.
pub(super) async fn again(
    ctx: &RequestContext,
    transactional_id: &str,
    of: &TopicPartition,
    records: &[u8],
) -> Result<Option<VerificationGuard>, Refused> {
    let Some(producer) = producer(records) else {
        return Ok(None);
    };
    let mut verdicts = verify(ctx, transactional_id, &[(of.clone(), producer)]).await?;
    verdicts.remove(of).unwrap_or(Ok(None))
}

/// A transaction that is just being completed keeps the next one of its producer waiting, which
/// costs less here than a request that comes again.
async fn ask_again(
    ctx: &RequestContext,
    transactional_id: &str,
    wanted: &[(TopicPartition, Producer)],
    operation: Operation,
) -> Verdicts {
    let broker = &ctx.node.config.broker;
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let longest = millis(broker.add_partitions_to_txn_retry_backoff_max_ms);
    let backoff = millis(broker.add_partitions_to_txn_retry_backoff_ms);
    let started = Instant::now();
    loop {
        // Made before the question: no completion after its answer is missed.
        let completed = ctx.node.transactions.completed();
        let verdicts = partitions(ctx, transactional_id, wanted, operation).await;
        let is_concurrent = verdicts
            .values()
            .any(|verdict| verdict.as_ref().err() == Some(&ErrorCode::ConcurrentTransactions));
        if !operation.adds || !is_concurrent || started.elapsed() >= longest {
            return verdicts;
        }
        // Of any transaction: asking in vain costs little.
        let _ = tokio::time::timeout(backoff, completed).await;
    }
}

/// Begins the verification of partitions, and asks the coordinator of the transaction about those
/// that are not open already.
pub(super) async fn partitions(
    ctx: &RequestContext,
    transactional_id: &str,
    wanted: &[(TopicPartition, Producer)],
    operation: Operation,
) -> Verdicts {
    let mut verdicts = Verdicts::new();
    if !operation.adds && !ctx.node.transactions.is_verifying() {
        return verdicts;
    }
    let mut asked = Vec::new();
    let mut of_producer = None;
    for (of, producer) in wanted {
        let begun = ctx.node.replicas.partition(of).and_then(|partition| {
            let now = ctx.node.clock.now();
            let guard = partition.begin_verification(*producer, operation.adds, now);
            guard.map_err(|error| ErrorCode::from(&error))
        });
        if let Ok(Some(_)) = begun {
            asked.push(of.clone());
            of_producer = Some(producer);
        }
        verdicts.insert(of.clone(), begun);
    }
    let Some(producer) = of_producer else {
        return verdicts;
    };
    let request = TransactionRequest::AddPartitions {
        transactional_id: Arc::from(transactional_id),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        partitions: asked.clone(),
        verify_only: !operation.adds,
        version2: operation.adds,
    };
    for (of, code) in transactions::partitions(ctx, request, &asked).await {
        let Some(code) = code else { continue };
        ctx.node.meters.failed_verifications.fetch_add(1, Relaxed);
        verdicts.insert(of, Err(known_at(code, operation)));
    }
    verdicts
}

/// The codes that clients of a produce or commit know.
fn known_at(code: ErrorCode, operation: Operation) -> ErrorCode {
    if code == ErrorCode::ProducerFenced {
        return ErrorCode::InvalidProducerEpoch;
    }
    if code == ErrorCode::TransactionAbortable && !operation.knows_abortable {
        return ErrorCode::InvalidTxnState;
    }
    code
}

/// The coordinator's code as producers know it. Those that clients may not come again on turn into
/// one on which they do, without asking for metadata.
fn refused(code: ErrorCode, operation: Operation) -> Refused {
    let is_passing = [
        ErrorCode::NetworkException,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
    ]
    .contains(&code);
    if is_passing || (code == ErrorCode::ConcurrentTransactions && !operation.adds) {
        let message = format!(
            "Unable to verify the partition has been added to the transaction. Underlying error: {}",
            error_name(code)
        );
        return Refused::with_message(ErrorCode::NotEnoughReplicas, message);
    }
    if code == ErrorCode::InvalidTxnState {
        let message = "Partition was not added to the transaction".to_owned();
        return Refused::with_message(code, message);
    }
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_are_told_what_they_know() {
        let [old, newer, newest] = [10, 11, 12].map(Operation::of_produce);
        let abortable = ErrorCode::TransactionAbortable;
        assert_eq!(known_at(abortable, old), ErrorCode::InvalidTxnState);
        assert_eq!(known_at(abortable, newer), abortable);
        let fenced = known_at(ErrorCode::ProducerFenced, newest);
        assert_eq!(fenced, ErrorCode::InvalidProducerEpoch);
        let concurrent = ErrorCode::ConcurrentTransactions;
        assert_eq!(
            refused(concurrent, newer).code(),
            ErrorCode::NotEnoughReplicas
        );
        assert_eq!(refused(concurrent, newest).code(), concurrent);
        assert_eq!(
            refused(ErrorCode::NotCoordinator, newest).code(),
            ErrorCode::NotEnoughReplicas
        );
    }
}
