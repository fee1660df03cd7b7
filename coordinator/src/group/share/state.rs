//! For which share partitions of a group the share coordinator keeps state.
//!
//! Invariant: pure; each step gives the whole that is written next. A topic is among those being
//! deleted until the share coordinator said that it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::TopicId;

use super::super::metadata::MetadataView;
use super::record::{ShareGroupStatePartitionMetadataValue, StateTopic};

/// What upstream calls a topic that is not there any more.
const UNKNOWN_NAME: &str = "<UNKNOWN>";

/// Partitions of a topic, with the name it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPartitions {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: BTreeSet<i32>,
}

pub(crate) type ByTopic = BTreeMap<TopicId, NamedPartitions>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatePartitions {
    /// The share coordinator was asked to keep state for them.
    pub(crate) initializing: ByTopic,
    /// It does.
    pub(crate) initialized: ByTopic,
    /// It was asked to forget them.
    pub(crate) deleting: BTreeMap<TopicId, Arc<str>>,
}

/// Both, topic by topic; the later one names a topic.
pub(crate) fn combined(one: &ByTopic, later: &ByTopic) -> ByTopic {
    let mut both = one.clone();
    for (topic_id, later) in later {
        match both.get_mut(topic_id) {
            Some(topic) => {
                topic.name = later.name.clone();
                topic.partitions.extend(&later.partitions);
            }
            None => drop(both.insert(*topic_id, later.clone())),
        }
    }
    both
}

fn name_of(topic_id: TopicId, view: &dyn MetadataView) -> Arc<str> {
    let name = view.topic_name(topic_id);
    name.unwrap_or_else(|| Arc::from(UNKNOWN_NAME))
}

/// All partitions of a topic that is there.
pub(crate) fn all_partitions(topic_id: TopicId, view: &dyn MetadataView) -> Option<BTreeSet<i32>> {
    view.partition_count(topic_id)
        .map(|count| (0..count).collect())
}

/// What of these topics is left without some of their partitions.
fn without(topics: &ByTopic, partitions: &BTreeMap<TopicId, BTreeSet<i32>>) -> ByTopic {
    let mut left = topics.clone();
    for (topic_id, partitions) in partitions {
        let Some(topic) = left.get_mut(topic_id) else {
            continue;
        };
        topic.partitions.retain(|index| !partitions.contains(index));
        if topic.partitions.is_empty() {
            left.remove(topic_id);
        }
    }
    left
}

impl StatePartitions {
    /// The names of topics that are being deleted are those of now in each record.
    fn renamed(mut self, view: &dyn MetadataView) -> Self {
        for (topic_id, name) in &mut self.deleting {
            *name = name_of(*topic_id, view);
        }
        self
    }

    /// The share coordinator is to keep state for these from now on.
    pub(crate) fn initializing(&self, topics: &ByTopic, view: &dyn MetadataView) -> Self {
        let initializing = combined(&self.initializing, topics);
        let mut deleting = self.deleting.clone();
        deleting.retain(|topic_id, _| !initializing.contains_key(topic_id));
        let next = StatePartitions {
            initializing,
            initialized: self.initialized.clone(),
            deleting,
        };
        next.renamed(view)
    }

    /// It does. What is to be forgotten meanwhile is asked for after this, so it does not count.
    pub(crate) fn initialized(
        &self,
        partitions: &BTreeMap<TopicId, BTreeSet<i32>>,
        view: &dyn MetadataView,
    ) -> Self {
        let counts = partitions.iter().filter_map(|(topic_id, partitions)| {
            let asked = self.initializing.get(topic_id)?;
            let partitions = &asked.partitions & partitions;
            let is_deleting = self.deleting.contains_key(topic_id);
            (!is_deleting && !partitions.is_empty()).then_some((*topic_id, partitions))
        });
        let partitions: BTreeMap<_, _> = counts.collect();
        let named = partitions.iter().map(|(topic_id, partitions)| {
            let named = NamedPartitions {
                name: name_of(*topic_id, view),
                partitions: partitions.clone(),
            };
            (*topic_id, named)
        });
        let next = StatePartitions {
            initializing: without(&self.initializing, &partitions),
            initialized: combined(&self.initialized, &named.collect()),
            deleting: self.deleting.clone(),
        };
        next.renamed(view)
    }

    /// It could not.
    pub(crate) fn uninitialized(
        &self,
        partitions: &BTreeMap<TopicId, BTreeSet<i32>>,
        view: &dyn MetadataView,
    ) -> Self {
        let next = StatePartitions {
            initializing: without(&self.initializing, partitions),
            initialized: self.initialized.clone(),
            deleting: self.deleting.clone(),
        };
        next.renamed(view)
    }

    /// It is to forget all, and what an earlier request could not have it forget. Gives what to ask
    /// for, too.
    pub(crate) fn deleting_all(&self, view: &dyn MetadataView) -> (Self, ByTopic) {
        let all = combined(&self.initialized, &self.initializing);
        let again = self.deleting.keys().filter_map(|topic_id| {
            let named = NamedPartitions {
                name: name_of(*topic_id, view),
                partitions: all_partitions(*topic_id, view)?,
            };
            Some((*topic_id, named))
        });
        let all = combined(&all, &again.collect());
        let deleting = all.iter().map(|(id, topic)| (*id, topic.name.clone()));
        let next = StatePartitions {
            deleting: deleting.collect(),
            ..StatePartitions::default()
        };
        (next, all)
    }

    /// It forgot these topics.
    pub(crate) fn deleted(&self, topics: &BTreeSet<TopicId>, view: &dyn MetadataView) -> Self {
        let mut next = self.clone();
        next.deleting
            .retain(|topic_id, _| !topics.contains(topic_id));
        next.renamed(view)
    }

    /// The topics are no more; the share coordinator forgets them by itself. None where there is
    /// nothing of them.
    pub(crate) fn without_topics(
        &self,
        is_gone: impl Fn(TopicId) -> bool,
        view: &dyn MetadataView,
    ) -> Option<Self> {
        let mut next = self.clone();
        next.initializing.retain(|topic_id, _| !is_gone(*topic_id));
        next.initialized.retain(|topic_id, _| !is_gone(*topic_id));
        next.deleting.retain(|topic_id, _| !is_gone(*topic_id));
        (next != *self).then(|| next.renamed(view))
    }

    pub(crate) fn value(&self) -> ShareGroupStatePartitionMetadataValue {
        let topics = |topics: &ByTopic| {
            let topics = topics.iter().map(|(topic_id, topic)| StateTopic {
                topic_id: *topic_id,
                topic_name: topic.name.clone(),
                partitions: topic.partitions.iter().copied().collect(),
            });
            topics.collect()
        };
        let deleting = self.deleting.iter();
        ShareGroupStatePartitionMetadataValue {
            initializing_topics: topics(&self.initializing),
            initialized_topics: topics(&self.initialized),
            deleting_topics: deleting.map(|(id, name)| (*id, name.clone())).collect(),
        }
    }

    pub(crate) fn of(value: &ShareGroupStatePartitionMetadataValue) -> Self {
        let topics = |topics: &[StateTopic]| {
            let topics = topics.iter().map(|topic| {
                let named = NamedPartitions {
                    name: topic.topic_name.clone(),
                    partitions: topic.partitions.iter().copied().collect(),
                };
                (topic.topic_id, named)
            });
            topics.collect()
        };
        StatePartitions {
            initializing: topics(&value.initializing_topics),
            initialized: topics(&value.initialized_topics),
            deleting: value.deleting_topics.iter().cloned().collect(),
        }
    }
}
