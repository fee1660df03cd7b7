//! Records of coordinators' topics as JSON, as upstream's formatters for them print it.
//!
//! Invariant: a record that is of another kind than the formatter's prints nothing.

use std::fmt::Write;

use bytes::{Buf, Bytes};
use protocol::Record;

use crate::failure::Failure;

/// Which records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::console) enum CoordinatorFormatter {
    Offsets,
    GroupMetadata,
    TransactionLog,
}

/// How a field is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Int8,
    Int16,
    Int32,
    Int64,
    String,
    NullableString,
    Bytes,
    Uuid,
    Array(&'static [Field]),
    NullableArray(&'static [Field]),
    /// The elements are no structs.
    Ints,
}

/// A field, from its first version to its last; with a tag where it is a tagged one.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    kind: Kind,
    versions: (i16, i16),
    tag: Option<u32>,
}

const NEWEST: i16 = i16::MAX;

const fn field(name: &'static str, kind: Kind, first: i16) -> Field {
    Field {
        name,
        kind,
        versions: (first, NEWEST),
        tag: None,
    }
}

const fn tagged(name: &'static str, kind: Kind, tag: u32) -> Field {
    Field {
        name,
        kind,
        versions: (0, NEWEST),
        tag: Some(tag),
    }
}

/// A key or a value: its fields, its newest version and its first flexible one.
#[derive(Debug)]
struct Schema {
    fields: &'static [Field],
    newest: i16,
    flexible: i16,
}

const OFFSET_KEY: Schema = Schema {
    fields: &[
        field("group", Kind::String, 0),
        field("topic", Kind::String, 0),
        field("partition", Kind::Int32, 0),
    ],
    newest: 1,
    flexible: NEWEST,
};
const OFFSET_VALUE: Schema = Schema {
    fields: &[
        field("offset", Kind::Int64, 0),
        field("leaderEpoch", Kind::Int32, 3),
        field("metadata", Kind::String, 0),
        field("commitTimestamp", Kind::Int64, 0),
        Field {
            name: "expireTimestamp",
            kind: Kind::Int64,
            versions: (1, 1),
            tag: None,
        },
        tagged("topicId", Kind::Uuid, 0),
    ],
    newest: 4,
    flexible: 4,
};
const GROUP_KEY: Schema = Schema {
    fields: &[field("group", Kind::String, 0)],
    newest: 2,
    flexible: NEWEST,
};
const GROUP_VALUE: Schema = Schema {
    fields: &[
        field("protocolType", Kind::String, 0),
        field("generation", Kind::Int32, 0),
        field("protocol", Kind::NullableString, 0),
        field("leader", Kind::NullableString, 0),
        field("currentStateTimestamp", Kind::Int64, 2),
        field(
            "members",
            Kind::Array(&[
                field("memberId", Kind::String, 0),
                field("groupInstanceId", Kind::NullableString, 3),
                field("clientId", Kind::String, 0),
                field("clientHost", Kind::String, 0),
                field("rebalanceTimeout", Kind::Int32, 1),
                field("sessionTimeout", Kind::Int32, 0),
                field("subscription", Kind::Bytes, 0),
                field("assignment", Kind::Bytes, 0),
            ]),
            0,
        ),
    ],
    newest: 4,
    flexible: 4,
};
const TRANSACTION_KEY: Schema = Schema {
    fields: &[field("transactionalId", Kind::String, 0)],
    newest: 0,
    flexible: NEWEST,
};
const TRANSACTION_VALUE: Schema = Schema {
    fields: &[
        field("producerId", Kind::Int64, 0),
        tagged("previousProducerId", Kind::Int64, 0),
        tagged("nextProducerId", Kind::Int64, 1),
        field("producerEpoch", Kind::Int16, 0),
        tagged("nextProducerEpoch", Kind::Int16, 3),
        field("transactionTimeoutMs", Kind::Int32, 0),
        field("transactionStatus", Kind::Int8, 0),
        field(
            "transactionPartitions",
            Kind::NullableArray(&[
                field("topic", Kind::String, 0),
                field("partitionIds", Kind::Ints, 0),
            ]),
            0,
        ),
        field("transactionLastUpdateTimestampMs", Kind::Int64, 0),
        field("transactionStartTimestampMs", Kind::Int64, 0),
        tagged("clientTransactionVersion", Kind::Int16, 2),
    ],
    newest: 1,
    flexible: 1,
};

