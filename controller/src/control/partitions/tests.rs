use protocol::messages::BrokerId;
use protocol::messages::create_partitions_request::CreatePartitionsAssignment;

use super::*;
use crate::control::fixture::{self, Fixture};
use crate::control::topics::topic_name_of;

fn grow(count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignments = assignments.map(|assignments| {
        let of = |brokers: &&[i32]| {
            CreatePartitionsAssignment::default()
                .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
        };
        assignments.iter().map(of).collect()
    });
    CreatePartitionsTopic::default()
        .with_name(topic_name_of("a"))
        .with_count(count)
        .with_assignments(assignments)
}

fn decide(topics: Vec<CreatePartitionsTopic>) -> Decision<CreatePartitionsResponse> {
    let image = fixture::image_with_topic("a", 2);
    let request = CreatePartitionsRequest::default().with_topics(topics);
    create_partitions(&request, &image, &mut Fixture::default().environment())
}

#[test]
fn new_partitions_follow_the_old_ones() {
    for topic in [grow(4, None), grow(4, Some(&[&[1], &[1]]))] {
        let decision = decide(vec![topic]);
        assert_eq!(decision.response.results[0].error_code, 0);
        let image = fixture::apply(&fixture::image_with_topic("a", 2), &decision.records);
        let topic = image.topics.by_name("a").unwrap();
        assert_eq!(
            topic.partitions.keys().copied().collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
        assert_eq!(topic.partition(3).unwrap().leader, Some(1));
    }
}

#[test]
fn every_fault_has_its_code_and_words() {
    let unknown = grow(4, None).with_name(topic_name_of("x"));
    let refusals: Vec<(CreatePartitionsTopic, i16, Option<&str>)> = vec![
        (unknown, 3, None),
        (grow(2, None), 37, Some("Topic already has 2 partition(s).")),
        (
            grow(1, None),
            37,
            Some("The topic a currently has 2 partition(s); 1 would not be an increase."),
        ),
        (
            grow(4, Some(&[&[1]])),
            39,
            Some(
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were \
                 specified.",
            ),
        ),
        (
            grow(3, Some(&[&[]])),
            39,
            Some("The manual partition assignment includes an empty replica list."),
        ),
        (
            grow(3, Some(&[&[2]])),
            39,
            Some(
                "The manual partition assignment includes broker 2, but no such broker is \
                 registered.",
            ),
        ),
        (
            grow(10_003, None),
            44,
            Some("Excessively large number of partitions per request."),
        ),
    ];
    for (topic, code, message) in refusals {
        let decision = decide(vec![topic]);
        let result = &decision.response.results[0];
        assert_eq!(
            (result.error_code, result.error_message.as_deref()),
            (code, message)
        );
        assert!(decision.records.is_empty());
    }
}

#[test]
fn a_topic_that_comes_twice_is_refused_once() {
    let decision = decide(vec![grow(3, None), grow(4, None)]);
    assert_eq!(decision.response.results.len(), 1);
    assert_eq!(decision.response.results[0].error_code, 42);
    assert!(decision.records.is_empty());
}
