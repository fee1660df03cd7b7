//! DescribeLogDirs: the log directory, its room, and the size of each log in it (KIP-113).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use protocol::{ErrorCode, StrBytes};

use super::RequestContext;
use crate::replica::Partition;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let log_dir = &ctx.node.log_dir;
    let path = std::path::absolute(log_dir.path());
    let path = path.unwrap_or_else(|_| log_dir.path().to_owned());
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(path.display().to_string()));
    let room = log_dir
        .total_bytes()
        .and_then(|total| Ok((total, log_dir.usable_bytes()?)));
    let result = match room {
        Ok((total, usable)) if !log_dir.is_offline() => result
            .with_total_bytes(saturating(total))
            .with_usable_bytes(saturating(usable))
            .with_topics(describe(ctx.node.replicas.all(), request.topics)),
        Ok(_) | Err(_) => result.with_error_code(ErrorCode::KafkaStorageError.code()),
    };
    DescribeLogDirsResponse::default().with_results(vec![result])
}

/// The logs asked for, all where nothing is asked; those that are not here are left out.
fn describe(
    partitions: Vec<Arc<Partition>>,
    asked: Option<Vec<DescribableLogDirTopic>>,
) -> Vec<DescribeLogDirsTopic> {
    let asked: Option<HashMap<TopicName, HashSet<i32>>> = asked.map(|topics| {
        let mut by_topic: HashMap<TopicName, HashSet<i32>> = HashMap::new();
        for topic in topics {
            by_topic
                .entry(topic.topic)
                .or_default()
                .extend(topic.partitions);
        }
        by_topic
    });
    let mut by_topic: BTreeMap<TopicName, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in partitions {
        let id = partition.topic_partition();
        let name = TopicName(StrBytes::from_string(id.topic.to_string()));
        let is_asked = asked.as_ref().is_none_or(|asked| {
            asked
                .get(&name)
                .is_some_and(|indexes| indexes.contains(&id.partition))
        });
        if is_asked {
            by_topic.entry(name).or_default().push(shape(&partition));
        }
    }
    let topics = by_topic.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic::default()
            .with_name(name)
            .with_partitions(partitions)
    });
    topics.collect()
}

fn shape(partition: &Partition) -> DescribeLogDirsPartition {
    let log = partition.log();
    let lag = partition.high_watermark() - log.log_end_offset();
    DescribeLogDirsPartition::default()
        .with_partition_index(partition.topic_partition().partition)
        .with_partition_size(saturating(log.size_in_bytes()))
        .with_offset_lag(lag.max(0))
}

fn saturating(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
