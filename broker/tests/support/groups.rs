//! Members of groups, by raw requests.

use std::net::SocketAddr;

use bytes::Bytes;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest,
    SyncGroupRequest,
};
use protocol::{ErrorCode, StrBytes};

use super::Client;
use super::requests::{checked, text, topic_name};

/// A consumer that is the only member of its group.
pub(crate) struct Member {
    client: Client,
    group: String,
    pub(crate) id: StrBytes,
    pub(crate) generation: i32,
}

fn join_request(group: &str, id: &StrBytes, session_timeout_ms: i32) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(id.clone())
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

impl Member {
    /// Joins, is given its id, joins with it, and takes its assignment.
    pub(crate) fn join(address: SocketAddr, group: &str, session_timeout_ms: i32) -> Member {
        let mut client = Client::connect(address);
        client.find_coordinator(group);
        let none = StrBytes::default();
        let first = client.ask(5, join_request(group, &none, session_timeout_ms));
        assert_eq!(checked(first.error_code), Err(ErrorCode::MemberIdRequired));
        let id = first.member_id;
        let joined = client.ask(5, join_request(group, &id, session_timeout_ms));
        assert_eq!(checked(joined.error_code), Ok(()));
        let assignment = SyncGroupRequestAssignment::default().with_member_id(id.clone());
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id(joined.generation_id)
            .with_member_id(id.clone())
            .with_assignments(vec![assignment]);
        let synced = client.ask(3, request);
        assert_eq!(checked(synced.error_code), Ok(()));
        Member {
            client,
            group: group.to_owned(),
            id,
            generation: joined.generation_id,
        }
    }

    pub(crate) fn heartbeat(&mut self) -> Result<(), ErrorCode> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        checked(self.client.ask(3, request).error_code)
    }

    /// Joins once more under the id it has.
    pub(crate) fn rejoin(&mut self) -> Result<(), ErrorCode> {
        let request = join_request(&self.group, &self.id, 10_000);
        checked(self.client.ask(5, request).error_code)
    }

    /// Commits an offset as this member.
    pub(crate) fn commit(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), ErrorCode> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.id.clone())
            .with_topics(vec![topic]);
        let answer = self.client.ask(8, request);
        checked(answer.topics[0].partitions[0].error_code)
    }
}

/// Joins a group and leaves it, whatever the answers are: the node may be reset at any time.
pub(crate) fn come_and_go(client: &mut Client, group: &str) {
    client.find_coordinator(group);
    let mut request =
        join_request(group, &StrBytes::default(), 6_000).with_rebalance_timeout_ms(1_000);
    let id = client.ask(5, request.clone()).member_id;
    request.member_id = id.clone();
    let joined = client.ask(5, request);
    let sync = SyncGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id(joined.generation_id)
        .with_member_id(id.clone());
    let assignment = SyncGroupRequestAssignment::default().with_member_id(id.clone());
    client.ask(3, sync.with_assignments(vec![assignment]));
    let leave = LeaveGroupRequest::default().with_group_id(GroupId(text(group)));
    let member = MemberIdentity::default().with_member_id(id);
    client.ask(3, leave.with_members(vec![member]));
}
