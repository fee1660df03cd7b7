//! The controller's decisions: pure functions of a request and the image.
//! A decision changes nothing; its records do, once they are committed. Randomness comes in with
//! the [`Environment`], and no decision depends on the time.

pub(crate) mod api_error;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod election;
pub(crate) mod features;
pub(crate) mod partitions;
pub(crate) mod producer_ids;
pub(crate) mod put_back;
pub(crate) mod reassignments;
pub mod topic_name;
pub(crate) mod topics;

#[cfg(test)]
pub(crate) mod fixture;

use metadata::{MetadataImage, MetadataRecord};
use protocol::TopicId;
use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::options::Settings;

/// As many records as one request may lead to, and one entry of the log may hold.
pub(crate) const MAX_RECORDS_PER_DECISION: usize = 10_000;

/// As many partitions as one request may create.
pub(crate) const MAX_PARTITIONS_PER_REQUEST: i64 = 10_000;

/// What a decision may know besides the request and the image.
pub(crate) struct Environment<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) rng: &'a mut StdRng,
}

impl Environment<'_> {
    /// A new topic id. As upstream, none that begins with a dash (it would read as an option of a
    /// command line), and none of the reserved ones.
    pub(crate) fn new_topic_id(&mut self, image: &MetadataImage) -> TopicId {
        const DASH: u8 = 62;
        loop {
            let id = uuid::Builder::from_random_bytes(self.rng.random()).into_uuid();
            let reserved = id.as_u128() <= 100;
            let dashed = id.as_bytes().first().is_some_and(|byte| byte >> 2 == DASH);
            if !reserved && !dashed && image.topics.by_id(TopicId(id)).is_none() {
                return TopicId(id);
            }
        }
    }
}

/// What is answered once the records are committed.
#[derive(Debug)]
pub(crate) struct Decision<R> {
    pub(crate) records: Vec<MetadataRecord>,
    pub(crate) response: R,
    /// Whether the records must come into force together. If not, a long list may be split.
    pub(crate) atomic: bool,
}

impl<R> Decision<R> {
    /// An answer that changes nothing.
    pub(crate) fn answer(response: R) -> Decision<R> {
        Decision {
            records: Vec::new(),
            response,
            atomic: true,
        }
    }

    pub(crate) fn atomic(records: Vec<MetadataRecord>, response: R) -> Decision<R> {
        Decision {
            records,
            response,
            atomic: true,
        }
    }

    pub(crate) fn divisible(records: Vec<MetadataRecord>, response: R) -> Decision<R> {
        Decision {
            records,
            response,
            atomic: false,
        }
    }
}

/// The log directory of a replica that has not chosen one: upstream's reserved `UNASSIGNED`.
pub(crate) const UNASSIGNED_DIRECTORY: Uuid = Uuid::nil();
