//! Ends transactions in their partitions, as the transaction coordinator commands.
//!
//! Invariant: a command is carried out to its end, however often a partition refuses, and no
//! partition holds up another; only a deleted partition needs no marker. What a kill interrupts is
//! commanded again by the shard that loads.

use std::sync::Arc;
use std::time::Duration;

use coordinator::RequestMeta;
use coordinator::transaction::{TransactionCommand, TransactionRequest};
use protocol::control::EndTransactionMarker;
use protocol::messages::WriteTxnMarkersRequest;
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Request, TopicPartition};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::groups::GROUP_TOPIC;
use super::runtime::MarkerWrite;
use super::transactions::Commanded;
use crate::api::Node;
use crate::faults::{Action, Asked, Topics};

/// The waits before a partition is asked again, from the first to the longest.
const BACKOFF: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long a marker may take until it is committed; then it is asked for again.
const COMMIT_TIMEOUT_MS: i32 = 30_000;

/// Carries the commands of all shards out until `stop`, those of each transaction by itself.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let Some(mut commands) = node.transactions.take_commands() else {
        return;
    };
    loop {
        let commanded = tokio::select! {
            () = stop.cancelled() => return,
            commanded = commands.recv() => commanded,
        };
        let Some(commanded) = commanded else { return };
        begin(&node, commanded);
    }
}

fn begin(node: &Arc<Node>, commanded: Commanded) {
    let Commanded {
        partition,
        command,
        work,
    } = commanded;
    let (ended, node) = (work.ended, node.clone());
    work.tasks.spawn(async move {
        tokio::select! {
            biased;
            // The next shard of the partition commands again what is due.
            () = ended.cancelled() => {}
            () = carry_out(&node, partition, command) => {}
        }
        node.transactions.carried_out();
    });
}

async fn carry_out(node: &Arc<Node>, shard: i32, command: TransactionCommand) {
    match command {
        TransactionCommand::WriteMarkers {
            transactional_id,
            producer_id,
            producer_epoch,
            committed,
            transaction_version,
            partitions,
        } => {
            let producer = (producer_id, producer_epoch);
            let told = TransactionRequest::MarkersWritten {
                transactional_id: transactional_id.clone(),
                producer_id,
                producer_epoch,
            };
            let mut ending = Ending {
                transactional_id,
                shard,
                producer,
                committed,
                transaction_version,
                left: partitions,
            };
            ending.write_all(node, told).await;
        }
        TransactionCommand::FindProducerId { transactional_id } => {
            match node.producer_ids.next().await {
                Ok(spare) => {
                    let found = TransactionRequest::AbortTimedOut {
                        transactional_id,
                        spare,
                    };
                    tell(node, shard, found).await;
                }
                // The shard asks again at its next look.
                Err(code) => debug!(?code, %transactional_id, "no producer id for now"),
            }
        }
    }
}

/// A transaction that is being ended.
struct Ending {
    transactional_id: Arc<str>,
    /// Whose command it is.
    shard: i32,
    producer: (ProducerId, ProducerEpoch),
    committed: bool,
    transaction_version: i16,
    /// The partitions without their marker.
    left: Vec<TopicPartition>,
}

