//! The order in which Java's and Scala's hash maps give out their keys: upstream's answers and
//! messages are in it, and it depends on the keys alone.
//!
//! Invariant: keys of one bucket stay in the order in which they were put, as in Java.

use std::collections::HashMap;

/// The keys in the order of a map that grew as they were put.
pub fn of_grown<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut capacity = 16;
    while names.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    sorted(names, capacity)
}

/// The keys in the order of a map that was made for as many as there are.
pub fn of_sized<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut capacity = names.len().next_power_of_two();
    while names.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    sorted(names, capacity)
}

/// The keys in the order of a map that was copied from one of Scala's, whose buckets are sorted by
/// hash: a broker's own keys come through such a map.
pub(super) fn of_copied<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| spread_hash(name).cast_signed());
    let capacity = (names.len() * 4 / 3 + 1).next_power_of_two();
    sorted(names, capacity)
}

/// The keys in the order of one of Scala's maps: the cluster default is answered from such a map.
pub(super) fn of_scala<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| spread_hash(name).cast_signed());
    let mut capacity = 16;
    while names.len() * 4 >= capacity * 3 {
        capacity *= 2;
    }
    sorted(names, capacity)
}

/// As Java prints a set of strings: `[a, b]`.
pub(super) fn shown_set<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", of_grown(names).join(", "))
}

fn sorted(mut names: Vec<&str>, capacity: usize) -> Vec<&str> {
    let buckets: HashMap<&str, u32> = names
        .iter()
        .map(|name| (*name, bucket(name, capacity)))
        .collect();
    names.sort_by_key(|name| buckets.get(name).copied());
    names
}

fn bucket(name: &str, capacity: usize) -> u32 {
    spread_hash(name) & u32::try_from(capacity - 1).unwrap_or(u32::MAX)
}

/// The hash that maps use: its upper half counts in small maps too.
fn spread_hash(name: &str) -> u32 {
    let hash = java_hash(name);
    hash ^ (hash >> 16)
}

/// Java's `String.hashCode`, as its bits.
fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_javas() {
        // From `"retention.ms".hashCode()` and others in jshell.
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("a"), 97);
        assert_eq!(java_hash("hello"), 99_162_322);
    }

    #[test]
    fn short_names_come_in_the_order_of_their_letters() {
        assert_eq!(of_grown(["c", "a", "b"]), ["a", "b", "c"]);
        assert_eq!(shown_set(["b", "a"]), "[a, b]");
    }

    #[test]
    fn a_small_map_has_few_buckets() {
        // From jshell: a HashMap made for three keys has four buckets.
        assert_eq!(of_sized(["r1", "t1", "t_2"]), ["t1", "t_2", "r1"]);
    }
}
