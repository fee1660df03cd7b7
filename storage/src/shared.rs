//! What all logs of one directory share.
//!
//! Invariant: once a sync failed the directory is offline: nothing is written or acknowledged any
//! more, and no sync is tried again (the pages may be gone while the second sync says they are not).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use protocol::{Offset, TopicPartition};
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::checkpoint::{
    COMPACTED_UP_TO, HIGH_WATERMARKS, LOG_START_OFFSETS, Offsets, RECOVERY_POINTS, render_offsets,
};
use crate::error::Error;
use crate::fs::{Durable, Fs, FsFile, OpenMode, ReplaceError, replace_file};
use crate::kv::{Kv, LazyKv};
use crate::log::FileCache;

/// Index entries that all logs together keep in memory (16 bytes each).
const INDEX_ENTRIES_MAX: usize = 1 << 20;

/// Room for what must be written even when the disk is full, so that it can be emptied: cluster
/// metadata, and the checkpoints of DeleteRecords and DeleteTopics.
const RESERVE: &str = ".klamm_reserve";
const RESERVE_BYTES: u64 = 1 << 20;

/// The checkpoint files, as they are on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoints {
    pub(crate) recovery_points: Offsets,
    pub(crate) log_start_offsets: Offsets,
    pub(crate) high_watermarks: Offsets,
    pub(crate) compacted_up_to: Offsets,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckpointFile {
    RecoveryPoints,
    LogStartOffsets,
    HighWatermarks,
    /// Logs that were compacted, only.
    CompactedUpTo,
}

impl CheckpointFile {
    pub(crate) const ALL: [CheckpointFile; 4] = [
        CheckpointFile::RecoveryPoints,
        CheckpointFile::LogStartOffsets,
        CheckpointFile::HighWatermarks,
        CheckpointFile::CompactedUpTo,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            CheckpointFile::RecoveryPoints => RECOVERY_POINTS,
            CheckpointFile::LogStartOffsets => LOG_START_OFFSETS,
            CheckpointFile::HighWatermarks => HIGH_WATERMARKS,
            CheckpointFile::CompactedUpTo => COMPACTED_UP_TO,
        }
    }
}

impl Checkpoints {
    pub(crate) fn of(&mut self, file: CheckpointFile) -> &mut Offsets {
        match file {
            CheckpointFile::RecoveryPoints => &mut self.recovery_points,
            CheckpointFile::LogStartOffsets => &mut self.log_start_offsets,
            CheckpointFile::HighWatermarks => &mut self.high_watermarks,
            CheckpointFile::CompactedUpTo => &mut self.compacted_up_to,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) path: PathBuf,
    pub(crate) directory_id: Uuid,
    pub(crate) files: Arc<FileCache>,
    kv: LazyKv,
    offline: AtomicBool,
    /// The reserve holds its room.
    reserve: Mutex<bool>,
    /// Index entries in memory, of all logs.
    index_entries: AtomicUsize,
    checkpoints: Mutex<Checkpoints>,
}

impl Shared {
    pub(crate) fn new(
        fs: Arc<dyn Fs>,
        path: PathBuf,
        directory_id: Uuid,
        open_files_max: usize,
        kv: LazyKv,
        checkpoints: Checkpoints,
    ) -> Shared {
        let shared = Shared {
            files: Arc::new(FileCache::new(Arc::clone(&fs), open_files_max)),
            fs,
            path,
            directory_id,
            kv,
            offline: AtomicBool::new(false),
            reserve: Mutex::new(false),
            index_entries: AtomicUsize::new(0),
            checkpoints: Mutex::new(checkpoints),
        };
        shared.take_reserve();
        shared
    }

    /// Takes the reserve's room, where it is not taken and there is room.
    pub(crate) fn take_reserve(&self) {
        let mut held = self.reserve.lock();
        if *held || self.is_offline() {
            return;
        }
        let path = self.path.join(RESERVE);
        let taken = self
            .fs
            .open(&path, OpenMode::Create)
            .and_then(|file| file.reserve(RESERVE_BYTES));
        *held = taken.is_ok();
        if let Err(error) = taken {
            debug!(%error, "no room for the reserve");
            // An empty file holds nothing; it is made again with the next try.
            let _ = self.fs.remove_file(&path);
        }
    }

