//! What is left after a crash, a torn file, a flipped bit, a failing disk.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{ErrorCode, LeaderEpoch, Offset};
use storage::{AppendOrigin, Error, Log, LogConfig, LogDir, LogDirOptions};
use support::memory_fs::{Fault, MemoryFs, Unsynced};
use support::*;

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 150,
        ..LogConfig::default()
    }
}

fn segment(folder: &Path, base_offset: i64) -> PathBuf {
    folder
        .join("orders-0")
        .join(format!("{base_offset:020}.log"))
}

/// A log of one segment with batches of two records, not closed cleanly.
fn written(folder: &Path, batches: usize) -> Vec<(i64, String)> {
    let dir = open_dir(folder);
    let log = open_log(
        &dir,
        LogConfig {
            index_interval_bytes: 150,
            ..LogConfig::default()
        },
    );
    for number in 0..batches {
        append(&log, batch(&[&format!("value {number}"), "second"])).unwrap();
    }
    read_all(&log, 1 << 20)
}

/// A directory whose views are in memory: as if the database was deleted at each start.
fn open_without_views(path: &Path) -> LogDir {
    LogDir::open(
        path,
        LogDirOptions {
            kv_in_memory: true,
            ..LogDirOptions::new(1)
        },
    )
    .unwrap()
}

#[test]
fn a_log_cut_at_any_byte_keeps_its_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let all = written(folder.path(), 4);
    let file = segment(folder.path(), 0);
    let bytes = std::fs::read(&file).unwrap();
    let size = bytes.len() / 4;
    for cut in 0..=bytes.len() {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let dir = open_without_views(folder.path());
        let log = open_log(&dir, LogConfig::default());
        let whole = cut / size * 2;
        assert_eq!(read_all(&log, 1 << 20), all[..whole], "cut at {cut}");
        let next = append(&log, batch(&["next"])).unwrap();
        assert_eq!(next.base_offset, Offset(whole as i64), "cut at {cut}");
        assert_eq!(read_all(&log, 1 << 20).len(), whole + 1, "cut at {cut}");
    }
}

#[test]
fn a_torn_tail_is_found_after_a_clean_stop_too() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    for number in 0..10 {
        append(&log, batch(&[&format!("value {number}")])).unwrap();
    }
    let all = read_all(&log, 1 << 20);
    dir.close().unwrap();
    drop((log, dir));
    let file = segment(folder.path(), 0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    assert_eq!(read_all(&log, 1 << 20), all[..9]);
    // The offset was durable: it is not given to another record.
    assert_eq!(log.lost_range(), Some((Offset(9), Offset(10))));
    assert_eq!(
        append(&log, batch(&["next"])).unwrap().base_offset,
        Offset(10)
    );
    let mut expected = all[..9].to_vec();
    expected.push((10, "next".to_owned()));
    assert_eq!(read_all(&log, 1 << 20), expected);
    // What was cut is kept beside the log.
    let names = std::fs::read_dir(folder.path().join("orders-0")).unwrap();
    let kept = names.filter(|name| {
        name.as_ref()
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .ends_with(".quarantine")
    });
    assert_eq!(kept.count(), 1);
}

