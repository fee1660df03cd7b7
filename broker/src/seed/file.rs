//! Reads a seed from YAML: topics with their settings and records.
//!
//! Invariant: what is not understood is refused with its line and column; nothing is passed over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protocol::records::Header;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::{NO_USERS, Place, SeedError, SeedRecord, SeedTopic};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    topics: Vec<Spanned<Topic>>,
    users: Option<Spanned<IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    name: String,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    configs: BTreeMap<String, String>,
    #[serde(default)]
    records: Vec<Spanned<Record>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    partition: Option<i32>,
    #[serde(default)]
    key: Content,
    #[serde(default)]
    value: Content,
    #[serde(default)]
    headers: Headers,
    timestamp: Option<i64>,
}

/// The topics of `text`, which came from `source`.
pub(super) fn parse(source: &str, text: &str) -> Result<Vec<SeedTopic>, SeedError> {
    let source: Arc<str> = Arc::from(source);
    let at = |location: Location| Place {
        source: source.clone(),
        position: Some((location.line(), location.column())),
    };
    let options = serde_saphyr::options! {
        // The file is its owner's: it may be as large as it likes.
        budget: None,
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    let document: Option<Document> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| wrong(&source, &error))?;
    let Some(document) = document else {
        return Ok(Vec::new());
    };
    if let Some(users) = document.users {
        return Err(at(users.referenced).wrong(NO_USERS));
    }
    let topics = document.topics.into_iter().map(|topic| SeedTopic {
        place: at(topic.referenced),
        name: topic.value.name,
        partitions: topic.value.partitions,
        replication_factor: topic.value.replication_factor,
        configs: topic.value.configs,
        records: topic
            .value
            .records
            .into_iter()
            .map(|record| seed_record(at(record.referenced), record.value))
            .collect(),
    });
    Ok(topics.collect())
}

fn seed_record(place: Place, record: Record) -> SeedRecord {
    SeedRecord {
        place,
        partition: record.partition,
        key: record.key.0,
        value: record.value.0,
        headers: record.headers.0,
        timestamp: record.timestamp,
    }
}

/// The reader's own words, without the position that it may end with.
fn wrong(source: &Arc<str>, error: &serde_saphyr::Error) -> SeedError {
    let location = error.location();
    let position = location.map(|location| (location.line(), location.column()));
    let words = error.to_string();
    let cut = position.and_then(|(line, column)| {
        words.strip_suffix(&format!(" at line {line}, column {column}"))
    });
    let problem = cut.unwrap_or(&words).to_owned();
    let source = source.clone();
    SeedError::Wrong {
        place: Place { source, position },
        problem,
    }
}

/// The bytes of a key, a value or a header; null is none.
#[derive(Default)]
struct Content(Option<Bytes>);

const CONTENT: &str = "text, null, or one of {text: ...}, {base64: ...} and {json: ...}";

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CONTENT)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content(Some(Bytes::copy_from_slice(text.as_bytes()))))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Content, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Content, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Content, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Content, E> {
        Err(E::custom(
            "a number with a fraction could be written in several ways: expected quotes around it",
        ))
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        Ok(Content(None))
    }

    fn visit_none<E: Error>(self) -> Result<Content, E> {
        Ok(Content(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let expected = || A::Error::custom(format!("expected {CONTENT}"));
        let key: String = map.next_key()?.ok_or_else(expected)?;
        let bytes = match key.as_str() {
            "text" => Bytes::from(map.next_value::<String>()?),
            "base64" => {
                let text: String = map.next_value()?;
                let dense: String = text.split_whitespace().collect();
                let decoded = STANDARD.decode(&dense).map_err(|error| {
                    A::Error::custom(format!("{text:?} is not base64 with padding: {error}"))
                })?;
                Bytes::from(decoded)
            }
            "json" => map.next_value::<Json>()?.0,
            _ => return Err(A::Error::custom(format!("{key:?}: expected {CONTENT}"))),
        };
        match map.next_key::<String>()? {
            None => Ok(Content(Some(bytes))),
            Some(_) => Err(expected()),
        }
    }
}

/// Any YAML, as JSON without blanks, its keys in their order.
struct Json(Bytes);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut written = Vec::new();
        let mut json = serde_json::Serializer::new(&mut written);
        serde_transcode::transcode(deserializer, &mut json).map_err(D::Error::custom)?;
        Ok(Json(Bytes::from(written)))
    }
}

/// Headers by name, or as a list where a name comes twice.
#[derive(Default)]
struct Headers(Vec<Header>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedHeader {
    key: String,
    #[serde(default)]
    value: Content,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers as {name: value}, or as a list of {key: name, value: value}")
    }

    fn visit_unit<E: Error>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }

    fn visit_none<E: Error>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Content>()? {
            headers.push(header(key, value));
        }
        Ok(Headers(headers))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some(NamedHeader { key, value }) = list.next_element()? {
            headers.push(header(key, value));
        }
        Ok(Headers(headers))
    }
}

