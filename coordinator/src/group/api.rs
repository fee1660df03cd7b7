//! The requests a group shard answers, their answers, and the answer to a request that failed as a
//! whole.
//!
//! Invariant: requests and responses are Kafka's own messages; nothing here depends on a group.
//!
//! Requests that name several groups (DescribeGroups, DeleteGroups, OffsetFetch from version 8)
//! come one group at a time, since each group has its own shard. Topic names and ids are resolved
//! by the caller: OffsetCommit and OffsetFetch arrive with both wherever both are known.

use std::sync::Arc;

use protocol::messages::consumer_group_describe_response::DescribedGroup as DescribedConsumerGroup;
use protocol::messages::delete_groups_response::DeletableGroupResult;
use protocol::messages::describe_groups_response::DescribedGroup;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::leave_group_response::MemberResponse;
use protocol::messages::list_groups_response::ListedGroup;
use protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use protocol::messages::share_group_describe_response::DescribedGroup as DescribedShareGroup;
use protocol::messages::txn_offset_commit_response::TxnOffsetCommitResponseTopic;
use protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, GroupId, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, SyncGroupRequest, SyncGroupResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use protocol::{ErrorCode, StrBytes, TopicId};

use super::config::GroupCoordinatorConfig;
use super::consumer::refuse_heartbeat;
use super::metadata::MetadataChange;
use super::share::{GroupCommandAnswer, message_of, refuse_heartbeat as refuse_share_heartbeat};
use super::transactional::{txn_commit_error, txn_commit_topics};
use crate::RequestMeta;

/// The records of a group hold strings with 16-bit lengths.
pub(crate) const STRING_BYTES_MAX: usize = i16::MAX as usize;

