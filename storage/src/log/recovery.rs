//! What a log that is opened must be checked for, and what is made of a fault.
//!
//! Invariant: bytes are cut only where nothing valid stands behind them (a torn tail); a fault with
//! valid batches behind it is corruption, is reported with its exact range, and changes nothing.
//! Offsets below the recovery point are never given out twice, whatever became of their records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use protocol::control::EndTransactionMarker;
use protocol::{BatchError, BatchHeader, Offset, RecordBatch, TopicPartition};
use tracing::{error, info, warn};

use super::aborted::{self, AbortedFile};
use super::file::FileRange;
use super::leader_epochs::LeaderEpochs;
use super::producer_state::Producers;
use super::roll::snapshot_name;
use super::scan::{Check, Scanner, Step, find_valid_batch, header_at};
use super::segment::{IndexAccess, Segment};
use super::snapshot;
use super::types::AbortedTransaction;
use crate::error::{Corruption, Error};
use crate::fs::{Durable, read_file};

/// A log while it is opened.
pub(super) struct Recovery<'a> {
    pub(super) index: IndexAccess<'a>,
    pub(super) topic_partition: &'a TopicPartition,
    pub(super) folder: &'a Path,
    /// Everything below it was durable once.
    pub(super) recovery_point: Offset,
    pub(super) log_start: Offset,
    pub(super) segments: &'a BTreeMap<Offset, Arc<Segment>>,
    /// Offsets of the `.snapshot` files.
    pub(super) snapshots: Vec<Offset>,
    pub(super) epochs: LeaderEpochs,
}

/// What was found.
pub(super) struct Recovered {
    pub(super) end: Offset,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    pub(super) aborted: Vec<AbortedTransaction>,
    pub(super) aborted_file: AbortedFile,
    pub(super) snapshot_offset: Offset,
    /// Offsets that were durable once and whose records are gone.
    pub(super) lost: Option<(Offset, Offset)>,
}

/// Producer state, and the transactions that were seen to abort.
#[derive(Default)]
struct Replay {
    producers: Producers,
    aborted: Vec<AbortedTransaction>,
}

impl Replay {
    fn batch(
        &mut self,
        segment: &Arc<Segment>,
        position: u64,
        header: &BatchHeader,
    ) -> Result<(), Error> {
        if header.base_offset < self.producers.end() {
            return Ok(());
        }
        let marker = read_marker(segment, position, header)?;
        let ended = self.producers.append(header, marker);
        self.aborted.extend(ended.and_then(|ended| ended.aborted()));
        Ok(())
    }
}

fn read_marker(
    segment: &Arc<Segment>,
    position: u64,
    header: &BatchHeader,
) -> Result<Option<EndTransactionMarker>, Error> {
    if !header.attributes.is_control() || header.producer.is_none() {
        return Ok(None);
    }
    let len = header.size_in_bytes();
    let mut bytes: Bytes = FileRange {
        file: Arc::clone(&segment.file),
        position,
        len,
    }
    .read()?;
    let Some(batch) = RecordBatch::split_first(&mut bytes)? else {
        return Ok(None);
    };
    match batch.records()?.next() {
        Some(record) => Ok(EndTransactionMarker::read(&record?)?),
        None => Ok(None),
    }
}

