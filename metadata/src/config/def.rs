//! A row of a config table, and the macro that writes tables as two lines a row.
//!
//! Invariant: rows are constants; a default always parses as its row's type and passes its check
//! (a test walks all tables).

use super::error::ConfigError;
use super::valid::Valid;
use super::value::{ConfigKind, Value, parse};

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateMode {
    /// At the next start, from server.properties.
    ReadOnly,
    /// At once, for one broker.
    PerBroker,
    /// At once, for one broker or for all.
    ClusterWide,
}

impl UpdateMode {
    /// Upstream's name for it.
    pub fn name(self) -> &'static str {
        match self {
            UpdateMode::ReadOnly => "read-only",
            UpdateMode::PerBroker => "per-broker",
            UpdateMode::ClusterWide => "cluster-wide",
        }
    }
}

/// Whether Klamm reads a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Served {
    Honoured,
    /// Accepted, checked and shown, but without effect, for this reason.
    Ignored(&'static str),
}

/// The unit of a broker's key that stands behind a topic's milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    Same,
    Minutes,
    Hours,
}

/// A broker's key that gives a topic or group config its value where it has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Synonym {
    pub name: &'static str,
    pub unit: Unit,
    /// Any negative number means the same as -1.
    pub negative_is_unlimited: bool,
}

impl Synonym {
    /// The broker's value in the unit of the topic's config. As upstream has it, minutes and hours
    /// that are no number count as zero.
    pub fn convert(&self, text: &str) -> String {
        let is_negative = || text.trim().parse::<i64>().is_ok_and(|number| number < 0);
        if self.negative_is_unlimited && is_negative() {
            return "-1".to_owned();
        }
        let factor: i64 = match self.unit {
            Unit::Same => return text.to_owned(),
            Unit::Minutes => 60_000,
            Unit::Hours => 3_600_000,
        };
        let count: i32 = text.trim().parse().unwrap_or(0);
        (i64::from(count) * factor).to_string()
    }

    pub(super) const fn or_unlimited(mut self) -> Synonym {
        self.negative_is_unlimited = true;
        self
    }
}

pub(super) const fn same(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Same,
        negative_is_unlimited: false,
    }
}

pub(super) const fn minutes(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Minutes,
        negative_is_unlimited: false,
    }
}

pub(super) const fn hours(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Hours,
        negative_is_unlimited: false,
    }
}

/// One config: a row of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfigDef {
    pub name: &'static str,
    pub kind: ConfigKind,
    /// `None` is null, or no default at all where `required`.
    pub default: Option<&'static str>,
    pub required: bool,
    pub valid: Valid,
    pub update: UpdateMode,
    /// In the order in which they are asked.
    pub synonyms: &'static [Synonym],
    /// Left out where configs are listed, unless it is set.
    pub internal: bool,
    pub served: Served,
    doc: &'static str,
}

impl ConfigDef {
    pub(super) const fn new(name: &'static str, kind: ConfigKind, doc: &'static str) -> ConfigDef {
        ConfigDef {
            name,
            kind,
            default: None,
            required: false,
            valid: Valid::Any,
            update: UpdateMode::ReadOnly,
            synonyms: &[],
            internal: false,
            served: Served::Honoured,
            doc,
        }
    }

    pub(super) const fn or(mut self, default: &'static str) -> ConfigDef {
        self.default = Some(default);
        self
    }

    pub(super) const fn required(mut self) -> ConfigDef {
        self.required = true;
        self
    }

    pub(super) const fn valid(mut self, valid: Valid) -> ConfigDef {
        self.valid = valid;
        self
    }

    pub(super) const fn at_least(self, min: i32) -> ConfigDef {
        self.valid(Valid::Range {
            min: Some(min as f64),
            max: None,
        })
    }

    pub(super) const fn between(self, min: i32, max: i32) -> ConfigDef {
        self.valid(Valid::Range {
            min: Some(min as f64),
            max: Some(max as f64),
        })
    }

