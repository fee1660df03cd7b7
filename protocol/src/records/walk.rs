//! Walks the records of a batch, checking them, before it is appended.
//!
//! Invariant: allocates nothing for an uncompressed batch and a fixed buffer plus the codec's window
//! for a compressed one, however many records it holds and however far they unpack.

use std::io::{BufRead, BufReader};

use crate::batch::{BatchError, BatchHeader, RecordBatch, RecordFault, TimestampType};
use crate::compression::{Decompressor, undecodable};
use crate::ids::Timestamp;
use crate::varint::{ByteSource, read_int, read_long};

/// What is decompressed at once.
pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

/// One record as the walk sees it: sizes, no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFields {
    /// Its place in the batch, from 0; the walk has made sure that its offset delta is the same.
    pub index: i32,
    pub timestamp: Timestamp,
    pub key_size: Option<usize>,
    pub value_size: Option<usize>,
    pub header_count: i32,
}

/// Visits every record of a batch in order, and checks what the format demands: count and offsets
/// against the header, every length. Not the CRC.
///
/// What a topic demands beyond that is the visitor's, who can name each record that breaks a rule, as
/// a produce response does.
pub fn walk(
    batch: &RecordBatch,
    max_decompressed: usize,
    mut visit: impl FnMut(RecordFields) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let header = batch.header();
    let compression = header.attributes.compression()?;
    let record_count = header.record_count;
    if record_count <= 0 {
        return Err(BatchError::InvalidRecordCount(record_count));
    }
    if header.last_offset_delta != record_count - 1 {
        let last_offset_delta = header.last_offset_delta;
        return Err(BatchError::InconsistentOffsets {
            last_offset_delta,
            record_count,
        });
    }
    match Decompressor::new(compression, || batch.record_bytes())? {
        None => {
            let (_, records) = batch.bytes().split_at(crate::batch::HEADER_SIZE);
            walk_source(
                header,
                Plain {
                    bytes: records,
                    index: 0,
                },
                &mut visit,
            )
        }
        Some(decompressor) => {
            let reader = BufReader::with_capacity(BUFFER_SIZE, decompressor);
            let max = max_decompressed;
            walk_source(
                header,
                Compressed {
                    reader,
                    index: 0,
                    left: max,
                    max,
                },
                &mut visit,
            )
        }
    }
}

/// The sequence of a record; it starts again at 0 behind 2^31 - 1.
pub(super) fn sequence_of(header: &BatchHeader, offset_delta: i32) -> Option<i32> {
    let base_sequence = header.producer.map(|producer| producer.base_sequence)?;
    (base_sequence >= 0).then_some(base_sequence.wrapping_add(offset_delta) & i32::MAX)
}

/// Bytes of records, in a slice or out of a decompressor.
trait RecordSource: ByteSource<Error = BatchError> {
    fn skip(&mut self, size: usize) -> Result<(), BatchError>;

    /// Bytes read and skipped so far.
    fn position(&self) -> usize;

    fn start_record(&mut self, index: i32);

    fn is_exhausted(&mut self) -> Result<bool, BatchError>;

    /// The next record, where it can be walked faster than byte by byte; else nothing is consumed.
    fn walk_whole(
        &mut self,
        header: &BatchHeader,
        index: i32,
    ) -> Result<Option<RecordFields>, BatchError>;

    fn malformed(&self, reason: RecordFault) -> BatchError;
}

fn walk_source(
    header: &BatchHeader,
    mut source: impl RecordSource,
    visit: &mut impl FnMut(RecordFields) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    for index in 0..header.record_count {
        source.start_record(index);
        let record = match source.walk_whole(header, index)? {
            Some(record) => record,
            None => walk_record(header, index, &mut source)?,
        };
        visit(record)?;
    }
    if source.is_exhausted()? {
        Ok(())
    } else {
        Err(BatchError::TrailingBytes)
    }
}

