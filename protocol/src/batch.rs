//! A record batch (format v2) as a view over its bytes: read the header, check the CRC, give it a
//! new place in the log.
//!
//! Invariant: the bytes of a `RecordBatch` are exactly one batch, as long as its header says, and
//! its header has been read; whether the CRC holds is known only after `verify_crc`.
//!
//! ```text
//!  0 base offset     i64 ┐                          23 last offset delta i32
//!  8 batch length    i32 │ outside the CRC          27 base timestamp    i64
//! 12 leader epoch    i32 │                          35 max timestamp     i64
//! 16 magic           i8  │                          43 producer id       i64
//! 17 crc             u32 ┘                          51 producer epoch    i16
//! 21 attributes      i16 ─ the CRC starts here      53 base sequence     i32
//!                                                   57 record count      i32, then the records
//! ```

use bytes::{Buf, Bytes};

use crate::error_code::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Size of a batch header, that is of a batch without records.
pub const HEADER_SIZE: usize = 61;
/// What stands before the part that the batch length counts: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// The only format we serve; Kafka 4 stores no other.
pub const MAGIC: i8 = 2;

const LENGTH_POSITION: usize = 8;
const MAGIC_POSITION: usize = 16;
const CRC_START: usize = 21;
/// The smallest length that any format ever had (v0); below it the length is corrupt, as upstream says.
const LENGTH_MIN_ANY_MAGIC: i32 = 14;

/// Why a batch, or the records in it, cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the batch is cut off: {have} bytes of {need}")]
    Truncated { have: usize, need: usize },
    #[error("batch length {0} is impossible")]
    InvalidLength(i32),
    #[error("magic {0} is not a record format")]
    InvalidMagic(i8),
    #[error("magic {0} is an old record format")]
    OldMagic(i8),
    #[error("the CRC is {computed:#010x}, the header says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("compression type {0} is unknown")]
    UnknownCompression(i16),
    #[error("the compressed records cannot be decompressed: {0}")]
    Decompression(String),
    #[error("the records decompress to more than {max} bytes")]
    DecompressedTooLarge { max: usize },
    #[error("record count {0} is impossible")]
    InvalidRecordCount(i32),
    #[error("the last offset delta is {last_offset_delta} in a batch of {record_count} records")]
    InconsistentOffsets {
        last_offset_delta: i32,
        record_count: i32,
    },
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta { index: i32, offset_delta: i32 },
    #[error("record {index} is malformed: {reason}")]
    MalformedRecord { index: i32, reason: RecordFault },
    #[error("there are bytes behind the last record")]
    TrailingBytes,
    #[error("the control record is malformed")]
    MalformedControlRecord,
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("it is cut off")]
    CutOff,
    #[error("its length is negative")]
    NegativeLength,
    #[error("its fields do not fill its length")]
    LengthMismatch,
    #[error("a number takes too many bytes")]
    NumberTooLong,
    #[error("its header count is impossible")]
    HeaderCount,
    #[error("a header key is null")]
    HeaderKeyNull,
}

impl BatchError {
    /// What upstream says of it in a produce response; of most it says nothing.
    pub fn error_message(&self) -> Option<String> {
        match self {
            BatchError::InvalidLength(length) if *length < LENGTH_MIN_ANY_MAGIC => Some(format!(
                "Record size {length} is less than the minimum record overhead \
                 ({LENGTH_MIN_ANY_MAGIC})"
            )),
            BatchError::InvalidMagic(magic) => {
                Some(format!("Invalid magic found in record: {magic}"))
            }
            BatchError::InvalidLength(_)
            | BatchError::Truncated { .. }
            | BatchError::OldMagic(_)
            | BatchError::Crc { .. }
            | BatchError::UnknownCompression(_)
            | BatchError::Decompression(_)
            | BatchError::DecompressedTooLarge { .. }
            | BatchError::InvalidRecordCount(_)
            | BatchError::InconsistentOffsets { .. }
            | BatchError::OffsetDelta { .. }
            | BatchError::MalformedRecord { .. }
            | BatchError::TrailingBytes
            | BatchError::MalformedControlRecord => None,
        }
    }
}

