//! JSON values ⇄ wire bytes, driven by the message table. Encoding is able to write wrong bytes on
//! purpose (null where it is forbidden, false counts), because cases need that; decoding is strict
//! and never reads past the bytes it was given.

mod decode;
mod encode;

pub(crate) use decode::{decode_response, response_correlation_id};
pub(crate) use encode::{RequestHeader, encode_request};

use serde_json::Value;

use crate::schema::{Field, Primitive, Type};

/// The value of a field that a request leaves out.
pub(crate) fn default_value(field: &Field) -> Value {
    let text = field.default.as_deref().unwrap_or_default();
    if text == "null" {
        return Value::Null;
    }
    match field.ty {
        Type::Array(_) => Value::Array(Vec::new()),
        Type::One(Primitive::Bool) => Value::Bool(text == "true"),
        Type::One(
            Primitive::Int8
            | Primitive::Int16
            | Primitive::Uint16
            | Primitive::Int32
            | Primitive::Int64,
        ) => Value::from(default_integer(text)),
        Type::One(Primitive::Float64) => Value::from(text.parse::<f64>().unwrap_or(0.0)),
        Type::One(Primitive::Text | Primitive::Bytes | Primitive::Records) => Value::from(text),
        Type::One(Primitive::Uuid) => Value::from(format_uuid([0; 16])),
        Type::One(Primitive::Struct) => field
            .fields
            .iter()
            .map(|inner| (inner.name.clone(), default_value(inner)))
            .collect(),
    }
}

fn default_integer(text: &str) -> i64 {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).unwrap_or(0),
        None => text.parse().unwrap_or(0),
    }
}

pub(crate) fn format_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn parse_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_digit(16))
        .collect::<Option<_>>()
        .ok_or_else(|| anyhow::anyhow!("{text:?} is not hexadecimal"))?;
    anyhow::ensure!(
        digits.len().is_multiple_of(2),
        "{text:?} has an odd number of digits"
    );
    Ok(digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
        .collect())
}

pub(crate) fn format_uuid(bytes: [u8; 16]) -> String {
    let hex = format_hex(&bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts
        .map(|range| hex.get(range).unwrap_or_default().to_owned())
        .join("-")
}

pub(crate) fn parse_uuid(text: &str) -> anyhow::Result<[u8; 16]> {
    let bytes = parse_hex(&text.replace('-', ""))?;
    <[u8; 16]>::try_from(bytes).map_err(|_| anyhow::anyhow!("{text:?} is no UUID"))
}
