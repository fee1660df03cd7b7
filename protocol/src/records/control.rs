//! Control records: the markers that end a transaction.
//!
//! Invariant: what `end_transaction_marker` builds, `EndTransactionMarker::read` gives back.

use bytes::{Buf, BufMut};

use super::{BatchBuilder, Record};
use crate::batch::{BatchError, Producer, RecordBatch};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// The type in the key of a control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRecordType {
    Abort,
    Commit,
    /// Written by Raft, or by a version newer than ours: kept, not understood.
    Other(i16),
}

impl ControlRecordType {
    /// Reads the key of a control record: version, then type. Later versions may say more.
    pub fn of_key(mut key: &[u8]) -> Result<ControlRecordType, BatchError> {
        let version = key
            .try_get_i16()
            .map_err(|_| BatchError::MalformedControlRecord)?;
        let kind = key
            .try_get_i16()
            .map_err(|_| BatchError::MalformedControlRecord)?;
        if version < 0 {
            return Err(BatchError::MalformedControlRecord);
        }
        Ok(match kind {
            0 => ControlRecordType::Abort,
            1 => ControlRecordType::Commit,
            other => ControlRecordType::Other(other),
        })
    }

    pub fn id(self) -> i16 {
        match self {
            ControlRecordType::Abort => 0,
            ControlRecordType::Commit => 1,
            ControlRecordType::Other(id) => id,
        }
    }
}

/// The end of a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    pub committed: bool,
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The marker in a control record, or `None` when it is a control record of another kind.
    pub fn read(record: &Record) -> Result<Option<EndTransactionMarker>, BatchError> {
        let malformed = BatchError::MalformedControlRecord;
        let key = record.key.as_deref().ok_or(malformed.clone())?;
        let committed = match ControlRecordType::of_key(key)? {
            ControlRecordType::Abort => false,
            ControlRecordType::Commit => true,
            ControlRecordType::Other(_) => return Ok(None),
        };
        let mut value = record.value.as_deref().ok_or(malformed.clone())?;
        let version = value.try_get_i16().map_err(|_| malformed.clone())?;
        let coordinator_epoch = value.try_get_i32().map_err(|_| malformed.clone())?;
        if version < 0 {
            return Err(malformed);
        }
        Ok(Some(EndTransactionMarker {
            committed,
            coordinator_epoch,
        }))
    }

    fn key(self) -> [u8; 4] {
        let kind = if self.committed {
            ControlRecordType::Commit
        } else {
            ControlRecordType::Abort
        };
        let mut key = [0; 4];
        let mut target = key.as_mut_slice();
        target.put_i16(0);
        target.put_i16(kind.id());
        key
    }

    fn value(self) -> [u8; 6] {
        let mut value = [0; 6];
        let mut target = value.as_mut_slice();
        target.put_i16(0);
        target.put_i32(self.coordinator_epoch);
        value
    }
}

/// The batch that ends a transaction of this producer in one partition.
pub fn end_transaction_marker(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    timestamp: Timestamp,
    producer: (ProducerId, ProducerEpoch),
    marker: EndTransactionMarker,
) -> RecordBatch {
    let (id, epoch) = producer;
    let mut builder = BatchBuilder::new(base_offset)
        .leader_epoch(leader_epoch)
        .producer(Producer {
            id,
            epoch,
            base_sequence: -1,
        })
        .transactional()
        .control();
    builder.push(timestamp, Some(&marker.key()), Some(&marker.value()), &[]);
    builder.build()
}