#[test]
fn a_flipped_bit_in_the_middle_is_reported_and_nothing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 6);
    let file = segment(folder.path(), 0);
    let good = std::fs::read(&file).unwrap();
    let size = good.len() / 6;
    for byte in size..size * 5 {
        // Offset and epoch of a batch lie outside its CRC; a wrong offset shows at the next batch.
        let in_batch = byte % size;
        if (8..12).contains(&in_batch) || (12..16).contains(&in_batch) || in_batch < 8 {
            continue;
        }
        let mut bytes = good.clone();
        bytes[byte] ^= 0x10;
        std::fs::write(&file, &bytes).unwrap();
        let dir = open_without_views(folder.path());
        let error = dir
            .create_or_open(&partition(), topic_id(), LogConfig::default())
            .err()
            .unwrap_or_else(|| panic!("a flipped bit in byte {byte} is not seen"));
        assert_eq!(ErrorCode::from(&error), ErrorCode::KafkaStorageError);
        let Error::Corrupt(found) = error else {
            panic!("{error}")
        };
        let at = (byte / size) as u64;
        assert_eq!(found.position, at * size as u64, "byte {byte}");
        assert_eq!(found.valid_again_at, (at + 1) * size as u64, "byte {byte}");
        assert_eq!(found.first_offset, Offset(at as i64 * 2));
        assert_eq!(found.valid_again_offset, Offset(at as i64 * 2 + 2));
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "the file was changed");
    }
}

#[test]
fn a_flipped_offset_is_corruption_though_no_crc_covers_it() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 6);
    let file = segment(folder.path(), 0);
    let good = std::fs::read(&file).unwrap();
    let size = good.len() / 6;
    for (byte, bit) in (0..8).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        for batch in 1..5 {
            let mut bytes = good.clone();
            bytes[size * batch + byte] ^= 1 << bit;
            std::fs::write(&file, &bytes).unwrap();
            let dir = open_without_views(folder.path());
            let opened = dir.create_or_open(&partition(), topic_id(), LogConfig::default());
            assert!(
                matches!(opened, Err(Error::Corrupt(_))),
                "byte {byte} bit {bit}"
            );
            assert_eq!(std::fs::read(&file).unwrap(), bytes, "the file was changed");
        }
    }
}

#[test]
fn snapshots_of_earlier_stops_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..5 {
        let dir = open_dir(folder.path());
        let log = open_log(&dir, LogConfig::default());
        append(&log, idempotent(7, 0, number, &["a"])).unwrap();
        dir.close().unwrap();
    }
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    let names = std::fs::read_dir(folder.path().join("orders-0")).unwrap();
    let snapshots = names.filter(|name| {
        name.as_ref()
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .ends_with(".snapshot")
    });
    assert_eq!(snapshots.count(), 1);
    assert_eq!(log.active_producers()[0].last_sequence, Some(4));
}

#[test]
fn a_flipped_length_is_corruption_and_no_torn_tail() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 6);
    let file = segment(folder.path(), 0);
    let good = std::fs::read(&file).unwrap();
    let size = good.len() / 6;
    for (byte, bit) in (8..12).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        let mut bytes = good.clone();
        bytes[size * 2 + byte] ^= 1 << bit;
        std::fs::write(&file, &bytes).unwrap();
        let dir = open_without_views(folder.path());
        let opened = dir.create_or_open(&partition(), topic_id(), LogConfig::default());
        assert!(
            matches!(opened, Err(Error::Corrupt(_))),
            "byte {byte} bit {bit}"
        );
        assert_eq!(std::fs::read(&file).unwrap().len(), good.len());
    }
}

#[test]
fn damage_in_a_sealed_segment_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, small_segments());
    for number in 0..30 {
        append(&log, batch(&[&format!("value {number}"), "second"])).unwrap();
    }
    drop((log, dir));
    let file = segment(folder.path(), 0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    let dir = open_dir(folder.path());
    let opened = dir.create_or_open(&partition(), topic_id(), small_segments());
    assert!(matches!(opened, Err(Error::Corrupt(_))));
}

/// What a log says that the views hold a part of.
fn state_of(log: &Log) -> impl PartialEq + std::fmt::Debug + use<> {
    let end = log.log_end_offset();
    let times: Vec<_> = (0..20)
        .map(|step| {
            let at = protocol::Timestamp(NOW.0 - 10 + step);
            log.offset_for_timestamp(at, end).unwrap()
        })
        .collect();
    (
        (log.log_start_offset(), end, log.size_in_bytes()),
        read_all(log, 333),
        (times, log.max_timestamp(end).unwrap()),
        (
            log.active_producers(),
            log.latest_epoch(),
            log.earliest_epoch(),
        ),
        (0..4)
            .map(|epoch| log.end_offset_for_epoch(LeaderEpoch(epoch)))
            .collect::<Vec<_>>(),
    )
}

