//! The primitive values of the metadata record format.
//! Every length is checked against the bytes that are left before anything is allocated for it.

use std::sync::Arc;

use uuid::Uuid;

use super::RecordError;

/// Appends primitive values to a buffer.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// Zigzag, so that small negative numbers stay small.
    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    pub(super) fn uuid(&mut self, value: &Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn string(&mut self, value: &str) {
        self.unsigned(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, values: &[T], write: impl Fn(&mut Self, &T)) {
        self.unsigned(values.len() as u64);
        for value in values {
            write(self, value);
        }
    }

    pub(super) fn ids(&mut self, values: &[i32]) {
        self.list(values, |writer, id| writer.signed(i64::from(*id)));
    }

    pub(super) fn uuids(&mut self, values: &[Uuid]) {
        self.list(values, |writer, uuid| writer.uuid(uuid));
    }
}

/// Takes primitive values off the front of a buffer.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], RecordError> {
        let (head, tail) = self
            .0
            .split_at_checked(size)
            .ok_or(RecordError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RecordError> {
        let (first, rest) = self.0.split_first().ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn bool(&mut self) -> Result<bool, RecordError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(RecordError::Malformed {
                what: "boolean",
                value: i64::from(other),
            }),
        }
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, RecordError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Malformed {
            what: "varint",
            value: -1,
        })
    }

    pub(super) fn signed(&mut self) -> Result<i64, RecordError> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn i32(&mut self) -> Result<i32, RecordError> {
        let value = self.signed()?;
        i32::try_from(value).map_err(|_| RecordError::Malformed {
            what: "int32",
            value,
        })
    }

    pub(super) fn i16(&mut self) -> Result<i16, RecordError> {
        let value = self.signed()?;
        i16::try_from(value).map_err(|_| RecordError::Malformed {
            what: "int16",
            value,
        })
    }

    /// A length or count; each thing counted takes at least one byte of what is left.
    pub(super) fn count(&mut self) -> Result<usize, RecordError> {
        let count = self.unsigned()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.0.len() => Ok(count),
            _ => Err(RecordError::Truncated),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let size = self.count()?;
        self.take(size)
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, RecordError> {
        let bytes = self.take(16)?;
        Uuid::from_slice(bytes).map_err(|_| RecordError::Truncated)
    }

    pub(super) fn str(&mut self) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| RecordError::NotUtf8)
    }

    pub(super) fn string(&mut self) -> Result<String, RecordError> {
        self.str().map(str::to_owned)
    }

    pub(super) fn shared_str(&mut self) -> Result<Arc<str>, RecordError> {
        self.str().map(Arc::from)
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        if self.bool()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn list<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.count()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }

    pub(super) fn ids(&mut self) -> Result<Vec<i32>, RecordError> {
        self.list(Self::i32)
    }

    pub(super) fn uuids(&mut self) -> Result<Vec<Uuid>, RecordError> {
        self.list(Self::uuid)
    }

    pub(super) fn end(&self) -> Result<(), RecordError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(RecordError::TrailingBytes {
                count: self.0.len(),
            })
        }
    }
}
