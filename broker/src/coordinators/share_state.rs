//! The share coordinator: one shard per partition of `__share_group_state` that is led here.
//!
//! Invariant: a shard decides by the newest metadata that was published; records are deleted only
//! as a shard commands it, once what it rests on is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use coordinator::share_state::record::Decoded;
use coordinator::share_state::{
    ClusterView, ShareStateCommand, ShareStateConfig, ShareStateRecord, ShareStateRequest,
    ShareStateResponse, ShareStateShard, append_error,
};
use coordinator::{Loaded, RequestMeta};
use metadata::MetadataImage;
use parking_lot::RwLock;
use protocol::{ErrorCode, TopicId};
use storage::LogDir;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::held::HeldShard;
use super::runtime::{self, Encoded, Ground, Mailbox, RecordCodec, ShardHandle};
use crate::clock::Clock;
use crate::replica::Partition;

/// Where the states of share partitions live.
pub(crate) const SHARE_STATE_TOPIC: &str = "__share_group_state";

/// A partition of `__share_group_state` whose shard has ended and whose requests wait.
pub(crate) type HeldShareStates = HeldShard<ShareStateShard>;

/// The share coordinator's shards of this node.
pub(crate) struct ShareCoordinator {
    config: ShareStateConfig,
    ground: Ground,
    shards: RwLock<BTreeMap<i32, ShardHandle<ShareStateShard>>>,
    cluster: Arc<Cluster>,
    /// What the shards were told or commanded in the background.
    work: TaskTracker,
}

/// The newest metadata.
#[derive(Default)]
struct Cluster(RwLock<Arc<MetadataImage>>);

impl ClusterView for Cluster {
    fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
        let image = self.0.read();
        let topic = image.topics.by_id(topic_id)?;
        Some(topic.partition_count())
    }

    fn serves_share_groups(&self) -> bool {
        self.0.read().features.level(controller::SHARE_VERSION) >= 1
    }
}

struct ShareStateCodec;

impl RecordCodec<ShareStateShard> for ShareStateCodec {
    /// A state is a snapshot and all its updates, which have one key.
    const HAS_ROWS: bool = false;

    fn encode(record: &ShareStateRecord) -> Result<Encoded, ErrorCode> {
        // The shard refuses what does not fit a record before it decides to write it.
        record.encode().map_err(|_| ErrorCode::InvalidRequest)
    }

    fn decode(key: &[u8], value: Option<&Bytes>) -> Option<ShareStateRecord> {
        match ShareStateRecord::decode(key, value) {
            Ok(Decoded::Record(record)) => Some(record),
            Ok(Decoded::UnknownType(_) | Decoded::UnknownVersion(_)) | Err(_) => None,
        }
    }
}

impl ShareCoordinator {
    /// A coordinator whose shards run on the runtime of the caller: metadata is published on the
    /// controller's thread.
    pub(crate) fn new(
        config: ShareStateConfig,
        write_timeout_ms: i32,
        log_dir: Arc<LogDir>,
        clock: Clock,
    ) -> Self {
        ShareCoordinator {
            config,
            ground: Ground {
                runtime: Handle::current(),
                log_dir,
                clock,
                commit_timeout_ms: write_timeout_ms,
            },
            shards: RwLock::default(),
            cluster: Arc::default(),
            work: TaskTracker::new(),
        }
    }

    /// The metadata is another: no shard decides by the former any more.
    pub(crate) fn metadata_changed(&self, image: Arc<MetadataImage>) {
        *self.cluster.0.write() = image;
    }

    /// The states of topics that are gone are removed, in the background.
    pub(crate) fn topics_deleted(self: &Arc<Self>, topics: BTreeSet<TopicId>) {
        let coordinator = self.clone();
        let remove = async move {
            for shard in coordinator.handles() {
                let request = ShareStateRequest::TopicsDeleted(topics.clone());
                // What could not be removed is tried again by the shard.
                let _ = shard.ask(own_meta(), request).await;
            }
        };
        self.work.spawn_on(remove, &self.ground.runtime);
    }

