//! A classic group becomes a consumer group when a member of the new protocol joins, and becomes a
//! classic group again when the last such member leaves (`group.consumer.migration.policy`).
//!
//! Invariant: one batch holds both, the end of the one group and the whole of the other; members
//! keep what they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use protocol::{ErrorCode, Timestamp};

use super::super::classic::SupportedProtocol;
use super::super::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, Member as ClassicMember, State};
use super::super::config::{ConsumerGroupMigrationPolicy, GroupCoordinatorConfig};
use super::super::metadata::{MetadataView, metadata_hash};
use super::super::record::{GroupMetadataValue, GroupRecord};
use super::super::turn::{AfterAppend, Turn, heartbeat_timer};
use super::super::{GroupShard, GroupTimer};
use super::Refusal;
use super::embedded::{NamedTopic, put_assignment, read_assignment, read_subscription};
use super::group::ConsumerGroup;
use super::member::{Assignment, Member};
use super::record::{ClassicMemberMetadata, ConsumerGroupEntry};

/// Since when a classic group is stable that has to rebalance first: nobody has what those who left
/// had. Any other record of a group with members says when, so a start that finds this goes on with
/// the rebalance, where upstream would leave those partitions to nobody.
const STILL_TO_REBALANCE: Option<Timestamp> = None;

impl GroupMetadataValue {
    /// The group was written as it ceased to be a consumer group, and not since.
    pub(crate) fn is_still_to_rebalance(&self) -> bool {
        !self.members.is_empty()
            && self.state_timestamp == STILL_TO_REBALANCE
            && *self.protocol_type == *CONSUMER_PROTOCOL_TYPE
    }
}

impl GroupShard {
    /// The consumer group that a classic group with members becomes, and the records that make it.
    pub(crate) fn upgraded(
        &self,
        classic: &ClassicGroup,
        config: &GroupCoordinatorConfig,
    ) -> Result<(ConsumerGroup, Vec<ConsumerGroupEntry>), Refusal> {
        let refuse = |why: &str| {
            let id = &classic.id;
            let message =
                format!("Cannot upgrade classic group {id} to consumer group because {why}.");
            Err(Refusal::new(ErrorCode::GroupIdNotFound, message))
        };
        if !config.group_consumer_migration_policy.allows_upgrade() {
            return refuse("online upgrade is disabled");
        }
        if !classic.uses_consumer_protocol() {
            return refuse("the group does not use the consumer embedded protocol");
        }
        let max_size = usize::try_from(config.group_consumer_max_size).unwrap_or(0);
        if classic.members.len() > max_size {
            return refuse("the group size exceeds the consumer group maximum size");
        }
        let mut members = Vec::with_capacity(classic.members.len());
        for member in classic.members.values() {
            match upgraded_member(classic, member, &*self.metadata) {
                Ok(member) => members.push(member),
                Err(NotUpgraded::Malformed) => {
                    return refuse("the embedded consumer protocol is malformed");
                }
                Err(NotUpgraded::CustomAssignor) => {
                    return refuse(
                        "an unsupported custom assignor is in use. Please refer to the \
                         documentation or switch to a default assignor before re-attempting the \
                         upgrade",
                    );
                }
            }
        }
        let entries = opening_entries(classic.generation, &members, &*self.metadata);
        let mut group = ConsumerGroup::new(classic.id.clone());
        entries.iter().for_each(|entry| group.replay(entry));
        tracing::info!(group = %classic.id, "a classic group becomes a consumer group");
        Ok((group, entries))
    }

    /// A classic group ends: whoever waits in it comes again, and finds a consumer group.
    pub(crate) fn give_way(
        &mut self,
        turn: &mut Turn,
        group_id: &Arc<str>,
        opening: &[ConsumerGroupEntry],
    ) {
        let Some(group) = self.groups.get_mut(group_id) else {
            return;
        };
        turn.records.push(GroupRecord::GroupMetadata {
            group_id: group_id.clone(),
            value: None,
        });
        turn.after_append = AfterAppend::Upgraded(group_id.clone());
        group
            .live
            .stop_waiting(turn, ErrorCode::RebalanceInProgress);
        for entry in opening {
            if let ConsumerGroupEntry::MemberMetadata {
                member_id,
                value: Some(value),
            } = entry
                && let Some(classic) = &value.classic
            {
                turn.arm_consumer_session(group_id, member_id, classic.session_timeout_ms);
            }
        }
    }

