//! Rolling, deleting, truncating.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::path::Path;

use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp};
use storage::{AppendOrigin, CleanupPolicy, Log, LogConfig, ReadError};
use support::*;

fn names(folder: &Path, suffix: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder.join("orders-0"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(suffix))
        .collect();
    names.sort();
    names
}

fn bases(folder: &Path) -> Vec<i64> {
    let names = names(folder, ".log");
    names
        .iter()
        .map(|name| name.trim_end_matches(".log").parse().unwrap())
        .collect()
}

fn append_at(log: &Log, at: i64) {
    let records = batch_at(&[Timestamp(at)], &["value"]).bytes().clone();
    log.append_as_leader(records, EPOCH, AppendOrigin::Client, NOW)
        .unwrap();
    log.set_high_watermark(log.log_end_offset());
}

#[test]
fn a_segment_rolls_when_it_is_full_or_old() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        segment_bytes: 200,
        segment_ms: 1000,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    let start = NOW.0 - 10_000;
    append_at(&log, start);
    append_at(&log, start + 1000);
    assert_eq!(bases(folder.path()), [0]);
    append_at(&log, start + 2500);
    assert_eq!(bases(folder.path()), [0, 2], "full");
    append_at(&log, start + 3501);
    assert_eq!(bases(folder.path()), [0, 2, 3], "old");
    assert!(log.seal_active().unwrap());
    assert!(
        !log.seal_active().unwrap(),
        "an empty segment is as good as a new one"
    );
    assert_eq!(bases(folder.path()), [0, 2, 3, 4]);
    assert_eq!(read_all(&log, 1 << 20).len(), 4);
}

#[test]
fn retention_by_time_deletes_whole_segments_and_rolls_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        segment_bytes: 200,
        retention_ms: 1000,
        file_delete_delay_ms: 60_000,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    for number in 0..6 {
        append_at(&log, NOW.0 + number * 100);
    }
    assert_eq!(bases(folder.path()), [0, 2, 4]);
    assert_eq!(log.apply_retention(Timestamp(NOW.0 + 1100)).unwrap(), 0);
    assert_eq!(log.apply_retention(Timestamp(NOW.0 + 1101)).unwrap(), 1);
    assert_eq!(log.log_start_offset(), Offset(2));
    let all_old = Timestamp(NOW.0 + 5000);
    assert_eq!(log.apply_retention(all_old).unwrap(), 2);
    assert_eq!(log.log_start_offset(), Offset(6));
    assert_eq!(bases(folder.path()), [6]);
    assert_eq!(names(folder.path(), ".deleted").len(), 3);
    log.apply_retention(Timestamp(all_old.0 + 60_000)).unwrap();
    assert_eq!(names(folder.path(), ".deleted").len(), 0);
    append_at(&log, NOW.0 + 9000);
    assert_eq!(read_all(&log, 1 << 20), [(6, "value".to_owned())]);
}

#[test]
fn retention_by_size_keeps_at_least_so_much() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let size = batch_at(&[NOW], &["value"]).bytes().len() as i64;
    let config = LogConfig {
        segment_bytes: 200,
        retention_bytes: size * 3,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    for _ in 0..10 {
        append_at(&log, NOW.0);
    }
    log.apply_retention(NOW).unwrap();
    assert_eq!(log.log_start_offset(), Offset(6));
    assert_eq!(log.size_in_bytes() as i64, size * 4);
}

