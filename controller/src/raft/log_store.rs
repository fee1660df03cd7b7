//! The Raft log in a `storage::Log`, one record an entry: the record's offset is the entry's
//! index, the batch's leader epoch its term.
//! An entry is synced before anybody is told that it is there, and the vote before anybody gets it.
//! A full disk makes writers wait, it never makes them fail.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use protocol::{BatchBuilder, LeaderEpoch, Offset, RecordBatch};
use storage::{AppendOrigin, Log, LogConfig};

use super::files::{FileError, Files};
use super::quorum_state::QuorumState;
use super::types::{
    Entry, LogId, ReplicaKey, StorageError, StorageIOError, TypeConfig, Vote, decode_payload,
    encode_payload, log_id,
};
use crate::clock::Clock;
use crate::error::Error;

/// Entries that were just written are read next, to be applied: so many of them stay in memory.
const RECENT_ENTRIES_MAX: usize = 16;
/// What one read of the log takes in.
const READ_SIZE: usize = 1024 * 1024;
/// What one answer to a lagging voter takes in.
const LIMITED_READ_SIZE: usize = 4 * 1024 * 1024;
/// How long a writer waits for room on the disk before it tries again.
const FULL_DISK_RETRY: Duration = Duration::from_millis(100);

/// How the metadata log is kept: never by age or size, only cut behind a snapshot. Its segments
/// have their room before they need it, so that topics can be deleted on a disk that is full.
pub(crate) fn log_config() -> LogConfig {
    LogConfig {
        segment_bytes: 10 * 1024 * 1024,
        preallocate: true,
        segment_ms: i64::MAX,
        max_message_bytes: 10 * 1024 * 1024,
        retention_bytes: -1,
        retention_ms: -1,
        timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    }
}

