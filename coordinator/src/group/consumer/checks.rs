//! What is wrong with a ConsumerGroupHeartbeat, by itself or for the group it names.
//!
//! Invariant: reads only; the checks come in upstream's order, and so does the first error.

use protocol::ErrorCode;
use protocol::messages::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;

use super::super::GroupCoordinatorConfig;
use super::super::api::STRING_BYTES_MAX;
use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{Assignment, LEAVE_GROUP_EPOCH, LEAVE_GROUP_STATIC_EPOCH, Member};

fn invalid(message: &str) -> Result<(), Refusal> {
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}

/// What can be said of a heartbeat before its group is known.
pub(crate) fn refuse_heartbeat(
    api_version: i16,
    request: &ConsumerGroupHeartbeatRequest,
    config: &GroupCoordinatorConfig,
) -> Result<(), Refusal> {
    let is_blank = |text: &str| text.trim().is_empty();
    let is_some_blank = |text: Option<&str>| text.is_some_and(is_blank);
    let epoch = request.member_epoch;
    // Members of version 0 learn their id from the answer to their first heartbeat.
    let needs_id = api_version >= 1 || epoch > 0 || epoch == LEAVE_GROUP_EPOCH;
    if needs_id && is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if is_some_blank(request.instance_id.as_deref()) {
        return invalid("InstanceId can't be empty.");
    }
    if is_some_blank(request.rack_id.as_deref()) {
        return invalid("RackId can't be empty.");
    }
    check_epoch(request)?;
    check_lengths(request)?;
    match request.server_assignor.as_deref() {
        Some(name)
            if !config
                .group_consumer_assignors
                .iter()
                .any(|own| **own == *name) =>
        {
            let known = config.group_consumer_assignors.join(", ");
            Err(Refusal::new(
                ErrorCode::UnsupportedAssignor,
                format!("ServerAssignor {name} is not supported. Supported assignors: {known}."),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_epoch(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    match request.member_epoch {
        0 if request.rebalance_timeout_ms == -1 => {
            invalid("RebalanceTimeoutMs must be provided in first request.")
        }
        0 if request
            .topic_partitions
            .as_ref()
            .is_none_or(|owned| !owned.is_empty()) =>
        {
            invalid("TopicPartitions must be empty when (re-)joining.")
        }
        0 if request.subscribed_topic_names.is_none()
            && request.subscribed_topic_regex.is_none() =>
        {
            invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                 (re-)joining.",
            )
        }
        LEAVE_GROUP_STATIC_EPOCH if request.instance_id.is_none() => {
            invalid("InstanceId can't be null.")
        }
        epoch if epoch < LEAVE_GROUP_STATIC_EPOCH => invalid("MemberEpoch is invalid."),
        _ => Ok(()),
    }
}

/// Keys of records hold strings with 16-bit lengths, and so do the records of a classic group that
/// a consumer group may become. Upstream fails with UNKNOWN_SERVER_ERROR.
fn check_lengths(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let length = |text: Option<&str>| text.map_or(0, str::len);
    let lengths = [
        request.group_id.len(),
        request.member_id.len(),
        length(request.instance_id.as_deref()),
        length(request.subscribed_topic_regex.as_deref()),
    ];
    if lengths.iter().any(|length| *length > STRING_BYTES_MAX) {
        return invalid(
            "GroupId, MemberId, InstanceId and SubscribedTopicRegex may have 32767 bytes at most.",
        );
    }
    Ok(())
}

impl ConsumerGroup {
    /// Whether there is room (`group.consumer.max.size`).
    pub(crate) fn check_size(&self, member_id: &str, max_size: i32) -> Result<(), Refusal> {
        let is_full = self.size() >= usize::try_from(max_size).unwrap_or(0);
        if is_full && self.member(member_id).is_none() {
            return Err(Refusal::new(
                ErrorCode::GroupMaxSizeReached,
                format!(
                    "The consumer group has reached its maximum capacity of {max_size} members."
                ),
            ));
        }
        Ok(())
    }

    pub(crate) fn known_member(&self, member_id: &str) -> Result<&Member, Refusal> {
        self.member(member_id).ok_or_else(|| {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            Refusal::new(ErrorCode::UnknownMemberId, message)
        })
    }

    /// The static member of an instance, if it has this id.
    pub(crate) fn known_static_member(
        &self,
        instance_id: &str,
        member_id: &str,
    ) -> Result<&Member, Refusal> {
        let Some(member) = self.static_member(instance_id) else {
            let message = format!("Instance id {instance_id} is unknown.");
            return Err(Refusal::new(ErrorCode::UnknownMemberId, message));
        };
        if *member.id != *member_id {
            let message = format!(
                "Static member {member_id} with instance id {instance_id} was fenced by member {}.",
                member.id
            );
            return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
        }
        Ok(member)
    }
}

impl Member {
    /// Whether a heartbeat may come with this epoch. With 0 a member joins anew; the epoch before
    /// is let in while the answer with the present one may have been lost.
    pub(crate) fn check_epoch(&self, epoch: i32, owned: Option<&[Owned]>) -> Result<(), Refusal> {
        let relation = match epoch {
            0 => return Ok(()),
            epoch if epoch > self.epoch => "greater",
            epoch if epoch == self.epoch => return Ok(()),
            epoch if epoch == self.previous_epoch && is_subset(owned, &self.assigned) => {
                return Ok(());
            }
            _ => "smaller",
        };
        let known = self.epoch;
        Err(Refusal::new(
            ErrorCode::FencedMemberEpoch,
            format!(
                "The consumer group member has a {relation} member epoch ({epoch}) than the one \
                 known by the group coordinator ({known}). The member must abandon all its \
                 partitions and rejoin."
            ),
        ))
    }
}

/// Whether a member that owns these owns nothing but what it is assigned.
fn is_subset(owned: Option<&[Owned]>, assigned: &Assignment) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|topic| {
            let epochs = assigned.get(&protocol::TopicId(topic.topic_id));
            epochs.is_some_and(|epochs| {
                let mut indexes = topic.partitions.iter();
                indexes.all(|index| epochs.contains_key(index))
            })
        })
    })
}
