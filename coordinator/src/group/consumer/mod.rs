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
mod migration;
pub(crate) mod offsets;

mod reconcile;
pub(crate) mod record;
mod regex;
mod update;

pub(crate) use checks::refuse_heartbeat;

use protocol::messages::ConsumerGroupHeartbeatResponse;

pub(crate) use super::refusal::Refusal;
use super::turn::text;

impl Refusal {
    pub(crate) fn of_heartbeat(&self) -> ConsumerGroupHeartbeatResponse {
        ConsumerGroupHeartbeatResponse::default()
            .with_error_code(self.code.code())
            .with_error_message(Some(text(&self.message)))
    }
}
