//! How far readers of committed records see, and when they hear of more.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::time::Instant;

use protocol::messages::describe_producers_request::TopicRequest;
use protocol::messages::fetch_response::PartitionData;
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::{BrokerId, DescribeProducersRequest, ListOffsetsRequest};
use support::requests::{fetch_request, topic_name};
use support::transactions::{Kind, Transactional};
use support::{Client, Node, Start};

const LONG_MS: i32 = 30_000;

fn node(folder: &tempfile::TempDir) -> Node {
    let node = Start::new(folder.path())
        .with("transaction.state.log.num.partitions", 1)
        .ready();
    node.client().create("t", 1, &[]);
    node
}

fn fetch(client: &mut Client, offset: i64, wait_ms: i32, isolation: i8) -> PartitionData {
    let request = fetch_request("t", 0, offset, wait_ms).with_isolation_level(isolation);
    let mut response = client.ask(12, request);
    let data = response.responses.remove(0).partitions.remove(0);
    assert_eq!((response.error_code, data.error_code), (0, 0));
    data
}

fn is_empty(data: &PartitionData) -> bool {
    data.records.as_ref().is_some_and(bytes::Bytes::is_empty)
}

/// The offset of a position or time, for a reader of this isolation level; -1 is none.
fn offset(client: &mut Client, timestamp: i64, isolation: i8) -> i64 {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    let response = client.ask(7, request);
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    partition.offset
}

#[test]
fn a_waiting_reader_hears_of_the_end_of_a_transaction_and_not_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    for (kind, committed) in [(Kind::V1, true), (Kind::V2, false), (Kind::V2, true)] {
        let mut producer = Transactional::begin(&mut client, "id", kind);
        let before = offset(&mut client, -1, 1);
        producer.write(&mut client, "t", 0, &["a"]);
        let begun = Instant::now();
        let mut reader = node.client();
        let reading = std::thread::spawn(move || fetch(&mut reader, before, LONG_MS, 1));
        // One that may see them has them at once.
        assert!(!is_empty(&fetch(&mut client, before, LONG_MS, 0)));
        for number in 0..20 {
            producer.write(&mut client, "t", 0, &[&format!("{number}")]);
        }
        let open = fetch(&mut client, before, 1, 1);
        assert!(is_empty(&open), "nothing is decided");
        assert_eq!(open.last_stable_offset, before);
        assert_eq!(open.high_watermark, before + 21);
        assert_eq!(open.aborted_transactions, Some(Vec::new()));
        assert!(!reading.is_finished(), "woken by what it may not see");
        producer.end(&mut client, committed);
        let read = reading.join().unwrap();
        assert!(!is_empty(&read));
        assert!(begun.elapsed().as_millis() < LONG_MS as u128);
        assert_eq!(read.last_stable_offset, before + 22);
        let aborted = read.aborted_transactions.unwrap();
        let aborted: Vec<_> = aborted.iter().map(|it| it.first_offset).collect();
        let expected = if committed { vec![] } else { vec![before] };
        assert_eq!(aborted, expected);
    }
    let uncommitted = fetch(&mut client, 0, 1, 0);
    assert_eq!(uncommitted.aborted_transactions, None);
}

#[test]
fn offsets_are_listed_up_to_the_last_stable_one() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    let mut producer = Transactional::begin(&mut client, "id", Kind::V2);
    producer.write(&mut client, "t", 0, &["a", "b"]);
    producer.end(&mut client, true);
    assert_eq!(client.settled("t", 0), ["a", "b"]);
    producer.write(&mut client, "t", 0, &["c"]);
    let (latest, earliest) = (-1, -2);
    for (isolation, end) in [(0, 4), (1, 3)] {
        assert_eq!(offset(&mut client, latest, isolation), end);
        assert_eq!(offset(&mut client, earliest, isolation), 0);
        assert_eq!(offset(&mut client, 0, isolation), 0);
    }
    let described = client.ask(
        0,
        DescribeProducersRequest::default().with_topics(vec![
            TopicRequest::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]),
        ]),
    );
    let found = &described.topics[0].partitions[0].active_producers[0];
    assert_eq!(found.producer_id.0, producer.producer_id);
    assert_eq!(found.producer_epoch, i32::from(producer.epoch));
    assert_eq!(
        (found.last_sequence, found.current_txn_start_offset),
        (0, 3)
    );
    assert_eq!(found.coordinator_epoch, 0);
    producer.end(&mut client, false);
    assert_eq!(client.settled("t", 0), ["a", "b"]);
    assert_eq!(offset(&mut client, latest, 1), 5);
}
