//! InitializeShareGroupState: the state of share partitions begins anew (KIP-932).

use coordinator::share_state::{ShareStateRequest, StateEpoch};
use protocol::messages::initialize_share_group_state_response::{
    InitializeStateResult, PartitionResult,
};
use protocol::messages::{InitializeShareGroupStateRequest, InitializeShareGroupStateResponse};

use super::RequestContext;
use super::share_states::{self, Asked};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: InitializeShareGroupStateRequest,
) -> InitializeShareGroupStateResponse {
    let group_id = request.group_id;
    // As upstream; of the other APIs of share state, one such topic leaves the answer empty.
    let topics = request.topics.into_iter();
    let topics = topics.filter(|topic| !topic.partitions.is_empty());
    let asked = topics.map(|topic| Asked {
        topic_id: topic.topic_id,
        requests: topic
            .partitions
            .into_iter()
            .map(|partition| {
                let key = share_states::key(&group_id, topic.topic_id, partition.partition);
                ShareStateRequest::Initialize {
                    key,
                    state_epoch: StateEpoch(partition.state_epoch),
                    start_offset: share_states::some_offset(partition.start_offset),
                }
            })
            .collect(),
    });
    let asked = asked.collect();
    let answers = share_states::ask(ctx, &group_id, asked, "initialize share group state").await;
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
        InitializeStateResult::default()
            .with_topic_id(answer.topic_id)
            .with_partitions(partitions.collect())
    });
    InitializeShareGroupStateResponse::default().with_results(results.collect())
}
