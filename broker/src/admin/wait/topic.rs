//! Waits for records of a topic.
//!
//! Invariant: what counts is what a consumer can read: from the log start to the high watermark.

use std::sync::Arc;
use std::time::Duration;

use protocol::{Offset, TopicPartition};
use replication::{Reached, Waiter};
use serde_json::json;
use tokio::time::Instant;

use super::Seen;
use crate::admin::Admin;
use crate::replica::{Isolation, Partition, ReadyList};

/// High watermarks wake who waits; a topic or partition that is still to come does not.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Records {
    topic: String,
    partition: Option<i32>,
    records: u64,
    list: Arc<ReadyList>,
    /// News came between looking and registering.
    is_stale: bool,
}

impl Records {
    pub(super) fn new(topic: String, partition: Option<i32>, records: u64) -> Records {
        Records {
            topic,
            partition,
            records,
            list: Arc::new(ReadyList::default()),
            is_stale: false,
        }
    }

    pub(super) fn look(&mut self, admin: &Admin) -> Seen {
        // A new list: what was registered before is forgotten with the old one.
        self.list = Arc::new(ReadyList::default());
        self.is_stale = false;
        let mut found = 0;
        let mut shown = Vec::new();
        let partitions = self.partitions(admin);
        for partition in &partitions {
            let start = partition.log().log_start_offset();
            let end = partition.high_watermark();
            found += u64::try_from(end.0.saturating_sub(start.0)).unwrap_or(0);
            shown.push(json!({
                "partition": partition.topic_partition().partition,
                "start_offset": start.0,
                "end_offset": end.0,
            }));
            self.register(partition, end);
        }
        let exists = !partitions.is_empty();
        Seen {
            enough: exists && found >= self.records,
            fields: json!({
                "topic": self.topic,
                "exists": exists,
                "records": found,
                "partitions": shown,
            }),
        }
    }

    fn register(&mut self, partition: &Partition, seen: Offset) {
        let waiter: Arc<dyn Waiter> = self.list.clone();
        match partition.wait_beyond(seen, Isolation::ReadUncommitted, &waiter, 0) {
            Ok(Reached::NotYet) => {}
            Ok(Reached::Yes) => self.is_stale = true,
            // Deleted meanwhile: the next look finds it gone.
            Err(_) => {}
        }
    }

    fn partitions(&self, admin: &Admin) -> Vec<Arc<Partition>> {
        let image = admin.node.controller.image();
        let Some(topic) = image.topics.by_name(&self.topic) else {
            return Vec::new();
        };
        let wanted = topic.partitions.iter().map(|(index, _)| *index);
        let wanted = wanted.filter(|index| self.partition.is_none_or(|it| it == *index));
        let found = wanted.filter_map(|partition| {
            let of = TopicPartition {
                topic: topic.name.clone(),
                partition,
            };
            admin.node.replicas.partition(&of).ok()
        });
        found.collect()
    }

    pub(super) async fn news(&self, deadline: Instant) {
        if !self.is_stale {
            self.list
                .next(deadline.min(Instant::now() + LOOK_AGAIN))
                .await;
        }
    }
}
