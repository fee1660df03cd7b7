//! Readers of committed records see exactly what was committed, whatever happens to the log.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use protocol::control::EndTransactionMarker;
use protocol::{ErrorCode, Offset, ProducerId};
use storage::{Log, LogConfig, LogDir, LogDirOptions};
use support::memory_fs::MemoryFs;
use support::*;

const PRODUCERS: i64 = 3;

#[derive(Clone, Debug)]
enum Step {
    Plain {
        count: usize,
    },
    Data {
        producer: i64,
        count: usize,
    },
    /// The last batch of a producer comes again.
    Again {
        producer: i64,
    },
    OutOfOrder {
        producer: i64,
    },
    End {
        producer: i64,
        committed: bool,
        version: i16,
    },
    /// The transaction ends between the coordinator's word and the append.
    Overtaken {
        producer: i64,
        committed: bool,
    },
    DeleteRecords {
        part: u8,
    },
    Truncate {
        part: u8,
    },
    Checkpoint,
    Reopen {
        cleanly: bool,
    },
    Read {
        from: u8,
        max_bytes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        4 => (1..3usize).prop_map(|count| Step::Plain { count }),
        12 => (producer.clone(), 1..4usize)
            .prop_map(|(producer, count)| Step::Data { producer, count }),
        1 => producer.clone().prop_map(|producer| Step::Again { producer }),
        1 => producer.clone().prop_map(|producer| Step::OutOfOrder { producer }),
        6 => (producer.clone(), any::<bool>(), 1..3i16).prop_map(
            |(producer, committed, version)| Step::End { producer, committed, version }
        ),
        1 => (producer, any::<bool>())
            .prop_map(|(producer, committed)| Step::Overtaken { producer, committed }),
        1 => any::<u8>().prop_map(|part| Step::DeleteRecords { part }),
        1 => (128..=255u8).prop_map(|part| Step::Truncate { part }),
        1 => Just(Step::Checkpoint),
        2 => any::<bool>().prop_map(|cleanly| Step::Reopen { cleanly }),
        3 => (any::<u8>(), 1..900usize)
            .prop_map(|(from, max_bytes)| Step::Read { from, max_bytes }),
    ]
}

/// A batch of the log.
#[derive(Clone, Debug)]
enum Event {
    Data {
        /// With epoch and base sequence.
        producer: Option<(i64, i16, i32)>,
        values: Vec<String>,
    },
    Marker {
        producer: (i64, i16),
        committed: bool,
    },
}

impl Event {
    fn count(&self) -> i64 {
        match self {
            Event::Data { values, .. } => values.len() as i64,
            Event::Marker { .. } => 1,
        }
    }
}

/// What the batches so far say of a producer.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    epoch: i16,
    next_sequence: i32,
    last: Option<(i64, i32, i32)>,
    open_since: Option<i64>,
}

struct World {
    fs: MemoryFs,
    dir: LogDir,
    log: Arc<Log>,
    /// By first offset.
    events: BTreeMap<i64, Event>,
    start: i64,
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 700,
        index_interval_bytes: 120,
        ..LogConfig::default()
    }
}

fn open(fs: &MemoryFs) -> (LogDir, Arc<Log>) {
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        // The views are lost at each start.
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options).unwrap();
    let log = open_log(&dir, config());
    (dir, log)
}

impl World {
    fn new() -> World {
        let fs = MemoryFs::default();
        let (dir, log) = open(&fs);
        World {
            fs,
            dir,
            log,
            events: BTreeMap::new(),
            start: 0,
        }
    }

    fn end(&self) -> i64 {
        let last = self.events.last_key_value();
        last.map_or(self.start, |(offset, event)| offset + event.count())
    }

    fn known(&self, id: i64) -> Known {
        let mut known = Known::default();
        for (offset, event) in &self.events {
            match event {
                Event::Data {
                    producer: Some((of, epoch, sequence)),
                    values,
                } if *of == id => {
                    known.epoch = *epoch;
                    let count = values.len() as i32;
                    known.next_sequence = sequence + count;
                    known.last = Some((*offset, *sequence, count));
                    known.open_since.get_or_insert(*offset);
                }
                Event::Marker {
                    producer: (of, epoch),
                    ..
                } if *of == id => {
                    if known.epoch != *epoch {
                        known = Known {
                            epoch: *epoch,
                            ..Known::default()
                        };
                    }
                    known.open_since = None;
                }
                Event::Data { .. } | Event::Marker { .. } => {}
            }
        }
        known
    }

