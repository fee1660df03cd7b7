//! A log does what a vector does, whatever is done to it and in whatever order.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use protocol::{LeaderEpoch, Offset, Timestamp};
use storage::{AppendOrigin, Log, LogConfig, LogDir, LogDirOptions};
use support::memory_fs::MemoryFs;
use support::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        count: usize,
        size: usize,
        time: i64,
    },
    NewEpoch,
    Read {
        from: u8,
        max_bytes: usize,
    },
    Seek {
        time: i64,
    },
    DeleteRecords {
        part: u8,
    },
    Truncate {
        part: u8,
    },
    StartAt {
        distance: i64,
    },
    Sync,
    Checkpoint,
    Reopen {
        cleanly: bool,
        with_views: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1..4usize, 0..80usize, 0..200i64)
            .prop_map(|(count, size, time)| Step::Append { count, size, time }),
        1 => Just(Step::NewEpoch),
        6 => (any::<u8>(), 1..600usize)
            .prop_map(|(from, max_bytes)| Step::Read { from, max_bytes }),
        3 => (0..210i64).prop_map(|time| Step::Seek { time }),
        1 => any::<u8>().prop_map(|part| Step::DeleteRecords { part }),
        1 => any::<u8>().prop_map(|part| Step::Truncate { part }),
        1 => (0..5000i64).prop_map(|distance| Step::StartAt { distance }),
        1 => Just(Step::Sync),
        1 => Just(Step::Checkpoint),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(cleanly, with_views)| Step::Reopen { cleanly, with_views }),
    ]
}

/// One record as the model knows it.
#[derive(Clone, Debug)]
struct Entry {
    offset: i64,
    value: String,
    time: i64,
    epoch: i32,
    /// Offsets of the first and last record of its batch.
    batch: (i64, i64),
}

struct World {
    fs: MemoryFs,
    dir: LogDir,
    log: Arc<Log>,
    entries: Vec<Entry>,
    start: i64,
    end: i64,
    epoch: i32,
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
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options).unwrap();
    let log = dir
        .create_or_open(&partition(), topic_id(), config())
        .unwrap();
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
            entries: Vec::new(),
            start: 0,
            end: 0,
            epoch: 0,
        }
    }

    /// An offset between start and end.
    fn within(&self, part: u8) -> i64 {
        self.start + (self.end - self.start) * i64::from(part) / 255
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append { count, size, time } => self.append(count, size, time),
            Step::NewEpoch => self.epoch += 1,
            Step::Read { from, max_bytes } => self.read(self.within(from), max_bytes),
            Step::Seek { time } => self.seek(time),
            Step::DeleteRecords { part } => {
                self.start = self.within(part);
                self.log.advance_log_start(Offset(self.start)).unwrap();
            }
            Step::Truncate { part } => {
                let to = self.within(part);
                if to < self.end {
                    self.log.truncate_to(Offset(to)).unwrap();
                    // The batch that holds the offset goes whole.
                    let cut = self.entries.iter().find(|entry| entry.offset == to);
                    self.end = cut.map_or(to, |entry| entry.batch.0);
                    self.entries.retain(|entry| entry.offset < self.end);
                    self.start = self.start.min(self.end);
                }
            }
            Step::StartAt { distance } => {
                let to = self.end - 1000 + distance;
                if to >= 0 {
                    self.log.truncate_fully_and_start_at(Offset(to)).unwrap();
                    self.entries.clear();
                    (self.start, self.end) = (to, to);
                }
            }
            Step::Sync => self.log.sync_to(self.log.log_end_offset()).unwrap(),
            Step::Checkpoint => self.dir.checkpoint().unwrap(),
            Step::Reopen {
                cleanly,
                with_views,
            } => self.reopen(cleanly, with_views),
        }
        self.log.set_high_watermark(Offset(self.end));
        assert_eq!(self.log.log_start_offset().0, self.start);
        assert_eq!(self.log.log_end_offset().0, self.end);
    }

    fn append(&mut self, count: usize, size: usize, time: i64) {
        let values: Vec<String> = (0..count as i64)
            .map(|n| format!("{}{}", self.end + n, "x".repeat(size)))
            .collect();
        let times: Vec<Timestamp> = (0..count as i64).map(|n| Timestamp(time + n)).collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let records = batch_at(&times, &texts).bytes().clone();
        let epoch = LeaderEpoch(self.epoch);
        let info = self
            .log
            .append_as_leader(records, epoch, AppendOrigin::Client, NOW)
            .unwrap();
        assert_eq!(info.base_offset.0, self.end);
        let batch = (self.end, self.end + count as i64 - 1);
        for (value, time) in values.into_iter().zip(times) {
            let (offset, time) = (self.end, time.0);
            self.entries.push(Entry {
                offset,
                value,
                time,
                epoch: self.epoch,
                batch,
            });
            self.end += 1;
        }
    }

    fn read(&self, from: i64, max_bytes: usize) {
        let slice = self
            .log
            .read(Offset(from), Offset(self.end), max_bytes, true)
            .unwrap();
        let expected = self.entries.iter().find(|entry| entry.offset >= from);
        let Some(expected) = expected else {
            return assert!(slice.is_empty());
        };
        assert_eq!(slice.first_offset, Some(Offset(expected.batch.0)));
        let found = values_of(&slice);
        let whole = self
            .entries
            .iter()
            .filter(|entry| entry.batch.0 >= expected.batch.0);
        for (found, entry) in found.iter().zip(whole) {
            assert_eq!(*found, (entry.offset, entry.value.clone()));
        }
        assert!(slice.next_offset.0 > from);
        let size = slice.size_in_bytes();
        let batches = found
            .iter()
            .filter(|(offset, _)| self.entries.iter().any(|entry| entry.batch.0 == *offset));
        assert!(
            size <= max_bytes || batches.count() == 1,
            "{size} bytes of {max_bytes}"
        );
    }

    /// As upstream: in the first segment that may hold it, whose bounds the model does not know; so
    /// an answer must be right, and a log without deleted records must give one.
    fn seek(&self, time: i64) {
        let found = self
            .log
            .offset_for_timestamp(Timestamp(time), Offset(self.end))
            .unwrap();
        let live = || {
            self.entries
                .iter()
                .filter(|entry| entry.offset >= self.start)
        };
        let first = live().find(|entry| entry.time >= time);
        match (found, first) {
            (Some(found), Some(first)) => {
                assert_eq!(
                    (found.offset.0, found.timestamp.0),
                    (first.offset, first.time)
                );
                assert_eq!(found.leader_epoch, Some(LeaderEpoch(first.epoch)));
            }
            (None, Some(_)) => {
                assert!(
                    self.entries
                        .first()
                        .is_some_and(|entry| entry.offset < self.start)
                );
            }
            (None, None) => {}
            (Some(found), None) => panic!("found {found:?}"),
        }
    }

    fn reopen(&mut self, cleanly: bool, with_views: bool) {
        // The views are in memory: they are always lost; a checkpoint writes the small files.
        if with_views {
            self.dir.checkpoint().unwrap();
        }
        if cleanly {
            self.dir.close().unwrap();
        }
        let fs = self.fs.after_kill();
        let (dir, log) = open(&fs);
        assert_eq!(log.lost_range(), None);
        (self.fs, self.dir, self.log) = (fs, dir, log);
        let found = read_all(&self.log, 1 << 20);
        let live = self
            .entries
            .iter()
            .filter(|entry| entry.offset >= self.start);
        let expected: Vec<(i64, String)> = live
            .map(|entry| (entry.offset, entry.value.clone()))
            .collect();
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_log_does_what_a_vector_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
    }
}

