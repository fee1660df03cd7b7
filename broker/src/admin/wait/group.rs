//! Waits for a group's state, or until it has read all there is.
//!
//! Invariant: the coordinator is asked as a client asks it; nothing is counted beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, TryGetError};
use coordinator::RequestMeta;
use coordinator::group::{GroupRequest, GroupResponse};
use protocol::messages::GroupId;
use protocol::messages::consumer_group_describe_response::DescribedGroup as DescribedConsumerGroup;
use protocol::messages::describe_groups_response::DescribedGroup;
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::share_group_describe_response::DescribedGroup as DescribedShareGroup;
use protocol::{ErrorCode, StrBytes, TopicPartition};
use serde_json::{Value, json};

use super::Seen;
use crate::admin::Admin;
use crate::coordinators::{GROUP_TOPIC, share_groups};

/// How long before a group is asked again: soon at first, less often once it has lasted, so that
/// a thousand who wait do not keep the coordinator from its groups.
pub(super) fn ask_again(waited: Duration) -> Duration {
    (waited / 10).clamp(Duration::from_millis(10), Duration::from_millis(200))
}

/// States of classic, consumer and share groups, as they are described.
const STATES: [&str; 7] = [
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Assigning",
    "Reconciling",
    "Stable",
    DEAD,
];

/// What a group is that is not there.
const DEAD: &str = "Dead";

pub(super) struct State {
    group: String,
    state: &'static str,
    members: Option<usize>,
}

impl State {
    pub(super) fn new(group: String, state: &str, members: Option<usize>) -> Result<State, String> {
        let state = STATES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(state))
            .ok_or_else(|| format!("state={state}: expected one of {}", STATES.join(", ")))?;
        Ok(State {
            group,
            state,
            members,
        })
    }

    pub(super) async fn look(&self, admin: &Admin) -> Seen {
        let described = describe(admin, &self.group).await;
        let (found, members) = (described.state.as_str(), described.members);
        Seen {
            enough: found == self.state && self.members.is_none_or(|wanted| wanted == members),
            fields: json!({"group": self.group, "state": found, "members": members}),
        }
    }
}

pub(super) struct Lag {
    group: String,
    topic: Option<String>,
    lag: u64,
}

impl Lag {
    pub(super) fn new(group: String, topic: Option<String>, lag: u64) -> Lag {
        Lag { group, topic, lag }
    }

    /// Of a named topic every partition counts, committed or not; else those that are committed
    /// or assigned. Where a share group has begun is as good as what others commit.
    pub(super) async fn look(&self, admin: &Admin) -> Seen {
        let mut committed = committed(admin, &self.group).await;
        if committed.is_empty() {
            committed = done_with(admin, &self.group).await;
        }
        let mut wanted: Vec<TopicPartition> = match &self.topic {
            Some(topic) => partitions_of(admin, topic),
            None => {
                let assigned = describe(admin, &self.group).await.assigned;
                committed.keys().cloned().chain(assigned).collect()
            }
        };
        wanted.sort();
        wanted.dedup();
        let mut sum = 0;
        let mut shown = Vec::new();
        for of in &wanted {
            let Ok(partition) = admin.node.replicas.partition(of) else {
                continue;
            };
            let (start, end) = (
                partition.log().log_start_offset(),
                partition.high_watermark(),
            );
            let position = committed.get(of).copied();
            let from = position.unwrap_or(start.0).max(start.0);
            let lag = u64::try_from(end.0.saturating_sub(from)).unwrap_or(0);
            sum += lag;
            shown.push(json!({
                "topic": of.topic.as_ref(),
                "partition": of.partition,
                "committed_offset": position,
                "end_offset": end.0,
                "lag": lag,
            }));
        }
        Seen {
            // A group that has committed nothing has read nothing that anybody knows of.
            enough: !shown.is_empty() && !committed.is_empty() && sum <= self.lag,
            fields: json!({"group": self.group, "lag": sum, "partitions": Value::Array(shown)}),
        }
    }
}

fn partitions_of(admin: &Admin, topic: &str) -> Vec<TopicPartition> {
    let image = admin.node.controller.image();
    let Some(topic) = image.topics.by_name(topic) else {
        return Vec::new();
    };
    let partitions = topic.partitions.iter().map(|(index, _)| TopicPartition {
        topic: topic.name.clone(),
        partition: *index,
    });
    partitions.collect()
}

async fn ask(admin: &Admin, request: GroupRequest) -> GroupResponse {
    let image = admin.node.controller.image();
    let partitions = image.topics.by_name(GROUP_TOPIC);
    let partitions = partitions.map(|topic| topic.partition_count());
    let meta = RequestMeta {
        // Where a group that is not there is an empty answer and no error.
        api_version: 5,
        client_id: Arc::from("klamm"),
        client_host: Arc::from(""),
    };
    admin.node.groups.ask(meta, request, partitions).await
}

/// What is waited for of a group of whichever type.
struct Described {
    state: String,
    members: usize,
    /// What its members were given.
    assigned: Vec<TopicPartition>,
}

async fn describe(admin: &Admin, group: &str) -> Described {
    let id = GroupId(StrBytes::from_string(group.to_owned()));
    let asked = ask(admin, GroupRequest::ConsumerGroupDescribe(id.clone())).await;
    let GroupResponse::ConsumerGroupDescribe(consumer) = asked else {
        unreachable!("the coordinator answers in kind")
    };
    if consumer.error_code == 0 {
        return described_consumer(&consumer);
    }
    let asked = ask(admin, GroupRequest::ShareGroupDescribe(id.clone())).await;
    let GroupResponse::ShareGroupDescribe(share) = asked else {
        unreachable!("the coordinator answers in kind")
    };
    if share.error_code == 0 {
        return described_share(&share);
    }
    let GroupResponse::DescribeGroup(classic) = ask(admin, GroupRequest::DescribeGroup(id)).await
    else {
        unreachable!("the coordinator answers in kind")
    };
    let state = match ErrorCode::try_from_code(classic.error_code) {
        None => classic.group_state.as_str(),
        // Since version 6 of DescribeGroups a group that is not there is an error.
        Some(_) => DEAD,
    };
    Described {
        state: state.to_owned(),
        members: classic.members.len(),
        assigned: assigned(&classic),
    }
}

