//! The records between a share partition's start and what it has not fetched yet.
//!
//! Invariant: an offset from `start` up to `next_new` lies in one batch, or in one gap, or does not
//! exist in the log. Before `start` nobody needs anything; batches that lie before it altogether
//! are forgotten. An unfetched gap is never passed by `start`.

use std::collections::BTreeMap;

use protocol::{Offset, Timestamp};

use super::api::{DeliveryState, StateBatch};
use super::batch::{Delivery, InFlightBatch, Record};
use crate::share::OffsetRange;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    /// The share partition start offset (SPSO).
    start: Offset,
    /// Behind all that was fetched.
    next_new: Offset,
    /// By their first offset.
    batches: BTreeMap<Offset, InFlightBatch>,
    /// What the state that was read knows nothing of, though it knows of something behind: it was
    /// handed out, and nobody said what became of it. First offsets to last ones.
    gaps: BTreeMap<Offset, Offset>,
    /// Whether it is worth to look for records that can be handed out again.
    may_have_available: bool,
    /// No lock ends before. It may be too early, for a lock that is given up leaves it alone.
    earliest_lock_end: Option<Timestamp>,
}

/// Why a state that was read is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidState {
    #[error("a batch begins at {batch}, before the start offset {start}")]
    BeforeStart { batch: Offset, start: Offset },
    #[error("a batch begins at {batch}, within the one before it, which ends at {last}")]
    Overlap { batch: Offset, last: Offset },
}

impl InFlight {
    /// What a state that was read stands for.
    pub(super) fn load(start: Offset, state: &[StateBatch]) -> Result<Self, InvalidState> {
        let mut loaded = InFlight {
            start,
            next_new: start,
            ..InFlight::default()
        };
        let mut state = state.to_vec();
        state.sort_by_key(|batch| batch.offsets);
        for batch in state {
            let offsets = batch.offsets;
            let first = offsets.first();
            if first < start {
                let batch = first;
                return Err(InvalidState::BeforeStart { batch, start });
            }
            if first < loaded.next_new {
                let last = Offset(loaded.next_new.0 - 1);
                return Err(InvalidState::Overlap { batch: first, last });
            }
            if let Some(gap) = first.0.checked_sub(1).map(Offset)
                && loaded.next_new <= gap
            {
                loaded.gaps.insert(loaded.next_new, gap);
            }
            let record = Record::in_state(batch.state, batch.delivery_count);
            let batch = InFlightBatch::new(offsets, record);
            loaded.batches.insert(first, batch);
            loaded.next_new = offsets.last().next();
        }
        loaded.may_have_available = true;
        loaded.advance_start();
        Ok(loaded)
    }

    pub(super) fn start(&self) -> Offset {
        self.start
    }

    pub(super) fn next_new(&self) -> Offset {
        self.next_new
    }

    /// How many offsets count against the limit of locks.
    pub(super) fn count(&self) -> i64 {
        self.next_new - self.start
    }

    /// KIP-1226: how many of them nobody needs any more.
    pub(super) fn complete_count(&self) -> i64 {
        let complete = |batch: &InFlightBatch| -> i64 {
            let runs = batch.runs().filter(|(_, record)| record.is_complete());
            runs.filter_map(|(offsets, _)| offsets.starting_at(self.start))
                .map(OffsetRange::count)
                .sum()
        };
        self.batches.values().map(complete).sum()
    }

    /// From where the log is to be read next: the first record that can be handed out.
    pub(super) fn next_fetch_offset(&mut self) -> Offset {
        let gap = self.gaps.keys().next().copied();
        let available = self.first_available();
        let first = gap.into_iter().chain(available).min();
        first.unwrap_or(self.next_new)
    }

    fn first_available(&mut self) -> Option<Offset> {
        if !self.may_have_available {
            return None;
        }
        let runs = self.batches.values().flat_map(InFlightBatch::runs);
        let available = runs.filter(|(_, record)| record.is_available());
        let mut available = available.filter_map(|(offsets, _)| offsets.starting_at(self.start));
        let first = available.next().map(OffsetRange::first);
        self.may_have_available = first.is_some();
        first
    }

