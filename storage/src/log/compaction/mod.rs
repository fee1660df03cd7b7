//! Compaction: of each key the last record stays, and a tombstone only as long as readers need it.
//!
//! Invariant: a record goes only when a later one of its key is in the log, or when it is a tombstone
//! whose time is over; offsets, and the order of what stays, never change. Appends and reads go on
//! meanwhile: sealed segments are read, what is left of them is written beside them, and the new file
//! takes their place at once (`swap.rs`).
//!
//! ```text
//! 0 ─── compacted ─────────────── end ──── active
//! │ clean    │ dirty: keys.rs maps │ not yet │
//! │          │ each key's last     │ (lag,   │
//! │          │ offset              │ LSO)    │
//! └─ rewrite.rs: segment groups ───┘
//! ```

mod keys;
mod rewrite;
mod swap;
mod transactions;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::{Offset, ProducerEpoch, ProducerId, Timestamp};
use tracing::info;

use super::Log;
use super::segment::Segment;
use crate::config::LogConfig;
use crate::error::Error;
use keys::{BYTES_PER_KEY, LastOffsets};
pub(crate) use swap::{CLEANED, Swap};
use transactions::Seen;

/// How far a log could be compacted, and whether it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleanable {
    /// The part of the log that is not compacted, of all that may be; 0 to 1.
    pub ratio: f64,
    /// The ratio, or the age of what is not compacted, asks for it.
    pub is_due: bool,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Below it no key is twice.
    pub end: Offset,
}

/// Called with the bytes that were just read or written; may wait. An error ends the compaction, which
/// leaves the log as it was, or done up to a segment.
pub trait Pace {
    fn spent(&mut self, bytes: usize) -> Result<(), Error>;
}

impl<F: FnMut(usize) -> Result<(), Error>> Pace for F {
    fn spent(&mut self, bytes: usize) -> Result<(), Error> {
        self(bytes)
    }
}

/// What may be compacted now.
struct Range {
    /// Sealed segments from the first one on.
    segments: Vec<Arc<Segment>>,
    /// Where what is not compacted begins, and ends.
    dirty: Offset,
    end: Offset,
}

/// What decides about each record of one run.
struct Run<'a> {
    config: &'a LogConfig,
    now: Timestamp,
    last: LastOffsets,
    /// Keys at or above it were not mapped.
    end: Offset,
    last_of_producers: LastOfProducers,
}

/// What must stay of each producer that is still known: its last batch, which keeps its sequence, or
/// its epoch where there is none.
#[derive(Default)]
struct LastOfProducers {
    batches: HashSet<(ProducerId, Offset)>,
    epochs: HashSet<(ProducerId, ProducerEpoch)>,
}

impl Log {
    /// Below it no key is twice.
    pub fn compacted_up_to(&self) -> Offset {
        let compacted = Offset(self.compacted.load(Ordering::Acquire));
        let log_start = self.log_start_offset();
        if compacted > self.log_end_offset() {
            return log_start;
        }
        compacted.max(log_start)
    }

    /// As it is written down; 0 where nothing was compacted.
    pub(crate) fn compacted_checkpoint(&self) -> Offset {
        Offset(self.compacted.load(Ordering::Acquire))
    }

    /// Whether there is something to compact; `None` for a log that is not compacted.
    pub fn cleanable(&self, now: Timestamp) -> Result<Option<Cleanable>, Error> {
        let config = self.config();
        if !config.cleanup.compact {
            return Ok(None);
        }
        self.or_closed(self.cleanable_now(&config, now)).map(Some)
    }

