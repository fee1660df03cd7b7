//! The group coordinator: one shard per partition of `__consumer_offsets` that is led here.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coordinator::group::record::{Decoded, GroupRecord};
use coordinator::group::{
    DeletedTopic, GroupCommand, GroupCoordinatorConfig, GroupRequest, GroupResponse, GroupShard,
    MetadataView, OnError,
};
use coordinator::{Loaded, RequestMeta, partition_for};
use parking_lot::{Mutex, RwLock};
use protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use protocol::{ErrorCode, TopicPartition};
use storage::{Log, LogDir, VerificationGuard};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::cluster_view::Cluster;
use super::held::HeldShard;
use super::runtime::{self, Encoded, Ground, Mailbox, MarkerWrite, RecordCodec, ShardHandle};
use super::view::View;
use crate::clock::Clock;
use crate::replica::Partition;

/// Where groups and committed offsets live.
pub(crate) const GROUP_TOPIC: &str = "__consumer_offsets";

/// The group shards of this node.
pub(crate) struct GroupCoordinator {
    config: GroupCoordinatorConfig,
    ground: Ground,
    shards: RwLock<BTreeMap<i32, ShardHandle<GroupShard>>>,
    cluster: Arc<Cluster>,
    /// Of the offsets of deleted topics.
    removals: TaskTracker,
    commands: mpsc::UnboundedSender<GroupCommand>,
    /// Until somebody carries the commands out. They are as many as there are share groups that
    /// change.
    commanded: Mutex<Option<mpsc::UnboundedReceiver<GroupCommand>>>,
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
        let (commands, commanded) = mpsc::unbounded_channel();
        GroupCoordinator {
            config,
            ground,
            shards: RwLock::default(),
            cluster: Arc::default(),
            removals: TaskTracker::new(),
            commands,
            commanded: Mutex::new(Some(commanded)),
        }
    }

    /// The commands of all shards, for the one who carries them out.
    pub(crate) fn take_commands(&self) -> Option<mpsc::UnboundedReceiver<GroupCommand>> {
        self.commanded.lock().take()
    }

    /// This node leads a partition of `__consumer_offsets` from now on.
    pub(crate) fn lead(&self, partition: Arc<Partition>) {
        let (handle, mailbox) = runtime::mailbox();
        let index = partition.topic_partition().partition;
        self.start(partition, Loaded::GoesOn, mailbox);
        self.shards.write().insert(index, handle);
    }

    /// Ends all shards, so that their logs can be put back. Who waits in one is told
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
        held
    }

    /// A held shard goes on: its groups are as the partition's log has them, without members.
    pub(crate) fn go_on(&self, held: HeldGroups, partition: Arc<Partition>) {
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

    fn start(&self, partition: Arc<Partition>, how: Loaded, mailbox: Mailbox<GroupShard>) {
        let index = partition.topic_partition().partition;
        let mut shard = GroupShard::new(self.config.clone(), index, uuid::Uuid::new_v4);
        let known = self.cluster.view();
        let news = self.cluster.news(known.as_deref());
        if let Some(view) = known {
            shard = shard.with_metadata(view);
        }
        let commands = self.commands.clone();
        // Nobody hears them any more only when the node stops.
        let sink = Arc::new(move |command| drop(commands.send(command)));
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
            let meta = RequestMeta {
                api_version: 0,
                client_id: Arc::from(""),
                client_host: Arc::from(""),
            };
            groups
                .ask_all(&meta, &GroupRequest::TopicsDeleted(topics))
                .await;
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
