//! Share partitions that are led here, and the share sessions of who fetches from them (KIP-932).
//!
//! Invariant: there is one share partition per group and partition of a topic, as that is led now;
//! what is over is not found any more. No lock here is held over `.await`, and none is taken under a
//! share partition's own.
//!
//! ```text
//! api/share_fetch.rs ──► session ──► share partitions ──► fetch.rs reads the log, waits
//! partition.rs  events in, replies and commands out ──► commands.rs asks node.share_states
//! ```

mod batches;
mod commands;
mod fetch;
mod partition;
mod settings;

pub(crate) use commands::run;
pub(crate) use fetch::{Answers, Asked, Handed, Wanted};
pub(crate) use partition::Done;
pub(crate) use settings::Settings;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coordinator::share::partition::{AcknowledgementBatch, SharePartitionEvent};
use coordinator::share::session::{
    NamedPartition, PartitionAnswer, SessionPartition, SessionRequest, SessionTurn,
    ShareSessionKey, ShareSessions,
};
use coordinator::share_state::SharePartitionKey;
use metadata::MetadataImage;
use parking_lot::{Mutex, RwLock};
use protocol::{ErrorCode, TopicId, TopicPartition};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::replica::Manager;
use partition::{Commanded, Commands, LedShare};
use settings::SettingsOfGroups;

/// What all share partitions stand on.
struct Ground {
    runtime: Handle,
    clock: Clock,
    settings: RwLock<Arc<SettingsOfGroups>>,
    commands: Commands,
}

impl Ground {
    fn settings(&self, group_id: &Arc<str>) -> Settings {
        let all = self.settings.read().clone();
        all.of(group_id)
    }
}

/// The share partitions and share sessions of this node.
pub(crate) struct Shares {
    config: Arc<ServerConfig>,
    replicas: Arc<Manager>,
    ground: Arc<Ground>,
    commands: Mutex<Option<mpsc::UnboundedReceiver<Commanded>>>,
    /// The commands that are carried out.
    work: TaskTracker,
    sessions: Mutex<ShareSessions>,
    partitions: Mutex<HashMap<SharePartitionKey, Arc<LedShare>>>,
    fetches: AtomicU64,
}

impl Shares {
    /// None yet; their tasks will run on the runtime of the caller.
    pub(crate) fn new(config: Arc<ServerConfig>, replicas: Arc<Manager>, clock: Clock) -> Shares {
        let (sender, receiver) = mpsc::unbounded_channel();
        let settings = SettingsOfGroups::new(config.clone(), Arc::default());
        let max_sessions = usize::try_from(config.broker.group_share_max_share_sessions);
        Shares {
            config,
            replicas,
            ground: Arc::new(Ground {
                runtime: Handle::current(),
                clock,
                settings: RwLock::new(Arc::new(settings)),
                commands: sender,
            }),
            commands: Mutex::new(Some(receiver)),
            work: TaskTracker::new(),
            sessions: Mutex::new(ShareSessions::new(max_sessions.unwrap_or(0))),
            partitions: Mutex::default(),
            fetches: AtomicU64::new(0),
        }
    }

    fn take_commands(&self) -> Option<mpsc::UnboundedReceiver<Commanded>> {
        self.commands.lock().take()
    }

    fn work(&self) -> &TaskTracker {
        &self.work
    }

    /// The metadata is another: groups have its settings from now on.
    pub(crate) fn metadata_changed(&self, image: &Arc<MetadataImage>) {
        let settings = SettingsOfGroups::new(self.config.clone(), image.clone());
        *self.ground.settings.write() = Arc::new(settings);
        if image.features.level(controller::SHARE_VERSION) < 1 {
            self.clear();
        }
    }

    /// Records of these topics are handed out no more.
    pub(crate) fn topics_deleted(&self, topics: &BTreeSet<TopicId>) {
        self.remove(|key| topics.contains(&key.topic_id));
    }

    /// All sessions end, and all share partitions: what is handed out next is as the states say.
    pub(crate) fn clear(&self) {
        self.sessions.lock().clear();
        self.remove(|_| true);
    }

    /// As [`Shares::clear`], and what was commanded is done or will not be.
    pub(crate) async fn clear_and_wait(&self) {
        self.clear();
        self.work.close();
        self.work.wait().await;
        self.work.reopen();
    }

    fn remove(&self, which: impl Fn(&SharePartitionKey) -> bool) {
        let removed: Vec<_> = {
            let mut partitions = self.partitions.lock();
            let removed = partitions.extract_if(|key, _| which(key));
            removed.map(|(_, share)| share).collect()
        };
        for share in removed {
            share.tell(SharePartitionEvent::Fence);
        }
    }

    pub(crate) fn settings(&self, group_id: &Arc<str>) -> Settings {
        self.ground.settings(group_id)
    }

    /// What a member's session names, if it has one.
    pub(crate) fn session_partitions(&self, key: &ShareSessionKey) -> Vec<NamedPartition> {
        self.sessions.lock().partitions(key)
    }

    /// Takes a fetch into its session.
    ///
    /// # Errors
    /// What the session refuses it with.
    pub(crate) fn session(&self, request: &SessionRequest) -> Result<SessionTurn, ErrorCode> {
        self.sessions.lock().fetch(request)
    }

