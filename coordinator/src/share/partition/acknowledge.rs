//! What members say of records they hold.
//!
//! Invariant: a record's fate is decided by who holds it, and by nobody else; what was decided
//! counts once it is written.

use std::sync::Arc;

use protocol::{ErrorCode, Offset, Timestamp};

use super::api::{AcknowledgeType, AcknowledgementBatch, DeliveryState, Refusal, StateBatch};
use super::batch::{DecisionId, Delivery, InFlightBatch, Record};
use super::in_flight::InFlight;
use crate::share::OffsetRange;

/// Checks an acknowledgement for what is wrong with it whatever the partition holds.
///
/// Renewals are known from version 2 of the requests on, and only those that say that they hold
/// some may hold some.
pub fn check_acknowledgement(
    batches: &[AcknowledgementBatch],
    knows_renew: bool,
    is_renew_ack: bool,
) -> Result<(), ErrorCode> {
    let mut previous_last = Offset(-1);
    for batch in batches {
        let ok = check_batch(batch, knows_renew, is_renew_ack);
        if !ok || batch.first_offset < previous_last {
            return Err(ErrorCode::InvalidRequest);
        }
        previous_last = batch.last_offset;
    }
    Ok(())
}

fn check_batch(batch: &AcknowledgementBatch, knows_renew: bool, is_renew_ack: bool) -> bool {
    let Some(offsets) = OffsetRange::new(batch.first_offset, batch.last_offset) else {
        return false;
    };
    let has_type_per_offset = i64::try_from(batch.types.len()) == Ok(offsets.count());
    let counts_match = batch.types.len() == 1 || has_type_per_offset;
    counts_match
        && batch
            .types
            .iter()
            .all(|id| match AcknowledgeType::from_id(*id) {
                Some(AcknowledgeType::Renew) => knows_renew && is_renew_ack,
                Some(
                    AcknowledgeType::Gap
                    | AcknowledgeType::Accept
                    | AcknowledgeType::Release
                    | AcknowledgeType::Reject,
                ) => true,
                None => false,
            })
}

/// One member's acknowledgement.
pub(super) struct Acknowledgement<'a> {
    pub(super) member: &'a Arc<str>,
    pub(super) decision: DecisionId,
    pub(super) delivery_limit: i16,
    pub(super) renew: Renew,
}

/// Until when a lock lasts that is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renew {
    Until(Timestamp),
    Disabled,
}

/// Offsets of which all is said.
struct Said {
    offsets: OffsetRange,
    types: Vec<AcknowledgeType>,
}

impl Said {
    fn of(batch: &AcknowledgementBatch) -> Result<Self, Refusal> {
        let types = batch.types.iter().map(|id| AcknowledgeType::from_id(*id));
        let types: Option<Vec<AcknowledgeType>> = types.collect();
        let types = types.ok_or(ErrorCode::InvalidRequest)?;
        let offsets = OffsetRange::new(batch.first_offset, batch.last_offset);
        let offsets = offsets.ok_or(ErrorCode::InvalidRequest)?;
        let per_offset = i64::try_from(types.len()) == Ok(offsets.count());
        if types.len() != 1 && !per_offset {
            return Err(ErrorCode::InvalidRequest.into());
        }
        Ok(Said { offsets, types })
    }

    fn is_per_offset(&self) -> bool {
        self.types.len() > 1
    }

    /// The pieces of these offsets of which the same is said.
    fn pieces(&self, within: OffsetRange) -> Vec<(OffsetRange, AcknowledgeType)> {
        if !self.is_per_offset() {
            let said = self.types.first().map(|said| (within, *said));
            return said.into_iter().collect();
        }
        let mut pieces: Vec<(OffsetRange, AcknowledgeType)> = Vec::new();
        let offsets = (self.offsets.first().0..=self.offsets.last().0).map(Offset);
        for (offset, said) in offsets.zip(&self.types) {
            let Some(offset) = OffsetRange::single(offset).intersection(within) else {
                continue;
            };
            match pieces.last_mut() {
                Some((piece, before)) if before == said => {
                    *piece = OffsetRange::new(piece.first(), offset.last()).unwrap_or(*piece);
                }
                Some(_) | None => pieces.push((offset, *said)),
            }
        }
        pieces
    }
}

fn not_held(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::InvalidRecordState, message)
}

