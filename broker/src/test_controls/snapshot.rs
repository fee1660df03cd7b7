//! The state of a node at one moment: its metadata, and what its logs hold.
//!
//! Invariant: a snapshot never changes. A partition whose log could not be kept is left as it is
//! when the snapshot is put back.

use std::collections::HashMap;
use std::sync::Arc;

use metadata::MetadataImage;
use protocol::{TopicId, TopicPartition};
use storage::LogContent;

use super::ControlError;
use crate::api::Node;

/// See the module.
pub(super) struct Snapshot {
    pub(super) image: Arc<MetadataImage>,
    /// By topic id and partition.
    pub(super) contents: HashMap<(TopicId, i32), Arc<LogContent>>,
    /// The loggers and their levels.
    pub(super) levels: Vec<(String, String)>,
}

impl Snapshot {
    pub(super) async fn take(node: &Arc<Node>) -> Result<Snapshot, ControlError> {
        let node = node.clone();
        let taken = tokio::task::spawn_blocking(move || Snapshot::take_blocking(&node)).await;
        taken.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }

    fn take_blocking(node: &Node) -> Result<Snapshot, ControlError> {
        let image = node.controller.image();
        let mut contents = HashMap::new();
        for topic in image.topics.iter() {
            for &partition in topic.partitions.keys() {
                let of = TopicPartition {
                    topic: topic.name.clone(),
                    partition,
                };
                let Ok(served) = node.replicas.partition(&of) else {
                    continue;
                };
                match node.log_dir.keep(served.log()) {
                    Ok(content) => contents.insert((topic.id, partition), Arc::new(content)),
                    // Its topic was deleted meanwhile.
                    Err(storage::Error::Closed { .. }) => continue,
                    Err(error) => return Err(error.into()),
                };
            }
        }
        Ok(Snapshot {
            image,
            contents,
            levels: node.loggers.all(),
        })
    }

    pub(super) fn content(&self, id: TopicId, partition: i32) -> Option<&Arc<LogContent>> {
        self.contents.get(&(id, partition))
    }

    pub(super) fn topics(&self) -> usize {
        self.image.topics.len()
    }

    /// Offsets between the starts and ends of all logs.
    pub(super) fn records(&self) -> i64 {
        let offsets = self.contents.values().map(|content| content.offsets());
        offsets.map(|(start, end)| end.0 - start.0).sum()
    }
}
