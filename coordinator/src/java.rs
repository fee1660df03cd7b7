//! What upstream inherits from Java: the hash of a string, and the order in which a map is walked.
//!
//! Invariant: same input, same answer as on the JVM, since clients and stored data rest on it.

use uuid::Uuid;

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

/// `Uuid.hashCode()` of the Kafka clients, which is that of `java.util.UUID`, too.
pub(crate) fn uuid_hash(id: Uuid) -> i32 {
    let (most, least) = id.as_u64_pair();
    let both = most ^ least;
    ((both >> 32) ^ both) as i32
}

/// The place of a key in the walk over a `HashMap` of `count` strings.
///
/// Keys that share a bucket come in the order they were put.
pub(crate) fn hash_map_bucket(key: &str, count: usize) -> u32 {
    bucket(string_hash(key), grown_table_size(count))
}

/// The place of a key with this hash in the walk over a table of so many buckets.
pub(crate) fn bucket(hash: i32, table_size: u32) -> u32 {
    let hash = hash as u32;
    (hash ^ (hash >> 16)) & (table_size - 1)
}

/// Buckets of a `HashMap` or `HashSet` that `count` keys were put into one by one.
pub(crate) fn grown_table_size(count: usize) -> u32 {
    // The table starts at 16.
    grown_from(16, count)
}

/// Buckets of a table of so many that has `count` keys in it, or had: it never shrinks.
fn grown_from(table_size: u32, count: usize) -> u32 {
    // It doubles when it is more than three quarters full.
    let mut table_size = table_size;
    while count as u64 * 4 > u64::from(table_size) * 3 && table_size < TABLE_SIZE_MAX {
        table_size *= 2;
    }
    table_size
}

/// Buckets of a `HashSet` that was made from a collection of `count` keys.
pub(crate) fn copied_table_size(count: usize) -> u32 {
    // HashSet(Collection) asks for `max((int) (count / .75f) + 1, 16)`, and a power of two is made
    // of it: 12 keys, which would grow into 16 buckets, get 32.
    let asked = count as u64 * 4 / 3 + 1;
    let size = asked
        .next_power_of_two()
        .clamp(16, u64::from(TABLE_SIZE_MAX));
    u32::try_from(size).unwrap_or(TABLE_SIZE_MAX)
}

/// Buckets of a `HashMap` that upstream's assignors make for `expected` keys, with `count` in it.
pub(crate) fn expected_table_size(expected: usize, count: usize) -> u32 {
    // As upstream computes it, with numbers of 32 bits.
    let asked = (expected as f32 + 1.0) / 0.75 + 1.0;
    let size = (asked as u32).clamp(1, TABLE_SIZE_MAX).next_power_of_two();
    grown_from(size, count)
}

/// A `HashSet` that knows in which order its keys were put.
#[derive(Clone, Debug)]
pub(crate) struct HashSetOrder<K> {
    keys: Vec<K>,
    /// How many there were at most: that makes the table.
    most: usize,
}

impl<K> Default for HashSetOrder<K> {
    fn default() -> Self {
        HashSetOrder {
            keys: Vec::new(),
            most: 0,
        }
    }
}

impl<K: Clone + PartialEq> HashSetOrder<K> {
    /// Puts a key that is not in it.
    pub(crate) fn put(&mut self, key: K) {
        self.keys.push(key);
        self.most = self.most.max(self.keys.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.keys.contains(key)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.keys.retain(|other| other != key);
    }

    /// Removes as many as are too many, the first that a walk meets.
    pub(crate) fn shorten(&mut self, len: usize, hash: impl Fn(&K) -> i32) -> Vec<K> {
        let excess = self.keys.len().saturating_sub(len);
        if excess == 0 {
            return Vec::new();
        }
        let table_size = grown_table_size(self.most);
        let mut walk: Vec<usize> = (0..self.keys.len()).collect();
        walk.sort_by_key(|place| bucket(hash(&self.keys[*place]), table_size));
        walk.truncate(excess);
        let removed = walk.iter().map(|place| self.keys[*place].clone()).collect();
        walk.sort_unstable();
        let mut place = 0;
        self.keys.retain(|_| {
            let stays = walk.binary_search(&place).is_err();
            place += 1;
            stays
        });
        removed
    }
}

/// `HashMap.MAXIMUM_CAPACITY`
const TABLE_SIZE_MAX: u32 = 1 << 30;

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
    fn a_set_is_shortened_by_those_that_a_walk_meets_first() {
        let mut set = HashSetOrder::default();
        // 1 and 17 share a bucket of 16, in the order they were put.
        for key in [17, 1, 5, 0] {
            set.put(key);
        }
        assert_eq!(set.shorten(1, |key| *key), [0, 17, 1]);
        assert_eq!((set.len(), set.contains(&5)), (1, true));
        assert!(set.shorten(1, |key| *key).is_empty());
        set.remove(&5);
        assert_eq!(set.len(), 0);
    }

    #[test]
    fn a_table_is_made_for_the_keys_that_are_expected() {
        let sizes = [0, 1, 2, 10, 11, 100].map(|count| expected_table_size(count, 0));
        assert_eq!(sizes, [2, 4, 8, 16, 32, 256]);
        assert_eq!(expected_table_size(0, 13), 32);
    }

    #[test]
    fn keys_are_walked_by_bucket() {
        assert_eq!(hash_map_bucket("a", 2), 1);
        assert_eq!(hash_map_bucket("a", 13), 1);
        assert_eq!(hash_map_bucket("q", 12), 1);
        assert_eq!(hash_map_bucket("q", 13), 17);
    }
}
