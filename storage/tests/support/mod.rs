//! Builders that the tests of this crate share.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses a part"
)]

pub(crate) mod memory_fs;

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::control::ControlRecordType;
use protocol::{
    BatchBuilder, LeaderEpoch, Offset, Producer, ProducerEpoch, ProducerId, RecordBatch, Timestamp,
    TopicId, TopicPartition,
};
use storage::{
    AbortedTransaction, AppendError, AppendInfo, AppendOrigin, Log, LogConfig, LogDir,
    LogDirOptions, LogSlice, VerificationGuard,
};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const EPOCH: LeaderEpoch = LeaderEpoch(0);

pub(crate) fn topic_id() -> TopicId {
    "AQIDBAUGBwgJCgsMDQ4PEA".parse().unwrap()
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

pub(crate) fn open_dir(path: &Path) -> LogDir {
    LogDir::open(path, LogDirOptions::new(1)).unwrap()
}

pub(crate) fn open_log(dir: &LogDir, config: LogConfig) -> Arc<Log> {
    dir.create_or_open(&partition(), topic_id(), config)
        .unwrap()
}

/// A batch of records with these values, all made at `NOW`.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_at(&vec![NOW; values.len()], values).bytes().clone()
}

pub(crate) fn batch_at(timestamps: &[Timestamp], values: &[&str]) -> RecordBatch {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    for (timestamp, value) in timestamps.iter().zip(values) {
        builder.push(*timestamp, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// A batch of an idempotent producer.
pub(crate) fn idempotent(id: i64, epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    let producer = Producer {
        id: ProducerId(id),
        epoch: ProducerEpoch(epoch),
        base_sequence,
    };
    let mut builder = BatchBuilder::new(Offset::ZERO).producer(producer);
    for value in values {
        builder.push(NOW, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build().bytes().clone()
}

pub(crate) fn producer(id: i64, epoch: i16, base_sequence: i32) -> Producer {
    Producer {
        id: ProducerId(id),
        epoch: ProducerEpoch(epoch),
        base_sequence,
    }
}

/// A batch of a producer's transaction.
pub(crate) fn transactional<V: AsRef<str>>(
    id: i64,
    epoch: i16,
    base_sequence: i32,
    values: &[V],
) -> Bytes {
    let producer = producer(id, epoch, base_sequence);
    let mut builder = BatchBuilder::new(Offset::ZERO)
        .producer(producer)
        .transactional();
    for value in values {
        builder.push(NOW, Some(b"key"), Some(value.as_ref().as_bytes()), &[]);
    }
    builder.build().bytes().clone()
}

pub(crate) fn append_verified(
    log: &Log,
    records: Bytes,
    guard: Option<VerificationGuard>,
) -> Result<AppendInfo, AppendError> {
    log.append_verified(records, EPOCH, AppendOrigin::Client, NOW, guard)
}

pub(crate) fn append(log: &Log, records: Bytes) -> Result<AppendInfo, AppendError> {
    log.append_as_leader(records, EPOCH, AppendOrigin::Client, NOW)
}

/// The values and offsets of a slice.
pub(crate) fn values_of(slice: &LogSlice) -> Vec<(i64, String)> {
    let mut bytes = slice.read().unwrap();
    let mut values = Vec::new();
    while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
        values.extend(values_in(&batch));
    }
    values
}

/// The values and offsets of a batch.
pub(crate) fn values_in(batch: &RecordBatch) -> Vec<(i64, String)> {
    batch.verify_crc().unwrap();
    let values = batch.records().unwrap().map(|record| {
        let record = record.unwrap();
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        (record.offset.0, value)
    });
    values.collect()
}

/// Everything in a log, read as a consumer reads it: some bytes at a time.
pub(crate) fn read_all(log: &Log, max_bytes: usize) -> Vec<(i64, String)> {
    let mut values = Vec::new();
    let mut next = log.log_start_offset();
    let end = log.log_end_offset();
    while next < end {
        let slice = log.read(next, end, max_bytes, true).unwrap();
        if slice.is_empty() {
            break;
        }
        assert!(slice.next_offset > next, "a read does not go on");
        values.extend(
            values_of(&slice)
                .into_iter()
                .filter(|(offset, _)| *offset >= next.0),
        );
        next = slice.next_offset;
    }
    values
}

/// What a stock consumer takes out of a fetch (KIP-98).
pub(crate) fn committed_in(slice: &LogSlice, aborted: &[AbortedTransaction]) -> Vec<RecordBatch> {
    let mut begin: Vec<_> = aborted.to_vec();
    begin.sort_by_key(|transaction| transaction.first_offset);
    let mut begin = VecDeque::from(begin);
    let mut in_aborted = HashSet::new();
    let mut bytes = slice.read().unwrap();
    let mut found = Vec::new();
    while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
        let header = *batch.header();
        while let Some(transaction) = begin
            .front()
            .filter(|transaction| transaction.first_offset <= header.last_offset())
        {
            in_aborted.insert(transaction.producer_id);
            begin.pop_front();
        }
        if header.attributes.is_control() {
            // Of a marker that was cleaned nothing is left but the batch.
            let Some(record) = batch.records().unwrap().next() else {
                continue;
            };
            let record = record.unwrap();
            let kind = ControlRecordType::of_key(record.key.as_deref().unwrap()).unwrap();
            if kind == ControlRecordType::Abort {
                in_aborted.remove(&header.producer.unwrap().id);
            }
            continue;
        }
        let is_aborted = header.attributes.is_transactional()
            && header
                .producer
                .is_some_and(|producer| in_aborted.contains(&producer.id));
        if !is_aborted {
            found.push(batch);
        }
    }
    found
}
