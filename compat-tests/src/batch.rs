//! Record batches (magic 2): built from JSON, with every field of the header open to lies, and
//! described as JSON. Building gives right bytes unless the case asks for wrong ones.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::codec::{format_hex, parse_hex};

const HEADER_SIZE: usize = 61;
/// Where the part begins that the checksum covers.
const CRC_START: usize = 21;
/// Magic, version 1 and the lowest version that reads it, 1.
const SNAPPY_JAVA: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Fixed, so that recordings are equal from run to run.
const BASE_TIMESTAMP: i64 = 1_700_000_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(default)]
    records: Vec<Record>,
    /// That many records in place of `records`, with values `0`, `1`, ...
    #[serde(default)]
    generate: usize,
    #[serde(default)]
    compression: Compression,
    #[serde(default = "base_timestamp")]
    timestamp: i64,
    #[serde(default)]
    base_offset: i64,
    #[serde(default = "minus_one_32")]
    leader_epoch: i32,
    #[serde(default = "two")]
    magic: i8,
    #[serde(default = "minus_one_64")]
    producer_id: i64,
    #[serde(default = "minus_one_16")]
    producer_epoch: i16,
    #[serde(default = "minus_one_32")]
    base_sequence: i32,
    /// Bits set on top of the compression's.
    #[serde(default)]
    attributes: i16,
    last_offset_delta: Option<i32>,
    max_timestamp: Option<i64>,
    count: Option<i32>,
    /// In place of the true length.
    length: Option<i32>,
    /// Bytes (hexadecimal) in place of the records.
    body: Option<String>,
    #[serde(default)]
    bad_crc: bool,
    /// Bytes cut off the end, after the header was made.
    #[serde(default)]
    truncate: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    key: Option<String>,
    value: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Option<String>)>,
    #[serde(default)]
    timestamp_delta: i64,
    offset_delta: Option<i32>,
    /// In place of the true length of the record.
    length: Option<i32>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    /// In blocks, as the Java client frames it.
    #[serde(rename = "snappy-java")]
    SnappyJava,
    Lz4,
    Zstd,
}

impl Compression {
    fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy | Self::SnappyJava => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

fn base_timestamp() -> i64 {
    BASE_TIMESTAMP
}
fn minus_one_16() -> i16 {
    -1
}
fn minus_one_32() -> i32 {
    -1
}
fn minus_one_64() -> i64 {
    -1
}
fn two() -> i8 {
    2
}

/// The bytes of a records field: null, `hex:...`, `{"$batch": {...}}` or `{"$batches": [...]}`.
pub(crate) fn encode(value: &Value) -> Result<Option<Vec<u8>>> {
    if let Some(batch) = value.get("$batch") {
        return Ok(Some(build(batch)?));
    }
    if let Some(batches) = value.get("$batches") {
        let batches = batches.as_array().context("$batches takes an array")?;
        let parts: Vec<Vec<u8>> = batches.iter().map(build).collect::<Result<_>>()?;
        return Ok(Some(parts.concat()));
    }
    match value {
        Value::Null => Ok(None),
        Value::String(text) => parse_hex(text.strip_prefix("hex:").unwrap_or(text)).map(Some),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            bail!("records are wanted, not {value}")
        }
    }
}

