//! How far the producer ids of the cluster have been given away.
//! The mark only rises: an id below it is never given away again.

use std::sync::Arc;

use protocol::ProducerId;

use crate::record::MetadataRecord;

/// The first producer id that nobody was given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerIdsImage {
    next_producer_id: ProducerId,
}

impl Default for ProducerIdsImage {
    fn default() -> ProducerIdsImage {
        ProducerIdsImage {
            next_producer_id: ProducerId(0),
        }
    }
}

impl ProducerIdsImage {
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        if self.next_producer_id.0 > 0 {
            records.push(MetadataRecord::ProducerIds {
                broker_id: -1,
                broker_epoch: -1,
                next_producer_id: self.next_producer_id,
            });
        }
    }
}

/// Whether blocks of producer ids were given away.
#[derive(Debug, Clone)]
pub struct ProducerIdsDelta {
    next: Arc<ProducerIdsImage>,
    changed: bool,
}

impl ProducerIdsDelta {
    pub(super) fn new(base: &Arc<ProducerIdsImage>) -> ProducerIdsDelta {
        ProducerIdsDelta {
            next: Arc::clone(base),
            changed: false,
        }
    }

    pub(super) fn between(
        base: &ProducerIdsImage,
        next: &Arc<ProducerIdsImage>,
    ) -> ProducerIdsDelta {
        ProducerIdsDelta {
            changed: *base != **next,
            next: Arc::clone(next),
        }
    }

    pub fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn set(&mut self, next_producer_id: ProducerId) {
        let next = Arc::make_mut(&mut self.next);
        next.next_producer_id = next.next_producer_id.max(next_producer_id);
        self.changed = true;
    }

    pub(super) fn apply(&self) -> Arc<ProducerIdsImage> {
        Arc::clone(&self.next)
    }
}
