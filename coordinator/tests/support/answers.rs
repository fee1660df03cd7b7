//! What a scenario shows of the answers about classic groups and committed offsets.

use std::fmt::Write as _;

use coordinator::group::GroupResponse;
use protocol::messages::JoinGroupResponse;
use protocol::messages::describe_groups_response::DescribedGroup;

use super::{code_name, short_id, show_assignment, show_bytes, show_text};

pub(crate) fn show_join(response: &JoinGroupResponse) -> String {
    let mut text = format!("join {}", code_name(response.error_code));
    let _ = write!(text, " member={:?}", short_id(&response.member_id));
    if response.generation_id >= 0 {
        let _ = write!(
            text,
            " generation={} type={} protocol={} leader={}",
            response.generation_id,
            show_text(response.protocol_type.as_ref()),
            show_text(response.protocol_name.as_ref()),
            short_id(&response.leader)
        );
    }
    if response.error_code != 0 && response.protocol_name.is_none() {
        text.push_str(" protocol=null");
    }
    if response.skip_assignment {
        text.push_str(" skip-assignment");
    }
    if !response.members.is_empty() {
        let members = response
            .members
            .iter()
            .map(|member| short_id(&member.member_id));
        let _ = write!(text, " members=({})", members.collect::<Vec<_>>().join(","));
    }
    text
}

pub(crate) fn show_offsets(response: &GroupResponse) -> String {
    let mut text = String::new();
    if let GroupResponse::OffsetCommit(response) = response {
        text.push_str("commit");
        for topic in &response.topics {
            for partition in &topic.partitions {
                let (name, index) = (topic.name.as_str(), partition.partition_index);
                let _ = write!(text, " {name}-{index}={}", code_name(partition.error_code));
            }
        }
    }
    if let GroupResponse::TxnOffsetCommit(response) = response {
        text.push_str("txn-commit");
        for topic in &response.topics {
            for partition in &topic.partitions {
                let (name, index) = (topic.name.as_str(), partition.partition_index);
                let _ = write!(text, " {name}-{index}={}", code_name(partition.error_code));
            }
        }
    }
    if let GroupResponse::OffsetFetch(response) = response {
        let _ = write!(text, "fetch {}", code_name(response.error_code));
        for topic in &response.topics {
            for partition in &topic.partitions {
                let (name, index) = (topic.name.as_str(), partition.partition_index);
                let _ = write!(text, " {name}-{index}={}", partition.committed_offset);
                if partition.committed_leader_epoch != -1 {
                    let _ = write!(text, "/epoch={}", partition.committed_leader_epoch);
                }
                match partition.metadata.as_ref() {
                    Some(metadata) if metadata.is_empty() => {}
                    Some(metadata) => {
                        let _ = write!(text, "/metadata={metadata}");
                    }
                    None => text.push_str("/metadata=null"),
                }
                if partition.error_code != 0 {
                    let _ = write!(text, "/{}", code_name(partition.error_code));
                }
            }
        }
    }
    if let GroupResponse::OffsetDelete(response) = response {
        let _ = write!(text, "delete-offsets {}", code_name(response.error_code));
        for topic in &response.topics {
            for partition in &topic.partitions {
                let (name, index) = (topic.name.as_str(), partition.partition_index);
                let _ = write!(text, " {name}-{index}={}", code_name(partition.error_code));
            }
        }
    }
    text
}

pub(crate) fn show_described(group: &DescribedGroup) -> String {
    let mut text = format!(
        "describe {} state={} type={:?} data={:?}",
        code_name(group.error_code),
        group.group_state.as_str(),
        group.protocol_type.as_str(),
        group.protocol_data.as_str()
    );
    if let Some(message) = &group.error_message {
        let _ = write!(text, " message={:?}", message.as_str());
    }
    for member in &group.members {
        let instance = member.group_instance_id.as_ref();
        let _ = write!(
            text,
            "\n  {} instance={} client={} host={} metadata={} assignment={}",
            short_id(&member.member_id),
            show_text(instance),
            member.client_id,
            member.client_host,
            show_bytes(&member.member_metadata),
            show_assignment(&member.member_assignment)
        );
    }
    text
}
