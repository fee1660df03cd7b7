//! The answers that say nothing but an error, of the APIs of share state.

use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::*;

use super::message;
use crate::api::RequestContext;
use crate::api::faults::{Faultable, topics};
use crate::faults::Topics;

/// Each share partition is told the error.
macro_rules! share_states {
    ($($request:ident $response:ident $module:ident $result:ident;)*) => {$(
        impl Faultable for $request {
            type Answer = $response;

            fn refused(self, _ctx: &RequestContext, code: ErrorCode) -> $response {
                use $module::{PartitionResult, $result};
                let results = self.topics.iter().map(|topic| {
                    let partitions = topic.partitions.iter().map(|it| {
                        PartitionResult::default()
                            .with_partition(it.partition)
                            .with_error_code(code.code())
                            .with_error_message(message(code))
                    });
                    $result::default()
                        .with_topic_id(topic.topic_id)
                        .with_partitions(partitions.collect())
                });
                $response::default().with_results(results.collect())
            }

            fn topics(&self, ctx: &RequestContext) -> Topics {
                let all = self.topics.iter().map(|topic| {
                    let partitions = topic.partitions.iter().map(|it| it.partition);
                    (Arc::from(""), topic.topic_id, partitions)
                });
                topics::by_name_or_id(ctx, all)
            }
        }
    )*};
}

share_states! {
    InitializeShareGroupStateRequest InitializeShareGroupStateResponse
        initialize_share_group_state_response InitializeStateResult;
    ReadShareGroupStateRequest ReadShareGroupStateResponse
        read_share_group_state_response ReadStateResult;
    WriteShareGroupStateRequest WriteShareGroupStateResponse
        write_share_group_state_response WriteStateResult;
    DeleteShareGroupStateRequest DeleteShareGroupStateResponse
        delete_share_group_state_response DeleteStateResult;
    ReadShareGroupStateSummaryRequest ReadShareGroupStateSummaryResponse
        read_share_group_state_summary_response ReadStateSummaryResult;
}
