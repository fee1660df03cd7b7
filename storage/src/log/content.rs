//! What a log holds at one moment, kept beside it so that the log can be put back to it.
//!
//! Invariant: kept files are second names of segments, of which nobody changes a byte below the
//! kept size. Only what was sealed is ever linked back; the rest is copied, since it is written on.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use protocol::{Offset, TopicId};
use tracing::{debug, warn};

use super::aborted::{self, ABORTED};
use super::leader_epochs::EpochEntry;
use super::producer_state::Producers;
use super::roll::snapshot_name;
use super::segment::file_name;
use super::{AbortedTransaction, Log, snapshot};
use crate::checkpoint::{
    LEADER_EPOCHS, PARTITION_METADATA, render_epochs, render_partition_metadata,
};
use crate::error::Error;
use crate::fs::{Durable, Fs, OpenMode, copy_file};
use crate::shared::Shared;

/// An active segment that is larger is rolled when it is kept: it can then be linked back.
const COPIED_BYTES_MAX: u64 = 4 << 20;

/// What a log held at one moment. Dropping it removes the kept files.
pub struct LogContent {
    fs: Arc<dyn Fs>,
    /// `None` where there is nothing to keep.
    folder: Option<PathBuf>,
    /// Base offset and size, the last one the active segment.
    segments: Vec<(Offset, u64)>,
    log_start: Offset,
    log_end: Offset,
    compactions: u64,
    epochs: Vec<EpochEntry>,
    aborted: Vec<AbortedTransaction>,
    /// Open transactions; producers outside of them are forgotten when the log is put back, so
    /// that those that live on may go on with any sequence.
    producers: Producers,
    /// The log that had this content when it was last looked at.
    of: Mutex<Weak<Log>>,
}

impl Drop for LogContent {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && let Err(error) = self.fs.remove_dir_all(folder)
        {
            debug!(folder = %folder.display(), %error, "kept files stay until the next start");
        }
    }
}

impl LogContent {
    /// Where the log began and ended.
    pub fn offsets(&self) -> (Offset, Offset) {
        (self.log_start, self.log_end)
    }

    /// The base offset of the first segment.
    pub(crate) fn first_segment(&self) -> Offset {
        let first = self.segments.first();
        first.map_or(Offset::ZERO, |(base_offset, _)| *base_offset)
    }

    /// Whether the log has had this content ever since. Logs are only appended to, cut at the
    /// start, compacted, or put back.
    pub(crate) fn is_still_in(&self, log: &Arc<Log>) -> bool {
        Weak::ptr_eq(&self.of.lock(), &Arc::downgrade(log))
            && log.log_end_offset() == self.log_end
            && log.log_start_offset() == self.log_start
            && log.compactions.load(Ordering::Acquire) == self.compactions
    }

    pub(crate) fn is_now_in(&self, log: &Arc<Log>) {
        *self.of.lock() = Arc::downgrade(log);
    }

    /// Makes a log's folder that holds this, under a name that is none of a log yet.
    pub(crate) fn lay_out(
        &self,
        shared: &Shared,
        folder: &Path,
        topic_id: TopicId,
    ) -> Result<(), Error> {
        shared
            .fs
            .create_dir_all(folder)
            .map_err(|error| Error::io("create", folder, error))?;
        let write = |name: &str, content: &[u8]| {
            shared.replace_file(&folder.join(name), content, Durable::No)
        };
        write(
            PARTITION_METADATA,
            render_partition_metadata(topic_id).as_bytes(),
        )?;
        self.lay_out_segments(shared, folder)?;
        if self.log_end > Offset::ZERO {
            write(LEADER_EPOCHS, render_epochs(&self.epochs).as_bytes())?;
            let producers = snapshot::encode_file(self.producers.entries());
            write(&snapshot_name(self.log_end), &producers)?;
        }
        if !self.aborted.is_empty() {
            write(ABORTED, &aborted::encode(&self.aborted))?;
        }
        Ok(())
    }

    fn lay_out_segments(&self, shared: &Shared, folder: &Path) -> Result<(), Error> {
        let Some(((active, size), sealed)) = self.segments.split_last() else {
            return Ok(());
        };
        let kept = self.folder.as_deref().unwrap_or(Path::new(""));
        for (base_offset, size) in sealed {
            let name = file_name(*base_offset);
            let (from, to) = (kept.join(&name), folder.join(&name));
            if shared.fs.hard_link(&from, &to).is_err() {
                // A file system without second names.
                copy(shared, &from, &to, *size)?;
            }
        }
        let name = file_name(*active);
        copy(shared, &kept.join(&name), &folder.join(&name), *size)
    }
}

fn copy(shared: &Shared, from: &Path, to: &Path, size: u64) -> Result<(), Error> {
    let copied = if size == 0 {
        shared.fs.open(to, OpenMode::Create).map(drop)
    } else {
        copy_file(&*shared.fs, from, to, size)
    };
    copied.map_err(|error| Error::io("copy", from, error))
}

impl Log {
    /// Keeps what the log holds now, in a folder of its own that does not exist yet.
    pub(crate) fn keep(self: &Arc<Log>, folder: &Path) -> Result<LogContent, Error> {
        let mut writer = self.writer()?;
        if self.end.lock().position > COPIED_BYTES_MAX {
            self.roll(&mut writer)?;
        }
        let end = self.end.lock().clone();
        let is_empty = end.offset == Offset::ZERO;
        let fs = Arc::clone(&self.shared.fs);
        let mut content = LogContent {
            folder: (!is_empty).then(|| folder.to_owned()),
            segments: Vec::new(),
            log_start: self.log_start_offset(),
            log_end: end.offset,
            compactions: self.compactions.load(Ordering::Acquire),
            epochs: self.epochs.lock().entries().to_vec(),
            aborted: self.aborted.lock().clone(),
            producers: writer.producers.in_transactions(),
            of: Mutex::new(Arc::downgrade(self)),
            fs,
        };
        if is_empty {
            return Ok(content);
        }
        let create = self.shared.fs.create_dir_all(folder);
        create.map_err(|error| Error::io("create", folder, error))?;
        for segment in self.all_segments() {
            let is_active = segment.base_offset == end.segment.base_offset;
            let size = if is_active {
                end.position
            } else {
                segment.size()
            };
            content.segments.push((segment.base_offset, size));
            if size == 0 {
                continue;
            }
            let from = segment.file.path();
            let to = folder.join(file_name(segment.base_offset));
            if self.shared.fs.hard_link(&from, &to).is_err() {
                copy(&self.shared, &from, &to, size)?;
            }
        }
        Ok(content)
    }

    /// Takes no writes any more, because another log takes its place; says whether the view had
    /// rows of it.
    pub(crate) fn close_for_put_back(&self) -> bool {
        let _turn = self.sync.turn();
        self.writer.lock().open = false;
        match self.shared.kv().delete_log_if_known(self.id) {
            Ok(had_rows) => had_rows,
            Err(error) => {
                warn!(log = %self.topic_partition, %error, "rows of the former log stay");
                false
            }
        }
    }
}
