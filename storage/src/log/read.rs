//! Reads: from an offset to a range of whole batches in a file.
//!
//! Invariant: takes no lock that is held while something is written; a position from the index or
//! from memory is verified before it is believed, and bytes that were there at the start are given
//! out only after their CRC was checked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::{BatchHeader, Offset};
use tracing::error;

use super::file::{FileRange, LogSlice};
use super::scan::{Check, Scanner, Step, header_at};
use super::segment::Segment;
use super::{Log, LogEnd};
use crate::error::{Error, ReadError};

/// Readers whose position is remembered, per log.
const REMEMBERED: usize = 16;

/// Where sequential readers go on.
#[derive(Default)]
pub(super) struct RememberedPositions {
    slots: [Option<Remembered>; REMEMBERED],
    next: usize,
}

#[derive(Clone, Copy)]
struct Remembered {
    offset: Offset,
    /// Its serial number: another one may take its place under the same base offset.
    segment: u64,
    position: u64,
}

impl RememberedPositions {
    fn find(&self, offset: Offset, segment: u64) -> Option<u64> {
        let of = |slot: &Remembered| slot.offset == offset && slot.segment == segment;
        self.slots
            .iter()
            .flatten()
            .find(|slot| of(slot))
            .map(|slot| slot.position)
    }

    fn remember(&mut self, remembered: Remembered) {
        let known =
            |slot: &Option<Remembered>| slot.is_some_and(|slot| slot.offset == remembered.offset);
        let at = self.slots.iter().position(known).unwrap_or(self.next);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(remembered);
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    pub(super) fn clear(&mut self) {
        *self = RememberedPositions::default();
    }
}

/// Whole batches between two positions of a segment.
struct Span {
    start: u64,
    end: u64,
    first_offset: Offset,
    next_offset: Offset,
}

/// What limits a read.
#[derive(Clone, Copy)]
struct Limits {
    /// No batch reaches it.
    offset: Offset,
    max_bytes: u64,
    at_least_one_batch: bool,
}

impl Log {
    /// Whole batches from the one that holds `from`, below `limit`, at most `max_bytes` of them.
    ///
    /// The first batch is given even if it is larger, where that is asked for. One read ends where
    /// its segment ends.
    pub fn read(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        at_least_one_batch: bool,
    ) -> Result<LogSlice, ReadError> {
        loop {
            let before = self.compactions.load(Ordering::Acquire);
            let found = self.read_once(from, limit, max_bytes, at_least_one_batch);
            if self.compactions.load(Ordering::Acquire) == before {
                return found;
            }
            // Segments were replaced: what lies behind one of them may have been passed over.
        }
    }

    fn read_once(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        at_least_one_batch: bool,
    ) -> Result<LogSlice, ReadError> {
        let end = self.end.lock().clone();
        let log_start_offset = self.log_start_offset();
        if from < log_start_offset || from > end.offset {
            let log_end_offset = end.offset;
            return Err(ReadError::OffsetOutOfRange {
                log_start_offset,
                log_end_offset,
            });
        }
        let limits = Limits {
            offset: limit.min(end.offset),
            max_bytes: max_bytes as u64,
            at_least_one_batch,
        };
        let mut segment = self.segment_at(from);
        while let Some(current) = segment.filter(|_| from < limits.offset) {
            if let Some(slice) = self.read_segment(&current, from, limits, &end)? {
                return Ok(slice);
            }
            // The rest of this segment lies below `from`.
            segment = self.segment_after(current.base_offset);
        }
        Ok(LogSlice::empty(from))
    }

    pub(super) fn unreadable(&self, segment: &Segment, position: u64) -> Error {
        Error::Unreadable {
            topic_partition: self.topic_partition.clone(),
            path: segment.file.path(),
            position,
        }
    }

    /// What a segment has; `None` when it ends below `from`.
    fn read_segment(
        &self,
        segment: &Arc<Segment>,
        from: Offset,
        limits: Limits,
        end: &LogEnd,
    ) -> Result<Option<LogSlice>, Error> {
        let is_active = segment.base_offset == end.segment.base_offset;
        let size = if is_active {
            end.position
        } else {
            segment.size()
        };
        let Some((start, first)) = self.find_batch(segment, from, size)? else {
            return Ok(None);
        };
        if first.next_offset() > end.offset {
            // Its offset lies outside the CRC: nothing that was written ends behind the log.
            let file = segment.file.path();
            error!(file = %file.display(), position = start, "a segment is corrupt: a wrong offset");
            return Err(self.unreadable(segment, start));
        }
        if first.next_offset() > limits.offset {
            return Ok(Some(LogSlice::empty(from)));
        }
        let first_size = first.size_in_bytes() as u64;
        let room = limits.max_bytes.max(if limits.at_least_one_batch {
            first_size
        } else {
            0
        });
        if first_size > room {
            return Ok(Some(LogSlice::empty(from)));
        }
        let whole = limits.offset == end.offset || !is_active;
        let span = if whole && size - start <= room && self.is_below(segment, limits.offset) {
            // All that is left of the segment.
            let behind = self
                .segment_after(segment.base_offset)
                .filter(|_| !is_active);
            let next_offset = behind.map_or(end.offset, |behind| behind.base_offset);
            Span {
                start,
                end: size,
                first_offset: first.base_offset,
                next_offset,
            }
        } else {
            self.find_end(segment, (start, first), room, size, limits.offset)?
        };
        let span = self.checked(segment, span)?;
        self.remembered.lock().remember(Remembered {
            offset: span.next_offset,
            segment: segment.serial,
            position: span.end,
        });
        let len = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
        Ok(Some(LogSlice {
            chunks: vec![FileRange {
                file: Arc::clone(&segment.file),
                position: span.start,
                len,
            }],
            first_offset: Some(span.first_offset),
            next_offset: span.next_offset,
        }))
    }

