//! The target assignment of a group: what its members, as they are now, are to have.
//!
//! Invariant: pure; what it gives differs from the target before only where `changed` says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::TopicId;

use super::{
    Assignor, AssignorError, GroupAssignment, GroupSpec, MemberSpec, SubscriptionType,
    TopicPartitions, TopicView, order,
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
    /// Set for a share group: the partitions that may be given out.
    pub(crate) assignable: Option<Arc<TopicPartitions>>,
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
            assignable: self.assignable.clone(),
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
        let by_regex = resolved.map(order::copied_names).unwrap_or_default();
        let by_regex = by_regex
            .into_iter()
            .filter(|name| !member.subscribed_topic_names.contains(*name));
        let by_name = order::copied_names(member.subscribed_topic_names).into_iter();
        by_name
            .chain(by_regex)
            .filter_map(|name| self.topics.topic_id(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use uuid::Uuid;

    use super::*;
    use crate::group::assignor::uniform::UniformAssignor;

    /// `a` has one partition, `b` two and so on.
    #[derive(Debug)]
    struct Letters;

    impl TopicView for Letters {
        fn topic_id(&self, name: &str) -> Option<TopicId> {
            match name.as_bytes() {
                [letter @ b'a'..=b'f'] => Some(TopicId(Uuid::from_u128((letter - b'`').into()))),
                _ => None,
            }
        }

        fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
            i32::try_from(topic_id.0.as_u128()).ok()
        }
    }

    /// Keeps what it was asked.
    struct Listening<'a>(&'a Mutex<Option<GroupSpec>>);

    impl Assignor for Listening<'_> {
        fn name(&self) -> &'static str {
            "listening"
        }

        fn assign(
            &self,
            spec: &GroupSpec,
            topics: &dyn TopicView,
        ) -> Result<GroupAssignment, AssignorError> {
            *self.0.lock().unwrap() = Some(spec.clone());
            UniformAssignor.assign(spec, topics)
        }
    }

    struct Member {
        id: Arc<str>,
        instance_id: Option<Arc<str>>,
        names: BTreeSet<Arc<str>>,
        regex: Option<&'static str>,
    }

    /// Each letter is a topic.
    fn member(id: &str, names: &str, regex: Option<&'static str>) -> Member {
        let names = names.chars().map(|name| Arc::from(name.to_string()));
        Member {
            id: Arc::from(id),
            instance_id: None,
            names: names.collect(),
            regex,
        }
    }

    #[derive(Default)]
    struct Before {
        static_members: BTreeMap<Arc<str>, Arc<str>>,
        target: GroupAssignment,
    }

    fn build(members: &[Member], before: &Before) -> (GroupSpec, Target) {
        let asked = Mutex::new(None);
        let names = ["a", "c", "gone"].map(Arc::from);
        let builder = TargetAssignmentBuilder {
            assignor: &Listening(&asked),
            members: members
                .iter()
                .map(|member| TargetMember {
                    member_id: &member.id,
                    instance_id: member.instance_id.as_ref(),
                    subscribed_topic_names: &member.names,
                    subscribed_topic_regex: member.regex,
                })
                .collect(),
            static_members: &before.static_members,
            target: &before.target,
            resolved_regexes: &[("a|c|gone".into(), names.into())].into(),
            topics: &Letters,
            assignable: None,
        };
        let target = builder.build().unwrap();
        let spec = asked.lock().unwrap().take().unwrap();
        (spec, target)
    }

    fn subscribed(spec: &GroupSpec, id: &str) -> BTreeSet<u128> {
        let topics = spec.members[id].subscribed.iter();
        topics.map(|topic_id| topic_id.0.as_u128()).collect()
    }

    fn count(partitions: &TopicPartitions) -> usize {
        partitions.values().map(BTreeSet::len).sum()
    }

    #[test]
    fn names_and_resolved_expressions_are_subscribed_as_far_as_they_exist() {
        let members = [
            member("names", "abz", None),
            member("regex", "", Some("a|c|gone")),
            member("both", "ab", Some("a|c|gone")),
            member("not-resolved", "", Some("x.*")),
        ];
        let (spec, target) = build(&members, &Before::default());
        assert_eq!(subscribed(&spec, "names"), [1, 2].into());
        assert_eq!(subscribed(&spec, "regex"), [1, 3].into());
        assert_eq!(subscribed(&spec, "both"), [1, 2, 3].into());
        assert_eq!(spec.members["both"].subscribed.len(), 3);
        assert_eq!(subscribed(&spec, "not-resolved"), [].into());
        // Who has nothing is told so.
        assert_eq!(count(&target.members["not-resolved"]), 0);
        assert_eq!(target.changed, target.members);
    }

    #[test]
    fn a_group_is_homogeneous_where_all_name_the_same_or_have_one_expression_alone() {
        let regex = Some("a|c|gone");
        let cases = [
            (vec![member("1", "ab", None), member("2", "ba", None)], true),
            (vec![member("1", "ab", None), member("2", "a", None)], false),
            (vec![member("1", "", regex), member("2", "", regex)], true),
            (
                vec![member("1", "", regex), member("2", "", Some(".*"))],
                false,
            ),
            (vec![member("1", "ac", None), member("2", "", regex)], false),
            (
                vec![member("1", "a", regex), member("2", "a", regex)],
                false,
            ),
        ];
        for (members, is_homogeneous) in cases {
            let (spec, _) = build(&members, &Before::default());
            let found = spec.subscription == SubscriptionType::Homogeneous;
            assert_eq!(found, is_homogeneous);
        }
    }

    #[test]
    fn only_what_changes_is_written() {
        let (_, first) = build(
            &[member("1", "f", None), member("2", "f", None)],
            &Before::default(),
        );
        assert_eq!(first.changed, first.members);
        let before = Before {
            target: first.members.clone(),
            ..Before::default()
        };
        let (_, same) = build(&[member("1", "f", None), member("2", "f", None)], &before);
        assert_eq!(same.members, first.members);
        assert!(same.changed.is_empty());
        // One leaves: its own target goes with it, and the other one inherits.
        let (_, left) = build(&[member("1", "f", None)], &before);
        assert_eq!(
            left.changed.keys().map(|id| &**id).collect::<Vec<_>>(),
            ["1"]
        );
        assert_eq!(count(&left.members["1"]), 6);
    }

    #[test]
    fn who_replaces_a_static_member_gets_what_that_one_had() {
        let as_static = |id: &str| Member {
            instance_id: Some("i".into()),
            ..member(id, "f", None)
        };
        let others = || [member("1", "f", None), member("2", "f", None)];
        let [one, two] = others();
        let (_, first) = build(&[one, two, as_static("old")], &Before::default());
        let before = Before {
            static_members: [("i".into(), "old".into())].into(),
            target: first.members.clone(),
        };
        let [one, two] = others();
        let (_, replaced) = build(&[one, two, as_static("new")], &before);
        assert_eq!(replaced.members["new"], first.members["old"]);
        assert_eq!(
            replaced.changed.keys().map(|id| &**id).collect::<Vec<_>>(),
            ["new"]
        );
    }
}
