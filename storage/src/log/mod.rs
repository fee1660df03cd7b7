//! One partition's log: append, read, truncate.
//!
//! Invariants: `log_start <= high_watermark <= log_end` and `recovery_point <= log_end`; offsets
//! only grow along the log; bytes that a reader may see are whole batches and never change.
//!
//! ```text
//! append ── writer lock ──► active segment ──► end published ──► readers
//! read   ── no lock held while reading: Arc<Segment>, position from index or memory
//! sync   ── one fdatasync at a time serves all that wait (sync.rs)
//! ```

mod aborted;
mod append;
mod close;
mod compaction;
mod content;
mod file;
mod leader_epochs;
mod open;
mod producer_state;
mod read;
mod recovery;
mod retention;
mod roll;
mod scan;
mod segment;
mod snapshot;
mod sync;
mod timestamps;
mod truncate;
mod types;
mod validate;
mod verification;

pub use compaction::{Cleanable, Compacted, Pace};
pub use content::LogContent;
pub(crate) use file::FileCache;
pub use file::{FileRange, LogSlice, SegmentFile};
pub(crate) use leader_epochs::EpochEntry;
pub(crate) use open::{Listing, OpenRequest};
pub use types::{AbortedTransaction, AppendInfo, AppendOrigin, ProducerSummary, TimestampedOffset};
pub use verification::VerificationGuard;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use protocol::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};
use uuid::Uuid;

use crate::config::LogConfig;
use crate::error::Error;
use crate::kv::LogId;
use crate::shared::Shared;
use aborted::AbortedFile;
use file::LogFolder;
use leader_epochs::LeaderEpochs;
use producer_state::Producers;
use read::RememberedPositions;
use segment::{IndexAccess, Segment};
use sync::SyncGate;
use verification::Verifications;

/// No transaction is open.
const NONE_OPEN: i64 = i64::MAX;

/// A partition's log.
pub struct Log {
    shared: Arc<Shared>,
    topic_partition: TopicPartition,
    id: LogId,
    folder: LogFolder,
    config: RwLock<Arc<LogConfig>>,
    /// Held while something is written, truncated or rolled; never while something is read.
    writer: Mutex<Writer>,
    /// Held while sealed segments go or are replaced; taken before `writer`.
    cleanup: Mutex<()>,
    /// How often segments were replaced by what compaction left of them.
    compactions: AtomicU64,
    /// Below it no key is twice; 0 where nothing was compacted.
    compacted: AtomicI64,
    segments: RwLock<BTreeMap<Offset, Arc<Segment>>>,
    end: Mutex<LogEnd>,
    log_start: AtomicI64,
    high_watermark: AtomicI64,
    recovery_point: AtomicI64,
    /// Where the oldest open transaction begins, or `NONE_OPEN`.
    first_open: AtomicI64,
    /// Ended transactions whose marker may lie above the high watermark: first offset to last.
    unreplicated: Mutex<BTreeMap<Offset, Offset>>,
    epochs: Mutex<LeaderEpochs>,
    /// In the order of their markers.
    aborted: Mutex<Vec<AbortedTransaction>>,
    remembered: Mutex<RememberedPositions>,
    sync: SyncGate,
    /// Names were made in the folder since it was last synced.
    names_dirty: AtomicBool,
    /// The folder itself may not be durable.
    folder_dirty: AtomicBool,
    lost: Option<(Offset, Offset)>,
}

/// Where the next batch goes. Offset and position belong together.
#[derive(Clone)]
struct LogEnd {
    offset: Offset,
    segment: Arc<Segment>,
    position: u64,
}

/// What only a writer may touch.
struct Writer {
    producers: Producers,
    aborted_file: AbortedFile,
    verifications: Verifications,
    open: bool,
    /// Bytes behind the end may be in the active segment's file: cut them before the next write.
    torn: bool,
    unsynced_messages: i64,
    /// When the oldest message that is not synced was appended.
    unsynced_since: Option<Timestamp>,
    /// When the active segment was made, for batches without timestamps; known at its first append.
    active_since: Option<Timestamp>,
    roll_jitter_ms: i64,
    /// Where producer state was last written down.
    snapshot_offset: Offset,
    producer_row_offset: Offset,
    /// Segments that are renamed, to be removed once nobody reads them.
    deleted: Vec<(Timestamp, Arc<Segment>)>,
}

