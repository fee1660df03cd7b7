//! Share groups in a scenario: their requests, records and answers, and the commands they give rise
//! to with the answers to those.

use std::fmt::Write as _;

use coordinator::group::record::{
    ShareGroupEntry, ShareGroupRecord, ShareGroupStatePartitionMetadataValue, StateTopic,
};
use coordinator::group::{GroupCommand, GroupRequest, GroupResponse};
use coordinator::share_state::ShareStateResponse;
use protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use protocol::messages::share_group_describe_response::DescribedGroup;
use protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse, TopicName,
};
use protocol::{ErrorCode, StrBytes, TopicId};

use super::consumer_groups::show_topics;
use super::{Args, START, code_name, short_id, show_text};

fn topic_name(name: impl Into<String>) -> TopicName {
    TopicName(StrBytes::from_string(name.into()))
}

pub(crate) fn share_beat(args: &mut Args) -> GroupRequest {
    let names = args.list("topics").map(|names| {
        let names = names.into_iter().filter(|name| name != "-");
        names.map(topic_name).collect()
    });
    let member = args.text("member").unwrap_or_default();
    let request = ShareGroupHeartbeatRequest::default()
        .with_group_id(args.group())
        .with_member_id(StrBytes::from_string(member))
        .with_member_epoch(args.number("epoch", 0))
        .with_rack_id(args.string("rack"))
        .with_subscribed_topic_names(names);
    GroupRequest::ShareGroupHeartbeat(request)
}

/// Each line of the input is a topic, a partition and an offset.
pub(crate) fn alter_share_offsets(args: &mut Args, input: &str) -> GroupRequest {
    let topics = input.lines().map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let [name, index, offset] = words.as_slice() else {
            panic!("{line}: not topic, partition and offset");
        };
        let partition = AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(index.parse().expect("a partition"))
            .with_start_offset(offset.parse().expect("an offset"));
        AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(topic_name(*name))
            .with_partitions(vec![partition])
    });
    let request = AlterShareGroupOffsetsRequest::default()
        .with_topics(topics.collect())
        .with_group_id(args.group());
    GroupRequest::AlterShareGroupOffsets(request)
}

pub(crate) fn delete_share_offsets(args: &mut Args) -> GroupRequest {
    let names = args.list("topics").unwrap_or_default().into_iter();
    let topics = names.map(|name| {
        DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(name))
    });
    let request = DeleteShareGroupOffsetsRequest::default()
        .with_topics(topics.collect())
        .with_group_id(args.group());
    GroupRequest::DeleteShareGroupOffsets(request)
}

/// What the share coordinator says of every partition of a command.
pub(crate) fn answer(command: &GroupCommand, code: i16) -> GroupRequest {
    let answer = |_| match ErrorCode::try_from_code(code) {
        None => ShareStateResponse::Done,
        Some(code) => ShareStateResponse::Refused {
            code,
            message: Some("said so"),
        },
    };
    let answers = command.requests().into_iter().map(answer).map(Ok);
    GroupRequest::ShareStateChanged(command.answered(answers.collect()))
}

pub(crate) fn show_command(command: &GroupCommand) -> String {
    match command {
        GroupCommand::InitializeShareGroupState { request, .. } => {
            let mut text = format!("initialize {}", request.group_id.as_str());
            for topic in &request.topics {
                for partition in &topic.partitions {
                    let (id, index) = (topic.topic_id.as_u128(), partition.partition);
                    let (epoch, offset) = (partition.state_epoch, partition.start_offset);
                    let _ = write!(text, " {id}-{index}={offset}@{epoch}");
                }
            }
            text
        }
        GroupCommand::DeleteShareGroupState { request, .. } => {
            let mut text = format!("forget {}", request.group_id.as_str());
            for topic in &request.topics {
                for partition in &topic.partitions {
                    let (id, index) = (topic.topic_id.as_u128(), partition.partition);
                    let _ = write!(text, " {id}-{index}");
                }
            }
            text
        }
    }
}

pub(crate) fn show_share_record(record: &ShareGroupRecord) -> String {
    let name = &record.group_id;
    let (key, value) = match &record.entry {
        ShareGroupEntry::MemberMetadata { member_id, value } => {
            let text = value.as_ref().map(|value| {
                let names = value.subscribed_topic_names.join(",");
                let rack = value.rack_id.as_deref();
                let rack = rack.map_or(String::new(), |rack| format!(" rack={rack}"));
                let (client, host) = (&value.client_id, &value.client_host);
                format!(" topics=({names}) client={client} host={host}{rack}")
            });
            (format!("member {name} {}", short_id(member_id)), text)
        }
        ShareGroupEntry::Metadata(value) => {
            let text = value.map(|value| {
                let hash = if value.metadata_hash == 0 {
                    " no hash"
                } else {
                    ""
                };
                format!(" = {}{hash}", value.epoch)
            });
            (format!("epoch {name}"), text)
        }
        ShareGroupEntry::TargetAssignmentMetadata(value) => {
            let text = value.map(|value| {
                let at = value.assignment_timestamp.0 - START;
                format!(" = {} at {at}", value.assignment_epoch)
            });
            (format!("target-epoch {name}"), text)
        }
        ShareGroupEntry::TargetAssignmentMember { member_id, value } => {
            let text = value.as_ref();
            let text = text.map(|topics| format!(" = {}", show_topics(topics)));
            (format!("target {name} {}", short_id(member_id)), text)
        }
        ShareGroupEntry::CurrentMemberAssignment { member_id, value } => {
            let text = value.as_ref().map(|value| {
                format!(
                    " = {}/{} state={} {}",
                    value.member_epoch,
                    value.previous_member_epoch,
                    value.state,
                    show_topics(&value.assigned_partitions)
                )
            });
            (format!("current {name} {}", short_id(member_id)), text)
        }
        ShareGroupEntry::StatePartitionMetadata(value) => {
            (format!("state {name}"), value.as_ref().map(show_state))
        }
    };
    let value = value.unwrap_or_else(|| " tombstone".to_owned());
    format!("share {key}{value}")
}

