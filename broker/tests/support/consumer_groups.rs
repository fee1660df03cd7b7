//! Members of consumer groups (KIP-848), by raw requests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::messages::consumer_group_describe_response::DescribedGroup;
use protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, leave_group_request,
};
use protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::Client;
use super::requests::{checked, text, topic_name};

/// A partition of a topic.
pub(crate) type Place = (Uuid, i32);

pub(crate) const LEAVES: i32 = -1;
pub(crate) const LEAVES_FOR_A_WHILE: i32 = -2;

/// A consumer that does what it is told, at once.
pub(crate) struct Consumer {
    pub(crate) client: Client,
    group: String,
    pub(crate) id: StrBytes,
    pub(crate) instance: Option<StrBytes>,
    pub(crate) topics: Vec<String>,
    pub(crate) regex: Option<String>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) epoch: i32,
    pub(crate) heartbeat_interval_ms: i32,
    /// What it has, and says in its next heartbeat that it has.
    pub(crate) owned: BTreeSet<Place>,
}

impl Consumer {
    pub(crate) fn new(address: SocketAddr, group: &str, id: &str) -> Consumer {
        let mut client = Client::connect(address);
        client.find_coordinator(group);
        Consumer {
            client,
            group: group.to_owned(),
            id: text(id),
            instance: None,
            topics: vec!["t".to_owned()],
            regex: None,
            rebalance_timeout_ms: 60_000,
            epoch: 0,
            heartbeat_interval_ms: 0,
            owned: BTreeSet::new(),
        }
    }

    /// A member of `g` that subscribes `t`.
    pub(crate) fn joined(address: SocketAddr, id: &str) -> Consumer {
        let mut consumer = Consumer::new(address, "g", id);
        assert_eq!(consumer.join(), Ok(()));
        consumer
    }

    /// Begins anew, with nothing.
    pub(crate) fn join(&mut self) -> Result<(), ErrorCode> {
        self.try_join().expect("an answer")
    }

    pub(crate) fn try_join(&mut self) -> io::Result<Result<(), ErrorCode>> {
        self.epoch = 0;
        self.owned.clear();
        let topics = self.topics.iter().map(|name| topic_name(name));
        let request = self
            .request()
            .with_rebalance_timeout_ms(self.rebalance_timeout_ms)
            .with_subscribed_topic_names(Some(topics.collect()))
            .with_subscribed_topic_regex(self.regex.as_deref().map(text));
        self.exchange(request)
    }

    pub(crate) fn beat(&mut self) -> Result<(), ErrorCode> {
        self.try_beat().expect("an answer")
    }

    pub(crate) fn try_beat(&mut self) -> io::Result<Result<(), ErrorCode>> {
        let request = self.request();
        self.exchange(request)
    }

    /// A heartbeat of a member that gives nothing up and takes nothing.
    pub(crate) fn insist(&mut self) -> Result<(), ErrorCode> {
        let request = self.request();
        let response = self.client.ask(1, request);
        checked(response.error_code).map(|()| self.epoch = response.member_epoch)
    }

    /// A heartbeat with another epoch than the one it has.
    pub(crate) fn beat_in(&mut self, epoch: i32) -> Result<(), ErrorCode> {
        let request = self.request().with_member_epoch(epoch);
        checked(self.client.ask(1, request).error_code)
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &self.owned {
            topics.entry(*topic).or_default().push(*partition);
        }
        let owned = topics.into_iter().map(|(topic, partitions)| {
            TopicPartitions::default()
                .with_topic_id(topic)
                .with_partitions(partitions)
        });
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(self.id.clone())
            .with_instance_id(self.instance.clone())
            .with_member_epoch(self.epoch)
            .with_rebalance_timeout_ms(-1)
            .with_topic_partitions(Some(owned.collect()))
    }

    fn exchange(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> io::Result<Result<(), ErrorCode>> {
        let response = self.client.try_ask(1, request)?;
        Ok(checked(response.error_code).map(|()| self.take(&response)))
    }

    fn take(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.epoch = response.member_epoch;
        self.heartbeat_interval_ms = response.heartbeat_interval_ms;
        if let Some(assignment) = &response.assignment {
            let topics = assignment.topic_partitions.iter();
            let places = topics.flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|partition| (topic.topic_id, *partition))
            });
            self.owned = places.collect();
        }
    }

    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.owned.iter().map(|(_, partition)| *partition).collect()
    }

    /// Commits for a partition of `t` as a member in this epoch.
    pub(crate) fn commit_in(
        &mut self,
        epoch: i32,
        partition: i32,
        offset: i64,
    ) -> Result<(), ErrorCode> {
        let id = self.id.clone();
        commit(
            &mut self.client,
            9,
            &self.group,
            (&id, epoch),
            (partition, offset),
        )
        .expect("an answer")
    }

    pub(crate) fn try_commit(
        &mut self,
        partition: i32,
        offset: i64,
    ) -> io::Result<Result<(), ErrorCode>> {
        let member = (&self.id.clone(), self.epoch);
        commit(
            &mut self.client,
            9,
            &self.group,
            member,
            (partition, offset),
        )
    }

    /// What is committed for a partition of `t`, asked as a member in this epoch.
    pub(crate) fn committed_in(&mut self, epoch: i32, partition: i32) -> Result<i64, ErrorCode> {
        let member = Some((self.id.clone(), epoch));
        committed(&mut self.client, &self.group, member, partition)
    }
}

