//! A log from outside: what is appended is read, also after opening it again.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::{ErrorCode, Offset, Timestamp};
use storage::{LogConfig, ReadError};
use support::*;

#[test]
fn what_is_appended_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    let first = append(&log, batch(&["a", "b"])).unwrap();
    let second = append(&log, batch(&["c"])).unwrap();
    assert_eq!(
        (first.base_offset, first.last_offset),
        (Offset(0), Offset(1))
    );
    assert_eq!(
        (second.base_offset, second.log_end_offset),
        (Offset(2), Offset(3))
    );
    let slice = log.read(Offset(0), Offset(3), 1 << 20, true).unwrap();
    let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(offset, v)| (offset, v.to_owned()));
    assert_eq!(values_of(&slice), expected);
    assert_eq!(
        (slice.first_offset, slice.next_offset),
        (Some(Offset(0)), Offset(3))
    );
}

#[test]
fn a_log_is_the_same_after_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    for number in 0..100 {
        append(&log, batch(&[&format!("value {number}"), "x"])).unwrap();
    }
    let before = read_all(&log, 700);
    assert_eq!(before.len(), 200);
    dir.close().unwrap();
    drop((log, dir));
    let dir = open_dir(folder.path());
    assert!(dir.was_closed_cleanly());
    assert_eq!(dir.found_logs()[0].topic_id, Some(topic_id()));
    let log = open_log(&dir, LogConfig::default());
    assert_eq!(log.log_end_offset(), Offset(200));
    assert_eq!(log.recovery_point(), Offset(200));
    assert_eq!(read_all(&log, 700), before);
    assert_eq!(
        append(&log, batch(&["next"])).unwrap().base_offset,
        Offset(200)
    );
}

#[test]
fn a_log_is_the_same_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        segment_bytes: 2000,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config.clone());
    for number in 0..100 {
        append(&log, batch(&[&format!("value {number}"), "x"])).unwrap();
    }
    let before = read_all(&log, 700);
    drop((log, dir));
    let dir = open_dir(folder.path());
    assert!(!dir.was_closed_cleanly());
    let log = open_log(&dir, config);
    assert_eq!(read_all(&log, 700), before);
    assert_eq!(
        append(&log, batch(&["next"])).unwrap().base_offset,
        Offset(200)
    );
}

#[test]
fn a_read_outside_the_log_is_refused_with_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    append(&log, batch(&["a"])).unwrap();
    assert!(
        log.read(Offset(1), Offset(1), 100, true)
            .unwrap()
            .is_empty()
    );
    let error = log.read(Offset(2), Offset(2), 100, true).err().unwrap();
    assert_eq!(ErrorCode::from(&error), ErrorCode::OffsetOutOfRange);
    let ReadError::OffsetOutOfRange {
        log_start_offset,
        log_end_offset,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((log_start_offset, log_end_offset), (Offset(0), Offset(1)));
}

#[test]
fn a_record_is_found_by_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        index_interval_bytes: 100,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    for number in 0..50i64 {
        let at = [NOW.0 - 1000 + number * 10, NOW.0 - 1000 + number * 10 + 5].map(Timestamp);
        append(&log, batch_at(&at, &["a", "b"]).bytes().clone()).unwrap();
    }
    let end = log.log_end_offset();
    let find = |at: i64| {
        let found = log
            .offset_for_timestamp(Timestamp(NOW.0 - 1000 + at), end)
            .unwrap();
        found.map(|found| (found.offset.0, found.timestamp.0 - NOW.0 + 1000))
    };
    assert_eq!(find(-5), Some((0, 0)));
    assert_eq!(find(1), Some((1, 5)));
    assert_eq!(find(244), Some((49, 245)));
    assert_eq!(find(496), None);
    let latest = log.max_timestamp(end).unwrap().unwrap();
    assert_eq!(
        (latest.offset, latest.leader_epoch),
        (Offset(99), Some(EPOCH))
    );
    assert_eq!(log.max_timestamp(Offset(99)).unwrap(), None);
}
