//! Agreement on the metadata log. All that is openraft's stays in this folder.
//!
//! ```text
//! service ──Proposal──▶ Consensus ──▶ openraft ──▶ LogStore (storage::Log, quorum-state)
//!                                        └──────▶ StateMachine ──▶ image, publishers, snapshots
//! ```
//! What `propose` has returned is synced, applied and published.

mod files;
mod log_store;
mod network;
mod quorum_state;
mod runtime;
mod snapshot;
mod state_machine;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metadata::{MetadataImage, MetadataPublisher};
use openraft::error::{ClientWriteError, RaftError};
use openraft::{EmptyNode, Raft, SnapshotPolicy as RaftSnapshotPolicy};
use protocol::{TopicId, TopicPartition};
use storage::{Log, LogDir};
use uuid::Uuid;

pub(crate) use files::FileError;
pub(crate) use snapshot::SnapshotError;
pub(crate) use types::{Applied, Proposal};

use crate::error::Error;
use crate::options::{Options, SnapshotPolicy};
use files::Files;
use log_store::{Health, LogStore, log_config};
use network::Network;
use snapshot::State;
use state_machine::{Published, StateMachine};
use types::{ReplicaKey, TypeConfig};

/// Upstream's topic id of the metadata log.
const METADATA_TOPIC_ID: TopicId = TopicId(Uuid::from_u128(1));

/// How long a voter that needs nobody else may take to lead.
const LEAD_DEADLINE: Duration = Duration::from_secs(30);

/// One voter's part in the quorum.
pub(crate) struct Consensus {
    raft: Raft<TypeConfig>,
    me: ReplicaKey,
    store: LogStore,
    published: Arc<Published>,
    health: Arc<Health>,
    snapshots: SnapshotPolicy,
}

/// A voter as DescribeQuorum tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Voter {
    pub(crate) id: i32,
    /// The first offset it does not have.
    pub(crate) log_end_offset: u64,
    pub(crate) is_me: bool,
}

/// The quorum at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quorum {
    pub(crate) leader: Option<i32>,
    pub(crate) term: u64,
    /// The first offset that is not known to be agreed on.
    pub(crate) high_watermark: u64,
    pub(crate) voters: Vec<Voter>,
}

impl Consensus {
    /// Opens the metadata log and takes part. Nothing is agreed on before [`Consensus::lead`].
    pub(crate) async fn start(
        options: &Options,
        log_dir: &LogDir,
        publishers: Vec<Box<dyn MetadataPublisher>>,
    ) -> Result<Consensus, Error> {
        runtime::seed(options.seed);
        let me = ReplicaKey {
            id: options.settings.node_id,
            directory_id: log_dir.directory_id(),
        };
        let log = open_log(log_dir)?;
        let folder = log_dir.path().join(log.topic_partition().to_string());
        let files = Files::new(Arc::clone(&options.fs), folder);
        let health = Arc::new(Health::default());
        let state = State::load(&files)?.unwrap_or_else(State::empty);
        let store = LogStore::open(
            log,
            files.clone(),
            Arc::clone(&options.clock),
            Arc::clone(&health),
            me,
            state.applied,
        )?;
        let published = Arc::new(Published::new(Arc::clone(&state.image), publishers));
        let machine = StateMachine::new(Arc::clone(&published), files, Arc::clone(&health), &state);
        let config = Arc::new(raft_config(&options.snapshots)?);
        let raft = Raft::new(me, config, Network, store.clone(), machine)
            .await
            .map_err(stopped)?;
        let snapshots = options.snapshots;
        Ok(Consensus {
            raft,
            me,
            store,
            published,
            health,
            snapshots,
        })
    }

    /// Makes this voter the leader, and gives the image of all that was ever agreed on to the
    /// publishers. A quorum of one waits for nobody.
    pub(crate) async fn lead(&self) -> Result<(), Error> {
        if self.raft.is_initialized().await.map_err(stopped)? {
            self.raft.trigger().elect().await.map_err(stopped)?;
        } else {
            let members = BTreeMap::from([(self.me, EmptyNode {})]);
            self.raft.initialize(members).await.map_err(stopped)?;
        }
        let led = async {
            let mut metrics = self.raft.metrics();
            loop {
                let state = metrics.borrow_and_update().clone();
                state.running_state.map_err(stopped)?;
                if state.current_leader == Some(self.me) {
                    break;
                }
                metrics.changed().await.map_err(stopped)?;
            }
            // All entries of earlier terms are applied once one of this term is.
            self.raft.ensure_linearizable().await.map_err(stopped)
        };
        tokio::time::timeout(LEAD_DEADLINE, led)
            .await
            .map_err(|_| Error::NoLeader {
                millis: LEAD_DEADLINE.as_millis(),
                state: self.raft.metrics().borrow().to_string(),
            })??;
        self.published.go_live();
        Ok(())
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.published.image()
    }