    /// Gives the reserve's room back to the disk; says whether there was some.
    pub(crate) fn release_reserve(&self) -> bool {
        let mut held = self.reserve.lock();
        let released = *held && self.fs.remove_file(&self.path.join(RESERVE)).is_ok();
        *held &= !released;
        if released {
            warn!(directory = %self.path.display(), "the disk is full: uses the reserve");
        }
        released
    }

    /// Writes something that makes room; on a full disk, with the help of the reserve.
    pub(crate) fn with_reserve(&self, write: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
        match write() {
            Err(Error::NoSpace { .. }) if self.release_reserve() => write(),
            result => result,
        }
    }

    pub(crate) fn kv(&self) -> &Kv {
        self.kv.get()
    }

    /// Closes the views; the logs that are still held do without.
    pub(crate) fn close_kv(&self) {
        self.kv.close();
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Acquire)
    }

    pub(crate) fn check_online(&self) -> Result<(), Error> {
        if self.is_offline() {
            return Err(Error::Offline {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    fn sync_failed(&self, path: &Path, source: std::io::Error) -> Error {
        if !self.offline.swap(true, Ordering::AcqRel) {
            error!(
                directory = %self.path.display(), file = %path.display(), error = %source,
                "a sync failed: the log directory goes offline"
            );
        }
        Error::io("sync", path, source)
    }

    /// Makes a file durable, or takes the directory offline.
    pub(crate) fn sync_file(&self, file: &dyn FsFile, path: &Path) -> Result<(), Error> {
        self.check_online()?;
        file.sync_data()
            .map_err(|error| self.sync_failed(path, error))
    }

    /// Makes the names in a folder durable, or takes the directory offline.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
        self.check_online()?;
        self.fs
            .sync_dir(folder)
            .map_err(|error| self.sync_failed(folder, error))
    }

    pub(crate) fn replace_file(
        &self,
        path: &Path,
        content: &[u8],
        durable: Durable,
    ) -> Result<(), Error> {
        self.check_online()?;
        replace_file(&*self.fs, path, content, durable).map_err(|error| match error {
            ReplaceError::Io(error) => Error::io("write", path, error),
            ReplaceError::Sync(error) => self.sync_failed(path, error),
        })
    }

    pub(crate) fn checkpointed(
        &self,
        file: CheckpointFile,
        log: &TopicPartition,
    ) -> Option<Offset> {
        self.checkpoints.lock().of(file).get(log).copied()
    }

    /// Changes a checkpoint file; returns when the change is durable. Writes nothing where nothing
    /// changes.
    pub(crate) fn update_checkpoint(
        &self,
        file: CheckpointFile,
        change: impl FnOnce(&mut Offsets),
    ) -> Result<(), Error> {
        let mut checkpoints = self.checkpoints.lock();
        let current = checkpoints.of(file);
        let mut changed = current.clone();
        change(&mut changed);
        if *current == changed {
            return Ok(());
        }
        let content = render_offsets(&changed);
        self.replace_file(
            &self.path.join(file.name()),
            content.as_bytes(),
            Durable::Yes,
        )?;
        *current = changed;
        Ok(())
    }

    /// Forgets logs in all checkpoint files, durably.
    pub(crate) fn forget_checkpoints(&self, logs: &[&TopicPartition]) -> Result<(), Error> {
        self.with_reserve(|| {
            for file in CheckpointFile::ALL {
                self.update_checkpoint(file, |offsets| {
                    for log in logs {
                        offsets.remove(*log);
                    }
                })?;
            }
            Ok(())
        })
    }

    /// Counts index entries that came into memory; says whether there are too many.
    pub(crate) fn index_entries_added(&self, count: usize) -> bool {
        self.index_entries.fetch_add(count, Ordering::Relaxed) + count > INDEX_ENTRIES_MAX
    }

    pub(crate) fn index_entries_removed(&self, count: usize) {
        self.index_entries.fetch_sub(count, Ordering::Relaxed);
    }
}
