//! The rows that a shard's records come to, kept in the key-value view so that a start need not
//! read the whole log.
//!
//! Invariant: rows are true for all records below their stamp, and never hold a record that the
//! log could lose: the log is synced before they are written. A stamp that does not fit the log
//! drops the rows, and the log is read from its start.
//!
//! ```text
//! topic id (16) │ partition (4) │ 0                │ → offset (8) │ leader epoch (4)   the stamp
//! topic id (16) │ partition (4) │ 1 │ record key   │ → offset (8) │ record value       a row
//! topic id (16) │ partition (4) │ 2 │ producer id (8) │ record key
//!                      → offset (8) │ producer epoch (2) │ record value   in an open transaction
//! ```

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use coordinator::{RecordMeta, TransactionResult};
use protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use storage::{Error, Log, LogDir, ViewBatch};

use super::runtime::Encoded;

const STAMP: u8 = 0;
const ROW: u8 = 1;
const PENDING: u8 = 2;

/// What is to be done to the row of a key.
enum Change {
    Delete,
    Put(Offset, Bytes),
    /// A transaction was committed whose record stands here; a later one may be in the row.
    PutOver(Offset, Bytes),
}

/// A record of an open transaction.
struct Pending {
    offset: Offset,
    epoch: ProducerEpoch,
    value: Bytes,
}

/// The rows of one shard.
pub(super) struct View {
    log_dir: Arc<LogDir>,
    log: Arc<Log>,
    prefix: Vec<u8>,
    /// What changed since rows were last written.
    changed: HashMap<Bytes, Change>,
    /// All records of open transactions, by producer and key.
    pending: HashMap<ProducerId, HashMap<Bytes, Pending>>,
    /// Those whose rows are not written, or not deleted, yet.
    pending_changed: BTreeSet<(ProducerId, Bytes)>,
}

impl View {
    pub(super) fn new(log_dir: Arc<LogDir>, log: Arc<Log>) -> Self {
        let mut prefix = log.topic_id().0.as_bytes().to_vec();
        prefix.extend_from_slice(&log.topic_partition().partition.to_be_bytes());
        View {
            log_dir,
            log,
            prefix,
            changed: HashMap::new(),
            pending: HashMap::new(),
            pending_changed: BTreeSet::new(),
        }
    }

    /// Visits the rows, those of open transactions last, and tells from which offset on the log
    /// must be read after them.
    pub(super) fn load(
        &mut self,
        mut visit: impl FnMut(RecordMeta, &[u8], &[u8]),
    ) -> Result<Offset, Error> {
        let log_start = self.log.log_start_offset();
        let Some(from) = self.stamp()? else {
            let mut batch = ViewBatch::default();
            batch.delete_prefix(self.prefix.clone());
            self.log_dir.kv().coordinator_view().write(batch)?;
            return Ok(log_start);
        };
        let rows = self.key(ROW, &[]);
        let view = self.log_dir.kv().coordinator_view();
        view.scan_prefix(&rows, |key, value| {
            let key = key.get(rows.len()..).unwrap_or_default();
            if let Some((offset, value)) = value.split_first_chunk::<8>() {
                let meta = RecordMeta {
                    offset: Offset(i64::from_be_bytes(*offset)),
                    producer: None,
                };
                visit(meta, key, value);
            }
            true
        })?;
        let rows = self.key(PENDING, &[]);
        let pending = &mut self.pending;
        view.scan_prefix(&rows, |key, value| {
            let key = key.get(rows.len()..).unwrap_or_default();
            if let Some((producer, key, record)) = read_pending(key, value) {
                let meta = RecordMeta {
                    offset: record.offset,
                    producer: Some((producer, record.epoch)),
                };
                visit(meta, key, &record.value);
                let records = pending.entry(producer).or_default();
                records.insert(Bytes::copy_from_slice(key), record);
            }
            true
        })?;
        Ok(from)
    }

    /// Forgets all rows; says whether there were any.
    pub(super) fn forget(&self) -> Result<bool, Error> {
        let view = self.log_dir.kv().coordinator_view();
        let known = view.get(&self.key(STAMP, &[]))?.is_some();
        if known {
            let mut batch = ViewBatch::default();
            batch.delete_prefix(self.prefix.clone());
            view.write(batch)?;
        }
        Ok(known)
    }

    /// Up to where the rows are true, if they fit the log.
    fn stamp(&self) -> Result<Option<Offset>, Error> {
        let value = self
            .log_dir
            .kv()
            .coordinator_view()
            .get(&self.key(STAMP, &[]))?;
        let stamp = value.as_deref().and_then(|value| {
            let (offset, epoch) = value.split_first_chunk::<8>()?;
            let epoch = i32::from_be_bytes(epoch.try_into().ok()?);
            Some((Offset(i64::from_be_bytes(*offset)), LeaderEpoch(epoch)))
        });
        // Compaction may have taken a tombstone that the rows have not seen.
        let least = self.log.tombstones_gone_below()?;
        Ok(stamp.and_then(|(offset, epoch)| {
            let last = Offset(offset.0 - 1);
            let fits = offset >= least
                && offset > self.log.log_start_offset()
                && offset <= self.log.log_end_offset()
                && self.log.epoch_for_offset(last) == Some(epoch);
            fits.then_some(offset)
        }))
    }

