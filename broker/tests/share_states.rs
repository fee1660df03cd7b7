//! The share coordinator over sockets: states survive, are pruned, go with their topics and are put
//! back.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use protocol::ErrorCode;
use protocol::messages::{
    DeleteShareGroupStateRequest, FindCoordinatorRequest, InitializeShareGroupStateRequest,
    ReadShareGroupStateRequest, ReadShareGroupStateSummaryRequest, WriteShareGroupStateRequest,
    delete_share_group_state_request, initialize_share_group_state_request,
    read_share_group_state_request, read_share_group_state_summary_request,
    write_share_group_state_request,
};
use serde_json::json;
use support::requests::{checked, text};
use support::{Client, Node, Start, eventually};
use uuid::Uuid;

const STATE_TOPIC: &str = "__share_group_state";
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// First and last offset, delivery state and count.
type Batch = (i64, i64, i8, i16);

/// State epoch, start offset and batches.
type State = (i32, i64, Vec<Batch>);

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("share.coordinator.state.topic.num.partitions", 1)
        .with("share.coordinator.snapshot.update.records.per.snapshot", 3)
        .with("share.coordinator.state.topic.prune.interval.ms", 60_000)
        .with(
            "share.coordinator.cold.partition.snapshot.interval.ms",
            50_000,
        )
}

/// A share partition of the group `g`.
#[derive(Clone, Copy)]
struct Of(Uuid, i32);

impl Of {
    fn initialize(self, client: &mut Client, epoch: i32, start: i64) -> Result<(), ErrorCode> {
        use initialize_share_group_state_request::{InitializeStateData, PartitionData};
        let partition = PartitionData::default()
            .with_partition(self.1)
            .with_state_epoch(epoch)
            .with_start_offset(start);
        let topic = InitializeStateData::default()
            .with_topic_id(self.0)
            .with_partitions(vec![partition]);
        let request = InitializeShareGroupStateRequest::default()
            .with_group_id(text("g"))
            .with_topics(vec![topic]);
        let answer = client.ask(0, request);
        checked(answer.results[0].partitions[0].error_code)
    }

    fn read(self, client: &mut Client, leader_epoch: i32) -> Result<State, ErrorCode> {
        use read_share_group_state_request::{PartitionData, ReadStateData};
        let partition = PartitionData::default()
            .with_partition(self.1)
            .with_leader_epoch(leader_epoch);
        let topic = ReadStateData::default()
            .with_topic_id(self.0)
            .with_partitions(vec![partition]);
        let request = ReadShareGroupStateRequest::default()
            .with_group_id(text("g"))
            .with_topics(vec![topic]);
        let answer = client.ask(0, request);
        let result = &answer.results[0].partitions[0];
        checked(result.error_code)?;
        let batches = result.state_batches.iter().map(|it| {
            let (first, last) = (it.first_offset, it.last_offset);
            (first, last, it.delivery_state, it.delivery_count)
        });
        Ok((result.state_epoch, result.start_offset, batches.collect()))
    }

    fn write(
        self,
        client: &mut Client,
        leader_epoch: i32,
        start: i64,
        batches: &[Batch],
    ) -> Result<(), ErrorCode> {
        use write_share_group_state_request::{PartitionData, StateBatch, WriteStateData};
        let batches = batches.iter().map(|&(first, last, state, count)| {
            StateBatch::default()
                .with_first_offset(first)
                .with_last_offset(last)
                .with_delivery_state(state)
                .with_delivery_count(count)
        });
        let partition = PartitionData::default()
            .with_partition(self.1)
            .with_state_epoch(-1)
            .with_leader_epoch(leader_epoch)
            .with_start_offset(start)
            .with_delivery_complete_count(4)
            .with_state_batches(batches.collect());
        let topic = WriteStateData::default()
            .with_topic_id(self.0)
            .with_partitions(vec![partition]);
        let request = WriteShareGroupStateRequest::default()
            .with_group_id(text("g"))
            .with_topics(vec![topic]);
        let answer = client.ask(1, request);
        checked(answer.results[0].partitions[0].error_code)
    }

