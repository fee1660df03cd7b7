//! Which partition a record goes to, as Java's default partitioner chooses.
//!
//! Invariant: records with the same key go to the same partition while the number of partitions stays.

use std::collections::BTreeMap;

use rand::Rng;

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Java's `Utils.murmur2`.
pub(super) fn murmur2(data: &[u8]) -> u32 {
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Chooses partitions.
#[derive(Debug, Default)]
pub(super) struct Partitioner {
    /// Where records without a key go for now, and how many bytes went there.
    sticky: Option<(i32, usize)>,
    /// After so many bytes another partition gets the records without a key.
    switch_bytes: usize,
}

impl Partitioner {
    pub(super) fn new(switch_bytes: usize) -> Self {
        Partitioner {
            sticky: None,
            switch_bytes,
        }
    }

    /// The partition of a record of that size; `leaders` has an entry for each partition.
    pub(super) fn partition(
        &mut self,
        key: Option<&[u8]>,
        size: usize,
        leaders: &BTreeMap<i32, Option<i32>>,
    ) -> i32 {
        let count = leaders.len().max(1) as u32;
        if let Some(key) = key {
            return ((murmur2(key) & 0x7fff_ffff) % count) as i32;
        }
        if let Some((partition, bytes)) = &mut self.sticky
            && *bytes < self.switch_bytes
            && leaders.contains_key(partition)
        {
            *bytes += size;
            return *partition;
        }
        let led: Vec<i32> = leaders
            .iter()
            .filter(|(_, leader)| leader.is_some())
            .map(|(partition, _)| *partition)
            .collect();
        let all: Vec<i32> = leaders.keys().copied().collect();
        let candidates = if led.is_empty() { all } else { led };
        let at = rand::rng().random_range(0..candidates.len().max(1));
        let partition = candidates.get(at).copied().unwrap_or(0);
        self.sticky = Some((partition, size));
        partition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own clients.
    #[test]
    fn keys_are_hashed_as_java_hashes_them() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_stay_together_until_a_batch_is_full() {
        let leaders = BTreeMap::from([(0, Some(1)), (1, None), (2, Some(1))]);
        let mut partitioner = Partitioner::new(100);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let first = partitioner.partition(None, 60, &leaders);
            let second = partitioner.partition(None, 60, &leaders);
            assert_eq!(first, second);
            seen.insert(first);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn a_key_decides_even_where_its_partition_has_no_leader() {
        let leaders = BTreeMap::from([(0, None), (1, None), (2, None)]);
        let mut partitioner = Partitioner::new(100);
        let expected = ((murmur2(b"k") & 0x7fff_ffff) % 3) as i32;
        assert_eq!(partitioner.partition(Some(b"k"), 1, &leaders), expected);
    }
}