fn append_many(log: &Log, epochs: std::ops::Range<i32>) {
    for epoch in epochs {
        for number in 0..12 {
            let records = idempotent(7, epoch as i16, number * 2, &["a", "b"]);
            log.append_as_leader(records, LeaderEpoch(epoch), AppendOrigin::Client, NOW)
                .unwrap();
        }
        log.set_high_watermark(log.log_end_offset());
    }
}

/// Closes, deletes the database (or not), opens again: the log must say the same.
fn survives(config: &LogConfig, cleanly: bool, change: impl Fn(&Log)) {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, config.clone());
    append_many(&log, 0..3);
    change(&log);
    let before = state_of(&log);
    if cleanly {
        dir.close().unwrap();
    } else {
        dir.checkpoint().unwrap();
    }
    drop((log, dir));
    for delete in [false, true, true] {
        if delete {
            std::fs::remove_dir_all(folder.path().join("klamm.rocksdb")).unwrap();
        }
        let dir = open_dir(folder.path());
        let log = open_log(&dir, config.clone());
        assert_eq!(
            state_of(&log),
            before,
            "database deleted: {delete}, cleanly: {cleanly}"
        );
    }
}

#[test]
fn the_database_can_be_deleted_after_delete_records() {
    for cleanly in [true, false] {
        survives(&small_segments(), cleanly, |log| {
            log.advance_log_start(Offset(31)).unwrap()
        });
    }
}

#[test]
fn the_database_can_be_deleted_after_retention() {
    let config = LogConfig {
        retention_bytes: 1000,
        ..small_segments()
    };
    for cleanly in [true, false] {
        survives(&config, cleanly, |log| {
            assert!(log.apply_retention(NOW).unwrap() > 2)
        });
    }
}

#[test]
fn a_producer_is_remembered_when_all_its_records_are_gone() {
    let config = LogConfig {
        retention_ms: 1000,
        ..small_segments()
    };
    for cleanly in [true, false] {
        survives(&config, cleanly, |log| {
            let later = protocol::Timestamp(NOW.0 + 2000);
            log.apply_retention(later).unwrap();
            assert_eq!(log.log_start_offset(), log.log_end_offset());
            assert_eq!(log.active_producers().len(), 1);
        });
    }
}

#[test]
fn garbage_in_the_small_files_costs_nothing_that_the_log_can_tell() {
    for name in [
        "leader-epoch-checkpoint",
        "partition.metadata",
        "../recovery-point-offset-checkpoint",
        "../replication-offset-checkpoint",
        "../log-start-offset-checkpoint",
    ] {
        for garbage in [
            &b""[..],
            b"\xff\xfe\x00garbage",
            b"0\n1\norders 0 x\n",
            b"9\n0\n",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let dir = open_dir(folder.path());
            let log = open_log(&dir, small_segments());
            append_many(&log, 0..3);
            let before = state_of(&log);
            dir.close().unwrap();
            drop((log, dir));
            std::fs::write(folder.path().join("orders-0").join(name), garbage).unwrap();
            let dir = open_dir(folder.path());
            let log = open_log(&dir, small_segments());
            assert_eq!(state_of(&log), before, "{name}: {garbage:?}");
        }
    }
}

#[test]
fn garbage_in_producer_snapshots_is_made_good_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, small_segments());
    append_many(&log, 0..3);
    let before = state_of(&log);
    dir.close().unwrap();
    drop((log, dir));
    for entry in std::fs::read_dir(folder.path().join("orders-0")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "snapshot")
        {
            std::fs::write(path, b"garbage").unwrap();
        }
    }
    std::fs::remove_dir_all(folder.path().join("klamm.rocksdb")).unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, small_segments());
    assert_eq!(state_of(&log), before);
}

