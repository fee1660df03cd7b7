//! What an ACL is made of, with upstream's names and codes, and how its tool shows it.
//!
//! Invariant: a code that these tools do not know is shown as UNKNOWN and never sent.

use crate::failure::Failure;

/// Names with their codes on the wire. The first is the one a resource's or operation's `Display` shows.
type Codes = &'static [(&'static str, i8)];

pub(super) const RESOURCE_TYPES: Codes = &[
    ("UNKNOWN", 0),
    ("ANY", 1),
    ("TOPIC", 2),
    ("GROUP", 3),
    ("CLUSTER", 4),
    ("TRANSACTIONAL_ID", 5),
    ("DELEGATION_TOKEN", 6),
    ("USER", 7),
];
pub(super) const PATTERN_TYPES: Codes = &[
    ("UNKNOWN", 0),
    ("ANY", 1),
    ("MATCH", 2),
    ("LITERAL", 3),
    ("PREFIXED", 4),
];
const OPERATIONS: Codes = &[
    ("UNKNOWN", 0),
    ("ANY", 1),
    ("ALL", 2),
    ("READ", 3),
    ("WRITE", 4),
    ("CREATE", 5),
    ("DELETE", 6),
    ("ALTER", 7),
    ("DESCRIBE", 8),
    ("CLUSTER_ACTION", 9),
    ("DESCRIBE_CONFIGS", 10),
    ("ALTER_CONFIGS", 11),
    ("IDEMPOTENT_WRITE", 12),
    ("CREATE_TOKENS", 13),
    ("DESCRIBE_TOKENS", 14),
    ("TWO_PHASE_COMMIT", 15),
];
const PERMISSIONS: Codes = &[("UNKNOWN", 0), ("ANY", 1), ("DENY", 2), ("ALLOW", 3)];

pub(super) const UNKNOWN: i8 = 0;
pub(super) const ANY: i8 = 1;
pub(super) const DENY: i8 = 2;
pub(super) const ALLOW: i8 = 3;

pub(super) mod resource {
    pub(crate) const TOPIC: i8 = 2;
    pub(crate) const GROUP: i8 = 3;
    pub(crate) const CLUSTER: i8 = 4;
    pub(crate) const TRANSACTIONAL_ID: i8 = 5;
    pub(crate) const DELEGATION_TOKEN: i8 = 6;
    pub(crate) const USER: i8 = 7;
}

pub(super) mod pattern {
    pub(crate) const LITERAL: i8 = 3;
    pub(crate) const PREFIXED: i8 = 4;
}

pub(super) mod operation {
    pub(crate) const ALL: i8 = 2;
    pub(crate) const READ: i8 = 3;
    pub(crate) const WRITE: i8 = 4;
    pub(crate) const CREATE: i8 = 5;
    pub(crate) const DELETE: i8 = 6;
    pub(crate) const ALTER: i8 = 7;
    pub(crate) const DESCRIBE: i8 = 8;
    pub(crate) const CLUSTER_ACTION: i8 = 9;
    pub(crate) const DESCRIBE_CONFIGS: i8 = 10;
    pub(crate) const ALTER_CONFIGS: i8 = 11;
    pub(crate) const IDEMPOTENT_WRITE: i8 = 12;
    pub(crate) const CREATE_TOKENS: i8 = 13;
    pub(crate) const DESCRIBE_TOKENS: i8 = 14;
    pub(crate) const TWO_PHASE_COMMIT: i8 = 15;
}

/// A resource, or with the pattern types ANY and MATCH a filter of some.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub(super) kind: i8,
    pub(super) name: String,
    pub(super) pattern: i8,
}

/// Who may or may not do what from where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) principal: String,
    pub(super) host: String,
    pub(super) operation: i8,
    pub(super) permission: i8,
}

pub(super) fn name_of(codes: Codes, code: i8) -> &'static str {
    let row = codes.iter().find(|(_, known)| *known == code);
    row.map_or("UNKNOWN", |(name, _)| *name)
}

/// What stands between the parentheses of a pattern or its filter.
fn fields(of: &Pattern) -> String {
    format!(
        "resourceType={}, name={}, patternType={}",
        name_of(RESOURCE_TYPES, of.kind),
        of.name,
        name_of(PATTERN_TYPES, of.pattern)
    )
}

impl Pattern {
    pub(super) fn shown(&self) -> String {
        format!("ResourcePattern({})", fields(self))
    }
}

