//! Handing records out.
//!
//! Invariant: a record is handed out only while it is available, or was never fetched before; it is
//! locked for whom it is handed out to in the same step.

use std::sync::Arc;

use protocol::{Offset, Timestamp};

use super::aborted;
use super::api::{
    AcquireMode, AcquiredRecords, Acquisition, Fetched, FetchedBatch, IsolationLevel,
};
use super::batch::{Delivery, InFlightBatch, Record};
use super::in_flight::InFlight;
use crate::share::OffsetRange;

/// From how many deliveries on records are handed out in smaller pieces, at least.
const MINIMUM_THROTTLE_DELIVERIES: i16 = 2;
/// With so few deliveries there is no last one to keep apart.
const SMALLEST_LIMIT_WITH_LAST_DELIVERY_APART: i16 = 3;

/// The settings that count here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_record_locks: i32,
    pub(super) deliveries: i16,
}

impl Limits {
    /// From how many deliveries on a record is suspected to break those who get it.
    fn throttle_from(self) -> i16 {
        let half = self.deliveries / 2 + self.deliveries % 2;
        half.max(MINIMUM_THROTTLE_DELIVERIES)
    }

    /// One more delivery, and it is the last: then the record is alone, so that it can break
    /// nothing but itself.
    fn is_last_but_one(self, count: i16) -> bool {
        self.deliveries >= SMALLEST_LIMIT_WITH_LAST_DELIVERY_APART
            && count.saturating_add(1) == self.deliveries
    }
}

/// Hands out what it can of what was fetched.
pub(super) fn acquire(
    in_flight: &mut InFlight,
    limits: Limits,
    acquisition: &Acquisition,
    fetched: &Fetched,
    until: Timestamp,
) -> Vec<AcquiredRecords> {
    let (Some(first), Some(last)) = (fetched.batches.first(), fetched.batches.last()) else {
        return Vec::new();
    };
    let last = last.offsets.last();
    if acquisition.max_records <= 0 || last < in_flight.start() {
        return Vec::new();
    }
    let Some((wanted, last)) = room(in_flight, limits, acquisition, fetched.fetch_offset, last)
    else {
        return Vec::new();
    };
    let base = first.offsets.first();
    let missing = OffsetRange::new(fetched.fetch_offset, base);
    if let Some(missing) = missing.and_then(|offsets| offsets.before(base)) {
        // The topic is compacted, and these are gone.
        in_flight.archive_missing(missing);
    }
    let Some(covered) = OffsetRange::new(base, last) else {
        in_flight.advance_start();
        return Vec::new();
    };
    let mut taking = Taking {
        limits,
        acquisition,
        fetched: &fetched.batches,
        covered,
        until,
        wanted,
        taken: Vec::new(),
        count: 0,
    };
    taking.take_all(in_flight);
    let mut taken = taking.taken;
    if acquisition.isolation == IsolationLevel::ReadCommitted {
        leave_out_aborted(in_flight, fetched, &mut taken);
    }
    if !taken.is_empty() {
        in_flight.note_lock(until);
    }
    in_flight.advance_start();
    taken
}

/// How many records may be handed out, and up to which offset.
fn room(
    in_flight: &InFlight,
    limits: Limits,
    acquisition: &Acquisition,
    fetch_offset: Offset,
    last: Offset,
) -> Option<(i64, Offset)> {
    let max_records = i64::from(acquisition.max_records);
    let free = i64::from(limits.max_record_locks) - in_flight.count();
    if free > 0 {
        return Some((max_records.min(free), last));
    }
    // There is no room for more, but what was fetched before can be handed out again.
    let again = OffsetRange::new(fetch_offset, in_flight.next_new())?;
    let again = again.before(in_flight.next_new())?;
    Some((max_records.min(again.count()), last.min(again.last())))
}

/// Records of aborted transactions are for nobody.
fn leave_out_aborted(
    in_flight: &mut InFlight,
    fetched: &Fetched,
    taken: &mut Vec<AcquiredRecords>,
) {
    for aborted in aborted::batches(fetched) {
        for acquired in taken.iter() {
            if let Some(offsets) = acquired.offsets.intersection(aborted) {
                in_flight.archive(offsets, |record| {
                    matches!(record.delivery, Delivery::Acquired(_))
                });
            }
        }
        let rests = taken.iter().flat_map(|acquired| {
            let offsets = acquired.offsets;
            let rests = if offsets.intersection(aborted).is_some() {
                [
                    offsets.before(aborted.first()),
                    offsets.behind(aborted.last()),
                ]
            } else {
                [Some(offsets), None]
            };
            let delivery_count = acquired.delivery_count;
            rests
                .into_iter()
                .flatten()
                .map(move |offsets| AcquiredRecords {
                    offsets,
                    delivery_count,
                })
        });
        *taken = rests.collect();
    }
}

