//! Reads the records of a batch one by one.
//!
//! Invariant: keys and values of an uncompressed batch are slices of it; of a compressed batch no
//! more than one record and the codec's window are in memory.

use std::io::Read;

use bytes::{Buf, Bytes};

use super::walk::{BUFFER_SIZE, sequence_of};
use super::{Header, Record};
use crate::batch::{BatchError, BatchHeader, RecordBatch, RecordFault, TimestampType};
use crate::compression::{Decompressor, undecodable};
use crate::ids::{Offset, Timestamp};
use crate::varint::{ByteSource, read_int, read_long};

/// What `RecordBatch::records` decompresses at most; no batch can be longer uncompressed.
pub const MAX_DECOMPRESSED: usize = i32::MAX as usize;

impl RecordBatch {
    /// The records, decompressed as they are asked for.
    pub fn records(&self) -> Result<Records, BatchError> {
        self.records_within(MAX_DECOMPRESSED)
    }

    /// As `records`, with a bound on what the records decompress to.
    pub fn records_within(&self, max_decompressed: usize) -> Result<Records, BatchError> {
        let header = *self.header();
        let compression = header.attributes.compression()?;
        if header.record_count < 0 {
            return Err(BatchError::InvalidRecordCount(header.record_count));
        }
        let source = match Decompressor::new(compression, || self.record_bytes())? {
            None => Source::Plain(self.record_bytes()),
            Some(decompressor) => Source::Compressed(Compressed {
                reader: std::io::BufReader::with_capacity(BUFFER_SIZE, decompressor),
                left: max_decompressed,
                max: max_decompressed,
            }),
        };
        Ok(Records {
            header,
            source,
            index: 0,
        })
    }
}

/// Iterates over the records of a batch; ends after the first error.
pub struct Records {
    header: BatchHeader,
    source: Source,
    index: i32,
}

enum Source {
    Plain(Bytes),
    Compressed(Compressed),
}

struct Compressed {
    reader: std::io::BufReader<Decompressor>,
    left: usize,
    max: usize,
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.record_count {
            return None;
        }
        let record = self.read();
        self.index = if record.is_ok() {
            self.index + 1
        } else {
            i32::MAX
        };
        Some(record)
    }
}

impl Records {
    fn read(&mut self) -> Result<Record, BatchError> {
        let index = self.index;
        let body = match &mut self.source {
            Source::Plain(bytes) => {
                let length = read_int(&mut Fields { bytes, index })?;
                take(bytes, index, length)?
            }
            Source::Compressed(compressed) => compressed.read_body(index)?,
        };
        let record = self.parse(body)?;
        let is_last = index + 1 == self.header.record_count;
        if is_last && !self.is_exhausted()? {
            return Err(BatchError::TrailingBytes);
        }
        Ok(record)
    }

    fn is_exhausted(&mut self) -> Result<bool, BatchError> {
        match &mut self.source {
            Source::Plain(bytes) => Ok(bytes.is_empty()),
            Source::Compressed(compressed) => compressed.is_exhausted(),
        }
    }

    fn parse(&self, mut body: Bytes) -> Result<Record, BatchError> {
        let (index, bytes) = (self.index, &mut body);
        let malformed = |reason| BatchError::MalformedRecord { index, reason };
        let mut fields = Fields { bytes, index };
        fields.next_byte()?; // Attributes: unused in this format.
        let timestamp_delta = read_long(&mut fields)?;
        let offset_delta = read_int(&mut fields)?;
        let key = fields.nullable()?;
        let value = fields.nullable()?;
        let header_count = read_int(&mut fields)?;
        let headers_fit =
            usize::try_from(header_count).is_ok_and(|count| count <= fields.bytes.len());
        if !headers_fit {
            return Err(malformed(RecordFault::HeaderCount));
        }
        // Two bytes are the shortest header, so this is bounded by the bytes that are there.
        let mut headers = Vec::with_capacity((header_count as usize).min(fields.bytes.len() / 2));
        for _ in 0..header_count {
            let key = fields
                .nullable()?
                .ok_or(malformed(RecordFault::HeaderKeyNull))?;
            headers.push(Header {
                key,
                value: fields.nullable()?,
            });
        }
        if !fields.bytes.is_empty() {
            return Err(malformed(RecordFault::LengthMismatch));
        }
        let header = &self.header;
        let timestamp = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => {
                Timestamp(header.base_timestamp.0.wrapping_add(timestamp_delta))
            }
            TimestampType::LogAppendTime => header.max_timestamp,
        };
        Ok(Record {
            offset: Offset(header.base_offset.0.saturating_add(offset_delta.into())),
            timestamp,
            sequence: sequence_of(header, offset_delta),
            key,
            value,
            headers,
        })
    }
}

