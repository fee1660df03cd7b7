//! The target assignment of a consumer group: what its members, as they are now, are to have.
//!
//! Invariant: pure; what it gives differs from the target before only where `changed` says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::TopicId;

use super::{
    Assignor, AssignorError, GroupAssignment, GroupSpec, MemberSpec, SubscriptionType, TopicView,
};

/// A member as the target assignment needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetMember<'a> {
    pub(crate) member_id: &'a Arc<str>,
    pub(crate) instance_id: Option<&'a Arc<str>>,
    pub(crate) subscribed_topic_names: &'a BTreeSet<Arc<str>>,
    /// None, not empty, for a member without one.
    pub(crate) subscribed_topic_regex: Option<&'a str>,
}

/// Makes a new target assignment.
///
/// The records to write for it are one per entry of [`Target::changed`] and one with the assignment
/// epoch. Those of members that are gone were removed with the members: there is no tombstone here.
pub(crate) struct TargetAssignmentBuilder<'a> {
    pub(crate) assignor: &'a dyn Assignor,
    /// All members of the new group epoch: the one that changes as it will be, without those that
    /// leave or are replaced.
    pub(crate) members: Vec<TargetMember<'a>>,
    /// The member id of each instance id before the change: who replaces a static member inherits
    /// its place.
    pub(crate) static_members: &'a BTreeMap<Arc<str>, Arc<str>>,
    /// The target assignment so far.
    pub(crate) target: &'a GroupAssignment,
    /// The topics that each regular expression was resolved to.
    pub(crate) resolved_regexes: &'a BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(crate) topics: &'a dyn TopicView,
}

/// A new target assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Of every member of the group, if only the empty one.
    pub(crate) members: GroupAssignment,
    /// Those members that had none, or another one.
    pub(crate) changed: GroupAssignment,
}

impl TargetAssignmentBuilder<'_> {
    pub(crate) fn build(&self) -> Result<Target, AssignorError> {
        let spec = GroupSpec {
            members: self.member_specs(),
            subscription: self.subscription_type(),
        };
        let mut assigned = self.assignor.assign(&spec, self.topics)?;
        let mut target = Target::default();
        for member in &self.members {
            let new = assigned.remove(member.member_id).unwrap_or_default();
            if self.target.get(member.member_id) != Some(&new) {
                target.changed.insert(member.member_id.clone(), new.clone());
            }
            target.members.insert(member.member_id.clone(), new);
        }
        Ok(target)
    }

    /// As upstream counts it: the same names for all, or the same regular expression for all and
    /// no name at all. What an expression was resolved to does not matter.
    fn subscription_type(&self) -> SubscriptionType {
        let Some(first) = self.members.first() else {
            return SubscriptionType::Homogeneous;
        };
        let is_like_first = |member: &TargetMember<'_>| {
            member.subscribed_topic_regex == first.subscribed_topic_regex
                && member.subscribed_topic_names == first.subscribed_topic_names
        };
        let mixes =
            first.subscribed_topic_regex.is_some() && !first.subscribed_topic_names.is_empty();
        if !mixes && self.members.iter().all(is_like_first) {
            SubscriptionType::Homogeneous
        } else {
            SubscriptionType::Heterogeneous
        }
    }

    fn member_specs(&self) -> BTreeMap<Arc<str>, MemberSpec> {
        let mut subscriptions = BTreeMap::new();
        let specs = self.members.iter().map(|member| {
            // Most groups have one subscription, and each is resolved once.
            let key = (member.subscribed_topic_names, member.subscribed_topic_regex);
            let subscribed: &Arc<[TopicId]> = subscriptions
                .entry(key)
                .or_insert_with(|| self.subscribed(member));
            let before = member
                .instance_id
                .and_then(|instance_id| self.static_members.get(instance_id))
                .unwrap_or(member.member_id);
            let spec = MemberSpec {
                instance_id: member.instance_id.cloned(),
                subscribed: subscribed.clone(),
                assigned: self.target.get(before).cloned().unwrap_or_default(),
            };
            (member.member_id.clone(), spec)
        });
        specs.collect()
    }

    /// The topics a member subscribes, as far as there are such.
    fn subscribed(&self, member: &TargetMember<'_>) -> Arc<[TopicId]> {
        let resolved = member
            .subscribed_topic_regex
            .and_then(|regex| self.resolved_regexes.get(regex));
        let by_regex = resolved
            .into_iter()
            .flatten()
            .filter(|name| !member.subscribed_topic_names.contains(*name));
        let names = member.subscribed_topic_names.iter().chain(by_regex);
        names
            .filter_map(|name| self.topics.topic_id(name))
            .collect()
    }
}
