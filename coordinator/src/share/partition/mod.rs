//! A partition of a topic as one share group reads it: which records are handed out, to whom, and
//! how often they were.
//!
//! Invariant: no record is held by two members; one that is acknowledged or archived is never
//! handed out again, neither here nor by whoever loads the state later; and no answer says so before
//! the state is written.
//!
//! ```text
//! ShareFetch ──► begin_fetch ──► (log is read) ──► Fetched ──► reply: acquired records
//! ShareAcknowledge ──► Acknowledge ──► command: WriteState ──► StateWritten ──► reply
//! timer at next_lock_end ──► LocksTimedOut ──► command: WriteState
//! ```
//!
//! The runtime gives each partition its events one at a time, and keeps one per group, partition
//! and leader epoch. It carries out the commands and always brings back what came of them. What one
//! that is fenced or failed still gets is answered with an error; a new one takes its place.

mod aborted;
mod acknowledge;
mod acquire;
mod api;
mod batch;
mod give_back;
mod in_flight;
mod writes;

use std::sync::Arc;

use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp};

pub use acknowledge::check_acknowledgement;
pub use api::{
    AbortedTransaction, AcknowledgeType, AcknowledgementBatch, AcquireMode, AcquiredRecords,
    Acquisition, AutoOffsetReset, BatchOrigin, DeliveryState, Fetched, FetchedBatch,
    IsolationLevel, PersistedState, Refusal, ShareGroupSettings, SharePartitionCommand,
    SharePartitionEvent, SharePartitionOutput, SharePartitionReply, SharePartitionStatus,
    StateBatch, StateWrite, WriteToken,
};

use crate::ReplyTo;
use acknowledge::{Acknowledgement, Renew};
use acquire::Limits;
use batch::DecisionId;
use in_flight::InFlight;
use writes::{Decision, StateWrites};

/// A share partition at one leader epoch.
#[derive(Debug)]
pub struct SharePartition {
    leader_epoch: LeaderEpoch,
    settings: ShareGroupSettings,
    status: SharePartitionStatus,
    /// Read, but without a start offset yet.
    read: PersistedState,
    state_epoch: i32,
    in_flight: InFlight,
    writes: StateWrites,
    decisions_given: u64,
    /// Whose fetch reads the log. Two that read at once would read the same.
    fetching: Option<ReplyTo>,
}

