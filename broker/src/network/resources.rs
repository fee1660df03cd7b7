//! What all listeners share: places for connections, and room for requests.
//!
//! Invariant: connections never take the descriptors that segments and views need.

use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::Budget;
use super::limits::Limits;
use crate::config::ServerConfig;

/// Segments are held open up to this many (`storage` keeps to it), or half of the descriptors.
const SEGMENTS_MAX: usize = 4096;
/// Left for the views, checkpoints, folders and the runtime: a quarter, and no more than this.
const OTHERS_MAX: usize = 320;

/// Shared by the listeners of a node.
pub(crate) struct Resources {
    places: Arc<Semaphore>,
    pub(super) request_bytes: Arc<Budget>,
    pub(crate) limits: Arc<Limits>,
}

/// A connection's place; dropping it frees it.
pub(super) type Place = OwnedSemaphorePermit;

impl Resources {
    pub(crate) fn new(config: &ServerConfig) -> Arc<Self> {
        let descriptors = getrlimit(Resource::Nofile).current;
        let descriptors = descriptors.and_then(|limit| usize::try_from(limit).ok());
        let configured = config.broker.queued_max_request_bytes;
        Arc::new(Resources {
            places: Arc::new(Semaphore::new(places(descriptors))),
            request_bytes: Arc::new(Budget::new(configured, config.request_max_bytes)),
            limits: Limits::new(config.max_connections, config.max_connections_per_ip),
        })
    }

    /// Bytes that requests on their way in hold of the budget, and the budget.
    pub(crate) fn request_bytes(&self) -> (usize, usize) {
        self.request_bytes.used()
    }

    pub(super) fn has_place(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Waits for a place; none ever comes only where the semaphore is closed, which it never is.
    pub(super) async fn place(&self) -> Option<Place> {
        self.places.clone().acquire_owned().await.ok()
    }
}

/// How many connections a process with so many descriptors serves at once.
fn places(descriptors: Option<usize>) -> usize {
    let Some(all) = descriptors else {
        return Semaphore::MAX_PERMITS;
    };
    let others = (all / 2).min(SEGMENTS_MAX) + (all / 4).min(OTHERS_MAX);
    (all - others).clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_views_keep_their_descriptors() {
        assert_eq!(places(None), Semaphore::MAX_PERMITS);
        assert_eq!(places(Some(0)), 1);
        assert_eq!(places(Some(200)), 50);
        assert_eq!(places(Some(1024)), 256);
        assert_eq!(
            places(Some(1_000_000)),
            1_000_000 - SEGMENTS_MAX - OTHERS_MAX
        );
    }
}
