//! DeleteShareGroupState: a group no longer consumes from share partitions (KIP-932).

use coordinator::share_state::ShareStateRequest;
use protocol::messages::delete_share_group_state_response::{DeleteStateResult, PartitionResult};
use protocol::messages::{DeleteShareGroupStateRequest, DeleteShareGroupStateResponse};

use super::RequestContext;
use super::share_states::{self, Asked};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DeleteShareGroupStateRequest,
) -> DeleteShareGroupStateResponse {
    let group_id = request.group_id;
    let asked = request.topics.into_iter().map(|topic| Asked {
        topic_id: topic.topic_id,
        requests: topic
            .partitions
            .into_iter()
            .map(|partition| {
                let key = share_states::key(&group_id, topic.topic_id, partition.partition);
                ShareStateRequest::Delete { key }
            })
            .collect(),
    });
    let asked = asked.collect();
    let answers = share_states::ask(ctx, &group_id, asked, "delete share group state").await;
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
        DeleteStateResult::default()
            .with_topic_id(answer.topic_id)
            .with_partitions(partitions.collect())
    });
    DeleteShareGroupStateResponse::default().with_results(results.collect())
}
