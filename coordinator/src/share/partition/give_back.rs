//! Records that go back without a word of who holds them, and decisions that are written or not.
//!
//! Invariant: a record that is given back was acquired; it can be handed out again, unless that was
//! done often enough, or nobody needs it any more.

use std::sync::Arc;

use protocol::Timestamp;

use super::api::{DeliveryState, StateBatch};
use super::batch::{DecisionId, Delivery, Lock, Record};
use super::in_flight::InFlight;
use crate::share::OffsetRange;

/// The member holds nothing any more, once that is written.
pub(super) fn release_member(
    in_flight: &mut InFlight,
    member: &Arc<str>,
    limit: i16,
    decision: DecisionId,
) -> Vec<StateBatch> {
    let is_the_members = |lock: &Lock| lock.member == *member;
    give_back(in_flight, is_the_members, limit, |to, lock| {
        Delivery::Leaving {
            to,
            lock: lock.clone(),
            decision,
        }
    })
}

/// The locks whose time is over hold nothing any more. They are gone at once: what becomes of the
/// write changes nothing but how often a record counts as handed out after the next load.
pub(super) fn end_locks(in_flight: &mut InFlight, now: Timestamp, limit: i16) -> Vec<StateBatch> {
    let is_over = |lock: &Lock| lock.until <= now;
    let ended = give_back(in_flight, is_over, limit, |to, _| {
        Record::in_state(to, 0).delivery
    });
    if !ended.is_empty() {
        in_flight.note_available();
        in_flight.advance_start();
    }
    in_flight.find_earliest_lock_end();
    ended
}

fn give_back(
    in_flight: &mut InFlight,
    which: impl Fn(&Lock) -> bool,
    limit: i16,
    becomes: impl Fn(DeliveryState, &Lock) -> Delivery,
) -> Vec<StateBatch> {
    let start = in_flight.start();
    let mut given_back = Vec::new();
    in_flight.change_all_around(start, |offsets, record| {
        let Delivery::Acquired(lock) = &record.delivery else {
            return;
        };
        if !which(lock) {
            return;
        }
        let state = if offsets.last() < start {
            DeliveryState::Archived
        } else {
            Record::given_back(record.count, limit)
        };
        record.delivery = becomes(state, lock);
        given_back.push(StateBatch {
            offsets,
            state,
            delivery_count: record.count,
        });
    });
    given_back
}

/// A decision is written: what it said is so.
pub(super) fn settle(in_flight: &mut InFlight, decision: DecisionId, decided: &[OffsetRange]) {
    let mut any_available = false;
    for offsets in decided {
        in_flight.change(*offsets, |_, record| {
            if let Delivery::Leaving {
                to, decision: by, ..
            } = &record.delivery
                && *by == decision
            {
                any_available |= *to == DeliveryState::Available;
                *record = Record::in_state(*to, record.count);
            }
        });
    }
    if any_available {
        in_flight.note_available();
    }
}

/// A decision is not written: the records are again who held them. Where their time is over, the
/// lock ends with the next look at it.
pub(super) fn take_back(in_flight: &mut InFlight, decision: DecisionId) {
    let mut earliest: Option<Timestamp> = None;
    in_flight.change_all(|_, record| {
        if let Delivery::Leaving {
            lock, decision: by, ..
        } = &record.delivery
            && *by == decision
        {
            let lock = lock.clone();
            let until = earliest.map_or(lock.until, |earliest| earliest.min(lock.until));
            earliest = Some(until);
            record.delivery = Delivery::Acquired(lock);
        }
    });
    if let Some(until) = earliest {
        in_flight.note_lock(until);
    }
}