    /// Nothing at or above it is decided.
    fn stable(&self) -> i64 {
        let open = (0..PRODUCERS).filter_map(|id| self.known(id).open_since);
        let open = open.min().unwrap_or(i64::MAX);
        open.max(self.start).min(self.end())
    }

    /// Records below the stable offset, but for those of aborted transactions.
    fn committed(&self, from: i64) -> Vec<(i64, String)> {
        let stable = self.stable();
        let mut found = Vec::new();
        for (first, event) in &self.events {
            let Event::Data { producer, values } = event else {
                continue;
            };
            let ended = self
                .events
                .range(first..)
                .find_map(|(_, later)| match later {
                    Event::Marker {
                        producer: (of, _),
                        committed,
                    } => producer
                        .is_some_and(|(id, _, _)| id == *of)
                        .then_some(*committed),
                    Event::Data { .. } => None,
                });
            if producer.is_some() && ended == Some(false) {
                continue;
            }
            for (offset, value) in (*first..).zip(values) {
                if offset >= from && offset >= self.start && offset < stable {
                    found.push((offset, value.clone()));
                }
            }
        }
        found
    }

    fn within(&self, part: u8) -> i64 {
        self.start + (self.end() - self.start) * i64::from(part) / 255
    }

    fn values(&self, count: usize) -> Vec<String> {
        let end = self.end();
        (0..count as i64)
            .map(|number| format!("value {}", end + number))
            .collect()
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Plain { count } => {
                let values = self.values(count);
                let texts: Vec<_> = values.iter().map(String::as_str).collect();
                append(&self.log, batch(&texts)).unwrap();
                self.note(Event::Data {
                    producer: None,
                    values,
                });
            }
            Step::Data { producer, count } => self.write(producer, count),
            Step::Again { producer } => self.write_again(producer),
            Step::OutOfOrder { producer } => self.write_out_of_order(producer),
            Step::End {
                producer,
                committed,
                version,
            } => {
                let marker = self.end_transaction(producer, committed, version);
                self.note(marker);
            }
            Step::Overtaken {
                producer,
                committed,
            } => self.write_too_late(producer, committed),
            Step::DeleteRecords { part } => {
                self.start = self.within(part);
                self.log.advance_log_start(Offset(self.start)).unwrap();
            }
            Step::Truncate { part } => self.truncate(self.within(part)),
            Step::Checkpoint => self.dir.checkpoint().unwrap(),
            Step::Reopen { cleanly } => self.reopen(cleanly),
            Step::Read { from, max_bytes } => self.read(self.within(from), max_bytes),
        }
        self.check();
    }

    fn note(&mut self, event: Event) {
        let end = self.end();
        self.events.insert(end, event);
    }

    fn check(&self) {
        let end = Offset(self.end());
        assert_eq!(self.log.log_end_offset(), end);
        self.log.set_high_watermark(end);
        assert_eq!(self.log.last_stable_offset().0, self.stable());
        for producer in self.log.active_producers() {
            let known = self.known(producer.producer_id.0);
            assert_eq!(producer.producer_epoch.0, known.epoch);
            assert_eq!(
                producer.current_transaction_start.map(|it| it.0),
                known.open_since
            );
            assert_eq!(
                producer.last_sequence.map_or(0, |last| last + 1),
                known.next_sequence
            );
        }
    }

    fn write(&mut self, id: i64, count: usize) {
        let known = self.known(id);
        let values = self.values(count);
        let (epoch, sequence) = (known.epoch, known.next_sequence);
        let records = transactional(id, epoch, sequence, &values);
        let producer = producer(id, epoch, sequence);
        let guard = self.log.begin_verification(producer, true, NOW).unwrap();
        assert_eq!(guard.is_none(), known.open_since.is_some());
        if known.open_since.is_none() {
            let unverified = append(&self.log, records.clone()).unwrap_err();
            assert_eq!(ErrorCode::from(&unverified), ErrorCode::InvalidTxnState);
        }
        append_verified(&self.log, records, guard).unwrap();
        self.note(Event::Data {
            producer: Some((id, epoch, sequence)),
            values,
        });
    }

    fn write_again(&mut self, id: i64) {
        let known = self.known(id);
        let Some((offset, sequence, count)) = known.last else {
            return;
        };
        let values = vec![String::from("again"); count as usize];
        let records = transactional(id, known.epoch, sequence, &values);
        let again = append(&self.log, records).unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset.0, offset);
    }

    fn write_out_of_order(&mut self, id: i64) {
        let known = self.known(id);
        let sequence = known.next_sequence + 1;
        let values = [String::from("too early")];
        let records = transactional(id, known.epoch, sequence, &values);
        let guard = self
            .log
            .begin_verification(producer(id, known.epoch, sequence), true, NOW)
            .unwrap();
        let refused = append_verified(&self.log, records, guard).unwrap_err();
        assert_eq!(
            ErrorCode::from(&refused),
            ErrorCode::OutOfOrderSequenceNumber
        );
    }

    fn write_too_late(&mut self, id: i64, committed: bool) {
        let known = self.known(id);
        let values = self.values(1);
        let records = transactional(id, known.epoch, known.next_sequence, &values);
        let producer = producer(id, known.epoch, known.next_sequence);
        let guard = self.log.begin_verification(producer, false, NOW).unwrap();
        let marker = self.end_transaction(id, committed, 1);
        self.note(marker);
        let refused = append_verified(&self.log, records, guard).unwrap_err();
        assert_eq!(ErrorCode::from(&refused), ErrorCode::InvalidTxnState);
    }

    fn end_transaction(&self, id: i64, committed: bool, version: i16) -> Event {
        let known = self.known(id);
        let epoch = known.epoch + i16::from(version >= 2);
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 0,
        };
        let producer = (ProducerId(id), protocol::ProducerEpoch(epoch));
        let appended = self
            .log
            .append_marker(producer, marker, version, EPOCH, NOW);
        assert_eq!(appended.unwrap().base_offset.0, self.end());
        Event::Marker {
            producer: (id, epoch),
            committed,
        }
    }

    fn truncate(&mut self, to: i64) {
        if to >= self.end() {
            return;
        }
        self.log.truncate_to(Offset(to)).unwrap();
        let holder = self.events.range(..=to).next_back();
        let cut = holder.map_or(to, |(first, event)| {
            if first + event.count() > to {
                *first
            } else {
                to
            }
        });
        self.events.split_off(&cut);
        self.start = self.start.min(cut);
    }

    fn reopen(&mut self, cleanly: bool) {
        if cleanly {
            self.dir.close().unwrap();
        }
        let fs = self.fs.after_kill();
        let (dir, log) = open(&fs);
        (self.fs, self.dir, self.log) = (fs, dir, log);
        self.check_all();
    }

    fn check_all(&self) {
        self.log.set_high_watermark(Offset(self.end()));
        for max_bytes in [1, 300, 1 << 20] {
            self.read(self.start, max_bytes);
        }
    }

    /// Reads on from an offset as a consumer does that wants committed records.
    fn read(&self, from: i64, max_bytes: usize) {
        let stable = self.log.last_stable_offset();
        let mut next = Offset(from);
        let mut found = Vec::new();
        while next < stable {
            let slice = self.log.read(next, stable, max_bytes, true).unwrap();
            if slice.is_empty() {
                break;
            }
            let aborted = self.log.aborted_transactions(next, slice.next_offset);
            let fetched = committed_in(&slice, &aborted);
            let fetched = fetched.iter().flat_map(values_in);
            found.extend(fetched.filter(|(offset, _)| *offset >= next.0));
            next = slice.next_offset;
        }
        assert_eq!(found, self.committed(from));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn readers_of_committed_records_see_exactly_those(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.check_all();
    }
}
