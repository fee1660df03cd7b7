//! Builds a batch record by record.
//!
//! Invariant: what is built passes `walk`, unless it holds no record or fewer than it once held.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Header, Record};
use crate::batch::{
    Attributes, BatchError, BatchHeader, Compression, HEADER_SIZE, LOG_OVERHEAD, MAGIC, Producer,
    RecordBatch, TimestampType, crc_of,
};
use crate::compression::compress;
use crate::ids::{LeaderEpoch, Offset, Timestamp};
use crate::varint::{write_int, write_long};

/// A batch that is being written.
///
/// Offsets follow each other from the base offset; timestamps may come in any order.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: Offset,
    /// Of the batch whose place this one takes.
    replaced: Option<Box<BatchHeader>>,
    leader_epoch: LeaderEpoch,
    attributes: Attributes,
    compression: Compression,
    producer: Option<Producer>,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    record_count: i32,
    records: Vec<u8>,
    body: Vec<u8>,
}

impl BatchBuilder {
    pub fn new(base_offset: Offset) -> Self {
        BatchBuilder {
            base_offset,
            replaced: None,
            leader_epoch: LeaderEpoch::NONE,
            attributes: Attributes::default(),
            compression: Compression::None,
            producer: None,
            base_timestamp: None,
            max_timestamp: Timestamp::NONE,
            record_count: 0,
            records: Vec::new(),
            body: Vec::new(),
        }
    }

    /// What is left of a batch when records are taken out of it (compaction): the same first and last
    /// offset, producer, sequence, epoch and attributes. A delete horizon, once there is one, stays and
    /// stands where the base timestamp stood (KIP-534).
    ///
    /// # Errors
    /// When the attributes name no compression that there is.
    pub fn replacing(
        header: &BatchHeader,
        delete_horizon: Option<Timestamp>,
    ) -> Result<Self, BatchError> {
        let mut attributes = header.attributes;
        if delete_horizon.is_some() {
            attributes = attributes.with_delete_horizon();
        }
        Ok(BatchBuilder {
            replaced: Some(Box::new(*header)),
            leader_epoch: header.partition_leader_epoch,
            attributes,
            compression: attributes.compression()?,
            producer: header.producer,
            base_timestamp: Some(delete_horizon.unwrap_or(header.base_timestamp)),
            ..BatchBuilder::new(header.base_offset)
        })
    }

    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self.attributes = self.attributes.with_compression(compression);
        self
    }

    pub fn timestamp_type(mut self, timestamp_type: TimestampType) -> Self {
        self.attributes = self.attributes.with_timestamp_type(timestamp_type);
        self
    }

    pub fn producer(mut self, producer: Producer) -> Self {
        self.producer = Some(producer);
        self
    }

    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.with_transactional();
        self
    }

    pub fn control(mut self) -> Self {
        self.attributes = self.attributes.with_control();
        self
    }

    pub fn leader_epoch(mut self, leader_epoch: LeaderEpoch) -> Self {
        self.leader_epoch = leader_epoch;
        self
    }

    /// Adds one record behind those that are there.
    ///
    /// # Panics
    /// When a length or a count does not fit into 32 bits: callers bound what they write.
    pub fn push(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) {
        self.push_at(self.record_count, timestamp, key, value, headers);
    }

    /// Adds a record of the batch whose place this one takes, at its offset.
    ///
    /// # Panics
    /// As `push`; and records come in the order of their offsets.
    pub fn keep(&mut self, record: &Record) {
        let delta = record.offset - self.base_offset;
        let delta = i32::try_from(delta).expect("a batch counts its offsets in 32 bits");
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.push_at(delta, record.timestamp, key, value, &record.headers);
    }

    fn push_at(
        &mut self,
        offset_delta: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) {
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let body = &mut self.body;
        body.clear();
        body.put_i8(0); // Attributes: a record has none.
        write_long(body, timestamp.0.wrapping_sub(base_timestamp.0));
        write_int(body, offset_delta);
        write_nullable(body, key);
        write_nullable(body, value);
        write_int(body, length_of(headers.len()));
        for header in headers {
            write_nullable(body, Some(&header.key));
            write_nullable(body, header.value.as_deref());
        }
        write_int(&mut self.records, length_of(self.body.len()));
        self.records.extend_from_slice(&self.body);
        self.record_count = self
            .record_count
            .checked_add(1)
            .expect("a batch holds 2^31 records");
    }

    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The size that the batch has now, before compression.
    pub fn size_in_bytes(&self) -> usize {
        HEADER_SIZE + self.records.len()
    }

    /// # Panics
    /// When the batch does not fit into 2^31 bytes: callers bound what they write.
    pub fn build(mut self) -> RecordBatch {
        let mut last_offset_delta = (self.record_count - 1).max(0);
        if let Some(replaced) = &self.replaced {
            last_offset_delta = replaced.last_offset_delta;
            if self.is_empty() {
                // As upstream writes a batch of which only the header is left.
                self.compression = Compression::None;
                let attributes = self.attributes.with_compression(Compression::None);
                self.attributes = attributes.without_delete_horizon();
                self.base_timestamp = None;
            }
            if self.is_empty() || self.attributes.timestamp_type() == TimestampType::LogAppendTime {
                self.max_timestamp = replaced.max_timestamp;
            }
        }
        let mut compressed = Vec::new();
        let records = if self.compression == Compression::None {
            self.records
        } else {
            compress(self.compression, &self.records, &mut compressed);
            compressed
        };
        let mut batch = BytesMut::with_capacity(HEADER_SIZE + records.len());
        batch.put_i64(self.base_offset.0);
        batch.put_i32(length_of(HEADER_SIZE - LOG_OVERHEAD + records.len()));
        batch.put_i32(self.leader_epoch.0);
        batch.put_i8(MAGIC);
        batch.put_u32(0); // The CRC follows.
        batch.put_i16(self.attributes.0);
        batch.put_i32(last_offset_delta);
        batch.put_i64(self.base_timestamp.unwrap_or(Timestamp::NONE).0);
        batch.put_i64(self.max_timestamp.0);
        batch.put_i64(self.producer.map_or(-1, |producer| producer.id.0));
        batch.put_i16(self.producer.map_or(-1, |producer| producer.epoch.0));
        batch.put_i32(self.producer.map_or(-1, |producer| producer.base_sequence));
        batch.put_i32(self.record_count);
        let header = batch
            .first_chunk_mut::<HEADER_SIZE>()
            .expect("it was just written");
        let crc = crc_of(header, &records);
        header[17..21].copy_from_slice(&crc.to_be_bytes());
        batch.extend_from_slice(&records);
        let mut bytes: Bytes = batch.freeze();
        let built = RecordBatch::split_first(&mut bytes).ok().flatten();
        built.expect("a batch that was just built can be read")
    }
}

fn length_of(length: usize) -> i32 {
    i32::try_from(length).expect("lengths in a batch are bounded by its writer")
}

fn write_nullable(target: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => write_int(target, -1),
        Some(bytes) => {
            write_int(target, length_of(bytes.len()));
            target.extend_from_slice(bytes);
        }
    }
}
