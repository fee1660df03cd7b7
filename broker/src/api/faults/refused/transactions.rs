//! The answers that say nothing but an error, of the transaction APIs.

use protocol::ErrorCode;
use protocol::messages::*;

use super::super::super::RequestContext;
use super::super::{Faultable, topics};
use crate::faults::Topics;

impl Faultable for EndTxnRequest {
    type Answer = EndTxnResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> EndTxnResponse {
        EndTxnResponse::default().with_error_code(code.code())
    }
}

impl Faultable for AddPartitionsToTxnRequest {
    type Answer = AddPartitionsToTxnResponse;

    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> AddPartitionsToTxnResponse {
        use add_partitions_to_txn_response::{
            AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
        };
        if ctx.version >= 4 {
            return AddPartitionsToTxnResponse::default().with_error_code(code.code());
        }
        let topics = self.v3_and_below_topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|index| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(code.code())
            });
            AddPartitionsToTxnTopicResult::default()
                .with_results_by_partition(partitions.collect())
                .with_name(topic.name)
        });
        AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let batched = self.transactions.iter().flat_map(|it| &it.topics);
        let all = self.v3_and_below_topics.iter().chain(batched);
        topics::named(all.map(|topic| (&topic.name, topic.partitions.iter().copied())))
    }
}

impl Faultable for TxnOffsetCommitRequest {
    type Answer = TxnOffsetCommitResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> TxnOffsetCommitResponse {
        use txn_offset_commit_response::{
            TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
        };
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code.code())
            });
            TxnOffsetCommitResponseTopic::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name)
        });
        TxnOffsetCommitResponse::default().with_topics(topics.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        topics::named(self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|it| it.partition_index);
            (&topic.name, partitions)
        }))
    }
}

impl Faultable for WriteTxnMarkersRequest {
    type Answer = WriteTxnMarkersResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> WriteTxnMarkersResponse {
        use write_txn_markers_response::{
            WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
        };
        let markers = self.markers.into_iter().map(|marker| {
            let topics = marker.topics.into_iter().map(|topic| {
                let partitions = topic.partition_indexes.iter().map(|index| {
                    WritableTxnMarkerPartitionResult::default()
                        .with_partition_index(*index)
                        .with_error_code(code.code())
                });
                WritableTxnMarkerTopicResult::default()
                    .with_partitions(partitions.collect())
                    .with_name(topic.name)
            });
            WritableTxnMarkerResult::default()
                .with_producer_id(marker.producer_id)
                .with_topics(topics.collect())
        });
        WriteTxnMarkersResponse::default().with_markers(markers.collect())
    }

    fn topics(&self, _ctx: &RequestContext) -> Topics {
        let topics = self.markers.iter().flat_map(|marker| &marker.topics);
        topics::named(topics.map(|topic| (&topic.name, topic.partition_indexes.iter().copied())))
    }
}

impl Faultable for DescribeTransactionsRequest {
    type Answer = DescribeTransactionsResponse;

    fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> DescribeTransactionsResponse {
        use describe_transactions_response::TransactionState;
        let states = self.transactional_ids.into_iter().map(|id| {
            TransactionState::default()
                .with_transactional_id(id)
                .with_error_code(code.code())
        });
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    }
}
