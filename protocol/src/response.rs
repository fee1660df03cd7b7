//! Writes a response as a list of chunks, so that records go out from where they lie.
//!
//! Invariant: the chunks of a frame in their order are the frame; records that stay outside are
//! numbered in the order in which they were put. No chunk is empty.
//!
//! ```text
//! length, header, fields │ records │ fields │ records in a file │ fields
//!        Bytes           │  Bytes  │ Bytes  │ External 0        │ Bytes
//! ```

use bytes::Bytes;
use kafka_protocol::protocol::Encodable;

use crate::error::ProtocolError;
use crate::header::response_header_version;
use crate::wire::{EncodeError, RecordsWriter, Writer};

pub use crate::generated::fetch_response as fetch;
pub use crate::generated::share_fetch_response as share_fetch;

/// Records shorter than this are copied: a chunk of their own costs as much.
const COPY_SIZE_MAX: usize = 4 * 1024;

/// Records in a response.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordsField {
    Null,
    Bytes(Bytes),
    /// So many bytes that whoever sends the response has elsewhere, in a file for example.
    External(usize),
}

impl RecordsField {
    /// What librdkafka needs to see where there are no records: empty, not null.
    pub const EMPTY: RecordsField = RecordsField::Bytes(Bytes::new());

    /// `None` where the field is null.
    pub fn size_in_bytes(&self) -> Option<usize> {
        match self {
            RecordsField::Null => None,
            RecordsField::Bytes(bytes) => Some(bytes.len()),
            RecordsField::External(len) => Some(*len),
        }
    }
}

impl Default for RecordsField {
    fn default() -> Self {
        RecordsField::EMPTY
    }
}

/// A piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    Bytes(Bytes),
    /// The `index`-th records that were put as `RecordsField::External`; counted also where they
    /// are empty and have no chunk.
    External {
        index: usize,
        len: usize,
    },
}

impl Chunk {
    pub fn len(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::External { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A response that is being written: its length, its header, its body.
#[derive(Debug)]
pub struct ResponseBuf {
    /// Everything but records that stay where they lie.
    buffer: Vec<u8>,
    /// Those records, with the position in the buffer that they stand in front of.
    records: Vec<(usize, Chunk)>,
    externals: usize,
}

const LENGTH_SIZE: usize = 4;
/// What most responses need.
const CAPACITY: usize = 256;

impl ResponseBuf {
    /// Starts a frame with the header that the answer to this request has.
    pub fn new(api_key: i16, version: i16, correlation_id: i32) -> Self {
        let mut buffer = Vec::with_capacity(CAPACITY);
        buffer.put_i32(0); // The length follows at the end.
        buffer.put_i32(correlation_id);
        if response_header_version(api_key, version) >= 1 {
            buffer.put_i8(0); // No tagged fields.
        }
        ResponseBuf {
            buffer,
            records: Vec::new(),
            externals: 0,
        }
    }

    /// Puts a body that holds no records.
    pub fn put(&mut self, body: &impl Encodable, version: i16) -> Result<(), ProtocolError> {
        let encoded = body.encode(&mut self.buffer, version);
        encoded.map_err(|error| ProtocolError::Unencodable(error.to_string()))
    }

    /// Puts a Fetch response; its records are not copied.
    pub fn put_fetch(
        &mut self,
        body: &fetch::FetchResponse,
        version: i16,
    ) -> Result<(), ProtocolError> {
        Ok(body.write(self, version)?)
    }

    /// Puts a ShareFetch response; its records are not copied.
    pub fn put_share_fetch(
        &mut self,
        body: &share_fetch::ShareFetchResponse,
        version: i16,
    ) -> Result<(), ProtocolError> {
        Ok(body.write(self, version)?)
    }

    /// The frame, ready to be sent.
    pub fn finish(mut self) -> Result<Vec<Chunk>, ProtocolError> {
        let outside: usize = self.records.iter().map(|(_, chunk)| chunk.len()).sum();
        let size = i32::try_from(self.buffer.len() - LENGTH_SIZE + outside)
            .map_err(|_| ProtocolError::Unencodable("the frame exceeds 2^31 bytes".into()))?;
        if let Some(length) = self.buffer.first_chunk_mut::<LENGTH_SIZE>() {
            *length = size.to_be_bytes();
        }
        let mut rest = Bytes::from(self.buffer);
        let mut chunks = Vec::with_capacity(2 * self.records.len() + 1);
        let mut taken = 0;
        for (position, records) in self.records {
            chunks.push(Chunk::Bytes(rest.split_to(position - taken)));
            chunks.push(records);
            taken = position;
        }
        chunks.push(Chunk::Bytes(rest));
        chunks.retain(|chunk| !chunk.is_empty());
        Ok(chunks)
    }
}

impl Writer for ResponseBuf {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }
}

impl RecordsWriter for ResponseBuf {
    fn put_records(&mut self, records: &RecordsField) {
        let chunk = match records {
            RecordsField::Null => return,
            RecordsField::Bytes(bytes) if bytes.len() <= COPY_SIZE_MAX => {
                return self.put_slice(bytes);
            }
            RecordsField::Bytes(bytes) => Chunk::Bytes(bytes.clone()),
            RecordsField::External(len) => {
                self.externals += 1;
                Chunk::External {
                    index: self.externals - 1,
                    len: *len,
                }
            }
        };
        self.records.push((self.buffer.len(), chunk));
    }
}

impl From<EncodeError> for ProtocolError {
    fn from(error: EncodeError) -> Self {
        ProtocolError::Unencodable(error.to_string())
    }
}
