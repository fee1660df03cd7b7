//! A change to one share group on its way: what is written for it, and what follows from it.
//!
//! Invariant: nothing here changes the group. The change is dropped whole when a check refuses it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{ErrorCode, Timestamp, TopicId};

use super::super::GroupCoordinatorConfig;
use super::super::assignor::simple::SimpleAssignor;
use super::super::assignor::target::{TargetAssignmentBuilder, TargetMember};
use super::super::assignor::{Assignor, TopicPartitions};
use super::super::consumer::member::MemberState;
use super::super::epochs::MetadataRefresh;
use super::super::metadata::{GroupConfig, MetadataView, metadata_hash};
use super::super::refusal::Refusal;
use super::group::{ShareGroup, ShareMember};
use super::record::ShareGroupEntry;
use super::state::{ByTopic, NamedPartitions, StatePartitions, all_partitions, combined};

/// The only assignor there is; the server's configuration can name no other.
pub(crate) const ASSIGNOR: SimpleAssignor = SimpleAssignor;

/// What a member is to be led to.
pub(crate) struct Target {
    pub(crate) epoch: i32,
    pub(crate) partitions: Arc<TopicPartitions>,
}

pub(crate) struct Update<'a> {
    pub(crate) group: &'a ShareGroup,
    pub(crate) view: &'a dyn MetadataView,
    pub(crate) config: &'a GroupCoordinatorConfig,
    pub(crate) group_config: GroupConfig,
    pub(crate) now: Timestamp,
    pub(crate) entries: Vec<ShareGroupEntry>,
    /// Set where the metadata hash was computed.
    pub(crate) metadata_refresh: Option<MetadataRefresh>,
}

