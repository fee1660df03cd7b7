//! The requests that the tests make, and what they look at in the answers.

use std::io;

use bytes::Bytes;
use protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::delete_topics_request::DeleteTopicState;
use protocol::messages::describe_configs_request::DescribeConfigsResource;
use protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::metadata_request::MetadataRequestTopic;
use protocol::messages::metadata_response::MetadataResponseTopic;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, FetchRequest, FindCoordinatorRequest, GroupId,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, TopicName,
};
use protocol::{
    BatchBuilder, ErrorCode, Offset, Producer, ProducerEpoch, ProducerId, RecordBatch, StrBytes,
    Timestamp,
};

use super::{Client, eventually};

const TIMEOUT_MS: i32 = 15_000;
const TOPIC: i8 = 2;

/// A record as a consumer has it.
pub(crate) type Read = (i64, Vec<u8>);

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

pub(crate) fn checked(code: i16) -> Result<(), ErrorCode> {
    ErrorCode::try_from_code(code).map_or(Ok(()), Err)
}

/// A batch of records with these values.
pub(crate) fn batch(values: &[impl AsRef<[u8]>]) -> Bytes {
    build(BatchBuilder::new(Offset::ZERO), values)
}

/// A batch of an idempotent producer.
pub(crate) fn batch_of(producer_id: i64, sequence: i32, values: &[impl AsRef<[u8]>]) -> Bytes {
    let producer = Producer {
        id: ProducerId(producer_id),
        epoch: ProducerEpoch(0),
        base_sequence: sequence,
    };
    build(BatchBuilder::new(Offset::ZERO).producer(producer), values)
}

pub(crate) fn build(mut batch: BatchBuilder, values: &[impl AsRef<[u8]>]) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = Timestamp(i64::try_from(now.unwrap().as_millis()).unwrap());
    for value in values {
        batch.push(now, None, Some(value.as_ref()), &[]);
    }
    batch.build().bytes().clone()
}

pub(crate) fn produce_request(
    topic: &str,
    partition: i32,
    acks: i16,
    records: Option<Bytes>,
) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(partition)
        .with_records(records);
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(TIMEOUT_MS)
        .with_topic_data(vec![topic])
}

pub(crate) fn fetch_request(
    topic: &str,
    partition: i32,
    offset: i64,
    wait_ms: i32,
) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1024 * 1024);
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(8 * 1024 * 1024)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

