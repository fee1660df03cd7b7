use metadata::record::PartitionChange;
use protocol::LeaderEpoch;
use protocol::messages::elect_leaders_request::TopicPartitions;

use super::*;
use crate::control::fixture::{self, Fixture};

/// Three active brokers and a topic of one partition with these replicas in sync.
fn image(replicas: &[i32], isr: &[i32], leader: Option<i32>) -> MetadataImage {
    let brokers: Vec<_> = [2, 3].map(|id| fixture::broker(id, None, false)).into();
    let image = fixture::apply(&fixture::image_with_topic("a", 1), &brokers);
    let id = image.topics.by_name("a").unwrap().id;
    let change = PartitionChange {
        replicas: Some(replicas.to_vec()),
        isr: Some(isr.to_vec()),
        leader: Some(leader),
        ..PartitionChange::new(id, 0)
    };
    fixture::apply(&image, &[MetadataRecord::PartitionChange(change)])
}

fn request(election_type: i8, partitions: &[i32]) -> ElectLeadersRequest {
    let topic = TopicPartitions::default()
        .with_topic(topic_name_of("a"))
        .with_partitions(partitions.to_vec());
    ElectLeadersRequest::default()
        .with_election_type(election_type)
        .with_topic_partitions(Some(vec![topic]))
}

fn elect_all(
    image: &MetadataImage,
    request: &ElectLeadersRequest,
) -> Decision<ElectLeadersResponse> {
    elect_leaders(request, image, &mut Fixture::default().environment())
}

fn code(image: &MetadataImage, request: &ElectLeadersRequest) -> i16 {
    let decision = elect_all(image, request);
    decision.response.replica_election_results[0].partition_result[0].error_code
}

fn leader_after(image: &MetadataImage, records: &[MetadataRecord]) -> (Option<i32>, Vec<i32>) {
    let image = fixture::apply(image, records);
    let partition = image
        .topics
        .by_name("a")
        .unwrap()
        .partition(0)
        .unwrap()
        .clone();
    (partition.leader, partition.isr.clone())
}

#[test]
fn the_preferred_replica_takes_over() {
    let image = image(&[2, 1], &[1, 2], Some(1));
    let decision = elect_all(&image, &request(0, &[0]));
    assert_eq!(
        leader_after(&image, &decision.records),
        (Some(2), vec![1, 2])
    );
    assert_eq!(code(&image, &request(0, &[0])), 0);
}

#[test]
fn an_election_that_changes_nothing_is_not_needed() {
    let decision = elect_all(&image(&[1], &[1], Some(1)), &request(0, &[0]));
    let result = &decision.response.replica_election_results[0].partition_result[0];
    assert_eq!(result.error_code, 84);
    assert_eq!(
        result.error_message.as_deref(),
        Some("Leader election not needed for topic partition.")
    );
    assert_eq!(code(&image(&[2, 1], &[1], Some(1)), &request(1, &[0])), 84);
}

#[test]
fn a_preferred_replica_out_of_sync_is_not_available() {
    assert_eq!(code(&image(&[2, 1], &[1], Some(1)), &request(0, &[0])), 80);
}

#[test]
fn an_unclean_election_takes_any_live_replica() {
    let offline = image(&[9, 3], &[9], None);
    assert_eq!(code(&offline, &request(0, &[0])), 80);
    let decision = elect_all(&offline, &request(1, &[0]));
    assert_eq!(
        leader_after(&offline, &decision.records),
        (Some(3), vec![3])
    );
    let after = fixture::apply(&offline, &decision.records);
    let partition = after.topics.by_name("a").unwrap().partition(0).unwrap();
    assert_eq!(
        partition.leader_recovery_state,
        LeaderRecoveryState::Recovering
    );
    assert_eq!(code(&image(&[8, 9], &[9], None), &request(1, &[0])), 83);
}

#[test]
fn unknown_topics_and_partitions_are_told() {
    let image = image(&[1], &[1], Some(1));
    let decision = elect_all(&image, &request(0, &[7]));
    let result = &decision.response.replica_election_results[0].partition_result[0];
    assert_eq!(
        result.error_message.as_deref(),
        Some("No such partition as a-7")
    );
    let mut unknown = request(0, &[0]);
    unknown.topic_partitions.as_mut().unwrap()[0].topic = topic_name_of("x");
    let decision = elect_all(&image, &unknown);
    let result = &decision.response.replica_election_results[0].partition_result[0];
    assert_eq!(
        (result.error_code, result.error_message.as_deref()),
        (3, Some("No such topic as x"))
    );
}

#[test]
fn all_partitions_leave_out_those_that_are_right() {
    let image = image(&[2, 1], &[1, 2], Some(1));
    let all = ElectLeadersRequest::default().with_topic_partitions(None);
    let decision = elect_all(&image, &all);
    let result = &decision.response.replica_election_results[0];
    assert_eq!(result.partition_result.len(), 1);
    let image = fixture::apply(&image, &decision.records);
    let decision = elect_all(&image, &all);
    assert_eq!(decision.response.replica_election_results.len(), 1);
    assert!(
        decision.response.replica_election_results[0]
            .partition_result
            .is_empty()
    );
}

#[test]
fn an_unknown_election_type_is_refused_for_all() {
    let decision = elect_all(&image(&[1], &[1], Some(1)), &request(5, &[0, 1]));
    assert_eq!(decision.response.error_code, 42);
    let result = &decision.response.replica_election_results[0].partition_result;
    assert!(result.iter().all(|result| result.error_code == 42));
    assert_eq!(
        result[1].error_message.as_deref(),
        Some("Unknown election type 5")
    );
}

#[test]
fn a_broker_that_goes_leaves_its_partitions_to_others() {
    let settings = Settings::default();
    let shared = image(&[1, 2], &[1, 2], Some(1));
    let records = broker_gone(1, &shared, &settings);
    assert_eq!(leader_after(&shared, &records), (Some(2), vec![2]));
    // The last in sync stays so: only it can lead again without loss.
    let alone = image(&[1, 2], &[1], Some(1));
    let records = broker_gone(1, &alone, &settings);
    assert_eq!(leader_after(&alone, &records), (None, vec![1]));
}

#[test]
fn a_broker_that_comes_back_leads_what_waits_for_it() {
    let settings = Settings::default();
    let waiting = image(&[1, 2], &[1], None);
    let before = waiting
        .topics
        .by_name("a")
        .unwrap()
        .partition(0)
        .unwrap()
        .leader_epoch;
    let records = broker_back(1, &waiting, &settings);
    let after = fixture::apply(&waiting, &records);
    let partition = after.topics.by_name("a").unwrap().partition(0).unwrap();
    assert_eq!(
        (partition.leader, partition.leader_epoch),
        (Some(1), LeaderEpoch(before.0 + 1))
    );
    // One that is out of sync does not.
    let waiting = fixture::apply(&waiting, &[fixture::broker(1, None, true)]);
    assert!(broker_back(2, &waiting, &settings).is_empty());
}

#[test]
fn a_topic_may_allow_unclean_elections() {
    let waiting = image(&[1, 2], &[1], None);
    let allow = MetadataRecord::Config {
        resource: ConfigResource::Topic("a".into()),
        name: "unclean.leader.election.enable".to_owned(),
        value: Some("true".to_owned()),
    };
    // Broker 1 is gone, so that only 2 is left.
    let gone = fixture::broker(1, None, true);
    let waiting = fixture::apply(&waiting, &[allow, gone]);
    let records = broker_back(2, &waiting, &Settings::default());
    assert_eq!(leader_after(&waiting, &records), (Some(2), vec![2]));
}
