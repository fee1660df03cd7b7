//! Metadata: brokers, topics and their leaders; creates topics on first use.
//!
//! A topic created here is answered with its leader at once, where upstream first answers
//! `UNKNOWN_TOPIC_OR_PARTITION` and has the client ask again.

use std::collections::HashSet;

use metadata::{MetadataImage, PartitionRegistration, TopicImage};
use protocol::messages::metadata_request::MetadataRequestTopic;
use protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use protocol::{ErrorCode, StrBytes, TopicId, code_of};
use uuid::Uuid;

use super::authorized::{CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS};
use super::describe::{self, PartitionView};
use super::{RequestContext, auto_create, topics};

/// What the client wants to know of.
enum Wanted {
    AllTopics,
    /// Where one id is given, names beside it are not looked at.
    Ids(Vec<Uuid>),
    Names(Vec<TopicName>),
}

pub(super) async fn handle(ctx: &RequestContext, request: MetadataRequest) -> MetadataResponse {
    let may_create =
        request.allow_auto_topic_creation && ctx.node.config.broker.auto_create_topics_enable;
    let with_cluster_operations = request.include_cluster_authorized_operations;
    let with_topic_operations = request.include_topic_authorized_operations;
    let wanted = match wanted(ctx.version, request) {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let image = match &wanted {
        Wanted::Names(names) if may_create => auto_create::missing(ctx, names).await,
        Wanted::Names(_) | Wanted::Ids(_) | Wanted::AllTopics => ctx.image.clone(),
    };
    let mut topics = describe_topics(ctx, &image, wanted, may_create);
    if with_topic_operations && ctx.version >= 8 {
        for topic in &mut topics {
            if topic.error_code != ErrorCode::UnknownTopicId.code() {
                topic.topic_authorized_operations = TOPIC_OPERATIONS;
            }
        }
    }
    let cluster_operations = if with_cluster_operations {
        CLUSTER_OPERATIONS
    } else {
        NOT_ASKED
    };
    MetadataResponse::default()
        .with_brokers(brokers(ctx, &image))
        .with_cluster_id(Some(ctx.node.cluster_id.clone()))
        .with_controller_id(BrokerId(describe::controller_id(ctx, &image).unwrap_or(-1)))
        .with_cluster_authorized_operations(cluster_operations)
        .with_topics(topics)
}

fn wanted(version: i16, request: MetadataRequest) -> Result<Wanted, MetadataResponse> {
    let Some(topics) = request.topics else {
        return Ok(Wanted::AllTopics);
    };
    if topics.is_empty() && version == 0 {
        return Ok(Wanted::AllTopics);
    }
    // Versions 10 and 11 have the fields, but not yet the meaning.
    let early = |topic: &MetadataRequestTopic| topic.name.is_none() || !topic.topic_id.is_nil();
    if version < 12 && topics.iter().any(early) {
        return Err(refused(topics, ErrorCode::InvalidRequest));
    }
    if topics.iter().any(|topic| !topic.topic_id.is_nil()) {
        let ids = topics.into_iter().map(|topic| topic.topic_id);
        return Ok(Wanted::Ids(each_once(ids.filter(|id| !id.is_nil()))));
    }
    if topics.iter().any(|topic| topic.name.is_none()) {
        return Err(refused(topics, ErrorCode::InvalidRequest));
    }
    Ok(Wanted::Names(each_once(
        topics.into_iter().filter_map(|topic| topic.name),
    )))
}

fn each_once<T: Clone + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}

fn refused(topics: Vec<MetadataRequestTopic>, code: ErrorCode) -> MetadataResponse {
    let topics = topics.into_iter().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(code.code())
            .with_name(Some(topic.name.unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    MetadataResponse::default()
        .with_topics(topics.collect())
        .with_error_code(code.code())
}

fn brokers(ctx: &RequestContext, image: &MetadataImage) -> Vec<MetadataResponseBroker> {
    let alive = describe::nodes(&ctx.peer.listener, image).filter(|node| !node.fenced);
    let shown = alive.map(|node| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(node.id))
            .with_host(node.host)
            .with_port(node.port)
            .with_rack(node.rack)
    });
    shown.collect()
}