pub(crate) fn create_request(
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> CreateTopicsRequest {
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(TIMEOUT_MS)
}

pub(crate) fn delete_request(name: &str) -> DeleteTopicsRequest {
    let topic = DeleteTopicState::default().with_name(Some(topic_name(name)));
    DeleteTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(TIMEOUT_MS)
}

impl Client {
    /// Produces with acks=all; gives back the offset of the first record.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> Result<i64, ErrorCode> {
        self.try_produce(topic, partition, records)
            .expect("an answer")
    }

    /// As `produce`, for a broker that may be gone.
    pub(crate) fn try_produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> io::Result<Result<i64, ErrorCode>> {
        let request = produce_request(topic, partition, -1, Some(records));
        let response = self.try_ask(9, request)?;
        let partition = &response.responses[0].partition_responses[0];
        Ok(checked(partition.error_code).map(|()| partition.base_offset))
    }

    /// All records from `offset` on, each batch with a CRC that holds.
    pub(crate) fn read_from(
        &mut self,
        topic: &str,
        partition: i32,
        mut offset: i64,
    ) -> Result<Vec<Read>, ErrorCode> {
        let mut all = Vec::new();
        loop {
            let request = fetch_request(topic, partition, offset, 0);
            let response = self.ask(12, request);
            checked(response.error_code)?;
            let data = &response.responses[0].partitions[0];
            checked(data.error_code)?;
            let mut bytes = data.records.clone().expect("records are empty, never null");
            if bytes.is_empty() {
                return Ok(all);
            }
            let before = offset;
            while let Ok(Some(batch)) = RecordBatch::split_first(&mut bytes) {
                batch
                    .verify_crc()
                    .expect("only batches that are whole are served");
                for record in batch.records().unwrap() {
                    let record = record.unwrap();
                    if record.offset.0 >= before {
                        let value = record.value.unwrap_or_default();
                        all.push((record.offset.0, value.to_vec()));
                    }
                }
                offset = batch.header().next_offset().0;
            }
            assert!(offset > before, "records, but no whole batch of them");
        }
    }

    pub(crate) fn read_all(&mut self, topic: &str, partition: i32) -> Vec<Read> {
        let start = self.offset(topic, partition, -2).unwrap();
        self.read_from(topic, partition, start).unwrap()
    }

    /// The earliest (-2) or latest (-1) offset, or that of a timestamp.
    pub(crate) fn offset(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<i64, ErrorCode> {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let response = self.ask(7, request);
        let partition = &response.topics[0].partitions[0];
        checked(partition.error_code).map(|()| partition.offset)
    }

    pub(crate) fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let response = self.ask(7, create_request(name, partitions, configs));
        let topic = &response.topics[0];
        assert_eq!(topic.error_code, 0, "{name}: {:?}", topic.error_message);
    }

    pub(crate) fn try_create(
        &mut self,
        name: &str,
        partitions: i32,
    ) -> io::Result<Result<(), ErrorCode>> {
        let response = self.try_ask(7, create_request(name, partitions, &[]))?;
        Ok(checked(response.topics[0].error_code))
    }

    pub(crate) fn try_delete(&mut self, name: &str) -> io::Result<Result<(), ErrorCode>> {
        let response = self.try_ask(6, delete_request(name))?;
        Ok(checked(response.responses[0].error_code))
    }

    /// A topic as Metadata knows it, never created by the question.
    pub(crate) fn topic(&mut self, name: &str) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false);
        self.ask(12, request).topics.remove(0)
    }

    /// Deletes what lies before `offset`; gives back the log start offset.
    pub(crate) fn delete_records(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<i64, ErrorCode> {
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(TIMEOUT_MS);
        let response = self.ask(2, request);
        let partition = &response.topics[0].partitions[0];
        checked(partition.error_code).map(|()| partition.low_watermark)
    }

    pub(crate) fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let response = self.ask(4, request);
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        response.producer_id.0
    }

    pub(crate) fn set_topic_config(
        &mut self,
        topic: &str,
        key: &str,
        value: &str,
    ) -> io::Result<Result<(), ErrorCode>> {
        let config = AlterableConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let response = self.try_ask(1, request)?;
        Ok(checked(response.responses[0].error_code))
    }

    pub(crate) fn topic_config(&mut self, topic: &str, key: &str) -> Option<String> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(vec![text(key)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let result = self.ask(4, request).results.remove(0);
        assert_eq!(result.error_code, 0, "{:?}", result.error_message);
        result.configs[0].value.as_ref().map(ToString::to_string)
    }

    /// Asks for the coordinator until there is one; the first question makes its topic.
    pub(crate) fn find_coordinator(&mut self, group: &str) {
        eventually("a coordinator", || {
            let request = FindCoordinatorRequest::default().with_key(text(group));
            let response = self.ask(3, request);
            (response.error_code == 0).then_some(())
        });
    }

    /// Commits as a simple consumer, outside any generation.
    pub(crate) fn try_commit(
        &mut self,
        group: &str,
        topic: &str,
        offset: i64,
    ) -> io::Result<Result<(), ErrorCode>> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let response = self.try_ask(8, request)?;
        Ok(checked(response.topics[0].partitions[0].error_code))
    }

    /// The committed offset; -1 where there is none.
    pub(crate) fn committed(&mut self, group: &str, topic: &str) -> Result<i64, ErrorCode> {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topic]));
        let response = self.ask(7, request);
        checked(response.error_code)?;
        let partition = &response.topics[0].partitions[0];
        checked(partition.error_code).map(|()| partition.committed_offset)
    }
}
