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
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::{LeaderEpoch, Offset};
use storage::{Error, Log, LogDir, ViewBatch};

use super::runtime::Encoded;

const STAMP: u8 = 0;
const ROW: u8 = 1;

/// The rows of one shard.
pub(super) struct View {
    log_dir: Arc<LogDir>,
    log: Arc<Log>,
    prefix: Vec<u8>,
    /// What changed since rows were last written; `None` is a tombstone.
    changed: HashMap<Bytes, Option<(Offset, Bytes)>>,
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
        }
    }

    /// Visits the rows, and tells from which offset on the log must be read after them.
    pub(super) fn load(
        &self,
        mut visit: impl FnMut(Offset, &[u8], &[u8]),
    ) -> Result<Offset, Error> {
        let log_start = self.log.log_start_offset();
        let Some(from) = self.stamp()? else {
            let mut batch = ViewBatch::default();
            batch.delete_prefix(self.prefix.clone());
            self.log_dir.kv().coordinator_view().write(batch)?;
            return Ok(log_start);
        };
        let rows = self.key(ROW, &[]);
        self.log_dir
            .kv()
            .coordinator_view()
            .scan_prefix(&rows, |key, value| {
                let key = key.get(rows.len()..).unwrap_or_default();
                if let Some((offset, value)) = value.split_first_chunk::<8>() {
                    visit(Offset(i64::from_be_bytes(*offset)), key, value);
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
    pub(super) fn note(&mut self, offset: Offset, (key, value): Encoded) {
        self.changed.insert(key, value.map(|value| (offset, value)));
    }

    /// Whether there is nothing to write.
    pub(super) fn is_current(&self) -> bool {
        self.changed.is_empty()
    }

    /// Writes the rows of all records below `applied`, if there is news. Blocks on the disk.
    pub(super) fn write(&mut self, applied: Offset) -> Result<(), Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let Some(epoch) = self.log.epoch_for_offset(Offset(applied.0 - 1)) else {
            return Ok(());
        };
        self.log.sync_to(applied)?;
        let mut batch = ViewBatch::default();
        for (key, value) in &self.changed {
            let key = self.key(ROW, key);
            match value {
                Some((offset, value)) => {
                    batch.put(key, [&offset.0.to_be_bytes(), &value[..]].concat())
                }
                None => batch.delete(key),
            };
        }
        let stamp = [&applied.0.to_be_bytes()[..], &epoch.0.to_be_bytes()].concat();
        batch.put(self.key(STAMP, &[]), stamp);
        self.log_dir.kv().coordinator_view().write(batch)?;
        self.changed.clear();
        Ok(())
    }

    fn key(&self, kind: u8, rest: &[u8]) -> Vec<u8> {
        [&self.prefix[..], &[kind], rest].concat()
    }
}