impl CoordinatorFormatter {
    pub(super) fn write(self, record: &Record, output: &mut Vec<u8>) -> Result<(), Failure> {
        let Some(key) = &record.key else {
            return Ok(());
        };
        let kind = version(key)?;
        let (key_schema, value_schema) = match (self, kind) {
            (CoordinatorFormatter::Offsets, 0 | 1) => (OFFSET_KEY, OFFSET_VALUE),
            (CoordinatorFormatter::GroupMetadata, 2) => (GROUP_KEY, GROUP_VALUE),
            (CoordinatorFormatter::TransactionLog, 0) => (TRANSACTION_KEY, TRANSACTION_VALUE),
            (
                CoordinatorFormatter::Offsets
                | CoordinatorFormatter::GroupMetadata
                | CoordinatorFormatter::TransactionLog,
                _,
            ) => return Ok(()),
        };
        let mut json = format!("{{\"key\":{{\"type\":{kind},\"data\":");
        json.push_str(&key_schema.json(key)?);
        json.push_str("},\"value\":");
        match &record.value {
            None => json.push_str("null}"),
            Some(value) => {
                let data = value_schema.json(value)?;
                let _ = write!(
                    json,
                    "{{\"version\":{},\"data\":{data}}}}}",
                    version(value)?
                );
            }
        }
        output.extend(json.as_bytes());
        Ok(())
    }
}

fn version(bytes: &Bytes) -> Result<i16, Failure> {
    (&**bytes).try_get_i16().map_err(|_| cut_off())
}

fn cut_off() -> Failure {
    Failure::new("java.nio.BufferUnderflowException", "the record is cut off")
}

impl Schema {
    fn json(&self, bytes: &Bytes) -> Result<String, Failure> {
        let mut bytes = bytes.clone();
        let version = bytes.try_get_i16().map_err(|_| cut_off())?;
        if !(0..=self.newest).contains(&version) {
            return Ok("\"unknown\"".to_owned());
        }
        let mut reader = Reader {
            bytes,
            version,
            is_flexible: version >= self.flexible,
        };
        reader.fields(self.fields)
    }
}

struct Reader {
    bytes: Bytes,
    version: i16,
    is_flexible: bool,
}

impl Reader {
    fn fields(&mut self, fields: &[Field]) -> Result<String, Failure> {
        let version = self.version;
        let is_there = |field: &&Field| (field.versions.0..=field.versions.1).contains(&version);
        let mut values: Vec<(usize, String)> = Vec::new();
        for (at, field) in fields
            .iter()
            .enumerate()
            .filter(|(_, field)| is_there(field))
        {
            if field.tag.is_none() {
                values.push((at, self.value(field.kind)?));
            }
        }
        if self.is_flexible {
            for _ in 0..self.varint()? {
                let (tag, size) = (self.varint()?, self.varint()? as usize);
                let bytes = self.take(size)?;
                let known = fields.iter().position(|field| field.tag == Some(tag));
                if let Some(at) = known
                    && let Some(field) = fields.get(at)
                {
                    let mut inner = Reader { bytes, ..*self };
                    values.push((at, inner.value(field.kind)?));
                }
            }
        }
        values.sort_by_key(|(at, _)| *at);
        let pairs: Vec<String> = values
            .into_iter()
            .filter_map(|(at, value)| Some(format!("\"{}\":{value}", fields.get(at)?.name)))
            .collect();
        Ok(format!("{{{}}}", pairs.join(",")))
    }