fn show_state(value: &ShareGroupStatePartitionMetadataValue) -> String {
    let id_of = |topic_id: &TopicId| topic_id.0.as_u128();
    let topics = |topics: &[StateTopic]| {
        let topics = topics.iter().map(|topic| {
            let (id, name) = (id_of(&topic.topic_id), &topic.topic_name);
            format!("{id}/{name}{:?}", topic.partitions)
        });
        topics.collect::<Vec<_>>().join(" ")
    };
    let deleting = value.deleting_topics.iter();
    let deleting = deleting.map(|(id, name)| format!("{}/{name}", id_of(id)));
    format!(
        " initializing ({}) initialized ({}) deleting ({})",
        topics(&value.initializing_topics),
        topics(&value.initialized_topics),
        deleting.collect::<Vec<_>>().join(" ")
    )
}

fn show_share_beat(response: &ShareGroupHeartbeatResponse) -> String {
    if response.error_code != 0 {
        let message = show_text(response.error_message.as_ref());
        return format!("share-beat {} {message}", code_name(response.error_code));
    }
    let member = show_text(response.member_id.as_ref());
    let mut text = format!(
        "share-beat ok member={member} epoch={}",
        response.member_epoch
    );
    if response.heartbeat_interval_ms != 0 {
        let _ = write!(text, " every={}", response.heartbeat_interval_ms);
    }
    if let Some(assignment) = &response.assignment {
        let topics = assignment.topic_partitions.iter().flat_map(|topic| {
            let id = topic.topic_id.as_u128();
            let partitions = topic.partitions.iter();
            partitions.map(move |partition| format!("{id}-{partition}"))
        });
        let topics = topics.collect::<Vec<_>>().join(" ");
        let _ = write!(text, " assignment=[{topics}]");
    }
    text
}

fn show_share_group(group: &DescribedGroup) -> String {
    let mut text = format!(
        "describe-share {} state={} epoch={} target-epoch={} assignor={}",
        code_name(group.error_code),
        group.group_state.as_str(),
        group.group_epoch,
        group.assignment_epoch,
        group.assignor_name.as_str()
    );
    if let Some(message) = &group.error_message {
        let _ = write!(text, " message={:?}", message.as_str());
    }
    for member in &group.members {
        let names = member.subscribed_topic_names.iter();
        let names: Vec<_> = names.map(|name| name.as_str()).collect();
        let topics = member.assignment.topic_partitions.iter();
        let topics =
            topics.map(|topic| format!("{}{:?}", topic.topic_name.as_str(), topic.partitions));
        let _ = write!(
            text,
            "\n  {} rack={} epoch={} client={} host={} topics=({}) has ({})",
            short_id(&member.member_id),
            show_text(member.rack_id.as_ref()),
            member.member_epoch,
            member.client_id,
            member.client_host,
            names.join(","),
            topics.collect::<Vec<_>>().join(" ")
        );
    }
    text
}

pub(crate) fn show_share_response(response: &GroupResponse) -> Option<String> {
    let message = |message: Option<&StrBytes>| {
        message.map_or(String::new(), |text| format!(" {:?}", text.as_str()))
    };
    let mut text = String::new();
    if let GroupResponse::ShareGroupHeartbeat(response) = response {
        text = show_share_beat(response);
    } else if let GroupResponse::ShareGroupDescribe(group) = response {
        text = show_share_group(group);
    } else if let GroupResponse::SharePartitions(partitions) = response {
        text.push_str("share-partitions");
        for (topic_id, partitions) in partitions.as_deref().unwrap_or_default() {
            let _ = write!(text, " {}{partitions:?}", topic_id.0.as_u128());
        }
    } else if let GroupResponse::AlterShareGroupOffsets(response) = response {
        let _ = write!(text, "alter-share {}", code_name(response.error_code));
        text.push_str(&message(response.error_message.as_ref()));
        for topic in &response.responses {
            for partition in &topic.partitions {
                let (id, name) = (topic.topic_id.as_u128(), topic.topic_name.as_str());
                let (index, code) = (partition.partition_index, partition.error_code);
                let _ = write!(text, " {id}/{name}-{index}={}", code_name(code));
                text.push_str(&message(partition.error_message.as_ref()));
            }
        }
    } else if let GroupResponse::DeleteShareGroupOffsets(response) = response {
        let _ = write!(text, "delete-share {}", code_name(response.error_code));
        text.push_str(&message(response.error_message.as_ref()));
        for topic in &response.responses {
            let (id, name) = (topic.topic_id.as_u128(), topic.topic_name.as_str());
            let _ = write!(text, " {id}/{name}={}", code_name(topic.error_code));
            text.push_str(&message(topic.error_message.as_ref()));
        }
    } else if *response == GroupResponse::ShareStateChanged {
        text.push_str("noted");
    } else {
        return None;
    }
    Some(text)
}
