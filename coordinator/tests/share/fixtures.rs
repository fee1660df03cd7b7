//! A share partition with a log, a state and a clock made of plain values.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::ReplyTo;
use coordinator::share::OffsetRange;
use coordinator::share::partition::{
    AbortedTransaction, AcknowledgementBatch, AcquireMode, AcquiredRecords, Acquisition,
    BatchOrigin, DeliveryState, Fetched, FetchedBatch, IsolationLevel, PersistedState, Refusal,
    ShareGroupSettings, SharePartition, SharePartitionCommand, SharePartitionEvent,
    SharePartitionOutput, SharePartitionReply, StateBatch, StateWrite,
};
use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp};

pub(crate) const GAP: i8 = 0;
pub(crate) const ACCEPT: i8 = 1;
pub(crate) const RELEASE: i8 = 2;
pub(crate) const REJECT: i8 = 3;
pub(crate) const RENEW: i8 = 4;

pub(crate) fn range(first: i64, last: i64) -> OffsetRange {
    OffsetRange::new(Offset(first), Offset(last)).expect("the first offset is not the larger one")
}

/// What a fetch handed out: first offset, last offset, delivery count.
pub(crate) type Acquired = Vec<(i64, i64, i16)>;

pub(crate) fn plain(acquired: &[AcquiredRecords]) -> Acquired {
    acquired
        .iter()
        .map(|records| {
            let offsets = records.offsets;
            (offsets.first().0, offsets.last().0, records.delivery_count)
        })
        .collect()
}

/// The batches of a log, first offset to last one.
pub(crate) fn batches(offsets: &[(i64, i64)]) -> Vec<FetchedBatch> {
    offsets
        .iter()
        .map(|(first, last)| FetchedBatch {
            offsets: range(*first, *last),
            origin: BatchOrigin::Plain,
        })
        .collect()
}

pub(crate) fn said(first: i64, last: i64, types: &[i8]) -> AcknowledgementBatch {
    AcknowledgementBatch {
        first_offset: Offset(first),
        last_offset: Offset(last),
        types: types.to_vec(),
    }
}

/// How a fetch is made. The default wants everything, as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) mode: AcquireMode,
    pub(crate) batch_size: i32,
    pub(crate) max_records: i32,
    pub(crate) isolation: IsolationLevel,
}

impl Default for Ask {
    fn default() -> Self {
        Ask {
            mode: AcquireMode::BatchOptimized,
            batch_size: 500,
            max_records: 500,
            isolation: IsolationLevel::ReadUncommitted,
        }
    }
}

pub(crate) fn at_most(max_records: i32) -> Ask {
    Ask {
        max_records,
        ..Ask::default()
    }
}

pub(crate) fn strictly(max_records: i32) -> Ask {
    Ask {
        mode: AcquireMode::RecordLimit,
        ..at_most(max_records)
    }
}

/// What the share coordinator keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) start: Option<Offset>,
    pub(crate) records: BTreeMap<i64, (DeliveryState, i16)>,
}

impl Stored {
    pub(crate) fn write(&mut self, write: &StateWrite) {
        self.start = Some(write.start_offset);
        for batch in &write.batches {
            let (first, last) = (batch.offsets.first().0, batch.offsets.last().0);
            for offset in first..=last {
                let record = (batch.state, batch.delivery_count);
                self.records.insert(offset, record);
            }
        }
        self.records = self.records.split_off(&write.start_offset.0);
    }

    /// Neighbours of one state are one batch, as the share coordinator has it.
    pub(crate) fn read(&self) -> PersistedState {
        let mut batches: Vec<StateBatch> = Vec::new();
        for (offset, (state, delivery_count)) in &self.records {
            let new = StateBatch {
                offsets: range(*offset, *offset),
                state: *state,
                delivery_count: *delivery_count,
            };
            match batches.last_mut() {
                Some(last)
                    if last.offsets.last().0 + 1 == *offset
                        && (last.state, last.delivery_count) == (*state, *delivery_count) =>
                {
                    last.offsets = range(last.offsets.first().0, *offset);
                }
                Some(_) | None => batches.push(new),
            }
        }
        PersistedState {
            state_epoch: 3,
            start_offset: self.start,
            batches,
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) partition: SharePartition,
    pub(crate) now: i64,
    pub(crate) log: Vec<FetchedBatch>,
    pub(crate) aborted: Vec<AbortedTransaction>,
    pub(crate) stored: Stored,
    /// Writes that nobody answered yet.
    pub(crate) writes: Vec<StateWrite>,
    /// Whether writes wait for [`Fixture::written`].
    pub(crate) holds_writes: bool,
    pub(crate) replies: BTreeMap<u64, SharePartitionReply>,
    pub(crate) woken: bool,
    tokens: u64,
}

impl Fixture {
    /// A partition at offset 0 of a log with these batches.
    pub(crate) fn new(log: &[(i64, i64)]) -> Self {
        Self::with(ShareGroupSettings::default(), log)
    }

    pub(crate) fn with(settings: ShareGroupSettings, log: &[(i64, i64)]) -> Self {
        let stored = Stored {
            start: Some(Offset(0)),
            ..Stored::default()
        };
        Self::loaded(settings, stored, batches(log))
    }

    pub(crate) fn loaded(
        settings: ShareGroupSettings,
        stored: Stored,
        log: Vec<FetchedBatch>,
    ) -> Self {
        let mut fixture = Fixture {
            partition: SharePartition::new(LeaderEpoch(7), settings),
            now: 0,
            log,
            aborted: Vec::new(),
            stored,
            writes: Vec::new(),
            holds_writes: false,
            replies: BTreeMap::new(),
            woken: false,
            tokens: 0,
        };
        fixture.handle(SharePartitionEvent::Initialize);
        fixture
    }