    /// Whether a writer waits for room on the disk.
    pub(crate) fn is_full(&self) -> bool {
        self.health.is_full()
    }

    /// Ends all waiting for room: what waits fails.
    pub(crate) fn close(&self) {
        self.health.close();
    }

    /// Writes an entry and waits until it is agreed on, applied and published.
    pub(crate) async fn propose(&self, proposal: Proposal) -> Result<Applied, Error> {
        let written = self.raft.client_write(proposal).await;
        let applied = written
            .map(|response| response.data)
            .map_err(write_failed)?;
        self.snapshot_if_due().await;
        Ok(applied)
    }

    async fn snapshot_if_due(&self) {
        let (entries, bytes) = self.health.written();
        if entries < self.snapshots.entries_between && bytes < self.snapshots.bytes_between {
            return;
        }
        self.health.reset_written();
        if let Err(error) = self.raft.trigger().snapshot().await {
            tracing::error!(%error, "no metadata snapshot could be started");
        }
    }

    pub(crate) fn quorum(&self) -> Quorum {
        let metrics = self.raft.metrics().borrow().clone();
        let committed = metrics.last_applied.map_or(0, |applied| applied.index + 1);
        let voters = metrics.membership_config.voter_ids().map(|voter| {
            let matched = metrics
                .replication
                .as_ref()
                .and_then(|replication| replication.get(&voter).copied().flatten())
                .map_or(0, |matched| matched.index + 1);
            let is_me = voter == self.me;
            Voter {
                id: voter.id,
                log_end_offset: if is_me {
                    self.store.end_index()
                } else {
                    matched
                },
                is_me,
            }
        });
        Quorum {
            leader: metrics.current_leader.map(|leader| leader.id),
            term: metrics.current_term,
            high_watermark: committed,
            voters: voters.collect(),
        }
    }

    /// Comes back when nothing can be agreed on any more, with the reason.
    pub(crate) async fn failed(&self) -> Error {
        let mut metrics = self.raft.metrics();
        loop {
            if let Err(error) = &metrics.borrow_and_update().running_state {
                return stopped(error);
            }
            if metrics.changed().await.is_err() {
                return Error::Stopped;
            }
        }
    }

    pub(crate) async fn shutdown(&self) {
        self.health.close();
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the consensus did not stop cleanly");
        }
    }
}

fn open_log(log_dir: &LogDir) -> Result<Arc<Log>, Error> {
    let topic_partition = TopicPartition {
        topic: crate::control::topic_name::CLUSTER_METADATA_TOPIC.into(),
        partition: 0,
    };
    Ok(log_dir.create_or_open(&topic_partition, METADATA_TOPIC_ID, log_config())?)
}

fn raft_config(snapshots: &SnapshotPolicy) -> Result<openraft::Config, Error> {
    let config = openraft::Config {
        cluster_name: "klamm".to_owned(),
        // A quorum of one has nobody to hear from: no clock drives it, and it is idle at rest.
        enable_tick: false,
        // We count bytes as well, see `snapshot_if_due`.
        snapshot_policy: RaftSnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: snapshots.entries_kept,
        ..openraft::Config::default()
    };
    config.validate().map_err(stopped)
}

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::Consensus(error.to_string())
}

fn write_failed(error: RaftError<ReplicaKey, ClientWriteError<ReplicaKey, EmptyNode>>) -> Error {
    Error::Consensus(error.to_string())
}

#[cfg(test)]
impl Consensus {
    /// Waits until a snapshot has let some of the log go.
    pub(crate) async fn wait_until_purged(&self, deadline: Duration) -> Result<(), Error> {
        let purged =
            |metrics: &openraft::RaftMetrics<ReplicaKey, EmptyNode>| metrics.purged.is_some();
        let waited = self
            .raft
            .wait(Some(deadline))
            .metrics(purged, "purged")
            .await;
        waited.map(drop).map_err(stopped)
    }
}
