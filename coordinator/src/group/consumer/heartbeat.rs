//! ConsumerGroupHeartbeat: a member joins, changes what it subscribes, goes on, or leaves.
//!
//! Invariant: a member is answered with an epoch and an assignment that are in the records of the
//! same turn or of one before; a heartbeat that is refused leaves no record and no timer.

use std::borrow::Cow;
use std::sync::Arc;

use protocol::messages::consumer_group_heartbeat_response::{
    Assignment as ResponseAssignment, TopicPartitions,
};
use protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use protocol::{ErrorCode, TopicId};

use super::super::epochs::MetadataRefresh;
use super::super::turn::{Turn, text};
use super::super::{GroupResponse, GroupShard};
use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{Assignment, LEAVE_GROUP_EPOCH, LEAVE_GROUP_STATIC_EPOCH, Member, MemberState};
use super::record::ConsumerGroupEntry;
use super::regex::RegexChange;
use super::update::{RebalanceTimer, Update};
use crate::{ReplyTo, RequestMeta};

/// The group that a heartbeat is for, as it will be when `opening` is written.
pub(crate) struct Addressed<'a> {
    pub(crate) group: Cow<'a, ConsumerGroup>,
    /// It stood as a classic group, which gives way.
    pub(crate) replaces_classic: bool,
    /// The members that came with a classic group.
    pub(crate) opening: Vec<ConsumerGroupEntry>,
}

impl GroupShard {
    pub(crate) fn consumer_heartbeat(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        meta: &RequestMeta,
        request: &ConsumerGroupHeartbeatRequest,
    ) {
        let result = match request.member_epoch {
            LEAVE_GROUP_EPOCH | LEAVE_GROUP_STATIC_EPOCH => self.consumer_leave(turn, request),
            _ => self.consumer_goes_on(turn, meta, request),
        };
        let response = result.unwrap_or_else(|refusal| {
            tracing::debug!(
                group = request.group_id.as_str(), member = request.member_id.as_str(),
                code = ?refusal.code, reason = refusal.message, "a heartbeat is refused"
            );
            refusal.of_heartbeat()
        });
        turn.reply(token, GroupResponse::ConsumerGroupHeartbeat(response));
    }

    fn consumer_goes_on(
        &mut self,
        turn: &mut Turn,
        meta: &RequestMeta,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let new_id = self.new_consumer_member_id();
        let group_id: Arc<str> = Arc::from(request.group_id.as_str());
        let is_resolving = self.is_resolving(&group_id);
        let view = self.metadata.clone();
        let config = turn.config.clone();
        let addressed = self.address(&group_id, request.member_epoch == 0, &config)?;
        let group = &*addressed.group;
        let update = Update::new(group, &*view, &config, turn.now);
        let heartbeat = Heartbeat {
            update,
            request,
            meta,
            last_new_topics_version: self.last_new_topics_version,
            is_resolving,
        };
        let done = heartbeat.carry_out(new_id)?;
        let (replaces_classic, opening) = (addressed.replaces_classic, addressed.opening);
        if replaces_classic {
            self.give_way(turn, &group_id, &opening);
        }
        turn.write_consumer_group(&group_id, opening);
        turn.write_consumer_group(&group_id, done.entries);
        self.follow_up(turn, &group_id, &done.member, done.timer);
        if done.resolve {
            turn.arm_regex(&group_id);
        }
        if let Some(group) = self.consumer_groups.get_mut(&group_id)
            && done.metadata_refresh.is_some()
        {
            group.soft.metadata_refresh = done.metadata_refresh;
        }
        Ok(done.response)
    }

