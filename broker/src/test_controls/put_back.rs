//! Puts a node back to a snapshot.
//!
//! Invariant: each partition has one point in its order at which it is put back. Produces come
//! whole before it or whole after it, since they are held up meanwhile; commits of offsets too,
//! since the coordinators are. What is answered after the answer to this is in the new state.
//!
//! ```text
//! metadata: what came since goes ─▶ contents of missing logs are laid out ─▶ missing topics come
//! coordinators are held ─▶ logs are swapped, partitions replaced ─▶ coordinators load and go on
//! ```

use std::sync::Arc;

use controller::{PutBackMetadata, missing_topics};
use protocol::{ErrorCode, TopicPartition};
use storage::{PutBack, PutBackResult};
use tracing::{error, info, warn};

use super::ControlError;
use super::snapshot::Snapshot;
use crate::api::{Node, is_internal};
use crate::coordinators::{
    GROUP_TOPIC, HeldGroups, HeldShareStates, HeldTransactions, SHARE_STATE_TOPIC,
    TRANSACTION_TOPIC,
};
use crate::replica::Partition;

/// Tries against clients that create the topics that are missing.
const TRIES: usize = 5;

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Topics there are now, the broker's own left out.
    pub(crate) topics: usize,
    /// Logs that did not hold what they should.
    pub(crate) partitions_put_back: usize,
    pub(crate) topics_deleted: usize,
    pub(crate) topics_recreated: usize,
    /// Rules of `/v1/faults`: a reset ends them, a restore leaves them.
    pub(crate) faults_removed: usize,
}

/// The coordinator partitions without a shard.
struct Held {
    groups: Vec<i32>,
    transactions: Vec<i32>,
    share_states: Vec<i32>,
}

impl Held {
    /// Whether the partition's shard, where it has one, keeps off its log.
    fn may_change(&self, of: &TopicPartition) -> bool {
        match &*of.topic {
            GROUP_TOPIC => self.groups.contains(&of.partition),
            TRANSACTION_TOPIC => self.transactions.contains(&of.partition),
            SHARE_STATE_TOPIC => self.share_states.contains(&of.partition),
            _ => true,
        }
    }
}

/// A log that is to be put back, and the partition that has it.
struct Served {
    partition: Arc<Partition>,
    wanted: PutBack,
}