/// What may become of a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip { at: u16, bits: u8 },
    Cut { at: u16 },
    Zeros { at: u16, count: u8 },
    Garbage { at: u16, bytes: Vec<u8> },
    Doubled { at: u16, count: u8 },
}

impl Damage {
    fn apply(&self, data: &mut Vec<u8>) {
        let size = data.len();
        let place = |at: u16| usize::from(at) * size / (usize::from(u16::MAX) + 1);
        match self {
            Damage::Flip { at, bits } => {
                if let Some(byte) = data.get_mut(place(*at)) {
                    *byte ^= bits;
                }
            }
            Damage::Cut { at } => data.truncate(place(*at)),
            Damage::Zeros { at, count } => {
                let zeros = data.iter_mut().skip(place(*at)).take(usize::from(*count));
                zeros.for_each(|byte| *byte = 0);
            }
            Damage::Garbage { at, bytes } => {
                let at = place(*at);
                data.splice(at..at, bytes.iter().copied());
            }
            Damage::Doubled { at, count } => {
                let at = place(*at);
                let end = (at + usize::from(*count)).min(size);
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<u16>(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        any::<u16>().prop_map(|at| Damage::Cut { at }),
        (any::<u16>(), any::<u8>()).prop_map(|(at, count)| Damage::Zeros { at, count }),
        (any::<u16>(), prop::collection::vec(any::<u8>(), 1..100))
            .prop_map(|(at, bytes)| Damage::Garbage { at, bytes }),
        (any::<u16>(), any::<u8>()).prop_map(|(at, count)| Damage::Doubled { at, count }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_file_holds_only_records_that_were_written_are_read(
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
        cleanly: bool,
    ) {
        let mut world = World::new();
        for number in 0..12 {
            world.append(2, number, 5);
            world.log.set_high_watermark(Offset(world.end));
        }
        world.log.advance_log_start(Offset(3)).unwrap();
        if cleanly {
            world.dir.close().unwrap();
        } else {
            world.dir.checkpoint().unwrap();
        }
        let fs = world.fs.after_kill();
        let files = fs.files();
        for (which, damage) in &damages {
            fs.damage(which.get(files.as_slice()).as_path(), |data| damage.apply(data));
        }
        let options = LogDirOptions {
            fs: Arc::new(fs),
            kv_in_memory: true,
            ..LogDirOptions::new(1)
        };
        // Only the identity and the log itself may be beyond help.
        let Ok(dir) = LogDir::open("/logs", options) else { return Ok(()) };
        let Ok(log) = dir.create_or_open(&partition(), topic_id(), config()) else {
            return Ok(());
        };
        let (mut next, end) = (log.log_start_offset(), log.log_end_offset());
        while next < end {
            let Ok(slice) = log.read(next, end, 500, true) else { break };
            for (_, value) in values_of(&slice) {
                prop_assert!(world.entries.iter().any(|entry| entry.value == value));
            }
            if slice.is_empty() {
                break;
            }
            prop_assert!(slice.next_offset > next);
            next = slice.next_offset;
        }
        let _ = log.offset_for_timestamp(Timestamp(6), end);
        let _ = log.max_timestamp(end);
        let appended = append(&log, batch(&["next"]));
        prop_assert!(appended.is_ok(), "{:?}", appended.err());
        let _ = log.truncate_to(Offset(end.0 / 2));
        let _ = dir.close();
    }
}
