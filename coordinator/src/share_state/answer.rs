//! The order in which upstream answers about many share partitions: that of its hash tables.
//!
//! Invariant: each topic and each of its partitions once, whatever the request repeats.

use std::collections::HashMap;

use protocol::TopicId;

use crate::java;

/// A topic of an answer with its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredTopic {
    pub topic_id: TopicId,
    pub partitions: Vec<AnsweredPartition>,
}

/// A partition of an answer, and the mention that the answer is about: the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweredPartition {
    pub partition: i32,
    pub topic_index: usize,
    pub partition_index: usize,
}

/// The topics and partitions of a request in the order of its answer.
pub fn answer_order<'a>(
    topics: impl IntoIterator<Item = (TopicId, &'a [i32])>,
) -> Vec<AnsweredTopic> {
    let mut order: Vec<AnsweredTopic> = Vec::new();
    let mut topic_places: HashMap<TopicId, usize> = HashMap::new();
    let mut partition_places: HashMap<(TopicId, i32), usize> = HashMap::new();
    for (topic_index, (topic_id, partitions)) in topics.into_iter().enumerate() {
        let place = *topic_places.entry(topic_id).or_insert(order.len());
        if place == order.len() {
            order.push(AnsweredTopic {
                topic_id,
                partitions: Vec::new(),
            });
        }
        let Some(topic) = order.get_mut(place) else {
            continue;
        };
        for (partition_index, &partition) in partitions.iter().enumerate() {
            let mention = AnsweredPartition {
                partition,
                topic_index,
                partition_index,
            };
            let place = partition_places.entry((topic_id, partition));
            let place = *place.or_insert(topic.partitions.len());
            match topic.partitions.get_mut(place) {
                Some(known) => *known = mention,
                None => topic.partitions.push(mention),
            }
        }
    }
    let size = java::grown_table_size(order.len());
    // The sorts are stable: keys that share a bucket stay in the order they came.
    order.sort_by_key(|topic| java::bucket(java::uuid_hash(topic.topic_id.0), size));
    for topic in &mut order {
        let size = java::grown_table_size(topic.partitions.len());
        topic
            .partitions
            .sort_by_key(|answered| java::bucket(answered.partition, size));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_an_answer_of_upstream() {
        let order = answer_order([(TopicId::ZERO, &[17, 1, 0, 16, 33, 5][..])]);
        let partitions = order.iter().flat_map(|topic| &topic.partitions);
        let partitions: Vec<_> = partitions.map(|it| it.partition).collect();
        assert_eq!(partitions, [0, 16, 17, 1, 33, 5]);
    }

    #[test]
    fn partitions_come_as_a_hash_table_walks_them_and_the_last_mention_counts() {
        let topic = TopicId::ZERO;
        let order = answer_order([(topic, &[17, 2, 16, 1, 17][..]), (topic, &[2][..])]);
        let mentions: Vec<_> = order
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|it| (it.partition, it.topic_index, it.partition_index))
            .collect();
        assert_eq!(order.len(), 1);
        // 16 buckets: 16 and 17 are in those of 0 and 1, and 17 came before 1.
        assert_eq!(mentions, [(16, 0, 2), (17, 0, 4), (1, 0, 3), (2, 1, 0)]);
    }
}