    /// Files of a log that is deleted, or put back, go while they are looked at: that is no fault.
    fn or_closed<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() && !self.writer.lock().open {
            return Err(Error::Closed {
                topic_partition: self.topic_partition.clone(),
            });
        }
        result
    }

    fn cleanable_now(&self, config: &LogConfig, now: Timestamp) -> Result<Cleanable, Error> {
        let range = self.cleanable_range(config, now)?;
        let (mut clean, mut dirty) = (0, 0);
        let mut oldest: Option<Timestamp> = None;
        for segment in &range.segments {
            if segment.base_offset < range.dirty {
                clean += segment.size();
                continue;
            }
            dirty += segment.size();
            let first = segment.first_timestamp()?.filter(|first| first.0 >= 0);
            oldest = [oldest, first].into_iter().flatten().min();
        }
        let waited = oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0));
        let ratio = if dirty == 0 {
            0.0
        } else {
            dirty as f64 / (clean + dirty) as f64
        };
        let is_late = dirty > 0 && waited > config.max_compaction_lag_ms;
        Ok(Cleanable {
            ratio,
            is_due: is_late || ratio > config.min_cleanable_dirty_ratio,
        })
    }

    fn cleanable_range(&self, config: &LogConfig, now: Timestamp) -> Result<Range, Error> {
        let active = self.end.lock().segment.base_offset;
        let stable = self.last_stable_offset();
        let dirty = self.compacted_up_to();
        let all = self.all_segments();
        let mut range = Range {
            segments: Vec::new(),
            dirty,
            end: dirty,
        };
        for (number, segment) in all.iter().enumerate() {
            let next = all.get(number + 1).map_or(active, |next| next.base_offset);
            if segment.base_offset >= active || next > stable {
                break;
            }
            if config.min_compaction_lag_ms > 0 && next > dirty {
                let age = now.0.saturating_sub(self.largest_timestamp(segment)?.0);
                if age < config.min_compaction_lag_ms {
                    break;
                }
            }
            range.segments.push(Arc::clone(segment));
            range.end = range.end.max(next);
        }
        Ok(range)
    }

    /// Compacts what may be compacted; the map of its keys takes about so many bytes. With too few for
    /// all keys, a part of the log is done, and the rest the next time.
    ///
    /// # Errors
    /// What the files say, [`Error::Closed`] for a log that is gone, and what `pace` ends it with.
    pub fn compact(
        &self,
        now: Timestamp,
        map_bytes: usize,
        pace: &mut dyn Pace,
    ) -> Result<Compacted, Error> {
        self.or_closed(self.compact_now(now, map_bytes, pace))
    }

    fn compact_now(
        &self,
        now: Timestamp,
        map_bytes: usize,
        pace: &mut dyn Pace,
    ) -> Result<Compacted, Error> {
        let keys_max = (map_bytes / BYTES_PER_KEY).max(1);
        let config = self.config();
        let range = self.cleanable_range(&config, now)?;
        let dirty = range.segments.iter();
        let dirty = dirty.filter(|segment| self.ends_above(segment, range.dirty));
        let (last, end) = self.map_keys(dirty, range.dirty, range.end, keys_max, pace)?;
        let run = Run {
            config: &config,
            now,
            last,
            end,
            last_of_producers: self.last_of_producers(),
        };
        let mut seen = Seen::default();
        let mut done = Compacted {
            end,
            ..Compacted::default()
        };
        let concerned: Vec<_> = range
            .segments
            .into_iter()
            .filter(|segment| segment.base_offset < end)
            .collect();
        for group in groups(&concerned, &config, end) {
            let (before, after) = self.compact_group(&run, &group, &mut seen, pace)?;
            done.bytes_before += before;
            done.bytes_after += after;
        }
        self.compacted.fetch_max(end.0, Ordering::AcqRel);
        info!(
            log = %self.topic_partition, end = %end, bytes_before = done.bytes_before,
            bytes_after = done.bytes_after, "compacted"
        );
        Ok(done)
    }

    fn ends_above(&self, segment: &Segment, offset: Offset) -> bool {
        let next = self.segment_after(segment.base_offset);
        next.is_none_or(|next| next.base_offset > offset)
    }

    fn last_of_producers(&self) -> LastOfProducers {
        let writer = self.writer.lock();
        let mut last = LastOfProducers::default();
        for (id, entry) in writer.producers.entries() {
            match entry.batches.back() {
                Some(batch) => last.batches.insert((*id, batch.last_offset)),
                None => last.epochs.insert((*id, entry.epoch)),
            };
        }
        last
    }
}

/// Segments that become one: as many as fit into one by their sizes of now.
fn groups(segments: &[Arc<Segment>], config: &LogConfig, end: Offset) -> Vec<Vec<Arc<Segment>>> {
    let room = u64::from(config.segment_bytes).min(i32::MAX as u64);
    let mut groups: Vec<Vec<Arc<Segment>>> = Vec::new();
    let mut size = 0;
    for (number, segment) in segments.iter().enumerate() {
        let next = segments
            .get(number + 1)
            .map_or(end, |next| next.base_offset);
        let last = groups.last_mut().filter(|group| {
            let base = group
                .first()
                .map_or(segment.base_offset, |it| it.base_offset);
            size + segment.size() <= room && next - base <= i64::from(i32::MAX)
        });
        match last {
            Some(group) => {
                size += segment.size();
                group.push(Arc::clone(segment));
            }
            None => {
                size = segment.size();
                groups.push(vec![Arc::clone(segment)]);
            }
        }
    }
    groups
}
