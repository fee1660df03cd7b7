//! Whose offsets a consumer group takes, and to whom it tells them.
//!
//! Invariant: a member's commit counts for a partition only if it comes from an epoch in which the
//! member had it; so of two members in a row the later one has the last word.

use protocol::messages::{OffsetCommitRequest, TxnOffsetCommitRequest};
use protocol::{ErrorCode, TopicId};

use super::group::ConsumerGroup;
use super::member::Member;

fn stale(member: &Member) -> ErrorCode {
    if member.uses_classic_protocol() {
        ErrorCode::IllegalGeneration
    } else {
        ErrorCode::StaleMemberEpoch
    }
}

fn admit_epoch(member: &Member, epoch: i32) -> Result<(), ErrorCode> {
    if epoch > member.epoch {
        Err(stale(member))
    } else {
        Ok(())
    }
}

/// In an epoch before its present one a member may commit for what it had then already.
fn admit_partition(
    member: &Member,
    epoch: i32,
    (topic_id, partition): (TopicId, i32),
) -> Result<(), ErrorCode> {
    if epoch >= member.epoch {
        return Ok(());
    }
    let assigned = member.assignment_epoch(topic_id, partition);
    if assigned.is_some_and(|assigned| epoch >= assigned) {
        Ok(())
    } else {
        Err(stale(member))
    }
}

impl ConsumerGroup {
    /// Whether a commit is let in, which it is as a whole or not at all.
    pub(crate) fn admit_commit(
        &self,
        api_version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        // From outside, while nobody is in; an administrator resets offsets that way.
        if epoch < 0 && self.size() == 0 {
            return Ok(());
        }
        let member = self
            .member(&request.member_id)
            .ok_or(ErrorCode::UnknownMemberId)?;
        if !member.uses_classic_protocol() && api_version < 9 {
            return Err(ErrorCode::UnsupportedVersion);
        }
        for topic in &request.topics {
            for partition in &topic.partitions {
                let place = (TopicId(topic.topic_id), partition.partition_index);
                admit_partition(member, epoch, place)?;
            }
        }
        admit_epoch(member, epoch)
    }

    /// As [`ConsumerGroup::admit_commit`], for a commit in a producer's transaction, which need
    /// not say for whom it is. `topic_id` knows the ids of topics: the request has names only.
    pub(crate) fn admit_in_transaction(
        &self,
        request: &TxnOffsetCommitRequest,
        topic_id: impl Fn(&str) -> Option<TopicId>,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id;
        if epoch < 0 && self.size() == 0 {
            return Ok(());
        }
        let is_nobodys = request.member_id.is_empty() && request.group_instance_id.is_none();
        if epoch == -1 && is_nobodys {
            return Ok(());
        }
        let member = self
            .member(&request.member_id)
            .ok_or(ErrorCode::UnknownMemberId)?;
        let mut result = admit_epoch(member, epoch);
        for topic in &request.topics {
            let id = topic_id(&topic.name).unwrap_or(TopicId::ZERO);
            for partition in &topic.partitions {
                let place = (id, partition.partition_index);
                result = result.and(admit_partition(member, epoch, place));
            }
        }
        // Producers do not know the other code.
        result.map_err(|_| ErrorCode::IllegalGeneration)
    }

    /// Whether who asks for offsets is the member it says. Who says nothing may ask.
    pub(crate) fn admit_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|member_id| self.member(member_id));
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if epoch == member.epoch {
            Ok(())
        } else {
            Err(stale(member))
        }
    }
}