fn build(value: &Value) -> Result<Vec<u8>> {
    let mut batch = Batch::deserialize(value).with_context(|| format!("batch {value}"))?;
    for index in 0..batch.generate {
        batch.records.push(Record {
            key: None,
            value: Some(index.to_string()),
            headers: Vec::new(),
            timestamp_delta: 0,
            offset_delta: None,
            length: None,
        });
    }
    let count = i32::try_from(batch.records.len())?;
    let body = match &batch.body {
        Some(hex) => parse_hex(hex)?,
        None => compress(batch.compression, &plain_body(&batch.records)?)?,
    };
    let newest = batch
        .records
        .iter()
        .map(|record| record.timestamp_delta)
        .max()
        .unwrap_or(0);
    let mut covered = Vec::new();
    covered.extend((batch.compression.attributes() | batch.attributes).to_be_bytes());
    covered.extend(batch.last_offset_delta.unwrap_or(count - 1).to_be_bytes());
    covered.extend(batch.timestamp.to_be_bytes());
    covered.extend(
        batch
            .max_timestamp
            .unwrap_or(batch.timestamp.wrapping_add(newest))
            .to_be_bytes(),
    );
    covered.extend(batch.producer_id.to_be_bytes());
    covered.extend(batch.producer_epoch.to_be_bytes());
    covered.extend(batch.base_sequence.to_be_bytes());
    covered.extend(batch.count.unwrap_or(count).to_be_bytes());
    covered.extend(body);
    let crc = crc32c(&covered) ^ u32::from(batch.bad_crc);
    let true_length = i32::try_from(covered.len() + CRC_START - 12)?;
    let mut bytes = Vec::with_capacity(covered.len() + CRC_START);
    bytes.extend(batch.base_offset.to_be_bytes());
    bytes.extend(batch.length.unwrap_or(true_length).to_be_bytes());
    bytes.extend(batch.leader_epoch.to_be_bytes());
    bytes.extend(batch.magic.to_be_bytes());
    bytes.extend(crc.to_be_bytes());
    bytes.extend(covered);
    bytes.truncate(bytes.len().saturating_sub(batch.truncate));
    Ok(bytes)
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

fn plain_body(records: &[Record]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let mut bytes = vec![0];
        put_varint(&mut bytes, record.timestamp_delta);
        put_varint(
            &mut bytes,
            i64::from(record.offset_delta.unwrap_or(i32::try_from(index)?)),
        );
        put_optional(&mut bytes, record.key.as_deref());
        put_optional(&mut bytes, record.value.as_deref());
        put_varint(&mut bytes, record.headers.len() as i64);
        for (key, value) in &record.headers {
            put_optional(&mut bytes, Some(key));
            put_optional(&mut bytes, value.as_deref());
        }
        put_varint(
            &mut body,
            record.length.map_or(bytes.len() as i64, i64::from),
        );
        body.extend(bytes);
    }
    Ok(body)
}

fn put_optional(bytes: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => put_varint(bytes, -1),
        Some(text) => {
            put_varint(bytes, text.len() as i64);
            bytes.extend(text.as_bytes());
        }
    }
}

/// Zig-zag, as inside records.
fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut value = (value << 1 ^ value >> 63) as u64;
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn compress(compression: Compression, plain: &[u8]) -> Result<Vec<u8>> {
    Ok(match compression {
        Compression::None => plain.to_vec(),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain)?;
            encoder.finish()?
        }
        // Plain snappy, as librdkafka writes it; the Java client's blocks are a frame around it.
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(plain)?,
        Compression::SnappyJava => {
            let block = snap::raw::Encoder::new().compress_vec(plain)?;
            let size = u32::try_from(block.len())?;
            [SNAPPY_JAVA, &size.to_be_bytes(), &block].concat()
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(plain)?;
            encoder.finish()?
        }
        Compression::Zstd => zstd::encode_all(plain, 3)?,
    })
}

/// What a fetched records field holds; what cannot be read as batches stays hexadecimal.
pub(crate) fn describe(bytes: &[u8]) -> Value {
    let mut batches = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((batch, after)) = describe_one(rest) else {
            batches.push(json!({ "unreadable": format_hex(rest) }));
            break;
        };
        batches.push(batch);
        rest = after;
    }
    Value::Array(batches)
}

