//! The shape of every request, as data.
//!
//! Invariant: `REQUESTS` is what upstream's own specs say, sorted by API key; `scripts/schemas`
//! writes it, nobody else does.

pub use crate::generated::requests::REQUESTS;

/// A request, and what must be known of its response.
#[derive(Debug)]
pub struct Request {
    pub api_key: i16,
    /// As in the specs: without "Request".
    pub name: &'static str,
    /// The versions that exist, oldest and newest; a broker may serve fewer.
    pub versions: (i16, i16),
    /// From this version on the request is flexible (KIP-482): compact lengths, tagged fields.
    pub flexible_from: i16,
    pub response_flexible_from: i16,
    pub fields: &'static [Field],
}

#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    /// The versions that have the field: first and last.
    pub versions: (i16, i16),
    /// The versions in which it may be null; none when the first is above the last.
    pub nullable: (i16, i16),
    /// In a flexible version, the tag under which it stands behind the other fields.
    pub tag: Option<u32>,
    /// That of the kind, at hand.
    fixed_size: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(&'static Struct),
    Array(&'static Kind),
}

#[derive(Debug)]
pub struct Struct {
    pub fields: &'static [Field],
    /// What one of it takes in memory when it is decoded, without what its arrays hold.
    pub decoded_size: usize,
}

/// Stands for "and all later versions".
pub const OPEN: i16 = i16::MAX;

impl Field {
    pub(crate) const fn new(name: &'static str, kind: Kind, first: i16, last: i16) -> Self {
        Field {
            name,
            kind,
            versions: (first, last),
            nullable: (OPEN, 0),
            tag: None,
            fixed_size: kind.fixed_size(),
        }
    }

    pub(crate) const fn null(self, first: i16, last: i16) -> Self {
        Field {
            nullable: (first, last),
            ..self
        }
    }

    pub(crate) const fn tag(self, tag: u32) -> Self {
        Field {
            tag: Some(tag),
            ..self
        }
    }

    /// The bytes that every value takes, for those kinds that have a size.
    pub fn fixed_size(&self) -> Option<usize> {
        self.fixed_size
    }

    pub fn is_in(&self, version: i16) -> bool {
        self.versions.0 <= version && version <= self.versions.1
    }

    pub fn is_nullable_in(&self, version: i16) -> bool {
        self.nullable.0 <= version && version <= self.nullable.1
    }
}

impl Kind {
    /// The bytes that every value takes, for those kinds that have a size.
    pub const fn fixed_size(&self) -> Option<usize> {
        match self {
            Kind::Bool | Kind::Int8 => Some(1),
            Kind::Int16 | Kind::Uint16 => Some(2),
            Kind::Int32 => Some(4),
            Kind::Int64 | Kind::Float64 => Some(8),
            Kind::Uuid => Some(16),
            Kind::String | Kind::Bytes | Kind::Records | Kind::Struct(_) | Kind::Array(_) => None,
        }
    }

    /// The fewest bytes a value takes, where it may not be null.
    pub fn min_size(&self, version: i16, flexible: bool) -> usize {
        let compact_or = |size| if flexible { 1 } else { size };
        match self {
            Kind::Bool
            | Kind::Int8
            | Kind::Int16
            | Kind::Uint16
            | Kind::Int32
            | Kind::Int64
            | Kind::Float64
            | Kind::Uuid => self.fixed_size().unwrap_or_default(),
            // The length, or the count.
            Kind::String => compact_or(2),
            Kind::Bytes | Kind::Records | Kind::Array(_) => compact_or(4),
            Kind::Struct(inner) => inner.min_size(version, flexible),
        }
    }

    /// What one element of an array takes when it is decoded.
    pub fn decoded_size(&self) -> usize {
        match self {
            Kind::Bool
            | Kind::Int8
            | Kind::Int16
            | Kind::Uint16
            | Kind::Int32
            | Kind::Int64
            | Kind::Float64
            | Kind::Uuid => self.fixed_size().unwrap_or_default(),
            Kind::String | Kind::Bytes | Kind::Records => DECODED_BYTES_SIZE,
            Kind::Array(_) => DECODED_ARRAY_SIZE,
            Kind::Struct(inner) => inner.decoded_size,
        }
    }
}

/// Size of `Bytes`, and so of a decoded string.
const DECODED_BYTES_SIZE: usize = 32;
/// Size of a `Vec`.
const DECODED_ARRAY_SIZE: usize = 24;

impl Struct {
    fn min_size(&self, version: i16, flexible: bool) -> usize {
        let fields = self.fields.iter().filter(|field| field.is_in(version));
        let mandatory = fields.filter(|field| !(flexible && field.tag.is_some()));
        let sizes = mandatory.map(|field| {
            if matches!(field.kind, Kind::Struct(_)) && field.is_nullable_in(version) {
                return 1; // A null struct.
            }
            field.kind.min_size(version, flexible)
        });
        sizes.sum::<usize>() + usize::from(flexible)
    }
}

impl Request {
    pub fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    pub fn has_version(&self, version: i16) -> bool {
        self.versions.0 <= version && version <= self.versions.1
    }
}

/// The request with this API key.
pub fn request(api_key: i16) -> Option<&'static Request> {
    let found = REQUESTS.binary_search_by_key(&api_key, |request| request.api_key);
    found.ok().and_then(|index| REQUESTS.get(index))
}