impl SharePartition {
    pub fn new(leader_epoch: LeaderEpoch, settings: ShareGroupSettings) -> Self {
        SharePartition {
            leader_epoch,
            settings,
            status: SharePartitionStatus::New,
            read: PersistedState::default(),
            state_epoch: 0,
            in_flight: InFlight::default(),
            writes: StateWrites::default(),
            decisions_given: 0,
            fetching: None,
        }
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    pub fn status(&self) -> SharePartitionStatus {
        self.status
    }

    /// The share partition start offset: nobody needs what lies before.
    pub fn start_offset(&self) -> Offset {
        self.in_flight.start()
    }

    /// The settings of the group have changed. Locks that are held keep their time.
    pub fn configure(&mut self, settings: ShareGroupSettings) {
        self.settings = settings;
    }

    /// When [`SharePartitionEvent::LocksTimedOut`] is due. It may be early, and then ends nothing.
    pub fn next_lock_end(&self) -> Option<Timestamp> {
        self.in_flight.next_lock_end()
    }

    /// Nothing waits to be written.
    pub fn is_idle(&self) -> bool {
        self.writes.is_idle()
    }

    /// Lets a fetch read the log, and says from which offset. It ends with
    /// [`SharePartitionEvent::Fetched`] or [`SharePartitionEvent::FetchAbandoned`]; until then no
    /// other is let through. None also where all that may be handed out is.
    pub fn begin_fetch(&mut self, token: ReplyTo) -> Option<Offset> {
        if self.status != SharePartitionStatus::Active || self.fetching.is_some() {
            return None;
        }
        let offset = self.in_flight.next_fetch_offset();
        let is_new = offset == self.in_flight.next_new();
        let locks = i64::from(self.settings.partition_max_record_locks);
        if is_new && self.in_flight.count() >= locks {
            return None;
        }
        self.fetching = Some(token);
        Some(offset)
    }

    /// Decides what an event leads to.
    pub fn handle(&mut self, now: Timestamp, event: SharePartitionEvent) -> SharePartitionOutput {
        let mut output = SharePartitionOutput::default();
        match event {
            SharePartitionEvent::Initialize => self.initialize(&mut output),
            SharePartitionEvent::StateRead(result) => self.state_read(&mut output, result),
            SharePartitionEvent::StartOffsetFound(result) => {
                self.start_offset_found(&mut output, result);
            }
            SharePartitionEvent::Fetched {
                token,
                acquisition,
                fetched,
            } => {
                let acquired = self.fetched(now, token, &acquisition, &fetched);
                let reply = SharePartitionReply::Acquired(acquired);
                output.replies.push((token, reply));
                output.wake = true;
            }
            SharePartitionEvent::FetchAbandoned { token } => {
                output.wake = self.fetching.take_if(|holder| *holder == token).is_some();
            }
            SharePartitionEvent::Acknowledge {
                token,
                member,
                batches,
            } => self.acknowledge(&mut output, now, token, &member, &batches),
            SharePartitionEvent::ReleaseMember { token, member } => {
                self.release_member(&mut output, token, &member);
            }
            SharePartitionEvent::LocksTimedOut => {
                let limit = self.settings.delivery_count_limit;
                let ended = give_back::end_locks(&mut self.in_flight, now, limit);
                output.wake = !ended.is_empty();
                self.writes.add(ended);
            }
            SharePartitionEvent::StateWritten { token, result } => {
                self.state_written(&mut output, token, result);
            }
            SharePartitionEvent::LogStartMoved(offset) => self.log_start_moved(&mut output, offset),
            SharePartitionEvent::ClockMoved { by_ms } => {
                if by_ms < 0 {
                    self.in_flight.clock_put_back(by_ms);
                }
            }
            SharePartitionEvent::Fence => {
                self.fence(&mut output, ErrorCode::NotLeaderOrFollower);
            }
        }
        self.write_next(&mut output);
        output
    }

    fn initialize(&mut self, output: &mut SharePartitionOutput) {
        if self.status == SharePartitionStatus::New {
            self.status = SharePartitionStatus::Initializing;
            let leader_epoch = self.leader_epoch;
            let read = SharePartitionCommand::ReadState { leader_epoch };
            output.commands.push(read);
        }
    }

    fn state_read(
        &mut self,
        output: &mut SharePartitionOutput,
        result: Result<PersistedState, ErrorCode>,
    ) {
        if self.status != SharePartitionStatus::Initializing {
            return;
        }
        match result {
            Ok(state) => {
                let start = state.start_offset;
                self.read = state;
                match start {
                    Some(start) => self.load(output, start),
                    None => {
                        let reset = self.settings.auto_offset_reset;
                        let find = SharePartitionCommand::FindStartOffset { reset };
                        output.commands.push(find);
                    }
                }
            }
            Err(code) => self.fail(output, client_code(code)),
        }
    }

    fn start_offset_found(
        &mut self,
        output: &mut SharePartitionOutput,
        result: Result<Offset, ErrorCode>,
    ) {
        if self.status != SharePartitionStatus::Initializing {
            return;
        }
        match result {
            Ok(start) => self.load(output, start),
            Err(code) => self.fail(output, code),
        }
    }

    fn load(&mut self, output: &mut SharePartitionOutput, start: Offset) {
        let read = std::mem::take(&mut self.read);
        match InFlight::load(start, &read.batches) {
            Ok(in_flight) => {
                self.in_flight = in_flight;
                self.state_epoch = read.state_epoch;
                self.status = SharePartitionStatus::Active;
                output.wake = true;
            }
            Err(reason) => {
                tracing::error!(%reason, "the state of a share partition cannot be used");
                self.fail(output, ErrorCode::UnknownServerError);
            }
        }
    }

    fn fail(&mut self, output: &mut SharePartitionOutput, code: ErrorCode) {
        self.status = SharePartitionStatus::Failed(code);
        output.wake = true;
    }

    fn fetched(
        &mut self,
        now: Timestamp,
        token: ReplyTo,
        acquisition: &Acquisition,
        fetched: &Fetched,
    ) -> Vec<AcquiredRecords> {
        let was_let_through = self.fetching.take_if(|holder| *holder == token).is_some();
        if !was_let_through || self.status != SharePartitionStatus::Active {
            return Vec::new();
        }
        let limits = Limits {
            max_record_locks: self.settings.partition_max_record_locks,
            deliveries: self.settings.delivery_count_limit,
        };
        let until = self.lock_end(now);
        acquire::acquire(&mut self.in_flight, limits, acquisition, fetched, until)
    }

    fn lock_end(&self, now: Timestamp) -> Timestamp {
        let duration = i64::from(self.settings.record_lock_duration_ms);
        Timestamp(now.0.saturating_add(duration))
    }

    fn next_decision(&mut self) -> DecisionId {
        self.decisions_given += 1;
        DecisionId(self.decisions_given)
    }

    fn acknowledge(
        &mut self,
        output: &mut SharePartitionOutput,
        now: Timestamp,
        token: ReplyTo,
        member: &Arc<str>,
        batches: &[AcknowledgementBatch],
    ) {
        let done = |result| (token, SharePartitionReply::Done(result));
        if let Err(refusal) = self.serves() {
            output.replies.push(done(Err(refusal)));
            return;
        }
        let decision = self.next_decision();
        let acknowledgement = Acknowledgement {
            member,
            decision,
            delivery_limit: self.settings.delivery_count_limit,
            renew: if self.settings.renew_acknowledge_enable {
                Renew::Until(self.lock_end(now))
            } else {
                Renew::Disabled
            },
        };
        match acknowledgement.decide(&mut self.in_flight, batches) {
            Ok(decided) => self.write_decision(output, token, decision, decided),
            Err(refusal) => {
                give_back::take_back(&mut self.in_flight, decision);
                output.replies.push(done(Err(refusal)));
            }
        }
    }

    fn release_member(
        &mut self,
        output: &mut SharePartitionOutput,
        token: ReplyTo,
        member: &Arc<str>,
    ) {
        if let Err(refusal) = self.serves() {
            let reply = SharePartitionReply::Done(Err(refusal));
            output.replies.push((token, reply));
            return;
        }
        let decision = self.next_decision();
        let limit = self.settings.delivery_count_limit;
        let decided = give_back::release_member(&mut self.in_flight, member, limit, decision);
        self.write_decision(output, token, decision, decided);
    }

    fn serves(&self) -> Result<(), Refusal> {
        match self.status {
            SharePartitionStatus::New
            | SharePartitionStatus::Initializing
            | SharePartitionStatus::Active => Ok(()),
            SharePartitionStatus::Failed(code) | SharePartitionStatus::Fenced(code) => {
                Err(code.into())
            }
        }
    }

    /// The answer waits for the write. Where nothing changes there is nothing to wait for.
    fn write_decision(
        &mut self,
        output: &mut SharePartitionOutput,
        reply_to: ReplyTo,
        id: DecisionId,
        decided: Vec<StateBatch>,
    ) {
        if decided.is_empty() {
            let reply = SharePartitionReply::Done(Ok(()));
            output.replies.push((reply_to, reply));
            return;
        }
        let decision = Decision {
            id,
            reply_to,
            offsets: decided.iter().map(|batch| batch.offsets).collect(),
        };
        self.writes.add_decision(decision, decided);
    }

    fn write_next(&mut self, output: &mut SharePartitionOutput) {
        let write = self
            .writes
            .next(&self.in_flight, self.state_epoch, self.leader_epoch);
        let write = write.map(SharePartitionCommand::WriteState);
        output.commands.extend(write);
    }

    fn state_written(
        &mut self,
        output: &mut SharePartitionOutput,
        token: WriteToken,
        result: Result<(), ErrorCode>,
    ) {
        let Some(decisions) = self.writes.came_back(token) else {
            return;
        };
        output.wake = true;
        let answer = result.map_err(|code| Refusal::from(client_code(code)));
        for decision in decisions {
            match answer {
                Ok(()) => {
                    give_back::settle(&mut self.in_flight, decision.id, &decision.offsets);
                }
                Err(_) => give_back::take_back(&mut self.in_flight, decision.id),
            }
            let reply = SharePartitionReply::Done(answer);
            output.replies.push((decision.reply_to, reply));
        }
        self.in_flight.advance_start();
        if let Err(code) = result
            && is_fencing(code)
        {
            self.fence(output, client_code(code));
        }
    }

    fn log_start_moved(&mut self, output: &mut SharePartitionOutput, offset: Offset) {
        if self.status == SharePartitionStatus::Active {
            output.wake = self.in_flight.move_log_start(offset);
        }
    }

    /// This is over. Nothing is written any more, so nobody is told that it was.
    fn fence(&mut self, output: &mut SharePartitionOutput, code: ErrorCode) {
        self.status = SharePartitionStatus::Fenced(code);
        for decision in self.writes.give_up() {
            let reply = SharePartitionReply::Done(Err(code.into()));
            output.replies.push((decision.reply_to, reply));
        }
        self.in_flight = InFlight::default();
        self.fetching = None;
        output.wake = true;
    }
}

/// What a client hears of an error of the share coordinator.
fn client_code(code: ErrorCode) -> ErrorCode {
    use ErrorCode as Code;
    let is_away = matches!(
        code,
        Code::NotCoordinator | Code::CoordinatorNotAvailable | Code::CoordinatorLoadInProgress
    );
    if is_away {
        Code::CoordinatorNotAvailable
    } else if matches!(code, Code::FencedLeaderEpoch | Code::FencedStateEpoch) {
        Code::NotLeaderOrFollower
    } else if is_gone(code) {
        code
    } else if code == Code::InvalidRequest {
        // There is no state of it: nobody has joined, or it was deleted. Upstream answers
        // UNKNOWN_SERVER_ERROR; clients try again after either.
        Code::UnknownTopicOrPartition
    } else {
        Code::UnknownServerError
    }
}

fn is_gone(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::GroupIdNotFound | ErrorCode::UnknownTopicOrPartition
    )
}

/// Whether the error means that this is not the place any more to hand these records out.
fn is_fencing(code: ErrorCode) -> bool {
    client_code(code) == ErrorCode::NotLeaderOrFollower || is_gone(code)
}
