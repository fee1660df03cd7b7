//! Whose configs are meant: `--entity-type` and `--entity-name`, or the shorter options.
//!
//! Invariant: types and names stand in upstream's order; the empty name is the default of its type.

use crate::failure::Failure;
use crate::options::Parsed;

/// The option that names one entity of a type, and the option of the type's default.
const FLAGS: &[(&str, &str)] = &[
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];
const DEFAULTS: &[(&str, &str)] = &[
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];

/// Types, and names beside them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entities {
    pub(super) types: Vec<String>,
    pub(super) names: Vec<String>,
}

impl Entities {
    pub(super) fn from_options(parsed: &Parsed) -> Result<Self, Failure> {
        let mut types = parsed.values("entity-type").to_vec();
        let mut named = parsed.values("entity-name").iter();
        let mut names: Vec<String> = parsed
            .given()
            .iter()
            .filter_map(|option| match *option {
                "entity-name" => named.next().cloned(),
                "entity-default" => Some(String::new()),
                _ => None,
            })
            .collect();
        for (option, kind) in FLAGS {
            if parsed.has(option) {
                types.push((*kind).to_owned());
                names.push(parsed.value(option)?.unwrap_or_default().to_owned());
            }
        }
        for (option, kind) in DEFAULTS {
            if parsed.has(option) {
                types.push((*kind).to_owned());
                names.push(String::new());
            }
        }
        Ok(Entities { types, names })
    }

    /// Whether one of the shorter options is there.
    pub(super) fn has_flags(parsed: &Parsed) -> bool {
        let mut options = FLAGS.iter().chain(DEFAULTS);
        options.any(|(option, _)| parsed.has(option))
    }

    pub(super) fn has_type(&self, kind: &str) -> bool {
        self.types.iter().any(|it| it == kind)
    }

    /// The first type, which decides what is done.
    pub(super) fn kind(&self) -> &str {
        self.types.first().map_or("", String::as_str)
    }

    /// The first name, if there is one.
    pub(super) fn name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }
}

/// A type as one of it is called: `topics` as `topic`.
pub(super) fn singular(kind: &str) -> &str {
    let mut letters = kind.chars();
    letters.next_back();
    letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::super::options::options;
    use super::*;

    fn entities(line: &str) -> (Vec<String>, Vec<String>) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let found = Entities::from_options(&options().parse(&words).unwrap()).unwrap();
        (found.types, found.names)
    }

    #[test]
    fn names_and_defaults_stand_beside_their_types() {
        for (line, types, names) in [
            ("--topic a", vec!["topics"], vec!["a"]),
            (
                "--entity-type users --entity-default --entity-type clients --entity-name c",
                vec!["users", "clients"],
                vec!["", "c"],
            ),
            (
                "--user-defaults --client c",
                vec!["clients", "users"],
                vec!["c", ""],
            ),
            ("--entity-type brokers", vec!["brokers"], vec![]),
        ] {
            let found = entities(line);
            assert_eq!(found.0, types, "{line}");
            assert_eq!(found.1, names, "{line}");
        }
    }
}
