//! The group coordinator: one shard per partition of `__consumer_offsets` that is led here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use coordinator::group::record::{Decoded, GroupRecord};
use coordinator::group::{
    DeletedTopic, GroupCommand, GroupCoordinatorConfig, GroupRequest, GroupResponse, GroupShard,
    MetadataView, OnError,
};
use coordinator::share_state::ShareStateResponse;
use coordinator::{Loaded, RequestMeta, partition_for};
use parking_lot::{Mutex, RwLock};
use protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use protocol::{ErrorCode, TopicPartition};
use storage::{Log, LogDir, VerificationGuard};
use tokio::runtime::Handle;
use tokio::sync::{MutexGuard, mpsc};
use tokio_util::task::TaskTracker;

use super::cluster_view::Cluster;
use super::held::HeldShard;
use super::runtime::{self, Encoded, Ground, Mailbox, MarkerWrite, RecordCodec, ShardHandle};
use super::view::View;
use crate::clock::Clock;
use crate::replica::Partition;

/// Where groups and committed offsets live.
pub(crate) const GROUP_TOPIC: &str = "__consumer_offsets";

/// How many commands may wait. There is one for each share group that changes, and one for each
/// request that waits for its answer; but who asks and goes away leaves its command behind.
const COMMANDS: usize = 1_000;

/// The group shards of this node.
pub(crate) struct GroupCoordinator {
    config: GroupCoordinatorConfig,
    ground: Ground,
    shards: RwLock<BTreeMap<i32, ShardHandle<GroupShard>>>,
    cluster: Arc<Cluster>,
    /// Of the offsets of deleted topics.
    removals: TaskTracker,
    commands: mpsc::Sender<Commanded>,
    /// Until somebody carries the commands out.
    commanded: Mutex<Option<mpsc::Receiver<Commanded>>>,
    /// How often the shards were held: commands of those before are not carried out.
    holds: AtomicU64,
    /// Held while a command is carried out, up to its answer, or while none is to be.
    carrying_out: tokio::sync::Mutex<()>,
}

/// A command, with the partition whose shard gave it, and how often shards were held before that.
pub(crate) struct Commanded {
    pub(crate) command: GroupCommand,
    partition: i32,
    after_holds: u64,
}

/// A partition of `__consumer_offsets` whose shard has ended and whose requests wait.
pub(crate) type HeldGroups = HeldShard<GroupShard>;

struct GroupCodec;

impl RecordCodec<GroupShard> for GroupCodec {
    fn encode(record: &GroupRecord) -> Result<Encoded, ErrorCode> {
        // The shard refuses what does not fit a record before it decides to write it.
        record.encode().map_err(|_| ErrorCode::InvalidRequest)
    }

    fn decode(key: &[u8], value: Option<&Bytes>) -> Option<GroupRecord> {
        match GroupRecord::decode(key, value) {
            Ok(Decoded::Record(record)) => Some(record),
            Ok(Decoded::UnknownType(_)) | Err(_) => None,
        }
    }
}

impl GroupCoordinator {
    /// A coordinator whose shards run on the runtime of the caller: metadata is published on the
    /// controller's thread.
    pub(crate) fn new(
        config: GroupCoordinatorConfig,
        commit_timeout_ms: i32,
        log_dir: Arc<LogDir>,
        clock: Clock,
    ) -> Self {
        let ground = Ground {
            runtime: Handle::current(),
            log_dir,
            clock,
            commit_timeout_ms,
        };
        let (commands, commanded) = mpsc::channel(COMMANDS);
        GroupCoordinator {
            config,
            ground,
            shards: RwLock::default(),
            cluster: Arc::default(),
            removals: TaskTracker::new(),
            commands,
            commanded: Mutex::new(Some(commanded)),
            holds: AtomicU64::new(0),
            carrying_out: tokio::sync::Mutex::default(),
        }
    }

    /// The commands of all shards, for the one who carries them out.
    pub(crate) fn take_commands(&self) -> Option<mpsc::Receiver<Commanded>> {
        self.commanded.lock().take()
    }

