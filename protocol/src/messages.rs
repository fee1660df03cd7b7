//! The messages of Kafka 4.3.1: kafka-protocol's, and ours where it knows an older version.
//!
//! Invariant: a message of ours has the name, the fields and the traits of kafka-protocol's.

pub use kafka_protocol::messages::*;

pub use crate::generated::{
    describe_log_dirs_request, describe_log_dirs_response, describe_share_group_offsets_request,
    describe_share_group_offsets_response, list_offsets_request, list_offsets_response,
    offset_commit_request, offset_fetch_request, read_share_group_state_summary_request,
    read_share_group_state_summary_response, share_acknowledge_request, share_acknowledge_response,
    share_fetch_request, write_share_group_state_request, write_share_group_state_response,
    write_txn_markers_request, write_txn_markers_response,
};
pub use describe_log_dirs_request::DescribeLogDirsRequest;
pub use describe_log_dirs_response::DescribeLogDirsResponse;
pub use describe_share_group_offsets_request::DescribeShareGroupOffsetsRequest;
pub use describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse;
pub use list_offsets_request::ListOffsetsRequest;
pub use list_offsets_response::ListOffsetsResponse;
pub use offset_commit_request::OffsetCommitRequest;
pub use offset_fetch_request::OffsetFetchRequest;
pub use read_share_group_state_summary_request::ReadShareGroupStateSummaryRequest;
pub use read_share_group_state_summary_response::ReadShareGroupStateSummaryResponse;
pub use share_acknowledge_request::ShareAcknowledgeRequest;
pub use share_acknowledge_response::ShareAcknowledgeResponse;
pub use share_fetch_request::ShareFetchRequest;
pub use write_share_group_state_request::WriteShareGroupStateRequest;
pub use write_share_group_state_response::WriteShareGroupStateResponse;
pub use write_txn_markers_request::WriteTxnMarkersRequest;
pub use write_txn_markers_response::WriteTxnMarkersResponse;
