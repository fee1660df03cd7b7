//! What a scenario shows of consumer groups: their records, the answers of their APIs, and the
//! embedded protocol of classic consumers.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use coordinator::group::record::{
    AssignedTopic, ConsumerGroupEntry, ConsumerGroupMemberMetadataValue, ConsumerGroupRecord,
    CurrentMemberAssignmentValue,
};
use protocol::messages::ConsumerGroupHeartbeatResponse;
use protocol::messages::consumer_group_describe_response::{
    Assignment as DescribedAssignment, DescribedGroup as DescribedConsumerGroup,
};

use super::{START, code_name, short_id, show_bytes, show_text};

pub(crate) fn show_consumer_record(record: &ConsumerGroupRecord) -> String {
    let name = &record.group_id;
    let (key, value) = match &record.entry {
        ConsumerGroupEntry::Metadata(value) => {
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
        ConsumerGroupEntry::PartitionMetadata(value) => {
            let text = value.as_ref();
            let text = text.map(|value| format!(" = {}", show_bytes(value)));
            (format!("partition-metadata {name}"), text)
        }
        ConsumerGroupEntry::MemberMetadata { member_id, value } => {
            let text = value.as_ref().map(show_subscription);
            (format!("member {name} {}", short_id(member_id)), text)
        }
        ConsumerGroupEntry::TargetAssignmentMetadata(value) => {
            let text = value.map(|value| match value.assignment_timestamp.0 {
                0 => format!(" = {}", value.assignment_epoch),
                at => format!(" = {} at {}", value.assignment_epoch, at - START),
            });
            (format!("target-epoch {name}"), text)
        }
        ConsumerGroupEntry::TargetAssignmentMember { member_id, value } => {
            let text = value.as_ref();
            let text = text.map(|topics| format!(" = {}", show_topics(topics)));
            (format!("target {name} {}", short_id(member_id)), text)
        }
        ConsumerGroupEntry::CurrentMemberAssignment { member_id, value } => {
            let text = value.as_ref().map(show_current);
            (format!("current {name} {}", short_id(member_id)), text)
        }
        ConsumerGroupEntry::RegularExpression {
            regular_expression,
            value,
        } => {
            let text = value.as_ref().map(|value| {
                let (topics, at) = (value.topics.join(","), value.timestamp.0 - START);
                format!(" = ({topics}) version={} at {at}", value.version)
            });
            (format!("regex {name} {regular_expression}"), text)
        }
    };
    format!("{key}{}", value.unwrap_or_else(|| " tombstone".to_owned()))
}

fn show_subscription(value: &ConsumerGroupMemberMetadataValue) -> String {
    let mut text = format!(" topics=({})", value.subscribed_topic_names.join(","));
    for (what, value) in [
        (" instance=", &value.instance_id),
        (" rack=", &value.rack_id),
        (" regex=", &value.subscribed_topic_regex),
        (" assignor=", &value.server_assignor),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            let _ = write!(text, "{what}{value}");
        }
    }
    let _ = write!(text, " rebalance={}", value.rebalance_timeout_ms);
    if let Some(classic) = &value.classic {
        let _ = write!(text, " classic session={}", classic.session_timeout_ms);
    }
    text
}

fn show_current(value: &CurrentMemberAssignmentValue) -> String {
    format!(
        " = {}/{} state={} {} revoking {}",
        value.member_epoch,
        value.previous_member_epoch,
        value.state,
        show_topics(&value.assigned_partitions),
        show_topics(&value.partitions_pending_revocation)
    )
}

/// Topics by the number of their id, a partition with the epoch it was assigned in.
pub(crate) fn show_topics(topics: &[AssignedTopic]) -> String {
    let topics = topics.iter().flat_map(|topic| {
        let id = topic.topic_id.0.as_u128();
        topic
            .partitions
            .iter()
            .enumerate()
            .map(move |(index, partition)| {
                let epochs = topic.assignment_epochs.as_ref();
                let epoch = epochs.and_then(|epochs| epochs.get(index));
                let epoch = epoch.map_or(String::new(), |epoch| format!("@{epoch}"));
                format!("{id}-{partition}{epoch}")
            })
    });
    format!("[{}]", topics.collect::<Vec<_>>().join(" "))
}

