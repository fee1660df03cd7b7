//! Which batches of the log a reader of committed records does not see.
//!
//! Invariant: the answer depends on the batches and the list of aborted transactions alone, not on
//! that list's order.

use std::collections::BTreeSet;

use protocol::{Offset, ProducerId};

use super::api::{BatchOrigin, Fetched};
use crate::TransactionResult;
use crate::share::OffsetRange;

/// The offsets of the batches of aborted transactions, in order.
pub(super) fn batches(fetched: &Fetched) -> Vec<OffsetRange> {
    let mut begun: Vec<(Offset, ProducerId)> = fetched
        .aborted_transactions
        .iter()
        .map(|aborted| (aborted.first_offset, aborted.producer_id))
        .collect();
    begun.sort_unstable();
    let mut begun = begun.into_iter().peekable();
    let mut aborting = BTreeSet::new();
    let mut aborted = Vec::new();
    for batch in &fetched.batches {
        if batch.origin == BatchOrigin::Plain {
            continue;
        }
        while let Some((_, producer)) = begun.next_if(|(first, _)| *first <= batch.offsets.last()) {
            aborting.insert(producer);
        }
        match batch.origin {
            BatchOrigin::Plain | BatchOrigin::Marker(_, TransactionResult::Commit) => {}
            BatchOrigin::Marker(producer, TransactionResult::Abort) => {
                aborting.remove(&producer);
            }
            BatchOrigin::Transactional(producer) => {
                if aborting.contains(&producer) {
                    aborted.push(batch.offsets);
                }
            }
        }
    }
    aborted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::partition::{AbortedTransaction, FetchedBatch};

    fn range(first: i64, last: i64) -> OffsetRange {
        OffsetRange::new(Offset(first), Offset(last)).expect("a range of the test")
    }

    fn batch(first: i64, last: i64, origin: BatchOrigin) -> FetchedBatch {
        FetchedBatch {
            offsets: range(first, last),
            origin,
        }
    }

    fn aborted(producer: i64, first_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(producer),
            first_offset: Offset(first_offset),
        }
    }

    #[test]
    fn only_the_batches_of_the_aborted_transaction_are_left_out() {
        let (one, two) = (ProducerId(1), ProducerId(2));
        let fetched = Fetched {
            fetch_offset: Offset(0),
            batches: vec![
                batch(0, 1, BatchOrigin::Transactional(one)),
                batch(2, 3, BatchOrigin::Transactional(two)),
                batch(4, 4, BatchOrigin::Plain),
                batch(5, 5, BatchOrigin::Marker(one, TransactionResult::Abort)),
                batch(6, 6, BatchOrigin::Marker(two, TransactionResult::Commit)),
                batch(7, 8, BatchOrigin::Transactional(one)),
                batch(9, 9, BatchOrigin::Marker(one, TransactionResult::Commit)),
                batch(10, 11, BatchOrigin::Transactional(two)),
                batch(12, 12, BatchOrigin::Marker(two, TransactionResult::Abort)),
            ],
            aborted_transactions: vec![aborted(2, 10), aborted(1, 0)],
        };
        assert_eq!(batches(&fetched), [range(0, 1), range(10, 11)]);
    }
}
