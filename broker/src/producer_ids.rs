//! Ids for producers, out of blocks that the controller hands out.
//!
//! Invariant: no id is given twice. A block is in the metadata log before its first id leaves
//! here, and what is left of it at a stop is lost.

use std::ops::Range;
use std::time::Duration;

use controller::ControllerHandle;
use parking_lot::Mutex;
use protocol::{ErrorCode, ProducerId};

/// How long a client is kept waiting for a block.
const BLOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The producer ids of this broker.
pub(crate) struct ProducerIds {
    controller: ControllerHandle,
    broker_id: i32,
    /// What is left of the current block.
    block: Mutex<Range<i64>>,
    /// Held, on purpose, while one caller waits for the next block: the others find it filled.
    asking: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    /// Ids for the broker `broker_id`.
    pub(crate) fn new(controller: ControllerHandle, broker_id: i32) -> Self {
        ProducerIds {
            controller,
            broker_id,
            block: Mutex::new(0..0),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// A producer id that nobody was given before.
    ///
    /// # Errors
    /// `COORDINATOR_LOAD_IN_PROGRESS`, as upstream, or the controller's code, when there is no
    /// block to be had in time; clients ask again.
    pub(crate) async fn next(&self) -> Result<ProducerId, ErrorCode> {
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let block = tokio::time::timeout(BLOCK_WAIT_MAX, self.next_of_new_block());
        block
            .await
            .unwrap_or(Err(ErrorCode::CoordinatorLoadInProgress))
    }

    async fn next_of_new_block(&self) -> Result<ProducerId, ErrorCode> {
        let _asking = self.asking.lock().await;
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let image = self.controller.image();
        let registered = image.cluster.broker(self.broker_id);
        let epoch = registered
            .ok_or(ErrorCode::CoordinatorLoadInProgress)?
            .epoch;
        let mut block = self
            .controller
            .allocate_producer_ids(self.broker_id, epoch)
            .await?;
        let first = block.next();
        *self.block.lock() = block;
        first
            .map(ProducerId)
            .ok_or(ErrorCode::CoordinatorLoadInProgress)
    }

    fn take(&self) -> Option<ProducerId> {
        self.block.lock().next().map(ProducerId)
    }
}
