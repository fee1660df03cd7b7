//! Share groups (KIP-932): members share partitions, and the coordinator says who has which.
//!
//! Invariant: a heartbeat decides from the group as it is and writes what changes; the group
//! changes when the records are replayed. A partition is given out only once the share coordinator
//! keeps state for it, and what is asked of that coordinator rests on a record that says so.

mod checks;
mod command;
mod describe;
mod describe_offsets;
mod fence;
pub(crate) mod group;
mod heartbeat;
mod offsets;
pub(crate) mod record;
mod state;
mod update;

pub(crate) use checks::refuse_heartbeat;
pub(crate) use command::{Awaited, message_of};
pub use command::{GroupCommand, GroupCommandAnswer};
pub use describe_offsets::{DescribedOffsets, SharePartitionSummary};

use protocol::messages::ShareGroupHeartbeatResponse;

use super::refusal::Refusal;
use super::turn::text;

impl Refusal {
    pub(crate) fn of_share_heartbeat(&self) -> ShareGroupHeartbeatResponse {
        let message = Some(text(&self.message)).filter(|message| !message.is_empty());
        ShareGroupHeartbeatResponse::default()
            .with_error_code(self.code.code())
            .with_error_message(message)
    }
}
