//! Who is woken when, and how far they see.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use bytes::Bytes;
use protocol::control::EndTransactionMarker;
use protocol::records::BatchBuilder;
use protocol::{
    ErrorCode, LeaderEpoch, Offset, Producer, ProducerEpoch, ProducerId, Timestamp, TopicId,
    TopicPartition,
};
use replication::{Reached, Waiter};
use storage::{AppendOrigin, LogConfig, LogDir, LogDirOptions};
use uuid::Uuid;

use super::waiting::deadline;
use super::{Isolation, Partition, ReadRequest, ReadyList};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct World {
    partition: Partition,
    _dir: LogDir,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let options = LogDirOptions {
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open(folder.path(), options).unwrap();
    let (of, id) = (TopicPartition::new("t", 0), TopicId(Uuid::from_u128(1)));
    let log = dir.create_or_open(&of, id, LogConfig::default()).unwrap();
    World {
        partition: Partition::lead(log, LeaderEpoch(0)),
        _dir: dir,
        _folder: folder,
    }
}

fn producer(base_sequence: i32) -> Producer {
    Producer {
        id: ProducerId(4),
        epoch: ProducerEpoch(0),
        base_sequence,
    }
}

fn records(producer: Option<Producer>) -> Bytes {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    if let Some(producer) = producer {
        builder = builder.producer(producer).transactional();
    }
    builder.push(NOW, None, Some(b"v"), &[]);
    builder.build().bytes().clone()
}

impl World {
    async fn plain(&self) {
        let origin = AppendOrigin::Client;
        let appended = self.partition.append(records(None), origin, NOW, None);
        appended.await.unwrap();
    }

    async fn transactional(&self, sequence: i32) {
        let producer = producer(sequence);
        let guard = self.partition.begin_verification(producer, false, NOW);
        let (records, origin) = (records(Some(producer)), AppendOrigin::Client);
        let appended = self.partition.append(records, origin, NOW, guard.unwrap());
        appended.await.unwrap();
    }

    async fn end(&self, committed: bool) {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 0,
        };
        let producer = (ProducerId(4), ProducerEpoch(0));
        let appended = self.partition.append_marker(producer, marker, 1, NOW);
        appended.await.unwrap();
    }

    /// Begins to wait for more than `seen`.
    fn wait(&self, seen: i64, isolation: Isolation) -> Arc<ReadyList> {
        let list = Arc::new(ReadyList::default());
        let waiter: Arc<dyn Waiter> = list.clone();
        let reached = self
            .partition
            .wait_beyond(Offset(seen), isolation, &waiter, 0);
        assert_eq!(reached, Ok(Reached::NotYet));
        list
    }

    fn read(&self, from: i64, isolation: Isolation) -> super::PartitionRead {
        let request = ReadRequest {
            fetch_offset: Offset(from),
            current_leader_epoch: None,
            last_fetched_epoch: None,
            max_bytes: 1 << 20,
            at_least_one_batch: true,
            isolation,
        };
        self.partition.read(&request).unwrap()
    }
}

/// Whether it was woken. A wake comes with the append, so there is nothing to wait for.
async fn is_woken(list: &ReadyList) -> bool {
    !list.next(deadline(0)).await.is_empty()
}

#[tokio::test]
async fn readers_of_committed_records_are_woken_by_the_end_of_a_transaction_only() {
    for committed in [true, false] {
        let world = world();
        world.transactional(0).await;
        let committed_reader = world.wait(0, Isolation::ReadCommitted);
        let other_reader = world.wait(1, Isolation::ReadUncommitted);
        world.transactional(1).await;
        assert!(is_woken(&other_reader).await);
        world.plain().await;
        assert!(!is_woken(&committed_reader).await, "nothing is decided");
        world.end(committed).await;
        assert!(is_woken(&committed_reader).await);
        assert!(!is_woken(&committed_reader).await, "once is enough");
    }
}

#[tokio::test]
async fn without_transactions_all_readers_are_woken_alike() {
    let world = world();
    let reader = world.wait(0, Isolation::ReadCommitted);
    world.plain().await;
    assert!(is_woken(&reader).await);
}

#[tokio::test]
async fn a_partition_that_ends_wakes_all_readers() {
    let world = world();
    let readers =
        [Isolation::ReadCommitted, Isolation::ReadUncommitted].map(|it| world.wait(0, it));
    world.partition.end(ErrorCode::NotLeaderOrFollower);
    for reader in readers {
        assert!(is_woken(&reader).await);
    }
}

#[tokio::test]
async fn readers_of_committed_records_see_up_to_the_first_open_transaction() {
    let world = world();
    world.plain().await;
    world.transactional(0).await;
    world.plain().await;
    let limit = |isolation| world.partition.read_limit(isolation).0;
    assert_eq!(limit(Isolation::ReadUncommitted), 3);
    assert_eq!(limit(Isolation::ReadCommitted), 1);
    let read = world.read(0, Isolation::ReadCommitted);
    assert_eq!((read.high_watermark.0, read.last_stable_offset.0), (3, 1));
    assert_eq!(read.slice.next_offset, Offset(1));
    // Beyond it there is nothing yet, which is no fault.
    let read = world.read(2, Isolation::ReadCommitted);
    assert!(read.slice.is_empty() && read.aborted_transactions.is_empty());
    assert_eq!(
        world.read(0, Isolation::ReadUncommitted).slice.next_offset,
        Offset(3)
    );
    world.end(false).await;
    let read = world.read(0, Isolation::ReadCommitted);
    assert_eq!(read.slice.next_offset, Offset(4));
    let aborted: Vec<_> = read
        .aborted_transactions
        .iter()
        .map(|it| (it.producer_id.0, it.first_offset.0))
        .collect();
    assert_eq!(aborted, [(4, 1)]);
    let read = world.read(0, Isolation::ReadUncommitted);
    assert!(read.aborted_transactions.is_empty());
}

#[tokio::test]
async fn a_partition_that_is_led_anew_goes_on_with_its_open_transactions() {
    let world = world();
    world.transactional(0).await;
    let again = Partition::lead(world.partition.log().clone(), LeaderEpoch(1));
    assert_eq!(again.read_limit(Isolation::ReadCommitted), Offset(0));
    let list = Arc::new(ReadyList::default());
    let waiter: Arc<dyn Waiter> = list.clone();
    let reached = again.wait_beyond(Offset(0), Isolation::ReadCommitted, &waiter, 0);
    assert_eq!(reached, Ok(Reached::NotYet));
    again.lead_in(LeaderEpoch(2));
    assert!(!is_woken(&list).await);
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 0,
    };
    let producer = (ProducerId(4), ProducerEpoch(0));
    again.append_marker(producer, marker, 1, NOW).await.unwrap();
    assert!(is_woken(&list).await);
    assert_eq!(again.read_limit(Isolation::ReadCommitted), Offset(2));
}
