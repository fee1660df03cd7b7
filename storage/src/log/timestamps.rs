//! Searches by time, as ListOffsets asks for them.
//!
//! Invariant: a search begins in the first segment whose largest timestamp is not older than the one
//! asked for, as upstream's, and goes on where that has nothing: it may have been compacted to nothing,
//! or its records deleted.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{BatchHeader, LeaderEpoch, Offset, RecordBatch, Timestamp};

use super::Log;
use super::file::FileRange;
use super::scan::{Check, Scanner, Step};
use super::segment::Segment;
use super::types::TimestampedOffset;
use crate::error::{Error, ReadError};

impl Log {
    /// The first record at or behind a time, where it lies below `limit`.
    pub fn offset_for_timestamp(
        &self,
        at: Timestamp,
        limit: Offset,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let log_start_offset = self.log_start_offset();
        for segment in self.all_segments() {
            if self.largest_timestamp(&segment)? < at {
                continue;
            }
            let found = self.search(
                &segment,
                at,
                |header| header.max_timestamp >= at,
                |record| record.timestamp >= at && record.offset >= log_start_offset,
            )?;
            if let Some(found) = found {
                return Ok(Some(found).filter(|found| found.offset < limit));
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp of all, where it lies below `limit`.
    pub fn max_timestamp(&self, limit: Offset) -> Result<Option<TimestampedOffset>, ReadError> {
        let mut latest: Option<(Timestamp, Arc<Segment>)> = None;
        for segment in self.all_segments() {
            let timestamp = segment.max_timestamp(self.index())?;
            if latest
                .as_ref()
                .is_none_or(|(largest, _)| timestamp > *largest)
            {
                latest = Some((timestamp, segment));
            }
        }
        let Some((at, segment)) = latest else {
            return Ok(None);
        };
        let found = self.search(
            &segment,
            at,
            |header| header.max_timestamp == at,
            |record| record.timestamp == at,
        )?;
        Ok(found.filter(|found| found.offset < limit))
    }

    /// A segment without timestamps is as old as its file.
    pub(super) fn largest_timestamp(&self, segment: &Segment) -> Result<Timestamp, Error> {
        let largest = segment.max_timestamp(self.index())?;
        if largest.0 >= 0 {
            return Ok(largest);
        }
        let path = segment.file.path();
        self.shared
            .fs
            .modified(&path)
            .map_err(|error| Error::io("look at", path, error))
    }

    fn search(
        &self,
        segment: &Arc<Segment>,
        at: Timestamp,
        batch_may: impl Fn(&BatchHeader) -> bool,
        record_is: impl Fn(&protocol::Record) -> bool,
    ) -> Result<Option<TimestampedOffset>, Error> {
        let file = segment.file.open()?;
        let start = segment.position_by_timestamp(self.index(), at)?;
        let mut scanner = Scanner::new(&*file, Check::Header, start, segment.size());
        loop {
            let step = scanner
                .step()
                .map_err(|error| Error::io("read", segment.file.path(), error))?;
            match step {
                Step::Batch { position, header } if batch_may(&header) => {
                    let range = FileRange {
                        file: Arc::clone(&segment.file),
                        position,
                        len: header.size_in_bytes(),
                    };
                    if let Some(found) = search_batch(range.read()?, &header, &record_is)? {
                        return Ok(Some(found));
                    }
                }
                Step::Batch { .. } => {}
                Step::Invalid { position, .. } => {
                    return Err(Error::Unreadable {
                        topic_partition: self.topic_partition.clone(),
                        path: segment.file.path(),
                        position,
                    });
                }
                Step::End => return Ok(None),
            }
        }
    }
}

fn search_batch(
    mut bytes: Bytes,
    header: &BatchHeader,
    record_is: impl Fn(&protocol::Record) -> bool,
) -> Result<Option<TimestampedOffset>, Error> {
    let Some(batch) = RecordBatch::split_first(&mut bytes)? else {
        return Ok(None);
    };
    let leader_epoch =
        Some(header.partition_leader_epoch).filter(|epoch| *epoch != LeaderEpoch::NONE);
    for record in batch.records()? {
        let record = record?;
        if record_is(&record) {
            return Ok(Some(TimestampedOffset {
                offset: record.offset,
                timestamp: record.timestamp,
                leader_epoch,
            }));
        }
    }
    Ok(None)
}