// Upstream answers UNKNOWN_SERVER_ERROR for some of these (an undecodable body, an unknown codec,
// a length near 2^31); the code that names the fault is a difference we want.
impl From<&BatchError> for ErrorCode {
    fn from(error: &BatchError) -> Self {
        match error {
            BatchError::InvalidLength(_)
            | BatchError::InvalidMagic(_)
            | BatchError::Crc { .. }
            | BatchError::Decompression(_) => ErrorCode::CorruptMessage,
            BatchError::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
            BatchError::DecompressedTooLarge { .. } => ErrorCode::MessageTooLarge,
            // Upstream does not see a cut off batch: "must have at least one record batch".
            BatchError::Truncated { .. }
            | BatchError::OldMagic(_)
            | BatchError::InvalidRecordCount(_)
            | BatchError::InconsistentOffsets { .. }
            | BatchError::OffsetDelta { .. }
            | BatchError::MalformedRecord { .. }
            | BatchError::TrailingBytes
            | BatchError::MalformedControlRecord => ErrorCode::InvalidRecord,
        }
    }
}

impl From<BatchError> for ErrorCode {
    fn from(error: BatchError) -> Self {
        ErrorCode::from(&error)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// The number in the attributes of a batch.
    pub fn id(self) -> i16 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION_MASK: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    pub fn compression(self) -> Result<Compression, BatchError> {
        match self.0 & Self::COMPRESSION_MASK {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            unknown => Err(BatchError::UnknownCompression(unknown)),
        }
    }

    #[inline]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The base timestamp is then the delete horizon of compaction (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    pub fn with_compression(self, compression: Compression) -> Self {
        Attributes(self.0 & !Self::COMPRESSION_MASK | compression.id())
    }

    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Attributes(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Attributes(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    pub fn with_transactional(self) -> Self {
        Attributes(self.0 | Self::TRANSACTIONAL)
    }

    pub fn with_control(self) -> Self {
        Attributes(self.0 | Self::CONTROL)
    }

    pub fn with_delete_horizon(self) -> Self {
        Attributes(self.0 | Self::DELETE_HORIZON)
    }

    pub fn without_delete_horizon(self) -> Self {
        Attributes(self.0 & !Self::DELETE_HORIZON)
    }
}

/// Who wrote a batch, where the producer is idempotent or transactional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    /// -1 in control batches, which have no sequence.
    pub base_sequence: i32,
}

/// The fixed part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    pub batch_length: i32,
    /// -1 as a producer writes it.
    pub partition_leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer: Option<Producer>,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`; the records need not be there.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let cut_off = |need| BatchError::Truncated {
            have: bytes.len(),
            need,
        };
        let front = bytes.first_chunk::<{ MAGIC_POSITION + 1 }>();
        let mut at_length = front.ok_or(cut_off(HEADER_SIZE))?.as_slice();
        at_length.advance(LENGTH_POSITION);
        let batch_length = at_length.get_i32();
        if batch_length < LENGTH_MIN_ANY_MAGIC || batch_length > i32::MAX - LOG_OVERHEAD as i32 {
            return Err(BatchError::InvalidLength(batch_length));
        }
        at_length.advance(4);
        match at_length.get_i8() {
            MAGIC => {}
            old @ 0..=1 => return Err(BatchError::OldMagic(old)),
            unknown => return Err(BatchError::InvalidMagic(unknown)),
        }
        if batch_length < (HEADER_SIZE - LOG_OVERHEAD) as i32 {
            return Err(BatchError::InvalidLength(batch_length));
        }
        let header = bytes
            .first_chunk::<HEADER_SIZE>()
            .ok_or(cut_off(HEADER_SIZE))?;
        Ok(Self::read(header))
    }

    fn read(header: &[u8; HEADER_SIZE]) -> BatchHeader {
        let mut fields = header.as_slice();
        // In the order of the wire: the fields of a struct expression are evaluated as written.
        BatchHeader {
            base_offset: Offset(fields.get_i64()),
            batch_length: fields.get_i32(),
            partition_leader_epoch: LeaderEpoch(fields.get_i32()),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: Attributes(fields.get_i16()),
            last_offset_delta: fields.get_i32(),
            base_timestamp: Timestamp(fields.get_i64()),
            max_timestamp: Timestamp(fields.get_i64()),
            producer: {
                let (id, epoch) = (fields.get_i64(), fields.get_i16());
                let base_sequence = fields.get_i32();
                // -1 is none; upstream takes any negative id for none.
                (id >= 0).then_some(Producer {
                    id: ProducerId(id),
                    epoch: ProducerEpoch(epoch),
                    base_sequence,
                })
            },
            record_count: fields.get_i32(),
        }
    }

    /// Size of the whole batch, this header included.
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.batch_length as usize
    }

    /// Never beyond the largest offset there is, whatever the header claims.
    pub fn last_offset(&self) -> Offset {
        Offset(
            self.base_offset
                .0
                .saturating_add(self.last_offset_delta.into()),
        )
    }

    /// From when on the tombstones of this batch may go; known since compaction first met them.
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.attributes
            .has_delete_horizon()
            .then_some(self.base_timestamp)
    }

    /// The offset of the first record behind this batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }
}

/// One whole batch. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    bytes: Bytes,
    header: BatchHeader,
}

impl RecordBatch {
    /// Takes one whole batch off the front of `bytes`, without copying; `None` when nothing is left.
    ///
    /// After an error `bytes` is as it was.
    pub fn split_first(bytes: &mut Bytes) -> Result<Option<RecordBatch>, BatchError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let header = BatchHeader::parse(bytes)?;
        let need = header.size_in_bytes();
        if bytes.len() < need {
            return Err(BatchError::Truncated {
                have: bytes.len(),
                need,
            });
        }
        Ok(Some(RecordBatch {
            bytes: bytes.split_to(need),
            header,
        }))
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records as they stand in the batch: compressed, where the attributes say so.
    pub fn record_bytes(&self) -> Bytes {
        self.bytes.slice(HEADER_SIZE..)
    }

    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let (_, covered) = self.bytes.split_at(CRC_START);
        let (stored, computed) = (self.header.crc, crc_fast::crc32_iscsi(covered));
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::Crc { stored, computed })
        }
    }

    /// The header with its place in the log. Offset and epoch lie outside the CRC.
    pub fn patched_header(
        &self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> [u8; HEADER_SIZE] {
        let mut header = [0; HEADER_SIZE];
        header.copy_from_slice(self.bytes.split_at(HEADER_SIZE).0);
        header[..8].copy_from_slice(&base_offset.0.to_be_bytes());
        header[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
        header
    }

    /// As `patched_header`, for a topic whose records take the time of the append.
    pub fn patched_header_log_append_time(
        &self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        now: Timestamp,
    ) -> [u8; HEADER_SIZE] {
        self.patched_header_timestamps(base_offset, leader_epoch, TimestampType::LogAppendTime, now)
    }

    /// As `patched_header`, with another timestamp type or max timestamp, and so a new CRC.
    ///
    /// Upstream corrects a max timestamp that is not the largest of the records.
    pub fn patched_header_timestamps(
        &self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        timestamp_type: TimestampType,
        max_timestamp: Timestamp,
    ) -> [u8; HEADER_SIZE] {
        let mut header = self.patched_header(base_offset, leader_epoch);
        let attributes = self.header.attributes.with_timestamp_type(timestamp_type);
        header[21..23].copy_from_slice(&attributes.0.to_be_bytes());
        header[35..43].copy_from_slice(&max_timestamp.0.to_be_bytes());
        let crc = crc_of(&header, self.bytes.split_at(HEADER_SIZE).1);
        header[17..21].copy_from_slice(&crc.to_be_bytes());
        header
    }
}

/// The CRC of a batch whose header and records lie apart.
pub(crate) fn crc_of(header: &[u8; HEADER_SIZE], records: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&header[CRC_START..]);
    digest.update(records);
    digest.finalize() as u32
}