    /// The keys of the batches that share offsets with these, in order.
    pub(super) fn batches_touching(&self, offsets: OffsetRange) -> Vec<Offset> {
        let before = self.batches.range(..offsets.first()).next_back();
        let before = before.filter(|(_, batch)| batch.offsets().last() >= offsets.first());
        let within = self.batches.range(offsets.first()..=offsets.last());
        before
            .into_iter()
            .chain(within)
            .map(|(key, _)| *key)
            .collect()
    }

    /// The key of the last batch that begins at the offset or before it.
    pub(super) fn floor(&self, offset: Offset) -> Option<Offset> {
        let floor = self.batches.range(..=offset).next_back();
        floor.map(|(key, _)| *key)
    }

    /// The keys of the batches that begin from one offset to another.
    pub(super) fn keys_between(&self, first: Offset, last: Offset) -> Vec<Offset> {
        if last < first {
            return Vec::new();
        }
        let between = self.batches.range(first..=last);
        between.map(|(key, _)| *key).collect()
    }

    pub(super) fn batch(&self, key: Offset) -> Option<&InFlightBatch> {
        self.batches.get(&key)
    }

    pub(super) fn batch_mut(&mut self, key: Offset) -> Option<&mut InFlightBatch> {
        self.batches.get_mut(&key)
    }

    /// What of these offsets was not fetched yet, as far as it can be handed out.
    pub(super) fn unfetched(&self, offsets: OffsetRange) -> Vec<OffsetRange> {
        let gaps = self.gaps.iter();
        let gaps = gaps.filter_map(|(first, last)| OffsetRange::new(*first, *last));
        let mut unfetched: Vec<OffsetRange> =
            gaps.filter_map(|gap| gap.intersection(offsets)).collect();
        unfetched.extend(offsets.starting_at(self.next_new));
        unfetched
    }

    /// Takes offsets in that were not fetched before.
    pub(super) fn add(&mut self, batch: InFlightBatch) {
        let offsets = batch.offsets();
        self.remove_gaps(offsets);
        self.next_new = self.next_new.max(offsets.last().next());
        self.batches.insert(offsets.first(), batch);
    }

    /// There is no record at these offsets: the log was read, and went on behind them.
    pub(super) fn archive_missing(&mut self, offsets: OffsetRange) {
        self.remove_gaps(offsets);
        self.archive(offsets, |record| {
            let given_back = matches!(
                record.delivery,
                Delivery::Leaving {
                    to: DeliveryState::Available,
                    ..
                }
            );
            record.is_available() || given_back
        });
    }

    /// These records are for nobody any more.
    pub(super) fn archive(&mut self, offsets: OffsetRange, which: impl Fn(&Record) -> bool) {
        self.change(offsets, |_, record| {
            if which(record) {
                record.delivery = Delivery::Archived;
            }
        });
    }

    /// Shows all records within these offsets to `change`.
    pub(super) fn change(
        &mut self,
        offsets: OffsetRange,
        mut change: impl FnMut(OffsetRange, &mut Record),
    ) {
        for key in self.batches_touching(offsets) {
            let Some(batch) = self.batches.get_mut(&key) else {
                continue;
            };
            let Some(within) = batch.offsets().intersection(offsets) else {
                continue;
            };
            if within != batch.offsets() {
                batch.split();
            }
            batch.change(within, &mut change);
        }
    }

