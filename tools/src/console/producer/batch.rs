//! The batch of a partition while it is filled, sent, and perhaps split.
//!
//! Invariant: what is known of each record for an error's log is kept as long as the batch.

use bytes::Bytes;
use protocol::{BatchBuilder, BatchError, Compression, Header, Offset, Producer, Timestamp};
use tokio::time::Instant;

use super::reader::Record;

/// What a batch has in front of its records.
const BATCH_OVERHEAD: usize = 61;
/// The most that a record's lengths and numbers take, but for those of key, value and headers.
const RECORD_OVERHEAD: usize = 21;

/// The lengths of key and value, where they are not null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) key: Option<usize>,
    pub(super) value: Option<usize>,
}

/// Records for one partition.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    builder: BatchBuilder,
    pub(super) created: Instant,
    pub(super) records: Vec<Lengths>,
    /// How often it was sent.
    pub(super) attempts: u32,
}

impl Batch {
    pub(super) fn new(compression: Compression, created: Instant) -> Self {
        Batch {
            builder: BatchBuilder::new(Offset(0)).compression(compression),
            created,
            records: Vec::new(),
            attempts: 0,
        }
    }

    pub(super) fn push(&mut self, timestamp: Timestamp, record: &Record) {
        self.add(
            timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        );
    }

    fn add(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) {
        self.builder.push(timestamp, key, value, headers);
        self.records.push(Lengths {
            key: key.map(<[u8]>::len),
            value: value.map(<[u8]>::len),
        });
    }

    /// Its size before compression.
    pub(super) fn size_in_bytes(&self) -> usize {
        self.builder.size_in_bytes()
    }

    /// The batch as it is sent.
    pub(super) fn bytes(&self, producer: Option<Producer>) -> Bytes {
        let mut builder = self.builder.clone();
        if let Some(producer) = producer {
            builder = builder.producer(producer);
        }
        builder.build().bytes().clone()
    }

    /// The same records in two batches.
    pub(super) fn split(&self, compression: Compression) -> Result<[Batch; 2], BatchError> {
        let built = self.builder.clone().build();
        let half = self.records.len() / 2;
        let mut halves = [(); 2].map(|()| Batch::new(compression, self.created));
        for (at, record) in built.records()?.enumerate() {
            let record = record?;
            let [front, back] = &mut halves;
            let half = if at < half { front } else { back };
            half.add(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
            );
        }
        Ok(halves)
    }
}

/// The most that a batch of this one record can take, as Java's producer reckons.
pub(super) fn size_upper_bound(record: &Record) -> usize {
    let field = |bytes: Option<&Bytes>| bytes.map_or(1, |it| varint_size(it.len()) + it.len());
    let headers: usize = record
        .headers
        .iter()
        .map(|header| field(Some(&header.key)) + field(header.value.as_ref()))
        .sum();
    let headers = varint_size(record.headers.len()) + headers;
    let fields = field(record.key.as_ref()) + field(record.value.as_ref());
    BATCH_OVERHEAD + RECORD_OVERHEAD + fields + headers
}

/// The bytes that a length takes on the wire, which counts 7 bits to a byte after doubling it.
fn varint_size(length: usize) -> usize {
    let doubled = (length as u64) << 1 | 1;
    (64 - doubled.leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str) -> Record {
        Record {
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        }
    }

    /// 135 is what upstream 4.3.1 said of a value of 50 bytes.
    #[test]
    fn the_size_of_a_record_is_reckoned_as_java_does() {
        assert_eq!(size_upper_bound(&record(&"x".repeat(50))), 135);
        assert_eq!(size_upper_bound(&record(&"x".repeat(64))), 150);
    }

    #[test]
    fn a_batch_is_split_into_its_halves() {
        let mut batch = Batch::new(Compression::Gzip, Instant::now());
        for value in ["a", "b", "c"] {
            batch.push(Timestamp(7), &record(value));
        }
        let [front, back] = batch.split(Compression::Gzip).unwrap();
        assert_eq!((front.records.len(), back.records.len()), (1, 2));
        let built = back.builder.build();
        let values: Vec<_> = built
            .records()
            .unwrap()
            .map(|record| record.unwrap().value.unwrap())
            .collect();
        assert_eq!(values, ["b", "c"]);
    }
}
