//! What a leader checks of a batch before it is appended, and how the batch must change.
//!
//! Invariant: decides without the log's lock, from the batch, the settings and the time alone.

use bytes::Bytes;
use protocol::control::EndTransactionMarker;
use protocol::records::{MAX_DECOMPRESSED, RecordFields, walk};
use protocol::{
    BatchBuilder, BatchError, BatchHeader, Compression, HEADER_SIZE, LeaderEpoch, Offset,
    RecordBatch, Timestamp, TimestampType, TopicPartition,
};

use super::types::AppendOrigin;
use crate::config::{LogConfig, TargetCompression};
use crate::error::{AppendError, Error, InvalidRecord};

/// What the records of a batch that is compressed anew may unpack to, at least.
const RECOMPRESS_MAX: usize = 100 << 20;

/// A batch that may be appended, offset and epoch apart.
pub(super) struct Checked {
    batch: RecordBatch,
    /// Timestamp type and max timestamp, where the header has others.
    timestamps: Option<(TimestampType, Timestamp)>,
    pub(super) marker: Option<EndTransactionMarker>,
}

impl Checked {
    /// A batch that keeps its offsets: a leader has checked it.
    pub(super) fn as_it_is(batch: RecordBatch) -> Result<Checked, Error> {
        let marker = marker_of(&batch)?;
        Ok(Checked {
            batch,
            timestamps: None,
            marker,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.batch.size_in_bytes()
    }

    /// The header as it came.
    pub(super) fn header(&self) -> &BatchHeader {
        self.batch.header()
    }

    pub(super) fn record_bytes(&self) -> Bytes {
        self.batch.record_bytes()
    }

    /// The header with its place in the log: as bytes, and as what they say.
    pub(super) fn placed(
        &self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> ([u8; HEADER_SIZE], BatchHeader) {
        let mut header = *self.batch.header();
        header.base_offset = base_offset;
        header.partition_leader_epoch = leader_epoch;
        let bytes = match self.timestamps {
            None => self.batch.patched_header(base_offset, leader_epoch),
            Some((timestamp_type, max_timestamp)) => {
                header.attributes = header.attributes.with_timestamp_type(timestamp_type);
                header.max_timestamp = max_timestamp;
                self.batch.patched_header_timestamps(
                    base_offset,
                    leader_epoch,
                    timestamp_type,
                    max_timestamp,
                )
            }
        };
        (bytes, header)
    }
}

fn marker_of(batch: &RecordBatch) -> Result<Option<EndTransactionMarker>, Error> {
    if !batch.header().attributes.is_control() {
        return Ok(None);
    }
    match batch.records()?.next() {
        Some(record) => Ok(EndTransactionMarker::read(&record?)?),
        None => Ok(None),
    }
}

/// Takes the batches apart; a cut off end is left out, as upstream leaves it out.
pub(super) fn split(mut records: Bytes) -> Result<Vec<RecordBatch>, Error> {
    let mut batches = Vec::with_capacity(1);
    loop {
        match RecordBatch::split_first(&mut records) {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) | Err(BatchError::Truncated { .. }) => return Ok(batches),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The checks of one append.
pub(super) struct Validator<'a> {
    pub(super) config: &'a LogConfig,
    pub(super) topic_partition: &'a TopicPartition,
    pub(super) origin: AppendOrigin,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) now: Timestamp,
}

impl Validator<'_> {
    pub(super) fn check_all(&self, records: Bytes) -> Result<Vec<Checked>, AppendError> {
        let batches = split(records)?;
        // The order is upstream's: what is wrong with a batch, then how many there are.
        for batch in &batches {
            self.check_batch(batch)?;
        }
        if batches.is_empty() {
            return Err(Error::from(InvalidRecord::NoBatch).into());
        }
        if batches.len() > 1 && self.origin == AppendOrigin::Client {
            return Err(Error::from(InvalidRecord::ManyBatches).into());
        }
        batches
            .into_iter()
            .map(|batch| self.check_records(batch))
            .collect()
    }

    fn check_batch(&self, batch: &RecordBatch) -> Result<(), Error> {
        let header = batch.header();
        match self.origin {
            AppendOrigin::Raft if header.partition_leader_epoch != self.leader_epoch => {
                return Err(InvalidRecord::RaftEpoch.into());
            }
            AppendOrigin::Client if header.base_offset != Offset::ZERO => {
                return Err(InvalidRecord::BaseOffset(header.base_offset).into());
            }
            AppendOrigin::Raft => {}
            AppendOrigin::Client | AppendOrigin::Coordinator | AppendOrigin::Replication => {
                self.check_size(batch)?;
            }
        }
        Ok(batch.verify_crc()?)
    }

    fn check_size(&self, batch: &RecordBatch) -> Result<(), Error> {
        let (size, max) = (batch.size_in_bytes(), self.config.max_message_bytes);
        if size > max {
            Err(Error::MessageTooLarge { size, max })
        } else {
            Ok(())
        }
    }

    fn check_client_header(&self, header: &BatchHeader) -> Result<(), Error> {
        if self.origin != AppendOrigin::Client {
            return Ok(());
        }
        let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
        if count <= 0 || last_offset_delta != count - 1 {
            return Err(InvalidRecord::Count {
                count,
                last_offset_delta,
            }
            .into());
        }
        if header.attributes.is_control() {
            return Err(InvalidRecord::ControlBatch.into());
        }
        match header.producer {
            Some(producer) if producer.base_sequence < 0 => {
                Err(InvalidRecord::Sequence(producer.base_sequence).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_records(&self, batch: RecordBatch) -> Result<Checked, AppendError> {
        self.check_client_header(batch.header())?;
        if self.origin == AppendOrigin::Raft {
            return Ok(Checked::as_it_is(batch)?);
        }
        let mut faults = Vec::new();
        let mut max_timestamp = Timestamp::NONE;
        walk(&batch, MAX_DECOMPRESSED, |record| {
            max_timestamp = max_timestamp.max(record.timestamp);
            if !self.is_usual(record) {
                faults.extend(self.fault_of(&batch, record));
            }
            Ok(())
        })
        .map_err(Error::from)?;
        if !faults.is_empty() {
            return Err(rejected(faults));
        }
        let batch = self.recompressed(batch)?;
        let header = batch.header();
        let timestamps = match self.config.timestamp_type {
            TimestampType::LogAppendTime => Some((TimestampType::LogAppendTime, self.now)),
            TimestampType::CreateTime => {
                let stands = header.attributes.timestamp_type() == TimestampType::CreateTime
                    && header.max_timestamp == max_timestamp;
                (!stands).then_some((TimestampType::CreateTime, max_timestamp))
            }
        };
        let marker = marker_of(&batch)?;
        Ok(Checked {
            batch,
            timestamps,
            marker,
        })
    }

    /// Whether a record is one of those that `fault_of` has nothing against, found quickly.
    #[inline]
    fn is_usual(&self, record: RecordFields) -> bool {
        let (now, at) = (self.now.0, record.timestamp.0);
        let config = self.config;
        config.timestamp_type == TimestampType::CreateTime
            && record.timestamp != Timestamp::NONE
            && at >= now.saturating_sub(config.timestamp_before_max_ms)
            && at <= now.saturating_add(config.timestamp_after_max_ms)
            && (record.key_size.is_some() || !config.cleanup.compact)
    }

    /// What the topic's settings have against a record, in upstream's words.
    fn fault_of(&self, batch: &RecordBatch, record: RecordFields) -> Option<Fault> {
        if self.config.cleanup.compact && record.key_size.is_none() {
            return Some(Fault {
                index: record.index,
                timestamp: false,
                message: format!(
                    "Compacted topic cannot accept message without key in topic partition {}",
                    self.topic_partition
                ),
            });
        }
        let checks_range = self.config.timestamp_type == TimestampType::CreateTime
            && record.timestamp != Timestamp::NONE;
        let batch_type = batch.header().attributes.timestamp_type();
        let message = if checks_range {
            self.out_of_range(record)?
        } else if batch_type == TimestampType::LogAppendTime {
            format!(
                "Invalid timestamp type in message DefaultRecord(offset={}, timestamp={}, \
                 key={} bytes, value={} bytes). Producer should not set timestamp type to \
                 LogAppendTime.",
                record.index,
                record.timestamp,
                record.key_size.unwrap_or(0),
                record.value_size.unwrap_or(0),
            )
        } else {
            return None;
        };
        Some(Fault {
            index: record.index,
            timestamp: true,
            message,
        })
    }

    fn out_of_range(&self, record: RecordFields) -> Option<String> {
        let (now, at) = (self.now.0, record.timestamp.0);
        let before = self.config.timestamp_before_max_ms;
        let after = self.config.timestamp_after_max_ms;
        // Wide enough that no difference of two timestamps overflows.
        let age = i128::from(now) - i128::from(at);
        if age <= i128::from(before) && -age <= i128::from(after) {
            return None;
        }
        Some(format!(
            "Timestamp {at} of message with offset {} is out of range. The timestamp should be \
             within [{}, {}]",
            record.index,
            now.wrapping_sub(before),
            now.wrapping_add(after)
        ))
    }

    /// The batch in the codec that the topic names.
    fn recompressed(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        let source = batch.header().attributes.compression()?;
        let target = match self.config.compression {
            TargetCompression::Producer => source,
            TargetCompression::Codec(codec) => codec,
        };
        let control = batch.header().attributes.is_control();
        if source == target || (source == Compression::None && control) {
            return Ok(batch);
        }
        let limit = match target {
            Compression::None => self.config.max_message_bytes,
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                RECOMPRESS_MAX.max(self.config.max_message_bytes.saturating_mul(16))
            }
        };
        let header = batch.header();
        let mut builder = BatchBuilder::new(header.base_offset).compression(target);
        if let Some(producer) = header.producer {
            builder = builder.producer(producer);
        }
        if header.attributes.is_transactional() {
            builder = builder.transactional();
        }
        if control {
            builder = builder.control();
        }
        for record in batch.records_within(limit)? {
            let record = record?;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder.push(record.timestamp, key, value, &record.headers);
        }
        let batch = builder.build();
        self.check_size(&batch)?;
        Ok(batch)
    }
}

/// What is wrong with one record.
struct Fault {
    index: i32,
    timestamp: bool,
    message: String,
}

/// Upstream's answer to a batch of which some records were refused.
fn rejected(faults: Vec<Fault>) -> AppendError {
    let (error, message) = if faults.iter().any(|fault| fault.timestamp) {
        (
            Error::InvalidTimestamp,
            "One or more records have been rejected due to invalid timestamp".to_owned(),
        )
    } else {
        let shown: Vec<String> = faults
            .iter()
            .take(3)
            .map(|fault| {
                format!(
                    "RecordError(batchIndex={}, message='{}')",
                    fault.index, fault.message
                )
            })
            .collect();
        let message = format!(
            "One or more records have been rejected due to {} record errors in total, and only \
             showing the first three errors at most: [{}]",
            faults.len(),
            shown.join(", ")
        );
        (InvalidRecord::Records.into(), message)
    };
    let record_errors = faults
        .into_iter()
        .map(|fault| (fault.index, Some(fault.message)))
        .collect();
    AppendError {
        error,
        record_errors,
        message: Some(message),
    }
}
