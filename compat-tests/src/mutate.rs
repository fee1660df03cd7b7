//! From one valid request, the requests that probe each field's edges: null, empty, limits, doubled
//! elements, and the frame's own edges. The schema decides what there is to probe, so a field that
//! a version adds is probed without a new case.

use serde_json::{Map, Value, json};

use crate::path;
use crate::schema::{Api, Field, Primitive, Type};

/// One change of a valid request.
#[derive(Debug, Clone)]
pub(crate) struct Mutation {
    /// What the recording calls it, for example `Topics[0].Name=empty`.
    pub(crate) label: String,
    pub(crate) change: Change,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Put {
        place: String,
        value: Value,
    },
    /// The element at this place stands there twice.
    Double {
        place: String,
    },
    /// Bytes cut off the end of the frame.
    Cut(usize),
    /// Bytes put behind the body.
    Append(Vec<u8>),
    /// The header names this version, the body stays.
    ClaimVersion(i16),
    HeaderTag,
    NoClientId,
}

impl Mutation {
    fn put(label: String, place: &str, value: Value) -> Self {
        Self {
            label,
            change: Change::Put {
                place: place.to_owned(),
                value,
            },
        }
    }

    /// Changes the body, where the change is one of the body.
    pub(crate) fn apply(&self, body: &mut Value) {
        match &self.change {
            Change::Put { place, value } => put(body, place, value.clone()),
            Change::Double { place } => {
                if let Some(Value::Array(items)) = path::get_mut(body, place) {
                    items.extend(items.first().cloned());
                }
            }
            Change::Cut(_)
            | Change::Append(_)
            | Change::ClaimVersion(_)
            | Change::HeaderTag
            | Change::NoClientId => {}
        }
    }
}

/// Sets a value; the last part of the place may be new.
fn put(body: &mut Value, place: &str, value: Value) {
    if let Some(target) = path::get_mut(body, place) {
        *target = value;
        return;
    }
    let (parent, name) = place.rsplit_once('.').unwrap_or(("", place));
    if let Some(Value::Object(object)) = path::get_mut(body, parent) {
        object.insert(name.to_owned(), value);
    }
}

/// All mutations of a request in a version, in a fixed order.
pub(crate) fn mutations(api: &Api, version: i16, body: &Value) -> Vec<Mutation> {
    let mut all = Vec::new();
    let flexible = api.request.flexible.contains(version);
    let mut walk = Walk {
        version,
        flexible,
        all: &mut all,
    };
    walk.fields(&api.request.fields, body, "");
    let frame = |label: &str, change| Mutation {
        label: format!("frame {label}"),
        change,
    };
    all.push(frame("cut by 1", Change::Cut(1)));
    all.push(frame("longer by 1", Change::Append(vec![0])));
    all.push(frame("without client id", Change::NoClientId));
    if flexible {
        all.push(frame("unknown tag in header", Change::HeaderTag));
        let tags = json!({ "9999": "00ff" });
        all.push(Mutation::put(
            "frame unknown tag in body".to_owned(),
            "_tags",
            tags,
        ));
    }
    let versions = api.request.versions;
    if version == versions.high {
        all.push(frame("version too high", Change::ClaimVersion(version + 1)));
        all.push(frame("version 32767", Change::ClaimVersion(i16::MAX)));
        all.push(frame("version -1", Change::ClaimVersion(-1)));
    }
    if version == versions.low && version > 0 {
        all.push(frame("version too low", Change::ClaimVersion(version - 1)));
    }
    all
}