impl Log {
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub fn topic_id(&self) -> TopicId {
        self.id.topic_id
    }

    pub fn directory_id(&self) -> Uuid {
        self.shared.directory_id
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.read().clone()
    }

    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    pub fn update_config(&self, config: LogConfig) {
        *self.config.write() = Arc::new(config);
    }

    pub fn log_start_offset(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    pub fn log_end_offset(&self) -> Offset {
        self.end.lock().offset
    }

    /// Offsets (end exclusive) that were durable once and whose records were gone at the start.
    pub fn lost_range(&self) -> Option<(Offset, Offset)> {
        self.lost
    }

    /// Everything below it is on the disk.
    pub fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Acquire))
    }

    /// The high watermark as it was last set, or as the checkpoint had it.
    pub fn high_watermark_checkpoint(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// Tells the log how far it is replicated: for checkpoints, retention and transactions.
    pub fn set_high_watermark(&self, offset: Offset) {
        let bounded = Offset(
            offset
                .0
                .clamp(self.log_start_offset().0, self.log_end_offset().0),
        );
        self.high_watermark.store(bounded.0, Ordering::Release);
        // Transactions that end below it are ended for good.
        let mut unreplicated = self.unreplicated.lock();
        unreplicated.retain(|_, last_offset| *last_offset >= bounded);
    }

    /// Where a reader of committed records must stop: a transaction is open behind it, or its end
    /// may yet be lost.
    pub fn last_stable_offset(&self) -> Offset {
        // In this order: a transaction is known as open before the high watermark passes its
        // beginning, and as ended before it is open no more.
        let high_watermark = self.high_watermark_checkpoint();
        let open = Offset(self.first_open.load(Ordering::Acquire));
        let unreplicated = self.unreplicated.lock().keys().next().copied();
        let unstable = unreplicated.map_or(open, |ended| ended.min(open));
        unstable.max(self.log_start_offset()).min(high_watermark)
    }

    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.lock().latest()
    }

    /// The oldest epoch that is known, and where it begins.
    pub fn earliest_epoch(&self) -> Option<(LeaderEpoch, Offset)> {
        self.epochs
            .lock()
            .earliest()
            .map(|entry| (entry.epoch, entry.start_offset))
    }

    /// The epoch of the leader that wrote an offset.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.lock().epoch_for_offset(offset)
    }

    /// The largest epoch at or below the one asked for, and where it ends.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let log_end_offset = self.log_end_offset();
        self.epochs.lock().end_offset_for(epoch, log_end_offset)
    }

    /// Notes where a leader's epoch begins.
    pub fn assign_epoch(&self, epoch: LeaderEpoch, start_offset: Offset) {
        self.epochs.lock().assign(epoch, start_offset);
    }

    pub fn size_in_bytes(&self) -> u64 {
        self.segments
            .read()
            .values()
            .map(|segment| segment.size())
            .sum()
    }

    /// The producers whose state is kept, by producer id.
    pub fn active_producers(&self) -> Vec<ProducerSummary> {
        self.writer.lock().producers.summaries()
    }

    fn index(&self) -> IndexAccess<'_> {
        self.index_with(self.config.read().index_interval_bytes)
    }

    fn index_with(&self, interval: u32) -> IndexAccess<'_> {
        IndexAccess {
            shared: &self.shared,
            log: self.id,
            interval: u64::from(interval),
        }
    }

    /// The writer, where the log still takes writes.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        self.shared.check_online()?;
        let writer = self.writer.lock();
        if !writer.open {
            return Err(Error::Closed {
                topic_partition: self.topic_partition.clone(),
            });
        }
        Ok(writer)
    }

    fn publish_first_open(&self, writer: &Writer) {
        let first_open = writer.producers.first_open();
        let first_open = first_open.map_or(NONE_OPEN, |offset| offset.0);
        self.first_open.store(first_open, Ordering::Release);
    }

    /// The segment that an offset belongs to.
    fn segment_at(&self, offset: Offset) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        segments
            .range(..=offset)
            .next_back()
            .map(|(_, segment)| Arc::clone(segment))
    }

    /// The segment behind the one with this base offset.
    fn segment_after(&self, base_offset: Offset) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let mut behind = segments.range((Bound::Excluded(base_offset), Bound::Unbounded));
        behind.next().map(|(_, segment)| Arc::clone(segment))
    }

    fn all_segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().values().map(Arc::clone).collect()
    }
}
