//! Offsets that are committed in transactions, through starts and the rows of the view.

use std::sync::Arc;

use coordinator::RequestMeta;
use coordinator::group::{GroupCoordinatorConfig, GroupRequest, GroupResponse};
use protocol::control::EndTransactionMarker;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::{GroupId, OffsetCommitRequest, TopicName, TxnOffsetCommitRequest};
use protocol::{
    ErrorCode, LeaderEpoch, Producer, ProducerEpoch, ProducerId, StrBytes, Timestamp, TopicId,
    TopicPartition,
};
use storage::{Log, LogConfig, LogDir, LogDirOptions};
use uuid::Uuid;

use super::{GROUP_TOPIC, GroupCoordinator, MarkerWrite};
use crate::clock::Clock;
use crate::replica::Partition;

const PRODUCER: i64 = 7;

struct World {
    dir: Arc<LogDir>,
    log: Arc<Log>,
    partition: Arc<Partition>,
    groups: Arc<GroupCoordinator>,
    _folder: tempfile::TempDir,
}

/// What a start finds.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// Rows of everything.
    Rows,
    /// No rows.
    Log,
    /// The rows of the last checkpoint, and the log behind them.
    RowsAndLog,
}

fn meta() -> RequestMeta {
    RequestMeta {
        api_version: 5,
        client_id: Arc::from("client"),
        client_host: Arc::from("/127.0.0.1"),
    }
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("g"))
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

fn coordinator(dir: &Arc<LogDir>, partition: &Arc<Partition>) -> Arc<GroupCoordinator> {
    let config = GroupCoordinatorConfig::default();
    let groups = Arc::new(GroupCoordinator::new(
        config,
        5000,
        dir.clone(),
        Clock::default(),
    ));
    groups.lead(partition.clone());
    groups
}

fn lead(log: &Arc<Log>) -> Arc<Partition> {
    Arc::new(Partition::lead(log.clone(), LeaderEpoch(0)))
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let options = LogDirOptions {
            kv_in_memory: true,
            ..LogDirOptions::new(1)
        };
        let dir = LogDir::open(folder.path(), options).expect("a log directory");
        let dir = Arc::new(dir);
        let of = TopicPartition::new(GROUP_TOPIC, 0);
        let id = TopicId(Uuid::from_u128(1));
        let log = dir.create_or_open(&of, id, LogConfig::default());
        let log = log.expect("a log");
        let partition = lead(&log);
        World {
            groups: coordinator(&dir, &partition),
            dir,
            log,
            partition,
            _folder: folder,
        }
    }

    /// Another shard takes the place of this one.
    async fn start_again(&mut self, how: Start) {
        match how {
            Start::Rows => self.groups.stop().await,
            Start::Log => {
                self.groups.stop().await;
                let forgotten = self.groups.forget_rows(&self.log);
                assert!(forgotten.expect("the rows go"));
            }
            Start::RowsAndLog => self.groups.resign(0),
        }
        self.partition = lead(&self.log);
        self.groups = coordinator(&self.dir, &self.partition);
    }

    async fn commit(&self, offsets: &[(i32, i64)]) {
        let partitions = offsets.iter().map(|&(index, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic())
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_retention_time_ms(-1)
            .with_topics(vec![topic]);
        let request = GroupRequest::OffsetCommit(request);
        let answer = self.groups.ask(meta(), request, Some(1)).await;
        let GroupResponse::OffsetCommit(response) = answer else {
            panic!("another answer: {answer:?}");
        };
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        assert!(partitions.all(|partition| partition.error_code == 0));
    }

    /// Commits in the producer's transaction, verified or not; the code of the first partition.
    async fn commit_in_transaction(&self, verified: bool, offsets: &[(i32, i64)]) -> i16 {
        let partitions = offsets.iter().map(|&(index, offset)| {
            TxnOffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
        });
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic())
            .with_partitions(partitions.collect());
        let request = TxnOffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id(-1)
            .with_producer_id(PRODUCER.into())
            .with_producer_epoch(0)
            .with_topics(vec![topic]);
        let producer = Producer {
            id: ProducerId(PRODUCER),
            epoch: ProducerEpoch(0),
            base_sequence: -1,
        };
        let guard = self
            .partition
            .begin_verification(producer, false, Timestamp(0));
        let guard = guard.expect("the epoch is the first").filter(|_| verified);
        let groups = &self.groups;
        let response = groups
            .commit_in_transaction(meta(), request, Some(1), guard)
            .await;
        response.topics[0].partitions[0].error_code
    }

    async fn end(&self, committed: bool) -> Result<(), ErrorCode> {
        let marker = MarkerWrite {
            producer: (ProducerId(PRODUCER), ProducerEpoch(0)),
            marker: EndTransactionMarker {
                committed,
                coordinator_epoch: 0,
            },
            transaction_version: 1,
        };
        self.groups.write_marker(0, marker).await
    }

    /// The offsets of partitions that have one, `None` for one that a transaction may change.
    async fn fetch(&self) -> Vec<(i32, Option<i64>)> {
        let request = GroupRequest::OffsetFetch {
            group: OffsetFetchRequestGroup::default()
                .with_group_id(group())
                .with_topics(Some(vec![
                    protocol::messages::offset_fetch_request::OffsetFetchRequestTopics::default()
                        .with_name(topic())
                        .with_partition_indexes(vec![0, 1, 2]),
                ])),
            require_stable: true,
        };
        let answer = self.groups.ask(meta(), request, Some(1)).await;
        let GroupResponse::OffsetFetch(response) = answer else {
            panic!("another answer: {answer:?}");
        };
        assert_eq!(response.error_code, 0);
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let known = partitions.filter_map(|it| match ErrorCode::try_from_code(it.error_code) {
            None if it.committed_offset < 0 => None,
            None => Some((it.partition_index, Some(it.committed_offset))),
            Some(ErrorCode::UnstableOffsetCommit) => Some((it.partition_index, None)),
            Some(code) => panic!("{code:?}"),
        });
        known.collect()
    }
}