impl Recovery<'_> {
    /// Checks the log from its recovery point, and the tail of the active segment in any case.
    pub(super) fn run(mut self) -> Result<Recovered, Error> {
        let kept: Vec<Arc<Segment>> = self.segments.values().map(Arc::clone).collect();
        let below = |segment: &&Arc<Segment>| segment.base_offset <= self.recovery_point;
        let first = kept.iter().take_while(below).count().saturating_sub(1);
        let mut replay = self.load_producers(Offset(i64::MAX));
        let loaded = replay.producers.end();
        let mut end = self
            .segments
            .keys()
            .next()
            .copied()
            .unwrap_or(self.log_start);
        for (number, segment) in kept.iter().enumerate().skip(first) {
            let start = self.resume(segment)?;
            if number == first {
                self.replay_below(&mut replay, segment, start)?;
            }
            end = end.max(segment.base_offset);
            let behind = kept.get(number + 1..).unwrap_or_default();
            end = self.check_segment(&mut replay, segment, start, end, behind)?;
        }
        let lost = self.reserve_lost(end);
        let end = end.max(self.recovery_point).max(self.log_start);
        if loaded > end {
            replay = self.reload_producers(end)?;
        }
        replay.producers.set_end(end);
        // An epoch may begin at the end: its leader wrote nothing, or all it wrote is deleted.
        self.epochs.truncate_from_end(end.next());
        self.epochs.truncate_from_start(self.log_start);
        let (aborted, aborted_file) = self.aborted(end, replay.aborted)?;
        self.remove_stray_snapshots(end);
        let snapshot_offset = self
            .snapshots
            .iter()
            .copied()
            .filter(|offset| *offset <= end)
            .max();
        Ok(Recovered {
            end,
            epochs: self.epochs,
            producers: replay.producers,
            aborted,
            aborted_file,
            snapshot_offset: snapshot_offset.unwrap_or(Offset(-1)),
            lost,
        })
    }

    /// Each clean stop leaves a snapshot at the end of the log: all but the newest, and those that
    /// segments begin with, have served.
    fn remove_stray_snapshots(&mut self, end: Offset) {
        let newest = self
            .snapshots
            .iter()
            .copied()
            .filter(|offset| *offset <= end)
            .max();
        let segments = self.segments;
        let serves = |offset: &Offset| Some(*offset) == newest || segments.contains_key(offset);
        for offset in self.snapshots.extract_if(.., |offset| !serves(offset)) {
            let path = self.folder.join(snapshot_name(offset));
            if let Err(error) = self.index.shared.fs.remove_file(&path) {
                warn!(file = %path.display(), %error, "a producer snapshot stays");
            }
        }
    }

    /// The transactions that were given up, as their file and the batches behind the producer
    /// snapshot tell them; where the file is damaged, as the whole log does.
    fn aborted(
        &self,
        end: Offset,
        replayed: Vec<AbortedTransaction>,
    ) -> Result<(Vec<AbortedTransaction>, AbortedFile), Error> {
        let (mut known, is_whole) = aborted::read(&*self.index.shared.fs, self.folder);
        let written = known.len();
        known.retain(|found| found.last_offset < end);
        let mut stale = !is_whole || known.len() < written;
        let replayed = if is_whole {
            replayed
        } else {
            self.all_aborted()?
        };
        for found in replayed {
            if let Err(place) = known.binary_search_by_key(&found.last_offset, |it| it.last_offset)
            {
                known.insert(place, found);
                stale = true;
            }
        }
        known.retain(|found| found.last_offset >= self.log_start);
        Ok((known, AbortedFile::holding(written, stale)))
    }

    fn all_aborted(&self) -> Result<Vec<AbortedTransaction>, Error> {
        let mut replay = Replay::default();
        for segment in self.segments.values() {
            self.replay_headers(&mut replay, segment, segment.size())?;
        }
        Ok(replay.aborted)
    }

    /// The start of a batch from which a segment is read: the last indexed one that was durable.
    fn resume(&self, segment: &Segment) -> Result<u64, Error> {
        let kv = self.index.shared.kv();
        let durable = kv
            .index_by_offset(self.index.log, segment.base_offset, self.recovery_point)
            .unwrap_or_default()
            .filter(|_| self.recovery_point >= segment.base_offset);
        let keep = durable.map_or(0, |entry| u64::from(entry.position) + 1);
        segment.forget_from(self.index, keep)
    }

    /// Brings the producers up to where the check begins.
    fn replay_below(
        &self,
        replay: &mut Replay,
        checked: &Arc<Segment>,
        start: u64,
    ) -> Result<(), Error> {
        let from = replay.producers.end();
        let file = checked.file.open()?;
        let header = header_at(&*file, start, checked.size())
            .map_err(|error| Error::io("read", checked.file.path(), error))?;
        if header.is_some_and(|header| header.base_offset <= from) {
            return Ok(());
        }
        for (base_offset, segment) in self.segments.range(..=checked.base_offset) {
            let next = self.segments.range(base_offset.next()..).next();
            if next.is_some_and(|(next, _)| *next <= from) {
                continue;
            }
            let is_checked = *base_offset == checked.base_offset;
            let end = if is_checked { start } else { segment.size() };
            self.replay_headers(replay, segment, end)?;
        }
        Ok(())
    }

    fn replay_headers(
        &self,
        replay: &mut Replay,
        segment: &Arc<Segment>,
        end: u64,
    ) -> Result<(), Error> {
        if end == 0 {
            return Ok(());
        }
        let file = segment.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Header, 0, end);
        loop {
            let step = scanner
                .step()
                .map_err(|error| Error::io("read", segment.file.path(), error))?;
            match step {
                Step::Batch { position, header } => replay.batch(segment, position, &header)?,
                Step::Invalid { position, error } => {
                    return self.corrupt(segment, position, replay.producers.end(), None, &error);
                }
                Step::End => return Ok(()),
            }
        }
    }

    /// Reads a segment with its CRCs; returns the offset behind its last batch.
    fn check_segment(
        &mut self,
        replay: &mut Replay,
        segment: &Arc<Segment>,
        start: u64,
        mut end: Offset,
        behind: &[Arc<Segment>],
    ) -> Result<Offset, Error> {
        let size = segment.size();
        if size > 0 {
            let file = segment.file.open()?;
            let mut scanner = Scanner::new(&*file, Check::Crc, start, size);
            let mut least = if start == 0 { end } else { Offset::ZERO };
            loop {
                let step = scanner
                    .step()
                    .map_err(|error| Error::io("read", segment.file.path(), error))?;
                let (position, error) = match step {
                    // A segment counts its offsets in 32 bits.
                    Step::Batch { position, header }
                        if header.base_offset >= least
                            && header.last_offset() - segment.base_offset
                                <= i64::from(i32::MAX) =>
                    {
                        segment.note_batch(self.index, position, &header);
                        self.epochs
                            .assign(header.partition_leader_epoch, header.base_offset);
                        replay.batch(segment, position, &header)?;
                        least = header.next_offset();
                        end = least;
                        continue;
                    }
                    // Whole, but not behind the last one: no tear leaves that, and one of the two
                    // has a wrong offset, which lies outside the CRC.
                    Step::Batch { position, header } => {
                        let fault = BatchError::InconsistentOffsets {
                            last_offset_delta: header.last_offset_delta,
                            record_count: header.record_count,
                        };
                        let corrupt = self.corrupt(segment, position, end, None, &fault);
                        return corrupt.map(|()| end);
                    }
                    Step::Invalid { position, error } => (position, error),
                    Step::End => break,
                };
                self.decide(segment, position, end, behind, &error)?;
                break;
            }
        }
        segment.set_complete();
        segment.set_checked_from(start);
        if !behind.is_empty() {
            segment.seal(self.index);
        }
        Ok(end)
    }

    /// Cuts a torn tail; anything else is corruption.
    fn decide(
        &self,
        segment: &Arc<Segment>,
        position: u64,
        end: Offset,
        behind: &[Arc<Segment>],
        fault: &BatchError,
    ) -> Result<(), Error> {
        let file = segment.file.open()?;
        let size = segment.size();
        let valid = find_valid_batch(&*file, position + 1, size, end)
            .map_err(|error| Error::io("read", segment.file.path(), error))?;
        if valid.is_some() {
            return self.corrupt(segment, position, end, valid, fault);
        }
        if let Some(next) = behind.iter().find(|next| next.size() > 0) {
            error!(
                log = %self.topic_partition, next = %next.base_offset,
                "there are records in the segments behind the fault"
            );
            let again = next.base_offset;
            return self.corrupt_until(segment, position, end, (size, again), fault);
        }
        self.cut(segment, position, end, fault)
    }

    fn corrupt(
        &self,
        segment: &Segment,
        position: u64,
        first_offset: Offset,
        valid: Option<(u64, BatchHeader)>,
        fault: &BatchError,
    ) -> Result<(), Error> {
        let again = valid.map_or((segment.size(), first_offset), |(position, header)| {
            (position, header.base_offset)
        });
        self.corrupt_until(segment, position, first_offset, again, fault)
    }

    /// Reports corruption. The file stays as it is: it is the only copy of what can still be read.
    fn corrupt_until(
        &self,
        segment: &Segment,
        position: u64,
        first_offset: Offset,
        (valid_again_at, valid_again_offset): (u64, Offset),
        fault: &BatchError,
    ) -> Result<(), Error> {
        let path = segment.file.path();
        error!(
            log = %self.topic_partition, file = %path.display(), position, valid_again_at,
            first_offset = first_offset.0, valid_again_offset = valid_again_offset.0, %fault,
            "the log is corrupt: the partition stays offline and its files are left untouched"
        );
        Err(Error::Corrupt(Box::new(Corruption {
            topic_partition: self.topic_partition.clone(),
            path,
            position,
            valid_again_at,
            first_offset,
            valid_again_offset,
        })))
    }

    fn cut(
        &self,
        segment: &Arc<Segment>,
        position: u64,
        end: Offset,
        fault: &BatchError,
    ) -> Result<(), Error> {
        let (size, path) = (segment.size(), segment.file.path());
        if end < self.recovery_point {
            let copy = self.quarantine(segment, position, size)?;
            error!(
                log = %self.topic_partition, file = %path.display(), position, size,
                copy = %copy.display(), %fault,
                "durable bytes at the end of the log are damaged: cut, a copy is kept"
            );
        } else {
            warn!(
                log = %self.topic_partition, file = %path.display(), position, size,
                end_offset = end.0, %fault, "cut the torn tail of the log"
            );
        }
        let file = segment.file.open()?;
        file.set_len(position)
            .map_err(|error| Error::io("cut", &path, error))?;
        segment.set_size(position);
        self.index.shared.sync_file(&*file, &path)?;
        // Rows above the cut must not come back when new records stand there.
        if let Err(error) = self.index.shared.kv().flush() {
            warn!(%error, "the view is not flushed behind a cut");
        }
        Ok(())
    }

    /// Keeps the bytes that are cut.
    fn quarantine(
        &self,
        segment: &Arc<Segment>,
        position: u64,
        size: u64,
    ) -> Result<PathBuf, Error> {
        let len = usize::try_from(size - position).unwrap_or(usize::MAX);
        let bytes = FileRange {
            file: Arc::clone(&segment.file),
            position,
            len,
        }
        .read()?;
        let name = format!("{:020}.{position}.quarantine", segment.base_offset.0);
        let path = self.folder.join(name);
        self.index
            .shared
            .replace_file(&path, &bytes, Durable::Yes)?;
        Ok(path)
    }

    /// Says which durable offsets have no records any more.
    fn reserve_lost(&self, end: Offset) -> Option<(Offset, Offset)> {
        if end >= self.recovery_point {
            return None;
        }
        error!(
            log = %self.topic_partition, first_lost = end.0, next_offset = self.recovery_point.0,
            "durable records are gone: their offsets are not given out again"
        );
        Some((end, self.recovery_point))
    }

    /// The newest producer state at or below an offset.
    fn load_producers(&self, highest: Offset) -> Replay {
        let row = self
            .index
            .shared
            .kv()
            .producer_state(self.index.log)
            .unwrap_or_default();
        let row = row.filter(|(offset, _)| *offset <= highest);
        let mut files: Vec<Offset> = self
            .snapshots
            .iter()
            .copied()
            .filter(|offset| *offset <= highest)
            .collect();
        files.sort_unstable();
        let mut row = row.and_then(|(offset, bytes)| Some((offset, snapshot::decode(&bytes)?)));
        loop {
            let file = files.pop();
            // The row remembers more batches of each producer than a file of the same offset.
            if let Some((offset, entries)) = row.take_if(|(offset, _)| Some(*offset) >= file) {
                return Replay {
                    producers: Producers::from_snapshot(offset, entries),
                    aborted: Vec::new(),
                };
            }
            let Some(offset) = file else {
                return Replay {
                    producers: Producers::starting_at(Offset::ZERO),
                    aborted: Vec::new(),
                };
            };
            let path = self.folder.join(snapshot_name(offset));
            let content = read_file(&*self.index.shared.fs, &path).ok();
            if let Some(entries) = content.as_deref().and_then(snapshot::decode) {
                return Replay {
                    producers: Producers::from_snapshot(offset, entries),
                    aborted: Vec::new(),
                };
            }
            warn!(file = %path.display(), "a producer snapshot is damaged and left out");
        }
    }

    /// The state that was loaded lies above the end of the log: starts again with an older one.
    fn reload_producers(&mut self, end: Offset) -> Result<Replay, Error> {
        info!(log = %self.topic_partition, end = end.0, "producer state lies above the log");
        let kv = self.index.shared.kv();
        if kv
            .delete_producer_state(self.index.log)
            .and_then(|()| kv.flush())
            .is_err()
        {
            warn!("a row of the view that is ahead of its log could not be removed");
        }
        for offset in self.snapshots.extract_if(.., |offset| *offset > end) {
            let _ = self
                .index
                .shared
                .fs
                .remove_file(&self.folder.join(snapshot_name(offset)));
        }
        let mut replay = self.load_producers(end);
        let from = replay.producers.end();
        for (number, segment) in self.segments.values().enumerate() {
            let next = self
                .segments
                .values()
                .nth(number + 1)
                .map(|next| next.base_offset);
            if next.is_none_or(|next| next > from) {
                self.replay_headers(&mut replay, segment, segment.size())?;
            }
        }
        Ok(replay)
    }
}

