//! Walks a request by its schema before it is decoded.
//!
//! kafka-protocol sizes vectors by counts from the wire: five bytes can make it ask for more memory
//! than there is, and a failed allocation aborts the process. What passes here can be decoded.
//!
//! Invariant: a body that passes holds every element its counts claim, is well-formed in every
//! length, null and string, and decodes into no more memory than
//! `DECODED_SIZE_BASE + DECODED_SIZE_PER_BYTE` times its size. The walk allocates nothing.
//!
//! As upstream reads them: bytes behind the body are ignored; tagged fields may come in any order
//! and more than once; the size of a known tagged field is not compared with what it holds.

use bytes::Bytes;
use kafka_protocol::protocol::Request as RequestMessage;

use crate::error::ProtocolError;
use crate::schema::{self, Field, Kind};
use crate::varint::{ByteSource, read_unsigned};

/// What any request may take in memory when it is decoded, however few its bytes.
pub const DECODED_SIZE_BASE: usize = 1024 * 1024;
/// What it may take beyond that for each byte of it. Most take one to four; a hundred thousand
/// topic names of six characters take nine.
pub const DECODED_SIZE_PER_BYTE: usize = 16;

/// The node of a map that a first unknown tagged field takes.
const FIRST_UNKNOWN_TAG_SIZE: usize = 512;
/// What each further one takes, where nodes of the map are half full.
const UNKNOWN_TAG_SIZE: usize = 96;

const TAGGED_FIELDS: &str = "tagged fields";

/// Checks the body of a request, so that decoding it is safe.
pub fn check_request(api_key: i16, version: i16, body: &[u8]) -> Result<(), ProtocolError> {
    let request = schema::request(api_key).ok_or(ProtocolError::UnknownApiKey(api_key))?;
    if !request.has_version(version) {
        return Err(ProtocolError::UnsupportedVersion {
            api_key,
            api_version: version,
        });
    }
    let decoded_size_max = DECODED_SIZE_BASE + DECODED_SIZE_PER_BYTE * body.len();
    let mut walk = Walk {
        rest: body,
        field: request.name,
        version,
        flexible: request.is_flexible(version),
        decoded_size_left: decoded_size_max,
        decoded_size_max,
    };
    walk.fields(request.fields)
}

/// Checks and decodes the body of a request.
pub fn decode_request<R: RequestMessage>(
    version: i16,
    mut body: Bytes,
) -> Result<R, ProtocolError> {
    check_request(R::KEY, version, &body)?;
    R::decode(&mut body, version).map_err(|error| ProtocolError::Undecodable(error.to_string()))
}

struct Walk<'a> {
    rest: &'a [u8],
    /// What is being read, for the error.
    field: &'static str,
    version: i16,
    flexible: bool,
    decoded_size_left: usize,
    decoded_size_max: usize,
}

/// A length or count as it stands on the wire.
enum Length {
    Null,
    Of(u32),
}

