//! A change to one consumer group on its way: what is written for it, and what follows from it.
//!
//! Invariant: nothing here changes the group. The change is dropped whole when a check refuses it.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use protocol::{ErrorCode, Timestamp, TopicId};

use super::super::GroupCoordinatorConfig;
use super::super::assignor::target::{TargetAssignmentBuilder, TargetMember};
use super::super::assignor::{TopicPartitions, assignor};
use super::super::epochs::MetadataRefresh;
use super::super::metadata::{GroupConfig, MetadataView, metadata_hash};
use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{Member, MemberState};
use super::reconcile::Reconciliation;
use super::record::ConsumerGroupEntry;

/// What a member is to be led to.
pub(crate) struct Target {
    pub(crate) epoch: i32,
    pub(crate) partitions: Arc<TopicPartitions>,
}

/// When a member that has to give up partitions must have done so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RebalanceTimer {
    /// It is armed or not as before.
    Stays,
    Cancelled,
    Armed {
        member_epoch: i32,
        timeout_ms: i32,
    },
}

pub(crate) struct Update<'a> {
    pub(crate) group: &'a ConsumerGroup,
    pub(crate) view: &'a dyn MetadataView,
    pub(crate) config: &'a GroupCoordinatorConfig,
    pub(crate) group_config: GroupConfig,
    pub(crate) now: Timestamp,
    pub(crate) entries: Vec<ConsumerGroupEntry>,
    /// Set where the metadata hash was computed.
    pub(crate) metadata_refresh: Option<MetadataRefresh>,
    pub(crate) rebalance_timer: RebalanceTimer,
    /// The group's regular expressions are to be resolved.
    pub(crate) resolve: bool,
}

impl<'a> Update<'a> {
    pub(crate) fn new(
        group: &'a ConsumerGroup,
        view: &'a dyn MetadataView,
        config: &'a GroupCoordinatorConfig,
        now: Timestamp,
    ) -> Self {
        Update {
            group,
            view,
            config,
            group_config: view.group_config(&group.id),
            now,
            entries: Vec::new(),
            metadata_refresh: None,
            rebalance_timer: RebalanceTimer::Stays,
            resolve: false,
        }
    }

    pub(crate) fn has_metadata_expired(&self) -> bool {
        let refresh = self.group.soft.metadata_refresh;
        MetadataRefresh::has_expired(refresh, self.now, self.group.epoch())
    }

    /// Whether the group looks at its topics anew. Not while it is not known what an expression stands
    /// for: the group would move on for the topics that it lacks, and once more when it has them.
    /// When the expression is resolved, all topics are looked at.
    pub(crate) fn is_metadata_due(&self, updated: &Member) -> bool {
        let is_resolved = |member: &Member| {
            let mut regex = member.regex().into_iter();
            regex.all(|regex| self.group.resolved.contains_key(regex))
        };
        self.has_metadata_expired() && self.members_with(updated).all(is_resolved)
    }

    pub(crate) fn metadata_is_fresh(&mut self, group_epoch: i32) {
        self.metadata_refresh = Some(MetadataRefresh::done(self.now, group_epoch));
    }