impl Compressed {
    fn read_body(&mut self, index: i32) -> Result<Bytes, BatchError> {
        let malformed = |reason| BatchError::MalformedRecord { index, reason };
        let length = read_int(&mut Stream {
            compressed: self,
            index,
        })?;
        let length = usize::try_from(length).map_err(|_| malformed(RecordFault::NegativeLength))?;
        if length > self.left {
            return Err(BatchError::DecompressedTooLarge { max: self.max });
        }
        // Grows with what is really there.
        let mut body = Vec::with_capacity(length.min(BUFFER_SIZE));
        let read = self
            .reader
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut body);
        self.left -= read.map_err(undecodable)?;
        if body.len() < length {
            return Err(malformed(RecordFault::CutOff));
        }
        Ok(Bytes::from(body))
    }

    fn next_byte(&mut self) -> Result<Option<u8>, BatchError> {
        let mut byte = [0];
        let read = self.reader.read(&mut byte).map_err(undecodable)?;
        self.left = self
            .left
            .checked_sub(read)
            .ok_or(BatchError::DecompressedTooLarge { max: self.max })?;
        Ok((read == 1).then_some(byte[0]))
    }

    fn is_exhausted(&mut self) -> Result<bool, BatchError> {
        Ok(self.next_byte()?.is_none())
    }
}

/// The decompressed stream, for the length in front of a record.
struct Stream<'a> {
    compressed: &'a mut Compressed,
    index: i32,
}

impl ByteSource for Stream<'_> {
    type Error = BatchError;

    fn next_byte(&mut self) -> Result<u8, BatchError> {
        let cut_off = BatchError::MalformedRecord {
            index: self.index,
            reason: RecordFault::CutOff,
        };
        self.compressed.next_byte()?.ok_or(cut_off)
    }

    fn too_long(&self) -> BatchError {
        BatchError::MalformedRecord {
            index: self.index,
            reason: RecordFault::NumberTooLong,
        }
    }
}

/// The fields of one record.
struct Fields<'a> {
    bytes: &'a mut Bytes,
    index: i32,
}

impl ByteSource for Fields<'_> {
    type Error = BatchError;

    fn next_byte(&mut self) -> Result<u8, BatchError> {
        let cut_off = BatchError::MalformedRecord {
            index: self.index,
            reason: RecordFault::CutOff,
        };
        self.bytes.try_get_u8().map_err(|_| cut_off)
    }

    fn too_long(&self) -> BatchError {
        BatchError::MalformedRecord {
            index: self.index,
            reason: RecordFault::NumberTooLong,
        }
    }
}

impl Fields<'_> {
    /// Any negative length is null, as upstream reads it.
    fn nullable(&mut self) -> Result<Option<Bytes>, BatchError> {
        let length = read_int(self)?;
        if length < 0 {
            return Ok(None);
        }
        take(self.bytes, self.index, length).map(Some)
    }
}

fn take(bytes: &mut Bytes, index: i32, length: i32) -> Result<Bytes, BatchError> {
    let malformed = |reason| BatchError::MalformedRecord { index, reason };
    let length = usize::try_from(length).map_err(|_| malformed(RecordFault::NegativeLength))?;
    if length > bytes.len() {
        return Err(malformed(RecordFault::CutOff));
    }
    Ok(bytes.split_to(length))
}
