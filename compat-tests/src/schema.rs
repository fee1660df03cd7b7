//! The message table `schemas.txt`, parsed: what each field of each API and version is. A field is
//! on the wire only in its versions, and its type is one of the protocol's primitive types, a
//! struct, or an array.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

const APIS: &str = include_str!("../apis.json");
const TABLE: &str = include_str!("../schemas.txt");

/// A closed range of versions; empty when `low > high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub low: i16,
    pub high: i16,
}

impl Versions {
    const NONE: Self = Self { low: 0, high: -1 };

    pub fn parse(text: &str) -> Result<Self> {
        let number = |part: &str| {
            part.parse::<i16>()
                .with_context(|| format!("versions {text:?}"))
        };
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(low) = text.strip_suffix('+') {
            return Ok(Self {
                low: number(low)?,
                high: i16::MAX,
            });
        }
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Ok(Self {
            low: number(low)?,
            high: number(high)?,
        })
    }

    pub fn contains(self, version: i16) -> bool {
        self.low <= version && version <= self.high
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Text,
    Bytes,
    Records,
    Uuid,
    Struct,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    One(Primitive),
    Array(Primitive),
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Versions,
    pub tagged: Versions,
    pub tag: u32,
    pub default: Option<String>,
    /// Kafka's `entityType`: `topicName`, `groupId`, ...
    pub entity: Option<String>,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub versions: Versions,
    pub flexible: Versions,
    pub latest_unstable: bool,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone)]
pub struct Api {
    pub key: i16,
    pub name: String,
    pub request: Message,
    pub response: Message,
}

/// All APIs, by name.
#[derive(Debug)]
pub struct Schemas {
    apis: BTreeMap<String, Api>,
}

/// The APIs that are compared, with the versions in which their requests are sent (`apis.json`).
#[derive(Debug)]
pub struct Compared {
    pub versions: BTreeMap<String, Versions>,
}

impl Compared {
    pub fn load() -> Result<Self> {
        let table: BTreeMap<String, String> = serde_json::from_str(APIS).context("apis.json")?;
        let versions = table
            .into_iter()
            .map(|(name, text)| Ok((name, Versions::parse(&text)?)));
        Ok(Self {
            versions: versions.collect::<Result<_>>()?,
        })
    }

    pub fn versions_of(&self, api: &str) -> Result<Versions> {
        self.versions
            .get(api)
            .copied()
            .with_context(|| format!("{api} is not in apis.json"))
    }
}

impl Schemas {
    pub fn load() -> Result<Self> {
        Self::parse(TABLE)
    }

    pub fn api(&self, name: &str) -> Result<&Api> {
        self.apis
            .get(name)
            .with_context(|| format!("no API is called {name:?}"))
    }

    fn parse(table: &str) -> Result<Self> {
        let mut halves: BTreeMap<(String, bool), (i16, Message)> = BTreeMap::new();
        let mut lines = table
            .lines()
            .filter(|line| !line.starts_with('#'))
            .peekable();
        while let Some(line) = lines.next() {
            let (name, is_request, key, mut message) =
                parse_head(line).with_context(|| format!("line {line:?}"))?;
            message.fields = parse_fields(&mut lines, 1)?;
            halves.insert((name, is_request), (key, message));
        }
        let mut apis = BTreeMap::new();
        for ((name, is_request), (key, request)) in &halves {
            if !is_request {
                continue;
            }
            let Some((_, response)) = halves.get(&(name.clone(), false)) else {
                bail!("{name} has no response");
            };
            let api = Api {
                key: *key,
                name: name.clone(),
                request: request.clone(),
                response: response.clone(),
            };
            apis.insert(name.clone(), api);
        }
        Ok(Self { apis })
    }
}

fn parse_head(line: &str) -> Result<(String, bool, i16, Message)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, key, name, versions, flexible, rest @ ..] = words.as_slice() else {
        bail!("five words are wanted");
    };
    let flexible = flexible
        .strip_prefix("flexible=")
        .context("flexible= is wanted")?;
    let message = Message {
        versions: Versions::parse(versions)?,
        flexible: Versions::parse(flexible)?,
        latest_unstable: rest.contains(&"unstable"),
        fields: Vec::new(),
    };
    Ok((
        (*name).to_owned(),
        *kind == "request",
        key.parse()?,
        message,
    ))
}