impl Entry {
    pub(super) fn shown(&self) -> String {
        format!(
            "(principal={}, host={}, operation={}, permissionType={})",
            self.principal,
            self.host,
            name_of(OPERATIONS, self.operation),
            name_of(PERMISSIONS, self.permission)
        )
    }
}

/// An operation by the name that the option takes: `DescribeConfigs`, in any case. As upstream's, a
/// name that is none becomes UNKNOWN, which no resource supports.
pub(super) fn operation_named(name: &str) -> i8 {
    let name = name.trim();
    let plain = |known: &str| known.replace('_', "").eq_ignore_ascii_case(name);
    let row = OPERATIONS.iter().find(|(known, _)| plain(known));
    row.map_or(UNKNOWN, |(_, code)| *code)
}

/// The operations that a kind of resource knows, All aside.
pub(super) fn supported(kind: i8) -> &'static [i8] {
    use operation::*;
    match kind {
        resource::TOPIC => &[
            READ,
            WRITE,
            CREATE,
            DESCRIBE,
            DELETE,
            ALTER,
            DESCRIBE_CONFIGS,
            ALTER_CONFIGS,
        ],
        resource::GROUP => &[READ, DESCRIBE, DELETE, DESCRIBE_CONFIGS, ALTER_CONFIGS],
        resource::CLUSTER => &[
            CREATE,
            CLUSTER_ACTION,
            DESCRIBE_CONFIGS,
            ALTER_CONFIGS,
            IDEMPOTENT_WRITE,
            ALTER,
            DESCRIBE,
        ],
        resource::TRANSACTIONAL_ID => &[DESCRIBE, WRITE, TWO_PHASE_COMMIT],
        resource::DELEGATION_TOKEN => &[DESCRIBE],
        resource::USER => &[CREATE_TOKENS, DESCRIBE_TOKENS],
        _ => &[],
    }
}

/// `[ALL, READ]`: upstream shows them in the order of a set, which differs from run to run.
pub(super) fn shown_operations(codes: &[i8]) -> String {
    let names: Vec<&str> = codes
        .iter()
        .map(|code| name_of(OPERATIONS, *code))
        .collect();
    format!("[{}]", names.join(", "))
}

/// A principal, `type:name`.
pub(super) fn principal(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.contains(':') {
        return Ok(text.to_owned());
    }
    Err(Failure::illegal_argument(format!(
        "expected a string in format principalType:principalName but got {text}"
    )))
}

/// `LITERAL` and its like, in any case.
pub(super) fn pattern_named(name: &str) -> Result<i8, Failure> {
    let mut rows = PATTERN_TYPES.iter();
    let row = rows.find(|(known, code)| *code != UNKNOWN && known.eq_ignore_ascii_case(name));
    row.map(|(_, code)| *code).ok_or_else(|| {
        Failure::new(
            "joptsimple.OptionArgumentConversionException",
            format!("Cannot parse argument '{name}' of option resource-pattern-type"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_the_names_that_the_option_takes() {
        assert_eq!(
            operation_named(" DescribeConfigs "),
            operation::DESCRIBE_CONFIGS
        );
        assert_eq!(operation_named("all"), operation::ALL);
        for name in ["", "Unknown", "DESCRIBE_CONFIGS", "Reads"] {
            assert_eq!(operation_named(name), UNKNOWN, "{name}");
        }
        assert_eq!(pattern_named("prefixed").unwrap(), pattern::PREFIXED);
        assert!(pattern_named("unknown").is_err());
    }

    #[test]
    fn a_principal_has_a_type_and_a_name() {
        assert_eq!(principal(" User:CN=a:b ").unwrap(), "User:CN=a:b");
        for text in ["", "ann"] {
            assert!(principal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn resources_and_entries_are_shown_as_in_java() {
        let topic = Pattern {
            kind: resource::TOPIC,
            name: "t".to_owned(),
            pattern: pattern::LITERAL,
        };
        let inside = "(resourceType=TOPIC, name=t, patternType=LITERAL)";
        assert_eq!(topic.shown(), format!("ResourcePattern{inside}"));
        let entry = Entry {
            principal: "User:a".to_owned(),
            host: "*".to_owned(),
            operation: operation::READ,
            permission: ALLOW,
        };
        assert_eq!(
            entry.shown(),
            "(principal=User:a, host=*, operation=READ, permissionType=ALLOW)"
        );
    }
}