fn describe_one(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let length = i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
    let end = 12 + usize::try_from(length).ok()?;
    let batch = bytes.get(..end)?;
    let rest = bytes.get(end..)?;
    let header = batch.get(..HEADER_SIZE)?;
    let body = batch.get(HEADER_SIZE..)?;
    let int16 = |at: usize| Some(i16::from_be_bytes(header.get(at..at + 2)?.try_into().ok()?));
    let int32 = |at: usize| Some(i32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let int64 = |at: usize| Some(i64::from_be_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let crc = int32(17)? as u32;
    let count = int32(57)?;
    let mut object = Map::new();
    object.insert("base_offset".into(), int64(0)?.into());
    object.insert("leader_epoch".into(), int32(12)?.into());
    object.insert("magic".into(), (*header.get(16)? as i8).into());
    object.insert(
        "crc_is_right".into(),
        (crc == crc32c(batch.get(CRC_START..)?)).into(),
    );
    object.insert("attributes".into(), int16(21)?.into());
    object.insert("last_offset_delta".into(), int32(23)?.into());
    object.insert("base_timestamp".into(), int64(27)?.into());
    object.insert("max_timestamp".into(), int64(35)?.into());
    object.insert("producer_id".into(), int64(43)?.into());
    object.insert("producer_epoch".into(), int16(51)?.into());
    object.insert("base_sequence".into(), int32(53)?.into());
    object.insert("count".into(), count.into());
    let records = open(int16(21)?, body).and_then(|plain| describe_records(&plain, count));
    let records = records.unwrap_or_else(|_| json!({ "unreadable": format_hex(body) }));
    object.insert("records".into(), records);
    Some((Value::Object(object), rest))
}

fn open(attributes: i16, body: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    match attributes & 7 {
        0 => plain.extend_from_slice(body),
        1 => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain)?;
        }
        2 if body.starts_with(SNAPPY_JAVA) => {
            let block = body
                .get(SNAPPY_JAVA.len() + 4..)
                .context("a block is wanted")?;
            plain = snap::raw::Decoder::new().decompress_vec(block)?;
        }
        2 => plain = snap::raw::Decoder::new().decompress_vec(body)?,
        3 => {
            lz4_flex::frame::FrameDecoder::new(body).read_to_end(&mut plain)?;
        }
        4 => plain = zstd::decode_all(body)?,
        other => bail!("no compression has the number {other}"),
    }
    Ok(plain)
}

fn describe_records(plain: &[u8], count: i32) -> Result<Value> {
    let mut rest = plain;
    let mut records = Vec::new();
    for _ in 0..count {
        let size = usize::try_from(varint(&mut rest)?)?;
        let (mut record, after) = rest
            .split_at_checked(size)
            .context("a record ends too early")?;
        rest = after;
        let [_attributes] = take(&mut record, 1)? else {
            bail!("no attributes")
        };
        let timestamp_delta = varint(&mut record)?;
        let offset_delta = varint(&mut record)?;
        let key = optional(&mut record)?;
        let value = optional(&mut record)?;
        let mut headers = Vec::new();
        for _ in 0..varint(&mut record)? {
            headers.push(json!([optional(&mut record)?, optional(&mut record)?]));
        }
        ensure!(record.is_empty(), "a record with bytes behind it");
        records.push(json!({
            "timestamp_delta": timestamp_delta, "offset_delta": offset_delta,
            "key": key, "value": value, "headers": headers,
        }));
    }
    ensure!(rest.is_empty(), "a batch with bytes behind it");
    Ok(Value::Array(records))
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8]> {
    let (head, after) = rest
        .split_at_checked(size)
        .context("the records end too early")?;
    *rest = after;
    Ok(head)
}

fn varint(rest: &mut &[u8]) -> Result<i64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let [byte] = take(rest, 1)? else {
            bail!("no byte")
        };
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    bail!("a varint of more than ten bytes")
}

fn optional(rest: &mut &[u8]) -> Result<Value> {
    match varint(rest)? {
        -1 => Ok(Value::Null),
        size => Ok(Value::from(String::from_utf8_lossy(take(
            rest,
            usize::try_from(size)?,
        )?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_batch_is_described_as_it_was_asked_for() {
        for compression in ["none", "gzip", "snappy", "snappy-java", "lz4", "zstd"] {
            let wanted = json!({ "$batch": { "compression": compression, "records": [
                { "key": "k", "value": "v", "headers": [["h", null]], "timestamp_delta": 5 },
                { "value": null },
            ]}});
            let batches = describe(&encode(&wanted).unwrap().unwrap());
            let batch = &batches[0];
            assert_eq!(batch["crc_is_right"], true);
            assert_eq!(batch["max_timestamp"], BASE_TIMESTAMP + 5);
            assert_eq!(
                batch["records"][0]["headers"],
                json!([["h", null]]),
                "{compression}"
            );
            assert_eq!(batch["records"][1]["offset_delta"], 1);
        }
    }

    #[test]
    fn lies_reach_the_bytes() {
        let wanted = json!({ "$batch": { "generate": 1, "bad_crc": true, "magic": 1 } });
        let batches = describe(&encode(&wanted).unwrap().unwrap());
        assert_eq!(batches[0]["crc_is_right"], false);
        assert_eq!(batches[0]["magic"], 1);
    }
}