    fn delete(self, client: &mut Client) -> Result<(), ErrorCode> {
        use delete_share_group_state_request::{DeleteStateData, PartitionData};
        let partition = PartitionData::default().with_partition(self.1);
        let topic = DeleteStateData::default()
            .with_topic_id(self.0)
            .with_partitions(vec![partition]);
        let request = DeleteShareGroupStateRequest::default()
            .with_group_id(text("g"))
            .with_topics(vec![topic]);
        let answer = client.ask(0, request);
        checked(answer.results[0].partitions[0].error_code)
    }

    /// Leader epoch, start offset and count of complete deliveries.
    fn summary(self, client: &mut Client) -> Result<(i32, i64, i32), ErrorCode> {
        use read_share_group_state_summary_request::{PartitionData, ReadStateSummaryData};
        let partition = PartitionData::default()
            .with_partition(self.1)
            .with_leader_epoch(-1);
        let topic = ReadStateSummaryData::default()
            .with_topic_id(self.0)
            .with_partitions(vec![partition]);
        let request = ReadShareGroupStateSummaryRequest::default()
            .with_group_id(text("g"))
            .with_topics(vec![topic]);
        let answer = client.ask(1, request);
        let result = &answer.results[0].partitions[0];
        checked(result.error_code)?;
        let count = result.delivery_complete_count;
        Ok((result.leader_epoch, result.start_offset, count))
    }
}

fn find(client: &mut Client, key: &str) -> Result<(), ErrorCode> {
    let request = FindCoordinatorRequest::default()
        .with_key_type(2)
        .with_coordinator_keys(vec![text(key)]);
    checked(client.ask(6, request).coordinators[0].error_code)
}

/// The topic `t` with its share coordinator, and its first two share partitions.
fn share_partitions(client: &mut Client) -> [Of; 2] {
    client.create("t", 2, &[]);
    let id = client.topic("t").topic_id;
    let key = format!("g:{}:0", protocol::TopicId(id));
    find(client, &key).unwrap();
    let first = Of(id, 0);
    eventually("the coordinator", || first.summary(client).ok());
    [first, Of(id, 1)]
}

fn advance(node: &Node, ms: i64) {
    let body = json!({"advance_ms": ms});
    node.http().post("/v1/clock", &body).ok();
}

/// More writes than there are updates after a snapshot.
fn deliver(client: &mut Client, of: Of) -> State {
    assert_eq!(of.read(client, 5).unwrap().1, 0);
    for index in 0..9 {
        let batches = [
            (10 * index, 10 * index + 5, 2, 1),
            (90, 90, 0, index as i16),
        ];
        of.write(client, 5, index, &batches).unwrap();
    }
    of.read(client, -1).unwrap()
}

#[test]
fn states_survive_a_stop_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = start(&folder).ready();
    let mut client = node.client();
    let [first, second] = share_partitions(&mut client);
    first.initialize(&mut client, 3, 0).unwrap();
    second.initialize(&mut client, 0, -1).unwrap();
    let state = deliver(&mut client, first);
    assert_eq!(state.0, 3);
    assert_eq!((state.1, state.2.len()), (8, 9));
    for is_killed in [false, true] {
        if is_killed {
            node.kill();
        } else {
            node.stop();
        }
        node = start(&folder).ready();
        client = node.client();
        let again = eventually("the state", || first.read(&mut client, -1).ok());
        assert_eq!(again, state);
        assert_eq!(first.summary(&mut client), Ok((5, 8, 4)));
        assert_eq!(second.read(&mut client, -1), Ok((0, -1, vec![])));
        let fenced = first.read(&mut client, 4);
        assert_eq!(fenced, Err(ErrorCode::FencedLeaderEpoch));
        let fenced = first.write(&mut client, 4, 0, &[]);
        assert_eq!(fenced, Err(ErrorCode::FencedLeaderEpoch));
        let fenced = first.initialize(&mut client, 2, 0);
        assert_eq!(fenced, Err(ErrorCode::FencedStateEpoch));
    }
}

