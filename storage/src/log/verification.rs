//! Transactions that a producer is about to open here, while their coordinator is asked (KIP-890).
//!
//! Invariant: a guard that was given out is good for one transaction: it ends with the first batch
//! of that transaction, and with any marker of its producer. So an answer of the coordinator that
//! was overtaken by the end of the transaction opens nothing, and no transaction is left hanging.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::{Producer, ProducerEpoch, ProducerId, Timestamp};

/// Bounds the memory that verifications which nobody ends can take in one log.
const VERIFICATIONS_MAX: usize = 10_000;

/// The right to open a transaction, once its coordinator knows it. Equal to its clones only.
#[derive(Clone, Debug)]
pub struct VerificationGuard(Arc<()>);

impl PartialEq for VerificationGuard {
    fn eq(&self, other: &VerificationGuard) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for VerificationGuard {}

/// A verification under way.
#[derive(Clone, Debug)]
pub(crate) struct Verification {
    guard: VerificationGuard,
    since: Timestamp,
    epoch: ProducerEpoch,
    /// Batches that come after it wait for the one that has it.
    lowest_sequence: i32,
    version2: bool,
}

impl Verification {
    pub(crate) fn admits(&self, guard: Option<&VerificationGuard>) -> bool {
        guard == Some(&self.guard)
    }

    /// The client's epoch grows with each transaction, so its sequences start at 0.
    pub(crate) fn is_version2(&self) -> bool {
        self.version2
    }

    pub(crate) fn lowest_sequence(&self) -> i32 {
        self.lowest_sequence
    }
}

/// The verifications of one log.
#[derive(Debug, Default)]
pub(crate) struct Verifications(HashMap<ProducerId, Verification>);

impl Verifications {
    /// Begins a verification, or joins the one under way: batches may be in flight together.
    pub(crate) fn begin(
        &mut self,
        producer: Producer,
        version2: bool,
        now: Timestamp,
    ) -> VerificationGuard {
        if !self.0.contains_key(&producer.id) {
            self.make_room();
        }
        let under_way = self.0.entry(producer.id).or_insert_with(|| Verification {
            guard: VerificationGuard(Arc::new(())),
            since: now,
            epoch: producer.epoch,
            lowest_sequence: producer.base_sequence,
            version2,
        });
        if producer.epoch > under_way.epoch {
            under_way.epoch = producer.epoch;
            under_way.lowest_sequence = producer.base_sequence;
        } else if producer.epoch == under_way.epoch {
            let lowest = under_way.lowest_sequence;
            under_way.lowest_sequence = lowest.min(producer.base_sequence);
        }
        under_way.guard.clone()
    }

    pub(crate) fn of(&self, producer: ProducerId) -> Option<&Verification> {
        self.0.get(&producer)
    }

    pub(crate) fn end(&mut self, producer: ProducerId) {
        self.0.remove(&producer);
    }

    pub(crate) fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) {
        self.0
            .retain(|_, it| now.0.saturating_sub(it.since.0) < expiration_ms);
    }

    /// Forgets the oldest ones when there are too many; who comes with their guards asks again.
    fn make_room(&mut self) {
        if self.0.len() < VERIFICATIONS_MAX {
            return;
        }
        let mut by_age: Vec<(Timestamp, ProducerId)> =
            self.0.iter().map(|(id, it)| (it.since, *id)).collect();
        by_age.sort_unstable();
        for (_, id) in by_age.into_iter().take(VERIFICATIONS_MAX / 10) {
            self.0.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(id: i64, epoch: i16, base_sequence: i32) -> Producer {
        Producer {
            id: ProducerId(id),
            epoch: ProducerEpoch(epoch),
            base_sequence,
        }
    }

    #[test]
    fn batches_in_flight_share_a_guard_until_the_verification_ends() {
        let mut all = Verifications::default();
        let first = all.begin(producer(1, 0, 5), false, Timestamp(0));
        let second = all.begin(producer(1, 0, 7), false, Timestamp(1));
        assert_eq!(first, second);
        assert!(all.of(ProducerId(1)).unwrap().admits(Some(&first)));
        all.end(ProducerId(1));
        let third = all.begin(producer(1, 0, 5), false, Timestamp(2));
        assert_ne!(first, third);
        assert!(!all.of(ProducerId(1)).unwrap().admits(Some(&first)));
        assert!(!all.of(ProducerId(1)).unwrap().admits(None));
    }

    #[test]
    fn the_lowest_sequence_is_that_of_the_newest_epoch() {
        let mut all = Verifications::default();
        let mut lowest = |epoch, sequence| {
            all.begin(producer(1, epoch, sequence), false, Timestamp(0));
            all.of(ProducerId(1)).unwrap().lowest_sequence()
        };
        assert_eq!(lowest(3, 8), 8);
        assert_eq!(lowest(3, 4), 4);
        assert_eq!(lowest(3, 6), 4);
        assert_eq!(lowest(4, 9), 9);
        assert_eq!(lowest(3, 0), 9);
    }

    #[test]
    fn verifications_expire_and_there_are_only_so_many() {
        let mut all = Verifications::default();
        for id in 0..2 * VERIFICATIONS_MAX as i64 {
            all.begin(producer(id, 0, 0), false, Timestamp(id));
            assert!(all.0.len() <= VERIFICATIONS_MAX);
        }
        let newest = 2 * VERIFICATIONS_MAX as i64 - 1;
        assert!(all.of(ProducerId(newest)).is_some());
        all.remove_expired(Timestamp(newest + 99), 100);
        assert_eq!(all.0.len(), 1);
        all.remove_expired(Timestamp(newest + 100), 100);
        assert_eq!(all.0.len(), 0);
    }
}
