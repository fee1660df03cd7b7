//! Offsets that were handed out together, and what became of each.
//!
//! Invariant: the runs of a batch cover its offsets, in order and without a gap; two neighbours
//! differ. So a batch takes room for what its records differ in, not for how many they are.

use std::sync::Arc;

use protocol::{Offset, Timestamp};

use super::api::DeliveryState;
use crate::share::OffsetRange;

/// Who holds a record, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) member: Arc<str>,
    pub(super) until: Timestamp,
}

/// Names what a member decided about records it held, until it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecisionId(pub(super) u64);

/// What a record is up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Available,
    Acquired(Lock),
    /// What its holder decided is being written. Until then it is nobody's; if that fails it is its
    /// holder's again.
    Leaving {
        to: DeliveryState,
        lock: Lock,
        decision: DecisionId,
    },
    Acknowledged,
    Archived,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) delivery: Delivery,
    /// How often it was handed out.
    pub(super) count: i16,
}

impl Record {
    pub(super) fn acquired(member: &Arc<str>, until: Timestamp, count: i16) -> Self {
        let lock = Lock {
            member: member.clone(),
            until,
        };
        Record {
            delivery: Delivery::Acquired(lock),
            count,
        }
    }

    pub(super) fn in_state(state: DeliveryState, count: i16) -> Self {
        let delivery = match state {
            DeliveryState::Available => Delivery::Available,
            DeliveryState::Acknowledged => Delivery::Acknowledged,
            DeliveryState::Archived => Delivery::Archived,
        };
        Record { delivery, count }
    }

    pub(super) fn is_available(&self) -> bool {
        self.delivery == Delivery::Available
    }

    /// Nothing will ever happen to it again.
    pub(super) fn is_settled(&self) -> bool {
        match self.delivery {
            Delivery::Acknowledged | Delivery::Archived => true,
            Delivery::Available | Delivery::Acquired(_) | Delivery::Leaving { .. } => false,
        }
    }

    /// It is settled, or will be if what is being written can be.
    pub(super) fn is_complete(&self) -> bool {
        match self.delivery {
            Delivery::Acknowledged | Delivery::Archived => true,
            Delivery::Leaving { to, .. } => to.is_terminal(),
            Delivery::Available | Delivery::Acquired(_) => false,
        }
    }