#[test]
fn nothing_beyond_the_high_watermark_and_nothing_of_a_compacted_topic_goes() {
    for (compact, high_watermark, kept_from) in [(true, 10, 0), (false, 5, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let dir = open_dir(folder.path());
        let cleanup = CleanupPolicy {
            delete: !compact,
            compact,
        };
        let config = LogConfig {
            segment_bytes: 200,
            retention_ms: 1,
            cleanup,
            ..LogConfig::default()
        };
        let log = open_log(&dir, config);
        for _ in 0..10 {
            append_at(&log, NOW.0);
        }
        log.set_high_watermark(Offset(high_watermark));
        log.apply_retention(Timestamp(NOW.0 + 1000)).unwrap();
        assert_eq!(log.log_start_offset(), Offset(kept_from));
    }
}

#[test]
fn a_reader_keeps_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        segment_bytes: 200,
        retention_ms: 1,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    for _ in 0..4 {
        append_at(&log, NOW.0);
    }
    let slice = log.read(Offset(0), Offset(4), 1 << 20, true).unwrap();
    log.apply_retention(Timestamp(NOW.0 + 1000)).unwrap();
    log.apply_retention(Timestamp(NOW.0 + 2000)).unwrap();
    assert_eq!(values_of(&slice).len(), 2);
    drop(slice);
    log.apply_retention(Timestamp(NOW.0 + 3000)).unwrap();
    assert_eq!(names(folder.path(), ".deleted").len(), 0);
}

#[test]
fn records_are_deleted_up_to_an_offset_and_stay_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        segment_bytes: 200,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config.clone());
    for _ in 0..10 {
        append_at(&log, NOW.0);
    }
    log.advance_log_start(Offset(5)).unwrap();
    assert_eq!(bases(folder.path())[0], 4);
    assert_eq!(read_all(&log, 1 << 20)[0].0, 5);
    assert!(matches!(
        log.read(Offset(4), Offset(10), 100, true),
        Err(ReadError::OffsetOutOfRange { .. })
    ));
    log.advance_log_start(Offset(3)).unwrap();
    assert_eq!(log.log_start_offset(), Offset(5));
    let error = log.advance_log_start(Offset(11)).unwrap_err();
    assert_eq!(ErrorCode::from(&error), ErrorCode::OffsetOutOfRange);
    // Durable when it returns: the process may end now.
    drop((log, dir));
    let dir = open_dir(folder.path());
    let log = open_log(&dir, config);
    assert_eq!(log.log_start_offset(), Offset(5));
    log.set_high_watermark(Offset(10));
    log.advance_log_start(Offset(10)).unwrap();
    assert_eq!(read_all(&log, 1 << 20), []);
    append_at(&log, NOW.0);
    assert_eq!(read_all(&log, 1 << 20)[0].0, 10);
}

#[test]
fn a_truncated_log_forgets_what_was_behind() {
    for cleanly in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let dir = open_dir(folder.path());
        let config = LogConfig {
            segment_bytes: 400,
            index_interval_bytes: 100,
            ..LogConfig::default()
        };
        let log = open_log(&dir, config.clone());
        for number in 0..20 {
            let records = idempotent(3, 0, number, &["before"]);
            let epoch = LeaderEpoch(number / 5);
            log.append_as_leader(records, epoch, AppendOrigin::Client, NOW)
                .unwrap();
        }
        log.sync_to(Offset(20)).unwrap();
        dir.checkpoint().unwrap();
        log.truncate_to(Offset(7)).unwrap();
        assert_eq!(
            (log.log_end_offset(), log.recovery_point()),
            (Offset(7), Offset(7))
        );
        assert_eq!(log.latest_epoch(), Some(LeaderEpoch(1)));
        assert_eq!(log.active_producers()[0].last_sequence, Some(6));
        // The same offsets with other records, of other sizes.
        for number in 7..30 {
            let records = idempotent(3, 0, number, &["a longer value than before"]);
            log.append_as_leader(records, LeaderEpoch(9), AppendOrigin::Client, NOW)
                .unwrap();
        }
        let expected = read_all(&log, 250);
        assert_eq!(expected.len(), 30);
        assert_eq!(expected[6].1, "before");
        assert_eq!(expected[7].1, "a longer value than before");
        if cleanly {
            dir.close().unwrap();
        }
        drop((log, dir));
        let dir = open_dir(folder.path());
        let log = open_log(&dir, config);
        assert_eq!(read_all(&log, 250), expected);
        assert_eq!(
            log.end_offset_for_epoch(LeaderEpoch(1)),
            Some((LeaderEpoch(1), Offset(7)))
        );
        assert_eq!(log.lost_range(), None);
    }
}

