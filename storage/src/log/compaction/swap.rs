//! A compacted file takes the place of the segments it was made of.
//!
//! Invariant: at any crash the log's folder holds the old segments, or a `.swap` file that says by its
//! name which offsets it replaces and is whole and durable; the next start then finishes what was begun.
//!
//! ```text
//! 00…0.log.cleaned   being written            (removed at the next start)
//! 00…0-00…57.swap    replaces 0 up to 57      (finished at the next start)
//! 00…0.log.8.deleted a former segment         (removed when nobody reads it)
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use protocol::{Offset, Timestamp};
use tracing::{info, warn};

use super::transactions::Gone;
use crate::error::Error;
use crate::kv::LogId;
use crate::log::file::SegmentFile;
use crate::log::segment::{Segment, file_name};
use crate::log::{Log, Writer};
use crate::shared::Shared;

/// How the name of a file ends that is not whole yet.
pub(crate) const CLEANED: &str = ".cleaned";
const SWAP: &str = ".swap";

fn swap_name(base_offset: Offset, end: Offset) -> String {
    format!("{:020}-{:020}{SWAP}", base_offset.0, end.0)
}

/// What was written, and for which segments.
pub(super) struct Replacement<'a> {
    pub(super) group: &'a [Arc<Segment>],
    pub(super) end: Offset,
    pub(super) cleaned: PathBuf,
    pub(super) size: u64,
    pub(super) gone: Gone,
}

/// A swap that a crash left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    base_offset: Offset,
    end: Offset,
    size: u64,
}

impl Swap {
    pub(crate) fn of_name(name: &str, size: u64) -> Option<Swap> {
        let (base_offset, end) = name.strip_suffix(SWAP)?.split_once('-')?;
        Some(Swap {
            base_offset: Offset(base_offset.parse().ok()?),
            end: Offset(end.parse().ok()?),
            size,
        })
    }

    /// Finishes it, before the log is opened.
    pub(crate) fn finish(
        &self,
        shared: &Shared,
        folder: &Path,
        log: LogId,
        segments: &mut Vec<(Offset, u64)>,
    ) -> Result<(), Error> {
        let replaced = |base_offset: Offset| (self.base_offset..self.end).contains(&base_offset);
        for (base_offset, _) in segments.extract_if(.., |(base_offset, _)| replaced(*base_offset)) {
            if let Err(error) = shared.kv().delete_segment(log, base_offset) {
                warn!(%error, "rows of a compacted segment stay");
            }
            if base_offset > self.base_offset {
                let path = folder.join(file_name(base_offset));
                let removed = shared.fs.remove_file(&path);
                removed.map_err(|error| Error::io("remove", path, error))?;
            }
        }
        let from = folder.join(swap_name(self.base_offset, self.end));
        let to = folder.join(file_name(self.base_offset));
        let renamed = shared.fs.rename(&from, &to);
        renamed.map_err(|error| Error::io("rename", &from, error))?;
        shared.sync_folder(folder)?;
        segments.push((self.base_offset, self.size));
        segments.sort_unstable();
        info!(file = %to.display(), end = %self.end, "finished a compaction");
        Ok(())
    }
}

impl Log {
    /// Tombstones and markers below it may be gone: who knows the log only from below it has missed them.
    pub fn tombstones_gone_below(&self) -> Result<Offset, Error> {
        Ok(self
            .shared
            .kv()
            .tombstones_gone(self.id)?
            .unwrap_or_default())
    }

    /// Puts a compacted file in the place of its segments.
    pub(super) fn replace(&self, replacement: &Replacement<'_>) -> Result<(), Error> {
        let _cleanup = self.cleanup.lock();
        self.check_still_there(replacement)?;
        let index = self.index();
        for segment in replacement.group {
            segment.detach(index);
        }
        let result = self.swap(replacement);
        match result {
            Ok(new) => {
                self.shared.sync_folder(&self.folder())?;
                new.learn(self.index())
            }
            Err(error) => {
                for segment in replacement.group {
                    segment.attach();
                }
                Err(error)
            }
        }
    }

    /// Retention, a truncation or a reset may have been there first.
    fn check_still_there(&self, replacement: &Replacement<'_>) -> Result<(), Error> {
        let open = self.writer.lock().open;
        let segments = self.segments.read();
        let is_there = |segment: &Arc<Segment>| {
            let found = segments.get(&segment.base_offset);
            found.is_some_and(|found| Arc::ptr_eq(found, segment))
        };
        if open && replacement.group.iter().all(is_there) {
            return Ok(());
        }
        Err(Error::Closed {
            topic_partition: self.topic_partition.clone(),
        })
    }

    fn swap(&self, replacement: &Replacement<'_>) -> Result<Arc<Segment>, Error> {
        let base_offset = replacement
            .group
            .first()
            .map_or(replacement.end, |first| first.base_offset);
        self.note_what_goes(replacement)?;
        let folder = self.folder();
        let swap = swap_name(base_offset, replacement.end);
        let renamed = self
            .shared
            .fs
            .rename(&replacement.cleaned, &folder.join(&swap));
        renamed.map_err(|error| Error::io("rename", &replacement.cleaned, error))?;
        self.shared.sync_folder(&folder)?;
        let file = SegmentFile::new(
            base_offset,
            Arc::clone(&self.folder),
            swap,
            Arc::clone(&self.shared.files),
        );
        let new = Arc::new(Segment::found(base_offset, file, replacement.size));
        new.set_checked_from(0);
        let mut writer = self.writer()?;
        let swapped = self.rename_all(&mut writer, replacement, &new);
        if swapped.is_err() {
            // Half of it is done: the next start does the rest.
            writer.open = false;
        }
        swapped.map(|()| new)
    }

    /// No row of a former segment may be taken for one of the new, no view of a coordinator that missed
    /// a tombstone may be believed, and no transaction be named whose marker is gone, even after a crash.
    fn note_what_goes(&self, replacement: &Replacement<'_>) -> Result<(), Error> {
        let kv = self.shared.kv();
        for segment in replacement.group {
            kv.delete_segment(self.id, segment.base_offset)?;
        }
        let gone = self.tombstones_gone_below()?;
        if replacement.gone.below > gone {
            kv.put_tombstones_gone(self.id, replacement.gone.below)?;
        }
        kv.flush()?;
        if let Some(last) = replacement.gone.last_marker {
            // By an older snapshot of the producers its transaction would be open for ever.
            self.remove_snapshots(|snapshot| snapshot <= last);
        }
        let mut writer = self.writer()?;
        self.forget_aborted(&mut writer, &replacement.gone.abort_markers)
    }

    fn rename_all(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        replacement: &Replacement<'_>,
        new: &Arc<Segment>,
    ) -> Result<(), Error> {
        let fs = &*self.shared.fs;
        for segment in replacement.group {
            segment.file.rename(fs, segment.deleted_name())?;
        }
        new.file.rename(fs, file_name(new.base_offset))?;
        let mut segments = self.segments.write();
        for segment in replacement.group {
            segments.remove(&segment.base_offset);
            writer.deleted.push((Timestamp(0), Arc::clone(segment)));
        }
        segments.insert(new.base_offset, Arc::clone(new));
        // A reader that went from one segment to the next meanwhile finds out, and reads again.
        self.compactions.fetch_add(1, Ordering::AcqRel);
        drop(segments);
        self.remembered.lock().clear();
        Ok(())
    }
}
