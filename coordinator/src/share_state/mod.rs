//! The share coordinator: the states of share partitions on one partition of
//! `__share_group_state` (KIP-932).
//!
//! Invariant: hard state is what the records say; it changes in `replay` alone and is equal after
//! the same records, whatever happened in between.
//!
//! A state is a snapshot and the updates behind it. Every so many updates a new snapshot is written
//! in an update's place, and a state that is not written gets one for its age, so that the records
//! before the oldest snapshot that counts can be deleted from the log.

mod answer;
mod api;
mod batches;
mod config;
mod maintenance;
pub mod record;
mod requests;
mod state;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{ErrorCode, Offset, Timestamp, TopicId};

pub use answer::{AnsweredPartition, AnsweredTopic, answer_order};
pub use api::{
    ClusterView, ShareStateCommand, ShareStateRequest, ShareStateResponse, ShareStateTimer,
    append_error,
};
pub use batches::{StateBatch, combine};
pub use config::ShareStateConfig;
pub use record::{SharePartitionKey, ShareStateChange, ShareStateRecord, ShareUpdate};
pub use state::{ShareState, StateEpoch};

use crate::{AppendToken, Event, Output, RecordMeta, ReplyTo, Shard, TransactionResult};
use maintenance::ColdRound;
use state::SharePartition;
use turn::{AfterAppend, Turn};

/// The share coordinator of one partition of `__share_group_state`.
pub struct ShareStateShard {
    config: Arc<ShareStateConfig>,
    cluster: Arc<dyn ClusterView>,
    partitions: BTreeMap<SharePartitionKey, SharePartition>,
    /// Where the snapshots of all states stand.
    needed: BTreeSet<Offset>,
    /// No state needs a record before it; none while there was no snapshot.
    redundant_before: Option<Offset>,
    tokens_given: u64,
    in_flight: Option<InFlight>,
    cold: ColdRound,
    /// Deleted topics whose states may still be there.
    deleted: BTreeSet<TopicId>,
}

/// The output whose records the runtime is appending.
#[derive(Debug)]
struct InFlight {
    token: AppendToken,
    to_replay: usize,
    waiting: Vec<ReplyTo>,
    after_append: AfterAppend,
}

impl ShareStateShard {
    pub fn new(config: ShareStateConfig, cluster: Arc<dyn ClusterView>) -> Self {
        ShareStateShard {
            config: Arc::new(config),
            cluster,
            partitions: BTreeMap::new(),
            needed: BTreeSet::new(),
            redundant_before: None,
            tokens_given: 0,
            in_flight: None,
            cold: ColdRound::default(),
            deleted: BTreeSet::new(),
        }
    }

    /// All states, ordered.
    pub fn states(&self) -> impl Iterator<Item = (&SharePartitionKey, &ShareState)> {
        self.partitions
            .iter()
            .map(|(key, partition)| (key, &partition.state))
    }

    /// No state needs a record before this offset; none where nothing is to be deleted.
    pub fn redundant_before(&self) -> Option<Offset> {
        self.redundant_before.filter(|offset| offset.0 > 0)
    }

    /// Whether both were made by the same records.
    pub fn has_hard_state_of(&self, other: &ShareStateShard) -> bool {
        self.partitions == other.partitions && self.redundant_before == other.redundant_before
    }

    fn dispatch(&mut self, turn: &mut Turn, token: ReplyTo, request: ShareStateRequest) {
        match request {
            ShareStateRequest::TopicsDeleted(topics) => {
                turn.reply(token, ShareStateResponse::Done);
                self.deleted.extend(topics);
                self.remove_deleted(turn);
            }
            about_one @ (ShareStateRequest::Initialize { .. }
            | ShareStateRequest::Read { .. }
            | ShareStateRequest::Write { .. }
            | ShareStateRequest::Delete { .. }
            | ShareStateRequest::ReadSummary { .. }) => {
                let response = match self.answer(turn, about_one) {
                    Ok(response) => response,
                    Err(refused) => refused.into(),
                };
                turn.reply(token, response);
            }
        }
    }

    fn timer_fired(&mut self, turn: &mut Turn, timer: ShareStateTimer) {
        match timer {
            ShareStateTimer::Prune => self.prune(turn),
            ShareStateTimer::SnapshotCold => self.snapshot_cold(turn),
            ShareStateTimer::RemoveDeleted => self.remove_deleted(turn),
        }
    }

