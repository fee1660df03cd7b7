//! Requests: JSON to bytes. A field left out takes its default; one that the version does not know
//! is skipped, so one body serves all versions; a name that no version knows is an error.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::{default_value, parse_hex, parse_uuid};
use crate::batch;
use crate::schema::{Api, Field, Primitive, Type};

/// What stands before the body.
#[derive(Debug, Clone)]
pub(crate) struct RequestHeader<'a> {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<&'a str>,
    /// Unknown tagged fields as `{"tag": "hex"}`; written only where the version is flexible.
    pub(crate) tags: Option<&'a Value>,
}

/// Header and body, without the length in front. The body is laid out for `layout`, which is the
/// header's version unless a case lies about it.
pub(crate) fn encode_request(
    api: &Api,
    header: &RequestHeader,
    layout: i16,
    body: &Value,
) -> Result<Vec<u8>> {
    let flexible = api.request.flexible.contains(layout);
    let mut writer = Writer {
        bytes: Vec::new(),
        version: layout,
        flexible,
    };
    writer.put(&header.key.to_be_bytes());
    writer.put(&header.version.to_be_bytes());
    writer.put(&header.correlation_id.to_be_bytes());
    match header.client_id {
        None => writer.put(&(-1_i16).to_be_bytes()),
        Some(id) => {
            writer.put(&i16::try_from(id.len())?.to_be_bytes());
            writer.put(id.as_bytes());
        }
    }
    if flexible {
        writer.tags(Vec::new(), header.tags)?;
    }
    writer
        .structure(&api.request.fields, body)
        .with_context(|| format!("{} v{layout}", api.name))?;
    Ok(writer.bytes)
}

struct Writer {
    bytes: Vec<u8>,
    version: i16,
    flexible: bool,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn unsigned_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn structure(&mut self, fields: &[Field], value: &Value) -> Result<()> {
        let object = value
            .as_object()
            .with_context(|| format!("an object is wanted, not {value}"))?;
        for name in object.keys() {
            let known = name == "_tags" || fields.iter().any(|field| field.name == *name);
            ensure!(known, "no field is called {name:?}");
        }
        let mut tagged = Vec::new();
        let version = self.version;
        for field in fields
            .iter()
            .filter(|field| field.versions.contains(version))
        {
            if self.flexible && field.tagged.contains(self.version) {
                // A tagged field is written exactly when the body names it.
                if let Some(value) = object.get(&field.name) {
                    tagged.push((field.tag, self.tagged_bytes(field, value)?));
                }
                continue;
            }
            self.named(field, object)?;
        }
        if self.flexible {
            self.tags(tagged, object.get("_tags"))?;
        }
        Ok(())
    }

    fn named(&mut self, field: &Field, object: &Map<String, Value>) -> Result<()> {
        let default;
        let value = match object.get(&field.name) {
            Some(value) => value,
            None => {
                default = default_value(field);
                &default
            }
        };
        self.field(field, value).with_context(|| field.name.clone())
    }

    fn tagged_bytes(&self, field: &Field, value: &Value) -> Result<Vec<u8>> {
        let mut inner = Writer {
            bytes: Vec::new(),
            version: self.version,
            flexible: true,
        };
        inner
            .field(field, value)
            .with_context(|| field.name.clone())?;
        Ok(inner.bytes)
    }