    /// Finds the group, or makes one that is not in the shard yet.
    fn address(
        &self,
        group_id: &Arc<str>,
        create: bool,
        config: &super::super::GroupCoordinatorConfig,
    ) -> Result<Addressed<'_>, Refusal> {
        if let Some(group) = self.consumer_groups.get(group_id) {
            return Ok(Addressed {
                group: Cow::Borrowed(group),
                replaces_classic: false,
                opening: Vec::new(),
            });
        }
        let not_found = |what: String| Err(Refusal::new(ErrorCode::GroupIdNotFound, what));
        let not_consumer = || not_found(format!("Group {group_id} is not a consumer group."));
        if self.share_groups.contains_key(group_id) {
            return not_consumer();
        }
        let classic = self.groups.get(group_id);
        let (group, opening) = match classic {
            None if !create => return not_found(format!("Consumer group {group_id} not found.")),
            Some(_) if !create => return not_consumer(),
            Some(classic) if !classic.live.is_empty() => self.upgraded(&classic.live, config)?,
            None | Some(_) => (ConsumerGroup::new(group_id.clone()), Vec::new()),
        };
        Ok(Addressed {
            group: Cow::Owned(group),
            replaces_classic: classic.is_some(),
            opening,
        })
    }

    /// Sees to a member's timers after a heartbeat.
    pub(crate) fn follow_up(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member: &Member,
        timer: RebalanceTimer,
    ) {
        let timeout_ms = self.consumer_session_timeout_ms(turn, group_id);
        turn.arm_consumer_session(group_id, &member.id, timeout_ms);
        self.set_rebalance_timer(turn, group_id, &member.id, timer);
    }

    pub(crate) fn consumer_session_timeout_ms(&self, turn: &Turn, group_id: &str) -> i32 {
        let own = self.metadata.group_config(group_id);
        own.consumer_session_timeout_ms
            .unwrap_or(turn.config.group_consumer_session_timeout_ms)
    }

    pub(crate) fn set_rebalance_timer(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: &Arc<str>,
        timer: RebalanceTimer,
    ) {
        let group = self.consumer_groups.get_mut(group_id);
        match timer {
            RebalanceTimer::Stays => {}
            RebalanceTimer::Cancelled => {
                turn.cancel_consumer_rebalance(group_id, member_id);
                if let Some(group) = group {
                    group.soft.rebalance_epochs.remove(member_id);
                }
            }
            RebalanceTimer::Armed {
                member_epoch,
                timeout_ms,
            } => {
                turn.arm_consumer_rebalance(group_id, member_id, timeout_ms);
                if let Some(group) = group {
                    let epochs = &mut group.soft.rebalance_epochs;
                    epochs.insert(member_id.clone(), member_epoch);
                }
            }
        }
    }

    /// As upstream makes one: 22 characters of base64 that do not open with a dash.
    pub(crate) fn new_consumer_member_id(&mut self) -> Arc<str> {
        let mut id = TopicId(self.ids.next_uuid()).to_string();
        if id.starts_with('-') {
            id.replace_range(..1, "A");
        }
        Arc::from(id)
    }
}

/// What a heartbeat leads to.
struct Done {
    entries: Vec<ConsumerGroupEntry>,
    member: Member,
    timer: RebalanceTimer,
    resolve: bool,
    metadata_refresh: Option<MetadataRefresh>,
    response: ConsumerGroupHeartbeatResponse,
}

struct Heartbeat<'a> {
    update: Update<'a>,
    request: &'a ConsumerGroupHeartbeatRequest,
    meta: &'a RequestMeta,
    last_new_topics_version: i64,
    is_resolving: bool,
}

impl Heartbeat<'_> {
    fn carry_out(mut self, new_id: Arc<str>) -> Result<Done, Refusal> {
        let request = self.request;
        let group = self.update.group;
        group.check_size(
            &request.member_id,
            self.update.config.group_consumer_max_size,
        )?;
        let member = self.subscribe(new_id)?;
        let updated = self.updated(&member);
        let mut names_changed = false;
        if updated != member {
            let entry = ConsumerGroupEntry::subscription(&updated);
            self.update.entries.push(entry);
            names_changed = updated.subscribed_topic_names != member.subscribed_topic_names;
        }
        let regex_change = self.update.update_regexes(
            &member,
            &updated,
            self.last_new_topics_version,
            self.is_resolving,
        )?;
        let bump = names_changed || regex_change == RegexChange::UpdatedAndResolved;
        let mut epoch = group.epoch();
        if bump || self.update.is_metadata_due(&updated) {
            epoch = self.update.update_subscription_metadata(&updated, bump);
        }
        let target = self.update.update_target(&updated, epoch)?;
        let has_subscription_changed = names_changed || regex_change != RegexChange::None;
        let owned = request.topic_partitions.as_deref();
        let updated = self
            .update
            .reconcile(updated, &target, has_subscription_changed, owned)?;
        let response = self.response(&member, &updated);
        Ok(Done {
            entries: self.update.entries,
            timer: self.update.rebalance_timer,
            resolve: self.update.resolve,
            metadata_refresh: self.update.metadata_refresh,
            member: updated,
            response,
        })
    }

    /// The member that the heartbeat comes from, if it may, as it was before.
    fn subscribe(&mut self, new_id: Arc<str>) -> Result<Member, Refusal> {
        let request = self.request;
        let group = self.update.group;
        let owned = request.topic_partitions.as_deref();
        let joins = request.member_epoch == 0;
        let member_id: Arc<str> = match request.member_id.as_str() {
            "" => new_id,
            known => Arc::from(known),
        };
        let Some(instance_id) = request.instance_id.as_deref() else {
            return match group.member(&member_id) {
                None if joins => Ok(Member::new(member_id)),
                Some(_) | None => {
                    let member = group.known_member(&member_id)?;
                    member.check_epoch(request.member_epoch, owned)?;
                    Ok(member.clone())
                }
            };
        };
        if !joins {
            let member = group.known_static_member(instance_id, &member_id)?;
            member.check_epoch(request.member_epoch, owned)?;
            return Ok(member.clone());
        }
        match group.static_member(instance_id) {
            None => {
                let known = group.member(&member_id).cloned();
                Ok(known.unwrap_or_else(|| Member::new(member_id)))
            }
            Some(old) => {
                if !old.uses_classic_protocol() {
                    check_is_released(old, &member_id, instance_id)?;
                }
                Ok(self.update.replace_static_member(old, member_id))
            }
        }
    }

    /// The member with what the heartbeat says of it. What it leaves out stays.
    fn updated(&self, member: &Member) -> Member {
        let request = self.request;
        let mut updated = member.clone();
        let copied = |text: &protocol::StrBytes| -> Arc<str> { Arc::from(text.as_str()) };
        if let Some(instance_id) = &request.instance_id {
            updated.instance_id = Some(copied(instance_id));
        }
        if let Some(rack_id) = &request.rack_id {
            updated.rack_id = Some(copied(rack_id));
        }
        if request.rebalance_timeout_ms != -1 {
            updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(assignor) = &request.server_assignor {
            updated.server_assignor = Some(copied(assignor));
        }
        if let Some(names) = &request.subscribed_topic_names {
            let names = names.iter().map(|name| Arc::from(name.as_str()));
            updated.subscribed_topic_names = names.collect();
        }
        if let Some(regex) = &request.subscribed_topic_regex {
            updated.subscribed_topic_regex = Some(copied(regex));
        }
        updated.client_id = self.meta.client_id.clone();
        updated.client_host = self.meta.client_host.clone();
        updated.classic = None;
        updated
    }

    fn response(&self, before: &Member, member: &Member) -> ConsumerGroupHeartbeatResponse {
        let request = self.request;
        let interval = self
            .update
            .group_config
            .consumer_heartbeat_interval_ms
            .unwrap_or(self.update.config.group_consumer_heartbeat_interval_ms);
        // A request that says all is of a member that joins or that lost an answer.
        let is_full = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some()
                || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let tells_assignment = request.member_epoch == 0
            || is_full
            || !same_partitions(&before.assigned, &member.assigned);
        ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(text(&member.id)))
            .with_member_epoch(member.epoch)
            .with_heartbeat_interval_ms(interval)
            .with_assignment(tells_assignment.then(|| to_response(&member.assigned)))
    }
}