/// Reads the leader epochs out of the batches, where their file is damaged or gone.
pub(super) fn rebuild_epochs<'a>(
    segments: impl Iterator<Item = &'a Arc<Segment>>,
) -> Result<LeaderEpochs, Error> {
    let mut epochs = LeaderEpochs::default();
    for segment in segments {
        if segment.size() == 0 {
            continue;
        }
        let file = segment.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Header, 0, segment.size());
        // A fault ends the segment here; the check that follows says what it is.
        while let Step::Batch { header, .. } = scanner
            .step()
            .map_err(|error| Error::io("read", segment.file.path(), error))?
        {
            epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
    }
    epochs.mark_dirty();
    Ok(epochs)
}

impl Recovered {
    /// A log that was just made.
    pub(super) fn empty() -> Recovered {
        Recovered {
            end: Offset::ZERO,
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
            aborted: Vec::new(),
            aborted_file: AbortedFile::default(),
            snapshot_offset: Offset(-1),
            lost: None,
        }
    }
}

/// Brings producers up to the end of a segment.
pub(super) fn replay_segment(
    producers: &mut Producers,
    segment: &Arc<Segment>,
) -> Result<(), Error> {
    let mut replay = Replay {
        producers: std::mem::take(producers),
        aborted: Vec::new(),
    };
    if segment.size() > 0 {
        let file = segment.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Header, 0, segment.size());
        while let Step::Batch { position, header } = scanner
            .step()
            .map_err(|error| Error::io("read", segment.file.path(), error))?
        {
            replay.batch(segment, position, &header)?;
        }
    }
    *producers = replay.producers;
    Ok(())
}
