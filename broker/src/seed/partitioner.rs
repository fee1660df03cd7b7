//! The partition of a record that names none, as Java's producer chooses it.
//!
//! Invariant: a key goes where a Java producer's record with that key goes.

/// Chooses partitions for the records of one topic.
pub(super) struct Partitioner {
    partitions: i32,
    /// Of the next record without a key.
    next: i32,
}

impl Partitioner {
    /// For a topic of so many partitions, at least one.
    pub(super) fn new(partitions: i32) -> Partitioner {
        Partitioner {
            partitions: partitions.max(1),
            next: 0,
        }
    }

    /// By the key's hash; records without a key go round.
    pub(super) fn choose(&mut self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => (murmur2(key) & i32::MAX) % self.partitions,
            None => {
                let chosen = self.next;
                self.next = (chosen + 1) % self.partitions;
                chosen
            }
        }
    }
}

/// MurmurHash2, 32 bits, with the seed that Kafka gives it.
fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Keys are shorter than 2^32 bytes: a batch could not hold them.
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, byte| (word << 8) | u32::from(*byte));
        let mut word = word.wrapping_mul(M);
        word = (word ^ (word >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let rest = rest
            .iter()
            .rev()
            .fold(0, |rest, byte| (rest << 8) | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `org.apache.kafka.common.utils.Utils.murmur2` gives.
    #[test]
    fn keys_hash_as_a_java_producer_has_them() {
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
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_go_round() {
        let mut partitioner = Partitioner::new(3);
        let chosen: Vec<i32> = (0..4).map(|_| partitioner.choose(None)).collect();
        assert_eq!(chosen, [0, 1, 2, 0]);
    }
}
