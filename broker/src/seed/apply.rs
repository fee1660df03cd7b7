//! Sows a seed: makes the topics that are missing, and writes the records of partitions that never
//! held any.
//!
//! Invariant: what was there before is never changed; where it differs from the seed, a warning
//! says so.

use std::collections::BTreeMap;

use metadata::{ConfigResource, TopicImage};
use protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use protocol::messages::{CreateTopicsRequest, TopicName};
use protocol::records::BatchBuilder;
use protocol::{ErrorCode, Offset, StrBytes, Timestamp, TopicPartition};
use storage::AppendOrigin;
use tracing::{info, warn};

use super::partitioner::Partitioner;
use super::{Seed, SeedError, SeedRecord, SeedTopic};
use crate::api::Node;
use crate::config::topic_settings;

/// How long the controller may take for the topics.
const TIMEOUT_MS: i32 = 30_000;
/// What a record takes beside its key, value and headers, at most.
const RECORD_OVERHEAD: usize = 36;
/// What a header takes beside its key and value, at most.
const HEADER_OVERHEAD: usize = 10;

impl Seed {
    /// Makes all of it true, as far as it is not yet.
    ///
    /// # Errors
    /// The first topic that cannot be made, or record that cannot be written.
    pub(crate) async fn apply(&self, node: &Node) -> Result<(), SeedError> {
        self.create_missing(node).await?;
        for topic in &self.topics {
            topic.fill(node).await?;
        }
        Ok(())
    }

    async fn create_missing(&self, node: &Node) -> Result<(), SeedError> {
        let image = node.controller.image();
        let mut missing = Vec::new();
        for topic in &self.topics {
            match image.topics.by_name(&topic.name) {
                None => missing.push(topic),
                Some(found) => topic.warn_of_differences(node, found),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let wanted = missing.iter().map(|topic| topic.creatable());
        let request = CreateTopicsRequest::default()
            .with_topics(wanted.collect())
            .with_timeout_ms(TIMEOUT_MS);
        let context = node.own_context();
        let response = node.controller.create_topics(context, request).await;
        for result in &response.topics {
            let Some(code) = ErrorCode::try_from_code(result.error_code) else {
                continue;
            };
            let name = result.name.0.as_str();
            let message = result.error_message.as_deref().unwrap_or_default();
            let problem = format!("topic {name} cannot be made: {message} ({code:?})");
            let topic = missing.iter().find(|topic| topic.name == name);
            if let Some(topic) = topic {
                return Err(topic.place.wrong(problem));
            }
        }
        info!("seeded topics: {}", missing.len());
        Ok(())
    }
}

impl SeedTopic {
    fn creatable(&self) -> CreatableTopic {
        let configs = self.configs.iter().map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(key.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
        });
        CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_string(self.name.clone())))
            .with_num_partitions(self.partitions.unwrap_or(-1))
            .with_replication_factor(self.replication_factor.unwrap_or(-1))
            .with_configs(configs.collect())
    }

    fn warn_of_differences(&self, node: &Node, found: &TopicImage) {
        let (topic, place) = (&self.name, &self.place);
        let has = found.partition_count();
        if let Some(asked) = self.partitions.filter(|asked| *asked != has) {
            warn!("{place}: topic {topic} exists with {has} partitions, not {asked}; it is kept");
        }
        let image = node.controller.image();
        let configs = image.configs.of(&ConfigResource::Topic(found.name.clone()));
        for (key, asked) in &self.configs {
            let has = configs.get(key);
            if has != Some(asked) {
                let has = has.map_or("unset", String::as_str);
                warn!("{place}: topic {topic} exists with {key} {has}, not {asked}; it is kept");
            }
        }
    }

    /// Writes the records of every partition whose log never held one. The topic must exist.
    ///
    /// # Errors
    /// The first record that names no partition of the topic, or is refused by the log.
    pub(crate) async fn fill(&self, node: &Node) -> Result<(), SeedError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let image = node.controller.image();
        let Some(topic) = image.topics.by_name(&self.name) else {
            let problem = format!("topic {} is gone before it has its records", self.name);
            return Err(self.place.wrong(problem));
        };
        let settings = topic_settings(&node.config, &image, &topic.name)
            .map_err(|error| self.place.wrong(error.to_string()))?;
        for (partition, records) in self.by_partition(topic.partition_count())? {
            let of = TopicPartition {
                topic: topic.name.clone(),
                partition,
            };
            let batches = Batches {
                records: &records,
                max_bytes: settings.log.max_message_bytes,
            };
            batches.append_to(node, &of).await?;
        }
        Ok(())
    }

    fn by_partition(&self, count: i32) -> Result<BTreeMap<i32, Vec<&SeedRecord>>, SeedError> {
        let mut partitioner = Partitioner::new(count);
        let mut sorted: BTreeMap<i32, Vec<&SeedRecord>> = BTreeMap::new();
        for record in &self.records {
            let partition = match record.partition {
                Some(partition) => partition,
                None => partitioner.choose(record.key.as_deref()),
            };
            if !(0..count).contains(&partition) {
                return Err(record.place.wrong(format!(
                    "partition {partition}: topic {} has the partitions 0 to {}",
                    self.name,
                    count - 1
                )));
            }
            sorted.entry(partition).or_default().push(record);
        }
        Ok(sorted)
    }
}

/// The records of one partition, on their way into batches.
struct Batches<'a> {
    records: &'a [&'a SeedRecord],
    max_bytes: usize,
}

impl Batches<'_> {
    async fn append_to(&self, node: &Node, of: &TopicPartition) -> Result<(), SeedError> {
        let Some(first) = self.records.first() else {
            return Ok(());
        };
        let partition = node.replicas.partition(of).map_err(|code| {
            let problem = format!("{of} cannot be written to: {code:?}");
            first.place.wrong(problem)
        })?;
        if partition.log().log_end_offset() > Offset(0) {
            return Ok(());
        }
        let now = node.clock.now();
        let mut rest = self.records;
        while let Some(start) = rest.first() {
            let (batch, count) = self.next_batch(rest, now);
            let appended = partition.append(
                batch.build().bytes().clone(),
                AppendOrigin::Client,
                now,
                None,
            );
            appended.await.map_err(|error| {
                let refused = error.record_errors.first();
                let at = refused.and_then(|(index, _)| rest.get(usize::try_from(*index).ok()?));
                let reason = refused.and_then(|(_, sentence)| sentence.clone());
                let reason = reason.unwrap_or_else(|| error.error.to_string());
                let place = &at.unwrap_or(start).place;
                place.wrong(format!("the record is refused by {of}: {reason}"))
            })?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// As many records as fit one batch, at least one.
    fn next_batch(&self, records: &[&SeedRecord], now: Timestamp) -> (BatchBuilder, usize) {
        let mut batch = BatchBuilder::new(Offset(0));
        let mut count = 0;
        for record in records {
            if count > 0 && batch.size_in_bytes() + size(record) > self.max_bytes {
                break;
            }
            let timestamp = record.timestamp.map_or(now, Timestamp);
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            batch.push(timestamp, key, value, &record.headers);
            count += 1;
        }
        (batch, count)
    }
}

/// What a record takes in a batch, at most.
fn size(record: &SeedRecord) -> usize {
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.iter();
    let headers = headers.map(|it| HEADER_OVERHEAD + it.key.len() + len(&it.value));
    RECORD_OVERHEAD + len(&record.key) + len(&record.value) + headers.sum::<usize>()
}
