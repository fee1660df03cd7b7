//! Durability: group commit, and the recovery point.
//!
//! Invariant: the recovery point moves only behind a sync that succeeded, and truncation never runs
//! beside a sync.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use protocol::{Offset, Timestamp};

use super::segment::Segment;
use super::{Log, LogEnd};
use crate::checkpoint::{LEADER_EPOCHS, render_epochs};
use crate::error::Error;
use crate::fs::{Durable, OpenMode};

/// Lets one thread sync at a time; the others wait for its result.
#[derive(Default)]
pub(super) struct SyncGate {
    running: Mutex<bool>,
    changed: Condvar,
}

/// The right to sync or to truncate.
pub(super) struct SyncTurn<'a> {
    gate: &'a SyncGate,
}

impl Drop for SyncTurn<'_> {
    fn drop(&mut self) {
        *self.gate.running.lock() = false;
        self.gate.changed.notify_all();
    }
}

impl SyncGate {
    /// Waits for a turn, unless what is wanted comes true meanwhile.
    fn turn_unless(&self, done: impl Fn() -> bool) -> Option<SyncTurn<'_>> {
        let mut running = self.running.lock();
        loop {
            if done() {
                return None;
            }
            if !*running {
                *running = true;
                return Some(SyncTurn { gate: self });
            }
            self.changed.wait(&mut running);
        }
    }

    pub(super) fn turn(&self) -> SyncTurn<'_> {
        let mut running = self.running.lock();
        while *running {
            self.changed.wait(&mut running);
        }
        *running = true;
        SyncTurn { gate: self }
    }
}

impl Log {
    /// Returns when everything below an offset (or the end of the log) is durable.
    ///
    /// One sync serves all that wait: whoever comes while one runs waits for the next.
    pub fn sync_to(&self, offset: Offset) -> Result<(), Error> {
        let wanted = offset.min(self.log_end_offset());
        let done = || self.recovery_point() >= wanted || self.shared.is_offline();
        let turn = self.sync.turn_unless(done);
        self.shared.check_online()?;
        match turn {
            Some(turn) => self.sync_all(&turn),
            None => Ok(()),
        }
    }

    /// Syncs when a message waits for it longer than `flush.ms`.
    pub fn sync_if_due(&self, now: Timestamp) -> Result<bool, Error> {
        let since = self.writer.lock().unsynced_since;
        let flush_ms = self.config().flush_ms;
        if since.is_none_or(|since| now.0.saturating_sub(since.0) < flush_ms) {
            return Ok(false);
        }
        self.sync_to(self.log_end_offset())?;
        Ok(true)
    }

    /// Syncs everything there is at the moment.
    pub(super) fn sync_all(&self, _turn: &SyncTurn<'_>) -> Result<(), Error> {
        let end = {
            let mut writer = self.writer.lock();
            writer.unsynced_messages = 0;
            writer.unsynced_since = None;
            self.end.lock().clone()
        };
        self.sync_below(&end, true)
    }

    /// Syncs the segments that are no longer written to.
    pub(super) fn sync_sealed(&self) -> Result<(), Error> {
        let end = self.end.lock().clone();
        if self.recovery_point() >= end.segment.base_offset {
            return Ok(());
        }
        let _turn = self.sync.turn();
        let end = self.end.lock().clone();
        self.sync_below(&end, false)
    }

    fn sync_below(&self, end: &LogEnd, with_active: bool) -> Result<(), Error> {
        let from = self.recovery_point();
        let first = self
            .segment_at(from)
            .map_or(from, |segment| segment.base_offset);
        let mut point = end.segment.base_offset;
        let segments = self
            .segments
            .read()
            .range(first..)
            .map(|(_, s)| s.clone())
            .collect::<Vec<_>>();
        for segment in segments {
            if segment.base_offset < end.segment.base_offset {
                self.sync_segment(&segment)?;
            }
        }
        if with_active {
            self.shared
                .sync_file(&*end.segment.file.open()?, &end.segment.file.path())?;
            point = end.offset;
        }
        self.sync_snapshot(end.segment.base_offset)?;
        self.write_epochs(Durable::WithFolder)?;
        self.sync_names()?;
        self.recovery_point.fetch_max(point.0, Ordering::AcqRel);
        Ok(())
    }

    fn sync_segment(&self, segment: &Segment) -> Result<(), Error> {
        match segment.file.open() {
            Ok(file) => self.shared.sync_file(&*file, &segment.file.path()),
            // Retention was faster.
            Err(_) if !self.segments.read().contains_key(&segment.base_offset) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The snapshot that was written when a segment began tells of segments that may go.
    fn sync_snapshot(&self, base_offset: Offset) -> Result<(), Error> {
        if self.recovery_point() >= base_offset {
            return Ok(());
        }
        let path = self.snapshot_path(base_offset);
        match self.shared.fs.open(&path, OpenMode::ReadWrite) {
            Ok(file) => self.shared.sync_file(&*file, &path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("open", path, error)),
        }
    }

    /// Makes the names in the log's folder durable, and the folder's own.
    fn sync_names(&self) -> Result<(), Error> {
        self.sync_once(&self.names_dirty, &self.folder())?;
        self.sync_once(&self.folder_dirty, &self.shared.path)
    }

    fn sync_once(&self, dirty: &AtomicBool, folder: &Path) -> Result<(), Error> {
        if !dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let synced = self.shared.sync_folder(folder);
        if synced.is_err() {
            dirty.store(true, Ordering::Release);
        }
        synced
    }

    /// Writes the leader epochs down where the file does not say the same.
    ///
    /// Before that a crash costs nothing: the batches behind the recovery point carry their epoch.
    pub(super) fn write_epochs(&self, durable: Durable) -> Result<(), Error> {
        let content = {
            let mut epochs = self.epochs.lock();
            if !epochs.take_dirty() {
                return Ok(());
            }
            render_epochs(epochs.entries())
        };
        let path = self.folder().join(LEADER_EPOCHS);
        let written = self.shared.replace_file(&path, content.as_bytes(), durable);
        if written.is_err() {
            self.epochs.lock().mark_dirty();
        } else if durable == Durable::WithFolder {
            self.names_dirty.store(true, Ordering::Release);
        }
        written
    }
}
