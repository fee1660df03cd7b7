//! A runtime for tests: a log that is a vector, a clock that is a number, commands that are kept.
//!
//! Invariant: drives a shard exactly as the contract of `Shard` says, and checks after each event
//! that the log alone makes the same hard state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use coordinator::share_state::record::Decoded;
use coordinator::share_state::{
    ClusterView, ShareStateCommand, ShareStateConfig, ShareStateRecord, ShareStateRequest,
    ShareStateResponse, ShareStateShard, ShareStateTimer,
};
use coordinator::{Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard};
use protocol::{ErrorCode, Offset, Timestamp, TopicId};

pub(crate) const START: i64 = 1_000_000;

pub(crate) type Reply = Result<ShareStateResponse, ErrorCode>;

/// The topics there are.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) counts: Mutex<BTreeMap<TopicId, i32>>,
}

impl Topics {
    pub(crate) fn put(&self, topic_id: TopicId, partitions: i32) {
        let mut counts = self.counts.lock().expect("no test panics with it");
        counts.insert(topic_id, partitions);
    }

    pub(crate) fn remove(&self, topic_id: TopicId) {
        let mut counts = self.counts.lock().expect("no test panics with it");
        counts.remove(&topic_id);
    }
}

impl ClusterView for Topics {
    fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
        let counts = self.counts.lock().expect("no test panics with it");
        counts.get(&topic_id).copied()
    }

    fn serves_share_groups(&self) -> bool {
        true
    }
}

/// What one step of the runtime led to.
#[derive(Default)]
pub(crate) struct Step {
    /// Batch by batch.
    pub(crate) batches: Vec<Vec<ShareStateRecord>>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) commands: Vec<ShareStateCommand>,
}

pub(crate) struct Runtime {
    pub(crate) config: ShareStateConfig,
    pub(crate) topics: Arc<Topics>,
    pub(crate) shard: ShareStateShard,
    pub(crate) now: i64,
    pub(crate) log: Vec<ShareStateRecord>,
    timers: BTreeMap<ShareStateTimer, i64>,
    pub(crate) fail_next_append: Option<ErrorCode>,
    /// A batch of more records than this is too large.
    pub(crate) batch_records_max: usize,
}

impl Runtime {
    pub(crate) fn new(config: ShareStateConfig, topics: Arc<Topics>) -> Runtime {
        let mut runtime = Runtime {
            shard: ShareStateShard::new(config.clone(), topics.clone()),
            config,
            topics,
            now: START,
            log: Vec::new(),
            timers: BTreeMap::new(),
            fail_next_append: None,
            batch_records_max: usize::MAX,
        };
        runtime.carry_out(Event::Loaded(Loaded::GoesOn));
        runtime
    }

    /// The shard is lost, and another one loads the log.
    pub(crate) fn reload(&mut self) {
        self.shard = self.loaded_from(0);
        self.timers.clear();
        self.carry_out(Event::Loaded(Loaded::GoesOn));
    }

    pub(crate) fn request(&mut self, request: ShareStateRequest) -> Step {
        let meta = RequestMeta {
            api_version: 0,
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
        };
        self.carry_out(Event::Request {
            token: ReplyTo(7),
            meta,
            request,
        })
    }

    /// Moves the clock and lets every timer fire at its time.
    pub(crate) fn advance(&mut self, ms: i64) -> Step {
        let until = self.now + ms;
        let mut all = Step::default();
        let mut fired = 0;
        while let Some((key, at)) = self.first_timer().filter(|(_, at)| *at <= until) {
            fired += 1;
            assert!(fired < 10_000, "{key:?} is due again and again");
            self.timers.remove(&key);
            self.now = self.now.max(at);
            let step = self.carry_out(Event::Timer(key));
            all.batches.extend(step.batches);
            all.replies.extend(step.replies);
            all.commands.extend(step.commands);
        }
        self.now = until;
        all
    }

    fn first_timer(&self) -> Option<(ShareStateTimer, i64)> {
        let first = self.timers.iter().min_by_key(|(_, at)| **at)?;
        Some((*first.0, *first.1))
    }

    fn carry_out(&mut self, event: Event<ShareStateShard>) -> Step {
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
            if let Some(code) = self.refusal(&records) {
                next = Some(Event::AppendFailed { token, code });
                continue;
            }
            for record in &records {
                self.log.push(record.clone());
                self.shard.replay(meta_at(self.log.len()), record);
            }
            if !records.is_empty() {
                step.batches.push(records);
            }
            step.replies
                .extend(replies.into_iter().map(|(_, reply)| reply));
            step.commands.extend(commands);
        }
        assert!(
            self.shard.has_hard_state_of(&self.loaded_from(0)),
            "the log makes another hard state than the events did"
        );
        step
    }

    fn refusal(&mut self, records: &[ShareStateRecord]) -> Option<ErrorCode> {
        if records.is_empty() {
            return None;
        }
        let is_too_large = records.len() > self.batch_records_max;
        let too_large = is_too_large.then_some(ErrorCode::MessageTooLarge);
        too_large.or_else(|| self.fail_next_append.take())
    }

    /// A shard that has replayed the bytes of the log from an offset on.
    pub(crate) fn loaded_from(&self, offset: usize) -> ShareStateShard {
        let mut shard = ShareStateShard::new(self.config.clone(), self.topics.clone());
        for (index, record) in self.log.iter().enumerate().skip(offset) {
            let (key, value) = record.encode().expect("what is written can be written");
            let decoded = ShareStateRecord::decode(&key, value.as_ref());
            let Ok(Decoded::Record(decoded)) = decoded else {
                panic!("{record:?} reads back as {decoded:?}");
            };
            assert_eq!(&decoded, record);
            shard.replay(meta_at(index + 1), &decoded);
        }
        shard
    }
}

fn meta_at(length: usize) -> RecordMeta {
    RecordMeta {
        offset: Offset(length as i64 - 1),
        producer: None,
    }
}
