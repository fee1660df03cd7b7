//! Answers in which upstream's order of checks shows: what is told first, and of how much of a request.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use protocol::messages::produce_request::PartitionProduceData;
use protocol::messages::{
    FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetDeleteRequest,
};
use support::requests::{batch, fetch_request, produce_request, text, topic_name};
use support::{Client, Node, Start};

fn started(folder: &std::path::Path) -> (Node, Client) {
    let node = Start::new(folder).ready();
    let mut client = node.client();
    client.create("known", 2, &[]);
    (node, client)
}

#[test]
fn one_batch_that_is_none_refuses_the_whole_produce() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, mut client) = started(folder.path());
    let mut garbage = batch(&["x"]).to_vec();
    // The magic of a format that does not exist.
    garbage[16] = 9;
    let mut request = produce_request("known", 0, -1, Some(batch(&["good"])));
    let bad = PartitionProduceData::default()
        .with_index(1)
        .with_records(Some(Bytes::from(garbage)));
    request.topic_data[0].partition_data.push(bad);
    let response = client.ask(9, request);
    for partition in &response.responses[0].partition_responses {
        assert_ne!(partition.error_code, 0, "partition {}", partition.index);
    }
    assert!(client.read_all("known", 0).is_empty());
    assert_eq!(client.produce("known", 0, batch(&["good"])), Ok(0));
}

#[test]
fn an_unknown_partition_is_told_before_acks_that_do_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, mut client) = started(folder.path());
    let mut told = |partition| {
        let request = produce_request("known", partition, 5, Some(batch(&["x"])));
        client.ask(9, request).responses[0].partition_responses[0].error_code
    };
    assert_eq!(told(7), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(told(0), ErrorCode::InvalidRequiredAcks.code());
}

#[test]
fn an_isolation_level_is_looked_at_where_there_is_something_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, mut client) = started(folder.path());
    let mut told = |topic: &str| {
        let request = fetch_request(topic, 0, 0, 0).with_isolation_level(9);
        client.ask(12, request).responses[0].partitions[0].error_code
    };
    assert_eq!(told("known"), ErrorCode::InvalidRequest.code());
    assert_eq!(told("unknown"), ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn a_commit_to_an_unknown_topic_names_it_even_without_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, mut client) = started(folder.path());
    client.find_coordinator("g");
    let topics = ["known", "unknown"]
        .map(|name| OffsetCommitRequestTopic::default().with_name(topic_name(name)));
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.to_vec());
    let response = client.ask(8, request);
    let named: Vec<&str> = response.topics.iter().map(|it| it.name.as_str()).collect();
    assert!(named.contains(&"unknown"), "{named:?}");
}

#[test]
fn an_offset_delete_of_an_unknown_topic_names_it_even_without_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, mut client) = started(folder.path());
    client.find_coordinator("g");
    assert_eq!(client.try_commit("g", "known", 1).unwrap(), Ok(()));
    let topic = OffsetDeleteRequestTopic::default().with_name(topic_name("unknown"));
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(vec![topic]);
    let response = client.ask(0, request);
    assert_eq!(response.error_code, 0);
    assert_eq!(response.topics[0].name.as_str(), "unknown");
}

#[test]
fn a_key_type_that_does_not_exist_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, mut client) = started(folder.path());
    let request = FindCoordinatorRequest::default()
        .with_key(text("g"))
        .with_key_type(9);
    let response = client.ask(3, request);
    assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
    assert!(response.error_message.unwrap().contains("type"));
    client.find_coordinator("g");
    let request = FindCoordinatorRequest::default().with_key(text("g"));
    assert_eq!(
        client.ask(3, request).error_message.unwrap().as_str(),
        "NONE"
    );
}
