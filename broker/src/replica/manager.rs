//! Which partitions this node serves.
//!
//! Invariant: identity is the topic id. A partition found by name belongs to the topic that the
//! metadata image knows under that name.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};
use protocol::{ErrorCode, TopicPartition};

use super::Partition;

/// The partitions of this node.
#[derive(Default)]
pub(crate) struct Manager {
    partitions: DashMap<TopicPartition, Hosted>,
    /// Held by whoever changes which logs there are, files included.
    changing: Mutex<()>,
}

#[derive(Clone)]
enum Hosted {
    Online(Arc<Partition>),
    /// Its log could not be opened.
    Offline(ErrorCode),
}

impl Manager {
    /// The partition, if it is led here.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` when it is not (whether the topic exists at all is the image's to
    /// say), `KAFKA_STORAGE_ERROR` when its log cannot be used.
    pub(crate) fn partition(&self, of: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        let hosted = self.partitions.get(of).map(|found| found.clone());
        match hosted.ok_or(ErrorCode::NotLeaderOrFollower)? {
            Hosted::Online(partition) => Ok(partition),
            Hosted::Offline(code) => Err(code),
        }
    }

    /// Keeps everybody else from creating, deleting and putting back logs.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Serves `partition` in place of the one that had its name; requests that wait at that one
    /// look again.
    pub(crate) fn replace(&self, partition: Arc<Partition>) {
        let of = partition.topic_partition().clone();
        if let Some(Hosted::Online(former)) = self.partitions.insert(of, Hosted::Online(partition))
        {
            former.end(ErrorCode::NotLeaderOrFollower);
        }
    }

    /// Starts to serve `partition`.
    pub(crate) fn insert(&self, partition: Arc<Partition>) {
        let of = partition.topic_partition().clone();
        self.partitions.insert(of, Hosted::Online(partition));
    }

    /// A replica that should be here cannot be served: requests are answered `code`.
    pub(crate) fn set_offline(&self, of: TopicPartition, code: ErrorCode) {
        self.partitions.insert(of, Hosted::Offline(code));
    }

    /// Stops to serve a partition; requests that wait there are answered `code`.
    pub(crate) fn remove(&self, of: &TopicPartition, code: ErrorCode) -> Option<Arc<Partition>> {
        match self.partitions.remove(of)?.1 {
            Hosted::Online(partition) => {
                partition.end(code);
                Some(partition)
            }
            Hosted::Offline(_) => None,
        }
    }

    /// How many replicas cannot be served.
    pub(crate) fn offline(&self) -> usize {
        let all = self.partitions.iter();
        all.filter(|entry| matches!(entry.value(), Hosted::Offline(_)))
            .count()
    }

    /// All partitions served now.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let online = self
            .partitions
            .iter()
            .filter_map(|entry| match entry.value() {
                Hosted::Online(partition) => Some(partition.clone()),
                Hosted::Offline(_) => None,
            });
        online.collect()
    }
}
