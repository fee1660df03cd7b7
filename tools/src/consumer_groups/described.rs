//! A group as its coordinator describes it, of either protocol.
//!
//! Invariant: the description of the newer protocol is asked for first; a group it does not know is
//! asked for as a classic one, as upstream's admin client does.

use protocol::messages::consumer_group_describe_response::Assignment;
use protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupId,
    consumer_group_describe_response, describe_groups_response,
};
use protocol::{ErrorCode, TopicPartition};

use super::calls::{assigned, text};
use crate::client::{Client, Target};
use crate::failure::Failure;

/// A consumer group.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) group: String,
    pub(super) coordinator: Coordinator,
    pub(super) state: String,
    pub(super) assignor: String,
    pub(super) members: Vec<Member>,
    /// The group's epoch and that of its target assignment; a classic group has none.
    pub(super) epochs: Option<(i32, i32)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Coordinator {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) client: String,
    pub(super) host: String,
    pub(super) assigned: Vec<TopicPartition>,
    /// The member's epoch and its target; a classic member has none.
    pub(super) target: Option<(i32, Vec<TopicPartition>)>,
    /// Whether a member of a consumer group speaks the consumer protocol, where that is told.
    pub(super) upgraded: Option<bool>,
}

impl Described {
    /// The group is on its way from one protocol to the other.
    pub(super) fn is_migrating(&self) -> bool {
        let has = |upgraded| {
            let mut members = self.members.iter();
            members.any(|member| member.upgraded == Some(upgraded))
        };
        has(true) && has(false)
    }
}

pub(super) async fn describe(client: &Client, group: &str) -> Result<Described, Failure> {
    let coordinator = find(client, "describeConsumerGroups", group).await?;
    let to = Target::Node(coordinator.id);
    let mut no_consumer = None;
    if client
        .version::<ConsumerGroupDescribeRequest>(to)
        .await
        .is_ok()
    {
        match describe_consumer(client, group, &coordinator).await {
            Err(failure) if failure.is(ErrorCode::GroupIdNotFound) => no_consumer = Some(failure),
            Err(failure) if failure.is(ErrorCode::UnsupportedVersion) => {}
            result => return result,
        }
    }
    let described = describe_classic(client, group, &coordinator).await;
    // What is neither is said to be no consumer group, whatever else it is.
    described.map_err(|failure| match no_consumer {
        Some(first) if failure.is(ErrorCode::GroupIdNotFound) => first,
        Some(_) | None => failure,
    })
}

/// Who coordinates a group; `call` is upstream's name of what it is wanted for.
pub(crate) async fn find(client: &Client, call: &str, group: &str) -> Result<Coordinator, Failure> {
    let build = |version| {
        let request = FindCoordinatorRequest::default();
        Ok(if version < 4 {
            request.with_key(text(group))
        } else {
            request.with_coordinator_keys(vec![text(group)])
        })
    };
    let read = |answer: FindCoordinatorResponse| match answer.coordinators.first() {
        Some(row) => match Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            Some(failure) => Err(failure),
            None => Ok(Coordinator {
                id: row.node_id.0,
                host: row.host.to_string(),
                port: row.port,
            }),
        },
        None => match Failure::from_answer(answer.error_code, answer.error_message.as_deref()) {
            Some(failure) => Err(failure),
            None => Ok(Coordinator {
                id: answer.node_id.0,
                host: answer.host.to_string(),
                port: answer.port,
            }),
        },
    };
    let name = format!("{call}(api=FIND_COORDINATOR)");
    client.call(&name, Target::Any, build, read).await
}

async fn describe_consumer(
    client: &Client,
    group: &str,
    coordinator: &Coordinator,
) -> Result<Described, Failure> {
    let build = |_| {
        let ids = vec![GroupId(text(group))];
        Ok(ConsumerGroupDescribeRequest::default().with_group_ids(ids))
    };
    let read = |answer: ConsumerGroupDescribeResponse| {
        let row = answer.groups.into_iter().next().ok_or_else(no_answer)?;
        match Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            Some(failure) => Err(failure),
            None => Ok(of_consumer(row, coordinator)),
        }
    };
    let name = "describeConsumerGroups(api=CONSUMER_GROUP_DESCRIBE)";
    client
        .call(name, Target::Node(coordinator.id), build, read)
        .await
}

fn of_consumer(
    row: consumer_group_describe_response::DescribedGroup,
    coordinator: &Coordinator,
) -> Described {
    let members = row.members.into_iter().map(|member| Member {
        assigned: partitions(&member.assignment),
        target: Some((member.member_epoch, partitions(&member.target_assignment))),
        upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            // Version 0 does not tell.
            _ => None,
        },
        id: member.member_id.to_string(),
        instance: member.instance_id.map(|id| id.to_string()),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
    });
    Described {
        members: members.collect(),
        group: row.group_id.0.to_string(),
        coordinator: coordinator.clone(),
        state: row.group_state.to_string(),
        assignor: row.assignor_name.to_string(),
        epochs: Some((row.group_epoch, row.assignment_epoch)),
    }
}

fn partitions(assignment: &Assignment) -> Vec<TopicPartition> {
    let named = assignment.topic_partitions.iter().flat_map(|topic| {
        let name = topic.topic_name.as_str();
        let ids = topic.partitions.iter();
        ids.map(move |id| TopicPartition::new(name, *id))
    });
    let mut partitions: Vec<TopicPartition> = named.collect();
    partitions.sort();
    partitions
}

async fn describe_classic(
    client: &Client,
    group: &str,
    coordinator: &Coordinator,
) -> Result<Described, Failure> {
    let build = |_| {
        let groups = vec![GroupId(text(group))];
        Ok(DescribeGroupsRequest::default().with_groups(groups))
    };
    let read = |answer: DescribeGroupsResponse| {
        let row = answer.groups.into_iter().next().ok_or_else(no_answer)?;
        if let Some(failure) = Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            return Err(failure);
        }
        if !matches!(row.protocol_type.as_str(), "" | "consumer") {
            return Err(Failure::illegal_argument(format!(
                "GroupId {group} is not a consumer group ({}).",
                row.protocol_type
            )));
        }
        Ok(of_classic(row, coordinator))
    };
    let name = "describeConsumerGroups(api=DESCRIBE_GROUPS)";
    client
        .call(name, Target::Node(coordinator.id), build, read)
        .await
}

fn of_classic(
    row: describe_groups_response::DescribedGroup,
    coordinator: &Coordinator,
) -> Described {
    let members = row.members.into_iter().map(|member| Member {
        assigned: assigned(&member.member_assignment),
        target: None,
        upgraded: None,
        id: member.member_id.to_string(),
        instance: member.group_instance_id.map(|id| id.to_string()),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
    });
    Described {
        members: members.collect(),
        group: row.group_id.0.to_string(),
        coordinator: coordinator.clone(),
        state: row.group_state.to_string(),
        assignor: row.protocol_data.to_string(),
        epochs: None,
    }
}

fn no_answer() -> Failure {
    Failure::of(ErrorCode::UnknownServerError, None)
}
