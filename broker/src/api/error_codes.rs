//! The error codes in an answer, to be counted.
//!
//! Invariant: each place that upstream counts (`errorCounts`) is looked at; 0 is no error.

use protocol::messages::*;
use protocol::response::fetch::FetchResponse;
use protocol::response::share_fetch::ShareFetchResponse;

/// An answer whose errors are counted.
pub(super) trait ErrorCodes {
    /// The codes in it, 0 among them.
    fn error_codes(&self) -> impl Iterator<Item = i16>;
}

macro_rules! error_codes {
    ($($response:ty: |$it:ident| $codes:expr;)*) => {$(
        impl ErrorCodes for $response {
            fn error_codes(&self) -> impl Iterator<Item = i16> {
                let $it = self;
                $codes
            }
        }
    )*};
}

/// One code for all.
macro_rules! top_level {
    ($($response:ty;)*) => {
        error_codes! { $($response: |it| std::iter::once(it.error_code);)* }
    };
}

top_level! {
    AddOffsetsToTxnResponse;
    ApiVersionsResponse;
    ConsumerGroupHeartbeatResponse;
    DescribeAclsResponse;
    DescribeClusterResponse;
    EndTxnResponse;
    GetTelemetrySubscriptionsResponse;
    HeartbeatResponse;
    InitProducerIdResponse;
    JoinGroupResponse;
    ListConfigResourcesResponse;
    ListGroupsResponse;
    ListTransactionsResponse;
    ListPartitionReassignmentsResponse;
    PushTelemetryResponse;
    SaslHandshakeResponse;
    ShareGroupHeartbeatResponse;
    SyncGroupResponse;
}

/// A code of the whole, and one of each part.
macro_rules! with_parts {
    ($($response:ty: $parts:ident;)*) => {
        error_codes! {$(
            $response: |it| std::iter::once(it.error_code)
                .chain(it.$parts.iter().map(|part| part.error_code));
        )*}
    };
}

with_parts! {
    DeleteShareGroupOffsetsResponse: responses;
    DescribeLogDirsResponse: results;
    LeaveGroupResponse: members;
    UpdateFeaturesResponse: results;
}

/// A code of each part.
macro_rules! parts {
    ($($response:ty: $parts:ident;)*) => {
        error_codes! {$(
            $response: |it| it.$parts.iter().map(|part| part.error_code);
        )*}
    };
}

parts! {
    AlterConfigsResponse: responses;
    ConsumerGroupDescribeResponse: groups;
    CreateAclsResponse: results;
    CreatePartitionsResponse: results;
    CreateTopicsResponse: topics;
    DeleteAclsResponse: filter_results;
    DeleteGroupsResponse: results;
    DeleteTopicsResponse: responses;
    DescribeConfigsResponse: results;
    DescribeGroupsResponse: groups;
    DescribeTransactionsResponse: transaction_states;
    IncrementalAlterConfigsResponse: responses;
    ShareGroupDescribeResponse: groups;
}

/// A code of each partition of each topic.
macro_rules! partitions {
    ($($response:ty: $topics:ident $partitions:ident;)*) => {
        error_codes! {$(
            $response: |it| it.$topics.iter()
                .flat_map(|topic| topic.$partitions.iter().map(|part| part.error_code));
        )*}
    };
}

partitions! {
    DeleteRecordsResponse: topics partitions;
    DeleteShareGroupStateResponse: results partitions;
    DescribeProducersResponse: topics partitions;
    InitializeShareGroupStateResponse: results partitions;
    ListOffsetsResponse: topics partitions;
    OffsetCommitResponse: topics partitions;
    OffsetForLeaderEpochResponse: topics partitions;
    ProduceResponse: responses partition_responses;
    ReadShareGroupStateResponse: results partitions;
    ReadShareGroupStateSummaryResponse: results partitions;
    TxnOffsetCommitResponse: topics partitions;
    WriteShareGroupStateResponse: results partitions;
}

/// A code of the whole, and one of each partition of each topic.
macro_rules! with_partitions {
    ($($response:ty: $topics:ident $partitions:ident;)*) => {
        error_codes! {$(
            $response: |it| std::iter::once(it.error_code).chain(it.$topics.iter()
                .flat_map(|topic| topic.$partitions.iter().map(|part| part.error_code)));
        )*}
    };
}

with_partitions! {
    AlterShareGroupOffsetsResponse: responses partitions;
    DescribeQuorumResponse: topics partitions;
    ElectLeadersResponse: replica_election_results partition_result;
    FetchResponse: responses partitions;
    ShareAcknowledgeResponse: responses partitions;
    ShareFetchResponse: responses partitions;
    OffsetDeleteResponse: topics partitions;
}

error_codes! {
    // A code of the whole only where there are many transactions.
    AddPartitionsToTxnResponse: |it| {
        let transactions = it.results_by_transaction.iter().flat_map(|one| &one.topic_results);
        let topics = it.results_by_topic_v3_and_below.iter().chain(transactions);
        let whole = it.results_by_topic_v3_and_below.is_empty().then_some(it.error_code);
        whole.into_iter().chain(topics.flat_map(|topic| {
            topic.results_by_partition.iter().map(|part| part.partition_error_code)
        }))
    };
    WriteTxnMarkersResponse: |it| it.markers.iter()
        .flat_map(|marker| &marker.topics)
        .flat_map(|topic| topic.partitions.iter().map(|part| part.error_code));
    FindCoordinatorResponse: |it| std::iter::once(it.error_code)
        .chain(it.coordinators.iter().map(|one| one.error_code));
    // Of a topic and of its partitions; the code of the whole repeats them.
    MetadataResponse: |it| it.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter().map(|part| part.error_code);
        std::iter::once(topic.error_code).chain(partitions)
    });
    DescribeTopicPartitionsResponse: |it| it.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter().map(|part| part.error_code);
        std::iter::once(topic.error_code).chain(partitions)
    });
    // Of a group only what went wrong.
    DescribeShareGroupOffsetsResponse: |it| it.groups.iter().flat_map(|group| {
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        let group = Some(group.error_code).filter(|code| *code != 0);
        group.into_iter().chain(partitions.map(|it| it.error_code))
    });
    OffsetFetchResponse: |it| {
        let old = it.topics.iter().flat_map(|topic| topic.partitions.iter().map(|it| it.error_code));
        let groups = it.groups.iter().flat_map(|group| {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
            std::iter::once(group.error_code).chain(partitions.map(|it| it.error_code))
        });
        std::iter::once(it.error_code).chain(old).chain(groups)
    };
}
