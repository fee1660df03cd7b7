//! ShareGroupHeartbeat: a member joins, changes what it subscribes, goes on, or leaves.
//!
//! Invariant: a member is answered with an epoch and an assignment that are in the records of the
//! same turn or of one before; a heartbeat that is refused leaves no record and no timer.

use std::borrow::Cow;
use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};

use super::super::assignor;
use super::super::epochs::MetadataRefresh;
use super::super::refusal::Refusal;
use super::super::turn::{Turn, text};
use super::super::{GroupResponse, GroupShard};
use super::GroupCommand;
use super::command::initialize_request;
use super::group::{LEAVE_GROUP_EPOCH, ShareGroup, ShareMember};
use super::record::ShareGroupEntry;
use super::state::ByTopic;
use super::update::Update;
use crate::{ReplyTo, RequestMeta};

impl GroupShard {
    pub(crate) fn share_heartbeat(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &ShareGroupHeartbeatRequest,
    ) {
        let result = match request.member_epoch {
            LEAVE_GROUP_EPOCH => self.share_leave(turn, request),
            _ => self.share_goes_on(turn, meta, request),
        };
        let response = result.unwrap_or_else(|refusal| {
            tracing::debug!(
                group = request.group_id.as_str(), member = request.member_id.as_str(),
                code = ?refusal.code, reason = refusal.message, "a heartbeat is refused"
            );
            refusal.of_share_heartbeat()
        });
        turn.reply(token, GroupResponse::ShareGroupHeartbeat(response));
    }

    fn share_goes_on(
        &mut self,
        turn: &mut Turn,
        meta: &RequestMeta,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<ShareGroupHeartbeatResponse, Refusal> {
        let view = self.metadata.clone();
        let config = turn.config.clone();
        let group = self.share_group_or_new(&request.group_id, request.member_epoch == 0)?;
        let group_id = group.id.clone();
        let heartbeat = Heartbeat {
            update: Update::new(&group, &*view, &config, turn.now),
            request,
            meta,
        };
        let done = heartbeat.carry_out()?;
        drop(group);
        turn.write_share_group(&group_id, done.entries);
        let timeout_ms = self.share_session_timeout_ms(turn, &group_id);
        turn.arm_share_session(&group_id, &done.member_id, timeout_ms);
        if !done.to_initialize.is_empty() {
            let topics = done.to_initialize.iter().map(|(topic_id, topic)| {
                let offsets = topic.partitions.iter().map(|index| (*index, None));
                (*topic_id, offsets.collect())
            });
            let request = initialize_request(&group_id, done.group_epoch, topics);
            turn.commands.push(GroupCommand::InitializeShareGroupState {
                for_request: None,
                request,
            });
        }
        if let Some(group) = self.share_groups.get_mut(&group_id) {
            group.soft.metadata_refresh = done.metadata_refresh.or(group.soft.metadata_refresh);
        }
        self.share_state_asked(turn, &group_id, done.to_initialize.into_keys());
        Ok(done.response)
    }

    /// The share group of this name, or one that is not in the shard yet.
    pub(crate) fn share_group_or_new(
        &self,
        group_id: &str,
        create: bool,
    ) -> Result<Cow<'_, ShareGroup>, Refusal> {
        if let Some(group) = self.share_groups.get(group_id) {
            return Ok(Cow::Borrowed(group));
        }
        let what = if self.has_group(group_id) {
            format!("Group {group_id} is not a share group.")
        } else if create {
            return Ok(Cow::Owned(ShareGroup::new(Arc::from(group_id))));
        } else {
            format!("Share group {group_id} not found.")
        };
        Err(Refusal::new(ErrorCode::GroupIdNotFound, what))
    }

    /// The share group of this name, which must be there.
    pub(crate) fn share_group(&self, group_id: &str) -> Result<&ShareGroup, Refusal> {
        self.share_groups.get(group_id).ok_or_else(|| {
            let what = if self.has_group(group_id) {
                format!("Group {group_id} is not a share group.")
            } else {
                format!("Group {group_id} not found.")
            };
            Refusal::new(ErrorCode::GroupIdNotFound, what)
        })
    }

    pub(crate) fn share_session_timeout_ms(&self, turn: &Turn, group_id: &str) -> i32 {
        let own = self.metadata.group_config(group_id);
        own.share_session_timeout_ms
            .unwrap_or(turn.config.group_share_session_timeout_ms)
    }