    /// The records by which a group whose last members of the new protocol leave becomes a classic
    /// group; none where it stays what it is.
    pub(crate) fn downgraded_by_leaving(
        &self,
        turn: &mut Turn,
        group: &ConsumerGroup,
        leaving: &BTreeSet<Arc<str>>,
    ) -> Option<Vec<GroupRecord>> {
        let stay: Vec<&Member> = group
            .members()
            .filter(|member| !leaving.contains(&member.id))
            .collect();
        if stay.is_empty() || !may_downgrade(turn, &stay) {
            return None;
        }
        let records = self.downgrade(turn, group, &stay, true)?;
        for member in group.members() {
            turn.cancel_consumer_session(&group.id, &member.id);
            turn.cancel_consumer_protocol(&group.id, &member.id);
            turn.cancel_consumer_rebalance(&group.id, &member.id);
        }
        turn.arm_downgraded(&group.id, true);
        Some(records)
    }

    /// The same for a static member that comes back with the classic protocol, in the place of the
    /// last one of the new protocol. `group` is as it will be with it.
    pub(crate) fn downgraded_by_joining(
        &self,
        turn: &Turn,
        group: &ConsumerGroup,
    ) -> Result<Vec<GroupRecord>, ErrorCode> {
        let members: Vec<&Member> = group.members().collect();
        let records = self.downgrade(turn, group, &members, false);
        records.ok_or(ErrorCode::InconsistentGroupProtocol)
    }

    fn downgrade(
        &self,
        turn: &Turn,
        group: &ConsumerGroup,
        stay: &[&Member],
        rebalances: bool,
    ) -> Option<Vec<GroupRecord>> {
        let classic = downgraded(group, stay, turn.now, &*self.metadata)?;
        let tombstones = group.tombstones().into_iter();
        let tombstones = tombstones.map(|entry| GroupRecord::ConsumerGroup(group.record(entry)));
        let mut records: Vec<_> = tombstones.collect();
        let mut value = classic.to_record(|member| member.assignment.clone());
        if rebalances {
            value.state_timestamp = STILL_TO_REBALANCE;
        }
        records.push(GroupRecord::GroupMetadata {
            group_id: group.id.clone(),
            value: Some(value),
        });
        tracing::info!(group = %group.id, "a consumer group becomes a classic group");
        Some(records)
    }

    /// A group that has just become classic has its members' sessions, and may have to rebalance.
    pub(crate) fn downgraded(&mut self, turn: &mut Turn, group_id: &Arc<str>, rebalances: bool) {
        let Some(group) = self.groups.get_mut(group_id) else {
            return;
        };
        let group = &mut group.live;
        for member in group.members.values() {
            // Something may have come before this: who was heard of since has a session already.
            let key = heartbeat_timer(group_id, &member.id);
            if !self.deadlines.contains_key(&key) {
                turn.arm(key, member.session_timeout_ms);
            }
        }
        if rebalances && group.state() == State::Stable {
            group.prepare_rebalance(turn, "the group was a consumer group");
        }
    }
}

pub(crate) fn may_downgrade(turn: &Turn, stay: &[&Member]) -> bool {
    let max_size = usize::try_from(turn.config.group_max_size).unwrap_or(0);
    let policy: ConsumerGroupMigrationPolicy = turn.config.group_consumer_migration_policy;
    stay.iter().all(|member| member.uses_classic_protocol())
        && policy.allows_downgrade()
        && stay.len() <= max_size
}

enum NotUpgraded {
    Malformed,
    CustomAssignor,
}

fn upgraded_member(
    group: &ClassicGroup,
    classic: &ClassicMember,
    view: &dyn MetadataView,
) -> Result<Member, NotUpgraded> {
    let malformed = |_| NotUpgraded::Malformed;
    // A group that has not agreed yet has no protocol: each subscribes as it likes best.
    let chosen = group.protocol_name.as_deref();
    let first = classic.protocols.first().map(|protocol| &*protocol.name);
    let metadata = classic.metadata(chosen.or(first));
    let subscription = read_subscription(&metadata).map_err(malformed)?;
    let mut assigned = Assignment::new();
    if !classic.assignment.is_empty() {
        let assignment = read_assignment(&classic.assignment).map_err(malformed)?;
        if assignment.has_user_data {
            return Err(NotUpgraded::CustomAssignor);
        }
        for topic in assignment.topics {
            if let Some(topic_id) = view.topic_id(&topic.name) {
                let partitions = topic
                    .partitions
                    .into_iter()
                    .map(|index| (index, group.generation));
                assigned.entry(topic_id).or_default().extend(partitions);
            }
        }
        assigned.retain(|_, partitions| !partitions.is_empty());
    }
    let protocols = classic.protocols.iter();
    let mut member = Member::new(classic.id.clone());
    member.instance_id = classic.instance_id.clone();
    member.rack_id = subscription.rack_id;
    member.client_id = classic.client_id.clone();
    member.client_host = classic.client_host.clone();
    member.subscribed_topic_names = subscription.topics.into_iter().collect();
    member.rebalance_timeout_ms = classic.rebalance_timeout_ms;
    member.classic = Some(ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: protocols
            .map(|protocol| (protocol.name.clone(), protocol.metadata.clone()))
            .collect(),
    });
    member.epoch = group.generation;
    member.previous_epoch = group.generation;
    member.assigned = assigned;
    Ok(member)
}