    /// Shows all records to `change`.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(OffsetRange, &mut Record)) {
        for batch in self.batches.values_mut() {
            batch.change(batch.offsets(), &mut change);
        }
    }

    /// As [`InFlight::change_all`]; no offsets that are shown lie on both sides of `border`.
    pub(super) fn change_all_around(
        &mut self,
        border: Offset,
        mut change: impl FnMut(OffsetRange, &mut Record),
    ) {
        for batch in self.batches.values_mut() {
            let offsets = batch.offsets();
            let parts = [offsets.before(border), offsets.starting_at(border)];
            if parts.iter().all(Option::is_some) {
                batch.split();
            }
            for part in parts.into_iter().flatten() {
                batch.change(part, &mut change);
            }
        }
    }

    /// Some record can be handed out again.
    pub(super) fn note_available(&mut self) {
        self.may_have_available = true;
    }

    pub(super) fn note_lock(&mut self, until: Timestamp) {
        let earliest = self.earliest_lock_end.map_or(until, |end| end.min(until));
        self.earliest_lock_end = Some(earliest);
    }

    pub(super) fn next_lock_end(&self) -> Option<Timestamp> {
        self.earliest_lock_end
    }

    /// Looks again which lock ends first.
    pub(super) fn find_earliest_lock_end(&mut self) {
        let runs = self.batches.values().flat_map(InFlightBatch::runs);
        let ends = runs.filter_map(|(_, record)| match &record.delivery {
            Delivery::Acquired(lock) => Some(lock.until),
            Delivery::Available
            | Delivery::Leaving { .. }
            | Delivery::Acknowledged
            | Delivery::Archived => None,
        });
        self.earliest_lock_end = ends.min();
    }

    /// The clock was put back: no lock lasts longer for it.
    pub(super) fn clock_put_back(&mut self, by_ms: i64) {
        let earlier = |until: &mut Timestamp| until.0 = until.0.saturating_add(by_ms);
        self.change_all(|_, record| match &mut record.delivery {
            Delivery::Acquired(lock) | Delivery::Leaving { lock, .. } => earlier(&mut lock.until),
            Delivery::Available | Delivery::Acknowledged | Delivery::Archived => {}
        });
        self.earliest_lock_end.as_mut().map(earlier);
    }

    /// Moves the start behind all that is settled. Says whether it moved.
    pub(super) fn advance_start(&mut self) -> bool {
        let mut start = self.start;
        while start < self.next_new {
            let at = self.batches.range(..=start).next_back();
            match at.filter(|(_, batch)| batch.offsets().last() >= start) {
                Some((_, batch)) => {
                    let Some(rest) = batch.offsets().starting_at(start) else {
                        break;
                    };
                    let mut open = batch
                        .runs_in(rest)
                        .filter(|(_, record)| !record.is_settled());
                    if let Some((offsets, _)) = open.next() {
                        start = offsets.first();
                        break;
                    }
                    start = rest.last().next();
                }
                None => {
                    // Between batches lies a gap, or nothing.
                    let batch = self.batches.range(start..).next().map(|(key, _)| *key);
                    let end = batch.unwrap_or(self.next_new);
                    if let Some((gap, _)) = self.gaps.range(start..end).next() {
                        start = *gap;
                        break;
                    }
                    start = end;
                }
            }
        }
        self.move_start(start)
    }

    /// The log begins here: what lies before is gone, acquired or not.
    pub(super) fn move_log_start(&mut self, log_start: Offset) -> bool {
        if log_start <= self.start {
            return false;
        }
        if let Some(gone) =
            OffsetRange::new(self.start, log_start).and_then(|offsets| offsets.before(log_start))
        {
            self.remove_gaps(gone);
            // What is acquired stays so until it is given back, or its time is over.
            self.archive_missing(gone);
        }
        self.move_start(log_start);
        self.advance_start();
        true
    }

    fn move_start(&mut self, start: Offset) -> bool {
        let moved = self.start < start;
        self.start = self.start.max(start);
        self.next_new = self.next_new.max(self.start);
        while let Some(first) = self.batches.first_entry()
            && first.get().offsets().last() < self.start
        {
            first.remove();
        }
        moved
    }

    fn remove_gaps(&mut self, offsets: OffsetRange) {
        let gaps = self.gaps.iter();
        let touched: Vec<OffsetRange> = gaps
            .filter_map(|(first, last)| OffsetRange::new(*first, *last))
            .filter(|gap| gap.intersection(offsets).is_some())
            .collect();
        for gap in touched {
            self.gaps.remove(&gap.first());
            let rests = [gap.before(offsets.first()), gap.behind(offsets.last())];
            for rest in rests.into_iter().flatten() {
                self.gaps.insert(rest.first(), rest.last());
            }
        }
    }
}
