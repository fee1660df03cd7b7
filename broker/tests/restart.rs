//! A restart is invisible to clients: what Metadata tells is what Fetch accepts.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use protocol::messages::ListOffsetsRequest;
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use support::requests::{batch, fetch_request, topic_name};
use support::{Client, Start};

/// The leader epoch that Metadata tells.
fn leader_epoch(client: &mut Client, topic: &str) -> i32 {
    let topic = client.topic(topic);
    topic.partitions.first().unwrap().leader_epoch
}

fn fetch_in_epoch(client: &mut Client, topic: &str, epoch: i32) -> (i16, usize) {
    let mut request = fetch_request(topic, 0, 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    let answer = client.ask(12, request);
    let partition = &answer.responses[0].partitions[0];
    let records = partition
        .records
        .as_ref()
        .map_or(0, |records| records.len());
    (partition.error_code, records)
}

fn latest_in_epoch(client: &mut Client, topic: &str, epoch: i32) -> (i16, i64) {
    let partition = ListOffsetsPartition::default()
        .with_current_leader_epoch(epoch)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    let answer = client.ask(7, request);
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.offset)
}

#[test]
fn clients_read_on_with_the_epoch_that_metadata_tells_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    client.create("t", 1, &[]);
    client.produce("t", 0, batch(&["a", "b"])).unwrap();
    let first_epoch = leader_epoch(&mut client, "t");
    assert_eq!(fetch_in_epoch(&mut client, "t", first_epoch).0, 0);
    drop(client);
    node.stop();

    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    let epoch = leader_epoch(&mut client, "t");
    assert!(
        epoch > first_epoch,
        "a new incarnation leads in a new epoch"
    );
    let (code, records) = fetch_in_epoch(&mut client, "t", epoch);
    assert_eq!(code, 0);
    assert!(records > 0);
    assert_eq!(latest_in_epoch(&mut client, "t", epoch), (0, 2));
    let (code, _) = fetch_in_epoch(&mut client, "t", first_epoch);
    assert_eq!(code, ErrorCode::FencedLeaderEpoch.code());
    drop(client);
    node.kill();

    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    let epoch = leader_epoch(&mut client, "t");
    client.produce("t", 0, batch(&["c"])).unwrap();
    assert_eq!(fetch_in_epoch(&mut client, "t", epoch).0, 0);
    assert_eq!(latest_in_epoch(&mut client, "t", epoch), (0, 3));
    node.stop();
}
