//! Members of share groups (KIP-932), by raw requests, and the offsets of their groups.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;

use protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use protocol::messages::share_group_describe_response::DescribedGroup;
use protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequest, GroupId, ShareGroupDescribeRequest,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::Client;
use super::requests::{checked, text, topic_name};

/// A share consumer that does what it is told, at once.
pub(crate) struct ShareMember {
    pub(crate) client: Client,
    group: String,
    pub(crate) id: StrBytes,
    pub(crate) topics: Vec<String>,
    pub(crate) epoch: i32,
    pub(crate) heartbeat_interval_ms: i32,
    pub(crate) assigned: BTreeSet<(Uuid, i32)>,
}

impl ShareMember {
    pub(crate) fn new(address: SocketAddr, group: &str, id: &str) -> ShareMember {
        let mut client = Client::connect(address);
        client.find_coordinator(group);
        ShareMember {
            client,
            group: group.to_owned(),
            id: text(id),
            topics: vec!["t".to_owned()],
            epoch: 0,
            heartbeat_interval_ms: 0,
            assigned: BTreeSet::new(),
        }
    }

    /// A member of `g` that subscribes `t`.
    pub(crate) fn joined(address: SocketAddr, id: &str) -> ShareMember {
        let mut member = ShareMember::new(address, "g", id);
        assert_eq!(member.join(), Ok(()));
        member
    }

    /// Begins anew.
    pub(crate) fn join(&mut self) -> Result<(), ErrorCode> {
        self.try_join().expect("an answer")
    }

    pub(crate) fn try_join(&mut self) -> io::Result<Result<(), ErrorCode>> {
        self.epoch = 0;
        self.assigned.clear();
        let topics = self.topics.iter().map(|name| topic_name(name));
        let request = self
            .request()
            .with_subscribed_topic_names(Some(topics.collect()));
        self.exchange(request)
    }

    pub(crate) fn beat(&mut self) -> Result<(), ErrorCode> {
        let request = self.request();
        self.exchange(request).expect("an answer")
    }

    pub(crate) fn leave(&mut self) -> Result<(), ErrorCode> {
        let request = self.request().with_member_epoch(-1);
        checked(self.client.ask(1, request).error_code)
    }

    fn request(&self) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(self.id.clone())
            .with_member_epoch(self.epoch)
            .with_subscribed_topic_names(None)
    }

    fn exchange(
        &mut self,
        request: ShareGroupHeartbeatRequest,
    ) -> io::Result<Result<(), ErrorCode>> {
        let response = self.client.try_ask(1, request)?;
        Ok(checked(response.error_code).map(|()| self.take(&response)))
    }

    fn take(&mut self, response: &ShareGroupHeartbeatResponse) {
        self.epoch = response.member_epoch;
        self.heartbeat_interval_ms = response.heartbeat_interval_ms;
        if let Some(assignment) = &response.assignment {
            let topics = assignment.topic_partitions.iter();
            let places = topics.flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|partition| (topic.topic_id, *partition))
            });
            self.assigned = places.collect();
        }
    }

    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.assigned.iter().map(|(_, index)| *index).collect()
    }
}

/// Heartbeats go round until each member is in the group's epoch and what they have is `count`
/// partitions, all together.
pub(crate) fn settle(members: &mut [&mut ShareMember], count: usize) {
    super::eventually("an assignment", || {
        for member in &mut *members {
            assert_eq!(member.beat(), Ok(()), "{}", member.id.as_str());
        }
        let first = members.first_mut()?;
        let group = describe(&mut first.client, &first.group.clone());
        let is_there = |member: &&mut ShareMember| member.epoch == group.group_epoch;
        let all: BTreeSet<_> = members.iter().flat_map(|it| it.assigned.clone()).collect();
        (members.iter().all(is_there) && all.len() == count).then_some(())
    });
}

pub(crate) fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request = ShareGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
    client.ask(1, request).groups.remove(0)
}

/// Start offset and lag of each partition of which there is something to tell.
pub(crate) type Offsets = BTreeMap<(String, i32), (i64, i64)>;

/// All that a group has.
pub(crate) fn offsets(client: &mut Client, group: &str) -> Result<Offsets, ErrorCode> {
    let asked = DescribeShareGroupOffsetsRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(None);
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![asked]);
    let answer = client.ask(1, request).groups.remove(0);
    checked(answer.error_code)?;
    let mut offsets = Offsets::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            checked(partition.error_code)?;
            let place = (topic.topic_name.to_string(), partition.partition_index);
            offsets.insert(place, (partition.start_offset, partition.lag));
        }
    }
    Ok(offsets)
}

/// Moves a group in one partition.
pub(crate) fn alter(
    client: &mut Client,
    group: &str,
    (topic, index): (&str, i32),
    offset: i64,
) -> Result<(), ErrorCode> {
    let partition = AlterShareGroupOffsetsRequestPartition::default()
        .with_partition_index(index)
        .with_start_offset(offset);
    let topic = AlterShareGroupOffsetsRequestTopic::default()
        .with_topic_name(topic_name(topic))
        .with_partitions(vec![partition]);
    let request = AlterShareGroupOffsetsRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(vec![topic]);
    let answer = client.ask(0, request);
    checked(answer.error_code)?;
    checked(answer.responses[0].partitions[0].error_code)
}

/// Makes a group forget a topic.
pub(crate) fn forget(client: &mut Client, group: &str, topic: &str) -> Result<(), ErrorCode> {
    let topic = DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(topic));
    let request = DeleteShareGroupOffsetsRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(vec![topic]);
    let answer = client.ask(0, request);
    checked(answer.error_code)?;
    checked(answer.responses[0].error_code)
}

pub(crate) fn delete(client: &mut Client, group: &str) -> Result<(), ErrorCode> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
    checked(client.ask(2, request).results[0].error_code)
}