    /// This node leads a partition of `__share_group_state` from now on.
    pub(crate) fn lead(&self, partition: Arc<Partition>) {
        let (handle, mailbox) = runtime::mailbox();
        let index = partition.topic_partition().partition;
        self.start(partition, Loaded::GoesOn, mailbox);
        self.shards.write().insert(index, handle);
    }

    fn start(&self, partition: Arc<Partition>, how: Loaded, mailbox: Mailbox<ShareStateShard>) {
        let shard = ShareStateShard::new(self.config.clone(), self.cluster.clone());
        let (work, handle, of) = (
            self.work.clone(),
            self.ground.runtime.clone(),
            partition.clone(),
        );
        let sink = move |command| {
            let of = of.clone();
            work.spawn_blocking_on(move || carry_out(&of, command), &handle);
        };
        let ground = &self.ground;
        runtime::start::<_, ShareStateCodec>(
            ground,
            (shard, Box::new(|| None)),
            partition,
            how,
            mailbox,
            Arc::new(sink),
        );
    }

    /// Ends all shards and their work, so that their logs can be put back. Who waits in one is told
    /// to look for the coordinator again; who asks from now on waits until
    /// [`ShareCoordinator::go_on`].
    pub(crate) async fn hold(&self) -> Vec<HeldShareStates> {
        self.work_done().await;
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
            shard.retire(ErrorCode::NotCoordinator).await;
        }
        // What they commanded at last.
        self.work_done().await;
        held
    }

    /// A held shard goes on: its states are as the partition's log has them.
    pub(crate) fn go_on(&self, held: HeldShareStates, partition: Arc<Partition>) {
        self.start(partition, Loaded::PutBack, held.mailbox);
    }

    /// The clock jumped: all that is due in any shard is done when this returns.
    pub(crate) async fn clock_moved(&self, by_ms: i64) {
        for shard in self.handles() {
            shard.clock_moved(by_ms).await;
        }
        self.work_done().await;
    }

    async fn work_done(&self) {
        self.work.close();
        self.work.wait().await;
        self.work.reopen();
    }

    /// Ends all shards.
    pub(crate) async fn stop(&self) {
        let shards = std::mem::take(&mut *self.shards.write());
        for shard in shards.into_values() {
            shard.stop().await;
        }
        self.work_done().await;
    }

    /// This node leads that partition no longer: its shard is dropped.
    pub(crate) fn resign(&self, partition: i32) {
        self.shards.write().remove(&partition);
    }

    fn handles(&self) -> Vec<ShardHandle<ShareStateShard>> {
        self.shards.read().values().cloned().collect()
    }

    /// Asks the shards of the requests' share partitions, one after the other; the answers are in
    /// the order of the requests. `partitions` is the size of `__share_group_state`, where that
    /// exists.
    pub(crate) async fn ask_each(
        &self,
        meta: &RequestMeta,
        requests: Vec<ShareStateRequest>,
        partitions: Option<i32>,
    ) -> Vec<Result<ShareStateResponse, ErrorCode>> {
        let mut begun = Vec::with_capacity(requests.len());
        for request in requests {
            let index = partitions
                .zip(request.key())
                .map(|(count, key)| key.state_partition(count));
            let shard = index.and_then(|index| self.shards.read().get(&index).cloned());
            begun.push(match shard {
                Some(shard) => shard.begin(meta.clone(), request, None).await,
                None => Err(ErrorCode::NotCoordinator),
            });
        }
        let mut answers = Vec::with_capacity(begun.len());
        for answer in begun {
            answers.push(match answer {
                Ok(answer) => answer.wait().await.map_err(append_error),
                Err(code) => Err(code),
            });
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

fn carry_out(partition: &Partition, command: ShareStateCommand) {
    let ShareStateCommand::DeleteRecords { before } = command;
    let log = partition.log();
    if log.log_start_offset() >= before {
        return;
    }
    if let Err(error) = log.advance_log_start(before) {
        let partition = partition.topic_partition();
        warn!(%partition, %before, %error, "share states' old records were not deleted; that is tried again");
    }
}
