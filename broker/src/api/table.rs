//! THE API TABLE: every API served, at which versions, by which handler.

use std::future::Future;
use std::ops::{ControlFlow, RangeInclusive};
use std::pin::Pin;

use bytes::Bytes;
use protocol::messages::*;
use protocol::response::{self, ResponseBuf};
use protocol::{ErrorCode, Request};

use super::respond::{IntoReply, decode};
use super::{Refusal, Reply, RequestContext, faults};
use crate::network::Chunk;

type Answering = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send>>;

/// One row of the table.
pub struct Api {
    /// The API key on the wire.
    pub key: i16,
    /// Kafka's name of the API.
    pub name: &'static str,
    /// What ApiVersions tells clients.
    pub advertised: RangeInclusive<i16>,
    /// What is answered; the connection is closed on other versions. Differs from `advertised`
    /// for Produce alone: upstream advertises 0-2 for old librdkafka (KAFKA-18659) and closes the
    /// connection on them.
    pub served: RangeInclusive<i16>,
    pub(super) handle: fn(RequestContext, Bytes) -> Answering,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("key", &self.key)
            .field("name", &self.name)
            .finish()
    }
}

pub(super) const API_VERSIONS: i16 = ApiVersionsRequest::KEY;

macro_rules! apis {
    ($($module:ident $name:ident($request:ty) $min:literal..=$max:literal $(served $smin:literal..=$smax:literal)?;)*) => {
        /// Every API served, by key.
        pub static APIS: &[Api] = &[$(Api {
            key: <$request as Request>::KEY,
            name: stringify!($name),
            advertised: $min..=$max,
            served: served!($min..=$max $(, $smin..=$smax)?),
            handle: |mut ctx, body| Box::pin(async move {
                let request = decode::<$request>(&ctx, body)?;
                if ctx.node.faults.is_empty() {
                    return super::$module::handle(&ctx, request).await.into_reply(&ctx);
                }
                let (request, after) = match faults::before(&mut ctx, request).await {
                    ControlFlow::Continue(goes_on) => goes_on,
                    ControlFlow::Break(reply) => return reply,
                };
                after.of(super::$module::handle(&ctx, request).await.into_reply(&ctx))
            }),
        }),*];
    };
}

macro_rules! served {
    ($advertised:expr) => {
        $advertised
    };
    ($advertised:expr, $served:expr) => {
        $served
    };
}

