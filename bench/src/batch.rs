//! Builds record batches (magic 2) whose records look like a service's log lines.
//!
//! Everything comes from a seed: two runs send the same bytes, but for the timestamps.

use std::io::Write;

use anyhow::Result;

/// Where the fields that are patched or covered by the CRC begin.
const LENGTH_AT: usize = 8;
const AFTER_LENGTH: usize = 12;
const CRC_AT: usize = 17;
const AFTER_CRC: usize = 21;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;
const TRANSACTIONAL: i16 = 0x10;

/// How the records of a batch are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Lz4,
}

impl Codec {
    fn attribute(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Lz4 => 3,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Lz4 => "lz4",
        }
    }
}

/// A seeded source of numbers (xorshift); good enough for text, and the same everywhere.
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words
            .get((self.next() % words.len() as u64) as usize)
            .copied()
            .unwrap_or_default()
    }
}

const ACTIONS: [&str; 8] = [
    "view", "click", "search", "add", "remove", "order", "pay", "leave",
];
const WORDS: [&str; 32] = [
    "river", "stone", "bridge", "light", "garden", "winter", "paper", "signal", "copper", "meadow",
    "harbor", "window", "silver", "market", "engine", "forest", "letter", "summit", "valley",
    "ribbon", "lantern", "orchard", "thunder", "compass", "granite", "feather", "mirror", "canvas",
    "shadow", "anchor", "velvet", "cinder",
];

/// One value of exactly `size` bytes: some fields of random ids, then words.
fn value(random: &mut Seeded, size: usize) -> Vec<u8> {
    let mut text = format!(
        "{{\"user\":{},\"trace\":\"{:012x}\",\"action\":\"{}\",\"ms\":{},\"text\":\"",
        random.next() % 1_000_000,
        random.next() & 0xFFFF_FFFF_FFFF,
        random.pick(&ACTIONS),
        random.next() % 10_000,
    );
    while text.len() < size {
        text.push_str(random.pick(&WORDS));
        text.push(' ');
    }
    text.truncate(size);
    text.into_bytes()
}

fn put_varint(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A record without key and headers.
fn put_record(out: &mut Vec<u8>, scratch: &mut Vec<u8>, index: usize, value: &[u8]) {
    scratch.clear();
    scratch.push(0);
    put_varint(scratch, 0);
    put_varint(scratch, index as i64);
    put_varint(scratch, -1);
    put_varint(scratch, value.len() as i64);
    scratch.extend_from_slice(value);
    put_varint(scratch, 0);
    put_varint(out, scratch.len() as i64);
    out.extend_from_slice(scratch);
}

/// How many records of `record_size` make a batch of about `batch_bytes` before compression.
pub(crate) fn records_per_batch(record_size: usize, batch_bytes: usize) -> usize {
    // A record without key costs some 7 bytes beside its value.
    (batch_bytes / (record_size + 7)).max(1)
}

/// One batch of `count` records.
pub(crate) fn build(
    random: &mut Seeded,
    record_size: usize,
    count: usize,
    codec: Codec,
    now_ms: i64,
) -> Result<Vec<u8>> {
    let mut records = Vec::with_capacity(count * (record_size + 8));
    let mut scratch = Vec::new();
    for index in 0..count {
        let value = value(random, record_size);
        put_record(&mut records, &mut scratch, index, &value);
    }
    if codec == Codec::Lz4 {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(&records)?;
        records = encoder.finish()?;
    }
    let mut batch = Vec::with_capacity(61 + records.len());
    batch.extend_from_slice(&0_i64.to_be_bytes());
    batch.extend_from_slice(&0_i32.to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&0_u32.to_be_bytes());
    batch.extend_from_slice(&codec.attribute().to_be_bytes());
    batch.extend_from_slice(&i32::try_from(count - 1)?.to_be_bytes());
    batch.extend_from_slice(&now_ms.to_be_bytes());
    batch.extend_from_slice(&now_ms.to_be_bytes());
    batch.extend_from_slice(&(-1_i64).to_be_bytes());
    batch.extend_from_slice(&(-1_i16).to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.extend_from_slice(&i32::try_from(count)?.to_be_bytes());
    batch.extend_from_slice(&records);
    let length = i32::try_from(batch.len() - AFTER_LENGTH)?;
    batch[LENGTH_AT..AFTER_LENGTH].copy_from_slice(&length.to_be_bytes());
    seal(&mut batch);
    Ok(batch)
}

fn seal(batch: &mut [u8]) {
    let crc = crc_fast::crc32_iscsi(&batch[AFTER_CRC..]);
    batch[CRC_AT..AFTER_CRC].copy_from_slice(&crc.to_be_bytes());
}

/// Makes an uncompressed batch the first one of a producer's transaction.
pub(crate) fn in_transaction(batch: &mut [u8], producer_id: i64, epoch: i16) {
    batch[AFTER_CRC..AFTER_CRC + 2].copy_from_slice(&TRANSACTIONAL.to_be_bytes());
    batch[PRODUCER_ID_AT..PRODUCER_EPOCH_AT].copy_from_slice(&producer_id.to_be_bytes());
    batch[PRODUCER_EPOCH_AT..SEQUENCE_AT].copy_from_slice(&epoch.to_be_bytes());
    batch[SEQUENCE_AT..COUNT_AT].copy_from_slice(&0_i32.to_be_bytes());
    seal(batch);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_states_its_own_length_and_checksum() {
        for codec in [Codec::None, Codec::Lz4] {
            let batch = build(&mut Seeded::new(7), 100, 50, codec, 1_700_000_000_000).unwrap();
            let length = i32::from_be_bytes(batch[8..12].try_into().unwrap());
            assert_eq!(length as usize + 12, batch.len());
            let crc = u32::from_be_bytes(batch[17..21].try_into().unwrap());
            assert_eq!(crc, crc_fast::crc32_iscsi(&batch[21..]));
        }
    }

    #[test]
    fn values_have_the_stated_size_and_differ() {
        let mut random = Seeded::new(1);
        let (first, second) = (value(&mut random, 100), value(&mut random, 100));
        assert_eq!((first.len(), second.len()), (100, 100));
        assert_ne!(first, second);
    }

    #[test]
    fn lz4_finds_something_to_do_but_not_everything() {
        let plain = build(&mut Seeded::new(7), 1024, 60, Codec::None, 0).unwrap();
        let packed = build(&mut Seeded::new(7), 1024, 60, Codec::Lz4, 0).unwrap();
        assert!(packed.len() * 4 < plain.len() * 3);
        assert!(packed.len() * 6 > plain.len());
    }
}