    /// Notes what a record did to the row of its key.
    pub(super) fn note(&mut self, meta: RecordMeta, (key, value): Encoded) {
        let offset = meta.offset;
        match (value, meta.producer) {
            (Some(value), Some((producer, epoch))) => {
                let record = Pending {
                    offset,
                    epoch,
                    value,
                };
                let records = self.pending.entry(producer).or_default();
                records.insert(key.clone(), record);
                self.pending_changed.insert((producer, key));
            }
            (Some(value), None) => {
                self.changed.insert(key, Change::Put(offset, value));
            }
            // A tombstone counts at once, and for open transactions too.
            (None, _) => {
                for (producer, records) in &mut self.pending {
                    if records.remove(&key).is_some() {
                        self.pending_changed.insert((*producer, key.clone()));
                    }
                }
                self.pending.retain(|_, records| !records.is_empty());
                self.changed.insert(key, Change::Delete);
            }
        }
    }

    /// Notes the end of a producer's transaction.
    pub(super) fn note_end(&mut self, producer: ProducerId, result: TransactionResult) {
        for (key, record) in self.pending.remove(&producer).unwrap_or_default() {
            if result == TransactionResult::Commit {
                self.commit(key.clone(), record);
            }
            self.pending_changed.insert((producer, key));
        }
    }

    /// Of a record in a transaction and another one the later in the log counts.
    fn commit(&mut self, key: Bytes, Pending { offset, value, .. }: Pending) {
        let change = match self.changed.get(&key) {
            Some(Change::Put(at, _) | Change::PutOver(at, _)) if *at > offset => return,
            Some(Change::Put(..) | Change::Delete) => Change::Put(offset, value),
            Some(Change::PutOver(..)) | None => Change::PutOver(offset, value),
        };
        self.changed.insert(key, change);
    }

    /// Whether there is nothing to write.
    pub(super) fn is_current(&self) -> bool {
        self.changed.is_empty() && self.pending_changed.is_empty()
    }

    /// Writes the rows of all records below `applied`, if there is news. Blocks on the disk.
    pub(super) fn write(&mut self, applied: Offset) -> Result<(), Error> {
        if self.is_current() {
            return Ok(());
        }
        let Some(epoch) = self.log.epoch_for_offset(Offset(applied.0 - 1)) else {
            return Ok(());
        };
        self.log.sync_to(applied)?;
        let mut batch = ViewBatch::default();
        for (key, change) in &self.changed {
            let key = self.key(ROW, key);
            match change {
                Change::Delete => {
                    batch.delete(key);
                }
                Change::Put(offset, value) => {
                    batch.put(key, row(*offset, value));
                }
                Change::PutOver(offset, value) => {
                    if self.offset_in(&key)?.is_none_or(|at| at < *offset) {
                        batch.put(key, row(*offset, value));
                    }
                }
            }
        }
        self.write_pending(&mut batch);
        let stamp = [&applied.0.to_be_bytes()[..], &epoch.0.to_be_bytes()].concat();
        batch.put(self.key(STAMP, &[]), stamp);
        self.log_dir.kv().coordinator_view().write(batch)?;
        self.changed.clear();
        self.pending_changed.clear();
        Ok(())
    }

    fn write_pending(&self, batch: &mut ViewBatch) {
        for (producer, key) in &self.pending_changed {
            let record = self
                .pending
                .get(producer)
                .and_then(|records| records.get(key));
            let key = self.key(PENDING, &[&producer.0.to_be_bytes(), &key[..]].concat());
            match record {
                Some(record) => {
                    let (offset, epoch) = (record.offset.0, record.epoch.0);
                    let value = [
                        &offset.to_be_bytes()[..],
                        &epoch.to_be_bytes(),
                        &record.value,
                    ];
                    batch.put(key, value.concat());
                }
                None => {
                    batch.delete(key);
                }
            }
        }
    }

    /// Where the record of a row stands.
    fn offset_in(&self, row: &[u8]) -> Result<Option<Offset>, Error> {
        let value = self.log_dir.kv().coordinator_view().get(row)?;
        let offset = value.as_deref().and_then(<[u8]>::first_chunk);
        Ok(offset.map(|offset| Offset(i64::from_be_bytes(*offset))))
    }

    fn key(&self, kind: u8, rest: &[u8]) -> Vec<u8> {
        [&self.prefix[..], &[kind], rest].concat()
    }
}

fn row(offset: Offset, value: &[u8]) -> Vec<u8> {
    [&offset.0.to_be_bytes(), value].concat()
}

fn read_pending<'a>(key: &'a [u8], value: &[u8]) -> Option<(ProducerId, &'a [u8], Pending)> {
    let (producer, key) = key.split_first_chunk()?;
    let (offset, value) = value.split_first_chunk()?;
    let (epoch, value) = value.split_first_chunk()?;
    let record = Pending {
        offset: Offset(i64::from_be_bytes(*offset)),
        epoch: ProducerEpoch(i16::from_be_bytes(*epoch)),
        value: Bytes::copy_from_slice(value),
    };
    Some((ProducerId(i64::from_be_bytes(*producer)), key, record))
}