pub(crate) fn show_beat(response: &ConsumerGroupHeartbeatResponse) -> String {
    if response.error_code != 0 {
        let message = show_text(response.error_message.as_ref());
        return format!("beat {} {message}", code_name(response.error_code));
    }
    let member = response
        .member_id
        .as_deref()
        .map_or_else(String::new, short_id);
    let mut text = format!("beat ok member={member} epoch={}", response.member_epoch);
    if response.heartbeat_interval_ms != 0 {
        let _ = write!(text, " every={}", response.heartbeat_interval_ms);
    }
    if let Some(assignment) = &response.assignment {
        let topics = assignment.topic_partitions.iter().flat_map(|topic| {
            let id = topic.topic_id.as_u128();
            topic
                .partitions
                .iter()
                .map(move |partition| format!("{id}-{partition}"))
        });
        let _ = write!(
            text,
            " assignment=[{}]",
            topics.collect::<Vec<_>>().join(" ")
        );
    }
    text
}

pub(crate) fn show_consumer_group(group: &DescribedConsumerGroup) -> String {
    let mut text = format!(
        "describe {} state={} epoch={} target-epoch={} assignor={}",
        code_name(group.error_code),
        group.group_state.as_str(),
        group.group_epoch,
        group.assignment_epoch,
        group.assignor_name.as_str()
    );
    if let Some(message) = &group.error_message {
        let _ = write!(text, " message={:?}", message.as_str());
    }
    let named = |assignment: &DescribedAssignment| {
        let topics = assignment
            .topic_partitions
            .iter()
            .map(|topic| format!("{}{:?}", topic.topic_name.as_str(), topic.partitions));
        topics.collect::<Vec<_>>().join(" ")
    };
    for member in &group.members {
        let names = member
            .subscribed_topic_names
            .iter()
            .map(|name| name.as_str());
        let _ = write!(
            text,
            "\n  {} instance={} rack={} epoch={} client={} host={} topics=({}) regex={} \
             has ({}) is to have ({}) type={}",
            short_id(&member.member_id),
            show_text(member.instance_id.as_ref()),
            show_text(member.rack_id.as_ref()),
            member.member_epoch,
            member.client_id,
            member.client_host,
            names.collect::<Vec<_>>().join(","),
            show_text(member.subscribed_topic_regex.as_ref()),
            named(&member.assignment),
            named(&member.target_assignment),
            member.member_type
        );
    }
    text
}

/// Partitions like `foo-0`, each as a topic of its own.
pub(crate) fn put_partitions<'a>(buffer: &mut BytesMut, places: impl Iterator<Item = &'a str>) {
    let places: Vec<_> = places.filter_map(|place| place.rsplit_once('-')).collect();
    buffer.put_i32(places.len() as i32);
    for (topic, partition) in places {
        buffer.put_i16(topic.len() as i16);
        buffer.put_slice(topic.as_bytes());
        buffer.put_i32(1);
        buffer.put_i32(partition.parse().expect("a partition"));
    }
}

/// `=foo-0,foo-1` is what an assignor assigns; another text stands for itself.
pub(crate) fn assignment_bytes(text: &str) -> Bytes {
    let Some(places) = text.strip_prefix('=') else {
        return Bytes::from(text.to_owned());
    };
    let mut buffer = BytesMut::new();
    buffer.put_i16(0);
    put_partitions(&mut buffer, places.split(','));
    buffer.put_i32(-1);
    buffer.freeze()
}

/// The partitions of what an assignor assigned, if that is what the bytes are.
pub(crate) fn show_assigned(mut bytes: &[u8]) -> Option<String> {
    let mut take = |count: usize| {
        let (head, rest) = bytes.split_at_checked(count)?;
        bytes = rest;
        Some(head.to_vec())
    };
    let number = |bytes: Vec<u8>| {
        bytes
            .iter()
            .fold(0usize, |sum, byte| sum << 8 | *byte as usize)
    };
    let _version = take(2)?;
    let mut places = Vec::new();
    for _ in 0..number(take(4)?) {
        let length = number(take(2)?);
        let topic = String::from_utf8(take(length)?).ok()?;
        for _ in 0..number(take(4)?) {
            places.push(format!("{topic}-{}", number(take(4)?)));
        }
    }
    (take(4)? == [0xff; 4]).then(|| format!("[{}]", places.join(" ")))
}
