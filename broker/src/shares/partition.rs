//! A share partition at work: its state machine, who waits for its answers, who waits for records
//! in it, and the clock of its locks.
//!
//! Invariant: the machine takes its events one at a time, under the lock here, which is never held
//! over I/O or `.await`. Whoever finds nothing is noted in the same step, so no news is missed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use coordinator::ReplyTo;
use coordinator::share::partition::{
    AcknowledgementBatch, AcquiredRecords, Acquisition, Fetched, Refusal, SharePartition,
    SharePartitionCommand, SharePartitionEvent, SharePartitionReply, SharePartitionStatus,
};
use coordinator::share_state::SharePartitionKey;
use parking_lot::Mutex;
use protocol::{ErrorCode, Offset, Timestamp};
use replication::{Ticket, Waiter};
use tokio::sync::{Notify, mpsc, oneshot};

use super::Ground;
use crate::replica::{Partition, ReadyList};

/// What a share partition has others do, and for whom. One of a share partition is under way at a
/// time, so the queue of them is no longer than there are share partitions.
pub(super) type Commanded = (Arc<LedShare>, SharePartitionCommand);
pub(super) type Commands = mpsc::UnboundedSender<Commanded>;

/// What an acknowledgement or a release came to.
pub(crate) type Done = Result<(), Refusal>;

/// A share partition that this node leads.
pub(crate) struct LedShare {
    key: SharePartitionKey,
    /// Whose records it hands out.
    leader: Arc<Partition>,
    ground: Arc<Ground>,
    state: Mutex<State>,
    /// A lock ends earlier than the clock was set to.
    earlier: Arc<Notify>,
}

struct State {
    machine: SharePartition,
    replies_given: u64,
    replies: HashMap<ReplyTo, oneshot::Sender<Done>>,
    /// By the number of the fetch: who came first is woken first.
    waiting: BTreeMap<u64, WaitingFetch>,
    /// When the task that ends locks looks next; none where there is no such task.
    armed: Option<Timestamp>,
    /// Its group has gone: it goes too, once what was said is written.
    is_leaving: bool,
}

struct WaitingFetch {
    list: Weak<ReadyList>,
    ticket: Ticket,
    /// It could not even look whether there is something.
    is_kept_out: bool,
}

/// Whether a fetch may read the log.
pub(super) enum Begun {
    From(Offset),
    /// Another reads, or all that may be handed out is; the fetch will be woken.
    NotNow,
    /// The share partition is of no use any more.
    Over(ErrorCode),
}

/// A fetch, as share partitions know it.
#[derive(Clone, Copy)]
pub(super) struct Fetcher<'a> {
    /// No other fetch has it.
    pub(super) id: u64,
    pub(super) list: &'a Arc<ReadyList>,
    pub(super) ticket: Ticket,
}

impl Fetcher<'_> {
    fn token(&self) -> ReplyTo {
        ReplyTo(self.id)
    }

    fn waiting(&self, is_kept_out: bool) -> WaitingFetch {
        WaitingFetch {
            list: Arc::downgrade(self.list),
            ticket: self.ticket,
            is_kept_out,
        }
    }
}

impl LedShare {
    pub(super) fn new(key: SharePartitionKey, leader: Arc<Partition>, ground: Arc<Ground>) -> Self {
        let settings = ground.settings(&key.group_id).partition;
        let machine = SharePartition::new(leader.leader_epoch(), settings);
        LedShare {
            key,
            leader,
            ground,
            state: Mutex::new(State {
                machine,
                replies_given: 0,
                replies: HashMap::new(),
                waiting: BTreeMap::new(),
                armed: None,
                is_leaving: false,
            }),
            earlier: Arc::default(),
        }
    }

    pub(super) fn key(&self) -> &SharePartitionKey {
        &self.key
    }

    pub(super) fn leader(&self) -> &Arc<Partition> {
        &self.leader
    }

    /// Whether it hands out records of this partition, as it is led now; then it is not to go.
    pub(super) fn claim(&self, leader: &Arc<Partition>) -> bool {
        let mut state = self.state.lock();
        let is_of = Arc::ptr_eq(&self.leader, leader)
            && state.machine.leader_epoch() == leader.leader_epoch()
            && over(&state.machine).is_none();
        state.is_leaving &= !is_of;
        is_of
    }

    /// Whether it is of no use any more.
    pub(super) fn is_over(&self) -> bool {
        over(&self.state.lock().machine).is_some()
    }

    /// Tells it something that nobody waits for.
    pub(super) fn tell(self: &Arc<Self>, event: SharePartitionEvent) {
        self.turn(&mut self.state.lock(), event);
    }

    pub(super) fn acknowledge(
        self: &Arc<Self>,
        member: &Arc<str>,
        batches: Vec<AcknowledgementBatch>,
    ) -> oneshot::Receiver<Done> {
        let member = member.clone();
        self.ask(|token| SharePartitionEvent::Acknowledge {
            token,
            member,
            batches,
        })
    }

    /// What the member holds goes to others.
    pub(super) fn release(self: &Arc<Self>, member: &Arc<str>) -> oneshot::Receiver<Done> {
        let member = member.clone();
        self.ask(|token| SharePartitionEvent::ReleaseMember { token, member })
    }

