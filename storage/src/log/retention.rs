//! What goes when it is too old, too much, or below the start of the log.
//!
//! Invariant: whole segments only, oldest first, none that reaches beyond the high watermark. A
//! file is renamed first and removed when its delay is over and nobody reads it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use protocol::{Offset, Timestamp};
use tracing::{debug, info};

use super::segment::Segment;
use super::{Log, Writer};
use crate::config::LogConfig;
use crate::error::Error;
use crate::shared::CheckpointFile;

/// A deletion whose delay is over.
const LONG_AGO: Timestamp = Timestamp(i64::MIN / 2);

impl Log {
    /// Deletes what the settings no longer keep; returns how many segments went.
    ///
    /// Also forgets producers that were silent too long, and removes files whose delay is over.
    pub fn apply_retention(&self, now: Timestamp) -> Result<usize, Error> {
        let config = self.config();
        let _cleanup = self.cleanup.lock();
        let mut writer = self.writer()?;
        let expiration_ms = config.producer_id_expiration_ms;
        writer.producers.remove_expired(now, expiration_ms);
        writer.verifications.remove_expired(now, expiration_ms);
        let mut count = self.delete_below_start(&mut writer, now)?;
        if config.cleanup.delete {
            count += self.delete_by_size(&mut writer, &config, now)?;
            count += self.delete_by_time(&mut writer, &config, now)?;
        }
        self.purge(&mut writer, &config, now);
        Ok(count)
    }

    /// Moves the start of the log up, for DeleteRecords. Durable when it returns.
    pub fn advance_log_start(&self, to: Offset) -> Result<(), Error> {
        let _cleanup = self.cleanup.lock();
        let mut writer = self.writer()?;
        let log_start_offset = self.log_start_offset();
        let limit = self.high_watermark_checkpoint();
        if to > limit {
            let topic_partition = self.topic_partition.clone();
            return Err(Error::OffsetOutOfRange {
                topic_partition,
                offset: to,
                log_start_offset,
                limit,
            });
        }
        if to <= log_start_offset {
            return Ok(());
        }
        self.shared.with_reserve(|| {
            self.shared
                .update_checkpoint(CheckpointFile::LogStartOffsets, |offsets| {
                    offsets.insert(self.topic_partition.clone(), to);
                })
        })?;
        self.set_log_start(&mut writer, to);
        // Whoever asks for records to be deleted wants the room: no delay but for readers.
        self.delete_below_start(&mut writer, LONG_AGO)?;
        self.purge(&mut writer, &self.config(), Timestamp(0));
        Ok(())
    }

    fn set_log_start(&self, writer: &mut Writer, to: Offset) {
        self.log_start.fetch_max(to.0, Ordering::AcqRel);
        self.high_watermark.fetch_max(to.0, Ordering::AcqRel);
        self.epochs.lock().truncate_from_start(to);
        self.forget_aborted_below(writer, to);
    }

    fn delete_below_start(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        now: Timestamp,
    ) -> Result<usize, Error> {
        let start = self.log_start_offset();
        self.delete_while(writer, now, "log start offset", |_, next| {
            Ok(next.is_some_and(|next| next <= start))
        })
    }

    fn delete_by_size(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<usize, Error> {
        let Ok(limit) = u64::try_from(config.retention_bytes) else {
            return Ok(0);
        };
        let Some(mut surplus) = self.size_in_bytes().checked_sub(limit) else {
            return Ok(0);
        };
        self.delete_while(writer, now, "retention.bytes", |segment, _| {
            match surplus.checked_sub(segment.size()) {
                Some(left) => {
                    surplus = left;
                    Ok(true)
                }
                None => Ok(false),
            }
        })
    }

    fn delete_by_time(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<usize, Error> {
        if config.retention_ms < 0 {
            return Ok(0);
        }
        self.delete_while(writer, now, "retention.ms", |segment, _| {
            let largest = self.largest_timestamp(segment)?;
            Ok(now.0.saturating_sub(largest.0) > config.retention_ms)
        })
    }

    /// Deletes the oldest segments as long as one may go. The predicate sees the segment and the
    /// base offset of the next.
    fn delete_while(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        now: Timestamp,
        reason: &'static str,
        mut may_go: impl FnMut(&Segment, Option<Offset>) -> Result<bool, Error>,
    ) -> Result<usize, Error> {
        let segments = self.all_segments();
        let high_watermark = self.high_watermark_checkpoint();
        let end = self.log_end_offset();
        let mut deletable = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            let next = segments.get(number + 1).map(|next| next.base_offset);
            let empty_active = next.is_none() && segment.size() == 0;
            if empty_active || high_watermark < next.unwrap_or(end) || !may_go(segment, next)? {
                break;
            }
            deletable.push(Arc::clone(segment));
        }
        let Some(last) = deletable.last() else {
            return Ok(0);
        };
        if deletable.len() == segments.len() {
            // A log has at least one segment.
            self.roll(writer)?;
        }
        let start = self
            .segment_after(last.base_offset)
            .map_or(end, |next| next.base_offset);
        self.set_log_start(writer, start);
        for segment in &deletable {
            self.delete_segment(writer, segment, now)?;
        }
        self.remove_snapshots_below(start);
        let count = deletable.len();
        info!(
            log = %self.topic_partition, count, log_start_offset = self.log_start_offset().0,
            reason, "deleted segments"
        );
        Ok(count)
    }

    fn delete_segment(
        &self,
        writer: &mut Writer,
        segment: &Arc<Segment>,
        now: Timestamp,
    ) -> Result<(), Error> {
        segment
            .file
            .rename(&*self.shared.fs, segment.deleted_name())?;
        self.segments.write().remove(&segment.base_offset);
        if let Err(error) = self
            .shared
            .kv()
            .delete_segment(self.id, segment.base_offset)
        {
            debug!(%error, "the index of a deleted segment stays");
        }
        writer.deleted.push((now, Arc::clone(segment)));
        Ok(())
    }

    /// Removes renamed files whose delay is over and that nobody reads.
    fn purge(&self, writer: &mut Writer, config: &LogConfig, now: Timestamp) {
        writer.deleted.retain(|(since, segment)| {
            let waits = now.0.saturating_sub(since.0) < config.file_delete_delay_ms;
            let is_read = Arc::strong_count(segment) > 1 || Arc::strong_count(&segment.file) > 1;
            if waits || is_read {
                return true;
            }
            let path = segment.file.path();
            match self.shared.fs.remove_file(&path) {
                Ok(()) => false,
                Err(error) => {
                    debug!(file = %path.display(), %error, "a deleted segment stays");
                    error.kind() != std::io::ErrorKind::NotFound
                }
            }
        });
    }
}
