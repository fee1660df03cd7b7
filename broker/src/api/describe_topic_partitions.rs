//! DescribeTopicPartitions: topics partition by partition, in pages (KIP-966).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use metadata::TopicImage;
use protocol::messages::describe_topic_partitions_request::Cursor as Asked;
use protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};
use protocol::{ErrorCode, StrBytes};

use super::authorized::TOPIC_OPERATIONS;
use super::describe::{PartitionView, broker_ids};
use super::{RequestContext, topics};

/// Java's order of strings, in which pages follow each other.
type JavaOrder = Vec<u16>;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let names = match names(ctx, &request) {
        Ok(names) => names,
        Err(code) => return refused(request, code),
    };
    let all_topics = request.topics.is_empty();
    let limit = ctx.node.config.broker.max_request_partition_size_limit;
    let limit = limit.min(request.response_partition_limit).max(1);
    let mut page = Page {
        ctx,
        left: usize::try_from(limit).unwrap_or(1),
        response: Default::default(),
    };
    for name in names {
        let from = request
            .cursor
            .as_ref()
            .filter(|cursor| cursor.topic_name == name);
        let from = from.map_or(0, |cursor| cursor.partition_index);
        if page.add(name, from, all_topics).is_break() {
            break;
        }
    }
    page.response
}

/// The topics asked for, each once and in Java's order, from the cursor on.
fn names(
    ctx: &RequestContext,
    request: &DescribeTopicPartitionsRequest,
) -> Result<Vec<TopicName>, ErrorCode> {
    let cursor = request.cursor.as_ref();
    if cursor.is_some_and(|cursor| cursor.partition_index < 0) {
        return Err(ErrorCode::InvalidRequest);
    }
    let start = cursor.map_or("", |cursor: &Asked| cursor.topic_name.as_str());
    if request.topics.is_empty() {
        let topics = ctx.image.topics.iter_from(start);
        return Ok(topics
            .map(|topic| TopicName(StrBytes::from_string(topic.name.to_string())))
            .collect());
    }
    let java = |name: &str| -> JavaOrder { name.encode_utf16().collect() };
    let mut ordered: BTreeMap<JavaOrder, TopicName> = request
        .topics
        .iter()
        .map(|topic| (java(&topic.name), topic.name.clone()))
        .collect();
    let ordered = ordered.split_off(&java(start));
    if cursor.is_some_and(|cursor| !ordered.contains_key(&java(&cursor.topic_name))) {
        // A cursor is one that an answer to the same topics carried.
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(ordered.into_values().collect())
}

fn refused(
    request: DescribeTopicPartitionsRequest,
    code: ErrorCode,
) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(code.code())
            .with_name(Some(topic.name))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

/// An answer that takes so many partitions more.
struct Page<'a> {
    ctx: &'a RequestContext,
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from partition `from` on, or leaves the cursor where the next page begins.
    fn add(&mut self, name: TopicName, from: i32, all_topics: bool) -> ControlFlow<()> {
        if self.left == 0 {
            return self.ends_at(name, 0);
        }
        let Some(topic) = self.ctx.image.topics.by_name(&name) else {
            if !all_topics {
                self.response.topics.push(unknown(name));
            }
            return ControlFlow::Continue(());
        };
        let rows = topic.partitions.range(from..).take(self.left);
        let rows: Vec<_> = rows
            .map(|(index, registration)| {
                let view =
                    PartitionView::new(&self.ctx.peer.listener, &self.ctx.image, registration);
                DescribeTopicPartitionsResponsePartition::default()
                    .with_partition_index(*index)
                    .with_leader_id(BrokerId(view.leader().unwrap_or(-1)))
                    .with_leader_epoch(registration.leader_epoch.0)
                    .with_replica_nodes(view.replicas())
                    .with_isr_nodes(view.isr())
                    .with_offline_replicas(view.offline_replicas())
                    .with_eligible_leader_replicas(Some(broker_ids(
                        &registration.eligible_leader_replicas,
                    )))
                    .with_last_known_elr(Some(broker_ids(&registration.last_known_elr)))
            })
            .collect();
        let next = rows.last().map(|row| row.partition_index.saturating_add(1));
        self.left -= rows.len();
        self.response.topics.push(known(topic, rows));
        match next.filter(|next| *next < topic.partition_count()) {
            Some(next) => self.ends_at(name, next),
            None => ControlFlow::Continue(()),
        }
    }

    fn ends_at(&mut self, name: TopicName, partition: i32) -> ControlFlow<()> {
        let cursor = Cursor::default()
            .with_topic_name(name)
            .with_partition_index(partition);
        self.response.next_cursor = Some(cursor);
        ControlFlow::Break(())
    }
}

fn known(
    topic: &TopicImage,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(
            topic.name.to_string(),
        ))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topics::is_internal(&topic.name))
        .with_partitions(partitions)
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn unknown(name: TopicName) -> DescribeTopicPartitionsResponseTopic {
    let code = match controller::topic_name::validate(&name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_is_internal(topics::is_internal(&name))
        .with_name(Some(name))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}