impl Walk<'_> {
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), ProtocolError> {
        let version = self.version;
        for field in fields.iter().filter(|field| field.is_in(version)) {
            // Before the flexible versions there are no tags; such a field then stands in line.
            if field.tag.is_some() && self.flexible {
                continue;
            }
            match field.fixed_size() {
                Some(size) => self.skip_fixed(field.name, size)?,
                None => self.value(field)?,
            }
        }
        if self.flexible {
            self.tagged_fields(fields)
        } else {
            Ok(())
        }
    }

    fn tagged_fields(&mut self, fields: &'static [Field]) -> Result<(), ProtocolError> {
        self.field = TAGGED_FIELDS;
        let version = self.version;
        let count = read_unsigned(self)?;
        let mut unknown = 0usize;
        for _ in 0..count {
            self.field = TAGGED_FIELDS;
            let tag = read_unsigned(self)?;
            let length = read_unsigned(self)?;
            let known = fields
                .iter()
                .find(|field| field.tag == Some(tag) && field.is_in(version));
            if let Some(known) = known {
                self.value(known)?;
                continue;
            }
            self.charge(if unknown == 0 {
                FIRST_UNKNOWN_TAG_SIZE
            } else {
                UNKNOWN_TAG_SIZE
            })?;
            unknown += 1;
            self.skip(length)?;
        }
        Ok(())
    }

    fn value(&mut self, field: &'static Field) -> Result<(), ProtocolError> {
        self.field = field.name;
        let nullable = field.is_nullable_in(self.version);
        if let Kind::Struct(inner) = field.kind
            && nullable
        {
            return match self.next_byte()? as i8 {
                i8::MIN..=-1 => Ok(()),
                1 => self.fields(inner.fields),
                // No client writes these; upstream reads a struct then, kafka-protocol none.
                0 | 2..=i8::MAX => Err(ProtocolError::Null { field: field.name }),
            };
        }
        self.kind(field.kind, nullable)
    }

    fn kind(&mut self, kind: Kind, nullable: bool) -> Result<(), ProtocolError> {
        match kind {
            Kind::Struct(inner) => self.fields(inner.fields),
            Kind::Array(element) => self.array(element, nullable),
            Kind::String => self.string(nullable),
            Kind::Bytes | Kind::Records => match self.length_32()? {
                Length::Of(length) => self.skip(length),
                Length::Null => self.null(nullable),
            },
            Kind::Bool
            | Kind::Int8
            | Kind::Int16
            | Kind::Uint16
            | Kind::Int32
            | Kind::Int64
            | Kind::Float64
            | Kind::Uuid => self.skip_fixed(self.field, kind.fixed_size().unwrap_or_default()),
        }
    }

    fn skip_fixed(&mut self, field: &'static str, size: usize) -> Result<(), ProtocolError> {
        let rest = self.rest.split_at_checked(size);
        let (_, rest) = rest.ok_or(ProtocolError::CutOff { field })?;
        self.rest = rest;
        Ok(())
    }

    fn string(&mut self, nullable: bool) -> Result<(), ProtocolError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            let length = i16::from_be_bytes(self.chunk::<2>()?);
            self.signed(i32::from(length))?
        };
        let Length::Of(length) = length else {
            return self.null(nullable);
        };
        let before = self.rest;
        self.skip(length)?;
        let text = before
            .split_at_checked(length as usize)
            .map(|(text, _)| text);
        match text.map(std::str::from_utf8) {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(ProtocolError::NotUtf8 { field: self.field }),
        }
    }

    fn array(&mut self, element: &'static Kind, nullable: bool) -> Result<(), ProtocolError> {
        let name = self.field;
        let Length::Of(count) = self.length_32()? else {
            return self.null(nullable);
        };
        let min_size = element.min_size(self.version, self.flexible).max(1);
        if count as usize > self.rest.len() / min_size {
            return Err(ProtocolError::Count {
                field: name,
                count,
                left: self.rest.len(),
            });
        }
        self.charge(count as usize * element.decoded_size())?;
        if let Some(size) = element.fixed_size() {
            return self.skip_fixed(name, count as usize * size);
        }
        for _ in 0..count {
            self.field = name;
            self.kind(*element, false)?;
        }
        Ok(())
    }

    /// The length of bytes or the count of an array.
    fn length_32(&mut self) -> Result<Length, ProtocolError> {
        if self.flexible {
            return self.compact_length();
        }
        let length = i32::from_be_bytes(self.chunk::<4>()?);
        self.signed(length)
    }

    fn compact_length(&mut self) -> Result<Length, ProtocolError> {
        Ok(match read_unsigned(self)? {
            0 => Length::Null,
            length => Length::Of(length - 1),
        })
    }

    fn signed(&self, length: i32) -> Result<Length, ProtocolError> {
        match u32::try_from(length) {
            Ok(length) => Ok(Length::Of(length)),
            Err(_) if length == -1 => Ok(Length::Null),
            Err(_) => Err(ProtocolError::NegativeLength { field: self.field }),
        }
    }

    fn null(&self, nullable: bool) -> Result<(), ProtocolError> {
        if nullable {
            Ok(())
        } else {
            Err(ProtocolError::Null { field: self.field })
        }
    }

    fn skip(&mut self, length: u32) -> Result<(), ProtocolError> {
        let left = self.rest.len();
        let rest = self.rest.split_at_checked(length as usize);
        let (_, rest) = rest.ok_or(ProtocolError::Length {
            field: self.field,
            length,
            left,
        })?;
        self.rest = rest;
        Ok(())
    }

    fn chunk<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], ProtocolError> {
        let split = self.rest.split_first_chunk::<SIZE>();
        let (chunk, rest) = split.ok_or(ProtocolError::CutOff { field: self.field })?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn charge(&mut self, size: usize) -> Result<(), ProtocolError> {
        let left = self.decoded_size_left.checked_sub(size);
        let too_large = ProtocolError::TooLarge {
            field: self.field,
            max: self.decoded_size_max,
        };
        self.decoded_size_left = left.ok_or(too_large)?;
        Ok(())
    }
}

impl ByteSource for Walk<'_> {
    type Error = ProtocolError;

    fn next_byte(&mut self) -> Result<u8, ProtocolError> {
        let [byte] = self.chunk::<1>()?;
        Ok(byte)
    }

    fn too_long(&self) -> ProtocolError {
        ProtocolError::NumberTooLong { field: self.field }
    }
}