/// What comes next in what was fetched.
#[derive(Clone, Copy)]
enum Piece {
    InFlight { key: Offset },
    Unfetched(OffsetRange),
}

impl Piece {
    fn first(self) -> Offset {
        match self {
            Piece::InFlight { key } => key,
            Piece::Unfetched(offsets) => offsets.first(),
        }
    }
}

/// Whether more may be handed out after a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

struct Taking<'a> {
    limits: Limits,
    acquisition: &'a Acquisition,
    fetched: &'a [FetchedBatch],
    covered: OffsetRange,
    until: Timestamp,
    wanted: i64,
    taken: Vec<AcquiredRecords>,
    count: i64,
}

impl Taking<'_> {
    fn take_all(&mut self, in_flight: &mut InFlight) {
        let batches = in_flight.batches_touching(self.covered);
        let batches = batches.into_iter().map(|key| Piece::InFlight { key });
        let unfetched = in_flight.unfetched(self.covered);
        let unfetched = unfetched.into_iter().map(Piece::Unfetched);
        let mut pieces: Vec<Piece> = batches.chain(unfetched).collect();
        pieces.sort_by_key(|piece| piece.first());
        for piece in pieces {
            if self.count >= self.wanted {
                break;
            }
            let next = match piece {
                Piece::InFlight { key } => match in_flight.batch_mut(key) {
                    Some(batch) => self.take_again(batch),
                    None => Next::GoOn,
                },
                Piece::Unfetched(offsets) => {
                    self.take_new(in_flight, offsets);
                    Next::GoOn
                }
            };
            if next == Next::Stop {
                break;
            }
        }
    }

    fn is_record_limit(&self) -> bool {
        match self.acquisition.mode {
            AcquireMode::RecordLimit => true,
            AcquireMode::BatchOptimized => false,
        }
    }

    fn take(&mut self, offsets: OffsetRange, delivery_count: i16) {
        self.count = self.count.saturating_add(offsets.count());
        self.taken.push(AcquiredRecords {
            offsets,
            delivery_count,
        });
    }

    /// Records that were handed out before.
    fn take_again(&mut self, batch: &mut InFlightBatch) -> Next {
        let throttled = self.is_suspect(batch);
        if throttled && self.count > 0 {
            return Next::Stop;
        }
        let is_full = self.covered.contains(batch.offsets());
        let exceeds = self.is_record_limit() && batch.offsets().count() > self.wanted - self.count;
        if let Some(whole) = batch.whole() {
            if !whole.is_available() {
                return Next::GoOn;
            }
            if is_full && !exceeds && !throttled {
                self.take_whole(batch);
                return Next::GoOn;
            }
            batch.split();
        }
        let taken_before = self.count;
        self.take_offsets(batch);
        if throttled && self.count > taken_before {
            Next::Stop
        } else {
            Next::GoOn
        }
    }

    /// One of its records was handed out so often that it may be the one that breaks whom gets it.
    fn is_suspect(&self, batch: &InFlightBatch) -> bool {
        let limit = self.limits.throttle_from();
        batch
            .runs_in(self.covered)
            .any(|(_, record)| record.is_available() && record.count >= limit)
    }

    fn take_whole(&mut self, batch: &mut InFlightBatch) {
        let member = &self.acquisition.member;
        let (until, offsets) = (self.until, batch.offsets());
        let mut delivery_count = 0;
        batch.change(offsets, |_, record| {
            delivery_count = record.count.saturating_add(1);
            *record = Record::acquired(member, until, delivery_count);
        });
        self.take(offsets, delivery_count);
    }

    /// What is available of a batch, in pieces of equal delivery counts.
    fn take_offsets(&mut self, batch: &mut InFlightBatch) {
        let chosen = self.choose(batch);
        let member: Arc<str> = self.acquisition.member.clone();
        for (offsets, count) in &chosen {
            batch.change(*offsets, |_, record| {
                *record = Record::acquired(&member, self.until, *count);
            });
        }
        let pieces = self.taken.len();
        for (offsets, count) in chosen {
            let joined = self.taken.get_mut(pieces..).and_then(|new| new.last_mut());
            match joined {
                Some(last)
                    if last.delivery_count == count
                        && last.offsets.last().next() == offsets.first() =>
                {
                    let whole = OffsetRange::new(last.offsets.first(), offsets.last());
                    last.offsets = whole.unwrap_or(last.offsets);
                    self.count = self.count.saturating_add(offsets.count());
                }
                Some(_) | None => self.take(offsets, count),
            }
        }
    }

    /// Which available records of a batch are handed out, and for the how many-th time.
    ///
    /// Records that were handed out too often come in ever smaller pieces, the last time alone: one
    /// that breaks whoever gets it does not take the others with it.
    fn choose(&self, batch: &InFlightBatch) -> Vec<(OffsetRange, i16)> {
        let wanted = if self.is_record_limit() {
            self.wanted - self.count
        } else {
            i64::MAX
        };
        let throttle_from = self.limits.throttle_from();
        let mut throttled: Option<i64> = None;
        let mut chosen: Vec<(OffsetRange, i16)> = Vec::new();
        let mut taken = 0_i64;
        let available = batch
            .runs_in(self.covered)
            .filter(|(_, record)| record.is_available());
        for (offsets, record) in available {
            let is_last = self.limits.is_last_but_one(record.count);
            if is_last && taken > 0 {
                break;
            }
            if record.count >= throttle_from && throttled.is_none() {
                let halvings = u32::try_from(record.count - throttle_from + 1).unwrap_or(0);
                let piece = batch.offsets().count().checked_shr(halvings).unwrap_or(0);
                throttled = Some(piece.max(1));
            }
            // A limit that was passed before it was known is none: so it is upstream.
            let until_throttled = throttled
                .map(|limit| limit - taken)
                .filter(|left| *left > 0)
                .unwrap_or(i64::MAX);
            let at_most = if is_last {
                1
            } else {
                until_throttled.min(wanted - taken)
            };
            let Some(offsets) = offsets.take(at_most) else {
                break;
            };
            chosen.push((offsets, record.count.saturating_add(1)));
            taken += offsets.count();
            if is_last || taken == wanted || throttled == Some(taken) {
                break;
            }
        }
        chosen
    }

    /// Records that were not handed out before. They are taken up to the end of a batch of the log,
    /// even where that is more than was wanted; so a producer's batch stays one.
    fn take_new(&mut self, in_flight: &mut InFlight, offsets: OffsetRange) {
        let wanted = self.wanted - self.count;
        let offsets = match offsets.take(wanted) {
            Some(wanted) if wanted != offsets => {
                let end = self.end_of_batch_with(wanted.last());
                let end = end.min(offsets.last());
                OffsetRange::new(offsets.first(), end).unwrap_or(wanted)
            }
            Some(_) | None => offsets,
        };
        let record = Record::acquired(&self.acquisition.member, self.until, 1);
        if !self.is_record_limit() {
            for piece in self.pieces(offsets) {
                in_flight.add(InFlightBatch::new(piece, record.clone()));
                self.take(piece, 1);
            }
            return;
        }
        let mut batch = InFlightBatch::new(offsets, record);
        let Some(acquired) = offsets.take(wanted) else {
            return;
        };
        if let Some(rest) = offsets.behind(acquired.last()) {
            batch.split();
            batch.change(rest, |_, record| {
                record.delivery = Delivery::Available;
                record.count = 0;
            });
            in_flight.note_available();
        }
        in_flight.add(batch);
        self.take(acquired, 1);
    }

    /// The last offset of the log's batch that holds this one; itself where there is none.
    fn end_of_batch_with(&self, offset: Offset) -> Offset {
        let batches = self.fetched.iter().rev();
        let batch = batches
            .map(|batch| batch.offsets)
            .find(|batch| batch.first() <= offset);
        batch.map_or(offset, |batch| batch.last().max(offset))
    }

    /// Cuts offsets where batches of the log begin, into pieces of about the size that the client
    /// asks for.
    fn pieces(&self, offsets: OffsetRange) -> Vec<OffsetRange> {
        let size = i64::from(self.acquisition.batch_size.max(1));
        let mut pieces = Vec::new();
        let mut rest = offsets;
        if offsets.count() > size {
            let bases = self.fetched.iter().map(|batch| batch.offsets.first());
            for base in bases.take_while(|base| *base <= offsets.last()) {
                let Some(piece) = rest.before(base).filter(|piece| piece.count() >= size) else {
                    continue;
                };
                pieces.push(piece);
                rest = rest.behind(piece.last()).unwrap_or(rest);
            }
        }
        pieces.push(rest);
        pieces
    }
}
