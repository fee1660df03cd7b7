//! A runtime for tests: a log that is a vector, a clock that is a number.
//!
//! Invariant: drives a shard exactly as the contract of `Shard` says, and checks after each event
//! that the log alone makes the same hard state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use coordinator::group::record::{Decoded, GroupRecord};
use coordinator::group::{
    GroupCommand, GroupConfig, GroupCoordinatorConfig, GroupRequest, GroupResponse, GroupShard,
    GroupTimer, MetadataChange, MetadataView, TopicView,
};
use coordinator::{
    Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard, TransactionResult,
};
use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, Timestamp, TopicId};
use uuid::Uuid;

pub(crate) type Reply = (ReplyTo, Result<GroupResponse, ErrorCode>);

pub(crate) type TransactionalProducer = (ProducerId, ProducerEpoch);

/// What stands in the log at one offset.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Record(GroupRecord, Option<TransactionalProducer>),
    Marker(TransactionalProducer, TransactionResult),
}

/// What one step of the runtime led to.
#[derive(Default)]
pub(crate) struct Step {
    /// In whose transaction the records are.
    pub(crate) producer: Option<TransactionalProducer>,
    pub(crate) records: Vec<GroupRecord>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) commands: Vec<GroupCommand>,
}

/// The topics of a test's cluster, and what is set for its groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) version: i64,
    /// Id and number of partitions, by name.
    pub(crate) topics: BTreeMap<Arc<str>, (TopicId, i32)>,
    pub(crate) groups: BTreeMap<String, GroupConfig>,
}

impl TopicView for Cluster {
    fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topics.get(name).map(|(id, _)| *id)
    }

    fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
        let mut topics = self.topics.values();
        topics
            .find(|(id, _)| *id == topic_id)
            .map(|(_, count)| *count)
    }
}

impl MetadataView for Cluster {
    fn version(&self) -> i64 {
        self.version
    }

    fn topic_name(&self, topic_id: TopicId) -> Option<Arc<str>> {
        let mut topics = self.topics.iter();
        let found = topics.find(|(_, (id, _))| *id == topic_id);
        found.map(|(name, _)| name.clone())
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.topics.keys().map(|name| &**name))
    }

    fn racks(&self, _: TopicId, _: i32) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn group_config(&self, group_id: &str) -> GroupConfig {
        self.groups.get(group_id).copied().unwrap_or_default()
    }
}

pub(crate) struct Runtime {
    pub(crate) cluster: Cluster,
    pub(crate) config: GroupCoordinatorConfig,
    pub(crate) shard: GroupShard,
    pub(crate) now: i64,
    pub(crate) log: Vec<Entry>,
    timers: BTreeMap<GroupTimer, i64>,
    pub(crate) fail_next_append: Option<ErrorCode>,
    next_uuid: u128,
    /// Commands that nobody has answered.
    pub(crate) commanded: VecDeque<GroupCommand>,
}

impl Runtime {
    pub(crate) fn new(config: GroupCoordinatorConfig) -> Runtime {
        let shard = loaded_from(&config, &[], 0);
        let mut runtime = Runtime {
            cluster: Cluster::default(),
            config,
            shard,
            now: 1_000_000,
            log: Vec::new(),
            timers: BTreeMap::new(),
            fail_next_append: None,
            next_uuid: 0,
            commanded: VecDeque::new(),
        };
        runtime.carry_out(Event::Loaded(Loaded::GoesOn));
        runtime
    }

    /// The shard is lost, and another one loads the log.
    pub(crate) fn reload(&mut self) -> Step {
        self.load(Loaded::GoesOn)
    }

    /// As `reload`, of a log that was put back.
    pub(crate) fn put_back(&mut self) -> Step {
        self.load(Loaded::PutBack)
    }

    fn load(&mut self, how: Loaded) -> Step {
        // Member ids go on where they were, as random ones do not come again.
        self.next_uuid += 1_000;
        let shard = loaded_from(&self.config, &self.log, self.next_uuid);
        self.shard = shard.with_metadata(Arc::new(self.cluster.clone()));
        self.timers.clear();
        self.carry_out(Event::Loaded(how))
    }

    /// The shard hears of what `cluster` is now.
    pub(crate) fn metadata_changed(&mut self, token: u64, has_new_topics: bool) -> Step {
        self.cluster.version += 1;
        let meta = RequestMeta {
            api_version: 0,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
        };
        let change = MetadataChange {
            view: Arc::new(self.cluster.clone()),
            has_new_topics,
        };
        self.request(token, meta, GroupRequest::MetadataChanged(change))
    }

    pub(crate) fn request(&mut self, token: u64, meta: RequestMeta, request: GroupRequest) -> Step {
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

    fn first_timer(&self) -> Option<(GroupTimer, i64)> {
        let first = self.timers.iter().min_by_key(|(_, at)| **at)?;
        Some((first.0.clone(), *first.1))
    }

    fn carry_out(&mut self, event: Event<GroupShard>) -> Step {
        let mut step = Step::default();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let output = self.shard.handle(Timestamp(self.now), event);
            let Output {
                token,
                records,
                producer,
                replies,
                effects,
                commands,
            } = output;
            let producer = producer.map(|it| (it.producer_id, it.producer_epoch));
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
                let offset = self.log.len();
                self.log.push(Entry::Record(record.clone(), producer));
                self.shard.replay(meta_at(offset, producer), record);
            }
            step.producer = step.producer.or(producer);
            step.records.extend(records);
            step.replies.extend(replies);
            self.commanded.extend(commands.iter().cloned());
            step.commands.extend(commands);
        }
        self.check_replay();
        step
    }

    /// The transaction coordinator has a producer's transaction ended here.
    pub(crate) fn end_transaction(
        &mut self,
        producer: TransactionalProducer,
        result: TransactionResult,
    ) {
        let meta = meta_at(self.log.len(), Some(producer));
        self.log.push(Entry::Marker(producer, result));
        self.shard.replay_marker(meta, result);
        self.check_replay();
    }

    fn check_replay(&self) {
        let fresh = loaded_from(&self.config, &self.log, 0);
        let (live, fresh): (Vec<_>, Vec<_>) = (self.shard.rows().collect(), fresh.rows().collect());
        assert_eq!(
            live, fresh,
            "the log makes another hard state than the events did"
        );
    }
}

fn meta_at(offset: usize, producer: Option<TransactionalProducer>) -> RecordMeta {
    RecordMeta {
        offset: Offset(offset as i64),
        producer,
    }
}

/// A shard that has replayed the bytes of these records.
pub(crate) fn loaded_from(
    config: &GroupCoordinatorConfig,
    log: &[Entry],
    mut last_uuid: u128,
) -> GroupShard {
    let ids = move || {
        last_uuid += 1;
        Uuid::from_u128(last_uuid)
    };
    let mut shard = GroupShard::new(config.clone(), 0, ids);
    for (index, entry) in log.iter().enumerate() {
        match entry {
            Entry::Record(record, producer) => {
                shard.replay(meta_at(index, *producer), &read_back(record));
            }
            Entry::Marker(producer, result) => {
                shard.replay_marker(meta_at(index, Some(*producer)), *result);
            }
        }
    }
    shard
}

fn read_back(record: &GroupRecord) -> GroupRecord {
    let (key, value) = record
        .encode()
        .expect("the shard writes what can be written");
    let decoded = GroupRecord::decode(&key, value.as_ref());
    let Ok(Decoded::Record(decoded)) = decoded else {
        panic!("{record:?} reads back as {decoded:?}");
    };
    assert_eq!(&decoded, record);
    decoded
}
