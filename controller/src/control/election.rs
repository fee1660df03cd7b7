//! ElectLeaders, and the elections that follow when a broker comes or goes.
//! A clean election takes a leader from the ISR (or, when that is empty, from the eligible leader
//! replicas); only an unclean one, which may lose records, takes any other live replica.

use std::sync::Arc;

use metadata::record::PartitionChange;
use metadata::{
    ConfigResource, LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionRegistration,
    TopicImage,
};
use protocol::ErrorCode;
use protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::api_error::{self, ApiError};
use super::topics::topic_name_of;
use super::{Decision, Environment, configs};
use crate::options::Settings;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Election {
    /// The first replica, if it may lead.
    Preferred,
    /// Any replica that may lead.
    Online,
    /// Any live replica at all.
    Unclean,
}

pub(crate) fn elect_leaders(
    request: &ElectLeadersRequest,
    image: &MetadataImage,
    _env: &mut Environment<'_>,
) -> Decision<ElectLeadersResponse> {
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        other => {
            let error = ApiError::new(
                ErrorCode::InvalidRequest,
                format!("Unknown election type {other}"),
            );
            return Decision::answer(refuse_elect_leaders(request, &error));
        }
    };
    let mut records = Vec::new();
    let mut elect = |topic: &str, partition: i32| {
        elect_leader(topic, partition, election, image)
            .map(|change| records.push(MetadataRecord::PartitionChange(change)))
    };
    let mut results = Vec::new();
    match &request.topic_partitions {
        Some(topics) => {
            for topic in topics {
                let partitions = topic
                    .partitions
                    .iter()
                    .map(|id| partition_result(*id, &elect(topic.topic.as_str(), *id)))
                    .collect();
                results.push(
                    ReplicaElectionResult::default()
                        .with_topic(topic.topic.clone())
                        .with_partition_result(partitions),
                );
            }
        }
        None => {
            for topic in image.topics.iter() {
                // All partitions: those that have the right leader already are not told.
                let partitions = topic
                    .partitions
                    .keys()
                    .map(|id| (*id, elect(&topic.name, *id)))
                    .filter(|(_, result)| !is_not_needed(result))
                    .map(|(id, result)| partition_result(id, &result))
                    .collect();
                results.push(
                    ReplicaElectionResult::default()
                        .with_topic(topic_name_of(&topic.name))
                        .with_partition_result(partitions),
                );
            }
        }
    }
    Decision::divisible(
        records,
        ElectLeadersResponse::default().with_replica_election_results(results),
    )
}

/// The answer when the request as a whole is refused.
pub(crate) fn refuse_elect_leaders(
    request: &ElectLeadersRequest,
    error: &ApiError,
) -> ElectLeadersResponse {
    let refused = Err(error.clone());
    let results = request
        .topic_partitions
        .iter()
        .flatten()
        .map(|topic| {
            let partitions = topic
                .partitions
                .iter()
                .map(|id| partition_result(*id, &refused))
                .collect();
            ReplicaElectionResult::default()
                .with_topic(topic.topic.clone())
                .with_partition_result(partitions)
        })
        .collect();
    ElectLeadersResponse::default()
        .with_error_code(error.code.code())
        .with_replica_election_results(results)
}

fn is_not_needed(result: &Result<(), ApiError>) -> bool {
    matches!(result, Err(error) if error.code == ErrorCode::ElectionNotNeeded)
}

fn partition_result(id: i32, result: &Result<(), ApiError>) -> PartitionResult {
    let (code, message) = api_error::wire(result);
    PartitionResult::default()
        .with_partition_id(id)
        .with_error_code(code)
        .with_error_message(message)
}

fn elect_leader(
    topic: &str,
    partition_id: i32,
    election: Election,
    image: &MetadataImage,
) -> Result<PartitionChange, ApiError> {
    let unknown = |message| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let topic_image = image
        .topics
        .by_name(topic)
        .ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
    let partition = topic_image
        .partition(partition_id)
        .ok_or_else(|| unknown(format!("No such partition as {topic}-{partition_id}")))?;
    let needed = match election {
        Election::Preferred => !partition.has_preferred_leader(),
        Election::Online | Election::Unclean => partition.leader.is_none(),
    };
    if !needed {
        return Err(ApiError::generic(ErrorCode::ElectionNotNeeded));
    }
    let mut change = PartitionChange::new(topic_image.id, partition_id);
    let may_lead = |id: i32| {
        image
            .cluster
            .broker(id)
            .is_some_and(|broker| broker.is_active())
    };
    if elect(partition, &partition.isr, election, &may_lead, &mut change) {
        return Ok(change);
    }
    Err(ApiError::generic(match election {
        Election::Preferred => ErrorCode::PreferredLeaderNotAvailable,
        Election::Online | Election::Unclean => ErrorCode::EligibleLeadersNotAvailable,
    }))
}

