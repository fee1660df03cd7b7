//! Batches with a CRC that holds and damage behind it: refused with the code that names it, or
//! taken and then served whole.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use protocol::{
    BatchBuilder, Compression, ErrorCode, HEADER_SIZE, LeaderEpoch, Offset, RecordBatch, Timestamp,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::Start;
use support::requests::batch;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];
/// Damaged batches for each codec.
const ROUNDS: usize = 1_000;
/// Where the fields begin that the CRC covers and the check of a request does not.
const ATTRIBUTES: usize = 21;

fn whole(codec: Compression) -> Bytes {
    let mut batch = BatchBuilder::new(Offset::ZERO).compression(codec);
    for number in 0..8 {
        let value = format!("{number} {}", "value ".repeat(10));
        let at = Timestamp(1_700_000_000_000 + number);
        batch.push(at, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    batch.build().bytes().clone()
}

/// Damages what the CRC covers, and makes the CRC anew.
fn damaged(whole: &Bytes, random: &mut StdRng) -> Option<Bytes> {
    let mut bytes = whole.to_vec();
    for _ in 0..random.random_range(1..=2) {
        let from = if random.random_bool(0.3) {
            ATTRIBUTES
        } else {
            HEADER_SIZE
        };
        let at = random.random_range(from..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes[at] = 0xff,
            _ if at > HEADER_SIZE => bytes.truncate(at),
            _ => bytes[at] = 0x7f,
        }
    }
    let length = u32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let batch = RecordBatch::split_first(&mut Bytes::from(bytes)).ok()??;
    let header = batch.header();
    let again = batch.patched_header_timestamps(
        Offset::ZERO,
        LeaderEpoch(-1),
        header.attributes.timestamp_type(),
        header.max_timestamp,
    );
    let mut bytes = BytesMut::from(&again[..]);
    bytes.extend_from_slice(&batch.record_bytes());
    Some(bytes.freeze())
}

#[test]
fn damaged_records_are_refused_by_name() {
    let mut random = StdRng::seed_from_u64(support::seed("damaged records"));
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    client.create("target", 1, &[]);
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    for codec in CODECS {
        let whole = whole(codec);
        for _ in 0..ROUNDS {
            let Some(records) = damaged(&whole, &mut random) else {
                continue;
            };
            // One connection for all: a refusal never closes it.
            let taken = client.produce("target", 0, records).err();
            assert_ne!(taken, Some(ErrorCode::UnknownServerError));
            *codes.entry(format!("{taken:?}")).or_default() += 1;
        }
    }
    println!("{codes:?}");
    assert!(codes.len() > 2, "hardly anything was tried: {codes:?}");
    let end = client.offset("target", 0, -1).unwrap();
    assert_eq!(client.produce("target", 0, batch(&["x"])), Ok(end));
    // What was taken is served: whole batches that can be read, up to the end.
    let records = client.read_all("target", 0);
    assert_eq!(records.last(), Some(&(end, b"x".to_vec())));
    assert_eq!(node.complaints(), Vec::<String>::new());
    node.stop();
}