#[tokio::test]
async fn a_shard_that_starts_in_the_middle_of_a_transaction_knows_of_it() {
    for how in [Start::Rows, Start::Log, Start::RowsAndLog] {
        for committed in [true, false] {
            let mut world = World::new();
            world.commit(&[(0, 1)]).await;
            assert_eq!(world.commit_in_transaction(true, &[(0, 5)]).await, 0);
            world.groups.checkpoint();
            assert_eq!(world.commit_in_transaction(true, &[(1, 6)]).await, 0);
            world.start_again(how).await;
            let pending = [(0, None), (1, None)];
            assert_eq!(world.fetch().await, pending, "{how:?}");
            assert_eq!(world.commit_in_transaction(true, &[(2, 7)]).await, 0);
            world.end(committed).await.expect("the marker is written");
            let expected = if committed {
                vec![(0, Some(5)), (1, Some(6)), (2, Some(7))]
            } else {
                vec![(0, Some(1))]
            };
            assert_eq!(world.fetch().await, expected, "{how:?}");
            for again in [how, Start::Rows, Start::Log] {
                world.start_again(again).await;
                assert_eq!(world.fetch().await, expected, "{how:?}, then {again:?}");
            }
        }
    }
}

#[tokio::test]
async fn of_a_commit_and_one_in_a_transaction_the_later_counts() {
    for (plain_last, offset) in [(true, 9), (false, 5)] {
        for how in [Start::Rows, Start::Log, Start::RowsAndLog] {
            let mut world = World::new();
            if plain_last {
                world.commit_in_transaction(true, &[(0, 5)]).await;
                world.commit(&[(0, 9)]).await;
            } else {
                world.commit(&[(0, 9)]).await;
                world.commit_in_transaction(true, &[(0, 5)]).await;
            }
            world.groups.checkpoint();
            assert_eq!(world.fetch().await, [(0, None)]);
            // The rows know of both, and the shard of the marker comes after them.
            world.start_again(how).await;
            world.end(true).await.expect("the marker is written");
            for again in [how, Start::Rows, Start::Log] {
                world.start_again(again).await;
                let expected = [(0, Some(offset))];
                assert_eq!(world.fetch().await, expected, "{how:?}, then {again:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_removed_offset_does_not_come_back_with_its_transaction() {
    for how in [Start::Rows, Start::Log, Start::RowsAndLog] {
        let mut world = World::new();
        world.commit_in_transaction(true, &[(0, 5), (1, 6)]).await;
        world.groups.checkpoint();
        let gone = coordinator::group::DeletedTopic {
            name: Arc::from("t"),
            id: TopicId(Uuid::from_u128(2)),
        };
        let request = GroupRequest::TopicsDeleted(vec![gone]);
        world.groups.ask_all(&meta(), &request).await;
        world.start_again(how).await;
        world.end(true).await.expect("the marker is written");
        world.start_again(how).await;
        assert_eq!(world.fetch().await, [], "{how:?}");
    }
}

#[tokio::test]
async fn a_commit_needs_its_verification_and_a_marker_its_epoch() {
    let world = World::new();
    let refused = world.commit_in_transaction(false, &[(0, 5)]).await;
    assert_eq!(refused, ErrorCode::InvalidTxnState.code());
    assert_eq!(world.fetch().await, []);
    assert_eq!(world.commit_in_transaction(true, &[(0, 5)]).await, 0);
    let mut marker = MarkerWrite {
        producer: (ProducerId(PRODUCER), ProducerEpoch(0)),
        marker: EndTransactionMarker {
            committed: true,
            coordinator_epoch: 0,
        },
        transaction_version: 2,
    };
    // Of version 2 it would be one that comes late.
    let late = world.groups.write_marker(0, marker).await;
    assert_eq!(late, Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(world.fetch().await, [(0, None)]);
    marker.producer.1 = ProducerEpoch(1);
    assert_eq!(world.groups.write_marker(0, marker).await, Ok(()));
    assert_eq!(world.fetch().await, [(0, Some(5))]);
    let elsewhere = world.groups.write_marker(1, marker).await;
    assert_eq!(elsewhere, Err(ErrorCode::NotLeaderOrFollower));
}