    /// The members as they will be.
    fn members_with<'m>(&self, updated: &'m Member) -> impl Iterator<Item = &'m Member>
    where
        'a: 'm,
    {
        let replaced = updated
            .instance_id
            .as_ref()
            .and_then(|instance_id| self.group.static_members.get(instance_id));
        let stays = move |member: &&Member| member.id != updated.id && Some(&member.id) != replaced;
        let others = self.group.members().filter(stays);
        others.chain(std::iter::once(updated))
    }

    /// All topics that these members subscribe, by name or by a resolved expression.
    pub(crate) fn subscribed_topics<'m>(
        &self,
        members: impl Iterator<Item = &'m Member>,
    ) -> BTreeSet<Arc<str>> {
        let mut topics = BTreeSet::new();
        for member in members {
            topics.extend(member.subscribed_topic_names.iter().cloned());
            let resolved = member
                .regex()
                .and_then(|regex| self.group.resolved.get(regex));
            topics.extend(resolved.into_iter().flatten().cloned());
        }
        topics
    }

    /// Computes the hash of what the group subscribes, and moves the group on if it is another or
    /// if it has to move on anyway. Gives the group's epoch.
    pub(crate) fn update_subscription_metadata(&mut self, updated: &Member, bump: bool) -> i32 {
        let topics = self.subscribed_topics(self.members_with(updated));
        let hash = metadata_hash(&topics, self.view);
        let mut epoch = self.group.epoch();
        if bump || hash != self.group.metadata_hash() {
            epoch = epoch.saturating_add(1);
            self.entries.push(ConsumerGroupEntry::epoch(epoch, hash));
            tracing::info!(group = %self.group.id, epoch, "the consumer group moves on");
        }
        self.metadata_is_fresh(epoch);
        if self.group.has_partition_metadata() {
            let tombstone = ConsumerGroupEntry::PartitionMetadata(None);
            self.entries.push(tombstone);
        }
        epoch
    }

    /// Makes the target assignment of this group epoch, unless there is one or the last was made
    /// only just now.
    pub(crate) fn update_target(
        &mut self,
        updated: &Member,
        group_epoch: i32,
    ) -> Result<Target, Refusal> {
        if self.group.assignment_epoch() >= group_epoch || !self.may_assign_again() {
            return Ok(Target {
                epoch: self.group.assignment_epoch(),
                partitions: self.group.target_of(updated),
            });
        }
        let members: Vec<&Member> = self.members_with(updated).collect();
        let preferred = ConsumerGroup::preferred_assignor(members.iter().copied());
        let name = preferred
            .or_else(|| self.config.group_consumer_assignors.first().cloned())
            .unwrap_or_else(|| Arc::from("uniform"));
        let failed = |reason: &str| {
            let what = "Failed to compute a new target assignment for epoch";
            tracing::error!(group = %self.group.id, group_epoch, reason, "no target assignment");
            Refusal::new(
                ErrorCode::UnknownServerError,
                format!("{what} {group_epoch}: {reason}"),
            )
        };
        let assignor = assignor(&name).ok_or_else(|| failed("the assignor is not known"))?;
        let members = members.into_iter().map(|member| TargetMember {
            member_id: &member.id,
            instance_id: member.instance_id.as_ref(),
            subscribed_topic_names: &member.subscribed_topic_names,
            subscribed_topic_regex: member.regex().map(|regex| &**regex),
        });
        let builder = TargetAssignmentBuilder {
            assignor,
            members: members.collect(),
            static_members: &self.group.static_members,
            target: &self.group.target,
            resolved_regexes: &self.group.resolved,
            topics: self.view,
            assignable: None,
        };
        let target = builder
            .build()
            .map_err(|error| failed(&error.to_string()))?;
        tracing::info!(
            group = %self.group.id, epoch = group_epoch, assignor = %name,
            "a new target assignment was made"
        );
        for (member_id, partitions) in &target.changed {
            let entry = ConsumerGroupEntry::target(member_id, partitions);
            self.entries.push(entry);
        }
        let entry = ConsumerGroupEntry::assignment_epoch(group_epoch, self.now);
        self.entries.push(entry);
        let partitions = target.members.get(&updated.id).cloned();
        Ok(Target {
            epoch: group_epoch,
            partitions: partitions.unwrap_or_default(),
        })
    }

    fn may_assign_again(&self) -> bool {
        let interval_ms = self
            .group_config
            .consumer_assignment_interval_ms
            .unwrap_or(self.config.group_consumer_assignment_interval_ms);
        self.group.epochs.may_assign_again(interval_ms, self.now)
    }

    /// Leads a member one step towards its target.
    pub(crate) fn reconcile(
        &mut self,
        member: Member,
        target: &Target,
        has_subscription_changed: bool,
        owned: Option<&[Owned]>,
    ) -> Result<Member, Refusal> {
        if !has_subscription_changed && member.is_reconciled_to(target.epoch) {
            return Ok(member);
        }
        let subscribed = self.subscribed_topic_ids(&member);
        let step = Reconciliation {
            target_epoch: target.epoch,
            target: &target.partitions,
            subscribed: &subscribed,
            has_subscription_changed,
            owned,
            is_held: &|topic_id, partition| self.group.is_owned(topic_id, partition),
        };
        let updated = step.step(&member)?;
        if updated == member {
            return Ok(member);
        }
        self.entries.push(ConsumerGroupEntry::current(&updated));
        if !updated.uses_classic_protocol() {
            self.rebalance_timer = match updated.state {
                MemberState::UnrevokedPartitions => RebalanceTimer::Armed {
                    member_epoch: updated.epoch,
                    timeout_ms: updated.rebalance_timeout_ms,
                },
                MemberState::Stable | MemberState::UnreleasedPartitions | MemberState::Unknown => {
                    RebalanceTimer::Cancelled
                }
            };
        }
        Ok(updated)
    }

    fn subscribed_topic_ids(&self, member: &Member) -> BTreeSet<TopicId> {
        let names = self.subscribed_topics(std::iter::once(member));
        names
            .iter()
            .filter_map(|name| self.view.topic_id(name))
            .collect()
    }
}
