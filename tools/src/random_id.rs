//! Random ids as Kafka makes and prints them.
//!
//! Invariant: no id begins with a dash, which would make it an option of a command line.

use base64::Engine as _;

/// A random UUID as Kafka prints one.
pub(crate) fn random_id() -> String {
    loop {
        let id = uuid::Uuid::new_v4();
        let name = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.as_bytes());
        if !name.starts_with('-') {
            return name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_as_kafka_prints_one() {
        let id = random_id();
        assert_eq!(id.len(), 22, "{id}");
        assert!(!id.starts_with('-'));
    }
}