struct Walk<'a> {
    version: i16,
    flexible: bool,
    all: &'a mut Vec<Mutation>,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field], body: &Value, prefix: &str) {
        let version = self.version;
        for field in fields
            .iter()
            .filter(|field| field.versions.contains(version))
        {
            let place = format!("{prefix}{}", field.name);
            let value = body.get(&field.name);
            match field.ty {
                Type::Array(element) => self.array(field, element, value, &place),
                Type::One(Primitive::Struct) => self.structure(field, value, &place),
                Type::One(primitive) => self.one(field, primitive, &place),
            }
        }
    }

    fn add(&mut self, place: &str, label: &str, value: Value) {
        self.all
            .push(Mutation::put(format!("{place}={label}"), place, value));
    }

    fn array(&mut self, field: &Field, element: Primitive, value: Option<&Value>, place: &str) {
        self.add(place, "null", Value::Null);
        self.add(place, "empty", json!([]));
        self.add(place, "count too high", json!({ "$count": 1000 }));
        self.add(
            place,
            "count 2147483647",
            json!({ "$raw": count_bytes(self.flexible, i32::MAX) }),
        );
        if !self.flexible {
            self.add(place, "count -2", json!({ "$raw": count_bytes(false, -2) }));
        }
        let Some(first) = value.and_then(|value| value.get(0)) else {
            return;
        };
        let change = Change::Double {
            place: place.to_owned(),
        };
        self.all.push(Mutation {
            label: format!("{place}=doubled"),
            change,
        });
        let inner = format!("{place}[0]");
        if element == Primitive::Struct {
            self.fields(&field.fields, first, &format!("{inner}."));
        } else {
            self.one(field, element, &inner);
        }
    }

    fn structure(&mut self, field: &Field, value: Option<&Value>, place: &str) {
        if field.nullable.contains(self.version) {
            self.add(place, "null", Value::Null);
        }
        let empty = Value::Object(Map::new());
        let tagged = self.flexible && field.tagged.contains(self.version);
        match value {
            Some(value @ Value::Object(_)) => {
                self.fields(&field.fields, value, &format!("{place}."))
            }
            None if tagged => self.add(place, "defaults", empty),
            _ => {}
        }
    }

    fn one(&mut self, field: &Field, primitive: Primitive, place: &str) {
        match primitive {
            Primitive::Bool => {
                self.add(place, "true", json!(true));
                self.add(place, "false", json!(false));
            }
            Primitive::Int8 => self.integers(place, i64::from(i8::MIN), i64::from(i8::MAX)),
            Primitive::Int16 => self.integers(place, i64::from(i16::MIN), i64::from(i16::MAX)),
            Primitive::Uint16 => self.integers(place, 0, i64::from(u16::MAX)),
            Primitive::Int32 => self.integers(place, i64::from(i32::MIN), i64::from(i32::MAX)),
            Primitive::Int64 => self.integers(place, i64::MIN, i64::MAX),
            Primitive::Float64 => self.add(place, "0.5", json!(0.5)),
            Primitive::Uuid => {
                self.add(place, "zero", json!("00000000-0000-0000-0000-000000000000"));
                self.add(place, "one", json!("00000000-0000-0000-0000-000000000001"));
                self.add(
                    place,
                    "unknown",
                    json!("0123abcd-0123-4567-89ab-0123456789ab"),
                );
            }
            Primitive::Text => self.texts(field, place),
            Primitive::Bytes | Primitive::Records => {
                self.add(place, "null", Value::Null);
                self.add(place, "empty", json!("hex:"));
                self.add(place, "garbage", json!("hex:00ff00ff00ff00ff"));
                self.add(
                    place,
                    "size too high",
                    json!({ "$raw": count_bytes(self.flexible, 1 << 24) }),
                );
            }
            Primitive::Struct => {}
        }
    }

    fn integers(&mut self, place: &str, low: i64, high: i64) {
        for (label, value) in [("min", low), ("-1", -1), ("0", 0), ("1", 1), ("max", high)] {
            if value >= low && (value != low || label == "min") {
                self.add(place, label, json!(value));
            }
        }
    }

    fn texts(&mut self, field: &Field, place: &str) {
        self.add(place, "null", Value::Null);
        self.add(place, "empty", json!(""));
        self.add(place, "odd", json!("${case} ö/\\\"\u{0}"));
        self.add(place, "long", padded(32767));
        if field.entity.as_deref() == Some("topicName") {
            self.add(place, "249 letters", padded(249));
            self.add(place, "250 letters", padded(250));
            self.add(place, "a dot", json!("."));
        }
        let too_long = if self.flexible { "ffffffff07" } else { "7fff" };
        self.add(place, "length too high", json!({ "$raw": too_long }));
        if !self.flexible {
            self.add(place, "length -2", json!({ "$raw": "fffe" }));
        }
    }
}

/// A text of that length that no other case uses.
fn padded(length: usize) -> Value {
    json!({ "$pad": ["${case}", length] })
}

/// A count or size of the wire with nothing behind it, in hexadecimal.
fn count_bytes(flexible: bool, count: i32) -> String {
    if !flexible {
        return crate::codec::format_hex(&count.to_be_bytes());
    }
    let mut value = i64::from(count) + 1;
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    crate::codec::format_hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;

    #[test]
    fn every_field_of_the_version_is_probed() {
        let schemas = Schemas::load().unwrap();
        let api = schemas.api("DeleteRecords").unwrap();
        let body = json!({ "Topics": [{ "Name": "t", "Partitions": [{ "PartitionIndex": 0 }] }] });
        let all = mutations(api, 2, &body);
        for place in [
            "Topics",
            "Topics[0].Name",
            "Topics[0].Partitions[0].Offset",
            "TimeoutMs",
        ] {
            assert!(
                all.iter()
                    .any(|mutation| mutation.label.starts_with(&format!("{place}=")))
            );
        }
        let mut mutated = body;
        let of = |label: &str| all.iter().find(|mutation| mutation.label == label).unwrap();
        of("Topics[0].Partitions[0].Offset=max").apply(&mut mutated);
        assert_eq!(mutated["Topics"][0]["Partitions"][0]["Offset"], i64::MAX);
        of("Topics=doubled").apply(&mut mutated);
        assert_eq!(mutated["Topics"].as_array().unwrap().len(), 2);
    }
}
