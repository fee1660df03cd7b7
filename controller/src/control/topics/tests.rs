use protocol::StrBytes;
use protocol::messages::BrokerId;
use protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopicConfig};
use protocol::messages::delete_topics_request::DeleteTopicState;

use super::*;
use crate::control::fixture::{self, Fixture};

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name_of(name))
        .with_num_partitions(1)
        .with_replication_factor(1)
}

fn config(name: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_value(value.map(|value| StrBytes::from_string(value.to_owned())))
}

fn assignment(index: i32, brokers: &[i32]) -> CreatableReplicaAssignment {
    CreatableReplicaAssignment::default()
        .with_partition_index(index)
        .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
}

fn assigned(assignments: Vec<CreatableReplicaAssignment>) -> CreatableTopic {
    topic("a")
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(assignments)
}

fn decide(image: &MetadataImage, topics: Vec<CreatableTopic>) -> Decision<CreateTopicsResponse> {
    let request = CreateTopicsRequest::default().with_topics(topics);
    create_topics(&request, image, &mut Fixture::default().environment())
}

fn create(topic: CreatableTopic) -> CreatableTopicResult {
    decide(&fixture::image(), vec![topic])
        .response
        .topics
        .remove(0)
}

/// The refusal of a topic that was to be created on an image with the topic `a.b`.
fn refusal(topic: CreatableTopic) -> (i16, String) {
    let decision = decide(&fixture::image_with_topic("a.b", 1), vec![topic]);
    assert!(decision.records.is_empty());
    let result = &decision.response.topics[0];
    (
        result.error_code,
        result.error_message.as_ref().unwrap().to_string(),
    )
}

#[test]
fn a_topic_gets_its_records_in_upstreams_order() {
    let topic = topic("a")
        .with_num_partitions(2)
        .with_configs(vec![config("retention.ms", Some("5"))]);
    let decision = decide(&fixture::image(), vec![topic]);
    let names: Vec<_> = decision.records.iter().map(MetadataRecord::name).collect();
    assert_eq!(names, ["Topic", "Config", "Partition", "Partition"]);
    assert!(decision.atomic);
    let image = fixture::apply(&fixture::image(), &decision.records);
    let created = image.topics.by_name("a").unwrap();
    let partition = created.partition(1).unwrap();
    assert_eq!(
        (partition.leader, partition.isr.as_slice()),
        (Some(1), [1].as_slice())
    );
    assert_eq!(partition.directories, [fixture::directory(1)]);
    assert_eq!(decision.response.topics[0].topic_id, created.id.0);
}

#[test]
fn a_created_topic_is_answered_with_its_configs_and_their_sources() {
    let result = create(topic("a").with_configs(vec![config("retention.ms", Some("5"))]));
    assert_eq!((result.error_code, result.error_message), (0, None));
    assert_eq!((result.num_partitions, result.replication_factor), (1, 1));
    let configs = result.configs.unwrap();
    assert!(configs.is_sorted_by_key(|config| config.name.to_string()));
    let of = |name: &str| {
        configs
            .iter()
            .find(|config| config.name.as_str() == name)
            .unwrap()
    };
    let retention = of("retention.ms");
    assert_eq!(
        (retention.value.as_deref(), retention.config_source),
        (Some("5"), 1)
    );
    let policy = of("cleanup.policy");
    assert_eq!(
        (policy.value.as_deref(), policy.config_source),
        (Some("delete"), 5)
    );
    assert!(!policy.read_only);
}

