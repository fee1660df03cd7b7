//! The primitive values of messages, for the messages that `scripts/schemas` generates.
//!
//! Invariant: reading never allocates for elements whose bytes are not there.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::protocol::buf::ByteBuf;

use crate::error::ProtocolError;
use crate::response::RecordsField;
use crate::varint::{ByteSource, read_unsigned, write_unsigned};

/// A message, or a structure inside one, that we generate.
pub(crate) trait Wire: Sized {
    fn read<B: ByteBuf>(source: &mut B, version: i16) -> Result<Self, ProtocolError>;

    fn write<W: Writer>(&self, target: &mut W, version: i16) -> Result<(), EncodeError>;
}

/// Why a value cannot be written at a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("there is no version {0}")]
    Version(i16),
    #[error("{0} is set, and the version does not have it")]
    NotInVersion(&'static str),
    #[error("{0} is null, and the version does not allow it")]
    Null(&'static str),
    #[error("{0} is too long")]
    TooLong(&'static str),
}

/// Whether a field is as it is where nobody set it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where messages are written to.
#[allow(
    dead_code,
    reason = "the specs have kinds of fields that no message generated today has"
)]
pub(crate) trait Writer {
    fn put_slice(&mut self, bytes: &[u8]);

    fn put_i8(&mut self, value: i8) {
        self.put_slice(&value.to_be_bytes());
    }

    fn put_i16(&mut self, value: i16) {
        self.put_slice(&value.to_be_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.put_slice(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.put_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.put_slice(&value.to_be_bytes());
    }

    fn put_f64(&mut self, value: f64) {
        self.put_slice(&value.to_be_bytes());
    }

    fn put_bool(&mut self, value: bool) {
        self.put_i8(i8::from(value));
    }

    fn put_uuid(&mut self, value: uuid::Uuid) {
        self.put_slice(value.as_bytes());
    }

    fn put_unsigned(&mut self, value: u32) {
        let mut bytes = [0; 5];
        let mut rest = bytes.as_mut_slice();
        write_unsigned(&mut rest, value);
        let used = 5 - rest.len();
        self.put_slice(bytes.split_at(used).0);
    }

    /// Of bytes, records or an array; `None` is null.
    fn put_length(
        &mut self,
        flexible: bool,
        field: &'static str,
        length: Option<usize>,
    ) -> Result<(), EncodeError> {
        let length = length.map(i32::try_from).transpose();
        let length = length.map_err(|_| EncodeError::TooLong(field))?;
        match (flexible, length) {
            (true, None) => self.put_unsigned(0),
            (true, Some(length)) => self.put_unsigned(length as u32 + 1),
            (false, length) => self.put_i32(length.unwrap_or(-1)),
        }
        Ok(())
    }

    fn put_bytes(
        &mut self,
        flexible: bool,
        field: &'static str,
        bytes: Option<&[u8]>,
    ) -> Result<(), EncodeError> {
        self.put_length(flexible, field, bytes.map(<[u8]>::len))?;
        self.put_slice(bytes.unwrap_or_default());
        Ok(())
    }

    fn put_string(
        &mut self,
        flexible: bool,
        field: &'static str,
        text: Option<&str>,
    ) -> Result<(), EncodeError> {
        let length = text.map(|text| i16::try_from(text.len())).transpose();
        let length = length.map_err(|_| EncodeError::TooLong(field))?;
        match (flexible, length) {
            (true, None) => self.put_unsigned(0),
            (true, Some(length)) => self.put_unsigned(length as u32 + 1),
            (false, length) => self.put_i16(length.unwrap_or(-1)),
        }
        self.put_slice(text.unwrap_or_default().as_bytes());
        Ok(())
    }

    fn put_tagged(&mut self, tag: u32, value: &[u8]) {
        self.put_unsigned(tag);
        self.put_unsigned(value.len() as u32);
        self.put_slice(value);
    }

    fn put_unknown_tags(&mut self, fields: &BTreeMap<i32, Bytes>) {
        for (&tag, value) in fields {
            self.put_tagged(tag as u32, value);
        }
    }
}

/// A writer that can leave records out, to be sent from where they lie.
pub(crate) trait RecordsWriter: Writer {
    fn put_records(&mut self, records: &RecordsField);
}

impl Writer for Vec<u8> {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what would be written.
#[derive(Default)]
pub(crate) struct SizeCounter(pub(crate) usize);

impl Writer for SizeCounter {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Writes to whatever kafka-protocol writes to.
pub(crate) struct BufWriter<'a, B>(pub(crate) &'a mut B);

impl<B: BufMut> Writer for BufWriter<'_, B> {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }
}

/// Reads values of a message off a buffer. `field` is for the error.
pub(crate) struct Reader<'a, B> {
    source: &'a mut B,
    flexible: bool,
    field: &'static str,
}

macro_rules! read_numbers {
    ($($name:ident: $type:ty, $get:ident;)*) => {$(
        pub(crate) fn $name(&mut self, field: &'static str) -> Result<$type, ProtocolError> {
            self.source.$get().map_err(|_| ProtocolError::CutOff { field })
        }
    )*};
}

#[allow(
    dead_code,
    reason = "the specs have kinds of fields that no message generated today has"
)]
impl<'a, B: ByteBuf> Reader<'a, B> {
    pub(crate) fn new(source: &'a mut B, flexible: bool) -> Self {
        Reader {
            source,
            flexible,
            field: "",
        }
    }

