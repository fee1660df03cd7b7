//! Appends: checked without the lock, placed and written under it.
//!
//! Invariant: a batch is either whole in the log and published, or not there: after a write that
//! failed, the torn bytes are cut before the next one.

use std::io::IoSlice;

use bytes::Bytes;
use parking_lot::MutexGuard;
use protocol::control::{EndTransactionMarker, end_transaction_marker};
use protocol::{
    BatchHeader, HEADER_SIZE, LeaderEpoch, Offset, Producer, ProducerEpoch, ProducerId, Timestamp,
};

use super::producer_state::Admission;
use super::scan::has_possible_offsets;
use super::types::{AppendInfo, AppendOrigin};
use super::validate::{Checked, Validator, split};
use super::verification::VerificationGuard;
use super::{Log, LogEnd, Writer};
use crate::config::LogConfig;
use crate::error::{AppendError, Error};
use crate::fs::write_all;

/// A batch with its place in the log.
struct Placed {
    bytes: [u8; HEADER_SIZE],
    header: BatchHeader,
    checked: Checked,
}

/// What an append may do besides adding records.
#[derive(Default)]
struct Allowed {
    guard: Option<VerificationGuard>,
    transaction_version: i16,
}

impl Log {
    /// Appends as the partition's leader: gives the records their offsets.
    ///
    /// Not durable when it returns; see `sync_to` and `AppendInfo::needs_sync`.
    pub fn append_as_leader(
        &self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        now: Timestamp,
    ) -> Result<AppendInfo, AppendError> {
        let allowed = Allowed::default();
        self.append_checked(records, leader_epoch, origin, now, allowed)
    }

    /// As `append_as_leader`, for a batch that may open a transaction with this guard.
    pub fn append_verified(
        &self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        now: Timestamp,
        guard: Option<VerificationGuard>,
    ) -> Result<AppendInfo, AppendError> {
        let allowed = Allowed {
            guard,
            transaction_version: 0,
        };
        self.append_checked(records, leader_epoch, origin, now, allowed)
    }

