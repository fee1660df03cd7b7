//! WriteShareGroupState: what became of records of share partitions (KIP-932).

use coordinator::share_state::{ShareStateRequest, StateBatch, StateEpoch};
use protocol::messages::write_share_group_state_request;
use protocol::messages::write_share_group_state_response::{PartitionResult, WriteStateResult};
use protocol::messages::{WriteShareGroupStateRequest, WriteShareGroupStateResponse};
use protocol::{LeaderEpoch, Offset};

use super::RequestContext;
use super::share_states::{self, Asked};

/// Stands where nobody told how many deliveries are complete.
const NOT_TOLD: i32 = -1;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: WriteShareGroupStateRequest,
) -> WriteShareGroupStateResponse {
    let group_id = request.group_id;
    let asked = request.topics.into_iter().map(|topic| Asked {
        topic_id: topic.topic_id,
        requests: topic
            .partitions
            .into_iter()
            .map(|partition| {
                let key = share_states::key(&group_id, topic.topic_id, partition.partition);
                ShareStateRequest::Write {
                    key,
                    state_epoch: StateEpoch(partition.state_epoch),
                    leader_epoch: LeaderEpoch(partition.leader_epoch),
                    start_offset: share_states::some_offset(partition.start_offset),
                    delivery_complete_count: Some(partition.delivery_complete_count)
                        .filter(|count| *count != NOT_TOLD),
                    batches: partition.state_batches.iter().map(batch).collect(),
                }
            })
            .collect(),
    });
    let asked = asked.collect();
    let answers = share_states::ask(ctx, &group_id, asked, "write share group state").await;
    let results = answers.into_iter().map(|answer| {
        let partitions = answer.partitions.into_iter().map(|(partition, outcome)| {
            let result = PartitionResult::default().with_partition(partition);
            match outcome {
                Ok(_) => result,
                Err(refused) => result
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(refused.message)),
            }
        });
        WriteStateResult::default()
            .with_topic_id(answer.topic_id)
            .with_partitions(partitions.collect())
    });
    WriteShareGroupStateResponse::default().with_results(results.collect())
}

fn batch(asked: &write_share_group_state_request::StateBatch) -> StateBatch {
    StateBatch {
        first_offset: Offset(asked.first_offset),
        last_offset: Offset(asked.last_offset),
        delivery_count: asked.delivery_count,
        delivery_state: asked.delivery_state,
    }
}