fn header(key: String, value: Content) -> Header {
    Header {
        key: Bytes::from(key),
        value: value.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(text: &str) -> Vec<SeedTopic> {
        parse("seed.yaml", text).unwrap()
    }

    fn error(text: &str) -> String {
        parse("seed.yaml", text).unwrap_err().to_string()
    }

    /// Keys and values of the first topic's records.
    fn contents(records: &str) -> Vec<(Option<String>, Option<String>)> {
        let text = |bytes: &Option<Bytes>| {
            let bytes = bytes.as_ref()?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let topics = topics(&format!("topics:\n- name: t\n  records:\n{records}"));
        let records = topics[0].records.iter();
        records
            .map(|record| (text(&record.key), text(&record.value)))
            .collect()
    }

    #[test]
    fn topics_come_with_settings_and_places() {
        let topics = topics(
            "# what the tests need\n\
             topics:\n\
             \x20 - name: orders\n\
             \x20   partitions: 3\n\
             \x20   configs:\n\
             \x20     cleanup.policy: compact,delete\n\
             \x20     retention.ms: 60000\n\
             \x20     min.cleanable.dirty.ratio: 0.10\n\
             \x20 - name: plain\n",
        );
        let orders = &topics[0];
        assert_eq!(
            (orders.name.as_str(), orders.partitions),
            ("orders", Some(3))
        );
        assert_eq!(orders.configs["cleanup.policy"], "compact,delete");
        assert_eq!(orders.configs["retention.ms"], "60000");
        assert_eq!(orders.configs["min.cleanable.dirty.ratio"], "0.10");
        assert_eq!(orders.place.to_string(), "seed.yaml:3:5");
        assert_eq!(topics[1].place.to_string(), "seed.yaml:9:5");
        assert_eq!(topics[1].partitions, None);
    }

    #[test]
    fn nothing_is_a_seed_too() {
        for text in ["", "# nothing\n", "topics: []\n", "{}"] {
            assert!(topics(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn contents_are_text_base64_or_json() {
        let found = contents(
            "  - {key: a, value: {text: b}}\n\
             \x20 - {key: 7, value: {base64: aGVsbG8=}}\n\
             \x20 - {key: 007, value: true}\n\
             \x20 - {key: yes, value: null}\n\
             \x20 - {value: {json: {z: 1, a: [1.5, null, true, \"x\"]}}}\n\
             \x20 - {value: \"\", key: 2024-01-01}\n",
        );
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                (some("a"), some("b")),
                (some("7"), some("hello")),
                (some("007"), some("true")),
                (some("yes"), None),
                (None, some(r#"{"z":1,"a":[1.5,null,true,"x"]}"#)),
                (some("2024-01-01"), some("")),
            ]
        );
    }

    #[test]
    fn headers_are_a_map_or_a_list() {
        let topics = topics(
            "topics:\n- name: t\n  records:\n\
             \x20 - {headers: {a: 1, b: null}}\n\
             \x20 - headers: [{key: a, value: {base64: AAE=}}, {key: a}]\n",
        );
        let headers = |record: usize| {
            let headers = topics[0].records[record].headers.iter();
            headers
                .map(|header| {
                    (
                        header.key.to_vec(),
                        header.value.as_ref().map(|it| it.to_vec()),
                    )
                })
                .collect::<Vec<_>>()
        };
        let a = || b"a".to_vec();
        assert_eq!(
            headers(0),
            [(a(), Some(b"1".to_vec())), (b"b".to_vec(), None)]
        );
        assert_eq!(headers(1), [(a(), Some(vec![0, 1])), (a(), None)]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let records = "topics:\n- name: t\n  records:\n  - ";
        let mut wrong = Vec::new();
        for (text, starts, contains) in [
            (
                "topics:\n- name: t\n  partition: 3\n",
                "seed.yaml:3:3: ",
                "partitions, ",
            ),
            ("topics:\n- partitions: 3\n", "seed.yaml:2:", "`name`"),
            (
                "topics:\n- name: t\n  partitions: many\n",
                "seed.yaml:3:15: ",
                "i32",
            ),
            ("topics: 3\n", "seed.yaml:1:9: ", "sequence"),
            ("a: b: c\n", "seed.yaml:1:", ""),
            ("users:\n- name: alice\n", "seed.yaml:2:", "SASL"),
            (
                &format!("{records}{{value: 1.10}}\n"),
                "seed.yaml:4:",
                "quotes",
            ),
            (
                &format!("{records}{{value: {{xml: a}}}}\n"),
                "seed.yaml:4:",
                "{base64: ...}",
            ),
            (
                &format!("{records}{{value: {{base64: a}}}}\n"),
                "seed.yaml:4:",
                "not base64",
            ),
            (
                &format!("{records}{{value: {{}}}}\n"),
                "seed.yaml:4:",
                "{json: ...}",
            ),
            (
                &format!("{records}{{value: {{text: a, json: b}}}}\n"),
                "seed.yaml:4:",
                "one of",
            ),
            (
                &format!("{records}{{value: [a]}}\n"),
                "seed.yaml:4:",
                "text, null",
            ),
        ] {
            let error = error(text);
            if !(error.starts_with(starts) && error.contains(contains)) {
                wrong.push(format!("{text}\n{error}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
