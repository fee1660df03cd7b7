//! Members of the classic protocol in a consumer group: their JoinGroup, SyncGroup, Heartbeat and
//! LeaveGroup, while a group is on its way from one protocol to the other.
//!
//! Invariant: such a member moves on by joining again. Its generation is its member epoch, and it
//! is never a leader: the coordinator assigns.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
    SyncGroupResponse,
};
use protocol::{ErrorCode, StrBytes};

use super::super::api::{STRING_BYTES_MAX, leaving, left, shape_leave};
use super::super::classic::{CONSUMER_PROTOCOL_TYPE, SupportedProtocol, Waiting};
use super::super::config::ConsumerGroupMigrationPolicy;
use super::super::epochs::MetadataRefresh;
use super::super::metadata::MetadataView;
use super::super::record::GroupRecord;
use super::super::turn::{Turn, consumer_join, consumer_sync, text};
use super::super::{GroupResponse, GroupShard};
use super::embedded::{NamedTopic, Subscription, put_assignment, read_subscription};
use super::group::ConsumerGroup;
use super::member::{Member, MemberState};
use super::migration::may_downgrade;
use super::record::{ClassicMemberMetadata, ConsumerGroupEntry};
use super::regex::RegexChange;
use super::update::{Target, Update};
use crate::{ReplyTo, RequestMeta};

/// What a JoinGroup leads to.
struct Joined {
    member: Member,
    records: Vec<GroupRecord>,
    metadata_refresh: Option<MetadataRefresh>,
    /// The group's regular expressions are to be resolved.
    resolve: bool,
    /// The group becomes classic with it, and rebalances if that says so.
    downgrade: Option<bool>,
}

impl GroupShard {
    /// A JoinGroup for a consumer group with members.
    pub(crate) fn join_consumer_group(
        &mut self,
        turn: &mut Turn,
        waiting: Waiting,
        meta: &RequestMeta,
        request: &JoinGroupRequest,
    ) {
        let new_id = self.new_consumer_member_id();
        let asked_id = request.member_id.as_str();
        let Some(group) = self.consumer_groups.get(request.group_id.as_str()) else {
            return;
        };
        let group_id = group.id.clone();
        let member_id = match asked_id {
            "" => new_id,
            known => Arc::from(known),
        };
        if let Err(code) = self.check_join(turn, group, &member_id, request) {
            turn.join_error(waiting, "", code);
            return;
        }
        let is_dynamic = request.group_instance_id.is_none();
        if asked_id.is_empty() && is_dynamic && waiting.api_version >= 4 {
            // KIP-394: the first join is refused so that the member learns its id.
            turn.join_error(waiting, &member_id, ErrorCode::MemberIdRequired);
            return;
        }
        let view = self.metadata.clone();
        match self.joined(turn, &*view, meta, request, member_id) {
            Ok(joined) => self.answer_join(turn, waiting, &group_id, request, joined),
            Err(code) => turn.join_error(waiting, "", code),
        }
    }