    pub(super) const fn one_of(self, choices: &'static [&'static str]) -> ConfigDef {
        self.valid(Valid::OneOf(choices))
    }

    pub(super) const fn non_empty_list(self) -> ConfigDef {
        self.valid(Valid::List {
            items: &[],
            empty: false,
            null: false,
        })
    }

    pub(super) const fn non_empty_list_or_null(self) -> ConfigDef {
        self.valid(Valid::List {
            items: &[],
            empty: false,
            null: true,
        })
    }

    pub(super) const fn any_list(self) -> ConfigDef {
        self.valid(Valid::List {
            items: &[],
            empty: true,
            null: false,
        })
    }

    pub(super) const fn any_list_or_null(self) -> ConfigDef {
        self.valid(Valid::List {
            items: &[],
            empty: true,
            null: true,
        })
    }

    pub(super) const fn list_of(self, items: &'static [&'static str]) -> ConfigDef {
        self.valid(Valid::List {
            items,
            empty: true,
            null: false,
        })
    }

    pub(super) const fn non_empty_list_of(self, items: &'static [&'static str]) -> ConfigDef {
        self.valid(Valid::List {
            items,
            empty: false,
            null: false,
        })
    }

    pub(super) const fn cluster_wide(mut self) -> ConfigDef {
        self.update = UpdateMode::ClusterWide;
        self
    }

    pub(super) const fn per_broker(mut self) -> ConfigDef {
        self.update = UpdateMode::PerBroker;
        self
    }

    pub(super) const fn synonyms(mut self, synonyms: &'static [Synonym]) -> ConfigDef {
        self.synonyms = synonyms;
        self
    }

    pub(super) const fn internal(mut self) -> ConfigDef {
        self.internal = true;
        self
    }

    pub(super) const fn ignored(mut self, reason: &'static str) -> ConfigDef {
        self.served = Served::Ignored(reason);
        self
    }

    /// One sentence.
    pub fn doc(&self) -> &'static str {
        self.doc.trim_start()
    }

    /// The broker's key that DescribeConfigs names for a topic or group config.
    pub fn synonym(&self) -> Option<&'static str> {
        self.synonyms.first().map(|synonym| synonym.name)
    }

    /// Passwords never leave the broker.
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigKind::Password
    }

    /// Parses and checks a value that was set.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let mut value = parse(self.kind, text)
            .map_err(|expected| ConfigError::new(self.name, text, expected))?;
        if let Value::List(items) = &mut value {
            self.valid.tidy(items);
        }
        self.valid.check(self.name, Some(&value))?;
        Ok(value)
    }

    /// The value where none was set.
    pub fn default_value(&self) -> Result<Option<Value>, ConfigError> {
        match self.default {
            Some(text) => self.parse(text).map(Some),
            None if self.required => Err(ConfigError::sentence(
                self.name,
                None,
                format!(
                    "Missing required configuration \"{}\" which has no default value.",
                    self.name
                ),
            )),
            None => Ok(None),
        }
    }
}

/// The row of `name`.
pub fn find(table: &'static [ConfigDef], name: &str) -> Option<&'static ConfigDef> {
    table.iter().find(|def| def.name == name)
}

/// Writes a table: the document's sentence, then name, type, default, and what else there is to
/// say of the row, by the methods of [`ConfigDef`].
macro_rules! config_table {
    (
        $(#[$meta:meta])*
        $vis:vis const $table:ident;
        $(
            #[doc = $doc:literal]
            $name:literal $kind:ident $(= $default:literal)?
            $(, $method:ident $(($($argument:expr),*))?)*;
        )*
    ) => {
        $(#[$meta])*
        $vis const $table: &[$crate::config::ConfigDef] = &[$(
            $crate::config::ConfigDef::new($name, $crate::config::ConfigKind::$kind, $doc)
                $(.or($default))?
                $(.$method($($($argument),*)?))*
        ),*];
    };
}
pub(super) use config_table;
