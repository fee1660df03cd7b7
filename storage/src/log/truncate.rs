//! Truncation: the one hook that drops every view above an offset.
//!
//! Invariant: what could bring the old records back (checkpoints, rows of the view) is gone, durably,
//! before the file is cut; no sync runs meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use protocol::Offset;
use tracing::{debug, info, warn};

use super::producer_state::Producers;
use super::roll::snapshot_name;
use super::scan::{Check, Scanner, Step};
use super::segment::Segment;
use super::verification::Verifications;
use super::{Log, LogEnd, Writer, snapshot};
use crate::error::Error;
use crate::fs::{Durable, read_file};
use crate::shared::CheckpointFile;

impl Log {
    /// Removes everything at or above an offset, which becomes the end of the log.
    ///
    /// A batch that holds the offset goes whole, and the log ends where it began. Does nothing where
    /// the log ends below. A log whose truncation fails takes no more writes.
    pub fn truncate_to(&self, offset: Offset) -> Result<(), Error> {
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        let first = self.segments.read().keys().next().copied();
        if first.is_none_or(|first| offset < first) {
            return self.truncate_fully_and_start_at(offset);
        }
        let _cleanup = self.cleanup.lock();
        let _turn = self.sync.turn();
        let mut writer = self.writer()?;
        info!(log = %self.topic_partition, offset = offset.0, "truncates the log");
        let result = self.truncate(&mut writer, offset);
        writer.open = result.is_ok();
        result
    }

    fn truncate(&self, writer: &mut MutexGuard<'_, Writer>, offset: Offset) -> Result<(), Error> {
        let Some(active) = self.segment_at(offset) else {
            return Ok(());
        };
        let (position, offset) = self.find_cut(&active, offset)?;
        self.lower_checkpoints(offset)?;
        self.forget_views(offset);
        // First what counts on the file of aborted transactions.
        self.remove_snapshots(|snapshot| snapshot > offset);
        self.cut_aborted(writer, offset)?;
        self.remove_segments_behind(&active)?;
        self.cut_segment(&active, position)?;
        *self.end.lock() = LogEnd {
            offset,
            segment: active,
            position,
        };
        writer.torn = false;
        self.log_start.fetch_min(offset.0, Ordering::AcqRel);
        self.high_watermark.fetch_min(offset.0, Ordering::AcqRel);
        self.recovery_point.fetch_min(offset.0, Ordering::AcqRel);
        self.compacted.fetch_min(offset.0, Ordering::AcqRel);
        self.remembered.lock().clear();
        self.epochs.lock().truncate_from_end(offset);
        self.write_epochs(Durable::No)?;
        self.reload_producers(writer, offset)?;
        // A removed segment or snapshot that came back would be taken for one of the new records.
        self.shared.sync_folder(&self.folder())
    }

    /// Removes everything; the log then starts and ends at an offset. Durable when it returns.
    pub fn truncate_fully_and_start_at(&self, offset: Offset) -> Result<(), Error> {
        let _cleanup = self.cleanup.lock();
        let _turn = self.sync.turn();
        let mut writer = self.writer()?;
        info!(log = %self.topic_partition, offset = offset.0, "starts the log anew");
        self.lower_checkpoints(Offset::ZERO)?;
        self.forget_views(Offset::ZERO);
        self.remove_snapshots(|_| true);
        self.cut_aborted(&mut writer, Offset::ZERO)?;
        let old = self.all_segments();
        for segment in &old {
            self.remove_segment_file(segment)?;
        }
        let active = self.create_segment(offset)?;
        {
            let mut segments = self.segments.write();
            segments.clear();
            segments.insert(offset, Arc::clone(&active));
        }
        *self.end.lock() = LogEnd {
            offset,
            segment: active,
            position: 0,
        };
        writer.torn = false;
        self.log_start.store(offset.0, Ordering::Release);
        self.high_watermark.store(offset.0, Ordering::Release);
        self.recovery_point.store(offset.0, Ordering::Release);
        self.compacted.store(0, Ordering::Release);
        self.remembered.lock().clear();
        self.epochs.lock().clear();
        self.write_epochs(Durable::Yes)?;
        writer.snapshot_offset = Offset(-1);
        writer.producers = Producers::starting_at(offset);
        writer.verifications = Verifications::default();
        self.publish_first_open(&writer);
        self.shared.sync_folder(&self.folder())?;
        for file in CheckpointFile::ALL {
            self.shared.update_checkpoint(file, |offsets| {
                if file == CheckpointFile::CompactedUpTo {
                    offsets.remove(&self.topic_partition);
                } else {
                    offsets.insert(self.topic_partition.clone(), offset);
                }
            })?;
        }
        Ok(())
    }

    /// After a crash a checkpoint above the end would be taken for records that were lost.
    fn lower_checkpoints(&self, offset: Offset) -> Result<(), Error> {
        for file in CheckpointFile::ALL {
            self.shared.update_checkpoint(file, |offsets| {
                if let Some(known) = offsets.get_mut(&self.topic_partition) {
                    *known = offset.min(*known);
                }
            })?;
        }
        Ok(())
    }