    /// Waits until no command is being carried out; none is until this is dropped.
    pub(crate) async fn no_commands(&self) -> MutexGuard<'_, ()> {
        self.carrying_out.lock().await
    }

    /// Whether the shard that gave the command goes on. For who has
    /// [`GroupCoordinator::no_commands`].
    pub(crate) fn is_current(&self, commanded: &Commanded) -> bool {
        commanded.after_holds == self.holds.load(Ordering::Acquire)
    }

    /// Tells the shard that gave a command what the share coordinator answered.
    pub(crate) async fn carried_out(
        &self,
        commanded: &Commanded,
        answers: Vec<Result<ShareStateResponse, ErrorCode>>,
    ) {
        let shard = self.shards.read().get(&commanded.partition).cloned();
        if let Some(shard) = shard {
            let answer = commanded.command.answered(answers);
            let request = GroupRequest::ShareStateChanged(answer);
            // A shard that has ended has nobody who waits.
            let _ = shard.ask(own_meta(), request).await;
        }
    }

    /// Puts a command down to be carried out. Where there is no room, nobody could be asked.
    fn command(self: &Arc<Self>, commanded: Commanded) {
        match self.commands.try_send(commanded) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(commanded)) => {
                let groups = self.clone();
                let refuse = async move { groups.carried_out(&commanded, Vec::new()).await };
                self.ground.runtime.spawn(refuse);
            }
            // The node stops.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// This node leads a partition of `__consumer_offsets` from now on.
    pub(crate) fn lead(self: &Arc<Self>, partition: Arc<Partition>) {
        let (handle, mailbox) = runtime::mailbox();
        let index = partition.topic_partition().partition;
        self.start(partition, Loaded::GoesOn, mailbox);
        self.shards.write().insert(index, handle);
    }

    /// Ends all shards, so that their logs can be put back; what they commanded is not carried out
    /// any more. For who has [`GroupCoordinator::no_commands`]. Who waits in one is told
    /// `UNKNOWN_MEMBER_ID`, as whoever was a member; who asks from now on waits until
    /// [`GroupCoordinator::go_on`].
    pub(crate) async fn hold(&self) -> Vec<HeldGroups> {
        let (held, former): (Vec<_>, Vec<_>) = {
            let mut shards = self.shards.write();
            let replaced = shards.iter_mut().map(|(index, shard)| {
                let (handle, mailbox) = runtime::mailbox();
                let partition = *index;
                let former = std::mem::replace(shard, handle);
                (HeldShard { partition, mailbox }, former)
            });
            replaced.unzip()
        };
        for shard in former {
            shard.retire(ErrorCode::UnknownMemberId).await;
        }
        self.holds.fetch_add(1, Ordering::AcqRel);
        held
    }

    /// A held shard goes on: its groups are as the partition's log has them, without members.
    pub(crate) fn go_on(self: &Arc<Self>, held: HeldGroups, partition: Arc<Partition>) {
        self.start(partition, Loaded::PutBack, held.mailbox);
    }

    /// Waits until the offsets of topics that were deleted so far are removed, or will be by timer.
    pub(crate) async fn removals_begun(&self) {
        self.removals.close();
        self.removals.wait().await;
        self.removals.reopen();
    }

    /// Forgets the rows of a partition's shard, whose log will be another; says whether there
    /// were any.
    pub(crate) fn forget_rows(&self, log: &Arc<Log>) -> Result<bool, storage::Error> {
        View::new(self.ground.log_dir.clone(), log.clone()).forget()
    }

    fn start(
        self: &Arc<Self>,
        partition: Arc<Partition>,
        how: Loaded,
        mailbox: Mailbox<GroupShard>,
    ) {
        let index = partition.topic_partition().partition;
        let mut shard = GroupShard::new(self.config.clone(), index, uuid::Uuid::new_v4);
        let known = self.cluster.view();
        let news = self.cluster.news(known.as_deref());
        if let Some(view) = known {
            shard = shard.with_metadata(view);
        }
        // The shard must not keep the one who has the way to it.
        let groups = Arc::downgrade(self);
        let after_holds = self.holds.load(Ordering::Acquire);
        let sink = Arc::new(move |command| {
            if let Some(groups) = groups.upgrade() {
                groups.command(Commanded {
                    command,
                    partition: index,
                    after_holds,
                });
            }
        });
        let shard = (shard, news);
        runtime::start::<_, GroupCodec>(&self.ground, shard, partition, how, mailbox, sink);
    }

    /// The metadata is another now: no shard decides by the former any more.
    pub(crate) fn metadata_changed(&self, view: Arc<dyn MetadataView>, has_new_topics: bool) {
        self.cluster.set(view, has_new_topics);
    }

    /// The clock jumped: all that is due in any shard is done when this returns.
    pub(crate) async fn clock_moved(&self, by_ms: i64) {
        let shards = self.shards.read().values().cloned().collect::<Vec<_>>();
        for shard in shards {
            shard.clock_moved(by_ms).await;
        }
    }

    /// Has every shard write the rows of what changed.
    pub(crate) fn checkpoint(&self) {
        self.shards
            .read()
            .values()
            .for_each(ShardHandle::checkpoint);
    }

    /// Ends all shards after they wrote their rows.
    pub(crate) async fn stop(&self) {
        let shards = std::mem::take(&mut *self.shards.write());
        for shard in shards.into_values() {
            shard.stop().await;
        }
    }

    /// This node leads that partition no longer: its shard is dropped.
    pub(crate) fn resign(&self, partition: i32) {
        self.shards.write().remove(&partition);
    }

    /// Asks the shard of the request's group. `partitions` is the size of `__consumer_offsets`,
    /// where that exists.
    pub(crate) async fn ask(
        &self,
        meta: RequestMeta,
        request: GroupRequest,
        partitions: Option<i32>,
    ) -> GroupResponse {
        self.ask_verified(meta, request, partitions, None).await
    }

    /// As [`GroupCoordinator::ask`], for what is appended in a transaction with this guard.
    pub(crate) async fn ask_verified(
        &self,
        meta: RequestMeta,
        request: GroupRequest,
        partitions: Option<i32>,
        guard: Option<VerificationGuard>,
    ) -> GroupResponse {
        if let Some(refused) = request.refuse_early(&meta, &self.config) {
            return refused;
        }
        let on_error = OnError::of(&request, &meta);
        let group = request.group_id();
        let index = partitions
            .zip(group)
            .map(|(count, group)| partition_for(group, count));
        let shard = index.and_then(|index| self.shards.read().get(&index).cloned());
        let answer = match shard {
            Some(shard) => shard.ask_verified(meta, request, guard).await,
            None => Err(ErrorCode::NotCoordinator),
        };
        answer.unwrap_or_else(|code| on_error.response(code))
    }

    /// Asks for a commit in a transaction. With the guard, which the partition that
    /// [`GroupCoordinator::partition_of`] names gave, its records may open the transaction there.
    pub(crate) async fn commit_in_transaction(
        &self,
        meta: RequestMeta,
        request: TxnOffsetCommitRequest,
        partitions: Option<i32>,
        guard: Option<VerificationGuard>,
    ) -> TxnOffsetCommitResponse {
        let request = GroupRequest::TxnOffsetCommit(request);
        let answer = self.ask_verified(meta, request, partitions, guard).await;
        let GroupResponse::TxnOffsetCommit(response) = answer else {
            unreachable!("the coordinator answers in kind")
        };
        response
    }

    /// The partition of `__consumer_offsets`, of so many, that a group belongs to.
    pub(crate) fn partition_of(group: &str, partitions: i32) -> TopicPartition {
        TopicPartition::new(GROUP_TOPIC, partition_for(group, partitions))
    }

    /// Ends a producer's transaction in a partition of `__consumer_offsets`.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` where the partition is not led here, or what the log says.
    pub(crate) async fn write_marker(
        &self,
        partition: i32,
        marker: MarkerWrite,
    ) -> Result<(), ErrorCode> {
        let shard = self.shards.read().get(&partition).cloned();
        let shard = shard.ok_or(ErrorCode::NotLeaderOrFollower)?;
        shard.write_marker(marker).await
    }

    /// Offsets of topics that are gone are removed, in the background.
    pub(crate) fn topics_deleted(self: &Arc<Self>, topics: Vec<DeletedTopic>) {
        let groups = self.clone();
        let remove = async move {
            let request = GroupRequest::TopicsDeleted(topics);
            groups.ask_all(&own_meta(), &request).await;
        };
        self.removals.spawn_on(remove, &self.ground.runtime);
    }

    /// Asks every shard here.
    pub(crate) async fn ask_all(
        &self,
        meta: &RequestMeta,
        request: &GroupRequest,
    ) -> Vec<Result<GroupResponse, ErrorCode>> {
        let shards = self.shards.read().values().cloned().collect::<Vec<_>>();
        let mut answers = Vec::with_capacity(shards.len());
        for shard in shards {
            answers.push(shard.ask(meta.clone(), request.clone()).await);
        }
        answers
    }
}

/// Of what this node asks itself.
fn own_meta() -> RequestMeta {
    RequestMeta {
        api_version: 0,
        client_id: Arc::from(""),
        client_host: Arc::from(""),
    }
}
