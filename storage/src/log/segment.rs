//! One file of batches, and what is known of it.
//!
//! Invariant: bytes below `size` are whole batches that never change while the segment is held; a
//! position taken from the index is the start of a batch, or its reader finds out.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::{BatchHeader, Offset, Timestamp};
use tracing::{debug, error};

use super::file::SegmentFile;
use super::scan::{Check, Scanner, Step, header_at};
use crate::error::Error;
use crate::kv::{IndexEntry, LogId, SegmentSummary};
use crate::shared::Shared;

/// Entries that one row of the index holds.
const ROW_ENTRIES: usize = 512;
/// Entries that wait in memory when the view cannot be written.
const WAITING_ENTRIES_MAX: usize = 8 * ROW_ENTRIES;

/// How a segment reaches its index.
#[derive(Clone, Copy)]
pub(crate) struct IndexAccess<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) log: LogId,
    /// `index.interval.bytes`.
    pub(crate) interval: u64,
}

pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    /// No other segment of this process has it, whatever its base offset.
    pub(crate) serial: u64,
    /// The view has rows of another segment under this base offset, or will have.
    detached: AtomicBool,
    pub(crate) file: Arc<SegmentFile>,
    size: AtomicU64,
    /// Bytes in front of it were there at the start and their CRCs have not all been checked.
    unchecked: AtomicU64,
    /// Of those, the stretch that has been checked since.
    checked: Mutex<Range<u64>>,
    known: Mutex<Known>,
}

/// What is known of the batches below `size`.
struct Known {
    /// The newest entries, not in the view yet.
    entries: Vec<IndexEntry>,
    bytes_since_entry: u64,
    max_timestamp: Timestamp,
    /// Max timestamp of the first batch; segments roll by it.
    first_timestamp: Option<Timestamp>,
    /// False for a segment found at start and not looked into yet.
    complete: bool,
}

pub(crate) fn file_name(base_offset: Offset) -> String {
    format!("{:020}.log", base_offset.0)
}

/// The time of the newest record; compaction leaves batches without any.
fn newest(header: &BatchHeader) -> Timestamp {
    if header.record_count == 0 {
        Timestamp::NONE
    } else {
        header.max_timestamp
    }
}

impl Segment {
    /// A segment that was just made.
    pub(crate) fn new(base_offset: Offset, file: Arc<SegmentFile>) -> Segment {
        Segment::with(base_offset, file, 0, true)
    }

    /// A segment found at start; nothing of it has been read.
    pub(crate) fn found(base_offset: Offset, file: Arc<SegmentFile>, size: u64) -> Segment {
        Segment::with(base_offset, file, size, size == 0)
    }

