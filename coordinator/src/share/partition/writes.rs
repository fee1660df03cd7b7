//! What waits to be written to the state, and for whom.
//!
//! Invariant: one write is under way at a time, and they go out in the order of the decisions; so
//! the last thing said of an offset is what stays, and all that comes up during a write goes out as
//! one. What waits holds each offset once.

use std::collections::BTreeMap;

use protocol::{LeaderEpoch, Offset};

use super::api::{StateBatch, StateWrite, WriteToken};
use super::batch::DecisionId;
use super::in_flight::InFlight;
use crate::ReplyTo;
use crate::share::OffsetRange;

/// What somebody decided, and who waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) id: DecisionId,
    pub(super) reply_to: ReplyTo,
    pub(super) offsets: Vec<OffsetRange>,
}

#[derive(Debug, Default)]
pub(super) struct StateWrites {
    tokens_given: u64,
    under_way: Option<(WriteToken, Vec<Decision>)>,
    waiting: BTreeMap<Offset, StateBatch>,
    decisions: Vec<Decision>,
}

impl StateWrites {
    /// Something changed that is nobody's decision.
    pub(super) fn add(&mut self, batches: Vec<StateBatch>) {
        for batch in batches {
            self.put(batch);
        }
    }

    pub(super) fn add_decision(&mut self, decision: Decision, batches: Vec<StateBatch>) {
        self.add(batches);
        self.decisions.push(decision);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty() && self.decisions.is_empty()
    }

    fn put(&mut self, new: StateBatch) {
        let before = self.waiting.range(..new.offsets.first()).next_back();
        let touching = self
            .waiting
            .range(new.offsets.first()..=new.offsets.last())
            .chain(before)
            .map(|(_, batch)| *batch)
            .filter(|batch| batch.offsets.intersection(new.offsets).is_some());
        let touching: Vec<StateBatch> = touching.collect();
        for old in touching {
            self.waiting.remove(&old.offsets.first());
            let rests = [
                old.offsets.before(new.offsets.first()),
                old.offsets.behind(new.offsets.last()),
            ];
            for offsets in rests.into_iter().flatten() {
                self.waiting
                    .insert(offsets.first(), StateBatch { offsets, ..old });
            }
        }
        self.waiting.insert(new.offsets.first(), new);
    }

    /// The next write, where there is one to do and none under way.
    pub(super) fn next(
        &mut self,
        in_flight: &InFlight,
        state_epoch: i32,
        leader_epoch: LeaderEpoch,
    ) -> Option<StateWrite> {
        let nothing_to_do = self.waiting.is_empty() && self.decisions.is_empty();
        if self.under_way.is_some() || nothing_to_do {
            return None;
        }
        let token = WriteToken(self.tokens_given);
        self.tokens_given += 1;
        let decisions = std::mem::take(&mut self.decisions);
        self.under_way = Some((token, decisions));
        let start_offset = in_flight.start();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let current = waiting.filter_map(|batch| {
            let offsets = batch.offsets.starting_at(start_offset)?;
            Some(StateBatch { offsets, ..batch })
        });
        let complete = i32::try_from(in_flight.complete_count());
        Some(StateWrite {
            token,
            state_epoch,
            leader_epoch,
            start_offset,
            delivery_complete_count: complete.unwrap_or(i32::MAX),
            batches: joined(current),
        })
    }

    /// Whose decisions the write was that came back. None where it is not the one under way.
    pub(super) fn came_back(&mut self, token: WriteToken) -> Option<Vec<Decision>> {
        let (_, decisions) = self.under_way.take_if(|(sent, _)| *sent == token)?;
        Some(decisions)
    }

    /// Gives up all that waits or is under way.
    pub(super) fn give_up(&mut self) -> Vec<Decision> {
        let under_way = self.under_way.take().map(|(_, decisions)| decisions);
        let mut decisions = under_way.unwrap_or_default();
        decisions.append(&mut self.decisions);
        self.waiting.clear();
        decisions
    }
}

/// Makes one of neighbours of which the same is said.
fn joined(batches: impl Iterator<Item = StateBatch>) -> Vec<StateBatch> {
    let mut joined: Vec<StateBatch> = Vec::new();
    for batch in batches {
        match joined.last_mut() {
            Some(last)
                if last.offsets.last().next() == batch.offsets.first()
                    && (last.state, last.delivery_count) == (batch.state, batch.delivery_count) =>
            {
                let whole = OffsetRange::new(last.offsets.first(), batch.offsets.last());
                last.offsets = whole.unwrap_or(last.offsets);
            }
            Some(_) | None => joined.push(batch),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::partition::DeliveryState;

    fn batch(first: i64, last: i64, delivery_count: i16) -> StateBatch {
        StateBatch {
            offsets: OffsetRange::new(Offset(first), Offset(last)).expect("a range of the test"),
            state: DeliveryState::Available,
            delivery_count,
        }
    }

    fn written(writes: &mut StateWrites) -> Vec<StateBatch> {
        let write = writes.next(&InFlight::default(), 0, LeaderEpoch(0));
        write.map(|write| write.batches).unwrap_or_default()
    }

    #[test]
    fn what_is_said_last_of_an_offset_is_written() {
        let mut writes = StateWrites::default();
        writes.add(vec![batch(0, 9, 1), batch(20, 29, 1)]);
        writes.add(vec![batch(5, 24, 2)]);
        writes.add(vec![batch(7, 8, 3)]);
        let expected = [
            batch(0, 4, 1),
            batch(5, 6, 2),
            batch(7, 8, 3),
            batch(9, 24, 2),
            batch(25, 29, 1),
        ];
        assert_eq!(written(&mut writes), expected);
    }

    #[test]
    fn what_is_said_of_everything_covers_all_that_was_said() {
        let mut writes = StateWrites::default();
        writes.add(vec![batch(3, 4, 1), batch(6, 7, 1), batch(0, 9, 2)]);
        assert_eq!(written(&mut writes), [batch(0, 9, 2)]);
    }

    #[test]
    fn neighbours_of_one_state_are_written_as_one() {
        let mut writes = StateWrites::default();
        writes.add((0..10).map(|offset| batch(offset, offset, 1)).collect());
        assert_eq!(written(&mut writes), [batch(0, 9, 1)]);
        assert_eq!(written(&mut writes), []);
    }
}
