//! A runtime for tests: a log that is a vector, a clock that is a number, commands that are kept.
//!
//! Invariant: drives a shard exactly as the contract of `Shard` says, and checks after each event
//! that the log alone makes the same hard state.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::transaction::record::{Decoded, TransactionRecord};
use coordinator::transaction::{
    TransactionCommand, TransactionCoordinatorConfig, TransactionRequest, TransactionResponse,
    TransactionShard, TransactionTimer,
};
use coordinator::{Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard};
use protocol::{ErrorCode, Offset, ProducerId, Timestamp};

pub(crate) const START: i64 = 1_000_000;

pub(crate) type Reply = (ReplyTo, Result<TransactionResponse, ErrorCode>);

/// What one step of the runtime led to.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) records: Vec<TransactionRecord>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) commands: Vec<TransactionCommand>,
}

pub(crate) struct Runtime {
    pub(crate) config: TransactionCoordinatorConfig,
    pub(crate) shard: TransactionShard,
    pub(crate) now: i64,
    pub(crate) log: Vec<TransactionRecord>,
    timers: BTreeMap<TransactionTimer, i64>,
    pub(crate) fail_next_append: Option<ErrorCode>,
    producer_ids_given: i64,
}

impl Runtime {
    pub(crate) fn new(config: TransactionCoordinatorConfig) -> Runtime {
        let mut runtime = Runtime {
            shard: loaded_from(&config, &[]),
            config,
            now: START,
            log: Vec::new(),
            timers: BTreeMap::new(),
            fail_next_append: None,
            producer_ids_given: 0,
        };
        runtime.carry_out(Event::Loaded(Loaded::GoesOn));
        runtime
    }

    /// A producer id that was never used.
    pub(crate) fn spare(&mut self) -> ProducerId {
        self.producer_ids_given += 1;
        ProducerId(self.producer_ids_given)
    }

    /// The shard is lost, and another one loads the log.
    pub(crate) fn reload(&mut self) -> Step {
        self.load(Loaded::GoesOn)
    }

    /// As `reload`, of a log that was put back to its first records.
    pub(crate) fn put_back(&mut self, length: usize) -> Step {
        self.log.truncate(length);
        self.load(Loaded::PutBack)
    }

    fn load(&mut self, how: Loaded) -> Step {
        self.shard = loaded_from(&self.config, &self.log);
        self.timers.clear();
        self.carry_out(Event::Loaded(how))
    }

    pub(crate) fn request(&mut self, token: u64, request: TransactionRequest) -> Step {
        let meta = RequestMeta {
            api_version: 0,
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
        };
        self.carry_out(Event::Request {
            token: ReplyTo(token),
            meta,
            request,
        })
    }

    /// Moves the clock and lets every timer fire at its time.
    pub(crate) fn advance(&mut self, ms: i64) -> Vec<(i64, Step)> {
        let until = self.now + ms;
        let mut steps = Vec::new();
        while let Some((key, at)) = self.first_timer().filter(|(_, at)| *at <= until) {
            self.timers.remove(&key);
            self.now = self.now.max(at);
            let step = self.carry_out(Event::Timer(key));
            steps.push((self.now, step));
        }
        self.now = until;
        steps
    }

    /// The clock jumps: timers fire late, all at once.
    pub(crate) fn jump(&mut self, ms: i64) -> Step {
        self.now += ms;
        for at in self.timers.values_mut() {
            *at += ms.min(0);
        }
        let mut all = self.carry_out(Event::ClockMoved { by_ms: ms });
        while let Some((key, _)) = self.first_timer().filter(|(_, at)| *at <= self.now) {
            self.timers.remove(&key);
            let step = self.carry_out(Event::Timer(key));
            all.records.extend(step.records);
            all.replies.extend(step.replies);
            all.commands.extend(step.commands);
        }
        all
    }

    /// What is armed, and when it is due.
    pub(crate) fn timers(&self) -> &BTreeMap<TransactionTimer, i64> {
        &self.timers
    }

    fn first_timer(&self) -> Option<(TransactionTimer, i64)> {
        let first = self.timers.iter().min_by_key(|(_, at)| **at)?;
        Some((first.0.clone(), *first.1))
    }

    fn carry_out(&mut self, event: Event<TransactionShard>) -> Step {
        let mut step = Step::default();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let Output {
                token,
                records,
                producer,
                replies,
                effects,
                commands,
            } = self.shard.handle(Timestamp(self.now), event);
            assert_eq!(producer, None, "the shard's batches are in no transaction");
            for effect in effects {
                match effect {
                    Effect::ArmTimer { key, at } => self.timers.insert(key, at.0),
                    Effect::CancelTimer(key) => self.timers.remove(&key),
                };
            }
            if !records.is_empty()
                && let Some(code) = self.fail_next_append.take()
            {
                next = Some(Event::AppendFailed { token, code });
                continue;
            }
            for record in &records {
                self.log.push(record.clone());
                self.shard.replay(meta_at(self.log.len()), record);
            }
            step.records.extend(records);
            step.replies.extend(replies);
            step.commands.extend(commands);
        }
        self.check_replay();
        step
    }

    fn check_replay(&self) {
        let fresh = loaded_from(&self.config, &self.log);
        let (live, fresh): (Vec<_>, Vec<_>) = (self.shard.rows().collect(), fresh.rows().collect());
        assert_eq!(
            live, fresh,
            "the log makes another hard state than the events did"
        );
    }
}

fn meta_at(length: usize) -> RecordMeta {
    RecordMeta {
        offset: Offset(length as i64 - 1),
        producer: None,
    }
}

/// A shard that has replayed the bytes of these records.
pub(crate) fn loaded_from(
    config: &TransactionCoordinatorConfig,
    log: &[TransactionRecord],
) -> TransactionShard {
    let mut shard = TransactionShard::new(config.clone(), 0);
    for (index, record) in log.iter().enumerate() {
        let (key, value) = record
            .encode()
            .expect("the shard writes what can be written");
        let decoded = TransactionRecord::decode(&key, value.as_ref());
        let Ok(Decoded::Record(decoded)) = decoded else {
            panic!("{record:?} reads back as {decoded:?}");
        };
        assert_eq!(&decoded, record);
        shard.replay(meta_at(index + 1), &decoded);
    }
    shard
}
