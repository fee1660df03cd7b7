//! What the APIs of share state do, one share partition at a time.
//!
//! Invariant: the checks are made in upstream's order, and nothing is written for what is refused.

use protocol::{ErrorCode, LeaderEpoch, Offset};

use super::batches::{StateBatch, combine};
use super::record::{SharePartitionKey, ShareStateChange, ShareUpdate};
use super::state::{SharePartition, ShareState, StateEpoch};
use super::turn::Turn;
use super::{ShareStateRequest, ShareStateResponse, ShareStateShard};

/// A group's id is in the key of a record, where its length has 16 bits.
const GROUP_ID_BYTES_MAX: usize = i16::MAX as usize;

/// As many as a snapshot, which is one record, has room for in a batch of the default
/// `max.message.bytes`. Upstream lets a state grow past it and can then not write it any more.
const STATE_BATCHES_MAX: usize = 50_000;

const NEGATIVE_PARTITION: &str = "The partition id cannot be a negative number.";
const WRITE_UNINITIALIZED: &str = "Write operation on uninitialized share partition not allowed.";
const READ_UNINITIALIZED: &str = "Read operation on uninitialized share partition not allowed.";
const GROUP_ID_TOO_LONG: &str = "The group id is longer than 32767 bytes.";
const TOO_MANY_BATCHES: &str = "The state would have more than 50000 batches.";
const INVALID_BATCH: &str = "The last offset of a state batch is before its first offset.";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    code: ErrorCode,
    message: Option<&'static str>,
}

impl Refused {
    fn invalid(message: &'static str) -> Refused {
        Refused {
            code: ErrorCode::InvalidRequest,
            message: Some(message),
        }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Refused {
            code,
            message: None,
        }
    }
}

impl From<Refused> for ShareStateResponse {
    fn from(Refused { code, message }: Refused) -> Self {
        ShareStateResponse::Refused { code, message }
    }
}

/// What a write says.
struct Written<'a> {
    leader_epoch: LeaderEpoch,
    start_offset: Option<Offset>,
    delivery_complete_count: Option<i32>,
    batches: &'a [StateBatch],
}

impl ShareStateShard {
    /// Answers a request about one share partition.
    pub(super) fn answer(
        &self,
        turn: &mut Turn,
        request: ShareStateRequest,
    ) -> Result<ShareStateResponse, Refused> {
        if let Some(key) = request.key() {
            if key.partition < 0 {
                return Err(Refused::invalid(NEGATIVE_PARTITION));
            }
            if key.group_id.len() > GROUP_ID_BYTES_MAX {
                return Err(Refused::invalid(GROUP_ID_TOO_LONG));
            }
        }
        match request {
            ShareStateRequest::Initialize {
                key,
                state_epoch,
                start_offset,
            } => self.initialize(turn, key, state_epoch, start_offset),
            ShareStateRequest::Read { key, leader_epoch } => self.read(turn, key, leader_epoch),
            ShareStateRequest::Write {
                key,
                state_epoch,
                leader_epoch,
                start_offset,
                delivery_complete_count,
                batches,
            } => {
                let known = self.known(&key, WRITE_UNINITIALIZED)?;
                fence_leader(known, leader_epoch)?;
                fence_state(known, state_epoch)?;
                self.check_exists(&key)?;
                if !batches.iter().all(StateBatch::is_valid) {
                    return Err(Refused::invalid(INVALID_BATCH));
                }
                check_fits(known, start_offset, &batches)?;
                let written = Written {
                    leader_epoch: known.state.leader_epoch,
                    start_offset,
                    delivery_complete_count,
                    batches: &batches,
                };
                let change = written.change(turn, known);
                turn.write(key, change);
                Ok(ShareStateResponse::Done)
            }
            ShareStateRequest::Delete { key } => {
                self.check_exists(&key)?;
                if self.partitions.contains_key(&key) {
                    turn.write(key, ShareStateChange::Removed);
                }
                Ok(ShareStateResponse::Done)
            }
            ShareStateRequest::ReadSummary { key } => {
                self.check_exists(&key)?;
                Ok(summary(self.partitions.get(&key)))
            }
            ShareStateRequest::TopicsDeleted(_) => {
                unreachable!("it is about no share partition")
            }
        }
    }