/// The topics in upstream's order: of ids the unknown ones first, of names those that were there
/// before this request, and of those to create the ones that nobody can create.
fn describe_topics(
    ctx: &RequestContext,
    image: &MetadataImage,
    wanted: Wanted,
    may_create: bool,
) -> Vec<MetadataResponseTopic> {
    match wanted {
        Wanted::AllTopics => image
            .topics
            .iter()
            .map(|topic| found(ctx, image, topic))
            .collect(),
        Wanted::Ids(mut ids) => {
            ids.sort_by_key(|id| image.topics.by_id(TopicId(*id)).is_some());
            let by_id = ids
                .into_iter()
                .map(|id| match image.topics.by_id(TopicId(id)) {
                    Some(topic) => found(ctx, image, topic),
                    None => MetadataResponseTopic::default()
                        .with_error_code(ErrorCode::UnknownTopicId.code())
                        .with_name(None)
                        .with_topic_id(id),
                });
            by_id.collect()
        }
        Wanted::Names(mut names) => {
            names.sort_by_key(|name| {
                let is_new = ctx.image.topics.by_name(name).is_none();
                (
                    is_new,
                    may_create && controller::topic_name::validate(name).is_ok(),
                )
            });
            let by_name = names
                .into_iter()
                .map(|name| match image.topics.by_name(&name) {
                    Some(topic) => found(ctx, image, topic),
                    None => missing(ctx, name),
                });
            by_name.collect()
        }
    }
}

fn missing(ctx: &RequestContext, name: TopicName) -> MetadataResponseTopic {
    let code = match ctx.check_fault(&name, None) {
        Ok(()) => why_missing(&name),
        Err(fault) => fault,
    };
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        .with_is_internal(topics::is_internal(&name))
        .with_name(Some(name))
}

fn why_missing(name: &TopicName) -> ErrorCode {
    match controller::topic_name::validate(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    }
}

fn found(ctx: &RequestContext, image: &MetadataImage, topic: &TopicImage) -> MetadataResponseTopic {
    let answer = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(
            topic.name.to_string(),
        ))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topics::is_internal(&topic.name));
    if let Err(code) = ctx.check_fault(&topic.name, None) {
        return answer.with_error_code(code.code());
    }
    let partitions = topic.partitions.iter().map(|(index, registration)| {
        let partition = partition(ctx, image, *index, registration);
        match ctx.check_fault(&topic.name, *index) {
            Ok(()) => partition,
            Err(code) => partition
                .with_error_code(code.code())
                .with_leader_id(BrokerId(-1)),
        }
    });
    answer.with_partitions(partitions.collect())
}

fn partition(
    ctx: &RequestContext,
    image: &MetadataImage,
    index: i32,
    registration: &PartitionRegistration,
) -> MetadataResponsePartition {
    let view = PartitionView::new(&ctx.peer.listener, image, registration);
    // Version 0 names only replicas that can be reached, and says when some cannot.
    let (replicas, isr) = if ctx.version == 0 {
        (
            view.reachable(&registration.replicas),
            view.reachable(&registration.isr),
        )
    } else {
        (view.replicas(), view.isr())
    };
    let (leader, result) = match view.leader() {
        Ok(leader)
            if replicas.len() < registration.replicas.len()
                || isr.len() < registration.isr.len() =>
        {
            (leader, Err(ErrorCode::ReplicaNotAvailable))
        }
        Ok(leader) => (leader, Ok(())),
        // Version 6 tells a missing listener from a missing leader.
        Err(ErrorCode::ListenerNotFound) if ctx.version < 6 => {
            (-1, Err(ErrorCode::LeaderNotAvailable))
        }
        Err(code) => (-1, Err(code)),
    };
    MetadataResponsePartition::default()
        .with_error_code(code_of(result))
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(registration.leader_epoch.0)
        .with_replica_nodes(replicas)
        .with_isr_nodes(isr)
        .with_offline_replicas(view.offline_replicas())
}