#[test]
fn a_log_may_begin_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    for _ in 0..3 {
        append_at(&log, NOW.0);
    }
    let far = 5_000_000_000;
    log.truncate_fully_and_start_at(Offset(far)).unwrap();
    assert_eq!(
        (log.log_start_offset(), log.log_end_offset()),
        (Offset(far), Offset(far))
    );
    assert_eq!(read_all(&log, 100), []);
    drop((log, dir));
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    assert_eq!(
        (log.log_start_offset(), log.log_end_offset()),
        (Offset(far), Offset(far))
    );
    append_at(&log, NOW.0);
    assert_eq!(read_all(&log, 100), [(far, "value".to_owned())]);
    log.truncate_to(Offset(7)).unwrap();
    assert_eq!(
        (log.log_start_offset(), log.log_end_offset()),
        (Offset(7), Offset(7))
    );
}

#[test]
fn a_deleted_log_comes_back_empty_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    for _ in 0..3 {
        append_at(&log, NOW.0);
    }
    log.sync_to(Offset(3)).unwrap();
    dir.checkpoint().unwrap();
    dir.delete(&log).unwrap();
    let error = append(&log, batch(&["late"])).unwrap_err();
    assert_eq!(ErrorCode::from(&error), ErrorCode::NotLeaderOrFollower);
    let other: protocol::TopicId = "AAIDBAUGBwgJCgsMDQ4PEA".parse().unwrap();
    let again = dir
        .create_or_open(&partition(), other, LogConfig::default())
        .unwrap();
    assert_eq!(again.log_end_offset(), Offset(0));
    drop((log, again, dir));
    let dir = open_dir(folder.path());
    assert_eq!(dir.found_logs()[0].topic_id, Some(other));
    let wrong = dir
        .create_or_open(&partition(), topic_id(), LogConfig::default())
        .err()
        .unwrap();
    assert_eq!(ErrorCode::from(&wrong), ErrorCode::InconsistentTopicId);
    let log = dir
        .create_or_open(&partition(), other, LogConfig::default())
        .unwrap();
    assert_eq!((log.log_end_offset(), log.lost_range()), (Offset(0), None));
    drop(log);
}

#[test]
fn many_logs_are_deleted_at_once_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let logs: Vec<_> = (0..20)
        .map(|number| {
            let of = protocol::TopicPartition::new("many", number);
            let log = dir.create_or_open(&of, topic_id(), LogConfig::default());
            let log = log.unwrap();
            append_at(&log, NOW.0);
            log.sync_to(Offset(1)).unwrap();
            log
        })
        .collect();
    dir.checkpoint().unwrap();
    let (gone, kept) = logs.split_at(19);
    assert!(dir.delete_all(gone).is_empty());
    for log in gone {
        assert!(append(log, batch(&["late"])).is_err());
    }
    for file in [
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
    ] {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        let told: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("many "))
            .collect();
        assert!(
            told.iter().all(|line| line.starts_with("many 19 ")),
            "{file}: {told:?}"
        );
    }
    // One that is gone already is told, and keeps no other from being deleted.
    let failed = dir.delete_all(&[gone[0].clone(), kept[0].clone()]);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0, protocol::TopicPartition::new("many", 0));
    drop((logs, dir));
    assert_eq!(open_dir(folder.path()).found_logs(), []);
}

#[test]
fn a_found_log_that_nobody_wants_is_removed_unread() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    append_at(&open_log(&dir, LogConfig::default()), NOW.0);
    drop(dir);
    let dir = open_dir(folder.path());
    dir.delete_found(&partition()).unwrap();
    assert!(!folder.path().join("orders-0").exists());
    drop(dir);
    assert_eq!(open_dir(folder.path()).found_logs(), []);
}
