//! ShareGroupDescribe.
//!
//! Invariant: reads only; partitions of topics that are gone are left out.

use protocol::messages::share_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use protocol::messages::{GroupId, TopicName};

use super::super::GroupShard;
use super::super::assignor::Assignor;
use super::super::metadata::MetadataView;
use super::super::turn::{optional_text, text};
use super::group::ShareMember;
use super::update::ASSIGNOR;

impl GroupShard {
    pub(crate) fn describe_share_group(&self, group_id: &GroupId) -> DescribedGroup {
        let described = DescribedGroup::default().with_group_id(group_id.clone());
        let group = match self.share_group(group_id) {
            Ok(group) => group,
            Err(refusal) => {
                return described
                    .with_error_code(refusal.code.code())
                    .with_error_message(Some(text(&refusal.message)));
            }
        };
        let members = group.members();
        let members = members.map(|member| describe_member(member, &*self.metadata));
        described
            .with_group_state(text(group.state().name()))
            .with_group_epoch(group.epochs.epoch())
            .with_assignment_epoch(group.epochs.assignment_epoch())
            .with_assignor_name(text(ASSIGNOR.name()))
            .with_members(members.collect())
    }
}

fn describe_member(member: &ShareMember, view: &dyn MetadataView) -> Member {
    let topics = member.assigned.iter().filter_map(|(topic_id, partitions)| {
        let name = view.topic_name(*topic_id)?;
        Some(
            TopicPartitions::default()
                .with_topic_id(topic_id.0)
                .with_topic_name(TopicName(text(&name)))
                .with_partitions(partitions.iter().copied().collect()),
        )
    });
    let names = member.subscribed_topic_names.iter();
    Member::default()
        .with_member_id(text(&member.id))
        .with_rack_id(optional_text(member.rack_id.as_ref()))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_subscribed_topic_names(names.map(|name| TopicName(text(name))).collect())
        .with_assignment(Assignment::default().with_topic_partitions(topics.collect()))
}