/// Commits for a partition of `t`.
pub(crate) fn commit(
    client: &mut Client,
    version: i16,
    group: &str,
    (member, epoch): (&StrBytes, i32),
    (partition, offset): (i32, i64),
) -> io::Result<Result<(), ErrorCode>> {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(member.clone())
        .with_topics(vec![topic]);
    let answer = client.try_ask(version, request)?;
    Ok(checked(answer.topics[0].partitions[0].error_code))
}

/// The committed offset of a partition of `t`, for a member or for anybody; -1 where there is none.
pub(crate) fn committed(
    client: &mut Client,
    group: &str,
    member: Option<(StrBytes, i32)>,
    partition: i32,
) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![partition]);
    let mut asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(vec![topic]));
    if let Some((id, epoch)) = member {
        asked = asked.with_member_id(Some(id)).with_member_epoch(epoch);
    }
    let answer = client.ask(9, OffsetFetchRequest::default().with_groups(vec![asked]));
    let group = &answer.groups[0];
    checked(group.error_code)?;
    let partition = &group.topics[0].partitions[0];
    checked(partition.error_code).map(|()| partition.committed_offset)
}

pub(crate) fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request =
        ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
    client.ask(1, request).groups.remove(0)
}

/// Heartbeats go round until every member has what it is to have.
pub(crate) fn settle(consumers: &mut [&mut Consumer]) {
    super::eventually("a stable group", || {
        for consumer in &mut *consumers {
            assert_eq!(consumer.beat(), Ok(()), "{}", consumer.id.as_str());
        }
        let first = consumers.first_mut()?;
        let group = describe(&mut first.client, &first.group.clone());
        let epochs = consumers.iter().map(|consumer| consumer.epoch);
        let all = epochs.into_iter().all(|epoch| epoch == group.group_epoch);
        (all && group.group_state.as_str() == "Stable").then_some(())
    });
}

/// A consumer of the classic protocol in `g`, which subscribes `t`.
pub(crate) struct Classic {
    pub(crate) client: Client,
    pub(crate) id: StrBytes,
    pub(crate) generation: i32,
    pub(crate) owned: Vec<i32>,
}

impl Classic {
    pub(crate) fn new(address: SocketAddr) -> Classic {
        let mut client = Client::connect(address);
        client.find_coordinator("g");
        Classic {
            client,
            id: StrBytes::default(),
            generation: -1,
            owned: Vec::new(),
        }
    }

    /// Joins with what it has.
    pub(crate) fn join(&mut self) -> JoinGroupResponse {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(self.subscription());
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_member_id(self.id.clone())
            .with_session_timeout_ms(30_000)
            .with_rebalance_timeout_ms(60_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let joined = self.client.ask(9, request);
        self.id = joined.member_id.clone();
        if joined.error_code == 0 {
            self.generation = joined.generation_id;
        }
        joined
    }

    /// `t`, and what it has of it: version 1 of the consumer protocol.
    fn subscription(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(1);
        bytes.put_i32(1);
        bytes.put_i16(1);
        bytes.put_slice(b"t");
        bytes.put_i32(-1);
        put_partitions(&mut bytes, &self.owned);
        bytes.freeze()
    }

    /// Fetches what it is to have; as the leader it takes `all`.
    pub(crate) fn sync(&mut self, all: &[i32]) -> Result<(), ErrorCode> {
        let mut assigned = BytesMut::new();
        assigned.put_i16(1);
        put_partitions(&mut assigned, all);
        assigned.put_i32(-1);
        let assignment =
            protocol::messages::sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id(self.id.clone())
                .with_assignment(assigned.freeze());
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(vec![assignment]);
        let synced = self.client.ask(5, request);
        checked(synced.error_code).map(|()| self.owned = partitions(&synced.assignment))
    }

    pub(crate) fn heartbeat(&mut self) -> Result<(), ErrorCode> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        checked(self.client.ask(4, request).error_code)
    }

    /// A heartbeat, and what follows from it: the next join and the next assignment.
    pub(crate) fn go_on(&mut self) {
        match self.heartbeat() {
            Ok(()) => {}
            Err(ErrorCode::RebalanceInProgress) => {
                assert_eq!(checked(self.join().error_code), Ok(()));
                let all = self.owned.clone();
                match self.sync(&all) {
                    Ok(()) | Err(ErrorCode::RebalanceInProgress) => {}
                    Err(code) => panic!("{code:?}"),
                }
            }
            Err(code) => panic!("{code:?}"),
        }
    }

    pub(crate) fn leave(&mut self) -> Result<(), ErrorCode> {
        let member = leave_group_request::MemberIdentity::default().with_member_id(self.id.clone());
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_members(vec![member]);
        checked(self.client.ask(5, request).error_code)
    }
}

/// Partitions of `t` as the consumer protocol writes them.
fn put_partitions(bytes: &mut BytesMut, partitions: &[i32]) {
    bytes.put_i32(i32::from(!partitions.is_empty()));
    if partitions.is_empty() {
        return;
    }
    bytes.put_i16(1);
    bytes.put_slice(b"t");
    bytes.put_i32(i32::try_from(partitions.len()).unwrap());
    partitions
        .iter()
        .for_each(|partition| bytes.put_i32(*partition));
}

/// The partitions of `t` in an assignment that names nothing else.
fn partitions(assignment: &[u8]) -> Vec<i32> {
    // Version, count of topics, and the name with its length.
    let Some((count, rest)) = assignment
        .get(9..)
        .and_then(|rest| rest.split_first_chunk())
    else {
        return Vec::new();
    };
    let count = usize::try_from(i32::from_be_bytes(*count)).unwrap();
    let (indexes, _) = rest.as_chunks::<4>();
    let indexes = indexes.iter().take(count);
    indexes.map(|index| i32::from_be_bytes(*index)).collect()
}