/// What the log store shows to the rest of the controller.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// A writer waits for room.
    full: AtomicBool,
    /// The controller stops: nobody waits any more.
    closing: AtomicBool,
    /// Since the last snapshot.
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Health {
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Entries and bytes written since the counts were last taken.
    pub(crate) fn written(&self) -> (u64, u64) {
        (
            self.entries.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn reset_written(&self) {
        self.entries.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }

    fn count(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Tries until there is room on the disk, or another error, or the controller stops.
    pub(crate) async fn with_room<T, E>(
        &self,
        attempt: impl FnMut() -> Result<T, E>,
        is_no_space: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        self.wait_for_room(&self.full, attempt, is_no_space).await
    }

    /// The same for a snapshot: while it waits, changes may still find room.
    pub(crate) async fn with_room_for_snapshot<T, E>(
        &self,
        attempt: impl FnMut() -> Result<T, E>,
        is_no_space: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        self.wait_for_room(&AtomicBool::new(false), attempt, is_no_space)
            .await
    }

    async fn wait_for_room<T, E>(
        &self,
        full: &AtomicBool,
        mut attempt: impl FnMut() -> Result<T, E>,
        is_no_space: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        loop {
            let result = attempt();
            match &result {
                Err(error) if is_no_space(error) && !self.closing.load(Ordering::Relaxed) => {
                    if !full.swap(true, Ordering::Relaxed) {
                        tracing::error!("no room for the metadata log: changes wait for it");
                    }
                    tokio::time::sleep(FULL_DISK_RETRY).await;
                }
                Ok(_) | Err(_) => {
                    if full.swap(false, Ordering::Relaxed) && result.is_ok() {
                        tracing::info!("there is room for the metadata log again");
                    }
                    return result;
                }
            }
        }
    }
}

/// The log, the vote and the purge point of one voter.
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    log: Arc<Log>,
    files: Files,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    /// As it lies in its file.
    state: Mutex<QuorumState>,
    /// The newest entries, without gaps.
    recent: Mutex<VecDeque<Entry>>,
}

impl LogStore {
    /// Takes up the log where it was left. `snapshot` is the last entry that the snapshot has.
    pub(crate) fn open(
        log: Arc<Log>,
        files: Files,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
        me: ReplicaKey,
        snapshot: Option<LogId>,
    ) -> Result<LogStore, Error> {
        give_up_lost(&log, snapshot)?;
        let state = recover(&log, &files, me, snapshot)?;
        let first = state.purged.map_or(0, |purged| purged.index + 1);
        start_log_at(&log, first)?;
        let uncovered = snapshot.map_or(first, |snapshot| first.max(snapshot.index + 1));
        health.count(index_of(log.log_end_offset()).saturating_sub(uncovered), 0);
        health.count(0, log.size_in_bytes());
        Ok(LogStore {
            shared: Arc::new(Shared {
                log,
                files,
                clock,
                health,
                state: Mutex::new(state),
                recent: Mutex::default(),
            }),
        })
    }

    /// The first index behind the log.
    pub(crate) fn end_index(&self) -> u64 {
        index_of(self.shared.log.log_end_offset())
    }
}

fn index_of(offset: Offset) -> u64 {
    u64::try_from(offset.0).unwrap_or(0)
}

fn offset_of(index: u64) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
}

/// Entries that were durable and are gone are no torn tail: somebody was told that they hold. They
/// do no harm where the snapshot has them.
fn give_up_lost(log: &Log, snapshot: Option<LogId>) -> Result<(), Error> {
    let Some((first, behind)) = log.lost_range() else {
        return Ok(());
    };
    let covered = snapshot.map_or(0, |snapshot| snapshot.index + 1);
    if index_of(behind) > covered {
        let last = index_of(behind).saturating_sub(1);
        return Err(Error::LostEntries {
            first: index_of(first),
            last,
        });
    }
    tracing::warn!(%first, "the metadata log lost entries that its snapshot has");
    Ok(log.truncate_fully_and_start_at(offset_of(covered))?)
}

/// The state as the file has it, made whole from the log and the snapshot where the file is gone.
fn recover(
    log: &Log,
    files: &Files,
    me: ReplicaKey,
    snapshot: Option<LogId>,
) -> Result<QuorumState, Error> {
    let start = index_of(log.log_start_offset());
    let end = index_of(log.log_end_offset());
    let stored = match QuorumState::read(files) {
        Ok(stored) => stored,
        Err(error @ FileError::Damaged { .. }) => {
            tracing::warn!(%error, "taking the vote from the metadata log");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut state = match stored {
        Some(state) if state.me != me => {
            return Err(Error::ForeignLog {
                found: state.me.to_string(),
                me: me.to_string(),
            });
        }
        Some(state) => state,
        None => {
            // As the only voter we may vote again in the last term that the log knows: nobody
            // else was ever given that vote.
            let last = last_entry(log)?.or(snapshot);
            let vote = last.map(|last| Vote::new(last.leader_id.term, me));
            QuorumState {
                me,
                vote,
                purged: None,
            }
        }
    };
    let cut = state.purged.map_or(0, |purged| purged.index + 1).max(start);
    let covered = snapshot.map_or(0, |snapshot| snapshot.index + 1);
    if cut > covered {
        return Err(Error::MissingSnapshot { first: cut });
    }
    // The purge point must be an entry whose term we know, and the log must reach it.
    let unknown = state.purged.is_none_or(|purged| purged.index + 1 < start);
    if (unknown && start > 0) || end < covered {
        state.purged = snapshot;
        state.write(files)?;
    }
    Ok(state)
}

/// Cuts the log where it begins before `first`, and starts it anew where it ends before that.
fn start_log_at(log: &Log, first: u64) -> Result<(), Error> {
    if index_of(log.log_end_offset()) < first {
        log.truncate_fully_and_start_at(offset_of(first))?;
    } else if index_of(log.log_start_offset()) < first {
        // What a snapshot has was agreed on; a log is only cut below its high watermark.
        log.set_high_watermark(offset_of(first));
        log.advance_log_start(offset_of(first))?;
    }
    Ok(())
}

fn last_entry(log: &Log) -> Result<Option<LogId>, Error> {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    if start >= end {
        return Ok(None);
    }
    let slice = log.read(Offset(end.0 - 1), end, 1, true)?;
    let mut bytes = slice.read()?;
    let mut last = None;
    while let Some(batch) = RecordBatch::split_first(&mut bytes)? {
        let header = batch.header();
        last = Some(log_id(
            term_of(header.partition_leader_epoch),
            index_of(header.last_offset()),
        ));
    }
    if last.is_none_or(|last| last.index + 1 != index_of(end)) {
        return Err(Error::LogOutOfStep {
            index: index_of(end) - 1,
            offset: end.0,
        });
    }
    Ok(last)
}

fn term_of(epoch: LeaderEpoch) -> u64 {
    u64::try_from(epoch.0).unwrap_or(0)
}

fn epoch_of(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}

impl Shared {
    fn batch(&self, entry: &Entry) -> RecordBatch {
        let value = encode_payload(&entry.payload);
        let mut builder = BatchBuilder::new(offset_of(entry.log_id.index))
            .leader_epoch(epoch_of(entry.log_id.leader_id.term));
        builder.push(self.clock.now(), None, Some(&value), &[]);
        builder.build()
    }

    async fn append(&self, entry: Entry) -> Result<(), Error> {
        let batch = self.batch(&entry);
        let epoch = epoch_of(entry.log_id.leader_id.term);
        let now = self.clock.now();
        let append = || {
            self.log
                .append_as_leader(batch.bytes().clone(), epoch, AppendOrigin::Raft, now)
        };
        let info = self
            .health
            .with_room(append, |error| {
                matches!(error.error, storage::Error::NoSpace { .. })
            })
            .await
            .map_err(|error| error.error)?;
        if info.base_offset != offset_of(entry.log_id.index) {
            return Err(Error::LogOutOfStep {
                index: entry.log_id.index,
                offset: info.base_offset.0,
            });
        }
        self.health.count(1, batch.bytes().len() as u64);
        let mut recent = self.recent.lock();
        if recent.len() >= RECENT_ENTRIES_MAX {
            recent.pop_front();
        }
        recent.push_back(entry);
        Ok(())
    }

    async fn save_state(&self, change: impl FnOnce(&mut QuorumState)) -> Result<(), Error> {
        let mut state = self.state.lock().clone();
        change(&mut state);
        self.health
            .with_room(|| state.write(&self.files), FileError::is_no_space)
            .await?;
        *self.state.lock() = state;
        Ok(())
    }

    /// The entries `[start, end)`, but no more than `max_bytes` of them, and at least one.
    fn read(&self, start: u64, end: u64, max_bytes: usize) -> Result<Vec<Entry>, Error> {
        let start = start.max(index_of(self.log.log_start_offset()));
        let end = end.min(index_of(self.log.log_end_offset()));
        if let Some(entries) = self.read_recent(start, end) {
            return Ok(entries);
        }
        let mut entries = Vec::new();
        let mut next = start;
        let mut size = 0;
        while next < end && (entries.is_empty() || size < max_bytes) {
            let slice = self
                .log
                .read(offset_of(next), offset_of(end), READ_SIZE, true)?;
            let mut bytes = slice.read()?;
            size += bytes.len();
            let before = next;
            while let Some(batch) = RecordBatch::split_first(&mut bytes)? {
                next = decode_batch(&batch, next, end, &mut entries)?;
            }
            if next == before {
                return Err(Error::LogOutOfStep {
                    index: next,
                    offset: next as i64,
                });
            }
        }
        Ok(entries)
    }

    fn read_recent(&self, start: u64, end: u64) -> Option<Vec<Entry>> {
        let recent = self.recent.lock();
        let (first, last) = (recent.front()?.log_id.index, recent.back()?.log_id.index);
        if start < first || end > last + 1 {
            return None;
        }
        Some(
            recent
                .iter()
                .filter(|entry| (start..end).contains(&entry.log_id.index))
                .cloned()
                .collect(),
        )
    }
}

/// Adds the entries of a batch that are wanted; gives the next index wanted.
fn decode_batch(
    batch: &RecordBatch,
    mut next: u64,
    end: u64,
    entries: &mut Vec<Entry>,
) -> Result<u64, Error> {
    batch.verify_crc()?;
    let term = term_of(batch.header().partition_leader_epoch);
    for record in batch.records()? {
        let record = record?;
        let index = index_of(record.offset);
        if index < next || index >= end {
            continue;
        }
        if index > next {
            return Err(Error::LogOutOfStep {
                index: next,
                offset: record.offset.0,
            });
        }
        let payload =
            decode_payload(record.value.as_deref().unwrap_or_default()).map_err(|reason| {
                Error::Entry {
                    index,
                    reason: reason.to_string(),
                }
            })?;
        entries.push(Entry {
            log_id: log_id(term, index),
            payload,
        });
        next += 1;
    }
    Ok(next)
}

fn write_failed(error: &Error) -> StorageError {
    StorageIOError::write_logs(AnyError::new(error)).into()
}

fn read_failed(error: &Error) -> StorageError {
    StorageIOError::read_logs(AnyError::new(error)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.shared
            .read(start, end, usize::MAX)
            .map_err(|error| read_failed(&error))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.shared
            .read(start, end, LIMITED_READ_SIZE)
            .map_err(|error| read_failed(&error))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let purged = self.shared.state.lock().purged;
        let last = last_entry(&self.shared.log).map_err(|error| read_failed(&error))?;
        Ok(LogState {
            last_purged_log_id: purged,
            last_log_id: last.or(purged),
        })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let stored = self.shared.state.lock().vote;
        if stored.is_some_and(|stored| stored.leader_id == vote.leader_id) {
            // That it won is nothing to remember: see `read_vote`.
            return Ok(());
        }
        self.shared
            .save_state(|state| state.vote = Some(*vote))
            .await
            .map_err(|error| StorageIOError::write_vote(AnyError::new(&error)).into())
    }

    /// The vote, but not as a leader: every start is a new term, so that a term never has entries
    /// of two lives.
    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote = self.shared.state.lock().vote;
        Ok(vote.map(|vote| Vote {
            committed: false,
            ..vote
        }))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        for entry in entries {
            self.shared
                .append(entry)
                .await
                .map_err(|error| write_failed(&error))?;
        }
        let end = self.shared.log.log_end_offset();
        match self.shared.log.sync_to(end) {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                let error = Error::from(error);
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                Err(write_failed(&error))
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.shared
            .recent
            .lock()
            .retain(|entry| entry.log_id.index < log_id.index);
        self.shared
            .log
            .truncate_to(offset_of(log_id.index))
            .map_err(|error| write_failed(&error.into()))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.shared
            .save_state(|state| state.purged = Some(log_id))
            .await
            .map_err(|error| write_failed(&error))?;
        self.shared
            .recent
            .lock()
            .retain(|entry| entry.log_id.index > log_id.index);
        let log = &self.shared.log;
        start_log_at(log, log_id.index + 1).map_err(|error| write_failed(&error))?;
        log.apply_retention(self.shared.clock.now())
            .map_err(|error| write_failed(&error.into()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
