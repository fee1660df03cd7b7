//! Opens a log, or makes it.
//!
//! Invariant: of a log that was closed cleanly nothing is read but small files and the tail of the
//! active segment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use parking_lot::{Mutex, RwLock};
use protocol::{Offset, TopicId, TopicPartition};
use tracing::{debug, warn};

use super::compaction::{CLEANED, Swap};
use super::file::{LogFolder, SegmentFile};
use super::leader_epochs::LeaderEpochs;
use super::read::RememberedPositions;
use super::recovery::{Recovered, Recovery, rebuild_epochs};
use super::segment::{IndexAccess, Segment, file_name};
use super::sync::SyncGate;
use super::verification::Verifications;
use super::{Log, LogEnd, NONE_OPEN, Writer};
use crate::checkpoint::{LEADER_EPOCHS, parse_epochs};
use crate::config::LogConfig;
use crate::error::Error;
use crate::fs::{Fs, OpenMode, read_file};
use crate::kv::LogId;
use crate::shared::{CheckpointFile, Shared};

/// What lies in a log's folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Base offset and size.
    segments: Vec<(Offset, u64)>,
    snapshots: Vec<Offset>,
    /// What a compaction was about to put in the place of segments.
    swaps: Vec<Swap>,
    /// Files that a crash left behind.
    leftovers: Vec<String>,
}

fn offset_of(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits).map(Offset)
}

impl Listing {
    pub(crate) fn read(fs: &dyn Fs, folder: &Path) -> Result<Listing, Error> {
        let entries = fs
            .list(folder)
            .map_err(|error| Error::io("list", folder, error))?;
        let mut listing = Listing::default();
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            if let Some(base_offset) = offset_of(&entry.name, ".log") {
                listing.segments.push((base_offset, entry.size));
            } else if let Some(offset) = offset_of(&entry.name, ".snapshot") {
                listing.snapshots.push(offset);
            } else if let Some(swap) = Swap::of_name(&entry.name, entry.size) {
                listing.swaps.push(swap);
            } else if [".deleted", ".tmp", CLEANED]
                .iter()
                .any(|end| entry.name.ends_with(end))
            {
                listing.leftovers.push(entry.name);
            }
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }
}

/// A log that is to be opened.
pub(crate) struct OpenRequest {
    pub(crate) shared: Arc<Shared>,
    pub(crate) topic_partition: TopicPartition,
    pub(crate) topic_id: TopicId,
    pub(crate) config: LogConfig,
    pub(crate) folder: PathBuf,
    /// Empty for a log that is new.
    pub(crate) listing: Listing,
    pub(crate) is_new: bool,
}

impl OpenRequest {
    pub(crate) fn open(mut self) -> Result<Log, Error> {
        for name in std::mem::take(&mut self.listing.leftovers) {
            if let Err(error) = self.shared.fs.remove_file(&self.folder.join(&name)) {
                debug!(log = %self.topic_partition, name, %error, "a leftover stays");
            }
        }
        for swap in std::mem::take(&mut self.listing.swaps) {
            swap.finish(
                &self.shared,
                &self.folder,
                self.id(),
                &mut self.listing.segments,
            )?;
        }
        let checkpointed = |file| self.shared.checkpointed(file, &self.topic_partition);
        let recovery_point = checkpointed(CheckpointFile::RecoveryPoints).unwrap_or_default();
        let log_start = checkpointed(CheckpointFile::LogStartOffsets).unwrap_or_default();
        let high_watermark = checkpointed(CheckpointFile::HighWatermarks).unwrap_or_default();
        let checkpointed_compaction = checkpointed(CheckpointFile::CompactedUpTo);
        let folder: LogFolder = Arc::new(RwLock::new(self.folder.clone()));
        let segments = self.segments(&folder, recovery_point.max(log_start))?;
        let first = segments.keys().next().copied().unwrap_or(log_start);
        let log_start = log_start.max(first);
        let id = self.id();
        let recovered = if self.is_new {
            Recovered::empty()
        } else {
            let interval = u64::from(self.config.index_interval_bytes);
            let index = IndexAccess {
                shared: &self.shared,
                log: id,
                interval,
            };
            let recovery = Recovery {
                index,
                topic_partition: &self.topic_partition,
                folder: &self.folder,
                recovery_point,
                log_start,
                segments: &segments,
                snapshots: std::mem::take(&mut self.listing.snapshots),
                epochs: self.epochs(&segments)?,
            };
            recovery.run()?
        };
        let compacted = checkpointed_compaction.filter(|offset| *offset <= recovered.end);
        let compacted = compacted.unwrap_or_default();
        Ok(self.build(
            id,
            folder,
            segments,
            (log_start, high_watermark, recovery_point, compacted),
            recovered,
        ))
    }

