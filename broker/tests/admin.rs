//! Topics, offsets and configs over a real socket: what one answer promises the next one.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use klamm::{Broker, ServerConfig};
use protocol::messages::create_topics_request::CreatableTopic;
use protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::delete_topics_request::DeleteTopicState;
use protocol::messages::describe_configs_request::DescribeConfigsResource;
use protocol::messages::describe_topic_partitions_request::Cursor;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::metadata_request::MetadataRequestTopic;
use protocol::messages::metadata_response::MetadataResponseTopic;
use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, DescribeTopicPartitionsRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, RequestHeader,
    ResponseHeader, TopicName,
};
use protocol::{
    BatchBuilder, Decodable, Encodable, ErrorCode, HeaderVersion, Offset, Request, StrBytes,
    Timestamp,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(20);

/// A broker with a folder of its own, and one client of it.
struct Cluster {
    folder: tempfile::TempDir,
    broker: Broker,
    client: Client,
}

struct Client {
    connection: TcpStream,
    next_correlation_id: i32,
}

impl Deref for Cluster {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Cluster {
    async fn start() -> Cluster {
        Cluster::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: tempfile::TempDir) -> Cluster {
        let properties = BTreeMap::from([
            ("listeners".to_owned(), "PLAINTEXT://127.0.0.1:0".to_owned()),
            ("log.dirs".to_owned(), folder.path().display().to_string()),
            ("offsets.topic.num.partitions".to_owned(), "3".to_owned()),
        ]);
        let config = ServerConfig::from_properties(properties).unwrap();
        let broker = Broker::start(config).await.unwrap();
        let client = Client::connect(&broker).await;
        Cluster {
            folder,
            broker,
            client,
        }
    }

    async fn restart(self) -> Cluster {
        self.broker.stop().await;
        Cluster::start_in(self.folder).await
    }
}

impl Client {
    async fn connect(broker: &Broker) -> Client {
        let connection = TcpStream::connect(broker.address().unwrap()).await.unwrap();
        Client {
            connection,
            next_correlation_id: 1,
        }
    }

    async fn ask<R: Request>(&mut self, version: i16, request: R) -> R::Response
    where
        R::Response: HeaderVersion,
    {
        tokio::time::timeout(DEADLINE, self.exchange(version, request))
            .await
            .expect("an answer")
    }

    async fn exchange<R: Request>(&mut self, version: i16, request: R) -> R::Response
    where
        R::Response: HeaderVersion,
    {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let mut body = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("admin-test")))
            .encode(&mut body, R::header_version(version))
            .unwrap();
        request.encode(&mut body, version).unwrap();
        let size = u32::try_from(body.len()).unwrap();
        // One write: two would wait for each other's acknowledgement.
        let frame = [&size.to_be_bytes()[..], &body].concat();
        self.connection.write_all(&frame).await.unwrap();
        let size = self
            .connection
            .read_u32()
            .await
            .expect("the connection stays open");
        let mut answer = vec![0; usize::try_from(size).unwrap()];
        self.connection.read_exact(&mut answer).await.unwrap();
        let mut answer = Bytes::from(answer);
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut answer, header_version).unwrap();
        assert_eq!(header.correlation_id, correlation_id);
        let response = R::Response::decode(&mut answer, version).unwrap();
        assert!(
            !answer.has_remaining(),
            "the answer is longer than its fields"
        );
        response
    }

    /// One topic by name, created where it is missing and `create` says so.
    async fn topic(&mut self, name: &str, create: bool) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(create);
        self.ask(12, request).await.topics.remove(0)
    }

    async fn create(&mut self, name: &str, partitions: i32) -> Uuid {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let created = self.ask(7, request).await.topics.remove(0);
        assert_eq!(created.error_code, 0, "{:?}", created.error_message);
        created.topic_id
    }

    /// Produces `count` records to partition 0; gives back the first offset.
    async fn produce(&mut self, topic: &str, count: i64) -> Result<i64, ErrorCode> {
        let mut batch = BatchBuilder::new(Offset::ZERO);
        for number in 0..count {
            let at = Timestamp(1_700_000_000_000 + number);
            batch.push(at, None, Some(number.to_string().as_bytes()), &[]);
        }
        let partition = PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(batch.build().bytes().clone()));
        let topic = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic]);
        let response = self.ask(9, request).await;
        let partition = &response.responses[0].partition_responses[0];
        match ErrorCode::try_from_code(partition.error_code) {
            None => Ok(partition.base_offset),
            Some(code) => Err(code),
        }
    }

    async fn offset(&mut self, topic: &str, timestamp: i64) -> i64 {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let response = self.ask(7, request).await;
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        partition.offset
    }

    /// Deletes what lies before `offset`; gives back the low watermark.
    async fn delete_records(&mut self, topic: &str, offset: i64) -> Result<i64, ErrorCode> {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let response = self.ask(2, request).await;
        let partition = &response.topics[0].partitions[0];
        match ErrorCode::try_from_code(partition.error_code) {
            None => Ok(partition.low_watermark),
            Some(code) => Err(code),
        }
    }

    async fn topic_config(&mut self, topic: &str, key: &str) -> (Option<String>, i8) {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(vec![text(key)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let result = self.ask(4, request).await.results.remove(0);
        assert_eq!(result.error_code, 0, "{:?}", result.error_message);
        let config = &result.configs[0];
        (
            config.value.as_ref().map(ToString::to_string),
            config.config_source,
        )
    }

    /// Sets a key of the cluster's brokers, as `kafka-configs --entity-default` does.
    async fn set_broker_config(&mut self, key: &str, value: &str) {
        let config = AlterableConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(4)
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let changed = self.ask(1, request).await.responses.remove(0);
        assert_eq!(changed.error_code, 0, "{:?}", changed.error_message);
    }

    async fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let response = self.ask(4, request).await;
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        response.producer_id.0
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_on_first_use_takes_a_produce_at_once() {
    let mut cluster = Cluster::start().await;
    for number in 0..20 {
        let name = format!("first-use-{number}");
        let topic = cluster.topic(&name, true).await;
        assert_eq!(topic.error_code, 0);
        assert_eq!(
            topic.partitions[0].leader_id,
            BrokerId(cluster.broker.node_id())
        );
        assert_eq!(cluster.produce(&name, 3).await, Ok(0));
    }
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_may_make_a_topic_at_once() {
    let mut cluster = Cluster::start().await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut client = Client::connect(&cluster.broker).await;
        clients.spawn(async move {
            let topic = client.topic("wanted-by-many", true).await;
            assert_eq!(topic.error_code, 0);
            client.produce("wanted-by-many", 1).await.unwrap();
            topic.topic_id
        });
    }
    let ids = clients.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(cluster.offset("wanted-by-many", -1).await, 16);
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_on_first_use_only_where_the_client_allows_it() {
    let mut cluster = Cluster::start().await;
    let topic = cluster.topic("not-made", false).await;
    assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition.code());
    let refused = cluster.topic("not a name", true).await;
    assert_eq!(refused.error_code, ErrorCode::InvalidTopicException.code());
    let request = MetadataRequest::default().with_topics(None);
    assert!(cluster.ask(12, request).await.topics.is_empty());
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_topic_is_made_by_its_own_settings() {
    let mut cluster = Cluster::start().await;
    let topic = cluster.topic("__consumer_offsets", true).await;
    assert_eq!((topic.error_code, topic.is_internal), (0, true));
    assert_eq!(topic.partitions.len(), 3);
    let policy = cluster
        .topic_config("__consumer_offsets", "cleanup.policy")
        .await;
    assert_eq!(policy, (Some("compact".to_owned()), 1));
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_has_another_id() {
    let mut cluster = Cluster::start().await;
    let first = cluster.create("again", 1).await;
    cluster.produce("again", 5).await.unwrap();
    let by_id = DeleteTopicState::default()
        .with_name(None)
        .with_topic_id(first);
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![by_id])
        .with_timeout_ms(10_000);
    let deleted = cluster.ask(6, request).await.responses.remove(0);
    assert_eq!(
        (deleted.error_code, deleted.name),
        (0, Some(topic_name("again")))
    );
    let second = cluster.create("again", 1).await;
    assert_ne!(first, second);
    assert_eq!(cluster.topic("again", false).await.topic_id, second);
    assert_eq!(cluster.offset("again", -1).await, 0);

    let ids = [second, first].map(|id| {
        MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(id)
    });
    let request = MetadataRequest::default().with_topics(Some(ids.to_vec()));
    let topics = cluster.ask(12, request).await.topics;
    let by_id = |id| topics.iter().find(|topic| topic.topic_id == id).unwrap();
    assert_eq!(by_id(second).name, Some(topic_name("again")));
    assert_eq!(by_id(first).error_code, ErrorCode::UnknownTopicId.code());
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_stay_deleted_after_a_restart() {
    let mut cluster = Cluster::start().await;
    cluster.create("shortened", 1).await;
    cluster.produce("shortened", 10).await.unwrap();
    assert_eq!(cluster.delete_records("shortened", 4).await, Ok(4));
    assert_eq!(cluster.offset("shortened", -2).await, 4);
    assert_eq!(cluster.offset("shortened", -1).await, 10);
    assert_eq!(cluster.offset("shortened", 1_700_000_000_001).await, 4);
    // What is gone is gone; what never was cannot go.
    assert_eq!(cluster.delete_records("shortened", 2).await, Ok(4));
    assert_eq!(
        cluster.delete_records("shortened", 11).await,
        Err(ErrorCode::OffsetOutOfRange)
    );

    let mut cluster = cluster.restart().await;
    assert_eq!(cluster.offset("shortened", -2).await, 4);
    assert_eq!(cluster.delete_records("shortened", -1).await, Ok(10));
    assert_eq!(cluster.offset("shortened", -2).await, 10);
    assert_eq!(cluster.produce("shortened", 1).await, Ok(10));
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_id_is_never_given_twice() {
    let mut cluster = Cluster::start().await;
    let mut last = -1;
    // More than one block of a thousand.
    for _ in 0..1_005 {
        let id = cluster.producer_id().await;
        assert!(id > last, "{id} after {last}");
        last = id;
    }
    let mut cluster = cluster.restart().await;
    assert!(cluster.producer_id().await > last);
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_config_is_described_as_it_was_set() {
    let mut cluster = Cluster::start().await;
    cluster.create("configured", 1).await;
    let key = "retention.ms";
    assert_eq!(
        cluster.topic_config("configured", key).await,
        (Some("604800000".into()), 5)
    );
    let mut alter = async |value: &str| {
        let config = AlterableConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("configured"))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        cluster.ask(1, request).await.responses.remove(0).error_code
    };
    assert_eq!(alter("banana").await, ErrorCode::InvalidConfig.code());
    assert_eq!(alter("1000").await, 0);
    assert_eq!(
        cluster.topic_config("configured", key).await,
        (Some("1000".into()), 1)
    );
    let mut cluster = cluster.restart().await;
    assert_eq!(
        cluster.topic_config("configured", key).await,
        (Some("1000".into()), 1)
    );
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_partitions_follow_each_other_without_gap() {
    let mut cluster = Cluster::start().await;
    let mut expected = Vec::new();
    for (name, partitions) in [("page-a", 5), ("page-b", 3), ("page-c", 4)] {
        cluster.create(name, partitions).await;
        expected.extend((0..partitions).map(|index| (topic_name(name), index)));
    }
    let mut seen = Vec::new();
    let mut cursor: Option<Cursor> = None;
    for _ in 0..expected.len() {
        let request = DescribeTopicPartitionsRequest::default()
            .with_response_partition_limit(4)
            .with_cursor(cursor.take());
        let page = cluster.ask(0, request).await;
        for topic in page.topics {
            let name = topic.name.unwrap();
            let rows = topic
                .partitions
                .iter()
                .map(|row| (name.clone(), row.partition_index));
            seen.extend(rows);
        }
        cursor = page.next_cursor.map(|next| {
            Cursor::default()
                .with_topic_name(next.topic_name)
                .with_partition_index(next.partition_index)
        });
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(cursor, None);
    assert_eq!(seen, expected);
    cluster.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_connections_change_at_run_time_and_survive_a_restart() {
    let mut cluster = Cluster::start().await;
    cluster
        .set_broker_config("max.connections.per.ip", "2")
        .await;
    for restarted in [false, true] {
        if restarted {
            cluster = cluster.restart().await;
        }
        let mut second = Client::connect(&cluster.broker).await;
        second.topic("any", false).await;
        let mut third = Client::connect(&cluster.broker).await;
        let closed = tokio::time::timeout(DEADLINE, third.connection.read_u8()).await;
        assert!(closed.unwrap().is_err(), "a third connection is closed");
    }

    cluster
        .set_broker_config("max.connections.per.ip", "10")
        .await;
    cluster.set_broker_config("max.connections", "1").await;
    let mut waiting = Client::connect(&cluster.broker).await;
    let mut asked = std::pin::pin!(waiting.topic("any", false));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err(), "it waits while there is another connection");
    cluster.set_broker_config("max.connections", "2").await;
    assert_eq!(
        asked.await.error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    cluster.broker.stop().await;
}