impl Acknowledgement<'_> {
    /// Decides the fate of all these records. What stands to be written is the answer. Where that
    /// fails, some may be decided; the caller takes the decision back.
    pub(super) fn decide(
        &self,
        in_flight: &mut InFlight,
        batches: &[AcknowledgementBatch],
    ) -> Result<Vec<StateBatch>, Refusal> {
        let mut decided = Vec::new();
        for batch in batches {
            let said = Said::of(batch)?;
            if said.offsets.last() < in_flight.start() {
                continue;
            }
            for key in Self::batches_of(in_flight, said.offsets)? {
                self.decide_batch(in_flight, key, &said, &mut decided)?;
            }
        }
        Ok(decided)
    }

    /// The batches in flight that the offsets lie in.
    fn batches_of(in_flight: &InFlight, offsets: OffsetRange) -> Result<Vec<Offset>, Refusal> {
        let first = match in_flight.floor(offsets.first()) {
            Some(first) => first,
            // What lay before the start is forgotten; of the rest it may be said.
            None if offsets.first() < in_flight.start() => offsets.first(),
            None => {
                return Err(not_held(
                    "Batch record not found. The request batch offsets are not found in the cache.",
                ));
            }
        };
        let keys = in_flight.keys_between(first, offsets.last());
        let last = keys.last().and_then(|key| in_flight.batch(*key));
        let last = last.map(|batch| batch.offsets().last());
        let refused = |message| Err(Refusal::new(ErrorCode::InvalidRequest, message));
        match last {
            Some(last) if last < offsets.first() => refused(
                "Batch record not found. The first offset in request is past acquired records.",
            ),
            Some(last) if last >= offsets.last() => Ok(keys),
            Some(_) | None => refused(
                "Batch record not found. The last offset in request is past acquired records.",
            ),
        }
    }

    fn decide_batch(
        &self,
        in_flight: &mut InFlight,
        key: Offset,
        said: &Said,
        decided: &mut Vec<StateBatch>,
    ) -> Result<(), Refusal> {
        let start = in_flight.start();
        let mut renewed = false;
        let Some(batch) = in_flight.batch_mut(key) else {
            return Ok(());
        };
        let Some(current) = batch.offsets().starting_at(start) else {
            return Ok(());
        };
        if let Some(whole) = batch.whole() {
            self.check_whole(whole)?;
            let is_full = said.offsets.contains(batch.offsets());
            if !is_full || said.is_per_offset() || current != batch.offsets() {
                batch.split();
            }
        }
        if let Some(within) = said.offsets.intersection(current) {
            for (offsets, said) in said.pieces(within) {
                renewed |= said == AcknowledgeType::Renew;
                self.decide_records(batch, offsets, said, decided)?;
            }
        }
        if let Renew::Until(until) = self.renew
            && renewed
        {
            in_flight.note_lock(until);
        }
        Ok(())
    }

    fn check_whole(&self, whole: &Record) -> Result<(), Refusal> {
        match &whole.delivery {
            Delivery::Acquired(lock) if lock.member == *self.member => Ok(()),
            Delivery::Acquired(_) => Err(not_held("Member is not the owner of batch record")),
            Delivery::Available
            | Delivery::Leaving { .. }
            | Delivery::Acknowledged
            | Delivery::Archived => Err(not_held(
                "The batch cannot be acknowledged. The batch is not in the acquired state.",
            )),
        }
    }

    fn decide_records(
        &self,
        batch: &mut InFlightBatch,
        offsets: OffsetRange,
        said: AcknowledgeType,
        decided: &mut Vec<StateBatch>,
    ) -> Result<(), Refusal> {
        batch.try_change(offsets, |offsets, record| {
            let lock = match &mut record.delivery {
                Delivery::Acquired(lock) if lock.member == *self.member => lock,
                Delivery::Acquired(_) => return Err(not_held("Member is not the owner of offset")),
                Delivery::Available
                | Delivery::Leaving { .. }
                | Delivery::Acknowledged
                | Delivery::Archived => {
                    return Err(not_held(
                        "The offset cannot be acknowledged. The offset is not acquired.",
                    ));
                }
            };
            let to = match (said, self.renew) {
                (AcknowledgeType::Renew, Renew::Disabled) => {
                    return Err(not_held(
                        "Renewing acquisition locks is not enabled for the group.",
                    ));
                }
                (AcknowledgeType::Renew, Renew::Until(until)) => {
                    lock.until = until;
                    return Ok(());
                }
                (AcknowledgeType::Accept, _) => DeliveryState::Acknowledged,
                (AcknowledgeType::Release, _) => {
                    Record::given_back(record.count, self.delivery_limit)
                }
                (AcknowledgeType::Reject | AcknowledgeType::Gap, _) => DeliveryState::Archived,
            };
            record.delivery = Delivery::Leaving {
                to,
                lock: lock.clone(),
                decision: self.decision,
            };
            decided.push(StateBatch {
                offsets,
                state: to,
                delivery_count: record.count,
            });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: i64, last: i64, types: &[i8]) -> AcknowledgementBatch {
        AcknowledgementBatch {
            first_offset: Offset(first),
            last_offset: Offset(last),
            types: types.to_vec(),
        }
    }

    fn check(batches: &[AcknowledgementBatch]) -> Result<(), ErrorCode> {
        check_acknowledgement(batches, true, false)
    }

    #[test]
    fn an_acknowledgement_names_each_offset_once_and_in_order() {
        assert_eq!(check(&[batch(0, 9, &[1]), batch(10, 11, &[2, 3])]), Ok(()));
        let refused = Err(ErrorCode::InvalidRequest);
        assert_eq!(check(&[batch(9, 8, &[1])]), refused);
        assert_eq!(check(&[batch(10, 19, &[1]), batch(0, 9, &[1])]), refused);
        assert_eq!(check(&[batch(0, 9, &[])]), refused);
        assert_eq!(check(&[batch(0, 9, &[1, 2])]), refused);
        assert_eq!(check(&[batch(0, 0, &[5])]), refused);
        assert_eq!(check(&[batch(0, 0, &[-1])]), refused);
        assert_eq!(check(&[batch(i64::MIN, i64::MAX, &[1, 1])]), refused);
    }

    #[test]
    fn only_a_request_that_says_so_renews() {
        let renew = [batch(0, 0, &[4])];
        let refused = Err(ErrorCode::InvalidRequest);
        assert_eq!(check_acknowledgement(&renew, true, true), Ok(()));
        assert_eq!(check_acknowledgement(&renew, true, false), refused);
        assert_eq!(check_acknowledgement(&renew, false, true), refused);
    }
}