    /// Drops the rows of the view that tell of records at or above an offset.
    fn forget_views(&self, offset: Offset) {
        let kv = self.shared.kv();
        let mut result = kv.delete_producer_state(self.id);
        for segment in self.all_segments() {
            if segment.base_offset >= offset {
                result = result.and(kv.delete_segment(self.id, segment.base_offset));
            }
        }
        if let Err(error) = result.and_then(|()| kv.flush()) {
            // The rows are verified when they are used.
            warn!(log = %self.topic_partition, %error, "the view is not truncated");
        }
    }

    fn remove_segments_behind(&self, active: &Segment) -> Result<(), Error> {
        while let Some(segment) = self.segment_after(active.base_offset) {
            self.segments.write().remove(&segment.base_offset);
            self.remove_segment_file(&segment)?;
        }
        Ok(())
    }

    fn remove_segment_file(&self, segment: &Segment) -> Result<(), Error> {
        let path = segment.file.path();
        match self.shared.fs.remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("remove", path, error)),
        }
    }

    /// Where a segment is cut, and which offset the log then ends at.
    fn find_cut(&self, segment: &Segment, offset: Offset) -> Result<(u64, Offset), Error> {
        let file = segment.file.open()?;
        let start = if offset <= segment.base_offset {
            0
        } else {
            segment.position_by_offset(self.index(), offset)?
        };
        let mut scanner = Scanner::new(&*file, Check::Header, start, segment.size());
        let mut cut = start;
        while let Step::Batch { position, header } = scanner
            .step()
            .map_err(|error| Error::io("read", segment.file.path(), error))?
        {
            cut = position;
            if header.last_offset() >= offset {
                return Ok((cut, offset.min(header.base_offset)));
            }
            cut += header.size_in_bytes() as u64;
        }
        Ok((cut, offset))
    }

    fn cut_segment(&self, segment: &Arc<Segment>, size: u64) -> Result<(), Error> {
        let index = self.index();
        let path = segment.file.path();
        let file = segment.file.open()?;
        segment.set_size(size);
        let from = segment.forget_from(index, size)?;
        if let Err(error) = self.shared.kv().flush() {
            warn!(log = %self.topic_partition, %error, "the view is not truncated");
        }
        file.set_len(size)
            .map_err(|error| Error::io("cut", &path, error))?;
        // Old bytes must not show up behind new ones.
        self.shared.sync_file(&*file, &path)?;
        let mut scanner = Scanner::new(&*file, Check::Header, from, size);
        while let Step::Batch { position, header } = scanner
            .step()
            .map_err(|error| Error::io("read", &path, error))?
        {
            segment.note_batch(index, position, &header);
        }
        segment.set_complete();
        Ok(())
    }

    pub(super) fn remove_snapshots(&self, goes: impl Fn(Offset) -> bool) -> Vec<Offset> {
        let folder = self.folder();
        let mut kept = Vec::new();
        for entry in self.shared.fs.list(&folder).unwrap_or_default() {
            let digits = entry.name.strip_suffix(".snapshot");
            let Some(offset) = digits.and_then(|digits| digits.parse().ok()).map(Offset) else {
                continue;
            };
            if !goes(offset) {
                kept.push(offset);
            } else if let Err(error) = self.shared.fs.remove_file(&folder.join(&entry.name)) {
                debug!(%error, name = entry.name, "a producer snapshot stays");
            }
        }
        kept
    }

    /// Forgets producer snapshots below the start of the log, but for what the first segment needs.
    pub(super) fn remove_snapshots_below(&self, base_offset: Offset) {
        self.remove_snapshots(|offset| offset < base_offset);
    }

    /// The producers as of the new end: the newest snapshot below it, and the batches since.
    fn reload_producers(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        end: Offset,
    ) -> Result<(), Error> {
        let mut kept = self.remove_snapshots(|offset| offset > end);
        kept.sort_unstable();
        writer.snapshot_offset = Offset(-1);
        writer.producer_row_offset = Offset(-1);
        writer.producers = Producers::starting_at(Offset::ZERO);
        while let Some(offset) = kept.pop() {
            let path = self.folder().join(snapshot_name(offset));
            let content = read_file(&*self.shared.fs, &path).ok();
            if let Some(entries) = content.as_deref().and_then(snapshot::decode) {
                writer.producers = Producers::from_snapshot(offset, entries);
                writer.snapshot_offset = offset;
                break;
            }
        }
        let from = writer.producers.end();
        for segment in self.all_segments() {
            let next = self
                .segment_after(segment.base_offset)
                .map(|next| next.base_offset);
            if next.is_none_or(|next| next > from) {
                super::recovery::replay_segment(&mut writer.producers, &segment)?;
            }
        }
        writer.producers.set_end(end);
        writer.verifications = Verifications::default();
        self.publish_first_open(writer);
        Ok(())
    }
}