impl<'a> Update<'a> {
    pub(crate) fn new(
        group: &'a ShareGroup,
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
        }
    }

    pub(crate) fn has_metadata_expired(&self) -> bool {
        let refresh = self.group.soft.metadata_refresh;
        MetadataRefresh::has_expired(refresh, self.now, self.group.epochs.epoch())
    }

    /// The members as they will be.
    fn members_with<'m>(&self, updated: &'m ShareMember) -> impl Iterator<Item = &'m ShareMember>
    where
        'a: 'm,
    {
        let stays = move |member: &&ShareMember| member.id != updated.id;
        let others = self.group.members().filter(stays);
        others.chain(std::iter::once(updated))
    }

    pub(crate) fn topics_with(&self, updated: &ShareMember) -> BTreeSet<Arc<str>> {
        subscribed_topics(self.members_with(updated))
    }

    /// Computes the hash of what the group subscribes, and moves the group on if it is another or
    /// if it has to move on anyway. Gives the group's epoch, and whether it is a new one.
    pub(crate) fn update_subscription_metadata(
        &mut self,
        updated: &ShareMember,
        bump: bool,
    ) -> (i32, bool) {
        let hash = metadata_hash(&self.topics_with(updated), self.view);
        let mut epoch = self.group.epochs.epoch();
        let bump = bump || hash != self.group.epochs.metadata_hash();
        if bump {
            epoch = epoch.saturating_add(1);
            self.entries.push(ShareGroupEntry::epoch(epoch, hash));
            tracing::info!(group = %self.group.id, epoch, "the share group moves on");
        }
        self.metadata_refresh = Some(MetadataRefresh::done(self.now, epoch));
        (epoch, bump)
    }

    /// Makes the target assignment of this group epoch, unless there is one or the last was made
    /// only just now.
    pub(crate) fn update_target(
        &mut self,
        updated: &ShareMember,
        group_epoch: i32,
    ) -> Result<Target, Refusal> {
        let interval_ms = self
            .group_config
            .share_assignment_interval_ms
            .unwrap_or(self.config.group_share_assignment_interval_ms);
        let epochs = &self.group.epochs;
        let is_up_to_date = epochs.assignment_epoch() >= group_epoch;
        if is_up_to_date || !epochs.may_assign_again(interval_ms, self.now) {
            let partitions = self.group.target.get(&updated.id).cloned();
            return Ok(Target {
                epoch: epochs.assignment_epoch(),
                partitions: partitions.unwrap_or_default(),
            });
        }
        let members = self.members_with(updated).map(|member| TargetMember {
            member_id: &member.id,
            instance_id: None,
            subscribed_topic_names: &member.subscribed_topic_names,
            subscribed_topic_regex: None,
        });
        let builder = TargetAssignmentBuilder {
            assignor: &ASSIGNOR,
            members: members.collect(),
            static_members: &BTreeMap::new(),
            target: &self.group.target,
            resolved_regexes: &BTreeMap::new(),
            topics: self.view,
            assignable: Some(Arc::new(self.group.assignable())),
        };
        let target = builder.build().map_err(|error| {
            tracing::error!(group = %self.group.id, group_epoch, %error, "no target assignment");
            let what = "Failed to compute a new target assignment for epoch";
            let what = format!("{what} {group_epoch}: {error}");
            Refusal::new(ErrorCode::UnknownServerError, what)
        })?;
        tracing::info!(
            group = %self.group.id, epoch = group_epoch, assignor = ASSIGNOR.name(),
            "a new target assignment was made"
        );
        for (member_id, partitions) in &target.changed {
            self.entries
                .push(ShareGroupEntry::target(member_id, partitions));
        }
        let entry = ShareGroupEntry::assignment_epoch(group_epoch, self.now);
        self.entries.push(entry);
        let partitions = target.members.get(&updated.id).cloned();
        Ok(Target {
            epoch: group_epoch,
            partitions: partitions.unwrap_or_default(),
        })
    }

    /// Gives a member its target: nobody has to give up a partition first, since it is shared.
    pub(crate) fn reconcile(
        &mut self,
        member: ShareMember,
        target: &Target,
        has_group_moved_on: bool,
    ) -> ShareMember {
        if !has_group_moved_on && member.is_reconciled_to(target.epoch) {
            return member;
        }
        let mut updated = member.clone();
        if target.epoch != member.epoch {
            updated.state = MemberState::Stable;
            updated.previous_epoch = member.epoch;
            updated.epoch = target.epoch;
            updated.assigned = self.subscribed_part(&target.partitions, &member);
        } else if has_group_moved_on {
            updated.assigned = self.subscribed_part(&target.partitions, &member);
        }
        if updated != member {
            self.entries.push(ShareGroupEntry::current(&updated));
        }
        updated
    }

    /// Those of the partitions whose topics the member subscribes.
    fn subscribed_part(
        &self,
        partitions: &Arc<TopicPartitions>,
        member: &ShareMember,
    ) -> Arc<TopicPartitions> {
        let names = member.subscribed_topic_names.iter();
        let subscribed: BTreeSet<TopicId> =
            names.filter_map(|name| self.view.topic_id(name)).collect();
        if partitions
            .keys()
            .all(|topic_id| subscribed.contains(topic_id))
        {
            return partitions.clone();
        }
        let mut part = TopicPartitions::clone(partitions);
        part.retain(|topic_id, _| subscribed.contains(topic_id));
        Arc::new(part)
    }

    /// The partitions of subscribed topics for which the share coordinator is to keep state from
    /// now on, which was not asked for, or so long ago that it is asked again.
    pub(crate) fn initialize(&mut self, topics: &BTreeSet<Arc<str>>) -> ByTopic {
        let none = StatePartitions::default();
        let state = self.group.state_partitions.as_ref().unwrap_or(&none);
        let mut asked = state.initializing.clone();
        asked.retain(|topic_id, _| self.was_just_asked(*topic_id));
        let known = combined(&state.initialized, &asked);
        let missing = topics.iter().filter_map(|name| {
            let topic_id = self.view.topic_id(name)?;
            let mut partitions = all_partitions(topic_id, self.view)?;
            if let Some(known) = known.get(&topic_id) {
                partitions.retain(|index| !known.partitions.contains(index));
            }
            let name = name.clone();
            (!partitions.is_empty()).then_some((topic_id, NamedPartitions { name, partitions }))
        });
        let missing: ByTopic = missing.collect();
        if !missing.is_empty() {
            let next = state.initializing(&missing, self.view);
            self.entries.push(ShareGroupEntry::state(&next));
        }
        missing
    }

    fn was_just_asked(&self, topic_id: TopicId) -> bool {
        let retry_ms = i64::from(self.config.group_share_initialize_retry_interval_ms);
        let asked_at = self.group.soft.asked_at.get(&topic_id);
        asked_at.is_some_and(|asked_at| {
            // A clock that was put back makes nobody wait until it is where it was.
            (0..retry_ms).contains(&self.now.0.saturating_sub(asked_at.0))
        })
    }

    /// The records of a group that moves on without these members.
    pub(crate) fn without(mut self, member_ids: &BTreeSet<Arc<str>>) -> Vec<ShareGroupEntry> {
        let leaves = |member: &&ShareMember| member_ids.contains(&member.id);
        for member in self.group.members().filter(leaves) {
            self.entries.extend([
                ShareGroupEntry::no_current(&member.id),
                ShareGroupEntry::no_target(&member.id),
                ShareGroupEntry::no_subscription(&member.id),
            ]);
        }
        let stay = self.group.members().filter(|member| !leaves(member));
        let hash = metadata_hash(&subscribed_topics(stay), self.view);
        let epoch = self.group.epochs.epoch().saturating_add(1);
        self.entries.push(ShareGroupEntry::epoch(epoch, hash));
        self.entries
    }
}

fn subscribed_topics<'m>(members: impl Iterator<Item = &'m ShareMember>) -> BTreeSet<Arc<str>> {
    let names = members.flat_map(|member| &member.subscribed_topic_names);
    names.cloned().collect()
}