/// The records of a group that opens with these members, in upstream's order.
fn opening_entries(
    generation: i32,
    members: &[Member],
    view: &dyn MetadataView,
) -> Vec<ConsumerGroupEntry> {
    let topics: BTreeSet<Arc<str>> = members
        .iter()
        .flat_map(|member| member.subscribed_topic_names.iter().cloned())
        .collect();
    let mut entries: Vec<_> = members
        .iter()
        .map(ConsumerGroupEntry::subscription)
        .collect();
    let hash = metadata_hash(&topics, view);
    entries.push(ConsumerGroupEntry::epoch(generation, hash));
    for member in members {
        let target = member.assigned.iter();
        let target = target.map(|(topic_id, epochs)| (*topic_id, epochs.keys().copied().collect()));
        entries.push(ConsumerGroupEntry::target(&member.id, &target.collect()));
    }
    entries.push(ConsumerGroupEntry::assignment_epoch(
        generation,
        Timestamp(0),
    ));
    entries.extend(members.iter().map(ConsumerGroupEntry::current));
    entries
}

/// The classic group of those who stay. None where a member's subscription cannot be read.
fn downgraded(
    group: &ConsumerGroup,
    stay: &[&Member],
    now: Timestamp,
    view: &dyn MetadataView,
) -> Option<ClassicGroup> {
    let mut classic = ClassicGroup::new(group.id.clone(), Some(now));
    classic.generation = group.epoch();
    for member in stay {
        let metadata = member.classic.as_ref()?;
        classic.add(classic_member(member, metadata), CONSUMER_PROTOCOL_TYPE);
    }
    classic.protocol_name = Some(classic.select_protocol().unwrap_or_default());
    let protocol_name = classic.protocol_name.clone();
    let mut assignments = BTreeMap::new();
    for member in classic.members.values() {
        let subscription = read_subscription(&member.metadata(protocol_name.as_deref())).ok()?;
        let target = group.target.get(&member.id).cloned().unwrap_or_default();
        let topics = target.iter().filter_map(|(topic_id, partitions)| {
            let name = view.topic_name(*topic_id)?;
            let partitions = partitions.iter().copied().collect();
            Some(NamedTopic { name, partitions })
        });
        let topics: Vec<_> = topics.collect();
        let assignment = put_assignment(subscription.version, &topics);
        assignments.insert(member.id.clone(), assignment);
    }
    for member in classic.members.values_mut() {
        member.assignment = assignments.remove(&member.id).unwrap_or_default();
    }
    Some(classic)
}

fn classic_member(member: &Member, metadata: &ClassicMemberMetadata) -> ClassicMember {
    let protocols = metadata.supported_protocols.iter();
    ClassicMember {
        id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: metadata.session_timeout_ms,
        protocols: protocols
            .map(|(name, metadata)| SupportedProtocol {
                name: name.clone(),
                metadata: metadata.clone(),
            })
            .collect(),
        assignment: Bytes::new(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}

impl ClassicGroup {
    /// Members, not pending ones.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Answers all who wait, and lets no timer of the group come due.
    fn stop_waiting(&mut self, turn: &mut Turn, code: ErrorCode) {
        for member in self.members.values_mut() {
            if let Some(waiting) = member.awaiting_join.take() {
                turn.join_error(waiting, &member.id, code);
            }
            if let Some(waiting) = member.awaiting_sync.take() {
                turn.sync_error(waiting, code);
            }
            turn.cancel_heartbeat(&self.id, &member.id);
        }
        for member_id in &self.pending_joins {
            turn.cancel_heartbeat(&self.id, member_id);
        }
        for key in self.phase_timers() {
            turn.cancel(key);
        }
    }

    fn phase_timers(&self) -> [GroupTimer; 2] {
        let group_id = || self.id.clone();
        [
            GroupTimer::Join {
                group_id: group_id(),
            },
            GroupTimer::Sync {
                group_id: group_id(),
            },
        ]
    }

    /// The group did not give way after all: its timers run again.
    pub(crate) fn go_on_waiting(&self, turn: &mut Turn) {
        for member in self.members.values() {
            turn.arm_heartbeat(&self.id, &member.id, member.session_timeout_ms);
        }
        for member_id in &self.pending_joins {
            turn.arm_heartbeat(&self.id, member_id, turn.config.new_member_join_timeout_ms);
        }
        let [join, sync] = self.phase_timers();
        match self.state() {
            State::PreparingRebalance { .. } => turn.arm(join, self.rebalance_timeout_ms()),
            State::CompletingRebalance => turn.arm(sync, self.rebalance_timeout_ms()),
            State::Empty | State::Stable => {}
        }
    }
}