#[test]
fn records_that_no_state_needs_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let [first, second] = share_partitions(&mut client);
    // It is never written again: only a snapshot for its age lets go of the log's beginning.
    second.initialize(&mut client, 1, 7).unwrap();
    first.initialize(&mut client, 0, 0).unwrap();
    let state = deliver(&mut client, first);
    let end = client.offset(STATE_TOPIC, 0, LATEST).unwrap();
    assert_eq!(client.offset(STATE_TOPIC, 0, EARLIEST), Ok(0));
    advance(&node, 60_000);
    advance(&node, 60_000);
    let begin = client.offset(STATE_TOPIC, 0, EARLIEST).unwrap();
    assert!(begin >= end, "{begin} of {end}");
    node.kill();
    let node = start(&folder).ready();
    let mut client = node.client();
    let again = eventually("the state", || first.read(&mut client, -1).ok());
    assert_eq!(again, state);
    assert_eq!(second.read(&mut client, -1), Ok((1, 7, vec![])));
    assert_eq!(client.offset(STATE_TOPIC, 0, EARLIEST), Ok(begin));
}

#[test]
fn states_go_when_they_are_deleted_and_with_their_topic() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let [first, second] = share_partitions(&mut client);
    first.initialize(&mut client, 0, 0).unwrap();
    second.initialize(&mut client, 0, 0).unwrap();
    first.delete(&mut client).unwrap();
    let uninitialized = Err(ErrorCode::InvalidRequest);
    assert_eq!(first.read(&mut client, -1), uninitialized);
    assert_eq!(first.summary(&mut client), Ok((0, -1, -1)));
    client.try_delete("t").unwrap().unwrap();
    assert_eq!(
        second.summary(&mut client),
        Err(ErrorCode::UnknownTopicOrPartition)
    );
    // While the state is there, it is the topic that is missing.
    eventually("the state's end", || {
        (second.read(&mut client, -1) == uninitialized).then_some(())
    });
    let initialized = second.initialize(&mut client, 0, 0);
    assert_eq!(initialized, Err(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn a_reset_puts_states_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let [first, second] = share_partitions(&mut client);
    first.initialize(&mut client, 0, 0).unwrap();
    first.write(&mut client, -1, 3, &[(3, 4, 2, 1)]).unwrap();
    let before = first.read(&mut client, -1).unwrap();
    node.http()
        .post("/v1/snapshot", &json!({"name": "then"}))
        .ok();
    first.initialize(&mut client, 1, 50).unwrap();
    second.initialize(&mut client, 0, 0).unwrap();
    node.http()
        .post("/v1/restore", &json!({"name": "then"}))
        .ok();
    let again = eventually("the state", || first.read(&mut client, -1).ok());
    assert_eq!(again, before);
    assert_eq!(second.read(&mut client, -1), Err(ErrorCode::InvalidRequest));
    second.initialize(&mut client, 0, 0).unwrap();
}

#[test]
fn a_share_coordinator_is_found_and_its_topic_made() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    client.create("t", 1, &[]);
    let id = client.topic("t").topic_id;
    let early = Of(id, 0).initialize(&mut client, 0, 0);
    assert_eq!(early, Err(ErrorCode::NotCoordinator));
    let key = format!("g:{}:0", protocol::TopicId(id));
    for wrong in ["", "g", "g:x:0", "g:0"] {
        assert_eq!(find(&mut client, wrong), Err(ErrorCode::InvalidRequest));
    }
    find(&mut client, &key).unwrap();
    eventually("the coordinator", || {
        Of(id, 0).initialize(&mut client, 0, 0).ok()
    });
}

#[test]
fn without_a_group_or_partitions_nothing_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let mut client = node.client();
    let [first, _] = share_partitions(&mut client);
    let request = ReadShareGroupStateRequest::default().with_group_id(text("g"));
    assert!(client.ask(0, request).results.is_empty());
    let topic = read_share_group_state_request::ReadStateData::default().with_topic_id(first.0);
    let request = ReadShareGroupStateRequest::default()
        .with_group_id(text("g"))
        .with_topics(vec![topic]);
    assert!(client.ask(0, request).results.is_empty());
}
