//! A new active segment, when the old one is full, old, or cannot count so far.
//!
//! Invariant: a segment's base offset is the log's end when it is made, and what is written down
//! of the producers at that moment is named after it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::{Offset, Timestamp};
use tracing::{debug, warn};

use super::file::SegmentFile;
use super::segment::{Segment, file_name};
use super::{Log, LogEnd, Writer, snapshot};
use crate::config::LogConfig;
use crate::error::Error;
use crate::fs::{Durable, OpenMode};

/// Positions in a segment are 32 bits in the index, as in upstream's.
const POSITION_MAX: u64 = i32::MAX as u64;

pub(super) fn snapshot_name(offset: Offset) -> String {
    format!("{:020}.snapshot", offset.0)
}

impl Log {
    /// Rolls if a batch of this size does not belong into the active segment any more.
    pub(super) fn roll_before(
        &self,
        writer: &mut Writer,
        size: usize,
        max_timestamp: Option<Timestamp>,
        last_offset: Offset,
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<(), Error> {
        let end = self.end.lock().clone();
        let room = u64::from(config.segment_bytes).min(POSITION_MAX);
        let full = end.position + size as u64 > room;
        let too_far = last_offset - end.segment.base_offset > i64::from(i32::MAX);
        let timestamp = max_timestamp.unwrap_or(Timestamp::NONE);
        let old = end.position > 0 && self.is_old(writer, &end, timestamp, config, now)?;
        // An empty segment is as good as a new one, unless it begins too far below.
        if too_far || ((full || old) && end.position > 0) {
            self.roll(writer)?;
            writer.active_since = Some(now);
        }
        Ok(())
    }

    /// Upstream compares the batch with the segment's first one; without timestamps, with the clock.
    fn is_old(
        &self,
        writer: &Writer,
        end: &LogEnd,
        timestamp: Timestamp,
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let limit = config.roll_ms().saturating_sub(writer.roll_jitter_ms);
        let first = end.segment.first_timestamp()?.filter(|first| first.0 >= 0);
        let waited = match (first, writer.active_since) {
            (Some(first), _) => timestamp.0.saturating_sub(first.0),
            (None, Some(since)) => now.0.saturating_sub(since.0),
            (None, None) => 0,
        };
        Ok(waited > limit)
    }

    /// Starts a new segment, unless the active one is empty; says whether it did. A broker never does
    /// so by the clock, as upstream: what is in the active segment is not compacted.
    pub fn seal_active(&self) -> Result<bool, Error> {
        let mut writer = self.writer()?;
        if self.end.lock().position == 0 {
            return Ok(false);
        }
        self.roll(&mut writer)?;
        Ok(true)
    }

    /// Starts a new active segment at the end of the log.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<Arc<Segment>, Error> {
        let end = self.end.lock().clone();
        let active = self.create_segment(end.offset)?;
        if writer.torn || self.config().preallocate {
            // Nobody appends to it any more: what is behind the end must not be found later, and
            // what was reserved is given back.
            let file = end.segment.file.open()?;
            let path = end.segment.file.path();
            file.set_len(end.position)
                .map_err(|error| Error::io("cut", path, error))?;
            writer.torn = false;
        }
        end.segment.seal(self.index());
        self.segments
            .write()
            .insert(end.offset, Arc::clone(&active));
        *self.end.lock() = LogEnd {
            offset: end.offset,
            segment: Arc::clone(&active),
            position: 0,
        };
        writer.active_since = None;
        self.write_snapshot(writer);
        debug!(log = %self.topic_partition, base_offset = %end.offset, "rolled a new segment");
        Ok(active)
    }

    /// Makes an empty segment file.
    pub(super) fn create_segment(&self, base_offset: Offset) -> Result<Arc<Segment>, Error> {
        let folder = self.folder();
        let name = file_name(base_offset);
        let path = folder.join(&name);
        let handle = self
            .shared
            .files
            .open(&path, OpenMode::Create)
            .map_err(|error| Error::io("create", path, error))?;
        let config = self.config();
        if config.preallocate && handle.reserve(u64::from(config.segment_bytes)).is_err() {
            debug!(log = %self.topic_partition, "no room to preallocate a segment");
        }
        let file = SegmentFile::new(
            base_offset,
            Arc::clone(&self.folder),
            name,
            Arc::clone(&self.shared.files),
        );
        file.set_handle(handle);
        self.names_dirty.store(true, Ordering::Release);
        // A segment of the same name may have been lost with its directory's last moments.
        if let Err(error) = self.shared.kv().delete_segment(self.id, base_offset) {
            debug!(%error, "rows of an older segment stay");
        }
        Ok(Arc::new(Segment::new(base_offset, file)))
    }

    /// Writes down the producers as of the end of the log. A failure costs a longer start.
    pub(super) fn write_snapshot(&self, writer: &mut Writer) {
        let offset = writer.producers.end();
        if offset <= writer.snapshot_offset {
            return;
        }
        let path = self.snapshot_path(offset);
        let content = snapshot::encode_file(writer.producers.entries());
        let written = self
            .secure_aborted(writer)
            .and_then(|()| self.shared.replace_file(&path, &content, Durable::No));
        match written {
            Ok(()) => writer.snapshot_offset = offset,
            Err(error) => warn!(log = %self.topic_partition, %error, "no producer snapshot"),
        }
        self.write_producer_row(writer);
    }

    /// As `write_snapshot`, into the view.
    pub(super) fn write_producer_row(&self, writer: &mut Writer) {
        let offset = writer.producers.end();
        if offset == writer.producer_row_offset {
            return;
        }
        let row = snapshot::encode_row(writer.producers.entries());
        let written = self
            .secure_aborted(writer)
            .and_then(|()| self.shared.kv().put_producer_state(self.id, offset, &row));
        match written {
            Ok(()) => writer.producer_row_offset = offset,
            Err(error) => debug!(%error, "the producer state is not in the view"),
        }
    }

    pub(super) fn snapshot_path(&self, offset: Offset) -> PathBuf {
        self.folder.read().join(snapshot_name(offset))
    }
}