    fn ask(
        self: &Arc<Self>,
        event: impl FnOnce(ReplyTo) -> SharePartitionEvent,
    ) -> oneshot::Receiver<Done> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        let token = ReplyTo(state.replies_given);
        state.replies_given += 1;
        state.replies.insert(token, sender);
        self.turn(&mut state, event(token));
        receiver
    }

    /// Lets a fetch read the log; it ends with [`LedShare::fetched`] or [`LedShare::abandon`].
    pub(super) fn begin(&self, fetcher: Fetcher<'_>) -> Begun {
        let mut state = self.state.lock();
        if let Some(code) = over(&state.machine) {
            return Begun::Over(code);
        }
        let settings = self.ground.settings(&self.key.group_id).partition;
        state.machine.configure(settings);
        match state.machine.begin_fetch(fetcher.token()) {
            Some(offset) => {
                state.waiting.remove(&fetcher.id);
                Begun::From(offset)
            }
            None => {
                state.waiting.insert(fetcher.id, fetcher.waiting(true));
                Begun::NotNow
            }
        }
    }

    /// The fetch found too little, and waits for more.
    pub(super) fn abandon(self: &Arc<Self>, fetcher: Fetcher<'_>) {
        let mut state = self.state.lock();
        state.waiting.insert(fetcher.id, fetcher.waiting(false));
        let token = fetcher.token();
        self.turn(&mut state, SharePartitionEvent::FetchAbandoned { token });
    }

    /// Hands out of what was read what can be handed out.
    pub(super) fn fetched(
        self: &Arc<Self>,
        fetch: u64,
        acquisition: Acquisition,
        fetched: Fetched,
    ) -> Vec<AcquiredRecords> {
        let event = SharePartitionEvent::Fetched {
            token: ReplyTo(fetch),
            acquisition,
            fetched,
        };
        let acquired = self.turn(&mut self.state.lock(), event);
        acquired.unwrap_or_default()
    }

    /// The fetch waits no longer.
    pub(super) fn forget(&self, fetch: u64) {
        self.state.lock().waiting.remove(&fetch);
    }

    /// Its group has gone: it goes once it can.
    pub(super) fn leave(&self) {
        self.state.lock().is_leaving = true;
    }

    /// Whether it waits to go, and can.
    pub(super) fn can_leave(&self) -> bool {
        let state = self.state.lock();
        state.is_leaving && state.machine.is_idle()
    }

    /// Gives the machine an event, and others what it decided. What a fetch acquired is returned.
    fn turn(
        self: &Arc<Self>,
        state: &mut State,
        event: SharePartitionEvent,
    ) -> Option<Vec<AcquiredRecords>> {
        // One that gives up has taken nothing from those who looked themselves: were they woken,
        // they would look, give up and wake it in turn.
        let is_abandoned = matches!(event, SharePartitionEvent::FetchAbandoned { .. });
        let settings = self.ground.settings(&self.key.group_id).partition;
        state.machine.configure(settings);
        let output = state.machine.handle(self.ground.clock.now(), event);
        let mut acquired = None;
        for (token, reply) in output.replies {
            match reply {
                SharePartitionReply::Acquired(records) => acquired = Some(records),
                SharePartitionReply::Done(done) => {
                    if let Some(waits) = state.replies.remove(&token) {
                        // Who has gone need not know.
                        let _ = waits.send(done);
                    }
                }
            }
        }
        for command in output.commands {
            // Nobody carries commands out any more when the node stops.
            let _ = self.ground.commands.send((self.clone(), command));
        }
        if output.wake {
            wake(&mut state.waiting, is_abandoned);
        }
        self.arm(state);
        acquired
    }

    /// Sees to it that locks end in time.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(next) = state.machine.next_lock_end() else {
            return;
        };
        match state.armed {
            None => {
                state.armed = Some(next);
                self.ground.runtime.spawn(end_locks(
                    Arc::downgrade(self),
                    self.earlier.clone(),
                    self.ground.clock.clone(),
                ));
            }
            Some(armed) if next < armed => {
                state.armed = Some(next);
                self.earlier.notify_one();
            }
            Some(_) => {}
        }
    }

    /// When to look for locks that are over. None ends who asks.
    fn next_look(&self) -> Option<Timestamp> {
        let mut state = self.state.lock();
        state.armed = state.machine.next_lock_end();
        state.armed
    }
}

fn over(machine: &SharePartition) -> Option<ErrorCode> {
    match machine.status() {
        SharePartitionStatus::Failed(code) | SharePartitionStatus::Fenced(code) => Some(code),
        SharePartitionStatus::New
        | SharePartitionStatus::Initializing
        | SharePartitionStatus::Active => None,
    }
}

fn wake(waiting: &mut BTreeMap<u64, WaitingFetch>, only_kept_out: bool) {
    waiting.retain(|_, fetch| {
        if only_kept_out && !fetch.is_kept_out {
            return true;
        }
        if let Some(list) = fetch.list.upgrade() {
            list.wake(fetch.ticket);
        }
        false
    });
}

/// Ends locks as their time comes, while there are any.
async fn end_locks(of: Weak<LedShare>, earlier: Arc<Notify>, clock: crate::clock::Clock) {
    loop {
        let Some(next) = of.upgrade().and_then(|share| share.next_look()) else {
            return;
        };
        tokio::select! {
            () = clock.sleep_until(next) => {}
            () = earlier.notified() => continue,
        }
        let Some(share) = of.upgrade() else { return };
        share.tell(SharePartitionEvent::LocksTimedOut);
    }
}
