//! Which topic names are valid, which belong to Kafka, and which would collide in metrics.

/// Where the cluster's metadata lives; nobody may create it.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

const MAX_NAME_LENGTH: usize = 249;

/// The sentence that says why `name` is not valid.
pub fn validate(name: &str) -> Result<(), String> {
    let reason = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.encode_utf16().count() > MAX_NAME_LENGTH {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}")
    } else if !name.bytes().all(is_legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {reason}"))
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether two names differ only in '.' and '_', which are the same letter in metric names.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    fn unify(byte: u8) -> u8 {
        if byte == b'.' { b'_' } else { byte }
    }
    one.bytes().map(unify).eq(other.bytes().map(unify))
}

/// What every name that collides with `name` begins with; `None` where none can.
pub(crate) fn collision_prefix(name: &str) -> Option<&str> {
    name.find(['.', '_']).and_then(|end| name.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_letters_digits_dots_dashes_and_underscores_are_valid() {
        for name in [
            "a",
            "A.b_c-9",
            "...",
            "__consumer_offsets",
            &"a".repeat(249),
        ] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let reason = |name: &str| validate(name).unwrap_err();
        assert_eq!(
            reason(""),
            "Topic name is invalid: the empty string is not allowed"
        );
        assert_eq!(reason(".."), "Topic name is invalid: '..' is not allowed");
        let long = "a".repeat(250);
        assert_eq!(
            reason(&long),
            format!(
                "Topic name is invalid: the length of '{long}' is longer than the max allowed \
                 length 249"
            )
        );
        assert_eq!(
            reason("a b"),
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
        );
        assert!(validate("ä").is_err());
        assert!(validate("a\n").is_err());
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b"));
        assert!(!collide("a.b", "a.bc"));
        assert_eq!(collision_prefix("ab.c_d"), Some("ab"));
        assert_eq!(collision_prefix("_a"), Some(""));
        assert_eq!(collision_prefix("ab"), None);
    }
}
