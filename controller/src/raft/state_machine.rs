//! Applies agreed entries to the image and tells the publishers.
//! An image is shown to readers only after every publisher has seen it, and an entry is answered
//! only after that.

use std::sync::Arc;

use arc_swap::ArcSwap;
use metadata::{MetadataDelta, MetadataImage, MetadataPublisher, Provenance, ReplayError};
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta};
use parking_lot::Mutex;
use protocol::{LeaderEpoch, Offset};

use super::files::{FileError, Files};
use super::log_store::Health;
use super::snapshot::State;
use super::types::{
    Applied, Entry, LogId, Proposal, ReplicaKey, StorageError, StorageIOError, StoredMembership,
    TypeConfig,
};

type Meta = SnapshotMeta<ReplicaKey, openraft::EmptyNode>;

/// The image as readers have it, and those who follow it.
pub(crate) struct Published {
    image: ArcSwap<MetadataImage>,
    followers: Mutex<Followers>,
}

struct Followers {
    publishers: Vec<Box<dyn MetadataPublisher>>,
    /// False while the log is read at the start: publishers see only what comes out of it.
    live: bool,
}

impl Published {
    pub(crate) fn new(
        image: Arc<MetadataImage>,
        publishers: Vec<Box<dyn MetadataPublisher>>,
    ) -> Published {
        Published {
            image: ArcSwap::new(image),
            followers: Mutex::new(Followers {
                publishers,
                live: false,
            }),
        }
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Shows the publishers the image there is, and from now on every change of it.
    pub(crate) fn go_live(&self) {
        let mut followers = self.followers.lock();
        if followers.live {
            return;
        }
        followers.live = true;
        let image = self.image();
        let delta = MetadataDelta::between(Arc::default(), &image);
        followers.publish(&delta, &image);
    }

    fn advance(&self, delta: &MetadataDelta, image: MetadataImage) {
        let image = Arc::new(image);
        let mut followers = self.followers.lock();
        if followers.live {
            followers.publish(delta, &image);
        }
        self.image.store(image);
    }
}

impl Followers {
    fn publish(&mut self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        for publisher in &mut self.publishers {
            publisher.publish(delta, image);
        }
    }
}

/// The replicated state machine of the metadata.
pub(crate) struct StateMachine {
    published: Arc<Published>,
    files: Files,
    health: Arc<Health>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    pub(crate) fn new(
        published: Arc<Published>,
        files: Files,
        health: Arc<Health>,
        state: &State,
    ) -> StateMachine {
        StateMachine {
            published,
            files,
            health,
            applied: state.applied,
            membership: state.membership.clone(),
        }
    }

    fn apply_proposal(&self, id: LogId, proposal: &Proposal) -> Result<Applied, ReplayError> {
        let base = self.published.image();
        let last_decision = base
            .provenance
            .offset
            .and_then(|offset| u64::try_from(offset.0).ok());
        if proposal.decided_at != last_decision {
            return Ok(Applied::Retry);
        }
        let mut delta = MetadataDelta::new(base);
        for record in proposal.records.iter() {
            // The leader has tried its records before it proposed them: such a log is damaged.
            delta.replay(record)?;
        }
        let image = delta.apply(Provenance {
            offset: Some(Offset(i64::try_from(id.index).unwrap_or(i64::MAX))),
            epoch: LeaderEpoch(i32::try_from(id.leader_id.term).unwrap_or(i32::MAX)),
            timestamp: proposal.timestamp,
        });
        self.published.advance(&delta, image);
        Ok(Applied::Accepted)
    }

    fn state(&self) -> State {
        State {
            applied: self.applied,
            membership: self.membership.clone(),
            image: self.published.image(),
        }
    }
}

fn meta_of(state: &State) -> Meta {
    SnapshotMeta {
        last_log_id: state.applied,
        last_membership: state.membership.clone(),
        snapshot_id: state.file_name(),
    }
}

fn snapshot_failed(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIOError::write_snapshot(None, AnyError::new(error)).into()
}

/// Writes the state of one moment to a file.
pub(crate) struct Builder {
    state: State,
    files: Files,
    health: Arc<Health>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        self.health
            .with_room_for_snapshot(|| self.state.save(&self.files), FileError::is_no_space)
            .await
            .map_err(|error| snapshot_failed(&error))?;
        tracing::info!(
            snapshot = self.state.file_name(),
            "metadata snapshot written"
        );
        Ok(Snapshot {
            meta: meta_of(&self.state),
            snapshot: Box::new(self.state.encode()),
        })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut results = Vec::new();
        for entry in entries {
            let result = match &entry.payload {
                EntryPayload::Blank => Applied::Nothing,
                EntryPayload::Normal(proposal) => self
                    .apply_proposal(entry.log_id, proposal)
                    .map_err(|error| StorageIOError::apply(entry.log_id, AnyError::new(&error)))?,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                    Applied::Nothing
                }
            };
            self.applied = Some(entry.log_id);
            results.push(result);
        }
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            state: self.state(),
            files: self.files.clone(),
            health: Arc::clone(&self.health),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Vec<u8>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &Meta,
        snapshot: Box<Vec<u8>>,
    ) -> Result<(), StorageError> {
        let state = State::decode(&snapshot).map_err(|error| snapshot_failed(&error))?;
        self.health
            .with_room_for_snapshot(|| state.save(&self.files), FileError::is_no_space)
            .await
            .map_err(|error| snapshot_failed(&error))?;
        self.applied = state.applied;
        self.membership = state.membership.clone();
        let delta = MetadataDelta::between(self.published.image(), &state.image);
        self.published.advance(&delta, state.image.as_ref().clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let state = State::load(&self.files).map_err(|error| {
            StorageError::from(StorageIOError::read_snapshot(None, AnyError::new(&error)))
        })?;
        Ok(state.map(|state| Snapshot {
            meta: meta_of(&state),
            snapshot: Box::new(state.encode()),
        }))
    }
}

#[cfg(test)]
mod tests;
