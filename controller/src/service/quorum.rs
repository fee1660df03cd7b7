//! DescribeQuorum: what this voter knows of the quorum, and nothing else.

use protocol::messages::describe_quorum_request::TopicData as AskedTopic;
use protocol::messages::describe_quorum_response::{Node, PartitionData, ReplicaState, TopicData};
use protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};
use protocol::{ErrorCode, Timestamp};

use crate::control::api_error::ApiError;
use crate::control::topic_name::CLUSTER_METADATA_TOPIC;
use crate::raft::{Quorum, Voter};

pub(super) fn describe_quorum(
    request: &DescribeQuorumRequest,
    api_version: i16,
    quorum: &Quorum,
    now: Timestamp,
) -> DescribeQuorumResponse {
    let response = DescribeQuorumResponse::default();
    let [topic] = request.topics.as_slice() else {
        return response.with_topics(request.topics.iter().map(unknown).collect());
    };
    let is_metadata_log = topic.topic_name.as_str() == CLUSTER_METADATA_TOPIC
        && matches!(topic.partitions.as_slice(), [partition] if partition.partition_index == 0);
    if !is_metadata_log {
        return response.with_topics(vec![unknown(topic)]);
    }
    let topic = TopicData::default()
        .with_topic_name(topic.topic_name.clone())
        .with_partitions(vec![partition(quorum, now)]);
    let response = response.with_topics(vec![topic]);
    if api_version < 2 {
        return response;
    }
    // Voters are reached inside this process: there is no listener to tell of.
    let node = |voter: &Voter| Node::default().with_node_id(BrokerId(voter.id));
    response.with_nodes(quorum.voters.iter().map(node).collect())
}

fn partition(quorum: &Quorum, now: Timestamp) -> PartitionData {
    let voters = quorum
        .voters
        .iter()
        .map(|voter| replica_state(voter, now))
        .collect();
    PartitionData::default()
        .with_leader_id(BrokerId(quorum.leader.unwrap_or(-1)))
        .with_leader_epoch(i32::try_from(quorum.term).unwrap_or(i32::MAX))
        .with_high_watermark(offset(quorum.high_watermark))
        .with_current_voters(voters)
}

/// The leader is always caught up with itself; of others we know what they have acknowledged.
/// Directory ids are told from kraft.version 1 on, which is not served.
fn replica_state(voter: &Voter, now: Timestamp) -> ReplicaState {
    let time = if voter.is_me { now.0 } else { -1 };
    ReplicaState::default()
        .with_replica_id(BrokerId(voter.id))
        .with_log_end_offset(offset(voter.log_end_offset))
        .with_last_fetch_timestamp(time)
        .with_last_caught_up_timestamp(time)
}

fn offset(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

fn unknown(topic: &AskedTopic) -> TopicData {
    let error = ApiError::generic(ErrorCode::UnknownTopicOrPartition);
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code.code())
                .with_error_message(error.wire_message())
        })
        .collect();
    TopicData::default()
        .with_topic_name(topic.topic_name.clone())
        .with_partitions(partitions)
}

#[cfg(test)]
mod tests {
    use protocol::messages::describe_quorum_request;

    use super::*;
    use crate::control::topics::topic_name_of;

    fn request(topic: &str, partitions: &[i32]) -> DescribeQuorumRequest {
        let partitions = partitions.iter().map(|index| {
            describe_quorum_request::PartitionData::default().with_partition_index(*index)
        });
        DescribeQuorumRequest::default().with_topics(vec![
            AskedTopic::default()
                .with_topic_name(topic_name_of(topic))
                .with_partitions(partitions.collect()),
        ])
    }

    fn quorum() -> Quorum {
        Quorum {
            leader: Some(1),
            term: 4,
            high_watermark: 9,
            voters: vec![Voter {
                id: 1,
                log_end_offset: 10,
                is_me: true,
            }],
        }
    }

    #[test]
    fn the_metadata_log_is_described() {
        let asked = request(CLUSTER_METADATA_TOPIC, &[0]);
        let response = describe_quorum(&asked, 2, &quorum(), Timestamp(77));
        assert_eq!(response.error_code, 0);
        let partition = &response.topics[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.leader_id),
            (0, BrokerId(1))
        );
        assert_eq!((partition.leader_epoch, partition.high_watermark), (4, 9));
        let voter = &partition.current_voters[0];
        assert_eq!(
            (voter.log_end_offset, voter.last_caught_up_timestamp),
            (10, 77)
        );
        assert!(voter.replica_directory_id.is_nil());
        assert!(partition.observers.is_empty());
        assert_eq!(response.nodes[0].node_id, BrokerId(1));
        assert!(response.nodes[0].listeners.is_empty());
        // Older versions have no place for nodes.
        let response = describe_quorum(&asked, 1, &quorum(), Timestamp(77));
        assert!(response.nodes.is_empty());
    }

    #[test]
    fn other_partitions_are_unknown() {
        for asked in [request("t", &[0]), request(CLUSTER_METADATA_TOPIC, &[0, 1])] {
            let response = describe_quorum(&asked, 2, &quorum(), Timestamp(77));
            let partitions = &response.topics[0].partitions;
            assert!(!partitions.is_empty());
            assert!(partitions.iter().all(|partition| partition.error_code == 3));
            assert!(response.nodes.is_empty());
        }
    }
}
