//! DescribeGroups and ListGroups.
//!
//! Invariant: reads only.

use protocol::messages::GroupId;
use protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use protocol::messages::list_groups_response::ListedGroup;
use protocol::{ErrorCode, StrBytes};

use super::GroupShard;
use super::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, Member, State};
use super::turn::{optional_text, text};

/// What upstream calls a group that is not there.
const DEAD: &str = "Dead";
const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";
/// Type and protocol type.
const SHARE: &str = "share";

impl GroupShard {
    pub(crate) fn describe(&self, group_id: &GroupId, api_version: i16) -> DescribedGroup {
        let described = DescribedGroup::default().with_group_id(group_id.clone());
        match self.groups.get(group_id.as_str()) {
            Some(group) => group.live.describe(described),
            None if api_version >= 6 => described
                .with_group_state(text(DEAD))
                .with_error_code(ErrorCode::GroupIdNotFound.code())
                .with_error_message(Some(text(&self.no_classic_group(group_id.as_str())))),
            None => described.with_group_state(text(DEAD)),
        }
    }

    fn no_classic_group(&self, group_id: &str) -> String {
        if self.has_group(group_id) {
            format!("Group {group_id} is not a classic group.")
        } else {
            format!("Group {group_id} not found.")
        }
    }

    pub(crate) fn list(&self, states: &[StrBytes], types: &[StrBytes]) -> Vec<ListedGroup> {
        let states: Vec<_> = states.iter().map(|state| state.to_lowercase()).collect();
        let of_state = |name: &str| {
            let name = name.to_lowercase();
            states.is_empty() || states.iter().any(|state| state.trim() == name)
        };
        let of_type = |name: &str| {
            types.is_empty() || types.iter().any(|wanted| wanted.to_lowercase() == name)
        };
        let listed = |id: &str, protocol_type: StrBytes, state: &str, group_type: &str| {
            let is_listed = of_type(group_type) && of_state(state);
            is_listed.then(|| {
                ListedGroup::default()
                    .with_group_id(GroupId(text(id)))
                    .with_protocol_type(protocol_type)
                    .with_group_state(text(state))
                    .with_group_type(text(group_type))
            })
        };
        let classic = self.groups.values().filter_map(|group| {
            let group = &group.live;
            let protocol_type = optional_text(group.protocol_type.as_ref()).unwrap_or_default();
            listed(&group.id, protocol_type, group.state().name(), CLASSIC)
        });
        let consumer = self.consumer_groups.values().filter_map(|group| {
            let protocol_type = text(CONSUMER_PROTOCOL_TYPE);
            listed(&group.id, protocol_type, group.state().name(), CONSUMER)
        });
        let share = self
            .share_groups
            .values()
            .filter_map(|group| listed(&group.id, text(SHARE), group.state().name(), SHARE));
        classic.chain(consumer).chain(share).collect()
    }
}

impl ClassicGroup {
    fn describe(&self, described: DescribedGroup) -> DescribedGroup {
        // Metadata is shown while a protocol is agreed upon.
        let protocol = match self.state() {
            State::Stable => self.protocol_name.as_ref(),
            State::Empty | State::PreparingRebalance { .. } | State::CompletingRebalance => None,
        };
        let member = |member: &Member| {
            let metadata = protocol.map(|protocol| member.metadata(Some(protocol)));
            DescribedGroupMember::default()
                .with_member_id(text(&member.id))
                .with_group_instance_id(optional_text(member.instance_id.as_ref()))
                .with_client_id(text(&member.client_id))
                .with_client_host(text(&member.client_host))
                .with_member_metadata(metadata.unwrap_or_default())
                .with_member_assignment(member.assignment.clone())
        };
        described
            .with_group_state(text(self.state().name()))
            .with_protocol_type(optional_text(self.protocol_type.as_ref()).unwrap_or_default())
            .with_protocol_data(optional_text(protocol).unwrap_or_default())
            .with_members(self.members.values().map(member).collect())
    }
}
