//! Logs that are put back to what they held.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::sync::Arc;

use protocol::{LeaderEpoch, Offset, TopicId, TopicPartition};
use storage::{AppendOrigin, Log, LogConfig, LogContent, LogDir, LogDirOptions, PutBack};
use support::memory_fs::{Fault, MemoryFs};
use support::*;

fn keep(dir: &LogDir, log: &Arc<Log>) -> Arc<LogContent> {
    Arc::new(dir.keep(log).unwrap())
}

fn wanted(content: Option<&Arc<LogContent>>, config: &LogConfig) -> PutBack {
    PutBack {
        topic_partition: partition(),
        topic_id: topic_id(),
        config: config.clone(),
        content: content.cloned(),
        open: true,
    }
}

fn put_back(dir: &LogDir, content: Option<&Arc<LogContent>>, config: &LogConfig) -> Arc<Log> {
    let results = dir.put_back(&[wanted(content, config)]).unwrap();
    let mut results = results.into_iter();
    results.next().unwrap().unwrap().unwrap()
}

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 500,
        index_interval_bytes: 50,
        ..LogConfig::default()
    }
}

fn append_all(log: &Log, values: impl IntoIterator<Item = usize>) {
    for value in values {
        append(log, batch(&[&format!("value {value}")])).unwrap();
    }
}

fn folders(path: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let folders = entries.map(|entry| entry.unwrap());
    let mut names: Vec<String> = folders
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name != "klamm.rocksdb")
        .collect();
    names.sort();
    names
}

#[test]
fn a_log_is_put_back_to_what_it_held_and_goes_on_from_there() {
    for config in [LogConfig::default(), small_segments()] {
        let folder = tempfile::tempdir().unwrap();
        let dir = open_dir(folder.path());
        let log = open_log(&dir, config.clone());
        append_all(&log, 0..20);
        let held = read_all(&log, 300);
        let content = keep(&dir, &log);
        for round in 0..3 {
            let log = dir.log(&partition()).unwrap();
            append_all(&log, 100..150);
            log.set_high_watermark(log.log_end_offset());
            dir.checkpoint().unwrap();
            let log = put_back(&dir, Some(&content), &config);
            assert_eq!(read_all(&log, 300), held, "round {round}");
            assert_eq!(log.log_end_offset(), Offset(20));
            assert_eq!(log.epoch_for_offset(Offset(3)), Some(EPOCH));
            let next = append(&log, batch(&["next"])).unwrap();
            assert_eq!(next.base_offset, Offset(20));
        }
        dir.close().unwrap();
        drop(dir);
        let dir = open_dir(folder.path());
        let log = open_log(&dir, config);
        assert_eq!(log.log_end_offset(), Offset(21));
        assert_eq!(read_all(&log, 300)[..20], held);
        assert_eq!(log.lost_range(), None);
    }
}

#[test]
fn a_log_with_nothing_to_hold_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig::default();
    let log = open_log(&dir, config.clone());
    let empty = keep(&dir, &log);
    for content in [None, Some(&empty)] {
        let log = dir.log(&partition()).unwrap();
        append_all(&log, 0..5);
        dir.checkpoint().unwrap();
        let log = put_back(&dir, content, &config);
        assert_eq!(
            (log.log_start_offset(), log.log_end_offset()),
            (Offset(0), Offset(0))
        );
    }
}

#[test]
fn a_log_that_is_as_it_should_be_stays() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig::default();
    let log = open_log(&dir, config.clone());
    assert!(Arc::ptr_eq(&put_back(&dir, None, &config), &log));
    append_all(&log, 0..5);
    let content = keep(&dir, &log);
    assert!(Arc::ptr_eq(&put_back(&dir, Some(&content), &config), &log));
    append_all(&log, 5..6);
    let again = put_back(&dir, Some(&content), &config);
    assert!(!Arc::ptr_eq(&again, &log));
    assert!(Arc::ptr_eq(
        &put_back(&dir, Some(&content), &config),
        &again
    ));
}

