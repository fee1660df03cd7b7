//! ListPartitionReassignments: read from the image, nothing is decided.

use metadata::{MetadataImage, TopicImage};
use protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use protocol::messages::{
    BrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::topics::topic_name_of;

pub(crate) fn list_partition_reassignments(
    request: &ListPartitionReassignmentsRequest,
    image: &MetadataImage,
) -> ListPartitionReassignmentsResponse {
    let topics = match &request.topics {
        Some(topics) => topics
            .iter()
            .filter_map(|wanted| {
                let topic = image.topics.by_name(wanted.name.as_str())?;
                ongoing(topic, wanted.partition_indexes.iter().copied())
            })
            .collect(),
        None => image
            .topics
            .iter()
            .filter_map(|topic| ongoing(topic, topic.partitions.keys().copied()))
            .collect(),
    };
    ListPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_topics(topics)
}

/// `None` where nothing of the topic moves.
fn ongoing(
    topic: &TopicImage,
    partitions: impl Iterator<Item = i32>,
) -> Option<OngoingTopicReassignment> {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let partitions: Vec<_> = partitions
        .filter_map(|id| {
            let partition = topic
                .partition(id)
                .filter(|partition| partition.is_reassigning())?;
            Some(
                OngoingPartitionReassignment::default()
                    .with_partition_index(id)
                    .with_replicas(ids(&partition.replicas))
                    .with_adding_replicas(ids(&partition.adding_replicas))
                    .with_removing_replicas(ids(&partition.removing_replicas)),
            )
        })
        .collect();
    (!partitions.is_empty()).then(|| {
        OngoingTopicReassignment::default()
            .with_name(topic_name_of(&topic.name))
            .with_partitions(partitions)
    })
}

#[cfg(test)]
mod tests {
    use metadata::record::PartitionChange;
    use metadata::{MetadataRecord, TopicImage};
    use protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;

    use super::*;
    use crate::control::fixture;

    fn moving() -> MetadataImage {
        let image = fixture::image_with_topic("t", 2);
        let id = image
            .topics
            .by_name("t")
            .map(|topic: &std::sync::Arc<TopicImage>| topic.id);
        let change = PartitionChange {
            adding_replicas: Some(vec![2]),
            ..PartitionChange::new(id.unwrap(), 1)
        };
        fixture::apply(&image, &[MetadataRecord::PartitionChange(change)])
    }

    #[test]
    fn without_moves_nothing_is_listed() {
        let image = fixture::image_with_topic("t", 2);
        let all = ListPartitionReassignmentsRequest::default().with_topics(None);
        let response = list_partition_reassignments(&all, &image);
        assert_eq!((response.error_code, response.error_message), (0, None));
        assert!(response.topics.is_empty());
    }

    #[test]
    fn only_moving_partitions_are_listed() {
        let all = ListPartitionReassignmentsRequest::default().with_topics(None);
        let response = list_partition_reassignments(&all, &moving());
        assert_eq!(response.topics.len(), 1);
        let partitions = &response.topics[0].partitions;
        assert_eq!(partitions.len(), 1);
        assert_eq!(partitions[0].partition_index, 1);
        assert_eq!(partitions[0].adding_replicas, [BrokerId(2)]);
    }

    #[test]
    fn topics_that_are_not_there_are_left_out() {
        let topic = |name: &str, partitions: &[i32]| {
            ListPartitionReassignmentsTopics::default()
                .with_name(topic_name_of(name))
                .with_partition_indexes(partitions.to_vec())
        };
        let request = ListPartitionReassignmentsRequest::default()
            .with_topics(Some(vec![topic("x", &[0]), topic("t", &[0, 1, 7])]));
        let response = list_partition_reassignments(&request, &moving());
        assert_eq!(response.topics.len(), 1);
        assert_eq!(response.topics[0].partitions.len(), 1);
    }
}
