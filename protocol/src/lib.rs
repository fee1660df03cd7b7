//! Kafka bytes to values and back, without ever waiting: headers, messages, record batches.
//!
//! Invariant: no input panics, and none allocates more than the bytes that arrived warrant.

#![deny(clippy::indexing_slicing)]

pub mod batch;
mod compression;
pub mod error;
pub mod error_code;
mod generated;
pub mod guard;
pub mod header;
pub mod ids;
pub mod messages;
pub mod re2;
pub mod records;
pub mod response;
pub mod schema;
mod varint;
mod wire;

pub use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange,
};

pub use batch::{
    Attributes, BatchError, BatchHeader, Compression, HEADER_SIZE, Producer, RecordBatch,
    TimestampType,
};
pub use compression::decompress;
pub use error::ProtocolError;
pub use error_code::{ErrorCode, code_of};
pub use guard::{admit_request, check_request};
pub use header::{
    RequestFrame, decode_request_header, peek_key_and_version, response_header_version,
};
pub use ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TopicId, TopicPartition};
pub use records::{BatchBuilder, Header, Record, control};
pub use response::{Chunk, RecordsField, ResponseBuf};

/// The checksum of Kafka's record batches (CRC-32C), of any bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