#[test]
fn the_former_log_takes_no_writes_and_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig::default();
    let former = open_log(&dir, config.clone());
    append_all(&former, 0..10);
    let slice = former.read(Offset(0), Offset(10), 1 << 20, true).unwrap();
    let log = put_back(&dir, None, &config);
    append(&log, batch(&["another"])).unwrap();
    append(&former, batch(&["late"])).unwrap_err();
    assert_eq!(values_of(&slice).len(), 10);
    assert_eq!(read_all(&former, 100).len(), 10);
    dir.remove_former_logs();
    assert_eq!(values_of(&slice).len(), 10);
    dir.remove_former_logs();
    assert_eq!(folders(folder.path()), ["orders-0"]);
}

#[test]
fn a_log_start_comes_back_up_and_down() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig::default();
    let log = open_log(&dir, config.clone());
    append_all(&log, 0..10);
    let whole = keep(&dir, &log);
    log.set_high_watermark(Offset(10));
    log.advance_log_start(Offset(4)).unwrap();
    let cut = keep(&dir, &log);
    log.advance_log_start(Offset(7)).unwrap();
    for (content, start) in [(&cut, 4), (&whole, 0), (&cut, 4)] {
        let log = put_back(&dir, Some(content), &config);
        assert_eq!(log.log_start_offset(), Offset(start));
        assert_eq!(read_all(&log, 100).len(), 10 - start as usize);
    }
    drop((log, dir));
    let dir = open_dir(folder.path());
    assert_eq!(open_log(&dir, config).log_start_offset(), Offset(4));
}

#[test]
fn a_producer_goes_on_with_any_sequence_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig::default();
    let log = open_log(&dir, config.clone());
    append(&log, idempotent(7, 0, 0, &["a", "b"])).unwrap();
    let content = keep(&dir, &log);
    append(&log, idempotent(7, 0, 2, &["c"])).unwrap();
    append(&log, idempotent(7, 0, 3, &["d"])).unwrap();
    dir.checkpoint().unwrap();
    let log = put_back(&dir, Some(&content), &config);
    assert!(log.active_producers().is_empty());
    drop((log, dir));
    // The process was killed: what is known of producers is read from the folder.
    let dir = open_dir(folder.path());
    let log = open_log(&dir, config);
    assert_eq!(log.log_end_offset(), Offset(2));
    append(&log, idempotent(7, 0, 4, &["e"])).unwrap();
}

#[test]
fn a_log_that_is_not_open_is_found_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = small_segments();
    let log = open_log(&dir, config.clone());
    append_all(&log, 0..30);
    let held = read_all(&log, 300);
    let content = keep(&dir, &log);
    dir.delete(&log).unwrap();
    let laid_out = PutBack {
        open: false,
        ..wanted(Some(&content), &config)
    };
    let results = dir.put_back(&[laid_out]).unwrap();
    assert!(matches!(results.as_slice(), [Ok(None)]));
    let log = open_log(&dir, config);
    assert_eq!(read_all(&log, 300), held);
}

#[test]
fn a_large_log_is_linked_and_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig::default();
    let log = open_log(&dir, config.clone());
    let value = "x".repeat(600_000);
    for _ in 0..10 {
        append(&log, batch(&[&value])).unwrap();
    }
    let content = keep(&dir, &log);
    for _ in 0..2 {
        let log = dir.log(&partition()).unwrap();
        append(&log, batch(&["behind"])).unwrap();
        let log = put_back(&dir, Some(&content), &config);
        let read = read_all(&log, 1 << 20);
        assert_eq!(read.len(), 10);
        assert!(read.iter().all(|(_, read)| *read == value));
    }
    drop(content);
    assert!(folders(&folder.path().join("klamm.kept")).is_empty());
}

#[test]
fn what_was_kept_is_gone_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    append_all(&log, 0..5);
    std::mem::forget(dir.keep(&log).unwrap());
    assert!(folders(folder.path()).contains(&"klamm.kept".to_owned()));
    drop((log, dir));
    drop(open_dir(folder.path()));
    assert!(!folders(folder.path()).contains(&"klamm.kept".to_owned()));
}

fn memory_dir(fs: &MemoryFs) -> LogDir {
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    LogDir::open("/data", options).unwrap()
}