    fn initialize(
        &self,
        turn: &mut Turn,
        key: SharePartitionKey,
        state_epoch: StateEpoch,
        start_offset: Option<Offset>,
    ) -> Result<ShareStateResponse, Refused> {
        let known = self.partitions.get(&key);
        if let Some(known) = known {
            fence_state(known, state_epoch)?;
        }
        self.check_exists(&key)?;
        let state = ShareState {
            snapshot_epoch: known.map_or(0, |known| known.state.snapshot_epoch.wrapping_add(1)),
            state_epoch,
            leader_epoch: LeaderEpoch(0),
            start_offset,
            delivery_complete_count: start_offset.map(|_| 0),
            create_timestamp: turn.now,
            write_timestamp: turn.now,
            batches: Vec::new(),
        };
        turn.write(key, ShareStateChange::Snapshot(state));
        Ok(ShareStateResponse::Done)
    }

    fn read(
        &self,
        turn: &mut Turn,
        key: SharePartitionKey,
        leader_epoch: LeaderEpoch,
    ) -> Result<ShareStateResponse, Refused> {
        let known = self.known(&key, READ_UNINITIALIZED)?;
        fence_leader(known, leader_epoch)?;
        self.check_exists(&key)?;
        let state = &known.state;
        let response = ShareStateResponse::Read {
            state_epoch: state.state_epoch,
            start_offset: state.start_offset,
            batches: state.batches.clone(),
        };
        if leader_epoch != LeaderEpoch::NONE && leader_epoch != known.newest_leader_epoch {
            let written = Written {
                leader_epoch,
                start_offset: state.start_offset,
                delivery_complete_count: state.delivery_complete_count,
                batches: &[],
            };
            let change = written.change(turn, known);
            turn.write(key, change);
        }
        Ok(response)
    }

    fn known(
        &self,
        key: &SharePartitionKey,
        otherwise: &'static str,
    ) -> Result<&SharePartition, Refused> {
        let known = self.partitions.get(key);
        known.ok_or(Refused::invalid(otherwise))
    }

    fn check_exists(&self, key: &SharePartitionKey) -> Result<(), Refused> {
        match self.cluster.partition_count(key.topic_id) {
            Some(count) if key.partition < count => Ok(()),
            Some(_) | None => Err(ErrorCode::UnknownTopicOrPartition.into()),
        }
    }
}

impl Written<'_> {
    /// An update, or in its place a snapshot where it is time for one.
    fn change(&self, turn: &Turn, known: &SharePartition) -> ShareStateChange {
        let state = &known.state;
        if known.updates < turn.config.snapshot_update_records_per_snapshot {
            return ShareStateChange::Update(ShareUpdate {
                snapshot_epoch: state.snapshot_epoch,
                leader_epoch: self.leader_epoch,
                start_offset: self.start_offset,
                delivery_complete_count: self.delivery_complete_count,
                batches: combine(&[], self.batches, self.start_offset),
            });
        }
        let start_offset = self.start_offset.or(state.start_offset);
        ShareStateChange::Snapshot(ShareState {
            snapshot_epoch: state.snapshot_epoch.wrapping_add(1),
            state_epoch: state.state_epoch,
            leader_epoch: self.leader_epoch,
            start_offset,
            delivery_complete_count: self.delivery_complete_count,
            create_timestamp: turn.now,
            write_timestamp: turn.now,
            batches: combine(&state.batches, self.batches, start_offset),
        })
    }
}

fn fence_leader(known: &SharePartition, leader_epoch: LeaderEpoch) -> Result<(), Refused> {
    if leader_epoch != LeaderEpoch::NONE && leader_epoch < known.newest_leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch.into());
    }
    Ok(())
}

fn fence_state(known: &SharePartition, state_epoch: StateEpoch) -> Result<(), Refused> {
    if state_epoch != StateEpoch::UNCHECKED && state_epoch < known.newest_state_epoch {
        return Err(ErrorCode::FencedStateEpoch.into());
    }
    Ok(())
}

fn check_fits(
    known: &SharePartition,
    start_offset: Option<Offset>,
    batches: &[StateBatch],
) -> Result<(), Refused> {
    let so_far = &known.state.batches;
    if so_far.len() + batches.len() > STATE_BATCHES_MAX {
        let start_offset = start_offset.or(known.state.start_offset);
        if combine(so_far, batches, start_offset).len() > STATE_BATCHES_MAX {
            return Err(Refused::invalid(TOO_MANY_BATCHES));
        }
    }
    Ok(())
}

/// Of a share partition without state too, unlike a read.
fn summary(known: Option<&SharePartition>) -> ShareStateResponse {
    let state = known.map(|known| &known.state);
    ShareStateResponse::Summary {
        state_epoch: state.map_or(StateEpoch(0), |state| state.state_epoch),
        leader_epoch: state.map_or(LeaderEpoch(0), |state| state.leader_epoch),
        start_offset: state.and_then(|state| state.start_offset),
        delivery_complete_count: state.and_then(|state| state.delivery_complete_count),
    }
}