    /// After a load: every member has a session again.
    pub(crate) fn resume_share_groups(&self, turn: &mut Turn) {
        for group in self.share_groups.values() {
            let timeout_ms = self.share_session_timeout_ms(turn, &group.id);
            for member in group.members() {
                turn.arm_share_session(&group.id, &member.id, timeout_ms);
            }
        }
    }
}

/// What a heartbeat leads to.
struct Done {
    entries: Vec<ShareGroupEntry>,
    member_id: Arc<str>,
    group_epoch: i32,
    to_initialize: ByTopic,
    metadata_refresh: Option<MetadataRefresh>,
    response: ShareGroupHeartbeatResponse,
}

struct Heartbeat<'a> {
    update: Update<'a>,
    request: &'a ShareGroupHeartbeatRequest,
    meta: &'a RequestMeta,
}

impl Heartbeat<'_> {
    fn carry_out(mut self) -> Result<Done, Refusal> {
        let request = self.request;
        let group = self.update.group;
        group.check_size(&request.member_id, self.update.config.group_share_max_size)?;
        let member = self.member()?;
        member.check_epoch(request.member_epoch)?;
        let updated = self.updated(&member);
        let mut bump = false;
        if updated != member {
            let entry = ShareGroupEntry::subscription(&updated);
            self.update.entries.push(entry);
            bump = updated.subscribed_topic_names != member.subscribed_topic_names;
        }
        let mut group_epoch = group.epochs.epoch();
        if group.epochs.assignment_epoch() >= group_epoch {
            bump |= group.is_assignment_pending();
        }
        if bump || self.update.has_metadata_expired() {
            (group_epoch, bump) = self.update.update_subscription_metadata(&updated, bump);
        }
        let target = self.update.update_target(&updated, group_epoch)?;
        let updated = self.update.reconcile(updated, &target, bump);
        let response = self.response(&member, &updated);
        let topics = self.update.topics_with(&updated);
        let to_initialize = self.update.initialize(&topics);
        Ok(Done {
            entries: self.update.entries,
            member_id: updated.id,
            group_epoch,
            to_initialize,
            metadata_refresh: self.update.metadata_refresh,
            response,
        })
    }

    /// The member that the heartbeat comes from, as it was before.
    fn member(&self) -> Result<ShareMember, Refusal> {
        let group = self.update.group;
        let member_id = self.request.member_id.as_str();
        if self.request.member_epoch == 0 && group.member(member_id).is_none() {
            return Ok(ShareMember::new(Arc::from(member_id)));
        }
        group.known_member(member_id).cloned()
    }

    /// The member with what the heartbeat says of it. What it leaves out stays.
    fn updated(&self, member: &ShareMember) -> ShareMember {
        let request = self.request;
        let mut updated = member.clone();
        if let Some(rack_id) = &request.rack_id {
            updated.rack_id = Some(Arc::from(rack_id.as_str()));
        }
        if let Some(names) = &request.subscribed_topic_names {
            let names = names.iter().map(|name| Arc::from(name.as_str()));
            updated.subscribed_topic_names = names.collect();
        }
        updated.client_id = self.meta.client_id.clone();
        updated.client_host = self.meta.client_host.clone();
        updated
    }

    fn response(&self, before: &ShareMember, member: &ShareMember) -> ShareGroupHeartbeatResponse {
        let request = self.request;
        let interval = self
            .update
            .group_config
            .share_heartbeat_interval_ms
            .unwrap_or(self.update.config.group_share_heartbeat_interval_ms);
        // A request that says all is of a member that joins or that lost an answer.
        let tells_assignment = request.member_epoch == 0
            || request.subscribed_topic_names.is_some()
            || before.assigned != member.assigned;
        ShareGroupHeartbeatResponse::default()
            .with_member_id(Some(text(&member.id)))
            .with_member_epoch(member.epoch)
            .with_heartbeat_interval_ms(interval)
            .with_assignment(tells_assignment.then(|| to_response(&member.assigned)))
    }
}

fn to_response(assigned: &assignor::TopicPartitions) -> Assignment {
    let topics = assigned.iter().map(|(topic_id, partitions)| {
        TopicPartitions::default()
            .with_topic_id(topic_id.0)
            .with_partitions(partitions.iter().copied().collect())
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
