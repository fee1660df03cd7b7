//! What is wrong with a ShareGroupHeartbeat, by itself or for the group it names.
//!
//! Invariant: reads only; the checks come in upstream's order, and so does the first error.

use protocol::ErrorCode;
use protocol::messages::ShareGroupHeartbeatRequest;

use super::super::api::STRING_BYTES_MAX;
use super::super::refusal::Refusal;
use super::group::{LEAVE_GROUP_EPOCH, ShareGroup, ShareMember};

/// A uuid as text, whichever way it is written.
const MEMBER_ID_UNITS_MAX: usize = 36;

/// What can be said of a heartbeat before its group is known.
pub(crate) fn refuse_heartbeat(request: &ShareGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let is_blank = |text: &str| text.trim().is_empty();
    let units = request.member_id.encode_utf16().count();
    if !(1..=MEMBER_ID_UNITS_MAX).contains(&units) {
        // Upstream gives no message here.
        return invalid("");
    }
    if is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if request.rack_id.as_deref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    let names = request.subscribed_topic_names.as_deref();
    if request.member_epoch == 0 && names.is_none_or(<[_]>::is_empty) {
        return invalid("SubscribedTopicNames must be set in first request.");
    }
    if request.member_epoch < LEAVE_GROUP_EPOCH {
        return invalid("MemberEpoch is invalid.");
    }
    // Keys of records hold strings with 16-bit lengths. Upstream fails with UNKNOWN_SERVER_ERROR.
    if request.group_id.len() > STRING_BYTES_MAX {
        return invalid("GroupId may have 32767 bytes at most.");
    }
    Ok(())
}

impl ShareGroup {
    /// Whether there is room (`group.share.max.size`).
    pub(crate) fn check_size(&self, member_id: &str, max_size: i32) -> Result<(), Refusal> {
        let is_full = self.size() >= usize::try_from(max_size).unwrap_or(0);
        if is_full && self.member(member_id).is_none() {
            return Err(Refusal::new(
                ErrorCode::GroupMaxSizeReached,
                format!("The share group has reached its maximum capacity of {max_size} members."),
            ));
        }
        Ok(())
    }

    pub(crate) fn known_member(&self, member_id: &str) -> Result<&ShareMember, Refusal> {
        self.member(member_id).ok_or_else(|| {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            Refusal::new(ErrorCode::UnknownMemberId, message)
        })
    }
}

impl ShareMember {
    /// Whether a heartbeat may come with this epoch. With 0 a member joins anew; the epoch before
    /// is let in while the answer with the present one may have been lost.
    pub(crate) fn check_epoch(&self, epoch: i32) -> Result<(), Refusal> {
        let (known, previous) = (self.epoch, self.previous_epoch);
        let what = match epoch {
            0 => return Ok(()),
            epoch if epoch == known => return Ok(()),
            epoch if epoch > known => format!(
                "The share group member has a greater member epoch ({epoch}) than the one known \
                 by the group coordinator ({known})."
            ),
            epoch if epoch == previous => return Ok(()),
            epoch => format!(
                "The share group member has a smaller member epoch ({epoch}) than the one known \
                 by the group coordinator ({known}), and it does not match the previous member \
                 epoch ({previous})."
            ),
        };
        let what = format!("{what} The member must abandon all its partitions and rejoin.");
        Err(Refusal::new(ErrorCode::FencedMemberEpoch, what))
    }
}
