//! What upstream inherits from Java: the hash of a string, and the order in which a map is walked.
//!
//! Invariant: same input, same answer as on the JVM, since clients and stored data rest on it.

/// The partition of `__consumer_offsets` that a group lives on.
///
/// `partitions` is the number of partitions of the topic, at least 1.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    (string_hash(group_id) & i32::MAX) % partitions.max(1)
}

/// `String.hashCode()`: over UTF-16 units, wrapping.
pub(crate) fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// The place of a key in the walk over a `HashMap` of `count` strings.
///
/// Keys that share a bucket come in the order they were put.
pub(crate) fn hash_map_bucket(key: &str, count: usize) -> u32 {
    // The table starts at 16 and doubles when it is more than three quarters full.
    let mut table_size = 16usize;
    while count * 4 > table_size * 3 {
        table_size *= 2;
    }
    let hash = string_hash(key) as u32;
    (hash ^ (hash >> 16)) & (table_size as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_hashes_as_on_the_jvm() {
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("a"), 97);
        assert_eq!(string_hash("hello"), 99162322);
        assert_eq!(string_hash("polygenelubricants"), i32::MIN);
        assert_eq!(string_hash("\u{1F600}"), 1772899);
    }

    #[test]
    fn the_partition_of_a_group_is_never_negative() {
        // Utils.abs masks the sign, so that Integer.MIN_VALUE becomes 0.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("hello", 50), 22);
    }

    #[test]
    fn of_two_keys_the_one_that_upstream_was_seen_to_choose_comes_first() {
        let chosen = [
            ("range", "roundrobin"),
            ("sticky", "range"),
            ("range", "cooperative-sticky"),
            ("a", "b"),
            ("zeta", "alpha"),
        ];
        for (first, second) in chosen {
            assert!(
                hash_map_bucket(first, 2) < hash_map_bucket(second, 2),
                "{first} {second}"
            );
        }
    }

    #[test]
    fn keys_are_walked_by_bucket() {
        assert_eq!(hash_map_bucket("a", 2), 1);
        assert_eq!(hash_map_bucket("a", 13), 1);
        assert_eq!(hash_map_bucket("q", 12), 1);
        assert_eq!(hash_map_bucket("q", 13), 17);
    }
}
