//! The transaction coordinator: one shard per partition of `__transaction_state` that is led here.
//!
//! Invariant: what a shard commands is carried out while the shard runs, and by nobody after: the
//! work of a shard ends with it, and the next one commands again what is still due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coordinator::transaction::record::{Decoded, TransactionRecord};
use coordinator::transaction::{
    TransactionCommand, TransactionCoordinatorConfig, TransactionRequest, TransactionResponse,
    TransactionShard,
};
use coordinator::{Loaded, RequestMeta, partition_for};
use parking_lot::{Mutex, RwLock};
use protocol::{ErrorCode, LeaderEpoch, ProducerId};
use storage::{Log, LogDir};
use tokio::runtime::Handle;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::held::HeldShard;
use super::runtime::{self, Encoded, Ground, Mailbox, RecordCodec, ShardHandle};
use super::view::View;
use crate::clock::Clock;
use crate::producer_ids::ProducerIds;
use crate::replica::Partition;

/// Where the states of transactions live.
pub(crate) const TRANSACTION_TOPIC: &str = "__transaction_state";

/// How long a moved clock waits for the work that it set off.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// A partition of `__transaction_state` whose shard has ended and whose requests wait.
pub(crate) type HeldTransactions = HeldShard<TransactionShard>;

/// A command of a shard.
pub(crate) struct Commanded {
    pub(crate) partition: i32,
    pub(crate) command: TransactionCommand,
    /// Of the shard that gave it: another one may have the partition meanwhile.
    pub(crate) work: Work,
}

/// The transaction shards of this node.
pub(crate) struct TransactionCoordinator {
    config: TransactionCoordinatorConfig,
    ground: Ground,
    shards: RwLock<BTreeMap<i32, Led>>,
    commands: mpsc::UnboundedSender<Commanded>,
    /// Until somebody carries the commands out. They are as many as there are transactions that
    /// end.
    commanded: Mutex<Option<mpsc::UnboundedReceiver<Commanded>>>,
    /// Commands given and not carried out.
    outstanding: watch::Sender<usize>,
    /// Wakes who waits for a transaction to be complete.
    completed: Notify,
    /// `transaction.partition.verification.enable`
    verification: AtomicBool,
}

/// A shard, and the work outside of it that it commanded.
struct Led {
    shard: ShardHandle<TransactionShard>,
    partition: Arc<Partition>,
    work: Work,
}

/// What carries the commands of one shard out.
#[derive(Clone, Default)]
pub(crate) struct Work {
    pub(crate) tasks: TaskTracker,
    /// The shard has ended.
    pub(crate) ended: CancellationToken,
}