    fn append_failed(&mut self, turn: &mut Turn, failed: InFlight, code: ErrorCode) {
        for token in failed.waiting {
            turn.fail(token, append_error(code));
        }
        match failed.after_append {
            AfterAppend::Nothing => {}
            AfterAppend::ColdSnapshots { first, is_alone } => {
                self.cold_snapshots_failed(turn, first, is_alone, code);
            }
            AfterAppend::Removal(topics) => {
                self.deleted.extend(topics);
                turn.arm(ShareStateTimer::RemoveDeleted, turn.config.retry_backoff_ms);
            }
        }
    }

    fn finish(&mut self, turn: Turn) -> Output<Self> {
        let token = AppendToken(self.tokens_given);
        if !turn.records.is_empty() {
            self.tokens_given += 1;
            self.in_flight = Some(InFlight {
                token,
                to_replay: turn.records.len(),
                waiting: turn.replies.iter().map(|(token, _)| *token).collect(),
                after_append: turn.after_append,
            });
        }
        Output {
            token,
            records: turn.records,
            producer: None,
            replies: turn.replies,
            effects: turn.effects,
            commands: turn.commands,
        }
    }

    /// The state of a share partition is another: what the log must keep follows.
    fn put(&mut self, key: &SharePartitionKey, partition: Option<SharePartition>) {
        let Some(partition) = partition else {
            return;
        };
        self.needed.insert(partition.needed_from);
        self.partitions.insert(key.clone(), partition);
    }

    fn take(&mut self, key: &SharePartitionKey) -> Option<SharePartition> {
        let partition = self.partitions.remove(key)?;
        self.needed.remove(&partition.needed_from);
        Some(partition)
    }
}

impl Shard for ShareStateShard {
    type Request = ShareStateRequest;
    type Response = ShareStateResponse;
    type Record = ShareStateRecord;
    type Timer = ShareStateTimer;
    type Command = ShareStateCommand;

    fn handle(&mut self, now: Timestamp, event: Event<Self>) -> Output<Self> {
        let in_flight = self.in_flight.take();
        let mut turn = Turn::new(now, self.config.clone());
        match event {
            Event::AppendFailed { token, code } => {
                if let Some(failed) = in_flight.filter(|output| output.token == token) {
                    assert!(failed.to_replay > 0, "a failed append must not be replayed");
                    self.append_failed(&mut turn, failed, code);
                }
                return self.finish(turn);
            }
            Event::Request { token, request, .. } => self.dispatch(&mut turn, token, request),
            Event::Timer(timer) => self.timer_fired(&mut turn, timer),
            Event::Loaded(_) => Self::arm_rounds(&mut turn),
            // The runtime fires what is due since; nothing else here is counted in time.
            Event::ClockMoved { .. } => {}
        }
        let replayed = in_flight.is_none_or(|output| output.to_replay == 0);
        assert!(
            replayed,
            "the records of an output are replayed before the next event"
        );
        self.finish(turn)
    }

    fn replay(&mut self, meta: RecordMeta, record: &ShareStateRecord) {
        if let Some(output) = self.in_flight.as_mut() {
            output.to_replay = output.to_replay.saturating_sub(1);
        }
        let before = self.take(&record.key);
        let after = match &record.change {
            ShareStateChange::Snapshot(state) => Some(SharePartition::snapshotted(
                before,
                state.clone(),
                meta.offset,
                self.config.snapshot_update_records_per_snapshot,
            )),
            ShareStateChange::Update(update) => {
                Some(SharePartition::updated(before, update, meta.offset))
            }
            ShareStateChange::Removed => None,
        };
        self.put(&record.key, after);
        let first_needed = self.needed.first().copied();
        self.redundant_before = match record.change {
            ShareStateChange::Snapshot(_) | ShareStateChange::Update(_) => first_needed,
            // What it removed lies before it.
            ShareStateChange::Removed => Some(first_needed.unwrap_or(meta.offset)),
        };
    }

    /// No transaction writes into `__share_group_state`: clients may not, and the shard's own
    /// batches are part of none.
    fn replay_marker(&mut self, _meta: RecordMeta, _result: TransactionResult) {}
}