    /// Ends a producer's transaction here, or says that there is none.
    ///
    /// `transaction_version` is that of the transaction: since 2 its markers carry a new epoch.
    pub fn append_marker(
        &self,
        producer: (ProducerId, ProducerEpoch),
        marker: EndTransactionMarker,
        transaction_version: i16,
        leader_epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<AppendInfo, AppendError> {
        let batch = end_transaction_marker(Offset::ZERO, leader_epoch, now, producer, marker);
        let (records, origin) = (batch.bytes().clone(), AppendOrigin::Coordinator);
        let allowed = Allowed {
            guard: None,
            transaction_version,
        };
        self.append_checked(records, leader_epoch, origin, now, allowed)
    }

    /// A producer is about to open a transaction here, or to go on with it.
    ///
    /// `None` where it is open: there is nothing to verify. Else the transaction's coordinator must
    /// know of it before it is appended to with the guard. `version2` says that the client's epoch
    /// grows with each transaction.
    ///
    /// # Errors
    /// The producer's epoch is over.
    pub fn begin_verification(
        &self,
        producer: Producer,
        version2: bool,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, Error> {
        let mut writer = self.writer()?;
        writer.producers.check_epoch(producer)?;
        if writer.producers.is_in_transaction(producer) {
            return Ok(None);
        }
        Ok(Some(writer.verifications.begin(producer, version2, now)))
    }

    fn append_checked(
        &self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        now: Timestamp,
        allowed: Allowed,
    ) -> Result<AppendInfo, AppendError> {
        self.shared.check_online()?;
        let config = self.config();
        let validator = Validator {
            config: &config,
            topic_partition: &self.topic_partition,
            origin,
            leader_epoch,
            now,
        };
        let checked = validator.check_all(records)?;
        let mut writer = self.writer()?;
        if let Some(known) = self.duplicate(&writer, &checked, origin, leader_epoch) {
            return Ok(known);
        }
        let admission = Admission {
            origin,
            verified_only: config.verify_transactions,
            guard: allowed.guard.as_ref(),
            verifications: &writer.verifications,
            transaction_version: allowed.transaction_version,
        };
        for batch in &checked {
            let (header, marker) = (batch.header(), batch.marker);
            writer.producers.check(header, marker, admission)?;
        }
        let mut next = self.end.lock().offset;
        let placed = checked
            .into_iter()
            .map(|checked| {
                let (bytes, header) = checked.placed(next, leader_epoch);
                next = header.next_offset();
                Placed {
                    bytes,
                    header,
                    checked,
                }
            })
            .collect::<Vec<_>>();
        let mut info = match self.write(&mut writer, &placed, &config, now) {
            // Cluster metadata must go on, or nobody could delete a topic to make room.
            Err(Error::NoSpace { .. })
                if origin == AppendOrigin::Raft && self.shared.release_reserve() =>
            {
                self.write(&mut writer, &placed, &config, now)?
            }
            result => result?,
        };
        if config.timestamp_type == protocol::TimestampType::LogAppendTime {
            info.log_append_time = Some(now);
        }
        Ok(info)
    }

    /// Appends what a leader sent: the records keep their offsets, which must lie behind the end.
    pub fn append_as_follower(
        &self,
        records: Bytes,
        now: Timestamp,
    ) -> Result<AppendInfo, AppendError> {
        self.shared.check_online()?;
        let config = self.config();
        let batches = split(records)?;
        let mut placed = Vec::with_capacity(batches.len());
        for batch in batches {
            batch.verify_crc().map_err(Error::from)?;
            let header = *batch.header();
            let checked = Checked::as_it_is(batch)?;
            let (bytes, _) = checked.placed(header.base_offset, header.partition_leader_epoch);
            placed.push(Placed {
                bytes,
                header,
                checked,
            });
        }
        let mut writer = self.writer()?;
        let mut next = self.end.lock().offset;
        let Some(first) = placed.first() else {
            return Ok(self.nothing_appended(next));
        };
        if first.header.base_offset < next {
            return Err(AppendError::from(Error::UnexpectedAppendOffset {
                topic_partition: self.topic_partition.clone(),
                found: first.header.base_offset,
                log_end_offset: next,
            }));
        }
        for batch in &placed {
            if batch.header.base_offset < next || !has_possible_offsets(&batch.header) {
                let topic_partition = self.topic_partition.clone();
                return Err(Error::OffsetsOutOfOrder { topic_partition }.into());
            }
            next = batch.header.next_offset();
        }
        Ok(self.write(&mut writer, &placed, &config, now)?)
    }

    fn nothing_appended(&self, log_end_offset: Offset) -> AppendInfo {
        AppendInfo {
            base_offset: log_end_offset,
            last_offset: Offset(log_end_offset.0 - 1),
            log_end_offset,
            log_append_time: None,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            leader_epoch: self.latest_epoch().unwrap_or(LeaderEpoch::NONE),
            needs_sync: false,
        }
    }

    /// The answer to a batch that a client sends again.
    fn duplicate(
        &self,
        writer: &Writer,
        checked: &[Checked],
        origin: AppendOrigin,
        leader_epoch: LeaderEpoch,
    ) -> Option<AppendInfo> {
        if origin != AppendOrigin::Client {
            return None;
        }
        let known = checked
            .iter()
            .find_map(|batch| writer.producers.find_duplicate(batch.header()))?;
        let log_end_offset = self.log_end_offset();
        Some(AppendInfo {
            base_offset: known.first_offset(),
            last_offset: known.last_offset,
            log_end_offset,
            // Upstream says so whatever the timestamp type is.
            log_append_time: Some(known.timestamp).filter(|at| *at != Timestamp::NONE),
            log_start_offset: self.log_start_offset(),
            duplicate: true,
            leader_epoch,
            // The first one may not be synced yet, although it was counted.
            needs_sync: self.config().flush_messages != i64::MAX
                && known.last_offset >= self.recovery_point(),
        })
    }

    fn write(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        placed: &[Placed],
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<AppendInfo, Error> {
        let size: usize = placed.iter().map(|batch| batch.checked.size()).sum();
        let segment_bytes = config.segment_bytes as usize;
        if size > segment_bytes {
            return Err(Error::RecordListTooLarge {
                size,
                max: segment_bytes,
            });
        }
        let (Some(first), Some(last)) = (placed.first(), placed.last()) else {
            return Ok(self.nothing_appended(self.log_end_offset()));
        };
        let (first, last) = (first.header, last.header);
        let max_timestamp = placed.iter().map(|batch| batch.header.max_timestamp).max();
        self.roll_before(writer, size, max_timestamp, last.last_offset(), config, now)?;
        let end = self.end.lock().clone();
        self.write_bytes(writer, &end, placed)?;
        self.publish(writer, &end, placed, config);
        let count: i64 = placed
            .iter()
            .map(|batch| i64::from(batch.header.record_count))
            .sum();
        writer.unsynced_messages = writer.unsynced_messages.saturating_add(count);
        writer.unsynced_since.get_or_insert(now);
        writer.active_since.get_or_insert(now);
        Ok(AppendInfo {
            base_offset: first.base_offset,
            last_offset: last.last_offset(),
            log_end_offset: last.next_offset(),
            log_append_time: None,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            leader_epoch: last.partition_leader_epoch,
            needs_sync: writer.unsynced_messages >= config.flush_messages,
        })
    }

    /// One vectored write of all headers and records.
    fn write_bytes(
        &self,
        writer: &mut Writer,
        end: &LogEnd,
        placed: &[Placed],
    ) -> Result<(), Error> {
        let file = end.segment.file.open()?;
        let failed = |error| Error::io("write", end.segment.file.path(), error);
        if writer.torn {
            file.set_len(end.position).map_err(failed)?;
            writer.torn = false;
        }
        let records: Vec<Bytes> = placed
            .iter()
            .map(|batch| batch.checked.record_bytes())
            .collect();
        let mut buffers = Vec::with_capacity(placed.len() * 2);
        for (batch, records) in placed.iter().zip(&records) {
            buffers.push(IoSlice::new(&batch.bytes));
            buffers.push(IoSlice::new(records));
        }
        write_all(&*file, &mut buffers, end.position).map_err(|error| {
            // Give the room back at once; if that fails too, the next append does it.
            writer.torn = file.set_len(end.position).is_err();
            failed(error)
        })
    }

    /// Accounts for what was written, then lets readers see it.
    fn publish(&self, writer: &mut Writer, end: &LogEnd, placed: &[Placed], config: &LogConfig) {
        let index = self.index_with(config.index_interval_bytes);
        let mut position = end.position;
        let mut offset = end.offset;
        let size: usize = placed.iter().map(|batch| batch.checked.size()).sum();
        end.segment.set_size(end.position + size as u64);
        {
            let mut epochs = self.epochs.lock();
            for batch in placed {
                epochs.assign(
                    batch.header.partition_leader_epoch,
                    batch.header.base_offset,
                );
            }
        }
        for batch in placed {
            end.segment.note_batch(index, position, &batch.header);
            position += batch.checked.size() as u64;
            offset = batch.header.next_offset();
            if batch.header.attributes.is_transactional()
                && let Some(producer) = batch.header.producer
            {
                writer.verifications.end(producer.id);
            }
            if let Some(ended) = writer.producers.append(&batch.header, batch.checked.marker) {
                self.note_ended(writer, ended);
            }
        }
        self.publish_first_open(writer);
        *self.end.lock() = LogEnd {
            offset,
            segment: std::sync::Arc::clone(&end.segment),
            position,
        };
    }
}
