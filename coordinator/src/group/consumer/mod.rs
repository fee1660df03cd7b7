//! Consumer groups (KIP-848): the coordinator assigns, members follow by heartbeat.
//!
//! Invariant: a heartbeat decides from the group as it is and writes what changes; the group
//! changes when the records are replayed, so a heartbeat whose records were not written did nothing.

mod checks;
mod classic_members;
mod describe;
mod embedded;
mod fence;
pub(crate) mod group;
mod heartbeat;
pub(crate) mod member;
pub(crate) mod metadata;
mod migration;
pub(crate) mod offsets;

mod reconcile;
pub(crate) mod record;
mod regex;
mod update;

pub(crate) use checks::refuse_heartbeat;

use protocol::ErrorCode;
use protocol::messages::ConsumerGroupHeartbeatResponse;

use super::turn::text;

/// Why a request is refused, for its client and for whoever reads the client's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn of_heartbeat(&self) -> ConsumerGroupHeartbeatResponse {
        ConsumerGroupHeartbeatResponse::default()
            .with_error_code(self.code.code())
            .with_error_message(Some(text(&self.message)))
    }
}