/// Who leads from now on, and whether that may lose records.
fn choose(
    partition: &PartitionRegistration,
    isr: &[i32],
    election: Election,
    may_lead: &impl Fn(i32) -> bool,
) -> (Option<i32>, bool) {
    let eligible = &partition.eligible_leader_replicas;
    let clean =
        |id: i32| (isr.contains(&id) || (isr.is_empty() && eligible.contains(&id))) && may_lead(id);
    let preferred = partition.replicas.first().copied();
    if election == Election::Preferred && preferred.is_some_and(clean) {
        return (preferred, false);
    }
    if partition.leader.is_some_and(clean) {
        return (partition.leader, false);
    }
    let replicas = || partition.replicas.iter().copied();
    if let Some(id) = replicas().find(|id| clean(*id)) {
        return (Some(id), false);
    }
    if election == Election::Unclean
        && let Some(id) = replicas().find(|id| may_lead(*id))
    {
        return (Some(id), true);
    }
    (None, false)
}

/// Fills `change` with the outcome of an election; false if nothing changes.
fn elect(
    partition: &PartitionRegistration,
    isr: &[i32],
    election: Election,
    may_lead: &impl Fn(i32) -> bool,
    change: &mut PartitionChange,
) -> bool {
    let (leader, unclean) = choose(partition, isr, election, may_lead);
    let mut isr = isr.to_vec();
    if leader != partition.leader {
        change.leader = Some(leader);
        if let Some(id) = leader {
            if partition.eligible_leader_replicas.contains(&id) {
                isr = vec![id];
                let others = partition.eligible_leader_replicas.iter().copied();
                change.eligible_leader_replicas =
                    Some(others.filter(|other| *other != id).collect());
            } else if unclean {
                isr = vec![id];
                change.leader_recovery_state = Some(LeaderRecoveryState::Recovering);
            }
        }
    }
    // An ISR never becomes empty: its last member is who may lead again without loss.
    if !isr.is_empty() && isr != partition.isr {
        change.isr = Some(isr);
    }
    change.leader.is_some() || change.isr.is_some()
}

/// The changes of all partitions that `broker` has a part in, when it stops being active.
pub(crate) fn broker_gone(
    broker: i32,
    image: &MetadataImage,
    settings: &Settings,
) -> Vec<MetadataRecord> {
    let may_lead = |id: i32| {
        id != broker
            && image
                .cluster
                .broker(id)
                .is_some_and(|broker| broker.is_active())
    };
    let affected = |partition: &PartitionRegistration| {
        partition.isr.contains(&broker) || partition.leader == Some(broker)
    };
    changes(
        image,
        settings,
        affected,
        |partition| {
            partition
                .isr
                .iter()
                .copied()
                .filter(|id| *id != broker)
                .collect()
        },
        &may_lead,
    )
}

/// The changes of all leaderless partitions that `broker` can lead, when it becomes active.
pub(crate) fn broker_back(
    broker: i32,
    image: &MetadataImage,
    settings: &Settings,
) -> Vec<MetadataRecord> {
    let may_lead = |id: i32| {
        id == broker
            || image
                .cluster
                .broker(id)
                .is_some_and(|broker| broker.is_active())
    };
    let affected = |partition: &PartitionRegistration| {
        partition.leader.is_none() && partition.replicas.contains(&broker)
    };
    changes(
        image,
        settings,
        affected,
        |partition| partition.isr.clone(),
        &may_lead,
    )
}

fn changes(
    image: &MetadataImage,
    settings: &Settings,
    affected: impl Fn(&PartitionRegistration) -> bool,
    target_isr: impl Fn(&PartitionRegistration) -> Vec<i32>,
    may_lead: &impl Fn(i32) -> bool,
) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics.iter() {
        let mut unclean = None;
        for (id, partition) in &topic.partitions {
            if !affected(partition) {
                continue;
            }
            let unclean = *unclean.get_or_insert_with(|| unclean_allowed(topic, image, settings));
            let election = if unclean {
                Election::Unclean
            } else {
                Election::Online
            };
            let mut change = PartitionChange::new(topic.id, *id);
            if elect(
                partition,
                &target_isr(partition),
                election,
                may_lead,
                &mut change,
            ) {
                records.push(MetadataRecord::PartitionChange(change));
            }
        }
    }
    records
}

fn unclean_allowed(topic: &Arc<TopicImage>, image: &MetadataImage, settings: &Settings) -> bool {
    let resource = ConfigResource::Topic(Arc::clone(&topic.name));
    let overrides = image.configs.of(&resource);
    configs::effective_value("unclean.leader.election.enable", overrides, image, settings)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests;
