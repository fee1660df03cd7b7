//! The order in which upstream's tools print what Java keeps in a hash map.
//!
//! Invariant: it depends on the keys, and for keys of one bucket on the order in which they were put.

use protocol::TopicPartition;

/// Items in the order of a map that grew as their keys were put.
pub(crate) fn in_order<T>(mut items: Vec<T>, hash: impl Fn(&T) -> u32) -> Vec<T> {
    let mut capacity: usize = 16;
    while items.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let mask = u32::try_from(capacity - 1).unwrap_or(u32::MAX);
    items.sort_by_key(|item| {
        let hash = hash(item);
        // Maps let the upper half of a hash count too.
        (hash ^ (hash >> 16)) & mask
    });
    items
}

/// Java's `String.hashCode`, as its bits.
pub(crate) fn text_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

/// The `hashCode` of upstream's `TopicPartition`.
pub(crate) fn partition_hash(partition: &TopicPartition) -> u32 {
    let number = 31_u32.wrapping_add(partition.partition.cast_unsigned());
    number
        .wrapping_mul(31)
        .wrapping_add(text_hash(&partition.topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_partitions_come_as_upstream_printed_them() {
        // `grp2` and `e2` are of one bucket: there the first comes first.
        let groups = vec!["e1", "grp2", "e2", "e3", "ncg"];
        let printed = in_order(groups, |group| text_hash(group));
        assert_eq!(printed, ["ncg", "e1", "grp2", "e2", "e3"]);
        let partitions = (0..3).map(|number| TopicPartition::new("ga", number));
        let printed = in_order(partitions.collect(), partition_hash);
        let numbers: Vec<i32> = printed.iter().map(|it| it.partition).collect();
        assert_eq!(numbers, [2, 1, 0]);
    }
}
