//! What is done without being asked: snapshots of states that nobody writes, deletion of records
//! that no state needs, removal of the states of deleted topics.
//!
//! Invariant: a batch is bounded, and what could not be written is tried again, never given up;
//! only records before the oldest snapshot that counts are deleted.

use std::collections::BTreeSet;
use std::ops::Bound;

use protocol::{ErrorCode, Timestamp};

use super::record::{SharePartitionKey, ShareStateChange, ShareStateRecord};
use super::state::ShareState;
use super::turn::{AfterAppend, Turn};
use super::{ShareStateCommand, ShareStateShard, ShareStateTimer};

/// Where a round of snapshots for their age goes on.
#[derive(Debug, Default)]
pub(super) struct ColdRound {
    resumes: Option<Bound<SharePartitionKey>>,
    /// A batch of several was too large.
    one_by_one: bool,
}

impl ShareStateShard {
    pub(super) fn arm_rounds(turn: &mut Turn) {
        let prune_ms = turn.config.state_topic_prune_interval_ms;
        let cold_ms = turn.config.cold_partition_snapshot_interval_ms;
        turn.arm(ShareStateTimer::Prune, prune_ms);
        turn.arm(ShareStateTimer::SnapshotCold, cold_ms);
    }

    pub(super) fn prune(&self, turn: &mut Turn) {
        let interval = turn.config.state_topic_prune_interval_ms;
        turn.arm(ShareStateTimer::Prune, interval);
        if !self.cluster.serves_share_groups() {
            return;
        }
        if let Some(before) = self.redundant_before() {
            turn.commands
                .push(ShareStateCommand::DeleteRecords { before });
        }
    }

    /// Upstream leaves the round out when every state was snapshotted for its age already, and
    /// else does it for all that are old enough.
    pub(super) fn snapshot_cold(&mut self, turn: &mut Turn) {
        let from = match self.cold.resumes.take() {
            Some(from) => from,
            None => {
                self.look_for_deleted(turn);
                let is_due = self.cluster.serves_share_groups()
                    && self.states().any(|(_, state)| !state.is_cold());
                if !is_due {
                    self.end_cold_round(turn);
                    return;
                }
                Bound::Unbounded
            }
        };
        let mut bytes = 0;
        let mut resumes = None;
        for (key, partition) in self.partitions.range((from, Bound::Unbounded)) {
            if !partition.state.is_old(turn) {
                continue;
            }
            let snapshot = partition.state.again(turn.now);
            let record = ShareStateRecord {
                key: key.clone(),
                change: ShareStateChange::Snapshot(snapshot),
            };
            bytes += record.size_estimate();
            let is_full = bytes > turn.config.batch_bytes_max || self.cold.one_by_one;
            if is_full && !turn.records.is_empty() {
                resumes = Some(Bound::Included(key.clone()));
                break;
            }
            turn.records.push(record);
        }
        if let Some(first) = turn.records.first() {
            turn.after_append = AfterAppend::ColdSnapshots {
                first: first.key.clone(),
                is_alone: turn.records.len() == 1,
            };
        }
        match resumes {
            Some(from) => self.resume_cold_round(turn, from),
            None => self.end_cold_round(turn),
        }
    }

    fn resume_cold_round(&mut self, turn: &mut Turn, from: Bound<SharePartitionKey>) {
        self.cold.resumes = Some(from);
        turn.arm(ShareStateTimer::SnapshotCold, 0);
    }

    fn end_cold_round(&mut self, turn: &mut Turn) {
        self.cold = ColdRound::default();
        let interval = turn.config.cold_partition_snapshot_interval_ms;
        turn.arm(ShareStateTimer::SnapshotCold, interval);
    }

    /// A batch that is too large is written one by one, and a state that is too large alone is left
    /// to its updates.
    pub(super) fn cold_snapshots_failed(
        &mut self,
        turn: &mut Turn,
        first: SharePartitionKey,
        is_alone: bool,
        code: ErrorCode,
    ) {
        let is_too_large = matches!(
            code,
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge
        );
        if !is_too_large {
            self.end_cold_round(turn);
        } else if is_alone {
            self.resume_cold_round(turn, Bound::Excluded(first));
        } else {
            self.cold.one_by_one = true;
            self.resume_cold_round(turn, Bound::Included(first));
        }
    }

    /// A topic may have gone while nobody could write its states' end.
    fn look_for_deleted(&mut self, turn: &mut Turn) {
        let topics: BTreeSet<_> = self.partitions.keys().map(|key| key.topic_id).collect();
        let gone = topics
            .into_iter()
            .filter(|&topic_id| self.cluster.partition_count(topic_id).is_none());
        self.deleted.extend(gone);
        if !self.deleted.is_empty() {
            turn.arm(ShareStateTimer::RemoveDeleted, 0);
        }
    }

    pub(super) fn remove_deleted(&mut self, turn: &mut Turn) {
        let topics = std::mem::take(&mut self.deleted);
        let mut bytes = 0;
        let keys = self.partitions.keys();
        for key in keys.filter(|key| topics.contains(&key.topic_id)) {
            let record = ShareStateRecord {
                key: key.clone(),
                change: ShareStateChange::Removed,
            };
            bytes += record.size_estimate();
            if bytes > turn.config.batch_bytes_max && !turn.records.is_empty() {
                self.deleted = topics.clone();
                turn.arm(ShareStateTimer::RemoveDeleted, 0);
                break;
            }
            turn.records.push(record);
        }
        turn.after_append = AfterAppend::Removal(topics);
    }
}

impl ShareState {
    /// Whether its last snapshot was written for its age.
    fn is_cold(&self) -> bool {
        self.create_timestamp != self.write_timestamp
    }

    /// A time of writing that is to come is of a clock that was put back.
    fn is_old(&self, turn: &Turn) -> bool {
        let age_ms = turn.now.0.saturating_sub(self.write_timestamp.0);
        let interval = turn.config.cold_partition_snapshot_interval_ms;
        age_ms >= i64::from(interval) || age_ms < 0
    }

    fn again(&self, now: Timestamp) -> ShareState {
        ShareState {
            snapshot_epoch: self.snapshot_epoch.wrapping_add(1),
            write_timestamp: now,
            ..self.clone()
        }
    }
}
