//! What is left of a group of segments, as one file.
//!
//! Invariant: a batch that loses nothing is copied byte for byte; one that does keeps its offsets,
//! producer, sequence and epoch. The last batch of a producer stays, empty if need be.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use protocol::{BatchBuilder, BatchHeader, Offset, Record, RecordBatch, Timestamp};
use tracing::{debug, error};

use super::keys::is_aborted;
use super::swap::{CLEANED, Replacement};
use super::transactions::{Gone, Seen};
use super::{Pace, Run};
use crate::error::Error;
use crate::fs::{FsFile, OpenMode, write_all};
use crate::log::file::FileRange;
use crate::log::scan::{Check, Scanner, Step};
use crate::log::segment::{Segment, file_name};
use crate::log::{AbortedTransaction, Log};

/// What becomes of a batch.
pub(super) enum Left {
    AsItIs,
    Nothing,
    Less(RecordBatch),
}

/// So much is written before it is synced: a stop, and other syncs, wait no longer than for that.
const SYNC_BYTES: u64 = 8 << 20;

/// A file that is being written.
struct Target {
    file: Arc<dyn FsFile>,
    size: u64,
    synced: u64,
    gone: Gone,
}

impl Target {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        write_all(&*self.file, &mut [IoSlice::new(bytes)], self.size)
            .map_err(|error| Error::io("write", path, error))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn write_left(&mut self, path: &Path, batch: &RecordBatch, left: Left) -> Result<(), Error> {
        match left {
            Left::AsItIs => self.write(path, batch.bytes()),
            Left::Nothing => Ok(()),
            Left::Less(left) => self.write(path, left.bytes()),
        }
    }
}

impl Run<'_> {
    /// Whether a record is the last one of its key, as far as the keys are mapped.
    fn is_last(&self, record: &Record) -> bool {
        if record.offset >= self.end {
            return true;
        }
        // A record without a key came before the topic was compacted: nothing can ask for it.
        let Some(key) = record.key.as_deref() else {
            return false;
        };
        self.last.of(key).is_none_or(|last| record.offset >= last)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        header.producer.is_some_and(|producer| {
            let batches = &self.last_of_producers.batches;
            batches.contains(&(producer.id, header.last_offset()))
        })
    }

    /// Decides about each record of a batch of data.
    fn filter(
        &self,
        batch: &RecordBatch,
        is_aborted: bool,
        gone: &mut Gone,
    ) -> Result<Left, Error> {
        let header = batch.header();
        let is_over = header
            .delete_horizon()
            .is_some_and(|horizon| self.now >= horizon);
        let (mut kept, mut has_tombstone, mut count) = (Vec::new(), false, 0);
        for record in batch.records()? {
            let record = record?;
            count += 1;
            if is_aborted || !self.is_last(&record) {
                continue;
            }
            let is_tombstone = record.value.is_none() && record.offset < self.end;
            if is_tombstone && is_over {
                gone.at(record.offset);
                continue;
            }
            has_tombstone |= is_tombstone;
            kept.push(record);
        }
        let horizon = header.delete_horizon().or_else(|| {
            let horizon = self.now.0.saturating_add(self.config.delete_retention_ms);
            has_tombstone.then_some(Timestamp(horizon))
        });
        if kept.len() == count && horizon == header.delete_horizon() && count > 0 {
            return Ok(Left::AsItIs);
        }
        if kept.is_empty() && !self.is_last_of_producer(header) {
            return Ok(Left::Nothing);
        }
        let mut left = BatchBuilder::replacing(header, horizon)?;
        for record in &kept {
            left.keep(record);
        }
        Ok(Left::Less(left.build()))
    }
}

impl Log {
    /// Visits the batches of a sealed segment until the visitor says no.
    pub(super) fn each_batch(
        &self,
        segment: &Arc<Segment>,
        visit: &mut dyn FnMut(&RecordBatch) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let file = segment.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Crc, 0, segment.size());
        loop {
            let step = scanner
                .step()
                .map_err(|error| Error::io("read", segment.file.path(), error))?;
            let (position, len) = match step {
                Step::Batch { position, header } => (position, header.size_in_bytes()),
                Step::Invalid { position, error } => {
                    let file = segment.file.path();
                    error!(file = %file.display(), position, %error, "a segment is corrupt: not compacted");
                    return Err(self.unreadable(segment, position));
                }
                Step::End => return Ok(()),
            };
            let file = Arc::clone(&segment.file);
            let mut bytes = FileRange {
                file,
                position,
                len,
            }
            .read()?;
            if let Some(batch) = RecordBatch::split_first(&mut bytes)?
                && !visit(&batch)?
            {
                return Ok(());
            }
        }
    }

    /// Writes what is left of a group, and puts it in its place. Returns the sizes before and after.
    pub(super) fn compact_group(
        &self,
        run: &Run<'_>,
        group: &[Arc<Segment>],
        seen: &mut Seen,
        pace: &mut dyn Pace,
    ) -> Result<(u64, u64), Error> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok((0, 0));
        };
        let end = self
            .segment_after(last.base_offset)
            .map_or(run.end, |next| next.base_offset);
        let name = format!("{}{CLEANED}", file_name(first.base_offset));
        let path = self.folder().join(&name);
        let written = self.write_left(run, group, end, &path, (seen, pace));
        let result = written.and_then(|(size, gone)| {
            let replacement = Replacement {
                group,
                end,
                cleaned: path.clone(),
                size,
                gone,
            };
            self.replace(&replacement)?;
            Ok((group.iter().map(|it| it.size()).sum(), size))
        });
        if result.is_err()
            && let Err(error) = self.shared.fs.remove_file(&path)
        {
            debug!(file = %path.display(), %error, "nothing of a compaction is left to remove");
        }
        result
    }

    fn write_left(
        &self,
        run: &Run<'_>,
        group: &[Arc<Segment>],
        end: Offset,
        path: &Path,
        (seen, pace): (&mut Seen, &mut dyn Pace),
    ) -> Result<(u64, Gone), Error> {
        let file = self.shared.files.open(path, OpenMode::Create);
        let mut target = Target {
            file: file.map_err(|error| Error::io("create", path, error))?,
            size: 0,
            synced: 0,
            gone: Gone::default(),
        };
        let first = group.first().map_or(end, |it| it.base_offset);
        let aborted = self.aborted_transactions(first, end);
        for segment in group {
            self.each_batch(segment, &mut |batch| {
                pace.spent(batch.size_in_bytes())?;
                let size = target.size;
                let left = left(run, batch, &aborted, seen, &mut target.gone)?;
                target.write_left(path, batch, left)?;
                pace.spent(usize::try_from(target.size - size).unwrap_or(usize::MAX))?;
                if target.size - target.synced > SYNC_BYTES {
                    self.shared.sync_file(&*target.file, path)?;
                    target.synced = target.size;
                }
                Ok(true)
            })?;
        }
        self.shared.sync_file(&*target.file, path)?;
        Ok((target.size, target.gone))
    }
}

fn left(
    run: &Run<'_>,
    batch: &RecordBatch,
    aborted: &[AbortedTransaction],
    seen: &mut Seen,
    gone: &mut Gone,
) -> Result<Left, Error> {
    let header = batch.header();
    if header.base_offset >= run.end {
        return Ok(Left::AsItIs);
    }
    if header.attributes.is_control() {
        return run.filter_marker(batch, seen, gone);
    }
    seen.data(batch);
    run.filter(batch, is_aborted(header, aborted), gone)
}