const NAMES: [&str; 2] = ["first", "second"];

fn named(name: &str) -> (TopicPartition, TopicId) {
    let id = TopicId(uuid::Uuid::from_u128(name.len() as u128 + 1000));
    (TopicPartition::new(name, 0), id)
}

fn open_named(dir: &LogDir, name: &str) -> Arc<Log> {
    let (of, id) = named(name);
    dir.create_or_open(&of, id, small_segments()).unwrap()
}

/// Two logs that hold more than is to be left of them, and what is.
fn two_logs(fs: &MemoryFs) -> (LogDir, Vec<PutBack>) {
    let dir = memory_dir(fs);
    let wanted = NAMES.map(|name| {
        let log = open_named(&dir, name);
        append_all(&log, 0..12);
        let content = keep(&dir, &log);
        append_all(&log, 100..120);
        log.set_high_watermark(log.log_end_offset());
        log.advance_log_start(Offset(6)).unwrap();
        let (topic_partition, topic_id) = named(name);
        PutBack {
            topic_partition,
            topic_id,
            config: small_segments(),
            content: Some(content),
            open: true,
        }
    });
    dir.checkpoint().unwrap();
    (dir, wanted.into())
}

/// Each log holds what it held before, or what it was put back to.
fn check_old_or_new(fs: &MemoryFs, at: usize) -> [bool; 2] {
    let dir = memory_dir(fs);
    NAMES.map(|name| {
        let log = open_named(&dir, name);
        assert_eq!(log.lost_range(), None, "{name} at call {at}");
        let values: Vec<String> = read_all(&log, 200).into_iter().map(|(_, v)| v).collect();
        let start = log.log_start_offset().0 as usize;
        let is_new = log.log_end_offset() == Offset(12);
        let whole: Vec<usize> = if is_new {
            (0..12).collect()
        } else {
            (0..12).chain(100..120).collect()
        };
        // Of two log starts it may have the lower one.
        assert!(
            start == 6 && !is_new || start < 6,
            "{name} at call {at}: {start}"
        );
        let expected: Vec<String> = whole[start..]
            .iter()
            .map(|v| format!("value {v}"))
            .collect();
        assert_eq!(values, expected, "{name} at call {at}");
        let epoch = LeaderEpoch(1);
        let next = log
            .append_as_leader(batch(&["next"]), epoch, AppendOrigin::Client, NOW)
            .unwrap();
        assert_eq!(next.base_offset.0 as usize, whole.len());
        is_new
    })
}

#[test]
fn a_process_killed_anywhere_leaves_each_log_old_or_new() {
    let mut seen = std::collections::BTreeSet::new();
    for call in 1.. {
        let fs = MemoryFs::default();
        let (dir, wanted) = two_logs(&fs);
        fs.fail_call(call, Fault::Killed);
        let result = dir.put_back(&wanted);
        let was_killed = !fs.failed().is_empty();
        let after = fs.after_kill();
        seen.insert(check_old_or_new(&after, call));
        std::mem::forget(wanted);
        if !was_killed {
            assert!(result.unwrap().iter().all(Result::is_ok));
            break;
        }
    }
    let all = [[false, false], [true, false], [true, true]];
    assert!(all.iter().all(|one| seen.contains(one)), "{seen:?}");
}

#[test]
fn a_failed_call_leaves_a_log_as_it_was_or_is_told() {
    for call in 1.. {
        let fs = MemoryFs::default();
        let (dir, wanted) = two_logs(&fs);
        fs.fail_call(call, Fault::Io);
        let result = dir.put_back(&wanted);
        let failed = fs.failed();
        if failed.is_empty() {
            break;
        }
        if let Err(error) = &result
            && !dir.is_offline()
        {
            for name in NAMES {
                let log = dir.log(&named(name).0).unwrap();
                append(&log, batch(&["it goes on"])).unwrap_or_else(|refused| {
                    panic!("call {call} ({failed:?}): {error}, then {refused}")
                });
            }
            continue;
        }
        check_old_or_new(&fs.after_kill(), call);
    }
}