    /// What the reader reads from, for a structure inside the message.
    pub(crate) fn source(&mut self) -> &mut B {
        self.source
    }

    read_numbers! {
        i8: i8, try_get_i8;
        i16: i16, try_get_i16;
        u16: u16, try_get_u16;
        i32: i32, try_get_i32;
        i64: i64, try_get_i64;
        f64: f64, try_get_f64;
    }

    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, ProtocolError> {
        Ok(self.i8(field)? != 0)
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<uuid::Uuid, ProtocolError> {
        let mut bytes = [0; 16];
        let read = self.source.try_copy_to_slice(&mut bytes);
        read.map_err(|_| ProtocolError::CutOff { field })?;
        Ok(uuid::Uuid::from_bytes(bytes))
    }

    pub(crate) fn unsigned(&mut self, field: &'static str) -> Result<u32, ProtocolError> {
        self.field = field;
        read_unsigned(self)
    }

    /// Whether a nullable structure is there.
    pub(crate) fn is_present(&mut self, field: &'static str) -> Result<bool, ProtocolError> {
        match self.i8(field)? {
            i8::MIN..=-1 => Ok(false),
            1 => Ok(true),
            0 | 2..=i8::MAX => Err(ProtocolError::Null { field }),
        }
    }

    /// The count of an array, when so many elements of at least this size can be there.
    pub(crate) fn count(
        &mut self,
        field: &'static str,
        min_size: usize,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(count) = self.length(field)? else {
            return Ok(None);
        };
        let left = self.source.remaining();
        if count as usize > left / min_size.max(1) {
            return Err(ProtocolError::Count { field, count, left });
        }
        Ok(Some(count as usize))
    }

    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<Option<Bytes>, ProtocolError> {
        let length = self.length(field)?;
        length.map(|length| self.take(field, length)).transpose()
    }

    pub(crate) fn string(
        &mut self,
        field: &'static str,
    ) -> Result<Option<StrBytes>, ProtocolError> {
        let length = if self.flexible {
            self.unsigned(field)?.checked_sub(1)
        } else {
            self.signed(field, |reader| reader.i16(field).map(i32::from))?
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let text = StrBytes::from_utf8(self.take(field, length)?);
        text.map(Some).map_err(|_| ProtocolError::NotUtf8 { field })
    }

    pub(crate) fn take(
        &mut self,
        field: &'static str,
        length: u32,
    ) -> Result<Bytes, ProtocolError> {
        let left = self.source.remaining();
        let taken = self.source.try_get_bytes(length as usize);
        taken.map_err(|_| ProtocolError::Length {
            field,
            length,
            left,
        })
    }

    fn length(&mut self, field: &'static str) -> Result<Option<u32>, ProtocolError> {
        if self.flexible {
            return Ok(self.unsigned(field)?.checked_sub(1));
        }
        self.signed(field, |reader| reader.i32(field))
    }

    fn signed(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<i32, ProtocolError>,
    ) -> Result<Option<u32>, ProtocolError> {
        match read(self)? {
            -1 => Ok(None),
            length => u32::try_from(length)
                .map(Some)
                .map_err(|_| ProtocolError::NegativeLength { field }),
        }
    }
}

impl<B: Buf> ByteSource for Reader<'_, B> {
    type Error = ProtocolError;

    fn next_byte(&mut self) -> Result<u8, ProtocolError> {
        self.source
            .try_get_u8()
            .map_err(|_| ProtocolError::CutOff { field: self.field })
    }

    fn too_long(&self) -> ProtocolError {
        ProtocolError::NumberTooLong { field: self.field }
    }
}

/// Gives a generated structure the traits that kafka-protocol's own have.
macro_rules! wire_struct {
    ($name:ident, $min:literal, $max:literal) => {
        impl kafka_protocol::protocol::Message for $name {
            const VERSIONS: kafka_protocol::protocol::VersionRange =
                kafka_protocol::protocol::VersionRange {
                    min: $min,
                    max: $max,
                };
            const DEPRECATED_VERSIONS: Option<kafka_protocol::protocol::VersionRange> = None;
        }

        impl kafka_protocol::protocol::Encodable for $name {
            fn encode<B: kafka_protocol::protocol::buf::ByteBufMut>(
                &self,
                buffer: &mut B,
                version: i16,
            ) -> anyhow::Result<()> {
                Ok(crate::wire::Wire::write(
                    self,
                    &mut crate::wire::BufWriter(buffer),
                    version,
                )?)
            }

            fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
                let mut counter = crate::wire::SizeCounter::default();
                crate::wire::Wire::write(self, &mut counter, version)?;
                Ok(counter.0)
            }
        }

        impl kafka_protocol::protocol::Decodable for $name {
            fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(
                buffer: &mut B,
                version: i16,
            ) -> anyhow::Result<Self> {
                Ok(<Self as crate::wire::Wire>::read(buffer, version)?)
            }
        }
    };
}

pub(crate) use wire_struct;
