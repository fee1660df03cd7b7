//! A log from outside: what is appended is read, also after opening it again.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::{ErrorCode, Offset, Timestamp};
use storage::{
    DirEntry, Fs, FsFile, LogConfig, LogDir, LogDirOptions, OpenMode, ReadError, RealFs,
};
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

/// The operating system's files, with a count of the bytes that are read from segments.
#[derive(Clone, Default)]
struct CountingFs {
    read: Arc<AtomicUsize>,
}

struct CountingFile {
    file: Arc<dyn FsFile>,
    read: Option<Arc<AtomicUsize>>,
}

impl FsFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let count = self.file.read_at(buffer, position)?;
        if let Some(read) = &self.read {
            read.fetch_add(count, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.file.write_vectored_at(buffers, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        self.file.reserve(size)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

impl Fs for CountingFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let is_segment = path.extension().is_some_and(|extension| extension == "log");
        let file = RealFs.open(path, mode)?;
        let read = is_segment.then(|| Arc::clone(&self.read));
        Ok(Arc::new(CountingFile { file, read }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        RealFs.list(folder)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_dir(path)
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        RealFs.modified(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        RealFs.lock(path)
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        RealFs.space(path)
    }
}

#[test]
fn opening_a_log_that_was_closed_cleanly_reads_its_tail_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig {
        segment_bytes: 1 << 20,
        ..LogConfig::default()
    };
    let value = "x".repeat(500);
    {
        let dir = open_dir(folder.path());
        let log = open_log(&dir, config.clone());
        for number in 0..5000 {
            append(&log, idempotent(1, 0, number, &[&value])).unwrap();
        }
        dir.close().unwrap();
    }
    let fs = CountingFs::default();
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open(folder.path(), options).unwrap();
    let log = open_log(&dir, config);
    assert_eq!(log.log_end_offset(), Offset(5000));
    assert!(
        append(&log, idempotent(1, 0, 4999, &[&value]))
            .unwrap()
            .duplicate
    );
    let read = fs.read.load(Ordering::Relaxed);
    assert!((500..20_000).contains(&read), "{read} bytes were read");
}

#[test]
fn damage_behind_a_clean_stop_is_not_given_to_readers() {
    let folder = tempfile::tempdir().unwrap();
    let size = {
        let dir = open_dir(folder.path());
        let log = open_log(
            &dir,
            LogConfig {
                index_interval_bytes: 100,
                ..LogConfig::default()
            },
        );
        for number in 0..10 {
            append(&log, batch(&[&format!("value {number}")])).unwrap();
        }
        let size = log.size_in_bytes() as usize / 10;
        dir.close().unwrap();
        size
    };
    let path = folder.path().join("orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[size * 4 + 70] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    let slice = log.read(Offset(0), Offset(10), 1 << 20, true).unwrap();
    assert_eq!((values_of(&slice).len(), slice.next_offset), (4, Offset(4)));
    let error = log
        .read(Offset(4), Offset(10), 1 << 20, true)
        .err()
        .unwrap();
    assert_eq!(ErrorCode::from(&error), ErrorCode::KafkaStorageError);
    let slice = log.read(Offset(5), Offset(10), 1 << 20, true).unwrap();
    assert_eq!(values_of(&slice).len(), 5);
}

#[test]
fn readers_see_whole_batches_while_the_log_is_written_rolled_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        segment_bytes: 4000,
        index_interval_bytes: 300,
        retention_bytes: 20_000,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    let last = 3000;
    std::thread::scope(|scope| {
        for max_bytes in [1, 500, 5000] {
            let log = &log;
            scope.spawn(move || {
                let mut next = Offset(0);
                while next.0 < last {
                    match log.read(next, log.log_end_offset(), max_bytes, true) {
                        Ok(slice) => {
                            for (offset, value) in values_of(&slice) {
                                assert_eq!(value, format!("value {offset}"));
                            }
                            assert!(slice.next_offset >= next);
                            next = slice.next_offset;
                        }
                        Err(ReadError::OffsetOutOfRange {
                            log_start_offset, ..
                        }) => {
                            next = log_start_offset;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        for number in 0..last {
            append(&log, batch(&[&format!("value {number}")])).unwrap();
            log.set_high_watermark(log.log_end_offset());
            if number % 100 == 0 {
                log.apply_retention(NOW).unwrap();
                dir.checkpoint().unwrap();
            }
        }
    });
    assert!(log.log_start_offset() > Offset(2000));
}
