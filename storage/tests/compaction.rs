//! Compaction: what stays, what goes, and that no crash brings anything back or takes anything away.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use protocol::control::EndTransactionMarker;
use protocol::{
    BatchBuilder, Compression, Offset, Producer, ProducerEpoch, ProducerId, RecordBatch, Timestamp,
};
use storage::{
    AppendOrigin, CleanupPolicy, Compacted, Error, Log, LogConfig, LogDir, LogDirOptions,
};
use support::memory_fs::{Fault, MemoryFs, Unsynced};
use support::*;

/// Room for all keys of a test.
const PLENTY: usize = 1 << 20;
const DELETE_RETENTION: i64 = 1000;

/// A record as it was appended, or as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    offset: i64,
    time: i64,
    key: String,
    /// `None` is a tombstone.
    value: Option<String>,
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 700,
        index_interval_bytes: 100,
        delete_retention_ms: DELETE_RETENTION,
        min_cleanable_dirty_ratio: 0.0,
        cleanup: CleanupPolicy {
            delete: false,
            compact: true,
        },
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
    log.set_high_watermark(log.log_end_offset());
    (dir, log)
}

fn keyed(compression: Compression, entries: &[(i64, &str, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new(Offset::ZERO).compression(compression);
    for (time, key, value) in entries {
        let value = value.map(str::as_bytes);
        builder.push(Timestamp(*time), Some(key.as_bytes()), value, &[]);
    }
    builder.build().bytes().clone()
}

fn put(log: &Log, records: Bytes) -> Offset {
    let info = log
        .append_as_leader(records, EPOCH, AppendOrigin::Client, NOW)
        .unwrap();
    log.set_high_watermark(log.log_end_offset());
    info.base_offset
}

fn put_one(log: &Log, key: &str, value: Option<&str>) -> Offset {
    put(log, keyed(Compression::None, &[(NOW.0, key, value)]))
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a reader of the whole log sees, from an offset on.
fn entries_from(log: &Log, from: Offset, max_bytes: usize) -> Vec<Entry> {
    let (mut next, end) = (from.max(log.log_start_offset()), log.log_end_offset());
    let from = next;
    let mut entries: Vec<Entry> = Vec::new();
    while next < end {
        let slice = log.read(next, end, max_bytes, true).unwrap();
        if slice.is_empty() {
            break;
        }
        let mut bytes = slice.read().unwrap();
        // As a client goes on: behind the last batch that it got.
        while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
            batch.verify_crc().unwrap();
            assert!(batch.header().next_offset() > next, "batches come in order");
            next = batch.header().next_offset();
            for record in batch.records().unwrap() {
                let record = record.unwrap();
                entries.push(Entry {
                    offset: record.offset.0,
                    time: record.timestamp.0,
                    key: text(&record.key.unwrap()),
                    value: record.value.as_ref().map(text),
                });
            }
        }
    }
    entries.retain(|entry| entry.offset >= from.0);
    assert!(entries.is_sorted_by(|one, next| one.offset < next.offset));
    entries
}

fn entries(log: &Log) -> Vec<Entry> {
    entries_from(log, Offset::ZERO, 1 << 20)
}

/// The value of each key that has one.
fn state(entries: &[Entry]) -> BTreeMap<&str, &str> {
    let mut state = BTreeMap::new();
    for entry in entries {
        match &entry.value {
            Some(value) => state.insert(entry.key.as_str(), value.as_str()),
            None => state.remove(entry.key.as_str()),
        };
    }
    state
}

fn compact(log: &Log, now: i64) -> Result<Compacted, Error> {
    log.compact(Timestamp(now), PLENTY, &mut |_| Ok(()))
}

/// Seals what is there, so that it can be compacted.
fn seal(log: &Log) {
    assert!(log.seal_active().unwrap());
}

#[test]
fn of_each_key_the_last_record_stays_at_its_offset() {
    let fs = MemoryFs::default();
    let (_dir, log) = open(&fs);
    for round in 0..20 {
        for key in ["a", "b", "c"] {
            put_one(&log, key, Some(&format!("{key}{round}")));
        }
    }
    seal(&log);
    put_one(&log, "a", Some("active"));
    let done = compact(&log, NOW.0).unwrap();
    assert!(done.bytes_after < done.bytes_before, "{done:?}");
    assert_eq!(log.compacted_up_to(), Offset(60));
    let left = entries(&log);
    let offsets: Vec<i64> = left.iter().map(|entry| entry.offset).collect();
    // The active segment is not looked into: `a` is there twice.
    assert_eq!(offsets, [57, 58, 59, 60]);
    assert_eq!(
        (log.log_start_offset(), log.log_end_offset()),
        (Offset(0), Offset(61))
    );
    // Whoever stands in a hole goes on behind it.
    for from in 0..58 {
        assert_eq!(entries_from(&log, Offset(from), 1), left, "from {from}");
    }
    // Segments that became small are one, the next time.
    compact(&log, NOW.0).unwrap();
    assert_eq!(entries(&log), left);
    let logs = fs.files().into_iter();
    let logs = logs.filter(|path| path.extension().is_some_and(|it| it == "log"));
    assert_eq!(logs.count(), 2);
}

#[test]
fn a_tombstone_stays_until_readers_had_the_time_to_see_it() {
    let fs = MemoryFs::default();
    let (dir, log) = open(&fs);
    put_one(&log, "a", Some("value"));
    put_one(&log, "b", Some("value"));
    put_one(&log, "a", None);
    seal(&log);
    compact(&log, NOW.0).unwrap();
    let keys = |log: &Log| -> Vec<(String, bool)> {
        let all = entries(log).into_iter();
        all.map(|it| (it.key, it.value.is_some())).collect()
    };
    let with_tombstone = [("b".to_owned(), true), ("a".to_owned(), false)];
    assert_eq!(keys(&log), with_tombstone);
    assert_eq!(log.tombstones_gone_below().unwrap(), Offset(0));
    // The time is counted from the first compaction, and outlives a start.
    dir.close().unwrap();
    drop((dir, log));
    let (_dir, log) = open(&fs.after_kill());
    compact(&log, NOW.0 + DELETE_RETENTION - 1).unwrap();
    assert_eq!(keys(&log), with_tombstone);
    assert_eq!(entries(&log)[1].time, NOW.0, "timestamps do not move");
    compact(&log, NOW.0 + DELETE_RETENTION).unwrap();
    assert_eq!(keys(&log), [("b".to_owned(), true)]);
    assert_eq!(log.tombstones_gone_below().unwrap(), Offset(3));
}

#[test]
fn a_producer_goes_on_where_it_was_after_all_its_records_are_gone() {
    let fs = MemoryFs::default();
    let (dir, log) = open(&fs);
    let of_producer = |sequence: i32| {
        let producer = Producer {
            id: ProducerId(7),
            epoch: ProducerEpoch(0),
            base_sequence: sequence,
        };
        let mut builder = BatchBuilder::new(Offset::ZERO).producer(producer);
        builder.push(NOW, Some(b"k"), Some(b"v"), &[]);
        builder.push(NOW, Some(b"k"), Some(b"w"), &[]);
        builder.build().bytes().clone()
    };
    put(&log, of_producer(0));
    put(&log, of_producer(2));
    put_one(&log, "k", Some("of another"));
    seal(&log);
    compact(&log, NOW.0).unwrap();
    assert_eq!(entries(&log).len(), 1);
    drop((dir, log));
    // Nothing tells of the producer but its last batch, which is empty.
    let fs = fs.after_kill();
    for path in fs.files() {
        if path.extension().is_some_and(|it| it == "snapshot") {
            fs.damage(&path, Vec::clear);
        }
    }
    let (_dir, log) = open(&fs);
    let again = log
        .append_as_leader(of_producer(2), EPOCH, AppendOrigin::Client, NOW)
        .unwrap();
    assert!(again.duplicate);
    assert_eq!(again.base_offset, Offset(2));
    assert_eq!(put(&log, of_producer(4)), Offset(5));
}

/// A record in a transaction of its own, of a producer whose epoch grows with each.
fn transact(log: &Log, id: i64, epoch: i16, key: &str, committed: bool) {
    let producer = Producer {
        id: ProducerId(id),
        epoch: ProducerEpoch(epoch),
        base_sequence: 0,
    };
    let mut builder = BatchBuilder::new(Offset::ZERO)
        .producer(producer)
        .transactional();
    let value = format!("{id}.{epoch}");
    builder.push(NOW, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    let records = builder.build().bytes().clone();
    let guard = log.begin_verification(producer, true, NOW).unwrap();
    log.append_verified(records, EPOCH, AppendOrigin::Client, NOW, guard)
        .unwrap();
    let marker = EndTransactionMarker {
        committed,
        coordinator_epoch: 0,
    };
    let ended_by = (producer.id, ProducerEpoch(epoch + 1));
    log.append_marker(ended_by, marker, 2, EPOCH, NOW).unwrap();
    log.set_high_watermark(log.log_end_offset());
}

/// Where batches of data stand, and where those of markers.
fn batches(log: &Log) -> (Vec<i64>, Vec<i64>) {
    let (mut data, mut markers) = (Vec::new(), Vec::new());
    let (mut next, end) = (log.log_start_offset(), log.log_end_offset());
    while next < end {
        let mut bytes = log.read(next, end, 1 << 20, true).unwrap().read().unwrap();
        while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
            next = batch.header().next_offset();
            let is_control = batch.header().attributes.is_control();
            let of_its_kind = if is_control { &mut markers } else { &mut data };
            of_its_kind.push(batch.header().base_offset.0);
        }
    }
    (data, markers)
}

#[test]
fn a_marker_goes_when_nothing_is_left_of_its_transaction_and_readers_had_the_time() {
    let fs = MemoryFs::default();
    let (_dir, log) = open(&fs);
    let later = NOW.0 + DELETE_RETENTION;
    transact(&log, 7, 0, "aborted", false); // 0, 1
    transact(&log, 7, 1, "b", true); // 2, 3
    transact(&log, 7, 2, "c", true); // 4, 5
    put_one(&log, "b", Some("later")); // 6
    transact(&log, 8, 0, "c", false); // 7, 8
    seal(&log);
    let whole = log.log_end_offset();
    let aborted = |log: &Log| {
        let all = log.aborted_transactions(Offset::ZERO, whole);
        all.iter().map(|it| it.last_offset.0).collect::<Vec<_>>()
    };
    assert_eq!(aborted(&log), [1, 8]);
    // What was aborted goes at once, and what is superseded by a committed record.
    compact(&log, NOW.0).unwrap();
    assert_eq!(batches(&log), (vec![4, 6], vec![1, 3, 5, 8]));
    // The markers end nothing any more; the time that readers have begins now.
    compact(&log, NOW.0).unwrap();
    compact(&log, later - 1).unwrap();
    assert_eq!(batches(&log), (vec![4, 6], vec![1, 3, 5, 8]));
    assert_eq!(aborted(&log), [1, 8]);
    compact(&log, later).unwrap();
    // The last marker of producer 8 is all that tells of its epoch.
    assert_eq!(batches(&log), (vec![4, 6], vec![5, 8]));
    assert_eq!(aborted(&log), [8]);
    assert_eq!(log.last_stable_offset(), whole);
    let (_dir, log) = open(&fs.after_kill());
    assert_eq!(batches(&log), (vec![4, 6], vec![5, 8]));
    assert_eq!(aborted(&log), [8]);
    assert_eq!(log.last_stable_offset(), whole);
    let of_8 = |log: &Log| {
        let all = log.active_producers();
        all.into_iter().find(|it| it.producer_id.0 == 8).unwrap()
    };
    assert_eq!(of_8(&log).producer_epoch, ProducerEpoch(1));
}

#[test]
fn a_search_by_time_goes_on_behind_a_segment_of_which_nothing_is_left() {
    let fs = MemoryFs::default();
    let (_dir, log) = open(&fs);
    put_one(&log, "a", Some("1"));
    seal(&log);
    put_one(&log, "a", Some("2"));
    seal(&log);
    put_one(&log, "b", Some("3"));
    let config = LogConfig {
        // One segment of what is sealed: nothing of the first is left.
        segment_bytes: 100,
        ..config()
    };
    log.update_config(config);
    compact(&log, NOW.0).unwrap();
    let end = log.log_end_offset();
    let found = log.offset_for_timestamp(NOW, end).unwrap().unwrap();
    assert_eq!(found.offset, Offset(1));
}

#[test]
fn what_is_younger_than_the_lag_is_left_alone() {
    let fs = MemoryFs::default();
    let (_dir, log) = open(&fs);
    let at = |time: i64| put(&log, keyed(Compression::None, &[(time, "k", Some("v"))]));
    at(NOW.0);
    at(NOW.0 + 1);
    seal(&log);
    at(NOW.0 + 1000);
    at(NOW.0 + 1001);
    seal(&log);
    log.update_config(LogConfig {
        min_compaction_lag_ms: 500,
        min_cleanable_dirty_ratio: 0.5,
        ..config()
    });
    let due = |now: i64| log.cleanable(Timestamp(now)).unwrap().unwrap().is_due;
    assert!(!due(NOW.0 + 500));
    assert!(due(NOW.0 + 501));
    compact(&log, NOW.0 + 501).unwrap();
    let offsets = |log: &Log| -> Vec<i64> { entries(log).iter().map(|it| it.offset).collect() };
    assert_eq!(offsets(&log), [1, 2, 3]);
    log.update_config(LogConfig {
        min_cleanable_dirty_ratio: 1.0,
        max_compaction_lag_ms: 5000,
        ..config()
    });
    assert!(!due(NOW.0 + 6000));
    assert!(
        due(NOW.0 + 6001),
        "what waits too long is due, whatever its part"
    );
    compact(&log, NOW.0 + 6001).unwrap();
    assert_eq!(offsets(&log), [3]);
    assert!(!due(i64::MAX), "there is nothing left to do");
}

#[test]
fn a_log_that_is_deleted_meanwhile_is_closed_and_not_damaged() {
    for after in 0..20 {
        let fs = MemoryFs::default();
        work(&fs);
        let (dir, log) = open(&fs);
        let mut calls = 0;
        let result = log.compact(NOW, PLENTY, &mut |_: usize| {
            if calls == after {
                dir.delete(&log).unwrap();
            }
            calls += 1;
            Ok(())
        });
        assert!(calls > after, "only {calls} calls");
        assert!(matches!(result, Err(Error::Closed { .. })), "{result:?}");
    }
}

#[test]
fn a_damaged_segment_stops_the_compaction_and_is_left_as_it_is() {
    let fs = MemoryFs::default();
    let before = work(&fs);
    let (_dir, log) = open(&fs);
    let first = fs
        .files()
        .into_iter()
        .find(|path| path.ends_with("00000000000000000000.log"));
    fs.damage(&first.unwrap(), |data| data[70] ^= 1);
    for _ in 0..2 {
        let result = compact(&log, NOW.0);
        assert!(
            matches!(result, Err(Error::Unreadable { .. })),
            "{result:?}"
        );
    }
    assert_eq!(log.compacted_up_to(), Offset(0));
    let behind: Vec<Entry> = before.into_iter().filter(|it| it.offset >= 12).collect();
    assert_eq!(entries_from(&log, Offset(12), 1 << 20), behind);
}

/// Work of a little log that is then compacted; says what was in it.
fn work(fs: &MemoryFs) -> Vec<Entry> {
    let (_dir, log) = open(fs);
    for round in 0..12 {
        let value = format!("{round}");
        let (a, b) = (format!("a{}", round % 3), format!("b{}", round % 5));
        let b_value = (round % 4 != 0).then_some(value.as_str());
        put(
            &log,
            keyed(
                Compression::None,
                &[(NOW.0, &a, Some(&value)), (NOW.0, &b, b_value)],
            ),
        );
    }
    seal(&log);
    log.sync_to(log.log_end_offset()).unwrap();
    entries(&log)
}

/// What may be found, whenever a compaction was interrupted.
fn check_after(before: &[Entry], fs: &MemoryFs, what: &str) {
    let (_dir, log) = open(fs);
    assert_eq!(log.lost_range(), None, "{what}");
    assert_eq!(log.log_end_offset(), Offset(24), "{what}");
    let after = entries(&log);
    assert_eq!(state(&after), state(before), "{what}");
    assert!(after.iter().all(|entry| before.contains(entry)), "{what}");
    // And it can be done again.
    compact(&log, NOW.0 + 10 * DELETE_RETENTION).unwrap();
    compact(&log, NOW.0 + 20 * DELETE_RETENTION).unwrap();
    let done = entries(&log);
    assert_eq!(state(&done), state(before), "{what}");
    assert!(
        done.iter().all(|entry| entry.value.is_some()),
        "{what}: no tombstone is left"
    );
    let keys: BTreeSet<&str> = done.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys.len(), done.len(), "{what}: no key is twice");
    let strange = fs.files().into_iter().filter(|path| {
        let name = path.to_string_lossy().into_owned();
        [".cleaned", ".swap"].iter().any(|end| name.ends_with(end))
    });
    assert_eq!(strange.count(), 0, "{what}");
}

#[test]
fn a_crash_at_any_step_leaves_the_log_before_or_after() {
    for fault in [Fault::Killed, Fault::Io, Fault::NoSpace] {
        let mut number = 0;
        loop {
            number += 1;
            let fs = MemoryFs::default();
            let before = work(&fs);
            let (dir, log) = open(&fs);
            fs.fail_call(number, fault);
            let result = compact(&log, NOW.0);
            let failed = fs.failed();
            let what = format!("call {number} {failed:?} fails by {fault:?}: {result:?}");
            if fault != Fault::Killed && result.is_err() && failed != ["rename"] {
                // The process goes on: with the old segments or the new.
                assert_eq!(state(&entries(&log)), state(&before), "{what}");
            }
            check_after(&before, &fs.after_kill(), &format!("{what}, killed"));
            for unsynced in [Unsynced::Lost, Unsynced::Half, Unsynced::Kept] {
                let what = format!("{what}, crashed, unsynced bytes {unsynced:?}");
                check_after(&before, &fs.after_crash(unsynced), &what);
            }
            drop((dir, log));
            if failed.is_empty() {
                assert!(result.is_ok(), "{what}");
                break;
            }
        }
        assert!(number > 20, "only {number} calls");
    }
}

#[test]
fn readers_and_writers_go_on_while_segments_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, config());
    let written: Vec<AtomicI64> = (0..5).map(|_| AtomicI64::new(-1)).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..4000_i64 {
                let key = usize::try_from(number % 5).unwrap();
                put_one(&log, &format!("{key}"), Some(&format!("{number}")));
                written[key].store(number, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                compact(&log, NOW.0).unwrap();
                log.apply_retention(NOW).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut passes = 0;
                while !done.load(Ordering::Acquire) || passes < 3 {
                    let known: Vec<i64> = written
                        .iter()
                        .map(|it| it.load(Ordering::Acquire))
                        .collect();
                    let all = entries_from(&log, Offset::ZERO, 300);
                    let found = state(&all);
                    for (key, least) in known.iter().enumerate() {
                        let value = found.get(format!("{key}").as_str());
                        let value = value.map_or(-1, |value| value.parse::<i64>().unwrap());
                        assert!(
                            value >= *least,
                            "key {key}: {value}, and {least} was written"
                        );
                    }
                    passes += 1;
                }
            });
        }
    });
    seal(&log);
    compact(&log, NOW.0).unwrap();
    assert_eq!(entries(&log).len(), 5);
    dir.close().unwrap();
    drop((log, dir));
    let dir = open_dir(folder.path());
    assert_eq!(entries(&open_log(&dir, config())).len(), 5);
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        records: Vec<(u8, bool)>,
        compression: Compression,
        time: i64,
    },
    Seal,
    Compact {
        map_bytes: usize,
    },
    Wait(i64),
    DeleteRecords {
        part: u8,
    },
    Seek {
        time: i64,
    },
    Reopen {
        cleanly: bool,
    },
}

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![
        4 => Just(Compression::None),
        1 => Just(Compression::Gzip),
        1 => Just(Compression::Snappy),
        1 => Just(Compression::Lz4),
        1 => Just(Compression::Zstd),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..8u8, prop::bool::weighted(0.2));
    prop_oneof![
        12 => (prop::collection::vec(record, 1..5), compressions(), 0..200i64)
            .prop_map(|(records, compression, time)| Step::Append { records, compression, time }),
        2 => Just(Step::Seal),
        4 => prop_oneof![Just(PLENTY), 64..400usize]
            .prop_map(|map_bytes| Step::Compact { map_bytes }),
        2 => (0..DELETE_RETENTION * 2).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(|part| Step::DeleteRecords { part }),
        2 => (0..220i64).prop_map(|time| Step::Seek { time }),
        2 => any::<bool>().prop_map(|cleanly| Step::Reopen { cleanly }),
    ]
}

