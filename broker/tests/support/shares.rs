//! A member of a share group on a raw socket, as far as it fetches and acknowledges.

use std::net::SocketAddr;

use bytes::Bytes;
use protocol::messages::initialize_share_group_state_request::{
    InitializeStateData, PartitionData,
};
use protocol::messages::share_fetch_request::{AcknowledgementBatch, FetchPartition, FetchTopic};
use protocol::messages::share_fetch_response::PartitionData as Fetched;
use protocol::messages::{
    FindCoordinatorRequest, GroupId, InitializeShareGroupStateRequest, ShareAcknowledgeRequest,
    ShareFetchRequest, ShareFetchResponse, share_acknowledge_request,
};
use protocol::{ErrorCode, RecordBatch};
use uuid::Uuid;

use super::requests::{checked, text};
use super::{Client, eventually};

/// Types of acknowledgements.
pub(crate) const ACCEPT: i8 = 1;
pub(crate) const RELEASE: i8 = 2;
pub(crate) const REJECT: i8 = 3;
pub(crate) const RENEW: i8 = 4;

/// First and last offset, and what is said of them.
pub(crate) type Said<'a> = (i64, i64, &'a [i8]);

/// First and last offset, and for the how many-th time they are handed out.
pub(crate) type Acquired = (i64, i64, i16);

/// Begins the state of a share partition, as the group's coordinator does.
pub(crate) fn initialize(client: &mut Client, group: &str, topic: Uuid, partition: i32) {
    initialize_at(client, group, topic, partition, 0);
}

/// As [`initialize`], from an offset on; -1 leaves it to the group's settings.
pub(crate) fn initialize_at(
    client: &mut Client,
    group: &str,
    topic: Uuid,
    partition: i32,
    start_offset: i64,
) {
    let key = format!("{group}:{}:{partition}", protocol::TopicId(topic));
    let request = FindCoordinatorRequest::default()
        .with_key_type(2)
        .with_coordinator_keys(vec![text(&key)]);
    assert_eq!(client.ask(6, request).coordinators[0].error_code, 0);
    eventually("the state", || {
        let partition = PartitionData::default()
            .with_partition(partition)
            .with_start_offset(start_offset);
        let topic = InitializeStateData::default()
            .with_topic_id(topic)
            .with_partitions(vec![partition]);
        let request = InitializeShareGroupStateRequest::default()
            .with_group_id(text(group))
            .with_topics(vec![topic]);
        let answer = client.ask(0, request);
        checked(answer.results[0].partitions[0].error_code).ok()
    });
}

/// A member that reads one partition.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) epoch: i32,
    pub(crate) topic: Uuid,
    pub(crate) max_records: i32,
    /// Hands out no more than `max_records`.
    pub(crate) is_strict: bool,
}

impl Member {
    pub(crate) fn new(address: SocketAddr, id: &str, topic: Uuid) -> Member {
        Member {
            client: Client::connect(address),
            group: "g".to_owned(),
            id: id.to_owned(),
            epoch: 0,
            topic,
            max_records: 500,
            is_strict: false,
        }
    }

    /// A request that names the partition where the session does not know it yet, or where
    /// something is said of its records.
    pub(crate) fn request(&self, wait_ms: i32, said: &[Said<'_>]) -> ShareFetchRequest {
        let batches = said.iter().map(|(first, last, types)| {
            AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(types.to_vec())
        });
        let partition = FetchPartition::default()
            .with_partition_index(0)
            .with_acknowledgement_batches(batches.collect());
        let topic = FetchTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(vec![partition]);
        let is_named = self.epoch == 0 || !said.is_empty();
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text(&self.group))))
            .with_member_id(Some(text(&self.id)))
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(8 * 1024 * 1024)
            .with_max_records(self.max_records)
            .with_batch_size(self.max_records)
            .with_share_acquire_mode(i8::from(self.is_strict))
            .with_topics(if is_named { vec![topic] } else { Vec::new() })
    }

    pub(crate) fn ask(&mut self, request: ShareFetchRequest) -> ShareFetchResponse {
        let answer = self.client.ask(2, request);
        if answer.error_code == 0 {
            self.epoch += 1;
        }
        answer
    }

    /// Fetches, and says something of records it has. None where the answer leaves the partition out.
    pub(crate) fn fetch(&mut self, wait_ms: i32, said: &[Said<'_>]) -> Option<Fetched> {
        let request = self.request(wait_ms, said);
        let mut answer = self.ask(request);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        let mut topic = answer.responses.pop()?;
        assert_eq!(topic.topic_id, self.topic);
        let partition = topic.partitions.pop()?;
        let errors = (partition.error_code, partition.acknowledge_error_code);
        assert_eq!(errors, (0, 0), "{partition:?}");
        Some(partition)
    }

    /// Fetches until there is something.
    pub(crate) fn take(&mut self) -> Vec<Acquired> {
        eventually("records", || {
            let acquired = acquired(&self.fetch(500, &[])?);
            (!acquired.is_empty()).then_some(acquired)
        })
    }

    /// What is there at once.
    pub(crate) fn take_now(&mut self) -> Vec<Acquired> {
        let fetched = self.fetch(0, &[]);
        fetched.map(|it| acquired(&it)).unwrap_or_default()
    }

    /// Says something of records; gives back what came of it.
    pub(crate) fn acknowledge(&mut self, said: &[Said<'_>]) -> Result<(), ErrorCode> {
        use share_acknowledge_request::{
            AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
        };
        let batches = said.iter().map(|(first, last, types)| {
            AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(types.to_vec())
        });
        let partition =
            AcknowledgePartition::default().with_acknowledgement_batches(batches.collect());
        let topic = AcknowledgeTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(vec![partition]);
        let renews = said.iter().any(|(_, _, types)| types.contains(&RENEW));
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(&self.group))))
            .with_member_id(Some(text(&self.id)))
            .with_share_session_epoch(self.epoch)
            .with_is_renew_ack(renews)
            .with_topics(vec![topic]);
        let answer = self.client.ask(2, request);
        checked(answer.error_code)?;
        self.epoch += 1;
        checked(answer.responses[0].partitions[0].error_code)
    }

    /// Ends the session.
    pub(crate) fn close(&mut self) {
        self.epoch = -1;
        let mut request = self.request(0, &[]);
        request.topics.clear();
        assert_eq!(self.ask(request).error_code, 0);
        self.epoch = 0;
    }
}

pub(crate) fn acquired(fetched: &Fetched) -> Vec<Acquired> {
    let acquired = fetched.acquired_records.iter();
    acquired
        .map(|it| (it.first_offset, it.last_offset, it.delivery_count))
        .collect()
}

/// The values of the records that were sent.
pub(crate) fn values(fetched: &Fetched) -> Vec<String> {
    let mut bytes: Bytes = fetched.records.clone().unwrap_or_default();
    let mut values = Vec::new();
    while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
        if batch.header().attributes.is_control() {
            continue;
        }
        for record in batch.records().unwrap() {
            let value = record.unwrap().value.unwrap();
            values.push(String::from_utf8(value.to_vec()).unwrap());
        }
    }
    values
}