    fn tags(&mut self, mut known: Vec<(u32, Vec<u8>)>, unknown: Option<&Value>) -> Result<()> {
        if let Some(Value::Object(unknown)) = unknown {
            for (tag, hex) in unknown {
                known.push((tag.parse()?, parse_hex(hex.as_str().unwrap_or_default())?));
            }
        }
        known.sort_by_key(|(tag, _)| *tag);
        self.unsigned_varint(known.len() as u64);
        for (tag, bytes) in known {
            self.unsigned_varint(u64::from(tag));
            self.unsigned_varint(bytes.len() as u64);
            self.put(&bytes);
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, value: &Value) -> Result<()> {
        match field.ty {
            Type::Array(element) => self.array(field, element, value),
            Type::One(primitive) => self.one(field, primitive, value),
        }
    }

    fn array(&mut self, field: &Field, element: Primitive, value: &Value) -> Result<()> {
        if let Some(count) = value.get("$count") {
            let count = count.as_i64().context("$count takes a number")?;
            return self.length(i32::try_from(count)?);
        }
        if self.raw(value)? {
            return Ok(());
        }
        let Some(items) = value.as_array() else {
            ensure!(value.is_null(), "an array is wanted, not {value}");
            return self.length(-1);
        };
        self.length(i32::try_from(items.len())?)?;
        items
            .iter()
            .try_for_each(|item| self.one(field, element, item))
    }

    fn length(&mut self, length: i32) -> Result<()> {
        if self.flexible {
            self.unsigned_varint(u64::from((i64::from(length) + 1) as u32));
        } else {
            self.put(&length.to_be_bytes());
        }
        Ok(())
    }

    /// Writes `{"$raw": hex}` as it is.
    fn raw(&mut self, value: &Value) -> Result<bool> {
        let Some(hex) = value.get("$raw") else {
            return Ok(false);
        };
        let bytes = parse_hex(hex.as_str().context("$raw takes hexadecimal text")?)?;
        self.put(&bytes);
        Ok(true)
    }

    fn one(&mut self, field: &Field, primitive: Primitive, value: &Value) -> Result<()> {
        if self.raw(value)? {
            return Ok(());
        }
        match primitive {
            Primitive::Bool => {
                let value = value
                    .as_bool()
                    .with_context(|| format!("a bool, not {value}"))?;
                self.put(&[u8::from(value)]);
            }
            Primitive::Int8 => self.put(&i8::try_from(integer(value)?)?.to_be_bytes()),
            Primitive::Int16 => self.put(&i16::try_from(integer(value)?)?.to_be_bytes()),
            Primitive::Uint16 => self.put(&u16::try_from(integer(value)?)?.to_be_bytes()),
            Primitive::Int32 => self.put(&i32::try_from(integer(value)?)?.to_be_bytes()),
            Primitive::Int64 => self.put(&integer(value)?.to_be_bytes()),
            Primitive::Float64 => {
                let number = value
                    .as_f64()
                    .with_context(|| format!("a number, not {value}"))?;
                self.put(&number.to_be_bytes());
            }
            Primitive::Uuid => {
                let text = value
                    .as_str()
                    .with_context(|| format!("a UUID, not {value}"))?;
                self.put(&parse_uuid(text)?);
            }
            Primitive::Text => self.text(value)?,
            Primitive::Bytes => self.blob(bytes_of(value)?)?,
            Primitive::Records => self.blob(batch::encode(value)?)?,
            Primitive::Struct => {
                // Inside an array no element may be null, so only a nullable field has the marker.
                if matches!(field.ty, Type::One(_)) && field.nullable.contains(self.version) {
                    self.put(&[if value.is_null() { 0xff } else { 1 }]);
                    if value.is_null() {
                        return Ok(());
                    }
                }
                self.structure(&field.fields, value)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, value: &Value) -> Result<()> {
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text.as_bytes()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                bail!("a text is wanted, not {value}")
            }
        };
        let length = text.map_or(Ok(-1), |text| i32::try_from(text.len()))?;
        if self.flexible {
            self.length(length)?;
        } else {
            self.put(&i16::try_from(length)?.to_be_bytes());
        }
        self.put(text.unwrap_or_default());
        Ok(())
    }

    fn blob(&mut self, bytes: Option<Vec<u8>>) -> Result<()> {
        let length = bytes
            .as_ref()
            .map_or(Ok(-1), |bytes| i32::try_from(bytes.len()))?;
        self.length(length)?;
        self.put(&bytes.unwrap_or_default());
        Ok(())
    }
}

fn integer(value: &Value) -> Result<i64> {
    value
        .as_i64()
        .with_context(|| format!("an integer is wanted, not {value}"))
}

/// Null, hexadecimal after `hex:`, or the text itself.
fn bytes_of(value: &Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => match text.strip_prefix("hex:") {
            Some(hex) => Ok(Some(parse_hex(hex)?)),
            None => Ok(Some(text.as_bytes().to_vec())),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            bail!("bytes are wanted, not {value}")
        }
    }
}