fn parse_fields<'a>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    depth: usize,
) -> Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    while let Some(line) = lines.peek() {
        let indent = line.len() - line.trim_start().len();
        if indent == depth * 2 {
            fields.push(parse_field(line.trim_start()).with_context(|| format!("line {line:?}"))?);
            lines.next();
        } else if indent > depth * 2 {
            let parent = fields
                .last_mut()
                .with_context(|| format!("indented line {line:?}"))?;
            parent.fields = parse_fields(lines, depth + 1)?;
        } else {
            break;
        }
    }
    Ok(fields)
}

fn parse_field(line: &str) -> Result<Field> {
    let (words, default) = split_default(line)?;
    let [name, ty, versions, rest @ ..] = words.as_slice() else {
        bail!("three words are wanted");
    };
    let mut field = Field {
        // A few specs write a small first letter.
        name: name
            .chars()
            .take(1)
            .map(|first| first.to_ascii_uppercase())
            .chain(name.chars().skip(1))
            .collect(),
        ty: parse_type(ty),
        versions: Versions::parse(versions)?,
        nullable: Versions::NONE,
        tagged: Versions::NONE,
        tag: 0,
        default,
        entity: None,
        fields: Vec::new(),
    };
    for word in rest {
        match word.split_once('=') {
            Some(("null", versions)) => field.nullable = Versions::parse(versions)?,
            Some(("tagged", versions)) => field.tagged = Versions::parse(versions)?,
            Some(("tag", tag)) => field.tag = tag.parse()?,
            Some(("entity", entity)) => field.entity = Some(entity.to_owned()),
            None if matches!(*word, "ignorable" | "key") => {}
            _ => bail!("unknown word {word:?}"),
        }
    }
    Ok(field)
}

/// Cuts `default="..."` (the only word that may hold spaces) out of the line.
fn split_default(line: &str) -> Result<(Vec<&str>, Option<String>)> {
    let Some((before, after)) = line.split_once(" default=") else {
        return Ok((line.split(' ').collect(), None));
    };
    let mut stream = serde_json::Deserializer::from_str(after).into_iter::<String>();
    let default = stream.next().context("a default is wanted")??;
    let rest = after.get(stream.byte_offset()..).unwrap_or_default();
    Ok((
        before.split(' ').chain(rest.split_whitespace()).collect(),
        Some(default),
    ))
}

fn parse_type(text: &str) -> Type {
    let (array, name) = match text.strip_prefix("[]") {
        Some(name) => (true, name),
        None => (false, text),
    };
    let primitive = match name {
        "bool" => Primitive::Bool,
        "int8" => Primitive::Int8,
        "int16" => Primitive::Int16,
        "uint16" => Primitive::Uint16,
        "int32" => Primitive::Int32,
        "int64" => Primitive::Int64,
        "float64" => Primitive::Float64,
        "string" => Primitive::Text,
        "bytes" => Primitive::Bytes,
        "records" => Primitive::Records,
        "uuid" => Primitive::Uuid,
        _ => Primitive::Struct,
    };
    if array {
        Type::Array(primitive)
    } else {
        Type::One(primitive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_parses_and_pairs_requests_with_responses() {
        let schemas = Schemas::load().unwrap();
        let fetch = schemas.api("Fetch").unwrap();
        assert_eq!(
            (
                fetch.key,
                fetch.request.versions.low,
                fetch.request.versions.high
            ),
            (1, 4, 18)
        );
        let cluster = &fetch.request.fields[0];
        assert_eq!((cluster.name.as_str(), cluster.tag), ("ClusterId", 0));
        assert!(cluster.tagged.contains(12) && !cluster.tagged.contains(11));
        assert_eq!(cluster.default.as_deref(), Some("null"));
    }
}