    /// What is left of a span in front of the first batch whose CRC does not hold.
    fn checked(&self, segment: &Segment, mut span: Span) -> Result<Span, Error> {
        let offsets = span.first_offset..span.next_offset.min(self.log_end_offset());
        let Some(fault) = segment.first_fault(span.start..span.end, offsets)? else {
            return Ok(span);
        };
        if fault == span.start {
            return Err(self.unreadable(segment, fault));
        }
        let file = segment.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Header, span.start, fault);
        while let Step::Batch { header, .. } = scanner
            .step()
            .map_err(|error| Error::io("read", segment.file.path(), error))?
        {
            span.next_offset = header.next_offset();
        }
        span.end = fault;
        Ok(span)
    }

    /// Whether a segment ends at or below an offset.
    fn is_below(&self, segment: &Segment, offset: Offset) -> bool {
        self.segment_after(segment.base_offset)
            .is_none_or(|behind| behind.base_offset <= offset)
    }

    /// The batch that holds an offset, or the first one behind it.
    fn find_batch(
        &self,
        segment: &Segment,
        from: Offset,
        size: u64,
    ) -> Result<Option<(u64, BatchHeader)>, Error> {
        let file = segment.file.open()?;
        let failed = |error| Error::io("read", segment.file.path(), error);
        let remembered = self.remembered.lock().find(from, segment.serial);
        if let Some(position) = remembered {
            if position == size {
                return Ok(None);
            }
            let header = header_at(&*file, position, size).map_err(failed)?;
            if let Some(header) = header.filter(|header| header.base_offset >= from) {
                return Ok(Some((position, header)));
            }
        }
        let start = if from <= segment.base_offset {
            0
        } else {
            segment.position_by_offset(self.index(), from)?
        };
        let mut scanner = Scanner::new(&*file, Check::Header, start, size);
        loop {
            match scanner.step().map_err(failed)? {
                Step::Batch { position, header } if header.last_offset() >= from => {
                    return Ok(Some((position, header)));
                }
                Step::Batch { .. } => {}
                Step::Invalid { position, .. } => return Err(self.unreadable(segment, position)),
                Step::End => return Ok(None),
            }
        }
    }

    /// The last whole batch within the limits: from the index near to it, then from batch to batch.
    fn find_end(
        &self,
        segment: &Segment,
        (start, first): (u64, BatchHeader),
        room: u64,
        size: u64,
        limit: Offset,
    ) -> Result<Span, Error> {
        let file = segment.file.open()?;
        let target = start.saturating_add(room).min(size);
        let mut span = Span {
            start,
            end: start + first.size_in_bytes() as u64,
            first_offset: first.base_offset,
            next_offset: first.next_offset(),
        };
        let near = segment.batch_by_position(self.index(), first.base_offset, target)?;
        if let Some((position, header)) = near
            && position > span.end
            && position <= target
            && header.base_offset <= limit
        {
            span.end = position;
            span.next_offset = header.base_offset;
        } else if limit < self.log_end_offset() {
            // The offset binds earlier than the bytes do.
            let position = segment.position_by_offset(self.index(), limit)?;
            let header = header_at(&*file, position, size)
                .map_err(|error| Error::io("read", segment.file.path(), error))?;
            if let Some(header) = header
                && position > span.end
                && position <= target
                && header.base_offset <= limit
            {
                span.end = position;
                span.next_offset = header.base_offset;
            }
        }
        let mut scanner = Scanner::new(&*file, Check::Header, span.end, size);
        loop {
            let step = scanner
                .step()
                .map_err(|error| Error::io("read", segment.file.path(), error))?;
            match step {
                Step::Batch { position, header } => {
                    let end = position + header.size_in_bytes() as u64;
                    if end > target || header.next_offset() > limit {
                        return Ok(span);
                    }
                    span.end = end;
                    span.next_offset = header.next_offset();
                }
                // What is readable is given; the next read meets the fault and says so.
                Step::Invalid { .. } | Step::End => return Ok(span),
            }
        }
    }
}