    fn with(base_offset: Offset, file: Arc<SegmentFile>, size: u64, complete: bool) -> Segment {
        let known = Known {
            entries: Vec::new(),
            bytes_since_entry: 0,
            max_timestamp: Timestamp::NONE,
            first_timestamp: None,
            complete,
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Segment {
            base_offset,
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
            detached: AtomicBool::new(false),
            file,
            size: AtomicU64::new(size),
            unchecked: AtomicU64::new(size),
            checked: Mutex::new(0..0),
            known: Mutex::new(known),
        }
    }

    /// What the file is called once it is no longer a part of the log.
    pub(crate) fn deleted_name(&self) -> String {
        format!("{}.{}.deleted", file_name(self.base_offset), self.serial)
    }

    /// Does without the view from now on, which gets rows of the segment that takes its place.
    pub(super) fn detach(&self, access: IndexAccess<'_>) {
        let mut known = self.known.lock();
        self.detached.store(true, Ordering::Release);
        access.shared.index_entries_removed(known.entries.len());
        known.entries.clear();
        known.bytes_since_entry = 0;
    }

    /// Takes the view again: no other segment takes its place after all.
    pub(super) fn attach(&self) {
        let mut known = self.known.lock();
        self.detached.store(false, Ordering::Release);
        known.complete = false;
    }

    /// Makes the index now, not at the first search.
    pub(super) fn learn(&self, access: IndexAccess<'_>) -> Result<(), Error> {
        self.rebuild(&mut self.known.lock(), access)
    }

    /// The CRCs from a position to the end of the file were checked at the start.
    pub(crate) fn set_checked_from(&self, position: u64) {
        self.unchecked.fetch_min(position, Ordering::AcqRel);
    }

    /// Checks the CRCs, and the order of the offsets, of whole batches that nobody has checked
    /// since the start.
    ///
    /// Returns where the first fault is. Sequential readers pay for it once.
    pub(crate) fn first_fault(
        &self,
        stretch: Range<u64>,
        offsets: Range<Offset>,
    ) -> Result<Option<u64>, Error> {
        if stretch.start >= self.unchecked.load(Ordering::Acquire) {
            return Ok(None);
        }
        {
            let checked = self.checked.lock();
            if checked.start <= stretch.start && stretch.end <= checked.end {
                return Ok(None);
            }
        }
        let file = self.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Crc, stretch.start, stretch.end);
        let (mut next, mut last) = (offsets.start, stretch.start);
        loop {
            let step = scanner
                .step()
                .map_err(|error| Error::io("read", self.file.path(), error))?;
            match step {
                Step::Batch { position, header }
                    if header.base_offset >= next && header.next_offset() <= offsets.end =>
                {
                    (next, last) = (header.next_offset(), position);
                }
                Step::Batch { position, .. } => {
                    // The base offset lies outside the CRC: this one or the last one is wrong.
                    let file = self.file.path();
                    error!(file = %file.display(), position, "a segment is corrupt: wrong offsets");
                    return Ok(Some(last));
                }
                Step::Invalid { position, error } => {
                    let file = self.file.path();
                    error!(file = %file.display(), position, %error, "a segment is corrupt");
                    return Ok(Some(position));
                }
                Step::End => break,
            }
        }
        let mut checked = self.checked.lock();
        if (checked.start..=checked.end).contains(&stretch.start) {
            checked.end = checked.end.max(stretch.end);
        } else {
            *checked = stretch;
        }
        if checked.start == 0 && checked.end >= self.unchecked.load(Ordering::Acquire) {
            self.unchecked.store(0, Ordering::Release);
        }
        Ok(None)
    }

    /// Bytes of whole batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// Takes a batch into the index. Its header says where it is now, not where it came from.
    pub(crate) fn note_batch(&self, access: IndexAccess<'_>, position: u64, header: &BatchHeader) {
        let mut known = self.known.lock();
        if known.bytes_since_entry > access.interval {
            self.push_entry(&mut known, access, position, header.base_offset);
        }
        known.bytes_since_entry += header.size_in_bytes() as u64;
        known.max_timestamp = known.max_timestamp.max(newest(header));
        if position == 0 {
            known.first_timestamp = Some(header.max_timestamp);
        }
    }

    fn push_entry(
        &self,
        known: &mut Known,
        access: IndexAccess<'_>,
        position: u64,
        base_offset: Offset,
    ) {
        let relative_offset = u32::try_from(base_offset - self.base_offset);
        let (Ok(relative_offset), Ok(position)) = (relative_offset, u32::try_from(position)) else {
            return;
        };
        known.bytes_since_entry = 0;
        let max_timestamp_before = known.max_timestamp;
        known.entries.push(IndexEntry {
            relative_offset,
            position,
            max_timestamp_before,
        });
        let too_many = access.shared.index_entries_added(1);
        if too_many || known.entries.len() >= ROW_ENTRIES {
            self.spill_known(known, access);
        }
    }

    /// Moves the entries in memory to the view.
    pub(crate) fn spill(&self, access: IndexAccess<'_>) {
        self.spill_known(&mut self.known.lock(), access);
    }

    fn spill_known(&self, known: &mut Known, access: IndexAccess<'_>) {
        if known.entries.is_empty() {
            return;
        }
        match access
            .shared
            .kv()
            .put_index(access.log, self.base_offset, &known.entries)
        {
            Ok(()) => {
                access.shared.index_entries_removed(known.entries.len());
                known.entries.clear();
            }
            Err(error) => {
                debug!(%error, "index entries wait in memory");
                // Without its oldest entries the index is slower, not wrong.
                let surplus = known.entries.len().saturating_sub(WAITING_ENTRIES_MAX);
                known.entries.drain(..surplus);
                access.shared.index_entries_removed(surplus);
            }
        }
    }

