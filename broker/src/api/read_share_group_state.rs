//! ReadShareGroupState: the leader of share partitions takes their state over (KIP-932).

use coordinator::share_state::{self, ShareStateRequest, ShareStateResponse};
use protocol::LeaderEpoch;
use protocol::messages::read_share_group_state_response::{
    PartitionResult, ReadStateResult, StateBatch,
};
use protocol::messages::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};

use super::RequestContext;
use super::share_states::{self, Asked};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ReadShareGroupStateRequest,
) -> ReadShareGroupStateResponse {
    let group_id = request.group_id;
    let asked = request.topics.into_iter().map(|topic| Asked {
        topic_id: topic.topic_id,
        requests: topic
            .partitions
            .into_iter()
            .map(|partition| {
                let key = share_states::key(&group_id, topic.topic_id, partition.partition);
                ShareStateRequest::Read {
                    key,
                    leader_epoch: LeaderEpoch(partition.leader_epoch),
                }
            })
            .collect(),
    });
    let asked = asked.collect();
    let answers = share_states::ask(ctx, &group_id, asked, "read share group state").await;
    let results = answers.into_iter().map(|answer| {
        let partitions = answer.partitions.into_iter().map(|(partition, outcome)| {
            let result = PartitionResult::default().with_partition(partition);
            match outcome {
                Ok(ShareStateResponse::Read {
                    state_epoch,
                    start_offset,
                    batches,
                }) => result
                    .with_state_epoch(state_epoch.0)
                    .with_start_offset(share_states::offset_or_none(start_offset))
                    .with_state_batches(batches.iter().map(shape).collect()),
                Ok(_) => unreachable!("the coordinator answers in kind"),
                Err(refused) => result
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(refused.message)),
            }
        });
        ReadStateResult::default()
            .with_topic_id(answer.topic_id)
            .with_partitions(partitions.collect())
    });
    ReadShareGroupStateResponse::default().with_results(results.collect())
}

fn shape(batch: &share_state::StateBatch) -> StateBatch {
    StateBatch::default()
        .with_first_offset(batch.first_offset.0)
        .with_last_offset(batch.last_offset.0)
        .with_delivery_state(batch.delivery_state)
        .with_delivery_count(batch.delivery_count)
}
