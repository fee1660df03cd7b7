//! What a Produce request's records must look like before any log sees them.
//!
//! As upstream's `ProduceRequest.validateRecords`: one whole batch of format 2. What lies inside
//! the batch is for the log to check.

use protocol::{BatchHeader, Compression, ErrorCode};

use super::produce::Refused;

/// Base offset and length, ahead of what the length counts.
const LOG_OVERHEAD: usize = 12;
/// The least that a length may count: the overhead of a record of format 0.
const LENGTH_MIN: i32 = 14;
const MAGIC_AT: usize = 16;
const MAGIC: i8 = 2;
/// Zstandard came with version 7 (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// Checks that `records` hold one batch, and one that `version` knows.
pub(super) fn check(version: i16, records: &[u8]) -> Result<(), Refused> {
    let first = next_batch(records)?.ok_or(ErrorCode::InvalidRecord)?;
    if first.magic != MAGIC {
        return Err(ErrorCode::InvalidRecord.into());
    }
    if version < ZSTD_SINCE && is_zstd_or_unknown(records) {
        return Err(ErrorCode::UnsupportedCompressionType.into());
    }
    match next_batch(records.get(first.size..).unwrap_or_default())? {
        None => Ok(()),
        Some(_) => Err(ErrorCode::InvalidRecord.into()),
    }
}

/// Checks that the first batch, if there is a whole one, could be one at all.
pub(super) fn check_first(records: &[u8]) -> Result<(), Refused> {
    next_batch(records).map(|_| ())
}

/// Whether the first batch says that it is part of a transaction.
pub(super) fn is_transactional(records: &[u8]) -> bool {
    BatchHeader::parse(records).is_ok_and(|header| header.attributes.is_transactional())
}

fn is_zstd_or_unknown(records: &[u8]) -> bool {
    let header = BatchHeader::parse(records);
    header.is_ok_and(|header| match header.attributes.compression() {
        Ok(codec) => codec == Compression::Zstd,
        Err(_) => true,
    })
}

struct Found {
    magic: i8,
    size: usize,
}

/// The batch at the front, if a whole one is there.
fn next_batch(records: &[u8]) -> Result<Option<Found>, Refused> {
    let corrupt = |message| Err(Refused::with_message(ErrorCode::CorruptMessage, message));
    let Some(length) = records
        .get(8..LOG_OVERHEAD)
        .and_then(|bytes| bytes.try_into().ok())
    else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(length);
    if length < LENGTH_MIN {
        return corrupt(format!(
            "Record size {length} is less than the minimum record overhead ({LENGTH_MIN})"
        ));
    }
    let Some(&magic) = records.get(MAGIC_AT) else {
        return Ok(None);
    };
    let magic = i8::from_be_bytes([magic]);
    if !(0..=MAGIC).contains(&magic) {
        return corrupt(format!("Invalid magic found in record: {magic}"));
    }
    let size = LOG_OVERHEAD.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    Ok((records.len() >= size).then_some(Found { magic, size }))
}