pub(super) async fn put_back(
    node: &Arc<Node>,
    snapshot: Arc<Snapshot>,
) -> Result<Counts, ControlError> {
    // First: what is being carried out for a group writes its state.
    let _no_commands = node.groups.no_commands().await;
    let _no_appends = node.test_controls.no_appends().await;
    let mut counts = Counts::default();
    put_metadata_back(node, &snapshot, &mut counts).await?;
    // Else they would find the offsets that are put back.
    node.groups.removals_begun().await;
    node.shares.clear_and_wait().await;
    // First those who write to the others' partitions.
    let transactions = node.transactions.hold().await;
    let groups = node.groups.hold().await;
    let share_states = node.share_states.hold().await;
    let held = Held {
        groups: groups.iter().map(|held| held.partition).collect(),
        transactions: transactions.iter().map(|held| held.partition).collect(),
        share_states: share_states.iter().map(|held| held.partition).collect(),
    };
    let (on, of) = (node.clone(), snapshot.clone());
    let swapped = blocking(move || put_logs_back(&on, &of, &held)).await;
    groups.into_iter().for_each(|held| groups_go_on(node, held));
    for held in transactions {
        transactions_go_on(node, held);
    }
    for held in share_states {
        share_states_go_on(node, held);
    }
    // Who fetched meanwhile may have read a state as it was.
    node.shares.clear();
    counts.partitions_put_back = swapped?;
    put_levels_back(node, &snapshot);
    let image = node.controller.image();
    counts.topics = image
        .topics
        .iter()
        .filter(|it| !is_internal(&it.name))
        .count();
    info!(?counts, "the node was put back to a snapshot");
    Ok(counts)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

async fn put_metadata_back(
    node: &Arc<Node>,
    snapshot: &Arc<Snapshot>,
    counts: &mut Counts,
) -> Result<(), ControlError> {
    let wanted = PutBackMetadata {
        image: snapshot.image.clone(),
        stays: is_internal,
    };
    for _ in 0..TRIES {
        let before = node.controller.image().topics.len();
        let removed = node.controller.remove_what_came(wanted.clone()).await;
        removed.map_err(ControlError::Metadata)?;
        let image = node.controller.image();
        counts.topics_deleted += before.saturating_sub(image.topics.len());
        let missing = missing_topics(&wanted, &image).count();
        if missing == 0 {
            return Ok(());
        }
        let (on, of, what) = (node.clone(), snapshot.clone(), wanted.clone());
        blocking(move || lay_missing_logs_out(&on, &of, &what)).await?;
        let again = node.controller.bring_again(wanted.clone()).await;
        if again.map_err(ControlError::Metadata)? {
            counts.topics_recreated += missing;
            return Ok(());
        }
    }
    Err(ControlError::NamesTaken)
}

/// The logs of missing topics are there before their topics are: whatever happens in between,
/// nobody sees such a topic empty.
fn lay_missing_logs_out(
    node: &Node,
    snapshot: &Snapshot,
    wanted: &PutBackMetadata,
) -> Result<(), ControlError> {
    let _changing = node.replicas.changing();
    let image = node.controller.image();
    let mut laid_out = Vec::new();
    for topic in missing_topics(wanted, &image) {
        if image.topics.by_name(&topic.name).is_some() {
            // Somebody was faster: it is removed with the next try.
            continue;
        }
        for &partition in topic.partitions.keys() {
            let Some(content) = snapshot.content(topic.id, partition) else {
                continue;
            };
            laid_out.push(PutBack {
                topic_partition: TopicPartition {
                    topic: topic.name.clone(),
                    partition,
                },
                topic_id: topic.id,
                config: storage::LogConfig::default(),
                content: Some(content.clone()),
                open: false,
            });
        }
    }
    for result in node.log_dir.put_back(&laid_out)? {
        result?;
    }
    Ok(())
}

/// Swaps the logs that do not hold what they should; says how many.
fn put_logs_back(node: &Node, snapshot: &Snapshot, held: &Held) -> Result<usize, ControlError> {
    let _changing = node.replicas.changing();
    let served: Vec<Served> = node
        .replicas
        .all()
        .into_iter()
        .filter_map(|partition| served(snapshot, held, partition))
        .collect();
    forget_rows(node, &served);
    let (partitions, wanted): (Vec<_>, Vec<_>) = served
        .into_iter()
        .map(|served| (served.partition, served.wanted))
        .unzip();
    let results = node.log_dir.put_back(&wanted)?;
    let mut count = 0;
    let mut failed = None;
    for (partition, result) in partitions.iter().zip(results) {
        match take_over(node, partition, result) {
            Ok(changed) => count += usize::from(changed),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(count), |error| Err(error.into()))
}

/// What is to become of a partition; `None` for one that stays as it is.
fn served(snapshot: &Snapshot, held: &Held, partition: Arc<Partition>) -> Option<Served> {
    let of = partition.topic_partition();
    if !held.may_change(of) {
        // It was created meanwhile, and its coordinator works with it.
        return None;
    }
    let content = snapshot
        .content(partition.topic_id(), of.partition)
        .cloned();
    if content.is_none() && !is_internal(&of.topic) {
        return None;
    }
    let wanted = PutBack {
        topic_partition: of.clone(),
        topic_id: partition.topic_id(),
        // Settings that were put back have reached it.
        config: (*partition.log().config()).clone(),
        content,
        open: true,
    };
    Some(Served { partition, wanted })
}

/// Rows of coordinators tell of the logs as they are.
fn forget_rows(node: &Node, served: &[Served]) {
    let mut known = false;
    for Served { partition, wanted } in served {
        let forgotten = match &*wanted.topic_partition.topic {
            GROUP_TOPIC => node.groups.forget_rows(partition.log()),
            TRANSACTION_TOPIC => node.transactions.forget_rows(partition.log()),
            _ => continue,
        };
        match forgotten {
            Ok(had_rows) => known |= had_rows,
            Err(error) => {
                let partition = partition.topic_partition();
                warn!(%partition, %error, "rows of the coordinator stay");
            }
        }
    }
    if known && let Err(error) = node.log_dir.kv().flush() {
        warn!(%error, "rows of coordinators may come back after a crash");
    }
}

/// The partition goes on with the log it was given; says whether that is another one.
fn take_over(
    node: &Node,
    partition: &Arc<Partition>,
    result: PutBackResult,
) -> Result<bool, storage::Error> {
    match result {
        Ok(Some(log)) if !Arc::ptr_eq(&log, partition.log()) => {
            node.replicas.replace(Arc::new(partition.with_log(log)));
            Ok(true)
        }
        Ok(Some(_) | None) => Ok(false),
        Err(failure) => {
            let of = partition.topic_partition().clone();
            error!(partition = %of, error = %failure, "the log was not put back: it is offline");
            partition.end(ErrorCode::KafkaStorageError);
            node.replicas.set_offline(of, ErrorCode::KafkaStorageError);
            Err(failure)
        }
    }
}

fn groups_go_on(node: &Node, held: HeldGroups) {
    let of = TopicPartition::new(GROUP_TOPIC, held.partition);
    // A partition that is gone, or offline, has no coordinator: who asks is told so.
    if let Ok(partition) = node.replicas.partition(&of) {
        node.groups.go_on(held, partition);
    }
}

fn transactions_go_on(node: &Node, held: HeldTransactions) {
    let of = TopicPartition::new(TRANSACTION_TOPIC, held.partition);
    if let Ok(partition) = node.replicas.partition(&of) {
        node.transactions.go_on(held, partition);
    }
}

fn share_states_go_on(node: &Node, held: HeldShareStates) {
    let of = TopicPartition::new(SHARE_STATE_TOPIC, held.partition);
    if let Ok(partition) = node.replicas.partition(&of) {
        node.share_states.go_on(held, partition);
    }
}

fn put_levels_back(node: &Node, snapshot: &Snapshot) {
    use controller::Loggers as _;
    for (logger, level) in node.loggers.all() {
        let then = snapshot.levels.iter().find(|(name, _)| *name == logger);
        if then.is_some_and(|(_, then)| *then != level) {
            node.loggers
                .set_level(&logger, then.map(|(_, level)| level.as_str()));
        }
    }
}