impl Ending {
    async fn write_all(&mut self, node: &Arc<Node>, told: TransactionRequest) {
        let mut backoff = BACKOFF;
        let mut has_warned = false;
        loop {
            {
                // No snapshot may show the end of the transaction without all of its markers.
                let _not_put_back = node.test_controls.appending().await;
                if self.write_left(node, &mut has_warned).await {
                    return tell(node, self.shard, told).await;
                }
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Tries every partition that is left; says whether none is any more.
    async fn write_left(&mut self, node: &Arc<Node>, has_warned: &mut bool) -> bool {
        let Some(epoch) = node.transactions.epoch(self.shard) else {
            return false;
        };
        let marker = MarkerWrite {
            producer: self.producer,
            marker: EndTransactionMarker {
                committed: self.committed,
                coordinator_epoch: epoch.0,
            },
            transaction_version: self.transaction_version,
        };
        let mut left = Vec::new();
        for (of, written) in write_each(node, std::mem::take(&mut self.left), marker).await {
            let Err(code) = written else {
                continue;
            };
            if is_done_with(node, &of, code) {
                debug!(partition = %of, ?code, "the transaction needs no marker here");
                continue;
            }
            if !std::mem::replace(has_warned, true) {
                let transactional_id = &self.transactional_id;
                warn!(
                    partition = %of, ?code, %transactional_id,
                    "the end of a transaction is not written yet; it is tried again"
                );
            }
            left.push(of);
        }
        self.left = left;
        self.left.is_empty()
    }
}

/// Tries partitions side by side: one that is slow delays no other.
async fn write_each(
    node: &Arc<Node>,
    mut partitions: Vec<TopicPartition>,
    marker: MarkerWrite,
) -> Vec<(TopicPartition, Result<(), ErrorCode>)> {
    let Some(last) = partitions.pop() else {
        return Vec::new();
    };
    let mut others = JoinSet::new();
    for of in partitions {
        let node = node.clone();
        others.spawn(async move {
            let written = write_or_fail(&node, &of, marker).await;
            (of, written)
        });
    }
    // Most transactions have few partitions: the last of them needs no task.
    let written = write_or_fail(node, &last, marker).await;
    let mut all = others.join_all().await;
    all.push((last, written));
    all
}

/// As [`write`], unless a rule of faults for WriteTxnMarkers says otherwise: what a coordinator
/// writes is what other nodes would be sent.
async fn write_or_fail(
    node: &Node,
    of: &TopicPartition,
    marker: MarkerWrite,
) -> Result<(), ErrorCode> {
    if node.faults.is_empty() {
        return write(node, of, marker).await;
    }
    let verdict = node.faults.decide(&Asked {
        api: WriteTxnMarkersRequest::KEY,
        client_id: &format!("broker-{}-txn-marker-sender", node.config.node_id),
        topics: &Topics::Some(vec![(of.topic.clone(), Some(of.partition))]),
    });
    tokio::time::sleep(verdict.delay).await;
    let mut faults = verdict.partitions.iter();
    if let Some(fault) = faults.find(|it| it.is_of(&of.topic, Some(of.partition))) {
        return Err(fault.code);
    }
    match verdict.action {
        None => write(node, of, marker).await,
        Some(Action::Error(code)) => Err(code),
        Some(Action::Cut | Action::Drop) => Err(ErrorCode::NetworkException),
        Some(Action::CutAfter | Action::Swallow) => {
            write(node, of, marker).await?;
            Err(ErrorCode::NetworkException)
        }
    }
}

/// Whether a partition that refuses a marker will never need it.
fn is_done_with(node: &Node, of: &TopicPartition, code: ErrorCode) -> bool {
    // A newer epoch of the producer has ended the transaction there already.
    if code == ErrorCode::InvalidProducerEpoch {
        return true;
    }
    let image = node.controller.image();
    let topic = image.topics.by_name(&of.topic);
    topic
        .and_then(|topic| topic.partition(of.partition))
        .is_none()
}

/// Tells a shard what came of its command. It tries again itself what it cannot write.
async fn tell(node: &Node, shard: i32, what: TransactionRequest) {
    let meta = RequestMeta {
        api_version: 0,
        client_id: Arc::from(""),
        client_host: Arc::from(""),
    };
    if let Err(code) = node.transactions.tell(shard, meta, what).await {
        debug!(?code, shard, "a transaction is completed later");
    }
}

/// Ends a transaction in one partition that is led here, and waits until that is committed. With
/// more nodes the marker of a partition that another one leads goes there, in a WriteTxnMarkers.
///
/// # Errors
/// The code of upstream's WriteTxnMarkers.
pub(crate) async fn write(
    node: &Node,
    of: &TopicPartition,
    marker: MarkerWrite,
) -> Result<(), ErrorCode> {
    if &*of.topic == GROUP_TOPIC {
        return node.groups.write_marker(of.partition, marker).await;
    }
    let partition = node.replicas.partition(of)?;
    partition.check_min_in_sync()?;
    let appended = partition.append_marker(
        marker.producer,
        marker.marker,
        marker.transaction_version,
        node.clock.now(),
    );
    let info = appended.await.map_err(|error| ErrorCode::from(&error))?;
    partition
        .committed(info.log_end_offset, COMMIT_TIMEOUT_MS)
        .await
}
