//! The epochs of a group whose members the coordinator assigns: its own, and that of its target
//! assignment.
//!
//! Invariant: they are what the records say, or what upstream takes for them before there is one.

use protocol::Timestamp;

/// The epoch of a group, and of its target assignment, before any was written.
const FIRST_EPOCH: i32 = 1;

/// The metadata hash of a group is right until a change is told: this far away is never.
const METADATA_REFRESH_INTERVAL_MS: i64 = i32::MAX as i64;

/// A group's epoch and the topics it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpochValue {
    pub epoch: i32,
    /// Of the subscribed topics; 0 where there are none.
    pub metadata_hash: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    /// When it was made; 0 where that is not known.
    pub assignment_timestamp: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Epochs {
    pub(crate) group: Option<GroupEpochValue>,
    pub(crate) assignment: Option<TargetAssignmentMetadataValue>,
}

impl Epochs {
    pub(crate) fn epoch(&self) -> i32 {
        self.group.map_or(FIRST_EPOCH, |value| value.epoch)
    }

    pub(crate) fn metadata_hash(&self) -> i64 {
        self.group.map_or(0, |value| value.metadata_hash)
    }

    pub(crate) fn assignment_epoch(&self) -> i32 {
        self.assignment
            .map_or(FIRST_EPOCH, |value| value.assignment_epoch)
    }

    /// Target assignments are made at intervals, so that many who join are assigned at once.
    pub(crate) fn may_assign_again(&self, interval_ms: i32, now: Timestamp) -> bool {
        let made_at = self
            .assignment
            .map_or(0, |value| value.assignment_timestamp.0);
        // A clock that was put back makes nobody wait until it is where it was.
        let age = now.0.saturating_sub(made_at);
        made_at == 0 || interval_ms == 0 || age < 0 || age >= i64::from(interval_ms)
    }

    pub(crate) fn is_none(&self) -> bool {
        self.group.is_none() && self.assignment.is_none()
    }
}

/// The metadata hash is right until then, as far as the group has not got behind the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetadataRefresh {
    deadline: Timestamp,
    epoch: i32,
}

impl MetadataRefresh {
    /// The hash was just computed, for this epoch.
    pub(crate) fn done(now: Timestamp, epoch: i32) -> Self {
        let deadline = now.0.saturating_add(METADATA_REFRESH_INTERVAL_MS);
        MetadataRefresh {
            deadline: Timestamp(deadline),
            epoch,
        }
    }

    pub(crate) fn has_expired(refresh: Option<Self>, now: Timestamp, group_epoch: i32) -> bool {
        refresh.is_none_or(|refresh| now >= refresh.deadline || group_epoch < refresh.epoch)
    }
}