/// A log, and all that was ever appended to it.
struct World {
    fs: MemoryFs,
    dir: LogDir,
    log: Arc<Log>,
    appended: Vec<Entry>,
    now: i64,
    start: i64,
    /// Up to where it was ever compacted; after a crash the log may know less.
    compacted: i64,
}

impl World {
    fn new() -> World {
        let fs = MemoryFs::default();
        let (dir, log) = open(&fs);
        World {
            fs,
            dir,
            log,
            appended: Vec::new(),
            now: NOW.0,
            start: 0,
            compacted: 0,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append {
                records,
                compression,
                time,
            } => self.append(&records, compression, time),
            Step::Seal => {
                self.log.seal_active().unwrap();
            }
            Step::Compact { map_bytes } => {
                let now = Timestamp(self.now);
                let done = self.log.compact(now, map_bytes, &mut |_| Ok(()));
                self.compacted = self.compacted.max(done.unwrap().end.0);
            }
            Step::Wait(time) => self.now += time,
            Step::DeleteRecords { part } => {
                let end = self.log.log_end_offset().0;
                self.start += (end - self.start) * i64::from(part) / 512;
                self.log.advance_log_start(Offset(self.start)).unwrap();
            }
            Step::Seek { time } => self.seek(time),
            Step::Reopen { cleanly } => {
                if cleanly {
                    self.dir.close().unwrap();
                }
                self.fs = self.fs.after_kill();
                (self.dir, self.log) = open(&self.fs);
            }
        }
        self.check();
    }