#[test]
fn minus_one_takes_the_brokers_defaults() {
    let mut fixture = Fixture::default();
    fixture.settings.num_partitions = 4;
    let topic = topic("a")
        .with_num_partitions(-1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let decision = create_topics(&request, &fixture::image(), &mut fixture.environment());
    let result = &decision.response.topics[0];
    assert_eq!((result.num_partitions, result.replication_factor), (4, 1));
}

#[test]
fn every_fault_of_a_topic_has_its_code_and_words() {
    let refusals = [
        (topic("a.b"), 36, "Topic 'a.b' already exists."),
        (
            topic("a_b"),
            17,
            "Topic 'a_b' collides with existing topic: a.b",
        ),
        (topic("."), 17, "Topic name is invalid: '.' is not allowed"),
        (
            topic("a").with_num_partitions(0),
            37,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("a").with_replication_factor(-2),
            38,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            topic("a").with_replication_factor(2),
            38,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 \
             cannot be reached because only 1 broker(s) are registered or some brokers have all \
             their log directories cordoned.",
        ),
        (
            topic("a").with_configs(vec![config("retention.ms", Some("banana"))]),
            40,
            "Invalid value banana for configuration retention.ms: Not a number of type LONG",
        ),
        (
            topic("a").with_configs(vec![config("odd", Some("1"))]),
            40,
            "Unknown topic config name: odd",
        ),
        (
            topic("a").with_configs(vec![config("retention.ms", None)]),
            40,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            topic("__cluster_metadata"),
            42,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            topic("a").with_num_partitions(10_001),
            44,
            "Excessively large number of partitions per request.",
        ),
    ];
    for (topic, code, message) in refusals {
        assert_eq!(refusal(topic), (code, message.to_owned()));
    }
}

#[test]
fn every_fault_of_an_assignment_has_its_code_and_words() {
    let refusals = [
        (
            assigned(vec![assignment(0, &[1])]).with_replication_factor(1),
            42,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
        (
            assigned(vec![assignment(0, &[1])]).with_num_partitions(1),
            42,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            assigned(vec![assignment(0, &[1]), assignment(0, &[1])]),
            39,
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            assigned(vec![assignment(0, &[1]), assignment(2, &[1])]),
            39,
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            assigned(vec![assignment(0, &[])]),
            39,
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            assigned(vec![assignment(0, &[9])]),
            39,
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            assigned(vec![assignment(0, &[1, 1])]),
            39,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
    ];
    for (topic, code, message) in refusals {
        assert_eq!(refusal(topic), (code, message.to_owned()));
    }
}

#[test]
fn an_assignment_to_several_brokers_is_taken_as_it_is() {
    let two = fixture::apply(&fixture::image(), &[fixture::broker(2, None, true)]);
    let topic = assigned(vec![assignment(1, &[1, 2]), assignment(0, &[2, 1])]);
    let decision = decide(&two, vec![topic]);
    assert_eq!(decision.response.topics[0].replication_factor, 2);
    let image = fixture::apply(&two, &decision.records);
    let partition = image
        .topics
        .by_name("a")
        .unwrap()
        .partition(0)
        .unwrap()
        .clone();
    // The fenced broker is a replica, but not in sync, and cannot lead.
    assert_eq!(
        (partition.replicas.clone(), partition.isr.clone()),
        (vec![2, 1], vec![1])
    );
    assert_eq!(partition.leader, Some(1));
    let odd = assigned(vec![assignment(0, &[1, 2]), assignment(1, &[1])]);
    let decision = decide(&two, vec![odd]);
    assert_eq!(
        decision.response.topics[0].error_message.as_deref(),
        Some(
            "The manual partition assignment includes a partition with 1 replica(s), but this is \
             not consistent with previous partitions, which have 2 replica(s)."
        )
    );
    let nobody = decide(&two, vec![assigned(vec![assignment(0, &[2])])]);
    assert_eq!(nobody.response.topics[0].error_code, 39);
}

#[test]
fn a_name_that_comes_twice_is_refused_once() {
    let decision = decide(&fixture::image(), vec![topic("a"), topic("b"), topic("a")]);
    let results: Vec<_> = decision
        .response
        .topics
        .iter()
        .map(|topic| (topic.name.to_string(), topic.error_code))
        .collect();
    assert_eq!(results, [("b".to_owned(), 0), ("a".to_owned(), 42)]);
}

#[test]
fn good_topics_are_created_beside_bad_ones() {
    let decision = decide(&fixture::image(), vec![topic("!"), topic("b")]);
    let codes: Vec<_> = decision
        .response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(codes, [17, 0]);
    let image = fixture::apply(&fixture::image(), &decision.records);
    assert_eq!(image.topics.len(), 1);
}

fn delete(image: &MetadataImage, request: DeleteTopicsRequest) -> Decision<DeleteTopicsResponse> {
    delete_topics(&request, 6, image, &Fixture::default().environment())
}

fn by_name(name: &str) -> DeleteTopicState {
    DeleteTopicState::default().with_name(Some(topic_name_of(name)))
}

fn by_id(id: Uuid) -> DeleteTopicState {
    DeleteTopicState::default()
        .with_name(None)
        .with_topic_id(id)
}

fn answers(response: &DeleteTopicsResponse) -> Vec<(i16, Option<&str>)> {
    let topics = response.responses.iter();
    topics
        .map(|topic| (topic.error_code, topic.error_message.as_deref()))
        .collect()
}

#[test]
fn a_topic_is_deleted_by_name_or_by_id() {
    let image = fixture::image_with_topic("a", 1);
    let id = image.topics.by_name("a").unwrap().id;
    let old = DeleteTopicsRequest::default().with_topic_names(vec![topic_name_of("a")]);
    let name = DeleteTopicsRequest::default().with_topics(vec![by_name("a")]);
    let number = DeleteTopicsRequest::default().with_topics(vec![by_id(id.0)]);
    for request in [old, name, number] {
        let decision = delete(&image, request);
        assert_eq!(
            decision.records,
            [MetadataRecord::RemoveTopic { topic_id: id }]
        );
        let answer = &decision.response.responses[0];
        assert_eq!((answer.error_code, answer.topic_id), (0, id.0));
        assert_eq!(answer.name, Some(topic_name_of("a")));
    }
}

#[test]
fn what_cannot_be_deleted_is_told_why() {
    let image = fixture::image_with_topic("a", 1);
    let id = image.topics.by_name("a").unwrap().id.0;
    let refusals = [
        (
            vec![by_name("x")],
            3,
            "This server does not host this topic-partition.",
        ),
        (
            vec![by_id(Uuid::from_u128(7))],
            100,
            "This server does not host this topic ID.",
        ),
        (
            vec![by_id(Uuid::nil())],
            42,
            "Neither topic name nor id were specified.",
        ),
        (
            vec![by_name("a").with_topic_id(id)],
            42,
            "You may not specify both topic name and topic id.",
        ),
        (
            vec![by_name("a"), by_name("a")],
            42,
            "Duplicate topic name.",
        ),
        (vec![by_id(id), by_id(id)], 42, "Duplicate topic id."),
        (
            vec![by_id(id), by_name("a")],
            42,
            "The provided topic name maps to an ID that was already supplied.",
        ),
    ];
    for (topics, code, message) in refusals {
        let decision = delete(&image, DeleteTopicsRequest::default().with_topics(topics));
        assert_eq!(answers(&decision.response), [(code, Some(message))]);
        assert!(decision.records.is_empty());
    }
}

#[test]
fn deletion_can_be_switched_off() {
    let image = fixture::image_with_topic("a", 1);
    let mut fixture = Fixture::default();
    fixture.settings.delete_topic_enable = false;
    let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name_of("a")]);
    for (api_version, code) in [(2, 42), (3, 73), (6, 73)] {
        let decision = delete_topics(&request, api_version, &image, &fixture.environment());
        assert_eq!(answers(&decision.response), [(code, None)]);
        assert!(decision.records.is_empty());
    }
}