impl Work {
    async fn end(&self) {
        self.ended.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct TransactionCodec;

impl RecordCodec<TransactionShard> for TransactionCodec {
    fn encode(record: &TransactionRecord) -> Result<Encoded, ErrorCode> {
        // The shard refuses what does not fit a record before it decides to write it.
        record.encode().map_err(|_| ErrorCode::InvalidRequest)
    }

    fn decode(key: &[u8], value: Option<&Bytes>) -> Option<TransactionRecord> {
        match TransactionRecord::decode(key, value) {
            Ok(Decoded::Record(record)) => Some(record),
            Ok(Decoded::UnknownType(_) | Decoded::UnknownVersion(_)) | Err(_) => None,
        }
    }
}

impl TransactionCoordinator {
    /// A coordinator whose shards run on the runtime of the caller: metadata is published on the
    /// controller's thread.
    pub(crate) fn new(
        config: TransactionCoordinatorConfig,
        verification: bool,
        commit_timeout_ms: i32,
        log_dir: Arc<LogDir>,
        clock: Clock,
    ) -> Self {
        let (commands, commanded) = mpsc::unbounded_channel();
        TransactionCoordinator {
            config,
            ground: Ground {
                runtime: Handle::current(),
                log_dir,
                clock,
                commit_timeout_ms,
            },
            shards: RwLock::default(),
            commands,
            commanded: Mutex::new(Some(commanded)),
            outstanding: watch::Sender::new(0),
            completed: Notify::new(),
            verification: AtomicBool::new(verification),
        }
    }

    /// The finalized level of `transaction.version` is another.
    pub(crate) fn set_version(&self, level: i16) {
        self.config.transaction_version.set(level);
    }

    /// Whether transactions of clients before version 2 are verified.
    pub(crate) fn is_verifying(&self) -> bool {
        self.verification.load(Ordering::Relaxed)
    }

    pub(crate) fn set_verifying(&self, verification: bool) {
        self.verification.store(verification, Ordering::Relaxed);
    }

    /// The commands of all shards, for the one who carries them out.
    pub(crate) fn take_commands(&self) -> Option<mpsc::UnboundedReceiver<Commanded>> {
        self.commanded.lock().take()
    }

    /// A command is carried out, or nobody waits for it any more.
    pub(crate) fn carried_out(&self) {
        self.outstanding.send_modify(|count| *count -= 1);
        self.completed.notify_waiters();
    }

    /// Completes with the next transaction that is complete.
    pub(crate) fn completed(&self) -> Notified<'_> {
        self.completed.notified()
    }

    /// The coordinator epoch of a shard's markers.
    pub(crate) fn epoch(&self, partition: i32) -> Option<LeaderEpoch> {
        let shards = self.shards.read();
        shards
            .get(&partition)
            .map(|led| led.partition.leader_epoch())
    }

    /// This node leads a partition of `__transaction_state` from now on.
    pub(crate) fn lead(&self, partition: Arc<Partition>) {
        let (shard, mailbox) = runtime::mailbox();
        let index = partition.topic_partition().partition;
        let led = Led {
            shard,
            partition: partition.clone(),
            work: Work::default(),
        };
        let work = led.work.clone();
        self.shards.write().insert(index, led);
        self.start(partition, work, Loaded::GoesOn, mailbox);
    }

    fn start(
        &self,
        partition: Arc<Partition>,
        work: Work,
        how: Loaded,
        mailbox: Mailbox<TransactionShard>,
    ) {
        let index = partition.topic_partition().partition;
        let shard = TransactionShard::new(self.config.clone(), index);
        let (commands, outstanding) = (self.commands.clone(), self.outstanding.clone());
        let sink = move |command| {
            outstanding.send_modify(|count| *count += 1);
            let commanded = Commanded {
                partition: index,
                command,
                work: work.clone(),
            };
            if commands.send(commanded).is_err() {
                outstanding.send_modify(|count| *count -= 1);
            }
        };
        runtime::start::<_, TransactionCodec>(
            &self.ground,
            (shard, Box::new(|| None)),
            partition,
            how,
            mailbox,
            Arc::new(sink),
        );
    }

    /// Ends all shards and their work, so that their logs can be put back. Who waits in one is told
    /// to look for the coordinator again; who asks from now on waits until
    /// [`TransactionCoordinator::go_on`].
    pub(crate) async fn hold(&self) -> Vec<HeldTransactions> {
        let mut held = Vec::new();
        let mut former = Vec::new();
        for (index, led) in self.shards.write().iter_mut() {
            let (shard, mailbox) = runtime::mailbox();
            held.push(HeldShard {
                partition: *index,
                mailbox,
            });
            former.push((
                std::mem::replace(&mut led.shard, shard),
                std::mem::take(&mut led.work),
            ));
        }
        for (shard, work) in former {
            work.end().await;
            shard.retire(ErrorCode::NotCoordinator).await;
        }
        held
    }

    /// A held shard goes on: its transactions are as the partition's log has them.
    pub(crate) fn go_on(&self, held: HeldTransactions, partition: Arc<Partition>) {
        let work = {
            let mut shards = self.shards.write();
            let Some(led) = shards.get_mut(&held.partition) else {
                return;
            };
            led.partition = partition.clone();
            led.work.clone()
        };
        self.start(partition, work, Loaded::PutBack, held.mailbox);
    }

    /// Forgets the rows of a partition's shard, whose log will be another; says whether there
    /// were any.
    pub(crate) fn forget_rows(&self, log: &Arc<Log>) -> Result<bool, storage::Error> {
        View::new(self.ground.log_dir.clone(), log.clone()).forget()
    }

    fn handles(&self) -> Vec<ShardHandle<TransactionShard>> {
        let shards = self.shards.read();
        shards.values().map(|led| led.shard.clone()).collect()
    }

    /// The clock jumped: all that is due in any shard is done when this returns, and the markers of
    /// what timed out are written, unless a partition does not take them.
    pub(crate) async fn clock_moved(&self, mut by_ms: i64) {
        let settled = async {
            loop {
                for shard in self.handles() {
                    shard.clock_moved(by_ms).await;
                }
                by_ms = 0;
                let mut outstanding = self.outstanding.subscribe();
                if *outstanding.borrow_and_update() == 0 {
                    return;
                }
                // The sender is ours.
                let _ = outstanding.wait_for(|count| *count == 0).await;
            }
        };
        let _ = tokio::time::timeout(SETTLE_MAX, settled).await;
    }

    /// Has every shard write the rows of what changed.
    pub(crate) fn checkpoint(&self) {
        self.handles().iter().for_each(ShardHandle::checkpoint);
    }

    /// Ends all shards after they wrote their rows.
    pub(crate) async fn stop(&self) {
        let shards = std::mem::take(&mut *self.shards.write());
        for led in shards.into_values() {
            led.work.end().await;
            led.shard.stop().await;
        }
    }

    /// This node leads that partition no longer: its shard is dropped.
    pub(crate) fn resign(&self, partition: i32) {
        if let Some(led) = self.shards.write().remove(&partition) {
            led.work.ended.cancel();
        }
    }

    /// Asks the shard of the request's transactional id. `partitions` is the size of
    /// `__transaction_state`, where that exists. Producer ids that the shard needs come from
    /// `producer_ids`.
    pub(crate) async fn ask(
        &self,
        producer_ids: &ProducerIds,
        meta: RequestMeta,
        mut request: TransactionRequest,
        partitions: Option<i32>,
    ) -> Result<TransactionResponse, ErrorCode> {
        if let Some(code) = request.refuse_early(&self.config) {
            return Err(code);
        }
        let shard = partitions
            .zip(request.transactional_id())
            .map(|(count, id)| partition_for(id, count))
            .and_then(|index| Some(self.shards.read().get(&index)?.shard.clone()))
            .ok_or(ErrorCode::NotCoordinator)?;
        loop {
            let answer = shard.ask(meta.clone(), request.clone()).await?;
            if answer != TransactionResponse::NeedsProducerId {
                return Ok(answer);
            }
            give_spare(&mut request, producer_ids.next().await?);
        }
    }

    /// Tells the shard of a partition what came of its command.
    pub(crate) async fn tell(
        &self,
        partition: i32,
        meta: RequestMeta,
        request: TransactionRequest,
    ) -> Result<TransactionResponse, ErrorCode> {
        let shard = self
            .shards
            .read()
            .get(&partition)
            .map(|led| led.shard.clone());
        let shard = shard.ok_or(ErrorCode::NotCoordinator)?;
        shard.ask(meta, request).await
    }

    /// Asks every shard here.
    pub(crate) async fn ask_all(
        &self,
        meta: &RequestMeta,
        request: &TransactionRequest,
    ) -> Vec<Result<TransactionResponse, ErrorCode>> {
        let shards = self.handles();
        let mut answers = Vec::with_capacity(shards.len());
        for shard in shards {
            answers.push(shard.ask(meta.clone(), request.clone()).await);
        }
        answers
    }
}

fn give_spare(request: &mut TransactionRequest, id: ProducerId) {
    match request {
        TransactionRequest::InitProducerId { spare, .. }
        | TransactionRequest::EndTxn { spare, .. } => *spare = Some(id),
        TransactionRequest::AddPartitions { .. }
        | TransactionRequest::Describe { .. }
        | TransactionRequest::List(_)
        | TransactionRequest::MarkersWritten { .. }
        | TransactionRequest::AbortTimedOut { .. } => {
            unreachable!("only what begins an epoch needs a producer id")
        }
    }
}
