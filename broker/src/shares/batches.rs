//! The batches of what was read from a log, by their headers; and the part of it that is sent.
//!
//! Invariant: records are not read, but for those of transaction markers; what is sent is whole
//! batches, and all that hold what was acquired.

use bytes::Bytes;
use coordinator::TransactionResult;
use coordinator::share::OffsetRange;
use coordinator::share::partition::{AcquiredRecords, BatchOrigin, FetchedBatch};
use protocol::ErrorCode;
use protocol::batch::{BatchHeader, HEADER_SIZE, RecordBatch};
use protocol::control::EndTransactionMarker;
use storage::{FileRange, LogSlice};

/// So much of a file is read at a time: many small batches, or the header of a large one.
const WINDOW: usize = 4096;

/// A batch, and where it lies in what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    batch: FetchedBatch,
    position: usize,
    size: usize,
}

/// What was read from a log.
pub(super) struct Read {
    slice: LogSlice,
    placed: Vec<Placed>,
}

impl Read {
    /// Looks at the headers in a slice.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` where the file cannot be read, `CORRUPT_MESSAGE` where it holds no
    /// batches.
    pub(super) fn of(slice: LogSlice) -> Result<Read, ErrorCode> {
        let mut placed = Vec::new();
        let mut before = 0;
        for chunk in &slice.chunks {
            let mut window = Window::of(chunk);
            let mut position = 0;
            while position < chunk.len {
                let header = window.at(position, HEADER_SIZE)?;
                let header = BatchHeader::parse(&header)?;
                let size = header.size_in_bytes();
                let offsets = OffsetRange::new(header.base_offset, header.last_offset());
                let offsets = offsets.ok_or(ErrorCode::CorruptMessage)?;
                let origin = origin(&header, &mut window, position)?;
                placed.push(Placed {
                    batch: FetchedBatch { offsets, origin },
                    position: before + position,
                    size,
                });
                position += size;
            }
            before += chunk.len;
        }
        Ok(Read { slice, placed })
    }

    pub(super) fn size_in_bytes(&self) -> usize {
        self.slice.size_in_bytes()
    }

    pub(super) fn batches(&self) -> Vec<FetchedBatch> {
        self.placed.iter().map(|placed| placed.batch).collect()
    }

    /// What of it holds the records that were acquired.
    pub(super) fn holding(self, acquired: &[AcquiredRecords]) -> LogSlice {
        let (Some(first), Some(last)) = (acquired.first(), acquired.last()) else {
            return LogSlice::empty(self.slice.next_offset);
        };
        let (first, last) = (first.offsets.first(), last.offsets.last());
        let held = self.placed.iter().filter(|placed| {
            let offsets = placed.batch.offsets;
            offsets.last() >= first && offsets.first() <= last
        });
        let mut held = held.copied();
        let Some(from) = held.next() else {
            return LogSlice::empty(self.slice.next_offset);
        };
        let to = held.last().unwrap_or(from);
        cut(&self.slice, from, to)
    }
}

fn cut(slice: &LogSlice, from: Placed, to: Placed) -> LogSlice {
    let (start, end) = (from.position, to.position + to.size);
    let mut before = 0;
    let mut chunks = Vec::with_capacity(slice.chunks.len());
    for chunk in &slice.chunks {
        let skipped = start.saturating_sub(before).min(chunk.len);
        let taken = end.saturating_sub(before).min(chunk.len);
        before += chunk.len;
        if skipped < taken {
            chunks.push(FileRange {
                file: chunk.file.clone(),
                position: chunk.position + skipped as u64,
                len: taken - skipped,
            });
        }
    }
    LogSlice {
        chunks,
        first_offset: Some(from.batch.offsets.first()),
        next_offset: to.batch.offsets.last().next(),
    }
}

fn origin(
    header: &BatchHeader,
    window: &mut Window<'_>,
    position: usize,
) -> Result<BatchOrigin, ErrorCode> {
    let Some(producer) = header
        .producer
        .filter(|_| header.attributes.is_transactional())
    else {
        return Ok(BatchOrigin::Plain);
    };
    if !header.attributes.is_control() {
        return Ok(BatchOrigin::Transactional(producer.id));
    }
    let mut whole = window.at(position, header.size_in_bytes())?;
    let batch = RecordBatch::split_first(&mut whole)?.ok_or(ErrorCode::CorruptMessage)?;
    let committed = match batch.records()?.next().transpose()? {
        Some(record) => EndTransactionMarker::read(&record)?.map(|marker| marker.committed),
        // Compaction leaves the marker's batch where its record is gone.
        None => None,
    };
    Ok(match committed {
        Some(true) => BatchOrigin::Marker(producer.id, TransactionResult::Commit),
        Some(false) => BatchOrigin::Marker(producer.id, TransactionResult::Abort),
        None => BatchOrigin::Plain,
    })
}

/// A part of a file in memory.
struct Window<'a> {
    of: &'a FileRange,
    start: usize,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    fn of(range: &'a FileRange) -> Self {
        Window {
            of: range,
            start: 0,
            bytes: Bytes::new(),
        }
    }

    /// So many bytes from a position on.
    fn at(&mut self, position: usize, len: usize) -> Result<Bytes, ErrorCode> {
        let end = position.saturating_add(len);
        if end > self.of.len {
            return Err(ErrorCode::CorruptMessage);
        }
        if position < self.start || end > self.start + self.bytes.len() {
            let range = FileRange {
                file: self.of.file.clone(),
                position: self.of.position + position as u64,
                len: len.max(WINDOW).min(self.of.len - position),
            };
            self.bytes = range.read().map_err(ErrorCode::from)?;
            self.start = position;
        }
        let from = position - self.start;
        Ok(self.bytes.slice(from..from + len))
    }
}
