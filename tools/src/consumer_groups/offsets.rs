//! Where partitions begin and end, and where a time is in them.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ErrorCode, TopicPartition};

use super::calls::partitions_of;
use super::{executed, unchecked};
use crate::client::Client;
use crate::failure::Failure;
use crate::get_offsets::offset;

pub(crate) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;

/// The offset of each partition at a time, or at one of the points above.
///
/// A partition that is not there fails the whole, in the words of upstream's admin client.
pub(super) async fn offsets(
    client: &Client,
    partitions: &[TopicPartition],
    time: i64,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    found(client, partitions, time)
        .await
        .map_err(executed)
        .map_err(unchecked)
}

async fn found(
    client: &Client,
    partitions: &[TopicPartition],
    time: i64,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let topics: BTreeSet<String> = partitions.iter().map(|it| it.topic.to_string()).collect();
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let there = partitions_of(client, &topics.into_iter().collect::<Vec<_>>()).await?;
    let mut offsets = BTreeMap::new();
    for partition in partitions {
        let topic = &*partition.topic;
        let numbers = there.get(topic).and_then(|numbers| numbers.as_ref().ok());
        let known = numbers.is_some_and(|numbers| numbers.contains(&partition.partition));
        if !known {
            let message = format!(
                "Failed to fetch metadata for partition {partition} because metadata for topic \
                 `{topic}` could not be found"
            );
            let code = ErrorCode::UnknownTopicOrPartition;
            return Err(Failure::of(code, Some(&message)));
        }
        offsets.insert(partition.clone(), offset(client, partition, time).await?);
    }
    Ok(offsets)
}