#[inline]
fn walk_record(
    header: &BatchHeader,
    index: i32,
    source: &mut impl RecordSource,
) -> Result<RecordFields, BatchError> {
    let length = read_int(source)?;
    let length =
        usize::try_from(length).map_err(|_| source.malformed(RecordFault::NegativeLength))?;
    let end = source.position() + length;
    source.next_byte()?; // Attributes: unused in this format.
    let timestamp_delta = read_long(source)?;
    let offset_delta = read_int(source)?;
    if offset_delta != index {
        return Err(BatchError::OffsetDelta {
            index,
            offset_delta,
        });
    }
    let key_size = skip_nullable(source, end)?;
    let value_size = skip_nullable(source, end)?;
    let header_count = read_int(source)?;
    walk_headers(source, end, header_count)?;
    if source.position() != end {
        return Err(source.malformed(RecordFault::LengthMismatch));
    }
    let timestamp = match header.attributes.timestamp_type() {
        TimestampType::CreateTime => {
            Timestamp(header.base_timestamp.0.wrapping_add(timestamp_delta))
        }
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    Ok(RecordFields {
        index,
        timestamp,
        key_size,
        value_size,
        header_count,
    })
}

fn walk_headers(
    source: &mut impl RecordSource,
    end: usize,
    header_count: i32,
) -> Result<(), BatchError> {
    let left = end.saturating_sub(source.position());
    if !usize::try_from(header_count).is_ok_and(|count| count <= left) {
        return Err(source.malformed(RecordFault::HeaderCount));
    }
    for _ in 0..header_count {
        skip_nullable(source, end)?.ok_or_else(|| source.malformed(RecordFault::HeaderKeyNull))?;
        skip_nullable(source, end)?;
    }
    Ok(())
}

/// Skips a field behind its length, which must not lead out of the record. Any negative length is
/// null, as upstream reads it.
#[inline]
fn skip_nullable(source: &mut impl RecordSource, end: usize) -> Result<Option<usize>, BatchError> {
    let length = read_int(source)?;
    let Ok(size) = usize::try_from(length) else {
        return Ok(None);
    };
    if size > end.saturating_sub(source.position()) {
        return Err(source.malformed(RecordFault::CutOff));
    }
    source.skip(size)?;
    Ok(Some(size))
}

/// The records of an uncompressed batch. `position` counts down from nothing: it is what is gone.
struct Plain<'a> {
    bytes: &'a [u8],
    index: i32,
}

impl ByteSource for Plain<'_> {
    type Error = BatchError;

    #[inline]
    fn next_byte(&mut self) -> Result<u8, BatchError> {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return Err(self.malformed(RecordFault::CutOff));
        };
        self.bytes = rest;
        Ok(first)
    }

    fn too_long(&self) -> BatchError {
        self.malformed(RecordFault::NumberTooLong)
    }
}

impl RecordSource for Plain<'_> {
    #[inline]
    fn skip(&mut self, size: usize) -> Result<(), BatchError> {
        let Some((_, rest)) = self.bytes.split_at_checked(size) else {
            return Err(self.malformed(RecordFault::CutOff));
        };
        self.bytes = rest;
        Ok(())
    }

    #[inline]
    fn position(&self) -> usize {
        // Only differences count, so the end of the address space serves as the start.
        i32::MAX as usize - self.bytes.len()
    }

    fn start_record(&mut self, index: i32) {
        self.index = index;
    }

    fn is_exhausted(&mut self) -> Result<bool, BatchError> {
        Ok(self.bytes.is_empty())
    }

    #[inline]
    fn walk_whole(&mut self, _: &BatchHeader, _: i32) -> Result<Option<RecordFields>, BatchError> {
        Ok(None)
    }

    fn malformed(&self, reason: RecordFault) -> BatchError {
        BatchError::MalformedRecord {
            index: self.index,
            reason,
        }
    }
}

/// The records of a compressed batch.
struct Compressed {
    reader: BufReader<Decompressor>,
    index: i32,
    left: usize,
    max: usize,
}

impl Compressed {
    fn consume(&mut self, size: usize) -> Result<(), BatchError> {
        self.left = self
            .left
            .checked_sub(size)
            .ok_or(BatchError::DecompressedTooLarge { max: self.max })?;
        self.reader.consume(size);
        Ok(())
    }
}

impl ByteSource for Compressed {
    type Error = BatchError;

    #[inline]
    fn next_byte(&mut self) -> Result<u8, BatchError> {
        let Some(&byte) = self.reader.fill_buf().map_err(undecodable)?.first() else {
            return Err(self.malformed(RecordFault::CutOff));
        };
        self.consume(1)?;
        Ok(byte)
    }

    fn too_long(&self) -> BatchError {
        self.malformed(RecordFault::NumberTooLong)
    }
}

impl RecordSource for Compressed {
    fn skip(&mut self, mut size: usize) -> Result<(), BatchError> {
        while size > 0 {
            let available = self.reader.fill_buf().map_err(undecodable)?.len();
            if available == 0 {
                return Err(self.malformed(RecordFault::CutOff));
            }
            let step = available.min(size);
            self.consume(step)?;
            size -= step;
        }
        Ok(())
    }

    fn position(&self) -> usize {
        self.max - self.left
    }

    fn start_record(&mut self, index: i32) {
        self.index = index;
    }

    fn is_exhausted(&mut self) -> Result<bool, BatchError> {
        Ok(self.reader.fill_buf().map_err(undecodable)?.is_empty())
    }

    /// A record that lies in the buffer as a whole is walked there. What is wrong with another is
    /// left to the walk byte by byte, which also sees what is not unpacked yet.
    fn walk_whole(
        &mut self,
        header: &BatchHeader,
        index: i32,
    ) -> Result<Option<RecordFields>, BatchError> {
        let mut plain = Plain {
            bytes: self.reader.buffer(),
            index,
        };
        let before = plain.bytes.len();
        let Ok(record) = walk_record(header, index, &mut plain) else {
            return Ok(None);
        };
        let size = before - plain.bytes.len();
        self.consume(size)?;
        Ok(Some(record))
    }

    fn malformed(&self, reason: RecordFault) -> BatchError {
        BatchError::MalformedRecord {
            index: self.index,
            reason,
        }
    }
}
