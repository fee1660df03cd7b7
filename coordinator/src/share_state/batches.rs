//! Runs of records that share a delivery state, and how new runs are laid over older ones.
//!
//! Invariant: what [`combine`] gives is in offset order and no offset is in two of its batches,
//! and it gives what upstream's `PersisterStateBatchCombiner` gives for the same input.

use std::collections::BTreeSet;

use protocol::Offset;

/// Consecutive offsets of a share partition that are in one delivery state.
///
/// Ordered as upstream orders them: by first offset, last offset, delivery count, delivery state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateBatch {
    pub first_offset: Offset,
    /// The last offset that is in the batch.
    pub last_offset: Offset,
    pub delivery_count: i16,
    /// 0 is available, 2 acknowledged, 4 archived; others are kept as they came.
    pub delivery_state: i8,
}

impl StateBatch {
    /// Whether there is an offset in it. One whose last offset is before its first describes
    /// nothing, and upstream's combiner may never come to an end over it.
    pub fn is_valid(&self) -> bool {
        self.first_offset <= self.last_offset
    }

    /// What decides which of two overlapping batches holds: the more deliveries, then the greater
    /// state.
    fn delivery(&self) -> (i16, i8) {
        (self.delivery_count, self.delivery_state)
    }

    fn starting_at(self, first_offset: Offset) -> StateBatch {
        StateBatch {
            first_offset,
            ..self
        }
    }

    fn ending_at(self, last_offset: Offset) -> StateBatch {
        StateBatch {
            last_offset,
            ..self
        }
    }
}

/// Lays `new` over `so_far`: where two batches overlap, the one with more deliveries holds; batches
/// side by side in the same state become one. Nothing below `start_offset` is left.
///
/// As upstream does, a single batch is taken as it is, and a batch that begins where another one
/// does and is longer hides it whole if it holds.
pub fn combine(
    so_far: &[StateBatch],
    new: &[StateBatch],
    start_offset: Option<Offset>,
) -> Vec<StateBatch> {
    let all = so_far.iter().chain(new).copied();
    let retained = all.filter(StateBatch::is_valid).filter_map(|batch| {
        let Some(start) = start_offset else {
            return Some(batch);
        };
        (batch.last_offset >= start).then(|| batch.starting_at(batch.first_offset.max(start)))
    });
    let retained: Vec<StateBatch> = retained.collect();
    if retained.len() < 2 {
        return retained;
    }
    merge(retained.into_iter().collect())
}

/// Takes batches out of `sorted` from the left: a batch that its neighbour does not touch is done;
/// two that touch go back as up to three that overlap less.
fn merge(mut sorted: BTreeSet<StateBatch>) -> Vec<StateBatch> {
    let mut done = Vec::with_capacity(sorted.len());
    while let Some(left) = sorted.pop_first() {
        match sorted.first() {
            Some(&right) if touches(left, right) => {
                sorted.pop_first();
                if left.delivery() == right.delivery() {
                    sorted.insert(left.ending_at(left.last_offset.max(right.last_offset)));
                } else {
                    lay_over(&mut sorted, left, right);
                }
            }
            _ => done.push(left),
        }
    }
    done
}

/// Whether two neighbours overlap, or one goes on where the other ends, in the same state.
fn touches(left: StateBatch, right: StateBatch) -> bool {
    let is_next = left.last_offset.0.checked_add(1) == Some(right.first_offset.0);
    right.first_offset <= left.last_offset || is_next && left.delivery() == right.delivery()
}

/// Puts two batches back that overlap in different states; `left` comes first in their order.
fn lay_over(sorted: &mut BTreeSet<StateBatch>, left: StateBatch, right: StateBatch) {
    let is_behind = right.last_offset > left.last_offset;
    if right.delivery() < left.delivery() {
        sorted.insert(left);
        if is_behind {
            sorted.insert(right.starting_at(left.last_offset.next()));
        }
        return;
    }
    if right.first_offset > left.first_offset {
        sorted.insert(left.ending_at(Offset(right.first_offset.0 - 1)));
    }
    sorted.insert(right);
    if right.last_offset < left.last_offset {
        sorted.insert(left.starting_at(right.last_offset.next()));
    }
}
