//! The answers of errors of what administrators ask for.
//!
//! Invariant: as in the module above.

use protocol::ErrorCode;
use protocol::messages::*;

use super::message;
use crate::api::RequestContext;
use crate::api::faults::{Faultable, topics};
use crate::faults::Topics;

impl Faultable for CreateAclsRequest {
    type Answer = CreateAclsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> CreateAclsResponse {
        use create_acls_response::AclCreationResult;
        let results = self.creations.iter().map(|_| {
            AclCreationResult::default()
                .with_error_code(code.code())
                .with_error_message(message(code))
        });
        CreateAclsResponse::default().with_results(results.collect())
    }
}

impl Faultable for DeleteAclsRequest {
    type Answer = DeleteAclsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DeleteAclsResponse {
        use delete_acls_response::DeleteAclsFilterResult;
        let results = self.filters.iter().map(|_| {
            DeleteAclsFilterResult::default()
                .with_error_code(code.code())
                .with_error_message(message(code))
        });
        DeleteAclsResponse::default().with_filter_results(results.collect())
    }
}

impl Faultable for DescribeConfigsRequest {
    type Answer = DescribeConfigsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DescribeConfigsResponse {
        use describe_configs_response::DescribeConfigsResult;
        let results = self.resources.into_iter().map(|resource| {
            DescribeConfigsResult::default()
                .with_error_code(code.code())
                .with_error_message(message(code))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
        DescribeConfigsResponse::default().with_results(results.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let resources = self.resources.iter();
        topics::of_resources(resources.map(|it| (it.resource_type, it.resource_name.as_str())))
    }
}

impl Faultable for AlterConfigsRequest {
    type Answer = AlterConfigsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> AlterConfigsResponse {
        use alter_configs_response::AlterConfigsResourceResponse;
        let responses = self.resources.into_iter().map(|resource| {
            AlterConfigsResourceResponse::default()
                .with_error_code(code.code())
                .with_error_message(message(code))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let resources = self.resources.iter();
        topics::of_resources(resources.map(|it| (it.resource_type, it.resource_name.as_str())))
    }
}

impl Faultable for IncrementalAlterConfigsRequest {
    type Answer = IncrementalAlterConfigsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        use incremental_alter_configs_response::AlterConfigsResourceResponse;
        let responses = self.resources.into_iter().map(|resource| {
            AlterConfigsResourceResponse::default()
                .with_error_code(code.code())
                .with_error_message(message(code))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let resources = self.resources.iter();
        topics::of_resources(resources.map(|it| (it.resource_type, it.resource_name.as_str())))
    }
}

impl Faultable for DescribeLogDirsRequest {
    type Answer = DescribeLogDirsResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> DescribeLogDirsResponse {
        let response = DescribeLogDirsResponse::default();
        // Before version 3 an empty answer is the refusal.
        if ctx.version < 3 {
            return response;
        }
        response.with_error_code(code.code())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let Some(topics) = &self.topics else {
            return Topics::All;
        };
        let named = topics.iter();
        topics::named(named.map(|topic| (&topic.topic, topic.partitions.iter().copied())))
    }
}

impl Faultable for CreatePartitionsRequest {
    type Answer = CreatePartitionsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> CreatePartitionsResponse {
        use create_partitions_response::CreatePartitionsTopicResult;
        let results = self.topics.into_iter().map(|topic| {
            CreatePartitionsTopicResult::default()
                .with_name(topic.name)
                .with_error_code(code.code())
                .with_error_message(message(code))
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::whole(self.topics.iter().map(|topic| topic.name.as_str()))
    }
}

impl Faultable for DeleteGroupsRequest {
    type Answer = DeleteGroupsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DeleteGroupsResponse {
        use delete_groups_response::DeletableGroupResult;
        let results = self.groups_names.into_iter().map(|group| {
            DeletableGroupResult::default()
                .with_group_id(group)
                .with_error_code(code.code())
        });
        DeleteGroupsResponse::default().with_results(results.collect())
    }
}

impl Faultable for ElectLeadersRequest {
    type Answer = ElectLeadersResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> ElectLeadersResponse {
        use elect_leaders_response::{PartitionResult, ReplicaElectionResult};
        let topics = self.topic_partitions.unwrap_or_default().into_iter();
        let results = topics.map(|topic| {
            let partitions = topic.partitions.iter().map(|index| {
                PartitionResult::default()
                    .with_partition_id(*index)
                    .with_error_code(code.code())
                    .with_error_message(message(code))
            });
            ReplicaElectionResult::default()
                .with_partition_result(partitions.collect())
                .with_topic(topic.topic)
        });
        let response =
            ElectLeadersResponse::default().with_replica_election_results(results.collect());
        if ctx.version == 0 {
            return response;
        }
        response.with_error_code(code.code())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let Some(topics) = &self.topic_partitions else {
            return Topics::All;
        };
        let named = topics.iter();
        topics::named(named.map(|topic| (&topic.topic, topic.partitions.iter().copied())))
    }
}

impl Faultable for ListPartitionReassignmentsRequest {
    type Answer = ListPartitionReassignmentsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        use list_partition_reassignments_response::{
            OngoingPartitionReassignment, OngoingTopicReassignment,
        };
        let topics = self.topics.unwrap_or_default().into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter();
            let partitions = partitions
                .map(|index| OngoingPartitionReassignment::default().with_partition_index(*index));
            OngoingTopicReassignment::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        ListPartitionReassignmentsResponse::default()
            .with_topics(topics.collect())
            .with_error_code(code.code())
            .with_error_message(message(code))
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let Some(topics) = &self.topics else {
            return Topics::All;
        };
        let named = topics.iter();
        topics::named(named.map(|topic| (&topic.name, topic.partition_indexes.iter().copied())))
    }
}

impl Faultable for OffsetDeleteRequest {
    type Answer = OffsetDeleteResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> OffsetDeleteResponse {
        OffsetDeleteResponse::default().with_error_code(code.code())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::named(self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (&topic.name, partitions)
        }))
    }
}

impl Faultable for DescribeProducersRequest {
    type Answer = DescribeProducersResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DescribeProducersResponse {
        use describe_producers_response::{PartitionResponse, TopicResponse};
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                PartitionResponse::default()
                    .with_partition_index(*index)
                    .with_error_code(code.code())
            });
            TopicResponse::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let topics = self.topics.iter();
        topics::named(topics.map(|topic| (&topic.name, topic.partition_indexes.iter().copied())))
    }
}

impl Faultable for DescribeTopicPartitionsRequest {
    type Answer = DescribeTopicPartitionsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DescribeTopicPartitionsResponse {
        use describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
        let topics = self.topics.into_iter().map(|topic| {
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(topic.name))
                .with_error_code(code.code())
        });
        DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        if self.topics.is_empty() {
            return Topics::All;
        }
        topics::whole(self.topics.iter().map(|topic| topic.name.as_str()))
    }
}
