//! AllocateProducerIds: blocks of ids, each given away once and for ever.

use std::ops::Range;

use metadata::{MetadataImage, MetadataRecord};
use protocol::{ErrorCode, ProducerId};

use super::{Decision, Environment, cluster};

/// As many ids as upstream gives to a broker at a time.
pub(crate) const BLOCK_SIZE: i64 = 1000;

pub(crate) fn allocate_producer_ids(
    broker_id: i32,
    broker_epoch: i64,
    image: &MetadataImage,
    _env: &mut Environment<'_>,
) -> Decision<Result<Range<i64>, ErrorCode>> {
    if let Err(code) = cluster::check_epoch(broker_id, broker_epoch, image) {
        return Decision::answer(Err(code));
    }
    let first = image.producer_ids.next_producer_id().0;
    let Some(next) = first.checked_add(BLOCK_SIZE) else {
        // Upstream's answer when all 2^63 ids are gone.
        return Decision::answer(Err(ErrorCode::UnknownServerError));
    };
    let record = MetadataRecord::ProducerIds {
        broker_id,
        broker_epoch,
        next_producer_id: ProducerId(next),
    };
    Decision::atomic(vec![record], Ok(first..next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixture;

    #[test]
    fn blocks_follow_each_other() {
        let image = fixture::image();
        let mut fixture = fixture::Fixture::default();
        let mut env = fixture.environment();
        let first = allocate_producer_ids(1, fixture::EPOCH, &image, &mut env);
        assert_eq!(first.response, Ok(0..1000));
        let image = fixture::apply(&image, &first.records);
        let second = allocate_producer_ids(1, fixture::EPOCH, &image, &mut env);
        assert_eq!(second.response, Ok(1000..2000));
    }

    #[test]
    fn a_broker_of_another_epoch_gets_none() {
        let mut fixture = fixture::Fixture::default();
        let mut env = fixture.environment();
        let decision = allocate_producer_ids(1, 0, &fixture::image(), &mut env);
        assert_eq!(decision.response, Err(ErrorCode::StaleBrokerEpoch));
        let decision = allocate_producer_ids(9, 0, &fixture::image(), &mut env);
        assert_eq!(decision.response, Err(ErrorCode::StaleBrokerEpoch));
        assert!(decision.records.is_empty());
    }

    #[test]
    fn the_last_ids_are_not_given_away() {
        let last = MetadataRecord::ProducerIds {
            broker_id: 1,
            broker_epoch: fixture::EPOCH,
            next_producer_id: ProducerId(i64::MAX - 5),
        };
        let image = fixture::apply(&fixture::image(), &[last]);
        let mut fixture = fixture::Fixture::default();
        let decision = allocate_producer_ids(1, fixture::EPOCH, &image, &mut fixture.environment());
        assert_eq!(decision.response, Err(ErrorCode::UnknownServerError));
    }
}