    pub(crate) fn handle(&mut self, event: SharePartitionEvent) {
        let output = self.partition.handle(Timestamp(self.now), event);
        self.take(output);
    }

    fn take(&mut self, output: SharePartitionOutput) {
        self.woken |= output.wake;
        for (token, reply) in output.replies {
            let before = self.replies.insert(token.0, reply);
            assert_eq!(before, None, "request {} was answered twice", token.0);
        }
        for command in output.commands {
            match command {
                SharePartitionCommand::ReadState { leader_epoch } => {
                    assert_eq!(leader_epoch, LeaderEpoch(7));
                    let state = self.stored.read();
                    self.handle(SharePartitionEvent::StateRead(Ok(state)));
                }
                SharePartitionCommand::FindStartOffset { .. } => {
                    let start = self.log.first().map(|batch| batch.offsets.first());
                    let start = Ok(start.unwrap_or_default());
                    self.handle(SharePartitionEvent::StartOffsetFound(start));
                }
                SharePartitionCommand::WriteState(write) => {
                    assert!(self.writes.is_empty(), "there is one write at a time");
                    assert_eq!((write.state_epoch, write.leader_epoch), (3, LeaderEpoch(7)));
                    self.writes.push(write);
                    if !self.holds_writes {
                        self.written();
                    }
                }
            }
        }
    }

    /// The write under way comes back.
    pub(crate) fn written(&mut self) {
        let write = self.writes.pop().expect("a write is under way");
        self.stored.write(&write);
        let token = write.token;
        let result = Ok(());
        self.handle(SharePartitionEvent::StateWritten { token, result });
    }

    pub(crate) fn write_fails(&mut self, code: ErrorCode) {
        let write = self.writes.pop().expect("a write is under way");
        let token = write.token;
        let result = Err(code);
        self.handle(SharePartitionEvent::StateWritten { token, result });
    }

    pub(crate) fn token(&mut self) -> ReplyTo {
        self.tokens += 1;
        ReplyTo(self.tokens)
    }

    pub(crate) fn reply(&mut self, token: ReplyTo) -> Option<SharePartitionReply> {
        self.replies.remove(&token.0)
    }

    /// What the log has from an offset on.
    pub(crate) fn read_log(&self, fetch_offset: Offset) -> Fetched {
        let batches = self.log.iter();
        Fetched {
            fetch_offset,
            batches: batches
                .filter(|batch| batch.offsets.last() >= fetch_offset)
                .copied()
                .collect(),
            aborted_transactions: self.aborted.clone(),
        }
    }

    pub(crate) fn acquisition(member: &str, ask: Ask) -> Acquisition {
        Acquisition {
            member: Arc::from(member),
            mode: ask.mode,
            batch_size: ask.batch_size,
            max_records: ask.max_records,
            isolation: ask.isolation,
        }
    }

    pub(crate) fn fetch(&mut self, member: &str, ask: Ask) -> Acquired {
        let token = self.token();
        let Some(offset) = self.partition.begin_fetch(token) else {
            return Vec::new();
        };
        let start = self.start();
        assert!(
            offset.0 >= start,
            "{offset} may be gone, the start is {start}"
        );
        let fetched = self.read_log(offset);
        self.fetched(token, member, ask, fetched)
    }

    pub(crate) fn fetched(
        &mut self,
        token: ReplyTo,
        member: &str,
        ask: Ask,
        fetched: Fetched,
    ) -> Acquired {
        let acquisition = Self::acquisition(member, ask);
        self.handle(SharePartitionEvent::Fetched {
            token,
            acquisition,
            fetched,
        });
        match self.reply(token) {
            Some(SharePartitionReply::Acquired(acquired)) => plain(&acquired),
            other => panic!("a fetch is answered at once, not with {other:?}"),
        }
    }

    /// Gives an acknowledgement in; the answer may wait.
    pub(crate) fn say(&mut self, member: &str, batches: &[AcknowledgementBatch]) -> ReplyTo {
        let token = self.token();
        self.handle(SharePartitionEvent::Acknowledge {
            token,
            member: Arc::from(member),
            batches: batches.to_vec(),
        });
        token
    }

    pub(crate) fn answer(&mut self, token: ReplyTo) -> Option<Result<(), Refusal>> {
        self.reply(token).map(|reply| match reply {
            SharePartitionReply::Done(result) => result,
            SharePartitionReply::Acquired(_) => panic!("this was not a fetch"),
        })
    }

    pub(crate) fn acknowledge(
        &mut self,
        member: &str,
        first: i64,
        last: i64,
        types: &[i8],
    ) -> Result<(), ErrorCode> {
        let token = self.say(member, &[said(first, last, types)]);
        let answer = self.answer(token).expect("the answer waits for nothing");
        answer.map_err(|refusal| refusal.code)
    }

    pub(crate) fn release(&mut self, member: &str) -> ReplyTo {
        let token = self.token();
        let member = Arc::from(member);
        self.handle(SharePartitionEvent::ReleaseMember { token, member });
        token
    }

    pub(crate) fn advance(&mut self, ms: i64) {
        self.now += ms;
        let due = self.partition.next_lock_end();
        if due.is_some_and(|due| due.0 <= self.now) {
            self.handle(SharePartitionEvent::LocksTimedOut);
        }
    }

    pub(crate) fn start(&self) -> i64 {
        self.partition.start_offset().0
    }

    /// Takes the state over, as the next leader does.
    pub(crate) fn reload(&mut self, settings: ShareGroupSettings) {
        *self = Fixture {
            now: self.now,
            tokens: self.tokens,
            aborted: std::mem::take(&mut self.aborted),
            ..Self::loaded(
                settings,
                std::mem::take(&mut self.stored),
                std::mem::take(&mut self.log),
            )
        };
    }
}
