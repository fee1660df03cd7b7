//! Topics and their partitions.
//! A topic's identity is its id; every topic is found under its id and under its name, and both
//! lead to the same value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use protocol::{LeaderEpoch, TopicId};
use uuid::Uuid;

use super::ReplayError;
use crate::record::{MetadataRecord, Partition, PartitionChange};

/// Whether the leader may have lost records in an unclean election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderRecoveryState {
    Recovered = 0,
    Recovering = 1,
}

/// One partition as the controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// The first one is the preferred leader.
    pub replicas: Vec<i32>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Vec<Uuid>,
    pub isr: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    /// KIP-966: replicas outside the ISR that still have everything committed.
    pub eligible_leader_replicas: Vec<i32>,
    pub last_known_elr: Vec<i32>,
    pub leader: Option<i32>,
    pub leader_recovery_state: LeaderRecoveryState,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
}

impl PartitionRegistration {
    /// Whether the preferred leader, the first replica, leads.
    pub fn has_preferred_leader(&self) -> bool {
        self.leader.is_some() && self.leader == self.replicas.first().copied()
    }

    pub fn is_reassigning(&self) -> bool {
        !self.removing_replicas.is_empty() || !self.adding_replicas.is_empty()
    }

    fn from_record(record: &Partition) -> PartitionRegistration {
        PartitionRegistration {
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            eligible_leader_replicas: record.eligible_leader_replicas.clone(),
            last_known_elr: record.last_known_elr.clone(),
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        }
    }

    fn to_record(&self, topic_id: TopicId, partition_id: i32) -> Partition {
        Partition {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            directories: self.directories.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            eligible_leader_replicas: self.eligible_leader_replicas.clone(),
            last_known_elr: self.last_known_elr.clone(),
        }
    }

    fn merge(&self, change: &PartitionChange) -> PartitionRegistration {
        fn or<T: Clone>(change: &Option<T>, now: &T) -> T {
            change.as_ref().unwrap_or(now).clone()
        }
        let leader_epoch = match change.leader {
            Some(_) => LeaderEpoch(self.leader_epoch.0 + 1),
            None => self.leader_epoch,
        };
        PartitionRegistration {
            replicas: or(&change.replicas, &self.replicas),
            directories: or(&change.directories, &self.directories),
            isr: or(&change.isr, &self.isr),
            removing_replicas: or(&change.removing_replicas, &self.removing_replicas),
            adding_replicas: or(&change.adding_replicas, &self.adding_replicas),
            eligible_leader_replicas: or(
                &change.eligible_leader_replicas,
                &self.eligible_leader_replicas,
            ),
            last_known_elr: or(&change.last_known_elr, &self.last_known_elr),
            leader: or(&change.leader, &self.leader),
            leader_recovery_state: or(&change.leader_recovery_state, &self.leader_recovery_state),
            leader_epoch,
            partition_epoch: self.partition_epoch + 1,
        }
    }
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    pub name: Arc<str>,
    pub id: TopicId,
    /// By partition number, from 0 without holes.
    pub partitions: OrdMap<i32, Arc<PartitionRegistration>>,
}

impl TopicImage {
    pub fn partition(&self, partition: i32) -> Option<&Arc<PartitionRegistration>> {
        self.partitions.get(&partition)
    }

    /// The number of partitions.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }
}

/// All topics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicsImage {
    /// Every id in here is a key of `by_id`, and every topic there has its name here.
    by_name: OrdMap<Arc<str>, TopicId>,
    by_id: OrdMap<TopicId, Arc<TopicImage>>,
}

impl TopicsImage {
    pub fn by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_id(*self.by_name.get(name)?)
    }

    pub fn by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    /// Every topic in name order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.values().filter_map(|id| self.by_id(*id))
    }

    /// The topics at and after `name`, in name order.
    pub fn iter_from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        self.by_name
            .range::<_, str>((std::ops::Bound::Included(name), std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.by_id(*id))
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        for topic in self.iter() {
            records.push(MetadataRecord::Topic {
                name: Arc::clone(&topic.name),
                topic_id: topic.id,
            });
            records.extend(topic.partitions.iter().map(|(id, partition)| {
                MetadataRecord::Partition(partition.to_record(topic.id, *id))
            }));
        }
    }
}

/// One changed partition of a topic that exists after the delta.
#[derive(Debug, Clone)]
pub struct PartitionChanged<'a> {
    pub topic: &'a Arc<TopicImage>,
    pub partition: i32,
    /// `None` for a new partition.
    pub before: Option<&'a Arc<PartitionRegistration>>,
    pub after: &'a Arc<PartitionRegistration>,
}

/// Created, deleted and changed topics and partitions.
#[derive(Debug, Clone)]
pub struct TopicsDelta {
    base: Arc<TopicsImage>,
    next: Arc<TopicsImage>,
    /// Partitions of topics in `next` that are new or changed; a created topic has an entry.
    changed: BTreeMap<TopicId, BTreeSet<i32>>,
    /// Topics of `base` that are not in `next`.
    deleted: BTreeSet<TopicId>,
}

