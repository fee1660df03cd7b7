//! ConsumerGroupDescribe.
//!
//! Invariant: reads only; partitions of topics that are gone are left out.

use std::collections::BTreeMap;

use protocol::messages::consumer_group_describe_response::{
    Assignment as ResponseAssignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use protocol::messages::{GroupId, TopicName};
use protocol::{ErrorCode, TopicId};

use super::super::GroupShard;
use super::super::metadata::MetadataView;
use super::super::turn::{Turn, optional_text, text};
use super::group::ConsumerGroup;
use super::member::Member;

impl GroupShard {
    pub(crate) fn describe_consumer_group(
        &self,
        turn: &Turn,
        group_id: &GroupId,
    ) -> DescribedGroup {
        let described = DescribedGroup::default().with_group_id(group_id.clone());
        let Some(group) = self.consumer_groups.get(group_id.as_str()) else {
            let message = if self.has_group(group_id.as_str()) {
                format!("Group {} is not a consumer group.", group_id.as_str())
            } else {
                format!("Group {} not found.", group_id.as_str())
            };
            return described
                .with_error_code(ErrorCode::GroupIdNotFound.code())
                .with_error_message(Some(text(&message)));
        };
        let assignor = ConsumerGroup::preferred_assignor(group.members())
            .or_else(|| turn.config.group_consumer_assignors.first().cloned());
        let members = group
            .members()
            .map(|member| describe_member(group, member, &*self.metadata));
        described
            .with_group_state(text(group.state().name()))
            .with_group_epoch(group.epoch())
            .with_assignment_epoch(group.assignment_epoch())
            .with_assignor_name(optional_text(assignor.as_ref()).unwrap_or_default())
            .with_members(members.collect())
    }
}

fn describe_member(
    group: &ConsumerGroup,
    member: &Member,
    view: &dyn MetadataView,
) -> DescribedMember {
    let mut held: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for (topic_id, epochs) in member.assigned.iter().chain(&member.pending_revocation) {
        held.entry(*topic_id).or_default().extend(epochs.keys());
    }
    let target = group.target.get(&member.id).cloned().unwrap_or_default();
    let target = target
        .iter()
        .map(|(topic_id, partitions)| (*topic_id, partitions.iter().copied().collect()));
    let names = member.subscribed_topic_names.iter();
    DescribedMember::default()
        .with_member_id(text(&member.id))
        .with_instance_id(optional_text(member.instance_id.as_ref()))
        .with_rack_id(optional_text(member.rack_id.as_ref()))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_subscribed_topic_names(names.map(|name| TopicName(text(name))).collect())
        .with_subscribed_topic_regex(optional_text(member.subscribed_topic_regex.as_ref()))
        .with_assignment(named(held.into_iter(), view))
        .with_target_assignment(named(target, view))
        .with_member_type(i8::from(!member.uses_classic_protocol()))
}

fn named(
    topics: impl Iterator<Item = (TopicId, Vec<i32>)>,
    view: &dyn MetadataView,
) -> ResponseAssignment {
    let topics = topics.filter_map(|(topic_id, partitions)| {
        let name = view.topic_name(topic_id)?;
        Some(
            TopicPartitions::default()
                .with_topic_id(topic_id.0)
                .with_topic_name(TopicName(text(&name)))
                .with_partitions(partitions),
        )
    });
    ResponseAssignment::default().with_topic_partitions(topics.collect())
}