impl Update<'_> {
    /// A static member comes back under a new id: it has what the old one had.
    pub(crate) fn replace_static_member(&mut self, old: &Member, new_id: Arc<str>) -> Member {
        let mut new = old.clone();
        new.id = new_id;
        new.epoch = 0;
        new.previous_epoch = 0;
        self.remove_member(&old.id);
        let target = self.group.target.get(&old.id).cloned().unwrap_or_default();
        self.entries.extend([
            ConsumerGroupEntry::subscription(&new),
            ConsumerGroupEntry::target(&new.id, &target),
            ConsumerGroupEntry::current(&new),
        ]);
        new
    }

    /// What it holds has to be free before it stops to be a member.
    pub(crate) fn remove_member(&mut self, member_id: &Arc<str>) {
        self.entries.extend([
            ConsumerGroupEntry::no_current(member_id),
            ConsumerGroupEntry::no_target(member_id),
            ConsumerGroupEntry::no_subscription(member_id),
        ]);
    }
}

/// A static member of this protocol gives its place only when it left.
fn check_is_released(old: &Member, member_id: &str, instance_id: &str) -> Result<(), Refusal> {
    if old.epoch == LEAVE_GROUP_STATIC_EPOCH {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::UnreleasedInstanceId,
        format!(
            "Static member {member_id} with instance id {instance_id} cannot join the group \
             because the instance id is owned by {} member.",
            old.id
        ),
    ))
}

fn same_partitions(one: &Assignment, other: &Assignment) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((topic, epochs), (same, others))| {
                topic == same && epochs.keys().eq(others.keys())
            })
}

fn to_response(assigned: &Assignment) -> ResponseAssignment {
    let topics = assigned.iter().map(|(topic_id, epochs)| {
        TopicPartitions::default()
            .with_topic_id(topic_id.0)
            .with_partitions(epochs.keys().copied().collect())
    });
    ResponseAssignment::default().with_topic_partitions(topics.collect())
}

impl GroupShard {
    /// After a load: every member has a session again, and its time to give up partitions.
    pub(crate) fn resume_consumer_groups(&mut self, turn: &mut Turn) {
        let members: Vec<_> = self
            .consumer_groups
            .values()
            .flat_map(|group| group.members().map(|member| (&group.id, &member.id)))
            .map(|(group_id, member_id)| (group_id.clone(), member_id.clone()))
            .collect();
        for (group_id, member_id) in members {
            let timeout_ms = self.consumer_session_timeout_ms(turn, &group_id);
            turn.arm_consumer_session(&group_id, &member_id, timeout_ms);
            self.resume_rebalance_timer(turn, &group_id, &member_id);
        }
    }

    /// A member that has to give up partitions has its whole time for it again.
    pub(crate) fn resume_rebalance_timer(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        member_id: &Arc<str>,
    ) {
        let group = self.consumer_groups.get(group_id);
        let member = group.and_then(|group| group.member(member_id));
        let late = member.filter(|member| {
            member.state == MemberState::UnrevokedPartitions && !member.uses_classic_protocol()
        });
        let timer = late.map_or(RebalanceTimer::Stays, |member| RebalanceTimer::Armed {
            member_epoch: member.epoch,
            timeout_ms: member.rebalance_timeout_ms,
        });
        self.set_rebalance_timer(turn, group_id, member_id, timer);
    }
}