impl TopicsDelta {
    pub(super) fn new(base: &Arc<TopicsImage>) -> TopicsDelta {
        TopicsDelta {
            base: Arc::clone(base),
            next: Arc::clone(base),
            changed: BTreeMap::new(),
            deleted: BTreeSet::new(),
        }
    }

    pub(super) fn between(base: &Arc<TopicsImage>, next: &Arc<TopicsImage>) -> TopicsDelta {
        let mut changed: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
        for topic in next.iter() {
            let before = base.by_id(topic.id);
            if before == Some(topic) {
                continue;
            }
            let is_changed =
                |id: &i32| before.and_then(|before| before.partition(*id)) != topic.partition(*id);
            let partitions = topic.partitions.keys().copied().filter(is_changed);
            changed.insert(topic.id, partitions.collect());
        }
        let gone = base
            .iter()
            .map(|topic| topic.id)
            .filter(|id| next.by_id(*id).is_none());
        TopicsDelta {
            changed,
            deleted: gone.collect(),
            base: Arc::clone(base),
            next: Arc::clone(next),
        }
    }

    /// Whether no topic and no partition changes.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.deleted.is_empty()
    }

    /// The topics after the delta that were not there before.
    pub fn created(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.changed
            .keys()
            .filter(|id| self.base.by_id(**id).is_none())
            .filter_map(|id| self.next.by_id(*id))
    }

    /// The topics before the delta that are not there any more.
    pub fn deleted(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.deleted.iter().filter_map(|id| self.base.by_id(*id))
    }

    /// Every new or changed partition, those of created topics too.
    pub fn changed_partitions(&self) -> impl Iterator<Item = PartitionChanged<'_>> {
        self.changed.iter().flat_map(|(id, partitions)| {
            let before = self.base.by_id(*id);
            let topic = self.next.by_id(*id);
            partitions.iter().filter_map(move |partition| {
                let topic = topic?;
                Some(PartitionChanged {
                    topic,
                    partition: *partition,
                    before: before.and_then(|topic| topic.partition(*partition)),
                    after: topic.partition(*partition)?,
                })
            })
        })
    }

    pub(super) fn create(&mut self, name: &Arc<str>, topic_id: TopicId) -> Result<(), ReplayError> {
        if self.next.by_name(name).is_some() || self.next.by_id(topic_id).is_some() {
            return Err(ReplayError::TopicExists {
                name: Arc::clone(name),
            });
        }
        let topic = TopicImage {
            name: Arc::clone(name),
            id: topic_id,
            partitions: OrdMap::default(),
        };
        let next = Arc::make_mut(&mut self.next);
        next.by_name.insert(Arc::clone(name), topic_id);
        next.by_id.insert(topic_id, Arc::new(topic));
        self.changed.entry(topic_id).or_default();
        Ok(())
    }

    pub(super) fn set_partition(&mut self, record: &Partition) -> Result<(), ReplayError> {
        let registration = PartitionRegistration::from_record(record);
        self.put(record.topic_id, record.partition_id, registration)
    }

    pub(super) fn change_partition(&mut self, change: &PartitionChange) -> Result<(), ReplayError> {
        let topic = self.topic(change.topic_id)?;
        let registration =
            topic
                .partition(change.partition_id)
                .ok_or_else(|| ReplayError::UnknownPartition {
                    topic: Arc::clone(&topic.name),
                    partition: change.partition_id,
                })?;
        let registration = registration.merge(change);
        self.put(change.topic_id, change.partition_id, registration)
    }

    /// Removes the topic and gives its name.
    pub(super) fn remove(&mut self, topic_id: TopicId) -> Result<Arc<str>, ReplayError> {
        let name = Arc::clone(&self.topic(topic_id)?.name);
        let next = Arc::make_mut(&mut self.next);
        next.by_id.remove(&topic_id);
        next.by_name.remove(&name);
        self.changed.remove(&topic_id);
        if self.base.by_id(topic_id).is_some() {
            self.deleted.insert(topic_id);
        }
        Ok(name)
    }

    fn topic(&self, topic_id: TopicId) -> Result<&Arc<TopicImage>, ReplayError> {
        self.next
            .by_id(topic_id)
            .ok_or(ReplayError::UnknownTopic { topic_id })
    }

    fn put(
        &mut self,
        topic_id: TopicId,
        partition: i32,
        registration: PartitionRegistration,
    ) -> Result<(), ReplayError> {
        // Copied once for a delta, however many partitions of the topic follow.
        let topic = Arc::make_mut(&mut self.next)
            .by_id
            .get_mut(&topic_id)
            .ok_or(ReplayError::UnknownTopic { topic_id })?;
        Arc::make_mut(topic)
            .partitions
            .insert(partition, Arc::new(registration));
        self.changed.entry(topic_id).or_default().insert(partition);
        Ok(())
    }

    pub(super) fn apply(&self) -> Arc<TopicsImage> {
        Arc::clone(&self.next)
    }
}
