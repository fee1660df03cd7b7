//! Walks a request by its schema before it is decoded.
//!
//! kafka-protocol sizes vectors by counts from the wire: five bytes can make it ask for more memory
//! than there is, and a failed allocation aborts the process. What passes here can be decoded.
//!
//! Invariant: a body that passes holds every element its counts claim, is well-formed in every
//! length, null and string, and decodes into no more memory than
//! `DECODED_SIZE_BASE + DECODED_SIZE_PER_BYTE` times its size. A walk that finds it so allocates nothing.
//!
//! As upstream reads them: bytes behind the body are ignored; tagged fields may come in any order
//! and more than once; the size of a known tagged field is not compared with what it holds.

use std::ops::Range;

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::schema::{self, Field, Kind};
use crate::varint::{ByteSource, read_unsigned};
use crate::wire::Writer;

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
/// No text is longer, also where its length would have room.
const TEXT_SIZE_MAX: u32 = i16::MAX as u32;

/// Checks the body of a request, so that decoding it is safe.
pub fn check_request(api_key: i16, version: i16, body: &[u8]) -> Result<(), ProtocolError> {
    walk(api_key, version, body, Strictness::Decodable).map(|_| ())
}

/// Checks the body of a request and gives it back so that decoding it is safe.
///
/// What upstream takes and kafka-protocol does not is written as kafka-protocol takes it: text that
/// is not UTF-8 with the replacement character, as Java reads it; any negative length of what may
/// be null as null; any presence byte that is not negative as present.
pub fn admit_request(api_key: i16, version: i16, body: Bytes) -> Result<Bytes, ProtocolError> {
    let Err(refused) = check_request(api_key, version, &body) else {
        return Ok(body);
    };
    let edits = walk(api_key, version, &body, Strictness::Upstream)?;
    let edited = Bytes::from(apply(&body, edits)?);
    match check_request(api_key, version, &edited) {
        Ok(()) => Ok(edited),
        Err(_) => Err(refused),
    }
}

/// What the walk lets pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// What kafka-protocol decodes.
    Decodable,
    /// What upstream reads, with an edit wherever kafka-protocol would not.
    Upstream,
}

/// Bytes to write in place of others.
struct Edit {
    range: Range<usize>,
    bytes: Vec<u8>,
}

fn walk(
    api_key: i16,
    version: i16,
    body: &[u8],
    strictness: Strictness,
) -> Result<Vec<Edit>, ProtocolError> {
    let request = schema::request(api_key).ok_or(ProtocolError::UnknownApiKey(api_key))?;
    if !request.has_version(version) {
        let api_version = version;
        return Err(ProtocolError::UnsupportedVersion {
            api_key,
            api_version,
        });
    }
    let decoded_size_max = DECODED_SIZE_BASE + DECODED_SIZE_PER_BYTE * body.len();
    let mut walk = Walk {
        rest: body,
        size: body.len(),
        field: request.name,
        version,
        flexible: request.is_flexible(version),
        decoded_size_left: decoded_size_max,
        decoded_size_max,
        strictness,
        edits: Vec::new(),
    };
    walk.fields(request.fields)?;
    Ok(walk.edits)
}

/// The body with the edits made, which stand in its order.
fn apply(body: &[u8], edits: Vec<Edit>) -> Result<Vec<u8>, ProtocolError> {
    let cut_off = ProtocolError::CutOff {
        field: TAGGED_FIELDS,
    };
    let mut edited = Vec::with_capacity(body.len());
    let mut taken = 0;
    for Edit { range, bytes } in edits {
        edited.extend_from_slice(body.get(taken..range.start).ok_or(cut_off.clone())?);
        edited.extend_from_slice(&bytes);
        taken = range.end;
    }
    edited.extend_from_slice(body.get(taken..).ok_or(cut_off)?);
    Ok(edited)
}

struct Walk<'a> {
    rest: &'a [u8],
    /// Of the whole body.
    size: usize,
    /// What is being read, for the error.
    field: &'static str,
    version: i16,
    flexible: bool,
    decoded_size_left: usize,
    decoded_size_max: usize,
    strictness: Strictness,
    edits: Vec<Edit>,
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
            let start = self.position();
            return match self.next_byte()? as i8 {
                i8::MIN..=-1 => Ok(()),
                1 => self.fields(inner.fields),
                0 | 2..=i8::MAX => {
                    self.edit(start, &[1], ProtocolError::Null { field: field.name })?;
                    self.fields(inner.fields)
                }
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
        let (start, field) = (self.position(), self.field);
        let length = if self.flexible {
            self.compact_length()?
        } else {
            let length = i16::from_be_bytes(self.chunk::<2>()?);
            self.signed(start, i32::from(length))?
        };
        let Length::Of(length) = length else {
            return self.null(nullable);
        };
        if length > TEXT_SIZE_MAX {
            return Err(ProtocolError::TextTooLong { field, length });
        }
        let before = self.rest;
        self.skip(length)?;
        let text = before.get(..length as usize).unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(_) => self.replace_text(start, text),
        }
    }

    fn replace_text(&mut self, start: usize, text: &[u8]) -> Result<(), ProtocolError> {
        let error = ProtocolError::NotUtf8 { field: self.field };
        if self.strictness == Strictness::Decodable {
            return Err(error);
        }
        let replaced = String::from_utf8_lossy(text);
        let mut bytes = Vec::with_capacity(replaced.len() + 5);
        let written = bytes.put_string(self.flexible, self.field, Some(&replaced));
        written.map_err(|_| error.clone())?;
        self.edit(start, &bytes, error)
    }

    /// Notes that the bytes since `start` are to be written otherwise, unless that is an error.
    fn edit(
        &mut self,
        start: usize,
        bytes: &[u8],
        error: ProtocolError,
    ) -> Result<(), ProtocolError> {
        match self.strictness {
            Strictness::Decodable => Err(error),
            Strictness::Upstream => {
                self.edits.push(Edit {
                    range: start..self.position(),
                    bytes: bytes.to_vec(),
                });
                Ok(())
            }
        }
    }

    fn position(&self) -> usize {
        self.size - self.rest.len()
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
        let start = self.position();
        let length = i32::from_be_bytes(self.chunk::<4>()?);
        self.signed(start, length)
    }

    fn compact_length(&mut self) -> Result<Length, ProtocolError> {
        Ok(match read_unsigned(self)? {
            0 => Length::Null,
            length => Length::Of(length - 1),
        })
    }

    fn signed(&mut self, start: usize, length: i32) -> Result<Length, ProtocolError> {
        match u32::try_from(length) {
            Ok(length) => Ok(Length::Of(length)),
            Err(_) if length == -1 => Ok(Length::Null),
            Err(_) => {
                let (null, _) = [0xff; 4].split_at(self.position() - start);
                self.edit(
                    start,
                    null,
                    ProtocolError::NegativeLength { field: self.field },
                )?;
                Ok(Length::Null)
            }
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