#[derive(Clone, Debug, PartialEq)]
pub enum GroupRequest {
    JoinGroup(JoinGroupRequest),
    SyncGroup(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    OffsetCommit(OffsetCommitRequest),
    /// Its records are written in the transaction of the producer it names.
    TxnOffsetCommit(TxnOffsetCommitRequest),
    OffsetFetch {
        group: OffsetFetchRequestGroup,
        require_stable: bool,
    },
    OffsetDelete(OffsetDeleteRequest),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    ConsumerGroupDescribe(GroupId),
    ShareGroupHeartbeat(ShareGroupHeartbeatRequest),
    ShareGroupDescribe(GroupId),
    /// For which partitions of a share group there are offsets.
    SharePartitions(GroupId),
    AlterShareGroupOffsets(AlterShareGroupOffsetsRequest),
    DeleteShareGroupOffsets(DeleteShareGroupOffsetsRequest),
    /// The answer to a command.
    ShareStateChanged(GroupCommandAnswer),
    DescribeGroup(GroupId),
    /// Every shard answers with the groups it holds. Filters are as the request brought them.
    ListGroups {
        states: Vec<StrBytes>,
        types: Vec<StrBytes>,
    },
    DeleteGroup(GroupId),
    /// Topics that are gone from the metadata: their offsets are removed. For every shard.
    TopicsDeleted(Vec<DeletedTopic>),
    /// Topics or settings of groups are other ones now. For every shard.
    MetadataChanged(MetadataChange),
    /// What the shard has counted. For every shard.
    Counts,
}

/// What a shard has counted since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts {
    /// How often the epoch of a consumer group was raised.
    pub consumer_group_rebalances: u64,
    /// How often the epoch of a share group was raised.
    pub share_group_rebalances: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: Arc<str>,
    pub id: TopicId,
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupResponse {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    OffsetFetch(OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(DescribedConsumerGroup),
    ShareGroupHeartbeat(ShareGroupHeartbeatResponse),
    ShareGroupDescribe(DescribedShareGroup),
    SharePartitions(Result<Vec<(TopicId, Vec<i32>)>, ErrorCode>),
    AlterShareGroupOffsets(AlterShareGroupOffsetsResponse),
    DeleteShareGroupOffsets(DeleteShareGroupOffsetsResponse),
    ShareStateChanged,
    DescribeGroup(DescribedGroup),
    ListGroups(Vec<ListedGroup>),
    DeleteGroup(DeletableGroupResult),
    /// The removal has begun; large ones go on by timer.
    TopicsDeleted,
    MetadataChanged,
    Counts(GroupCounts),
}

impl GroupRequest {
    /// The group that decides which shard gets the request; none for those that go to all.
    pub fn group_id(&self) -> Option<&StrBytes> {
        match self {
            GroupRequest::JoinGroup(request) => Some(&request.group_id.0),
            GroupRequest::SyncGroup(request) => Some(&request.group_id.0),
            GroupRequest::Heartbeat(request) => Some(&request.group_id.0),
            GroupRequest::LeaveGroup(request) => Some(&request.group_id.0),
            GroupRequest::OffsetCommit(request) => Some(&request.group_id.0),
            GroupRequest::TxnOffsetCommit(request) => Some(&request.group_id.0),
            GroupRequest::OffsetFetch { group, .. } => Some(&group.group_id.0),
            GroupRequest::OffsetDelete(request) => Some(&request.group_id.0),
            GroupRequest::ConsumerGroupHeartbeat(request) => Some(&request.group_id.0),
            GroupRequest::ShareGroupHeartbeat(request) => Some(&request.group_id.0),
            GroupRequest::AlterShareGroupOffsets(request) => Some(&request.group_id.0),
            GroupRequest::DeleteShareGroupOffsets(request) => Some(&request.group_id.0),
            GroupRequest::ShareStateChanged(change) => Some(&change.group_id().0),
            GroupRequest::DescribeGroup(group_id)
            | GroupRequest::ConsumerGroupDescribe(group_id)
            | GroupRequest::ShareGroupDescribe(group_id)
            | GroupRequest::SharePartitions(group_id)
            | GroupRequest::DeleteGroup(group_id) => Some(&group_id.0),
            GroupRequest::ListGroups { .. }
            | GroupRequest::TopicsDeleted(_)
            | GroupRequest::MetadataChanged(_)
            | GroupRequest::Counts => None,
        }
    }

    /// What upstream answers before it looks for the group's coordinator, if anything.
    ///
    /// The shard asks again, so calling this first only saves the way when there is no shard.
    pub fn refuse_early(
        &self,
        meta: &RequestMeta,
        config: &GroupCoordinatorConfig,
    ) -> Option<GroupResponse> {
        if let GroupRequest::ConsumerGroupHeartbeat(request) = self {
            let refusal = refuse_heartbeat(meta.api_version, request, config).err()?;
            return Some(GroupResponse::ConsumerGroupHeartbeat(
                refusal.of_heartbeat(),
            ));
        }
        if let GroupRequest::ShareGroupHeartbeat(request) = self {
            let refusal = refuse_share_heartbeat(request).err()?;
            let response = refusal.of_share_heartbeat();
            return Some(GroupResponse::ShareGroupHeartbeat(response));
        }
        let code = match self {
            GroupRequest::JoinGroup(request) => refuse_join(request, config),
            GroupRequest::SyncGroup(request)
                if meta.api_version >= 5
                    && (request.protocol_type.is_none() || request.protocol_name.is_none()) =>
            {
                // KIP-559: who can name the protocol must.
                Some(ErrorCode::InconsistentGroupProtocol)
            }
            GroupRequest::SyncGroup(_)
            | GroupRequest::Heartbeat(_)
            | GroupRequest::LeaveGroup(_)
            | GroupRequest::OffsetDelete(_)
            | GroupRequest::ShareGroupDescribe(_)
            | GroupRequest::DeleteShareGroupOffsets(_) => self.refuse_empty_group(),
            GroupRequest::AlterShareGroupOffsets(request) => {
                let id = &request.group_id;
                (id.is_empty() || id.len() > STRING_BYTES_MAX).then_some(ErrorCode::InvalidGroupId)
            }
            GroupRequest::OffsetCommit(request) => {
                // An empty group id is allowed here, for old simple consumers.
                (request.group_id.len() > STRING_BYTES_MAX).then_some(ErrorCode::InvalidGroupId)
            }
            GroupRequest::TxnOffsetCommit(request) => {
                let id = &request.group_id;
                (id.is_empty() || id.len() > STRING_BYTES_MAX).then_some(ErrorCode::InvalidGroupId)
            }
            GroupRequest::OffsetFetch { .. }
            | GroupRequest::ConsumerGroupHeartbeat(_)
            | GroupRequest::ConsumerGroupDescribe(_)
            | GroupRequest::ShareGroupHeartbeat(_)
            | GroupRequest::SharePartitions(_)
            | GroupRequest::ShareStateChanged(_)
            | GroupRequest::DescribeGroup(_)
            | GroupRequest::ListGroups { .. }
            | GroupRequest::DeleteGroup(_)
            | GroupRequest::TopicsDeleted(_)
            | GroupRequest::MetadataChanged(_)
            | GroupRequest::Counts => None,
        }?;
        let mut response = OnError::of(self, meta).response(code);
        if let (GroupRequest::JoinGroup(request), GroupResponse::JoinGroup(response)) =
            (self, &mut response)
        {
            response.member_id = request.member_id.clone();
        }
        Some(response)
    }

    fn refuse_empty_group(&self) -> Option<ErrorCode> {
        self.group_id()
            .is_some_and(|id| id.is_empty())
            .then_some(ErrorCode::InvalidGroupId)
    }
}

fn refuse_join(request: &JoinGroupRequest, config: &GroupCoordinatorConfig) -> Option<ErrorCode> {
    let allowed = config.group_min_session_timeout_ms..=config.group_max_session_timeout_ms;
    let too_long = |text: &str| text.len() > STRING_BYTES_MAX;
    if request.group_id.is_empty() || too_long(&request.group_id) {
        Some(ErrorCode::InvalidGroupId)
    } else if !allowed.contains(&request.session_timeout_ms) {
        Some(ErrorCode::InvalidSessionTimeout)
    } else if too_long(&request.protocol_type)
        || request
            .protocols
            .iter()
            .any(|protocol| too_long(&protocol.name))
    {
        // Upstream lets them in and fails with UNKNOWN_SERVER_ERROR when it writes the group.
        Some(ErrorCode::InvalidRequest)
    } else {
        None
    }
}

/// Shapes the answer to a request that failed as a whole: no coordinator, still loading, records
/// that could not be written.
#[derive(Clone, Debug)]
pub struct OnError {
    api_version: i16,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Join,
    Sync,
    Heartbeat,
    Leave(Vec<MemberIdentity>),
    Commit(Vec<OffsetCommitResponseTopic>),
    TxnCommit(Vec<TxnOffsetCommitResponseTopic>),
    Fetch(GroupId),
    OffsetDelete,
    ConsumerHeartbeat,
    ConsumerDescribe(GroupId),
    ShareHeartbeat,
    ShareDescribe(GroupId),
    SharePartitions,
    AlterShareOffsets,
    DeleteShareOffsets,
    ShareStateChanged,
    Describe(GroupId),
    List,
    Delete(GroupId),
    TopicsDeleted,
    MetadataChanged,
    Counts,
}

impl OnError {
    /// Takes from a request what its error answer repeats.
    pub fn of(request: &GroupRequest, meta: &RequestMeta) -> OnError {
        let shape = match request {
            GroupRequest::JoinGroup(_) => Shape::Join,
            GroupRequest::SyncGroup(_) => Shape::Sync,
            GroupRequest::Heartbeat(_) => Shape::Heartbeat,
            GroupRequest::LeaveGroup(request) => Shape::Leave(leaving(request, meta.api_version)),
            GroupRequest::OffsetCommit(request) => Shape::Commit(commit_topics(request)),
            GroupRequest::TxnOffsetCommit(request) => Shape::TxnCommit(txn_commit_topics(request)),
            GroupRequest::OffsetFetch { group, .. } => Shape::Fetch(group.group_id.clone()),
            GroupRequest::OffsetDelete(_) => Shape::OffsetDelete,
            GroupRequest::ConsumerGroupHeartbeat(_) => Shape::ConsumerHeartbeat,
            GroupRequest::ConsumerGroupDescribe(group_id) => {
                Shape::ConsumerDescribe(group_id.clone())
            }
            GroupRequest::ShareGroupHeartbeat(_) => Shape::ShareHeartbeat,
            GroupRequest::ShareGroupDescribe(group_id) => Shape::ShareDescribe(group_id.clone()),
            GroupRequest::SharePartitions(_) => Shape::SharePartitions,
            GroupRequest::AlterShareGroupOffsets(_) => Shape::AlterShareOffsets,
            GroupRequest::DeleteShareGroupOffsets(_) => Shape::DeleteShareOffsets,
            GroupRequest::ShareStateChanged(_) => Shape::ShareStateChanged,
            GroupRequest::DescribeGroup(group_id) => Shape::Describe(group_id.clone()),
            GroupRequest::ListGroups { .. } => Shape::List,
            GroupRequest::DeleteGroup(group_id) => Shape::Delete(group_id.clone()),
            GroupRequest::TopicsDeleted(_) => Shape::TopicsDeleted,
            GroupRequest::MetadataChanged(_) => Shape::MetadataChanged,
            GroupRequest::Counts => Shape::Counts,
        };
        OnError {
            api_version: meta.api_version,
            shape,
        }
    }

    /// The answer. A code of the log is turned into the coordinator's first.
    pub fn response(&self, code: ErrorCode) -> GroupResponse {
        let code = append_error(code);
        match &self.shape {
            Shape::Join => {
                let response = JoinGroupResponse::default().with_error_code(code.code());
                GroupResponse::JoinGroup(shape_join(response, self.api_version))
            }
            Shape::Sync => {
                GroupResponse::SyncGroup(SyncGroupResponse::default().with_error_code(code.code()))
            }
            Shape::Heartbeat => GroupResponse::Heartbeat(heartbeat_error(code)),
            Shape::Leave(members) => {
                GroupResponse::LeaveGroup(leave_error(members, self.api_version, code))
            }
            Shape::Commit(topics) => GroupResponse::OffsetCommit(commit_error(topics, code)),
            Shape::TxnCommit(topics) => {
                GroupResponse::TxnOffsetCommit(txn_commit_error(topics, code))
            }
            Shape::Fetch(group_id) => GroupResponse::OffsetFetch(
                OffsetFetchResponseGroup::default()
                    .with_group_id(group_id.clone())
                    .with_error_code(fetch_error(code).code()),
            ),
            Shape::OffsetDelete => GroupResponse::OffsetDelete(
                OffsetDeleteResponse::default().with_error_code(code.code()),
            ),
            Shape::ConsumerHeartbeat => GroupResponse::ConsumerGroupHeartbeat(
                ConsumerGroupHeartbeatResponse::default().with_error_code(code.code()),
            ),
            Shape::ConsumerDescribe(group_id) => GroupResponse::ConsumerGroupDescribe(
                DescribedConsumerGroup::default()
                    .with_group_id(group_id.clone())
                    .with_error_code(code.code()),
            ),
            Shape::ShareHeartbeat => GroupResponse::ShareGroupHeartbeat(
                ShareGroupHeartbeatResponse::default().with_error_code(code.code()),
            ),
            Shape::ShareDescribe(group_id) => GroupResponse::ShareGroupDescribe(
                DescribedShareGroup::default()
                    .with_group_id(group_id.clone())
                    .with_error_code(code.code()),
            ),
            Shape::SharePartitions => GroupResponse::SharePartitions(Err(code)),
            Shape::AlterShareOffsets => GroupResponse::AlterShareGroupOffsets(
                AlterShareGroupOffsetsResponse::default()
                    .with_error_code(code.code())
                    .with_error_message(message_of(code)),
            ),
            Shape::DeleteShareOffsets => GroupResponse::DeleteShareGroupOffsets(
                DeleteShareGroupOffsetsResponse::default()
                    .with_error_code(code.code())
                    .with_error_message(message_of(code)),
            ),
            Shape::ShareStateChanged => GroupResponse::ShareStateChanged,
            Shape::Describe(group_id) => GroupResponse::DescribeGroup(
                DescribedGroup::default()
                    .with_group_id(group_id.clone())
                    .with_error_code(code.code()),
            ),
            Shape::List => GroupResponse::ListGroups(Vec::new()),
            Shape::Delete(group_id) => GroupResponse::DeleteGroup(
                DeletableGroupResult::default()
                    .with_group_id(group_id.clone())
                    .with_error_code(code.code()),
            ),
            Shape::TopicsDeleted => GroupResponse::TopicsDeleted,
            Shape::MetadataChanged => GroupResponse::MetadataChanged,
            Shape::Counts => GroupResponse::Counts(GroupCounts::default()),
        }
    }
}

/// What a failed append means to a client of the coordinator.
pub fn append_error(code: ErrorCode) -> ErrorCode {
    // Kafka's enum is not ours: every code not named here passes as it is.
    #[allow(clippy::wildcard_enum_match_arm)]
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge
        | ErrorCode::RecordListTooLarge
        | ErrorCode::InvalidFetchSize => ErrorCode::UnknownServerError,
        other => other,
    }
}

/// Consumers before 3.9 do not know COORDINATOR_NOT_AVAILABLE in an answer to OffsetFetch.
fn fetch_error(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::CoordinatorNotAvailable {
        ErrorCode::NotCoordinator
    } else {
        code
    }
}

fn heartbeat_error(code: ErrorCode) -> HeartbeatResponse {
    // While the group loads, the member is asked to go on as before.
    let code = if code == ErrorCode::CoordinatorLoadInProgress {
        0
    } else {
        code.code()
    };
    HeartbeatResponse::default().with_error_code(code)
}

/// Before version 7 no protocol is the empty name, from then on it is null.
pub(crate) fn shape_join(mut response: JoinGroupResponse, api_version: i16) -> JoinGroupResponse {
    let named = response
        .protocol_name
        .take()
        .filter(|name| !name.is_empty());
    response.protocol_name = if api_version < 7 {
        Some(named.unwrap_or_default())
    } else {
        named
    };
    response
}

/// Version 0 to 2 name one member, later ones a list.
pub(crate) fn leaving(request: &LeaveGroupRequest, api_version: i16) -> Vec<MemberIdentity> {
    if api_version <= 2 {
        vec![MemberIdentity::default().with_member_id(request.member_id.clone())]
    } else {
        request.members.clone()
    }
}

fn leave_error(
    members: &[MemberIdentity],
    api_version: i16,
    code: ErrorCode,
) -> LeaveGroupResponse {
    if code != ErrorCode::UnknownMemberId {
        return LeaveGroupResponse::default().with_error_code(code.code());
    }
    let members = members
        .iter()
        .map(|member| left(member, Err(code)))
        .collect();
    shape_leave(members, api_version)
}

/// What LeaveGroup says of one member.
pub(crate) fn left(member: &MemberIdentity, result: Result<(), ErrorCode>) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(member.member_id.clone())
        .with_group_instance_id(member.group_instance_id.clone())
        .with_error_code(protocol::code_of(result))
}

/// Version 0 to 2 have no list of members: the first error stands for all.
pub(crate) fn shape_leave(members: Vec<MemberResponse>, api_version: i16) -> LeaveGroupResponse {
    if api_version > 2 {
        return LeaveGroupResponse::default().with_members(members);
    }
    let code = members
        .iter()
        .map(|member| member.error_code)
        .find(|&code| code != 0);
    LeaveGroupResponse::default().with_error_code(code.unwrap_or(0))
}

fn commit_topics(request: &OffsetCommitRequest) -> Vec<OffsetCommitResponseTopic> {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index)
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

fn commit_error(topics: &[OffsetCommitResponseTopic], code: ErrorCode) -> OffsetCommitResponse {
    let mut topics = topics.to_vec();
    for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = code.code();
    }
    OffsetCommitResponse::default().with_topics(topics)
}
