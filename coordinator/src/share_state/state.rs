//! The state of one share partition, and how records make it.
//!
//! Invariant: the same records give the same state, whether they are replayed as they are written
//! or from the log.

use std::fmt;

use protocol::{LeaderEpoch, Offset, Timestamp};

use super::batches::{StateBatch, combine};
use super::record::ShareUpdate;

/// How often the state of a share partition began anew. Whoever knows an older one is fenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateEpoch(pub i32);

impl StateEpoch {
    /// Who sends it is not fenced by the state epoch.
    pub const UNCHECKED: StateEpoch = StateEpoch(-1);
}

impl fmt::Display for StateEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// All that is known of a share partition, as a snapshot says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    /// How many snapshots there were before this one.
    pub snapshot_epoch: i32,
    pub state_epoch: StateEpoch,
    /// Of the leader that last read the state.
    pub leader_epoch: LeaderEpoch,
    /// None until the group has consumed from the partition.
    pub start_offset: Option<Offset>,
    /// Of how many offsets from the start offset on delivery is complete, where that was told.
    pub delivery_complete_count: Option<i32>,
    pub create_timestamp: Timestamp,
    /// Of the last snapshot.
    pub write_timestamp: Timestamp,
    pub batches: Vec<StateBatch>,
}

impl ShareState {
    fn updated(&self, update: &ShareUpdate) -> ShareState {
        let start_offset = update.start_offset.or(self.start_offset);
        let leader_epoch = match update.leader_epoch {
            LeaderEpoch::NONE => self.leader_epoch,
            epoch => epoch,
        };
        ShareState {
            start_offset,
            leader_epoch,
            delivery_complete_count: update.delivery_complete_count,
            batches: combine(&self.batches, &update.batches, start_offset),
            ..self.clone()
        }
    }

    /// Made by an update whose snapshot is not in the log.
    fn of_update(update: &ShareUpdate) -> ShareState {
        ShareState {
            snapshot_epoch: update.snapshot_epoch,
            state_epoch: StateEpoch(0),
            leader_epoch: update.leader_epoch,
            start_offset: update.start_offset,
            delivery_complete_count: update.delivery_complete_count,
            create_timestamp: Timestamp(0),
            write_timestamp: Timestamp(0),
            batches: update.batches.clone(),
        }
    }
}

/// A state with what else its records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharePartition {
    pub(crate) state: ShareState,
    /// The newest leader epoch of any record since the state began. A snapshot may name an older
    /// one.
    pub(crate) newest_leader_epoch: LeaderEpoch,
    pub(crate) newest_state_epoch: StateEpoch,
    /// Updates since they were last counted from 0.
    pub(crate) updates: i32,
    /// Records before it are not needed for this state any more.
    pub(crate) needed_from: Offset,
}

impl SharePartition {
    /// With a snapshot that was appended at `offset`; after `updates_max` updates they are counted
    /// anew.
    pub(crate) fn snapshotted(
        before: Option<SharePartition>,
        state: ShareState,
        offset: Offset,
        updates_max: i32,
    ) -> SharePartition {
        let updates = before.as_ref().map_or(0, |before| before.updates);
        let newest = before.map(|before| (before.newest_leader_epoch, before.newest_state_epoch));
        let (leader_epoch, state_epoch) = newest.unwrap_or((state.leader_epoch, state.state_epoch));
        SharePartition {
            newest_leader_epoch: leader_epoch.max(state.leader_epoch),
            newest_state_epoch: state_epoch.max(state.state_epoch),
            updates: if updates >= updates_max { 0 } else { updates },
            needed_from: offset,
            state,
        }
    }

    pub(crate) fn updated(
        before: Option<SharePartition>,
        update: &ShareUpdate,
        offset: Offset,
    ) -> SharePartition {
        let Some(mut known) = before else {
            let state = ShareState::of_update(update);
            return SharePartition {
                newest_leader_epoch: state.leader_epoch,
                newest_state_epoch: state.state_epoch,
                updates: 1,
                needed_from: offset,
                state,
            };
        };
        known.state = known.state.updated(update);
        known.newest_leader_epoch = known.newest_leader_epoch.max(update.leader_epoch);
        known.updates = known.updates.saturating_add(1);
        known
    }
}