    fn append(&mut self, records: &[(u8, bool)], compression: Compression, time: i64) {
        let number = self.appended.len();
        let owned: Vec<(i64, String, Option<String>)> = records
            .iter()
            .enumerate()
            .map(|(at, (key, is_tombstone))| {
                let value = (!is_tombstone).then(|| format!("value {}", number + at));
                (time + at as i64, format!("key {key}"), value)
            })
            .collect();
        let borrowed: Vec<(i64, &str, Option<&str>)> = owned
            .iter()
            .map(|(time, key, value)| (*time, key.as_str(), value.as_deref()))
            .collect();
        let base = put(&self.log, keyed(compression, &borrowed)).0;
        let new = owned.into_iter().enumerate();
        self.appended
            .extend(new.map(|(at, (time, key, value))| Entry {
                offset: base + at as i64,
                time,
                key,
                value,
            }));
    }

    fn seek(&self, time: i64) {
        let end = self.log.log_end_offset();
        let found = self.log.offset_for_timestamp(Timestamp(time), end).unwrap();
        let all = entries(&self.log);
        let first = all.iter().find(|entry| entry.time >= time);
        assert_eq!(
            found.map(|found| (found.offset.0, found.timestamp.0)),
            first.map(|entry| (entry.offset, entry.time))
        );
    }

    fn check(&self) {
        let found = entries(&self.log);
        let live = |entry: &&Entry| entry.offset >= self.start;
        let appended: Vec<Entry> = self.appended.iter().filter(live).cloned().collect();
        assert_eq!(state(&found), state(&appended));
        assert!(found.iter().all(|entry| appended.contains(entry)));
        // Below the end of what is compacted no key is twice.
        let end = self.log.compacted_up_to().0;
        let mut keys = BTreeSet::new();
        for entry in found.iter().filter(|entry| entry.offset < end) {
            assert!(
                keys.insert(&entry.key),
                "{} is twice below {end}",
                entry.key
            );
        }
        // What is not compacted is all there.
        let tail = |entries: &[Entry]| -> Vec<Entry> {
            let end = self.compacted;
            let tail = entries.iter().filter(|entry| entry.offset >= end);
            tail.cloned().collect()
        };
        assert_eq!(tail(&found), tail(&appended));
        assert_eq!(self.log.lost_range(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_compacted_log_says_of_each_key_what_was_said_last(
        steps in prop::collection::vec(step(), 1..50)
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
    }
}
