//! The answer of each API that says nothing but an error.
//!
//! Invariant: the code stands where upstream's `getErrorResponse` puts it; fields that a version
//! has not are left alone.

use std::sync::Arc;

use protocol::messages::*;
use protocol::response::fetch::FetchResponse;
use protocol::{ErrorCode, StrBytes};

use super::super::respond::FetchReply;
use super::super::{RequestContext, fetch, produce};
use super::{Faultable, topics};
use crate::faults::Topics;

/// The sentence beside the code, where there is a place for one.
fn message(code: ErrorCode) -> Option<StrBytes> {
    Some(StrBytes::from_string(code.to_string()))
}

/// Answers with one code for all.
macro_rules! top_level {
    ($($request:ident => $response:ident;)*) => {$(
        impl Faultable for $request {
            type Answer = $response;

            fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> $response {
                $response::default().with_error_code(code.code())
            }
        }
    )*};
}

top_level! {
    HeartbeatRequest => HeartbeatResponse;
    LeaveGroupRequest => LeaveGroupResponse;
    SyncGroupRequest => SyncGroupResponse;
    ListGroupsRequest => ListGroupsResponse;
    AddOffsetsToTxnRequest => AddOffsetsToTxnResponse;
    ListTransactionsRequest => ListTransactionsResponse;
    SaslHandshakeRequest => SaslHandshakeResponse;
    ApiVersionsRequest => ApiVersionsResponse;
    ListConfigResourcesRequest => ListConfigResourcesResponse;
    GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse;
    PushTelemetryRequest => PushTelemetryResponse;
}

/// As `top_level`, with a sentence beside the code.
macro_rules! top_level_with_message {
    ($($request:ident => $response:ident since $version:literal;)*) => {$(
        impl Faultable for $request {
            type Answer = $response;

            fn refused(self, ctx: &RequestContext, code: ErrorCode) -> $response {
                let response = $response::default().with_error_code(code.code());
                if ctx.version < $version {
                    return response;
                }
                response.with_error_message(message(code))
            }
        }
    )*};
}

top_level_with_message! {
    DescribeAclsRequest => DescribeAclsResponse since 0;
    UpdateFeaturesRequest => UpdateFeaturesResponse since 0;
    DescribeClusterRequest => DescribeClusterResponse since 0;
    DescribeQuorumRequest => DescribeQuorumResponse since 2;
}

impl Faultable for ProduceRequest {
    type Answer = produce::ProduceReply;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> produce::ProduceReply {
        produce::refuse_request(ctx, self, code)
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        let topics = self.topic_data.iter().map(|topic| {
            let partitions = topic.partition_data.iter().map(|data| data.index);
            (Arc::from(topic.name.as_str()), topic.topic_id, partitions)
        });
        topics::by_name_or_id(ctx, topics)
    }
}

impl Faultable for FetchRequest {
    type Answer = FetchReply;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> FetchReply {
        let mut reply = fetch::refuse_all(ctx, &self, code);
        let FetchResponse { session_id, .. } = &mut reply.response;
        *session_id = self.session_id;
        reply
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        topics::of_fetch(ctx, self)
    }
}

impl Faultable for ListOffsetsRequest {
    type Answer = ListOffsetsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ListOffsetsResponse {
        use list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                ListOffsetsPartitionResponse::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code.code())
                    .with_timestamp(-1)
                    .with_offset(-1)
            });
            ListOffsetsTopicResponse::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::named(self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (&topic.name, partitions)
        }))
    }
}

impl Faultable for MetadataRequest {
    type Answer = MetadataResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> MetadataResponse {
        use metadata_response::MetadataResponseTopic;
        let topics = self.topics.unwrap_or_default().into_iter().map(|topic| {
            let name = topic.name.unwrap_or_default();
            MetadataResponseTopic::default()
                .with_error_code(code.code())
                .with_name(Some(name))
                .with_topic_id(topic.topic_id)
        });
        let response = MetadataResponse::default().with_topics(topics.collect());
        if ctx.version < 13 {
            return response;
        }
        response.with_error_code(code.code())
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        match &self.topics {
            None => Topics::All,
            Some(topics) if topics.is_empty() && ctx.version == 0 => Topics::All,
            Some(topics) => {
                let named = topics.iter().filter_map(|topic| {
                    let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
                    Some((topics::name(ctx, name, topic.topic_id)?, None))
                });
                Topics::Some(named.collect())
            }
        }
    }
}

impl Faultable for OffsetCommitRequest {
    type Answer = OffsetCommitResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> OffsetCommitResponse {
        use offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code.code())
            });
            OffsetCommitResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_topic_id(topic.topic_id)
                .with_name(topic.name)
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (Arc::from(topic.name.as_str()), topic.topic_id, partitions)
        });
        topics::by_name_or_id(ctx, topics)
    }
}