    /// Writes down what the segment is, now that it is no longer written to.
    pub(crate) fn seal(&self, access: IndexAccess<'_>) {
        let mut known = self.known.lock();
        self.spill_known(&mut known, access);
        if known.complete {
            let summary = SegmentSummary {
                size: self.size(),
                max_timestamp: known.max_timestamp,
            };
            let kv = access.shared.kv();
            if let Err(error) = kv.put_segment_summary(access.log, self.base_offset, summary) {
                debug!(%error, "a segment's summary is not in the view");
            }
        }
    }

    /// Forgets what is known from a position on, and what is in the view from there on.
    ///
    /// Returns where to begin to learn it again: the start of a batch.
    pub(crate) fn forget_from(&self, access: IndexAccess<'_>, position: u64) -> Result<u64, Error> {
        let mut known = self.known.lock();
        access.shared.index_entries_removed(known.entries.len());
        known.entries.clear();
        known.first_timestamp = None;
        known.complete = false;
        let kv = access.shared.kv();
        if let Err(error) = kv.cut_index(access.log, self.base_offset, position) {
            debug!(%error, "the index of a segment is not cut");
        }
        let entry = match position.checked_sub(1) {
            Some(below) => kv
                .index_by_position(access.log, self.base_offset, below)
                .ok()
                .flatten(),
            None => None,
        };
        let entry = match entry {
            Some(entry) if self.verify(entry)?.is_some() => Some(entry),
            Some(_) => {
                if let Err(error) = kv.delete_segment(access.log, self.base_offset) {
                    debug!(%error, "the index of a segment is not removed");
                }
                None
            }
            None => None,
        };
        known.bytes_since_entry = 0;
        known.max_timestamp = entry.map_or(Timestamp::NONE, |entry| entry.max_timestamp_before);
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// Everything below `size` has been noted.
    pub(crate) fn set_complete(&self) {
        self.known.lock().complete = true;
    }

    /// The header at an entry's position, where it is the batch that the entry names.
    fn verify(&self, entry: IndexEntry) -> Result<Option<BatchHeader>, Error> {
        let file = self.file.open()?;
        let header = header_at(&*file, u64::from(entry.position), self.size())
            .map_err(|error| Error::io("read", self.file.path(), error))?;
        let offset = Offset(self.base_offset.0 + i64::from(entry.relative_offset));
        Ok(header.filter(|header| header.base_offset == offset))
    }

    /// Looks into a segment that was found at start: reads its summary, or its headers.
    fn complete(&self, known: &mut Known, access: IndexAccess<'_>) -> Result<(), Error> {
        if known.complete {
            return Ok(());
        }
        let summary = access
            .shared
            .kv()
            .segment_summary(access.log, self.base_offset);
        if let Ok(Some(summary)) = summary
            && summary.size == self.size()
        {
            known.max_timestamp = summary.max_timestamp;
            known.complete = true;
            return Ok(());
        }
        self.rebuild(known, access)
    }

    /// Makes the index anew from the headers.
    fn rebuild(&self, known: &mut Known, access: IndexAccess<'_>) -> Result<(), Error> {
        if self.detached.load(Ordering::Acquire) {
            return Ok(());
        }
        let kv = access.shared.kv();
        if let Err(error) = kv.delete_segment(access.log, self.base_offset) {
            debug!(%error, "the index of a segment is not removed");
        }
        access.shared.index_entries_removed(known.entries.len());
        known.entries.clear();
        known.bytes_since_entry = 0;
        known.max_timestamp = Timestamp::NONE;
        let file = self.file.open()?;
        let mut scanner = Scanner::new(&*file, Check::Header, 0, self.size());
        loop {
            let step = scanner
                .step()
                .map_err(|error| Error::io("read", self.file.path(), error))?;
            match step {
                Step::Batch { position, header } => {
                    if known.bytes_since_entry > access.interval {
                        self.push_entry(known, access, position, header.base_offset);
                    }
                    known.bytes_since_entry += header.size_in_bytes() as u64;
                    known.max_timestamp = known.max_timestamp.max(newest(&header));
                }
                Step::Invalid { position, error } => {
                    let file = self.file.path();
                    error!(file = %file.display(), position, %error, "a segment is corrupt");
                    break;
                }
                Step::End => break,
            }
        }
        known.complete = true;
        self.spill_known(known, access);
        let summary = SegmentSummary {
            size: self.size(),
            max_timestamp: known.max_timestamp,
        };
        if let Err(error) = kv.put_segment_summary(access.log, self.base_offset, summary) {
            debug!(%error, "a segment's summary is not in the view");
        }
        Ok(())
    }

    /// The largest timestamp in the segment; `NONE` where no record has one.
    pub(crate) fn max_timestamp(&self, access: IndexAccess<'_>) -> Result<Timestamp, Error> {
        let mut known = self.known.lock();
        self.complete(&mut known, access)?;
        Ok(known.max_timestamp)
    }

    /// The max timestamp of the first batch; `None` where there is no batch.
    pub(crate) fn first_timestamp(&self) -> Result<Option<Timestamp>, Error> {
        let mut known = self.known.lock();
        if known.first_timestamp.is_none() && self.size() > 0 {
            let file = self.file.open()?;
            let header = header_at(&*file, 0, self.size())
                .map_err(|error| Error::io("read", self.file.path(), error))?;
            known.first_timestamp = header.map(|header| header.max_timestamp);
        }
        Ok(known.first_timestamp)
    }

    /// The last entry that the predicate holds for, in memory or in the view, verified.
    fn lookup(
        &self,
        access: IndexAccess<'_>,
        holds: impl Fn(&IndexEntry) -> bool,
        in_view: impl Fn() -> Result<Option<IndexEntry>, Error>,
    ) -> Result<Option<(u64, BatchHeader)>, Error> {
        for _ in 0..2 {
            let in_memory = {
                let mut known = self.known.lock();
                if self.detached.load(Ordering::Acquire) {
                    return Ok(None);
                }
                self.complete(&mut known, access)?;
                let count = known.entries.partition_point(&holds);
                count
                    .checked_sub(1)
                    .and_then(|last| known.entries.get(last).copied())
            };
            // Not under the lock, which an append waits for. A view that cannot be read is slow to
            // do without, no more; entries that went to it meanwhile are found there.
            let entry = match in_memory {
                Some(entry) => Some(entry),
                None => in_view().unwrap_or_default(),
            };
            let Some(entry) = entry else { return Ok(None) };
            if let Some(header) = self.verify(entry)? {
                return Ok(Some((u64::from(entry.position), header)));
            }
            if self.detached.load(Ordering::Acquire) {
                return Ok(None);
            }
            let file = self.file.path();
            error!(file = %file.display(), ?entry, "the index is wrong and made anew");
            self.rebuild(&mut self.known.lock(), access)?;
        }
        Ok(None)
    }

    /// The start of a batch at or below the one that holds an offset.
    pub(crate) fn position_by_offset(
        &self,
        access: IndexAccess<'_>,
        offset: Offset,
    ) -> Result<u64, Error> {
        let relative = offset - self.base_offset;
        let found = self.lookup(
            access,
            |entry| i64::from(entry.relative_offset) <= relative,
            || {
                access
                    .shared
                    .kv()
                    .index_by_offset(access.log, self.base_offset, offset)
            },
        )?;
        Ok(found.map_or(0, |(position, _)| position))
    }

    /// The last indexed batch that begins at or below a position, which lies behind the batch with
    /// this offset.
    pub(crate) fn batch_by_position(
        &self,
        access: IndexAccess<'_>,
        behind: Offset,
        position: u64,
    ) -> Result<Option<(u64, BatchHeader)>, Error> {
        self.lookup(
            access,
            |entry| u64::from(entry.position) <= position,
            || {
                let kv = access.shared.kv();
                kv.index_by_position_behind(access.log, self.base_offset, behind, position)
            },
        )
    }

    /// The start of a batch with only older records in front of it.
    pub(crate) fn position_by_timestamp(
        &self,
        access: IndexAccess<'_>,
        timestamp: Timestamp,
    ) -> Result<u64, Error> {
        let found = self.lookup(
            access,
            |entry| entry.max_timestamp_before < timestamp,
            || {
                access
                    .shared
                    .kv()
                    .index_by_timestamp(access.log, self.base_offset, timestamp)
            },
        )?;
        Ok(found.map_or(0, |(position, _)| position))
    }
}