fn described_consumer(group: &DescribedConsumerGroup) -> Described {
    let mut assigned = Vec::new();
    for topic in group
        .members
        .iter()
        .flat_map(|member| &member.assignment.topic_partitions)
    {
        let name: Arc<str> = Arc::from(topic.topic_name.as_str());
        let partitions = topic.partitions.iter().map(|partition| TopicPartition {
            topic: name.clone(),
            partition: *partition,
        });
        assigned.extend(partitions);
    }
    Described {
        state: group.group_state.to_string(),
        members: group.members.len(),
        assigned,
    }
}

fn described_share(group: &DescribedShareGroup) -> Described {
    let assignments = group.members.iter().map(|member| &member.assignment);
    let topics = assignments.flat_map(|assignment| &assignment.topic_partitions);
    let assigned = topics.flat_map(|topic| {
        let name: Arc<str> = Arc::from(topic.topic_name.as_str());
        let partitions = topic.partitions.iter();
        partitions.map(move |index| TopicPartition::new(name.clone(), *index))
    });
    Described {
        state: group.group_state.to_string(),
        members: group.members.len(),
        assigned: assigned.collect(),
    }
}

/// Up to where a share group is done with its partitions, counted as its lag is; none where there
/// is no such group, and of partitions where it has not begun.
async fn done_with(admin: &Admin, group: &str) -> BTreeMap<TopicPartition, i64> {
    let id = GroupId(StrBytes::from_string(group.to_owned()));
    let GroupResponse::SharePartitions(Ok(topics)) =
        ask(admin, GroupRequest::SharePartitions(id)).await
    else {
        return BTreeMap::new();
    };
    let places = topics.into_iter().flat_map(|(topic_id, partitions)| {
        let partitions = partitions.into_iter();
        partitions.map(move |index| (topic_id, index))
    });
    let summaries = share_groups::summaries(&admin.node, group, places.collect()).await;
    let image = admin.node.controller.image();
    let done = summaries
        .into_iter()
        .filter_map(|((topic_id, index), summary)| {
            let topic = image.topics.by_id(topic_id)?;
            let of = TopicPartition::new(topic.name.clone(), index);
            Some((of, summary.done()?))
        });
    done.collect()
}

/// The committed offsets of a group; none where there is no such group.
async fn committed(admin: &Admin, group: &str) -> BTreeMap<TopicPartition, i64> {
    let request = GroupRequest::OffsetFetch {
        group: OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_member_epoch(-1)
            .with_topics(None),
        require_stable: false,
    };
    let GroupResponse::OffsetFetch(answer) = ask(admin, request).await else {
        unreachable!("the coordinator answers in kind")
    };
    let mut offsets = BTreeMap::new();
    for topic in answer.topics {
        let name: Arc<str> = Arc::from(topic.name.as_str());
        for partition in topic.partitions {
            if partition.error_code == 0 && partition.committed_offset >= 0 {
                let of = TopicPartition {
                    topic: name.clone(),
                    partition: partition.partition_index,
                };
                offsets.insert(of, partition.committed_offset);
            }
        }
    }
    offsets
}

/// What the members of a group of consumers were given.
fn assigned(group: &DescribedGroup) -> Vec<TopicPartition> {
    if group.protocol_type.as_str() != "consumer" {
        return Vec::new();
    }
    let assignments = group.members.iter().map(|member| &member.member_assignment);
    assignments
        .flat_map(|bytes| assignment(bytes.clone()))
        .collect()
}

/// Partitions out of a consumer's assignment, as far as it can be read. Its counts come from a
/// client: nothing is allocated by them.
fn assignment(mut bytes: Bytes) -> Vec<TopicPartition> {
    let mut partitions = Vec::new();
    // What is missing at the end was never assigned.
    let _ = read_assignment(&mut bytes, &mut partitions);
    partitions
}

/// The fields that all versions of the consumer protocol begin with.
fn read_assignment(bytes: &mut Bytes, into: &mut Vec<TopicPartition>) -> Result<(), TryGetError> {
    bytes.try_get_i16()?; // The version.
    for _ in 0..bytes.try_get_i32()? {
        let length = usize::try_from(bytes.try_get_i16()?).unwrap_or(0);
        let mut name = vec![0; length];
        bytes.try_copy_to_slice(&mut name)?;
        let topic: Arc<str> = Arc::from(String::from_utf8_lossy(&name));
        for _ in 0..bytes.try_get_i32()? {
            into.push(TopicPartition {
                topic: topic.clone(),
                partition: bytes.try_get_i32()?,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_far_as_they_go() {
        let mut whole = vec![0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2];
        whole.extend([0, 0, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255]);
        let found = assignment(Bytes::from(whole.clone()));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["t-0", "t-5"]);
        for cut in 0..whole.len() {
            assert!(assignment(Bytes::copy_from_slice(&whole[..cut])).len() <= 2);
        }
        let endless = [0, 1, 127, 255, 255, 255, 127, 255];
        let endless = Bytes::copy_from_slice(&endless);
        assert!(assignment(endless).is_empty());
    }
}
