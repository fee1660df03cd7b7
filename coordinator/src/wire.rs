//! Kafka's primitive types, read from and written to plain bytes.
//!
//! Invariant: a read never goes past the end, and no length from the bytes sizes memory.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("it ends too early")]
    Short,
    #[error("a length is negative or out of range")]
    Length,
    #[error("a string is not UTF-8")]
    Utf8,
}

/// A field is longer than its length prefix can say.
pub(crate) struct TooLong;

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(WireError::Short)?;
        self.bytes = tail;
        Ok(head)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], WireError> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(WireError::Short)?;
        self.bytes = tail;
        Ok(*head)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), WireError> {
        self.take(count).map(|_| ())
    }

    pub(crate) fn i8(&mut self) -> Result<i8, WireError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, WireError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, WireError> {
        self.array().map(Uuid::from_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u32, WireError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Length)
    }

    fn text(&mut self, count: usize) -> Result<Arc<str>, WireError> {
        let text = std::str::from_utf8(self.take(count)?).map_err(|_| WireError::Utf8)?;
        Ok(Arc::from(text))
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<Arc<str>>, WireError> {
        match self.i16()? {
            -1 => Ok(None),
            count => self.text(length(i32::from(count))?).map(Some),
        }
    }

    pub(crate) fn string(&mut self) -> Result<Arc<str>, WireError> {
        self.nullable_string()?.ok_or(WireError::Length)
    }

    pub(crate) fn nullable_compact_string(&mut self) -> Result<Option<Arc<str>>, WireError> {
        match self.varint()?.checked_sub(1) {
            None => Ok(None),
            Some(count) => self.text(count as usize).map(Some),
        }
    }

    pub(crate) fn compact_string(&mut self) -> Result<Arc<str>, WireError> {
        self.nullable_compact_string()?.ok_or(WireError::Length)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, WireError> {
        let count = length(self.i32()?)?;
        self.take(count).map(Bytes::copy_from_slice)
    }

    pub(crate) fn compact_bytes(&mut self) -> Result<Bytes, WireError> {
        let count = self.varint()?.checked_sub(1).ok_or(WireError::Length)?;
        self.take(count as usize).map(Bytes::copy_from_slice)
    }

    pub(crate) fn count(&mut self) -> Result<usize, WireError> {
        length(self.i32()?)
    }

    pub(crate) fn nullable_compact_count(&mut self) -> Result<Option<usize>, WireError> {
        let count = self.varint()?.checked_sub(1);
        Ok(count.map(|count| count as usize))
    }

    pub(crate) fn compact_count(&mut self) -> Result<usize, WireError> {
        self.nullable_compact_count()?.ok_or(WireError::Length)
    }

    pub(crate) fn tagged_fields(
        &mut self,
        mut on_field: impl FnMut(u32, &mut Reader<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            on_field(tag, &mut Reader::new(self.take(size)?))?;
        }
        Ok(())
    }
}

fn length(count: i32) -> Result<usize, WireError> {
    usize::try_from(count).map_err(|_| WireError::Length)
}

pub(crate) fn put_string(buffer: &mut BytesMut, text: &str) -> Result<(), TooLong> {
    buffer.put_i16(i16::try_from(text.len()).map_err(|_| TooLong)?);
    buffer.put_slice(text.as_bytes());
    Ok(())
}

pub(crate) fn put_compact_string(buffer: &mut BytesMut, text: &str) {
    put_varint(buffer, text.len() as u32 + 1);
    buffer.put_slice(text.as_bytes());
}

pub(crate) fn put_bytes(buffer: &mut BytesMut, bytes: &[u8]) -> Result<(), TooLong> {
    buffer.put_i32(i32::try_from(bytes.len()).map_err(|_| TooLong)?);
    buffer.put_slice(bytes);
    Ok(())
}

pub(crate) fn put_varint(buffer: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

pub(crate) fn put_nullable_compact_string(buffer: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_compact_string(buffer, text),
        None => put_varint(buffer, 0),
    }
}

/// Opens a compact array: the items follow.
pub(crate) fn put_compact_count(buffer: &mut BytesMut, count: usize) {
    put_varint(buffer, count as u32 + 1);
}

pub(crate) fn put_compact_bytes(buffer: &mut BytesMut, bytes: &[u8]) {
    put_compact_count(buffer, bytes.len());
    buffer.put_slice(bytes);
}

/// One tagged field; the number of them stands before the first.
pub(crate) fn put_tagged_field(buffer: &mut BytesMut, tag: u32, field: &[u8]) {
    put_varint(buffer, tag);
    put_varint(buffer, field.len() as u32);
    buffer.put_slice(field);
}
