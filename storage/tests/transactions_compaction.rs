//! Compaction leaves of each key what was committed last, and no transaction open.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use protocol::control::EndTransactionMarker;
use protocol::{BatchBuilder, Offset, ProducerEpoch, ProducerId, Timestamp};
use storage::{CleanupPolicy, Log, LogConfig, LogDir, LogDirOptions};
use support::memory_fs::MemoryFs;
use support::*;

const PRODUCERS: i64 = 3;
const DELETE_RETENTION: i64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Write {
        producer: Option<i64>,
        keys: Vec<u8>,
    },
    Tombstone {
        key: u8,
    },
    End {
        producer: i64,
        committed: bool,
    },
    Compact {
        later: i64,
    },
    Reopen {
        cleanly: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        8 => (prop::option::weighted(0.8, producer.clone()), prop::collection::vec(0..5u8, 1..3))
            .prop_map(|(producer, keys)| Step::Write { producer, keys }),
        1 => (0..5u8).prop_map(|key| Step::Tombstone { key }),
        5 => (producer, any::<bool>())
            .prop_map(|(producer, committed)| Step::End { producer, committed }),
        4 => (0..2 * DELETE_RETENTION).prop_map(|later| Step::Compact { later }),
        1 => any::<bool>().prop_map(|cleanly| Step::Reopen { cleanly }),
    ]
}

#[derive(Clone, Copy, Default)]
struct Known {
    epoch: i16,
    sequence: i32,
    open_since: Option<i64>,
}

/// Values of keys, and where they stand in the log; of two the later counts.
type State = BTreeMap<u8, (i64, Option<String>)>;

struct World {
    fs: MemoryFs,
    dir: LogDir,
    log: Arc<Log>,
    now: i64,
    producers: [Known; PRODUCERS as usize],
    committed: State,
    /// Of records without a transaction: they show once the ones before them are decided.
    pending: [Vec<(u8, i64, String)>; PRODUCERS as usize],
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 400,
        index_interval_bytes: 100,
        delete_retention_ms: DELETE_RETENTION,
        min_cleanable_dirty_ratio: 0.0,
        cleanup: CleanupPolicy {
            delete: false,
            compact: true,
        },
        producer_id_expiration_ms: i64::MAX,
        ..LogConfig::default()
    }
}

fn open(fs: &MemoryFs) -> (LogDir, Arc<Log>) {
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options).unwrap();
    let log = open_log(&dir, config());
    log.set_high_watermark(log.log_end_offset());
    (dir, log)
}

fn put(state: &mut State, key: u8, offset: i64, value: Option<String>) {
    let known = state.entry(key).or_insert((-1, None));
    if known.0 < offset {
        *known = (offset, value);
    }
}

fn values(state: &State) -> BTreeMap<u8, &str> {
    let live = state.iter();
    live.filter_map(|(key, (_, value))| Some((*key, value.as_deref()?)))
        .collect()
}

impl World {
    fn new() -> World {
        let fs = MemoryFs::default();
        let (dir, log) = open(&fs);
        World {
            fs,
            dir,
            log,
            now: NOW.0,
            producers: Default::default(),
            committed: State::new(),
            pending: Default::default(),
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Write { producer, keys } => self.write(*producer, keys),
            Step::Tombstone { key } => {
                let mut builder = BatchBuilder::new(Offset::ZERO);
                builder.push(Timestamp(self.now), Some(&[*key]), None, &[]);
                let info = append(&self.log, builder.build().bytes().clone()).unwrap();
                put(&mut self.committed, *key, info.base_offset.0, None);
            }
            Step::End {
                producer,
                committed,
            } => self.end(*producer, *committed),
            Step::Compact { later } => {
                self.now += later;
                self.log.seal_active().unwrap();
                let now = Timestamp(self.now);
                self.log.compact(now, 1 << 20, &mut |_| Ok(())).unwrap();
            }
            Step::Reopen { cleanly } => {
                if *cleanly {
                    self.dir.close().unwrap();
                }
                let fs = self.fs.after_kill();
                let (dir, log) = open(&fs);
                (self.fs, self.dir, self.log) = (fs, dir, log);
            }
        }
        self.log.set_high_watermark(self.log.log_end_offset());
        let open = self.producers.iter().filter_map(|known| known.open_since);
        let stable = open.min().unwrap_or(self.log.log_end_offset().0);
        assert_eq!(self.log.last_stable_offset().0, stable);
    }

    fn write(&mut self, id: Option<i64>, keys: &[u8]) {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        let known = id.map(|id| self.producers[id as usize]);
        let writer = id
            .zip(known)
            .map(|(id, known)| producer(id, known.epoch, known.sequence));
        if let Some(producer) = writer {
            builder = builder.producer(producer).transactional();
        }
        let end = self.log.log_end_offset().0;
        let value = |offset: i64| format!("value {offset}");
        for (key, offset) in keys.iter().zip(end..) {
            let value = value(offset);
            builder.push(
                Timestamp(self.now),
                Some(&[*key]),
                Some(value.as_bytes()),
                &[],
            );
        }
        let guard = writer.and_then(|it| self.log.begin_verification(it, true, NOW).unwrap());
        append_verified(&self.log, builder.build().bytes().clone(), guard).unwrap();
        for (key, offset) in keys.iter().zip(end..) {
            match id {
                Some(id) => self.pending[id as usize].push((*key, offset, value(offset))),
                None => put(&mut self.committed, *key, offset, Some(value(offset))),
            }
        }
        if let Some(id) = id {
            let known = &mut self.producers[id as usize];
            known.sequence += keys.len() as i32;
            known.open_since.get_or_insert(end);
        }
    }

    fn end(&mut self, id: i64, committed: bool) {
        let known = &mut self.producers[id as usize];
        *known = Known {
            epoch: known.epoch + 1,
            ..Known::default()
        };
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 0,
        };
        let producer = (ProducerId(id), ProducerEpoch(known.epoch));
        let now = Timestamp(self.now);
        let appended = self.log.append_marker(producer, marker, 2, EPOCH, now);
        appended.unwrap();
        for (key, offset, value) in std::mem::take(&mut self.pending[id as usize]) {
            if committed {
                put(&mut self.committed, key, offset, Some(value));
            }
        }
    }

    /// What a reader of committed records makes of the log.
    fn read(&self, max_bytes: usize) -> State {
        let (mut next, stable) = (self.log.log_start_offset(), self.log.last_stable_offset());
        let mut state = State::new();
        while next < stable {
            let slice = self.log.read(next, stable, max_bytes, true).unwrap();
            if slice.is_empty() {
                break;
            }
            let aborted = self.log.aborted_transactions(next, slice.next_offset);
            for batch in committed_in(&slice, &aborted) {
                for record in batch.records().unwrap() {
                    let record = record.unwrap();
                    let value = record
                        .value
                        .map(|it| String::from_utf8(it.to_vec()).unwrap());
                    put(&mut state, record.key.unwrap()[0], record.offset.0, value);
                }
            }
            next = slice.next_offset;
        }
        state
    }

    fn check(&mut self) {
        for id in 0..PRODUCERS {
            self.end(id, id % 2 == 0);
        }
        self.log.set_high_watermark(self.log.log_end_offset());
        for max_bytes in [1, 200, 1 << 20] {
            let found = self.read(max_bytes);
            assert_eq!(values(&found), values(&self.committed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn of_each_key_what_was_committed_last_stays(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.check();
        // Until nothing is left to clean.
        for _ in 0..4 {
            world.run(&Step::Compact { later: 2 * DELETE_RETENTION });
            world.run(&Step::Reopen { cleanly: false });
        }
        world.check();
    }
}
