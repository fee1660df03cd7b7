//! ShareAcknowledge: a member of a share group says what became of records (KIP-932).

use coordinator::share::partition::AcknowledgementBatch;
use coordinator::share::session::FINAL_EPOCH;
use protocol::messages::share_acknowledge_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareAcknowledgeTopicResponse,
};
use protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use protocol::{ErrorCode, Offset};

use super::share_acknowledgements::{self, Outcomes, Said};
use super::{RequestContext, topics};

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ShareAcknowledgeRequest,
) -> ShareAcknowledgeResponse {
    let epoch = request.share_session_epoch;
    let (group_id, member_id) = (request.group_id.as_ref(), request.member_id.as_ref());
    let shares = &ctx.node.shares;
    let key = share_acknowledgements::session_key(ctx, group_id, member_id)
        .and_then(|key| shares.session_acknowledges(&key, epoch).map(|()| key));
    let key = match key {
        Ok(key) => key,
        Err(code) => return refused(code),
    };
    let is_renew_ack = request.is_renew_ack;
    let said = said(request);
    let outcomes = share_acknowledgements::acknowledge(ctx, &key, said, is_renew_ack).await;
    if epoch == FINAL_EPOCH {
        shares.end_session(&key);
    }
    let settings = shares.settings(&key.group_id);
    answer(ctx, outcomes)
        .with_acquisition_lock_timeout_ms(settings.partition.record_lock_duration_ms)
}

/// The answer to a request that is refused as a whole.
fn refused(code: ErrorCode) -> ShareAcknowledgeResponse {
    ShareAcknowledgeResponse::default().with_error_code(code.code())
}

fn said(request: ShareAcknowledgeRequest) -> Vec<Said> {
    let topics = request.topics.into_iter();
    let said = topics.flat_map(|topic| {
        let topic_id = topic.topic_id;
        topic.partitions.into_iter().map(move |partition| {
            let batches = partition.acknowledgement_batches.into_iter();
            let batches = batches.map(|batch| AcknowledgementBatch {
                first_offset: Offset(batch.first_offset),
                last_offset: Offset(batch.last_offset),
                types: batch.acknowledge_types,
            });
            let of = share_acknowledgements::partition(topic_id, partition.partition_index);
            (of, batches.collect())
        })
    });
    said.collect()
}

fn answer(ctx: &RequestContext, outcomes: Outcomes) -> ShareAcknowledgeResponse {
    let mut response = ShareAcknowledgeResponse::default();
    for (of, outcome) in outcomes {
        let mut data = PartitionData::default().with_partition_index(of.partition);
        if let Err(refused) = outcome {
            let leader = share_acknowledgements::leader_beside(ctx, of, refused.code);
            if let Some((leader_id, leader_epoch)) = leader {
                data.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(leader_id)
                    .with_leader_epoch(leader_epoch);
                tell_endpoint(ctx, &mut response, leader_id);
            }
            data.error_code = refused.code.code();
            data.error_message = refused.message;
        }
        match response.responses.last_mut() {
            Some(topic) if topic.topic_id == of.topic_id.0 => topic.partitions.push(data),
            Some(_) | None => response.responses.push(
                ShareAcknowledgeTopicResponse::default()
                    .with_topic_id(of.topic_id.0)
                    .with_partitions(vec![data]),
            ),
        }
    }
    response
}

fn tell_endpoint(ctx: &RequestContext, response: &mut ShareAcknowledgeResponse, leader: i32) {
    let told = &mut response.node_endpoints;
    if told.iter().all(|node| node.node_id.0 != leader)
        && let Some((id, host, port, rack)) = topics::endpoint(ctx, leader)
    {
        told.push(
            NodeEndpoint::default()
                .with_node_id(id.into())
                .with_host(host)
                .with_port(port)
                .with_rack(rack),
        );
    }
}