impl Faultable for OffsetFetchRequest {
    type Answer = OffsetFetchResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> OffsetFetchResponse {
        use offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
        };
        if ctx.version >= 8 {
            let groups = self.groups.into_iter().map(|group| {
                OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id)
                    .with_error_code(code.code())
            });
            return OffsetFetchResponse::default().with_groups(groups.collect());
        }
        if ctx.version >= 2 {
            return OffsetFetchResponse::default().with_error_code(code.code());
        }
        let topics = self.topics.unwrap_or_default().into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(*index)
                    .with_committed_offset(-1)
                    .with_metadata(Some(StrBytes::default()))
                    .with_error_code(code.code())
            });
            OffsetFetchResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        OffsetFetchResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        if ctx.version < 8 {
            let Some(topics) = &self.topics else {
                return Topics::All;
            };
            let named = topics.iter();
            return topics::named(
                named.map(|topic| (&topic.name, topic.partition_indexes.iter().copied())),
            );
        }
        if self.groups.iter().any(|group| group.topics.is_none()) {
            return Topics::All;
        }
        let topics = self
            .groups
            .iter()
            .flat_map(|group| group.topics.iter().flatten());
        let topics = topics.map(|topic| {
            let partitions = topic.partition_indexes.iter().copied();
            (Arc::from(topic.name.as_str()), topic.topic_id, partitions)
        });
        topics::by_name_or_id(ctx, topics)
    }
}

impl Faultable for FindCoordinatorRequest {
    type Answer = FindCoordinatorResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> FindCoordinatorResponse {
        use find_coordinator_response::Coordinator;
        if ctx.version >= 4 {
            let coordinators = self.coordinator_keys.into_iter().map(|key| {
                Coordinator::default()
                    .with_key(key)
                    .with_node_id(BrokerId(-1))
                    .with_port(-1)
                    .with_error_code(code.code())
                    .with_error_message(message(code))
            });
            return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
        }
        let response = FindCoordinatorResponse::default()
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(code.code());
        if ctx.version == 0 {
            return response;
        }
        response.with_error_message(message(code))
    }
}

impl Faultable for JoinGroupRequest {
    type Answer = JoinGroupResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> JoinGroupResponse {
        // Null since version 7 (KIP-559).
        let protocol_name = (ctx.version < 7).then(StrBytes::default);
        JoinGroupResponse::default()
            .with_error_code(code.code())
            .with_generation_id(-1)
            .with_protocol_name(protocol_name)
    }
}

impl Faultable for DescribeGroupsRequest {
    type Answer = DescribeGroupsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DescribeGroupsResponse {
        use describe_groups_response::DescribedGroup;
        let groups = self.groups.into_iter().map(|group| {
            DescribedGroup::default()
                .with_group_id(group)
                .with_error_code(code.code())
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }
}

impl Faultable for CreateTopicsRequest {
    type Answer = CreateTopicsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> CreateTopicsResponse {
        use create_topics_response::CreatableTopicResult;
        let topics = self.topics.into_iter().map(|topic| {
            CreatableTopicResult::default()
                .with_name(topic.name)
                .with_error_code(code.code())
                .with_error_message(message(code))
        });
        CreateTopicsResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::whole(self.topics.iter().map(|topic| topic.name.as_str()))
    }
}

impl Faultable for DeleteTopicsRequest {
    type Answer = DeleteTopicsResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> DeleteTopicsResponse {
        use delete_topics_response::DeletableTopicResult;
        let by_name = self
            .topic_names
            .into_iter()
            .map(|name| (Some(name), uuid::Uuid::nil()));
        let named = self
            .topics
            .into_iter()
            .map(|topic| (topic.name, topic.topic_id));
        let responses = by_name.chain(named).map(|(name, id)| {
            let result = DeletableTopicResult::default()
                .with_name(name)
                .with_topic_id(id)
                .with_error_code(code.code());
            if ctx.version < 5 {
                return result;
            }
            result.with_error_message(message(code))
        });
        DeleteTopicsResponse::default().with_responses(responses.collect())
    }

    fn topics(&self, ctx: &RequestContext) -> Topics {
        let by_name = self.topic_names.iter().map(|name| Arc::from(name.as_str()));
        let named = self.topics.iter().filter_map(|topic| {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            topics::name(ctx, name, topic.topic_id)
        });
        Topics::Some(by_name.chain(named).map(|name| (name, None)).collect())
    }
}

impl Faultable for DeleteRecordsRequest {
    type Answer = DeleteRecordsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DeleteRecordsResponse {
        use delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(partition.partition_index)
                    .with_low_watermark(-1)
                    .with_error_code(code.code())
            });
            DeleteRecordsTopicResult::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::named(self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (&topic.name, partitions)
        }))
    }
}

impl Faultable for InitProducerIdRequest {
    type Answer = InitProducerIdResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    }
}

impl Faultable for OffsetForLeaderEpochRequest {
    type Answer = OffsetForLeaderEpochResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> OffsetForLeaderEpochResponse {
        use offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                EpochEndOffset::default()
                    .with_partition(partition.partition)
                    .with_error_code(code.code())
            });
            OffsetForLeaderTopicResult::default()
                .with_partitions(partitions.collect())
                .with_topic(topic.topic)
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::named(self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition);
            (&topic.topic, partitions)
        }))
    }
}

mod admin;
mod groups;
mod share_states;
mod shares;
mod transactions;