    fn id(&self) -> LogId {
        LogId {
            topic_id: self.topic_id,
            partition: self.topic_partition.partition,
        }
    }

    /// The segments that are there, at least one.
    fn segments(
        &self,
        folder: &LogFolder,
        base_offset: Offset,
    ) -> Result<BTreeMap<Offset, Arc<Segment>>, Error> {
        let mut segments = BTreeMap::new();
        let file_of = |base_offset| {
            SegmentFile::new(
                base_offset,
                Arc::clone(folder),
                file_name(base_offset),
                Arc::clone(&self.shared.files),
            )
        };
        for (base_offset, size) in &self.listing.segments {
            let segment = Segment::found(*base_offset, file_of(*base_offset), *size);
            segments.insert(*base_offset, Arc::new(segment));
        }
        if segments.is_empty() {
            let file = file_of(base_offset);
            let path = file.path();
            let handle = self.shared.fs.open(&path, OpenMode::Create);
            let handle = handle.map_err(|error| Error::io("create", path, error))?;
            let room = u64::from(self.config.segment_bytes);
            if self.config.preallocate && handle.reserve(room).is_err() {
                debug!(log = %self.topic_partition, "no room to preallocate a segment");
            }
            file.set_handle(handle);
            segments.insert(base_offset, Arc::new(Segment::new(base_offset, file)));
        }
        Ok(segments)
    }

    fn epochs(&self, segments: &BTreeMap<Offset, Arc<Segment>>) -> Result<LeaderEpochs, Error> {
        let path = self.folder.join(LEADER_EPOCHS);
        match read_file(&*self.shared.fs, &path) {
            Ok(content) => {
                let parsed = parse_epochs(&content);
                if !parsed.damaged {
                    return Ok(LeaderEpochs::from_checkpoint(parsed.value));
                }
                warn!(file = %path.display(), "damaged: the leader epochs are read from the log");
            }
            Err(error) => debug!(file = %path.display(), %error, "no leader epochs"),
        }
        rebuild_epochs(segments.values())
    }

    fn build(
        self,
        id: LogId,
        folder: LogFolder,
        segments: BTreeMap<Offset, Arc<Segment>>,
        (log_start, high_watermark, recovery_point, compacted): (Offset, Offset, Offset, Offset),
        recovered: Recovered,
    ) -> Log {
        let active = segments.values().next_back().map(Arc::clone);
        let segment = active.expect("a log has at least one segment");
        let end = recovered.end;
        let position = segment.size();
        let first_open = recovered.producers.first_open();
        let jitter = roll_jitter(&self.config, id);
        Log {
            shared: self.shared,
            topic_partition: self.topic_partition,
            id,
            folder,
            config: RwLock::new(Arc::new(self.config)),
            writer: Mutex::new(Writer {
                producers: recovered.producers,
                aborted_file: recovered.aborted_file,
                verifications: Verifications::default(),
                open: true,
                torn: false,
                unsynced_messages: 0,
                unsynced_since: None,
                active_since: None,
                roll_jitter_ms: jitter,
                snapshot_offset: recovered.snapshot_offset,
                producer_row_offset: Offset(-1),
                deleted: Vec::new(),
            }),
            segments: RwLock::new(segments),
            cleanup: Mutex::new(()),
            compactions: AtomicU64::new(0),
            compacted: AtomicI64::new(compacted.0),
            end: Mutex::new(LogEnd {
                offset: end,
                segment,
                position,
            }),
            log_start: AtomicI64::new(log_start.0),
            high_watermark: AtomicI64::new(high_watermark.0.clamp(log_start.0, end.0)),
            recovery_point: AtomicI64::new(recovery_point.0.min(end.0)),
            first_open: AtomicI64::new(first_open.map_or(NONE_OPEN, |offset| offset.0)),
            unreplicated: Mutex::new(BTreeMap::new()),
            epochs: Mutex::new(recovered.epochs),
            aborted: Mutex::new(recovered.aborted),
            remembered: Mutex::new(RememberedPositions::default()),
            sync: SyncGate::default(),
            names_dirty: AtomicBool::new(true),
            folder_dirty: AtomicBool::new(true),
            lost: recovered.lost,
        }
    }
}

/// Spreads the rolls of logs that were made together, the same way at every start.
fn roll_jitter(config: &LogConfig, id: LogId) -> i64 {
    let bound = config.segment_jitter_ms.min(config.segment_ms).max(0);
    let spread = id.topic_id.0.as_u128() ^ u128::from(id.partition.unsigned_abs());
    i64::try_from(spread % (bound.unsigned_abs() as u128 + 1)).unwrap_or(0)
}
