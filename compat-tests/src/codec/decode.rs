//! Responses: bytes to JSON. Every field of the version is there afterwards, a tagged one that was
//! left out with its default; unknown tags and trailing bytes are kept, under `_tags` and
//! `_trailing`, so that a comparison sees them.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::{default_value, format_hex, format_uuid};
use crate::batch;
use crate::schema::{Api, Field, Primitive, Type};

const API_VERSIONS: i16 = 18;

/// The first four bytes of any answer.
pub(crate) fn response_correlation_id(frame: &[u8]) -> Result<i32> {
    Reader::new(frame, 0, false).int32()
}

/// The body of an answer, its header checked and dropped.
pub(crate) fn decode_response(api: &Api, version: i16, frame: &[u8]) -> Result<Value> {
    let flexible = api.response.flexible.contains(version);
    let mut reader = Reader::new(frame, version, flexible);
    reader.int32().context("correlation id")?;
    // ApiVersions answers with header v0 always: the client may not know the version yet.
    let header_tags = if flexible && api.key != API_VERSIONS {
        reader.unknown_tags()?
    } else {
        Map::new()
    };
    let mut object = reader.structure(&api.response.fields)?;
    if !header_tags.is_empty() {
        object.insert("_header_tags".to_owned(), Value::Object(header_tags));
    }
    if !reader.rest.is_empty() {
        object.insert("_trailing".to_owned(), Value::from(format_hex(reader.rest)));
    }
    Ok(Value::Object(object))
}

struct Reader<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8], version: i16, flexible: bool) -> Self {
        Self {
            rest,
            version,
            flexible,
        }
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .rest
            .split_at_checked(size)
            .context("the answer ends too early")?;
        self.rest = rest;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(<[u8; N]>::try_from(self.take(N)?)?)
    }

    fn int32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    fn unsigned_varint(&mut self) -> Result<u32> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).context("a varint of more than 32 bits");
            }
        }
        bail!("a varint of more than five bytes");
    }

    /// A length or count; `None` is null.
    fn length(&mut self) -> Result<Option<usize>> {
        if self.flexible {
            return Ok((self.unsigned_varint()? as usize).checked_sub(1));
        }
        let length = self.int32()?;
        if length == -1 {
            Ok(None)
        } else {
            Ok(Some(usize::try_from(length)?))
        }
    }

    fn structure(&mut self, fields: &[Field]) -> Result<Map<String, Value>> {
        let mut object = Map::new();
        let present = || {
            fields
                .iter()
                .filter(|field| field.versions.contains(self.version))
        };
        let version = self.version;
        let is_tagged = |field: &Field| self.flexible && field.tagged.contains(version);
        let tagged: Vec<&Field> = present().filter(|field| is_tagged(field)).collect();
        let plain: Vec<&Field> = present().filter(|field| !is_tagged(field)).collect();
        for field in plain {
            let value = self.field(field).with_context(|| field.name.clone())?;
            object.insert(field.name.clone(), value);
        }
        if self.flexible {
            self.tags(&tagged, &mut object)?;
        }
        Ok(object)
    }

    fn tags(&mut self, tagged: &[&Field], object: &mut Map<String, Value>) -> Result<()> {
        for field in tagged {
            object.insert(field.name.clone(), default_value(field));
        }
        let mut unknown = Map::new();
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let bytes = self.take(size)?;
            let Some(field) = tagged.iter().find(|field| field.tag == tag) else {
                unknown.insert(tag.to_string(), Value::from(format_hex(bytes)));
                continue;
            };
            let mut inner = Reader::new(bytes, self.version, true);
            let value = inner.field(field).with_context(|| field.name.clone())?;
            object.insert(field.name.clone(), value);
        }
        if !unknown.is_empty() {
            object.insert("_tags".to_owned(), Value::Object(unknown));
        }
        Ok(())
    }

    fn unknown_tags(&mut self) -> Result<Map<String, Value>> {
        let mut object = Map::new();
        self.tags(&[], &mut object)?;
        Ok(object)
    }

    fn field(&mut self, field: &Field) -> Result<Value> {
        let element = match field.ty {
            Type::One(primitive) => return self.one(field, primitive),
            Type::Array(element) => element,
        };
        let Some(count) = self.length()? else {
            return Ok(Value::Null);
        };
        let mut items = Vec::new();
        for index in 0..count {
            items.push(
                self.one(field, element)
                    .with_context(|| format!("[{index}]"))?,
            );
        }
        Ok(Value::Array(items))
    }

    fn one(&mut self, field: &Field, primitive: Primitive) -> Result<Value> {
        Ok(match primitive {
            Primitive::Bool => Value::Bool(self.fixed::<1>()? != [0]),
            Primitive::Int8 => Value::from(i8::from_be_bytes(self.fixed()?)),
            Primitive::Int16 => Value::from(i16::from_be_bytes(self.fixed()?)),
            Primitive::Uint16 => Value::from(u16::from_be_bytes(self.fixed()?)),
            Primitive::Int32 => Value::from(self.int32()?),
            Primitive::Int64 => Value::from(i64::from_be_bytes(self.fixed()?)),
            Primitive::Float64 => Value::from(f64::from_be_bytes(self.fixed()?)),
            Primitive::Uuid => Value::from(format_uuid(self.fixed()?)),
            Primitive::Text => self.text()?,
            Primitive::Bytes => match self.length()? {
                None => Value::Null,
                Some(size) => Value::from(format!("hex:{}", format_hex(self.take(size)?))),
            },
            Primitive::Records => match self.length()? {
                None => Value::Null,
                Some(size) => batch::describe(self.take(size)?),
            },
            Primitive::Struct => {
                let marked =
                    matches!(field.ty, Type::One(_)) && field.nullable.contains(self.version);
                if marked && i8::from_be_bytes(self.fixed()?) < 0 {
                    return Ok(Value::Null);
                }
                Value::Object(self.structure(&field.fields)?)
            }
        })
    }

    fn text(&mut self) -> Result<Value> {
        let length = if self.flexible {
            self.length()?
        } else {
            match i16::from_be_bytes(self.fixed()?) {
                -1 => None,
                length => Some(usize::try_from(length)?),
            }
        };
        let Some(length) = length else {
            return Ok(Value::Null);
        };
        Ok(Value::from(String::from_utf8_lossy(self.take(length)?)))
    }
}