// handler                     name and request                                              versions
apis! {
    produce Produce(ProduceRequest) 0..=13 served 3..=13;
    fetch Fetch(FetchRequest) 4..=18;
    list_offsets ListOffsets(ListOffsetsRequest) 1..=11;
    metadata Metadata(MetadataRequest) 0..=13;
    offset_commit OffsetCommit(OffsetCommitRequest) 2..=10;
    offset_fetch OffsetFetch(OffsetFetchRequest) 1..=10;
    find_coordinator FindCoordinator(FindCoordinatorRequest) 0..=6;
    join_group JoinGroup(JoinGroupRequest) 0..=9;
    heartbeat Heartbeat(HeartbeatRequest) 0..=4;
    leave_group LeaveGroup(LeaveGroupRequest) 0..=5;
    sync_group SyncGroup(SyncGroupRequest) 0..=5;
    describe_groups DescribeGroups(DescribeGroupsRequest) 0..=6;
    list_groups ListGroups(ListGroupsRequest) 0..=5;
    sasl_handshake SaslHandshake(SaslHandshakeRequest) 0..=1;
    api_versions ApiVersions(ApiVersionsRequest) 0..=4;
    create_topics CreateTopics(CreateTopicsRequest) 2..=7;
    delete_topics DeleteTopics(DeleteTopicsRequest) 1..=6;
    delete_records DeleteRecords(DeleteRecordsRequest) 0..=2;
    init_producer_id InitProducerId(InitProducerIdRequest) 0..=5;
    offset_for_leader_epoch OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) 2..=4;
    add_partitions_to_txn AddPartitionsToTxn(AddPartitionsToTxnRequest) 0..=5;
    add_offsets_to_txn AddOffsetsToTxn(AddOffsetsToTxnRequest) 0..=4;
    end_txn EndTxn(EndTxnRequest) 0..=5;
    write_txn_markers WriteTxnMarkers(WriteTxnMarkersRequest) 1..=2;
    txn_offset_commit TxnOffsetCommit(TxnOffsetCommitRequest) 0..=5;
    describe_acls DescribeAcls(DescribeAclsRequest) 1..=3;
    create_acls CreateAcls(CreateAclsRequest) 1..=3;
    delete_acls DeleteAcls(DeleteAclsRequest) 1..=3;
    describe_configs DescribeConfigs(DescribeConfigsRequest) 1..=4;
    alter_configs AlterConfigs(AlterConfigsRequest) 0..=2;
    describe_log_dirs DescribeLogDirs(DescribeLogDirsRequest) 1..=5;
    create_partitions CreatePartitions(CreatePartitionsRequest) 0..=3;
    delete_groups DeleteGroups(DeleteGroupsRequest) 0..=2;
    elect_leaders ElectLeaders(ElectLeadersRequest) 0..=2;
    incremental_alter_configs IncrementalAlterConfigs(IncrementalAlterConfigsRequest) 0..=1;
    list_partition_reassignments ListPartitionReassignments(ListPartitionReassignmentsRequest) 0..=0;
    offset_delete OffsetDelete(OffsetDeleteRequest) 0..=0;
    describe_quorum DescribeQuorum(DescribeQuorumRequest) 0..=2;
    update_features UpdateFeatures(UpdateFeaturesRequest) 0..=2;
    describe_cluster DescribeCluster(DescribeClusterRequest) 0..=2;
    describe_producers DescribeProducers(DescribeProducersRequest) 0..=0;
    describe_transactions DescribeTransactions(DescribeTransactionsRequest) 0..=0;
    list_transactions ListTransactions(ListTransactionsRequest) 0..=2;
    consumer_group_heartbeat ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest) 0..=1;
    consumer_group_describe ConsumerGroupDescribe(ConsumerGroupDescribeRequest) 0..=1;
    get_telemetry_subscriptions GetTelemetrySubscriptions(GetTelemetrySubscriptionsRequest) 0..=0;
    push_telemetry PushTelemetry(PushTelemetryRequest) 0..=0;
    list_config_resources ListConfigResources(ListConfigResourcesRequest) 0..=1;
    describe_topic_partitions DescribeTopicPartitions(DescribeTopicPartitionsRequest) 0..=0;
    share_group_heartbeat ShareGroupHeartbeat(ShareGroupHeartbeatRequest) 1..=1;
    share_group_describe ShareGroupDescribe(ShareGroupDescribeRequest) 1..=1;
    share_fetch ShareFetch(ShareFetchRequest) 1..=2;
    share_acknowledge ShareAcknowledge(ShareAcknowledgeRequest) 1..=2;
    initialize_share_group_state InitializeShareGroupState(InitializeShareGroupStateRequest) 0..=0;
    read_share_group_state ReadShareGroupState(ReadShareGroupStateRequest) 0..=0;
    write_share_group_state WriteShareGroupState(WriteShareGroupStateRequest) 0..=1;
    delete_share_group_state DeleteShareGroupState(DeleteShareGroupStateRequest) 0..=0;
    read_share_group_state_summary ReadShareGroupStateSummary(ReadShareGroupStateSummaryRequest) 0..=1;
    describe_share_group_offsets DescribeShareGroupOffsets(DescribeShareGroupOffsetsRequest) 0..=1;
    alter_share_group_offsets AlterShareGroupOffsets(AlterShareGroupOffsetsRequest) 0..=0;
    delete_share_group_offsets DeleteShareGroupOffsets(DeleteShareGroupOffsetsRequest) 0..=0;
}

/// The row of an API key.
pub(super) fn find(key: i16) -> Option<&'static Api> {
    APIS.binary_search_by_key(&key, |api| api.key)
        .ok()
        .and_then(|at| APIS.get(at))
}

/// ApiVersions at a version not known here: answered at version 0 with `UNSUPPORTED_VERSION` and
/// the range of ApiVersions, so that the client can ask again (KIP-511).
pub(super) fn api_versions_fallback(correlation_id: i32) -> Result<Reply, Refusal> {
    let versions = find(API_VERSIONS).map_or(0..=0, |api| api.advertised.clone());
    let row = api_versions_response::ApiVersion::default()
        .with_api_key(API_VERSIONS)
        .with_min_version(*versions.start())
        .with_max_version(*versions.end());
    let answer = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(vec![row]);
    let unwritable = |error: protocol::ProtocolError| Refusal::Unwritable {
        name: "ApiVersions",
        version: 0,
        reason: error.to_string(),
    };
    let mut buffer = ResponseBuf::new(API_VERSIONS, 0, correlation_id);
    buffer.put(&answer, 0).map_err(unwritable)?;
    let chunks = buffer
        .finish()
        .map_err(unwritable)?
        .into_iter()
        .filter_map(|chunk| match chunk {
            response::Chunk::Bytes(bytes) => Some(Chunk::Bytes(bytes)),
            response::Chunk::External { .. } => None,
        });
    Ok(Reply::Answer(chunks.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_ordered_by_key_and_serve_no_more_than_they_advertise() {
        assert!(APIS.is_sorted_by(|a, b| a.key < b.key));
        for api in APIS {
            assert!(api.advertised.start() <= api.served.start(), "{}", api.name);
            assert_eq!(api.advertised.end(), api.served.end(), "{}", api.name);
        }
    }
}