    fn value(&mut self, kind: Kind) -> Result<String, Failure> {
        let cut = |_| cut_off();
        Ok(match kind {
            Kind::Int8 => self.bytes.try_get_i8().map_err(cut)?.to_string(),
            Kind::Int16 => self.bytes.try_get_i16().map_err(cut)?.to_string(),
            Kind::Int32 => self.bytes.try_get_i32().map_err(cut)?.to_string(),
            Kind::Int64 => self.bytes.try_get_i64().map_err(cut)?.to_string(),
            Kind::String | Kind::NullableString => match self.length(Width::Two)? {
                None => "null".to_owned(),
                Some(length) => {
                    let text = self.take(length)?;
                    serde_json::Value::from(String::from_utf8_lossy(&text)).to_string()
                }
            },
            Kind::Bytes => match self.length(Width::Four)? {
                None => "null".to_owned(),
                Some(length) => format!("\"{}\"", base64(&self.take(length)?, &STANDARD, true)),
            },
            Kind::Uuid => format!("\"{}\"", base64(&self.take(16)?, &URL_SAFE, false)),
            Kind::Array(fields) | Kind::NullableArray(fields) => {
                self.array(|reader| reader.fields(fields))?
            }
            Kind::Ints => self.array(|reader| reader.value(Kind::Int32))?,
        })
    }

    fn array(
        &mut self,
        element: impl Fn(&mut Self) -> Result<String, Failure>,
    ) -> Result<String, Failure> {
        let Some(count) = self.length(Width::Four)? else {
            return Ok("null".to_owned());
        };
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(format!("[{}]", elements.join(",")))
    }

    /// None where the field is null.
    fn length(&mut self, width: Width) -> Result<Option<usize>, Failure> {
        let cut = |_| cut_off();
        if self.is_flexible {
            return Ok((self.varint()? as usize).checked_sub(1));
        }
        let length = match width {
            Width::Two => self.bytes.try_get_i16().map_err(cut)?.into(),
            Width::Four => self.bytes.try_get_i32().map_err(cut)?,
        };
        Ok(usize::try_from(length).ok())
    }

    fn varint(&mut self) -> Result<u32, Failure> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.bytes.try_get_u8().map_err(|_| cut_off())?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(cut_off())
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Failure> {
        if length > self.bytes.len() {
            return Err(cut_off());
        }
        Ok(self.bytes.split_to(length))
    }
}

/// How many bytes a length takes where the version is not a flexible one.
#[derive(Clone, Copy)]
enum Width {
    Two,
    Four,
}

const STANDARD: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &[u8; 64], is_padded: bool) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let letter = alphabet.get((bits >> (18 - 6 * at) & 0x3f) as usize);
            match letter {
                Some(letter) if at <= chunk.len() => text.push(char::from(*letter)),
                Some(_) | None if is_padded => text.push('='),
                Some(_) | None => {}
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::{Offset, Timestamp};

    use super::*;

    fn written(formatter: CoordinatorFormatter, key: &[u8], value: Option<&[u8]>) -> String {
        let record = Record {
            offset: Offset(0),
            timestamp: Timestamp(0),
            sequence: None,
            key: Some(Bytes::copy_from_slice(key)),
            value: value.map(Bytes::copy_from_slice),
            headers: Vec::new(),
        };
        let mut output = Vec::new();
        formatter.write(&record, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    const KEY: &[u8] = b"\0\x01\0\x02gg\0\x02p1\0\0\0\0";

    #[test]
    fn an_offset_is_shown_with_its_tagged_topic_id() {
        let mut value = b"\0\x04\0\0\0\0\0\0\0\x1c\xff\xff\xff\xff\x01\0\0\0\0\0\0\0\x05".to_vec();
        value.extend(b"\x01\0\x10");
        value.extend([0xff; 16]);
        assert_eq!(
            written(CoordinatorFormatter::Offsets, KEY, Some(&value)),
            "{\"key\":{\"type\":1,\"data\":{\"group\":\"gg\",\"topic\":\"p1\",\"partition\":0}},\
             \"value\":{\"version\":4,\"data\":{\"offset\":28,\"leaderEpoch\":-1,\"metadata\":\"\",\
             \"commitTimestamp\":5,\"topicId\":\"_____________________w\"}}}"
        );
    }

    #[test]
    fn a_tombstone_is_null_and_other_kinds_are_nothing() {
        assert!(written(CoordinatorFormatter::Offsets, KEY, None).ends_with("\"value\":null}"));
        assert_eq!(written(CoordinatorFormatter::GroupMetadata, KEY, None), "");
    }

    #[test]
    fn base64_is_padded_in_the_standard_alphabet() {
        assert_eq!(base64(b"a", &STANDARD, true), "YQ==");
        assert_eq!(base64(b"abc", &STANDARD, true), "YWJj");
        assert_eq!(base64(b"ab", &URL_SAFE, false), "YWI");
    }
}
