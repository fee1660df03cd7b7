//! ReadShareGroupStateSummary: how far a group is in share partitions (KIP-932).

use coordinator::share_state::{ShareStateRequest, ShareStateResponse};
use protocol::messages::read_share_group_state_summary_response::{
    PartitionResult, ReadStateSummaryResult,
};
use protocol::messages::{ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse};

use super::RequestContext;
use super::share_states::{self, Asked};

/// Stands where nobody told how many deliveries are complete.
const NOT_TOLD: i32 = -1;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ReadShareGroupStateSummaryRequest,
) -> ReadShareGroupStateSummaryResponse {
    let group_id = request.group_id;
    let asked = request.topics.into_iter().map(|topic| Asked {
        topic_id: topic.topic_id,
        requests: topic
            .partitions
            .into_iter()
            .map(|partition| {
                let key = share_states::key(&group_id, topic.topic_id, partition.partition);
                ShareStateRequest::ReadSummary { key }
            })
            .collect(),
    });
    let asked = asked.collect();
    let answers = share_states::ask(ctx, &group_id, asked, "read share group state summary").await;
    let results = answers.into_iter().map(|answer| {
        let partitions = answer.partitions.into_iter().map(|(partition, outcome)| {
            let result = PartitionResult::default().with_partition(partition);
            match outcome {
                Ok(ShareStateResponse::Summary {
                    state_epoch,
                    leader_epoch,
                    start_offset,
                    delivery_complete_count,
                }) => result
                    .with_state_epoch(state_epoch.0)
                    .with_leader_epoch(leader_epoch.0)
                    .with_start_offset(share_states::offset_or_none(start_offset))
                    .with_delivery_complete_count(delivery_complete_count.unwrap_or(NOT_TOLD)),
                Ok(_) => unreachable!("the coordinator answers in kind"),
                Err(refused) => result
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(refused.message)),
            }
        });
        ReadStateSummaryResult::default()
            .with_topic_id(answer.topic_id)
            .with_partitions(partitions.collect())
    });
    ReadShareGroupStateSummaryResponse::default().with_results(results.collect())
}