    fn check_join(
        &self,
        turn: &Turn,
        group: &ConsumerGroup,
        member_id: &str,
        request: &JoinGroupRequest,
    ) -> Result<(), ErrorCode> {
        let policy = turn.config.group_consumer_migration_policy;
        if policy == ConsumerGroupMigrationPolicy::Disabled {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let instance_id = request.group_instance_id.as_deref();
        if member_id.len().max(instance_id.map_or(0, str::len)) > STRING_BYTES_MAX {
            // No record could hold it. Upstream fails with UNKNOWN_SERVER_ERROR.
            return Err(ErrorCode::InvalidRequest);
        }
        group
            .check_size(member_id, turn.config.group_consumer_max_size)
            .map_err(|refusal| refusal.code)?;
        let mut protocols = request.protocols.iter();
        let all_support = |name: &str| {
            let mut others = group.members().filter_map(|member| member.classic.as_ref());
            others.all(|classic| {
                let mut names = classic.supported_protocols.iter();
                names.any(|(own, _)| **own == *name)
            })
        };
        let is_supported = *request.protocol_type == *CONSUMER_PROTOCOL_TYPE
            && protocols.any(|protocol| all_support(&protocol.name));
        if is_supported {
            Ok(())
        } else {
            Err(ErrorCode::InconsistentGroupProtocol)
        }
    }

    fn joined(
        &self,
        turn: &Turn,
        view: &dyn MetadataView,
        meta: &RequestMeta,
        request: &JoinGroupRequest,
        member_id: Arc<str>,
    ) -> Result<Joined, ErrorCode> {
        let group = self.consumer_groups.get(request.group_id.as_str());
        let group = group.ok_or(ErrorCode::UnknownMemberId)?;
        let first = request.protocols.first();
        let metadata = first.map(|protocol| protocol.metadata.clone());
        // The coordinator assigns by what stands there. Upstream fails with UNKNOWN_SERVER_ERROR.
        let subscription = read_subscription(&metadata.unwrap_or_default())
            .map_err(|_| ErrorCode::InvalidRequest)?;
        let instance_id = request.group_instance_id.as_deref();
        let replaced = instance_id.and_then(|id| group.static_member(id));
        let downgrades = replaced.is_some_and(|old| {
            let stay: Vec<_> = group.members().filter(|other| other.id != old.id).collect();
            !old.uses_classic_protocol()
                && may_downgrade(turn, &stay)
                && group.size() <= usize::try_from(turn.config.group_max_size).unwrap_or(0)
        });
        let mut update = Update::new(group, view, &turn.config, turn.now);
        let member = update.subscribe_classic(request, member_id)?;
        let updated = with_subscription(&member, meta, request, &subscription);
        let is_resolving = self.is_resolving(&group.id);
        let version = self.last_new_topics_version;
        let bump = update.take_subscription(&member, &updated, version, is_resolving)?;
        let mut epoch = group.epoch();
        if bump || update.is_metadata_due(&updated) {
            epoch = update.update_subscription_metadata(&updated, bump);
        }
        let target = if downgrades {
            Target {
                epoch: group.assignment_epoch(),
                partitions: group.target_of(&updated),
            }
        } else {
            let target = update.update_target(&updated, epoch);
            target.map_err(|refusal| refusal.code)?
        };
        let owned = owned_topics(&subscription, view);
        let updated = if downgrades && bump {
            // The classic group rebalances anyway.
            updated
        } else {
            let step = update.reconcile(updated, &target, bump, Some(&owned));
            step.map_err(|refusal| refusal.code)?
        };
        let (metadata_refresh, resolve) = (update.metadata_refresh, update.resolve);
        let entries = update.entries;
        let mut records: Vec<_> = entries
            .iter()
            .map(|entry| GroupRecord::ConsumerGroup(group.record(entry.clone())))
            .collect();
        if downgrades {
            let mut joined = group.clone();
            entries.iter().for_each(|entry| joined.replay(entry));
            records.extend(self.downgraded_by_joining(turn, &joined)?);
        }
        Ok(Joined {
            member: updated,
            records,
            metadata_refresh,
            resolve,
            downgrade: downgrades.then_some(bump),
        })
    }

    fn answer_join(
        &mut self,
        turn: &mut Turn,
        waiting: Waiting,
        group_id: &Arc<str>,
        request: &JoinGroupRequest,
        joined: Joined,
    ) {
        let member = &joined.member;
        turn.records.extend(joined.records);
        turn.cancel(consumer_join(group_id, &member.id));
        match joined.downgrade {
            Some(rebalances) => turn.arm_downgraded(group_id, rebalances),
            None => {
                turn.arm_consumer_session(group_id, &member.id, request.session_timeout_ms);
                let key = consumer_sync(group_id, &member.id);
                turn.arm(key, member.rebalance_timeout_ms);
                if joined.resolve {
                    turn.arm_regex(group_id);
                }
                if let Some(group) = self.consumer_groups.get_mut(group_id)
                    && joined.metadata_refresh.is_some()
                {
                    group.soft.metadata_refresh = joined.metadata_refresh;
                }
            }
        }
        let protocol_name = member.first_protocol().map(|(name, _)| text(name));
        let response = JoinGroupResponse::default()
            .with_member_id(text(&member.id))
            .with_generation_id(member.epoch)
            .with_protocol_type(Some(text(CONSUMER_PROTOCOL_TYPE)))
            .with_protocol_name(protocol_name);
        turn.join_reply(waiting, response);
    }

    pub(crate) fn sync_consumer_group(
        &self,
        turn: &mut Turn,
        waiting: Waiting,
        group: &ConsumerGroup,
        request: &SyncGroupRequest,
    ) {
        let instance_id = request.group_instance_id.as_deref();
        let member = match group.classic_member(&request.member_id, instance_id) {
            Ok(member) => member,
            Err(code) => return turn.sync_error(waiting, code),
        };
        if let Err(code) = check_sync(member, request) {
            return turn.sync_error(waiting, code);
        }
        if group.assignment_epoch() > member.epoch
            && member.state != MemberState::UnrevokedPartitions
        {
            self.await_join(turn, group, member);
            return turn.sync_error(waiting, ErrorCode::RebalanceInProgress);
        }
        turn.cancel(consumer_sync(&group.id, &member.id));
        turn.arm_consumer_session(&group.id, &member.id, member.classic_session_timeout_ms());
        let response = SyncGroupResponse::default()
            .with_protocol_type(request.protocol_type.clone())
            .with_protocol_name(request.protocol_name.clone())
            .with_assignment(assignment_of(member, &*self.metadata));
        turn.sync_reply(waiting, response);
    }

    pub(crate) fn heartbeat_consumer_group(
        &self,
        turn: &mut Turn,
        group: &ConsumerGroup,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        let member = group.classic_member(&request.member_id, instance_id)?;
        if request.generation_id != member.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        turn.arm_consumer_session(&group.id, &member.id, member.classic_session_timeout_ms());
        // It has to catch up, or to give up partitions, or there is something free for it.
        let has_to_join = member.epoch < group.assignment_epoch()
            || member.state == MemberState::UnrevokedPartitions
            || (member.state == MemberState::UnreleasedPartitions
                && !group.is_waiting_for_others(member));
        if has_to_join {
            self.await_join(turn, group, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// It is out if it does not join within its rebalance time-out, counted from the first word.
    fn await_join(&self, turn: &mut Turn, group: &ConsumerGroup, member: &Member) {
        let key = consumer_join(&group.id, &member.id);
        if !self.deadlines.contains_key(&key) {
            turn.arm(key, member.rebalance_timeout_ms);
        }
    }

    pub(crate) fn leave_consumer_group(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &LeaveGroupRequest,
    ) {
        let members = leaving(request, meta.api_version);
        let Some(group) = self.consumer_groups.get(request.group_id.as_str()) else {
            return;
        };
        let group_id = group.id.clone();
        let mut gone = BTreeSet::new();
        let mut responses = Vec::with_capacity(members.len());
        for member in &members {
            let instance_id = member.group_instance_id.as_deref();
            let found = match instance_id {
                None => group.known_member(&member.member_id),
                // An administrator removes a static member by its instance id alone.
                Some(instance_id) if member.member_id.is_empty() => {
                    let known = group.static_members.get(instance_id);
                    group.known_member(known.map_or("", |known| known))
                }
                Some(instance_id) => group.known_static_member(instance_id, &member.member_id),
            };
            let result = found.map(|member| {
                let reason = "it left by a LeaveGroup request";
                tracing::info!(group = %group_id, member = %member.id, reason, "a member left");
                gone.insert(member.id.clone());
            });
            responses.push(left(member, result.map_err(|refusal| refusal.code)));
        }
        let timeout_ms = self.consumer_session_timeout_ms(turn, &group_id);
        self.fence(turn, &group_id, gone, timeout_ms);
        let response = shape_leave(responses, meta.api_version);
        turn.reply(token, GroupResponse::LeaveGroup(response));
    }
}

impl Update<'_> {
    fn subscribe_classic(
        &mut self,
        request: &JoinGroupRequest,
        member_id: Arc<str>,
    ) -> Result<Member, ErrorCode> {
        let group = self.group;
        let Some(instance_id) = request.group_instance_id.as_deref() else {
            let known = group.member(&member_id).cloned();
            return Ok(known.unwrap_or_else(|| Member::new(member_id)));
        };
        if !request.member_id.is_empty() {
            let member = group.known_static_member(instance_id, &member_id);
            return member.cloned().map_err(|refusal| refusal.code);
        }
        match group.static_member(instance_id) {
            None => Ok(Member::new(member_id)),
            Some(old) => Ok(self.replace_static_member(old, member_id)),
        }
    }

    /// Writes a member's new subscription; says whether the group has to move on for it.
    fn take_subscription(
        &mut self,
        member: &Member,
        updated: &Member,
        last_new_topics_version: i64,
        is_resolving: bool,
    ) -> Result<bool, ErrorCode> {
        if updated != member {
            self.entries.push(ConsumerGroupEntry::subscription(updated));
        }
        let names_changed = updated.subscribed_topic_names != member.subscribed_topic_names;
        // It has no expression; that of a static member it replaces may have to go.
        let change = self.update_regexes(member, updated, last_new_topics_version, is_resolving);
        let change = change.map_err(|refusal| refusal.code)?;
        Ok(names_changed || change != RegexChange::None)
    }
}

fn with_subscription(
    member: &Member,
    meta: &RequestMeta,
    request: &JoinGroupRequest,
    subscription: &Subscription,
) -> Member {
    let mut updated = member.clone();
    if let Some(instance_id) = request.group_instance_id.as_deref() {
        updated.instance_id = Some(Arc::from(instance_id));
    }
    let rack_id = subscription.rack_id.clone();
    if let Some(rack_id) = rack_id.filter(|rack_id| !rack_id.is_empty()) {
        updated.rack_id = Some(rack_id);
    }
    // Version 0 has one time-out for both.
    updated.rebalance_timeout_ms = match meta.api_version {
        0 => request.session_timeout_ms,
        _ => request.rebalance_timeout_ms,
    };
    updated.subscribed_topic_names = subscription.topics.iter().cloned().collect();
    updated.subscribed_topic_regex = Some(Arc::from(""));
    updated.client_id = meta.client_id.clone();
    updated.client_host = meta.client_host.clone();
    let protocols = SupportedProtocol::of(&request.protocols).into_iter();
    updated.classic = Some(ClassicMemberMetadata {
        session_timeout_ms: request.session_timeout_ms,
        supported_protocols: protocols
            .map(|protocol| (protocol.name, protocol.metadata))
            .collect(),
    });
    updated
}

fn owned_topics(subscription: &Subscription, view: &dyn MetadataView) -> Vec<Owned> {
    let topics = subscription.owned.iter().filter_map(|topic| {
        let topic_id = view.topic_id(&topic.name)?;
        Some(
            Owned::default()
                .with_topic_id(topic_id.0)
                .with_partitions(topic.partitions.clone()),
        )
    });
    topics.collect()
}

fn check_sync(member: &Member, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    if request.generation_id != member.epoch {
        return Err(ErrorCode::IllegalGeneration);
    }
    let own = member.first_protocol().map_or("", |(name, _)| name);
    let differs = |given: Option<&StrBytes>, own: &str| given.is_some_and(|given| **given != *own);
    if differs(request.protocol_type.as_ref(), CONSUMER_PROTOCOL_TYPE)
        || differs(request.protocol_name.as_ref(), own)
    {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

/// What a member has, in the words of its protocol.
fn assignment_of(member: &Member, view: &dyn MetadataView) -> Bytes {
    let version = member
        .first_protocol()
        .and_then(|(_, metadata)| read_subscription(metadata).ok())
        .map_or(0, |subscription| subscription.version);
    let topics = member.assigned.iter().filter_map(|(topic_id, epochs)| {
        let name = view.topic_name(*topic_id)?;
        Some(NamedTopic {
            name,
            partitions: epochs.keys().copied().collect(),
        })
    });
    put_assignment(version, &topics.collect::<Vec<_>>())
}

impl Member {
    fn first_protocol(&self) -> Option<(&Arc<str>, &Bytes)> {
        let classic = self.classic.as_ref()?;
        let first = classic.supported_protocols.first();
        first.map(|(name, metadata)| (name, metadata))
    }

    fn classic_session_timeout_ms(&self) -> i32 {
        let classic = self.classic.as_ref();
        classic.map_or(0, |classic| classic.session_timeout_ms)
    }
}

impl ConsumerGroup {
    /// A member that uses the classic protocol, if that is who asks.
    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<&Member, ErrorCode> {
        let member = match instance_id {
            None => self.known_member(member_id),
            Some(instance_id) => self.known_static_member(instance_id, member_id),
        };
        let member = member.map_err(|refusal| refusal.code)?;
        if member.uses_classic_protocol() {
            Ok(member)
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// Whether something a member is to have is still in another's hands.
    fn is_waiting_for_others(&self, member: &Member) -> bool {
        let target = self.target.get(&member.id).cloned().unwrap_or_default();
        let mut places = target.iter().flat_map(|(topic_id, partitions)| {
            partitions.iter().map(|partition| (*topic_id, *partition))
        });
        places.any(|(topic_id, partition)| {
            let has = member
                .assigned
                .get(&topic_id)
                .is_some_and(|epochs| epochs.contains_key(&partition));
            !has && self.is_owned(topic_id, partition)
        })
    }
}
