//! AddOffsetsToTxn: a transaction commits offsets of a group, so the partition where they lie is
//! part of it.

use coordinator::transaction::TransactionRequest;
use protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use protocol::{ProducerEpoch, ProducerId};

use super::{RequestContext, transactions};
use crate::coordinators::{GROUP_TOPIC, GroupCoordinator};

/// The first version whose clients know `PRODUCER_FENCED`.
const FENCED_SINCE: i16 = 2;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let groups = ctx.image.topics.by_name(GROUP_TOPIC);
    let count = groups.map_or(
        // Until the topic is there, what it will have.
        ctx.node.config.broker.offsets_topic_num_partitions,
        |topic| topic.partition_count(),
    );
    let partitions = vec![GroupCoordinator::partition_of(&request.group_id, count)];
    let asked = TransactionRequest::AddPartitions {
        transactional_id: transactions::id(&request.transactional_id),
        producer_id: ProducerId(request.producer_id.0),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        partitions: partitions.clone(),
        verify_only: false,
        version2: false,
    };
    let verdicts = transactions::partitions(ctx, asked, &partitions).await;
    let code = verdicts.into_iter().find_map(|(_, code)| code);
    let code = code.map_or(0, |code| {
        transactions::known_at(ctx, FENCED_SINCE, code).code()
    });
    AddOffsetsToTxnResponse::default().with_error_code(code)
}