/// What a client knows: the acknowledged offsets, and below which of them all is synced.
#[derive(Default)]
struct Client {
    acknowledged: Vec<(i64, String)>,
    synced: i64,
}

fn open_memory(fs: &MemoryFs) -> Result<(LogDir, Arc<Log>), Error> {
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        kv_in_memory: true,
        cluster_id: Some("cluster".into()),
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options)?;
    let log = dir.create_or_open(&partition(), topic_id(), small_segments())?;
    Ok((dir, log))
}

/// Writes, syncs, rolls, deletes, truncates and checkpoints; goes on whatever fails.
fn work(fs: &MemoryFs, client: &mut Client) {
    let Ok((dir, log)) = open_memory(fs) else {
        return;
    };
    for number in 0..24 {
        let value = format!("value {number}");
        if let Ok(info) = append(&log, batch(&[&value, "second"])) {
            client.acknowledged.push((info.base_offset.0, value));
            client
                .acknowledged
                .push((info.last_offset.0, "second".to_owned()));
            log.set_high_watermark(info.log_end_offset);
            if number % 3 == 0 && log.sync_to(info.log_end_offset).is_ok() {
                client.synced = client.synced.max(info.log_end_offset.0);
            }
        }
        if number == 11 {
            let _ = dir.checkpoint();
        }
        if number == 19 {
            // Whether it succeeds or not, nobody may count on what is cut.
            let _ = log.truncate_to(Offset(30));
            client.acknowledged.retain(|(offset, _)| *offset < 30);
            client.synced = client.synced.min(30);
        }
        if number == 17 && log.advance_log_start(Offset(9)).is_ok() {
            client.acknowledged.retain(|(offset, _)| *offset >= 9);
        }
    }
    let end = log.log_end_offset();
    if dir.close().is_ok() {
        client.synced = client.synced.max(end.0);
    }
}