    /// What a record comes to that is given back: it was handed out often enough, or it can be
    /// handed out again.
    pub(super) fn given_back(count: i16, limit: i16) -> DeliveryState {
        if count >= limit {
            DeliveryState::Archived
        } else {
            DeliveryState::Available
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    offsets: OffsetRange,
    record: Record,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InFlightBatch {
    offsets: OffsetRange,
    /// Some of it has been treated apart from the rest; from then on it is handed out offset by
    /// offset, even where all are equal again. It shows in what is acquired.
    is_split: bool,
    runs: Vec<Run>,
}

impl InFlightBatch {
    pub(super) fn new(offsets: OffsetRange, record: Record) -> Self {
        InFlightBatch {
            offsets,
            is_split: false,
            runs: vec![Run { offsets, record }],
        }
    }

    pub(super) fn offsets(&self) -> OffsetRange {
        self.offsets
    }

    /// The state of all its records, unless it is split.
    pub(super) fn whole(&self) -> Option<&Record> {
        if self.is_split {
            return None;
        }
        self.runs.first().map(|run| &run.record)
    }

    pub(super) fn split(&mut self) {
        self.is_split = true;
    }

    /// Its records within these offsets.
    pub(super) fn runs_in(
        &self,
        offsets: OffsetRange,
    ) -> impl Iterator<Item = (OffsetRange, &Record)> {
        self.runs
            .iter()
            .skip_while(move |run| run.offsets.last() < offsets.first())
            .map_while(move |run| Some((run.offsets.intersection(offsets)?, &run.record)))
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = (OffsetRange, &Record)> {
        self.runs_in(self.offsets)
    }

    /// Shows its records within these offsets to `change`, which may change them, until it fails.
    pub(super) fn try_change<E>(
        &mut self,
        offsets: OffsetRange,
        mut change: impl FnMut(OffsetRange, &mut Record) -> Result<(), E>,
    ) -> Result<(), E> {
        self.cut_at(offsets.first());
        if let Some(behind) = offsets.last().0.checked_add(1) {
            self.cut_at(Offset(behind));
        }
        let within = self
            .runs
            .iter_mut()
            .filter(|run| offsets.contains(run.offsets));
        let mut result = Ok(());
        for run in within {
            result = change(run.offsets, &mut run.record);
            if result.is_err() {
                break;
            }
        }
        self.join_equals();
        result
    }

    /// As [`InFlightBatch::try_change`], for a change that cannot fail.
    pub(super) fn change(
        &mut self,
        offsets: OffsetRange,
        mut change: impl FnMut(OffsetRange, &mut Record),
    ) {
        let always = self.try_change::<std::convert::Infallible>(offsets, |offsets, record| {
            change(offsets, record);
            Ok(())
        });
        match always {
            Ok(()) => {}
        }
    }

    /// Sees to it that a run begins at the offset.
    fn cut_at(&mut self, offset: Offset) {
        let position = self.runs.partition_point(|run| run.offsets.last() < offset);
        let Some(run) = self.runs.get_mut(position) else {
            return;
        };
        let (Some(before), Some(behind)) =
            (run.offsets.before(offset), run.offsets.starting_at(offset))
        else {
            return;
        };
        run.offsets = behind;
        let record = run.record.clone();
        let before = Run {
            offsets: before,
            record,
        };
        self.runs.insert(position, before);
    }

    fn join_equals(&mut self) {
        self.runs.dedup_by(|run, previous| {
            if run.record != previous.record {
                return false;
            }
            let joined = OffsetRange::new(previous.offsets.first(), run.offsets.last());
            previous.offsets = joined.unwrap_or(previous.offsets);
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64) -> OffsetRange {
        OffsetRange::new(Offset(first), Offset(last)).expect("a range of the test")
    }

    fn states(batch: &InFlightBatch) -> Vec<(i64, i64, bool)> {
        batch
            .runs()
            .map(|(at, record)| (at.first().0, at.last().0, record.is_settled()))
            .collect()
    }

    fn settle(batch: &mut InFlightBatch, offsets: OffsetRange) {
        batch.change(offsets, |_, record| record.delivery = Delivery::Archived);
    }

    #[test]
    fn a_change_of_some_offsets_leaves_the_others_alone() {
        let record = Record::in_state(DeliveryState::Available, 1);
        let mut batch = InFlightBatch::new(range(10, 19), record);
        settle(&mut batch, range(12, 14));
        let expected = [(10, 11, false), (12, 14, true), (15, 19, false)];
        assert_eq!(states(&batch), expected);
        let clipped: Vec<_> = batch.runs_in(range(14, 16)).map(|(at, _)| at).collect();
        assert_eq!(clipped, [range(14, 14), range(15, 16)]);
    }

    #[test]
    fn equal_neighbours_are_one_run() {
        let record = Record::in_state(DeliveryState::Available, 1);
        let mut batch = InFlightBatch::new(range(0, 9_999), record);
        for offset in 0..10_000 {
            settle(&mut batch, range(offset, offset));
        }
        assert_eq!(states(&batch), [(0, 9_999, true)]);
    }

    #[test]
    fn a_failed_change_stops_where_it_failed() {
        let record = Record::in_state(DeliveryState::Available, 1);
        let mut batch = InFlightBatch::new(range(0, 9), record);
        settle(&mut batch, range(4, 5));
        let result = batch.try_change(range(0, 9), |at, record| {
            if record.is_settled() {
                return Err(at);
            }
            record.count = 7;
            Ok(())
        });
        assert_eq!(result, Err(range(4, 5)));
        let counts: Vec<_> = batch.runs().map(|(_, record)| record.count).collect();
        assert_eq!(counts, [7, 1, 1]);
    }
}