    /// Takes an acknowledgement into its session.
    ///
    /// # Errors
    /// What the session refuses it with.
    pub(crate) fn session_acknowledges(
        &self,
        key: &ShareSessionKey,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        self.sessions.lock().acknowledge(key, epoch)
    }

    /// Which answers of a session's fetch are sent.
    ///
    /// # Errors
    /// Another request of the session came meanwhile.
    pub(crate) fn session_answered(
        &self,
        key: &ShareSessionKey,
        epoch: i32,
        answers: &[PartitionAnswer],
    ) -> Result<Vec<SessionPartition>, ErrorCode> {
        self.sessions.lock().answered(key, epoch, answers)
    }

    /// Ends a session: what its member holds goes to others, in the background.
    pub(crate) fn end_session(&self, key: &ShareSessionKey) {
        let partitions = self.sessions.lock().end(key);
        self.release(key, partitions.unwrap_or_default());
    }

    fn release(&self, key: &ShareSessionKey, partitions: Vec<NamedPartition>) {
        for named in partitions {
            let partition = share_key(&key.group_id, named.partition);
            if let Some(share) = self.find(&partition) {
                drop(share.release(&key.member_id));
                self.drop_if_done(&share);
            }
        }
    }

    /// A connection has ended, and its sessions with it.
    pub(crate) fn disconnected(&self, connection: u64) {
        let ended = self.sessions.lock().disconnected(connection);
        for (key, partitions) in ended {
            self.release(&key, partitions);
        }
        let leaving: Vec<_> = {
            // A session that begins now opens its share partitions behind this lock, and keeps them.
            let partitions = self.partitions.lock();
            let emptied = self.sessions.lock().take_emptied_groups();
            let of_groups = partitions.iter();
            let of_groups = of_groups.filter(|(key, _)| emptied.contains(&key.group_id));
            let leaving = of_groups.map(|(_, share)| share.clone());
            leaving.inspect(|share| share.leave()).collect()
        };
        for share in leaving {
            // What is still to be written of it is written first.
            self.drop_if_done(&share);
        }
    }

    /// The clock jumped: the locks that are over then have ended when this returns.
    pub(crate) fn clock_moved(&self, by_ms: i64) {
        let all: Vec<_> = self.partitions.lock().values().cloned().collect();
        for share in all {
            share.tell(SharePartitionEvent::ClockMoved { by_ms });
            share.tell(SharePartitionEvent::LocksTimedOut);
        }
    }

    fn find(&self, key: &SharePartitionKey) -> Option<Arc<LedShare>> {
        self.partitions.lock().get(key).cloned()
    }

    /// A share partition that fetches come to; it is made where there is none.
    ///
    /// # Errors
    /// The partition is not led here.
    pub(crate) fn open(
        &self,
        group_id: &Arc<str>,
        partition: SessionPartition,
        of: &TopicPartition,
    ) -> Result<Arc<LedShare>, ErrorCode> {
        let leader = self.replicas.partition(of)?;
        let key = share_key(group_id, partition);
        let (share, former) = {
            let mut partitions = self.partitions.lock();
            match partitions.get(&key) {
                Some(share) if share.claim(&leader) => (share.clone(), None),
                Some(_) | None => {
                    let share = LedShare::new(key.clone(), leader, self.ground.clone());
                    let share = Arc::new(share);
                    (share.clone(), partitions.insert(key, share))
                }
            }
        };
        if let Some(former) = former {
            former.tell(SharePartitionEvent::Fence);
        }
        share.tell(SharePartitionEvent::Initialize);
        Ok(share)
    }

    /// Fetches from share partitions.
    pub(crate) async fn fetch(&self, asked: &Asked, wanted: Vec<Wanted>) -> Answers {
        let id = self.fetches.fetch_add(1, Ordering::Relaxed);
        fetch::fetch(id, asked, wanted).await
    }

    /// Tells a share partition what a member says of its records. None where there is no such share
    /// partition: nobody has fetched from it.
    pub(crate) fn acknowledge(
        &self,
        key: &ShareSessionKey,
        partition: SessionPartition,
        batches: Vec<AcknowledgementBatch>,
    ) -> Option<oneshot::Receiver<Done>> {
        let share = self.find(&share_key(&key.group_id, partition))?;
        let done = share.acknowledge(&key.member_id, batches);
        self.drop_if_done(&share);
        Some(done)
    }

    /// Lets go of a share partition that is over, or whose group has gone.
    fn drop_if_done(&self, share: &Arc<LedShare>) {
        let leaves = share.can_leave();
        if !leaves && !share.is_over() {
            return;
        }
        let removed = {
            let mut partitions = self.partitions.lock();
            let is_it = |known: &Arc<LedShare>| {
                Arc::ptr_eq(known, share) && (share.is_over() || share.can_leave())
            };
            match partitions.get(share.key()) {
                Some(known) if is_it(known) => partitions.remove(share.key()),
                Some(_) | None => None,
            }
        };
        if let Some(removed) = removed
            && !removed.is_over()
        {
            removed.tell(SharePartitionEvent::Fence);
        }
    }
}

fn share_key(group_id: &Arc<str>, partition: SessionPartition) -> SharePartitionKey {
    SharePartitionKey {
        group_id: group_id.clone(),
        topic_id: partition.topic_id,
        partition: partition.partition,
    }
}