fn check(client: &Client, fs: &MemoryFs, least: i64, what: &str) {
    let (_dir, log) = open_memory(fs).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = read_all(&log, 1 << 20);
    let start = log.log_start_offset().0;
    for (offset, value) in &client.acknowledged {
        if *offset < least && *offset >= start {
            let there = found.iter().any(|(at, is)| at == offset && is == value);
            assert!(there, "{what}: offset {offset} is lost");
        }
    }
    for (offset, value) in &found {
        let known = client.acknowledged.iter().find(|(at, _)| at == offset);
        if let Some((_, is)) = known {
            assert_eq!(value, is, "{what}: offset {offset} holds another record");
        }
    }
    assert!(start <= 9, "{what}: the log starts at {start}");
    append(&log, batch(&["next"])).unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn nothing_synced_is_lost_whichever_call_fails_and_whatever_a_crash_leaves() {
    let mut number = 0;
    loop {
        number += 1;
        let mut reached = false;
        for fault in [Fault::Io, Fault::NoSpace, Fault::ShortWrite] {
            let fs = MemoryFs::default();
            fs.fail_call(number, fault);
            let mut client = Client::default();
            work(&fs, &mut client);
            let failed = fs.failed();
            reached |= !failed.is_empty();
            let what = format!("call {number} {failed:?} fails by {fault:?}");
            // The process was killed: everything acknowledged is there.
            check(
                &client,
                &fs.after_kill(),
                i64::MAX,
                &format!("{what}, killed"),
            );
            for unsynced in [
                Unsynced::Lost,
                Unsynced::Zeros,
                Unsynced::Half,
                Unsynced::Kept,
            ] {
                let what = format!("{what}, crashed, unsynced bytes {unsynced:?}");
                check(&client, &fs.after_crash(unsynced), client.synced, &what);
            }
        }
        if !reached {
            break;
        }
    }
    assert!(number > 100, "only {number} calls");
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let fs = MemoryFs::default();
    let (_dir, log) = open_memory(&fs).unwrap();
    append(&log, batch(&["before"])).unwrap();
    fs.set_full(true);
    for _ in 0..3 {
        let error = append(&log, batch(&["lost"])).unwrap_err();
        assert_eq!(ErrorCode::from(&error), ErrorCode::KafkaStorageError);
        assert_eq!(read_all(&log, 1 << 20), [(0, "before".to_owned())]);
    }
    fs.set_full(false);
    assert_eq!(
        append(&log, batch(&["after"])).unwrap().base_offset,
        Offset(1)
    );
    assert_eq!(read_all(&log, 1 << 20).len(), 2);
}

#[test]
fn a_failed_sync_takes_the_directory_offline_for_good() {
    let fs = MemoryFs::default();
    let (dir, log) = open_memory(&fs).unwrap();
    append(&log, batch(&["a"])).unwrap();
    // The active segment is the first to be synced.
    fs.fail_call(1, Fault::Io);
    log.sync_to(Offset(1)).unwrap_err();
    assert_eq!(fs.failed(), ["sync"]);
    assert!(dir.is_offline());
    let error = log.sync_to(Offset(1)).unwrap_err();
    assert!(
        matches!(error, Error::Offline { .. }),
        "the sync was tried again: {error}"
    );
    let error = append(&log, batch(&["b"])).unwrap_err();
    assert_eq!(ErrorCode::from(&error), ErrorCode::KafkaStorageError);
    assert!(dir.checkpoint().is_err());
    assert!(dir.close().is_err());
    assert_eq!(read_all(&log, 1 << 20).len(), 1, "reads go on");
}

#[test]
fn a_full_disk_can_be_emptied() {
    let fs = MemoryFs::default();
    let (dir, log) = open_memory(&fs).unwrap();
    for number in 0..20 {
        append(&log, batch(&[&format!("value {number}"), "second"])).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    let before = log.size_in_bytes();
    // What is left is the reserve, and whatever is given back.
    fs.set_full(true);
    log.advance_log_start(Offset(30)).unwrap();
    assert!(log.size_in_bytes() < before);
    append(&log, batch(&["more"])).unwrap();
    dir.checkpoint().unwrap();
    assert_eq!(log.log_start_offset(), Offset(30));
    // Cluster metadata uses the reserve too, records of clients do not.
    fs.set_full(true);
    let mut builder = protocol::BatchBuilder::new(Offset(0)).leader_epoch(EPOCH);
    builder.push(NOW, None, Some(b"metadata"), &[]);
    let metadata = builder.build().bytes().clone();
    append(&log, batch(&["refused"])).unwrap_err();
    log.append_as_leader(metadata, EPOCH, AppendOrigin::Raft, NOW)
        .unwrap();
}

#[test]
fn a_log_is_read_and_written_when_descriptors_run_out() {
    let fs = MemoryFs::default();
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        kv_in_memory: true,
        open_files_max: 3,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options).unwrap();
    let log = dir
        .create_or_open(&partition(), topic_id(), small_segments())
        .unwrap();
    for number in 0..40 {
        append(&log, batch(&[&format!("value {number}"), "second"])).unwrap();
    }
    let expected = read_all(&log, 1 << 20);
    let mut refused = 0;
    for number in 1..30 {
        fs.fail_call(number, Fault::TooManyFiles);
        assert_eq!(read_all(&log, 1 << 20), expected);
        refused += fs.failed().iter().filter(|name| **name == "open").count();
    }
    for number in 1..60 {
        fs.fail_call(number % 4 + 1, Fault::TooManyFiles);
        append(&log, batch(&[&format!("more {number}")])).unwrap();
        refused += fs.failed().iter().filter(|name| **name == "open").count();
    }
    assert!(refused > 0, "no open was refused");
}
