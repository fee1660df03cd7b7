//! WriteTxnMarkers: ends transactions in partitions that are led here, as a coordinator asks, or an
//! administrator who ends one that hangs (KIP-664).

use protocol::control::EndTransactionMarker;
use protocol::messages::write_txn_markers_request::WritableTxnMarker;
use protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use protocol::messages::{ProducerId, TopicName, WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use protocol::{ErrorCode, ProducerEpoch, TopicPartition};

use super::RequestContext;
use crate::coordinators::{MarkerWrite, markers};

/// Stands for no producer, no version and no coordinator.
const NONE: i8 = -1;

pub(super) async fn handle(
    ctx: &RequestContext,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut response = WriteTxnMarkersResponse::default();
    for marker in request.markers {
        for topic in &marker.topics {
            for &index in &topic.partition_indexes {
                let code = write(ctx, &marker, &topic.name, index).await.err();
                note(&mut response, marker.producer_id, &topic.name, index, code);
            }
        }
    }
    response
}

async fn write(
    ctx: &RequestContext,
    marker: &WritableTxnMarker,
    topic: &TopicName,
    index: i32,
) -> Result<(), ErrorCode> {
    ctx.check_fault(topic, index)?;
    check(marker)?;
    let of = TopicPartition::new(topic.as_str(), index);
    // As upstream: to a coordinator a partition that is not here is one that moved or is deleted.
    if ctx.node.replicas.partition(&of).is_err() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let marker = MarkerWrite {
        producer: (
            protocol::ProducerId(marker.producer_id.0),
            ProducerEpoch(marker.producer_epoch),
        ),
        marker: EndTransactionMarker {
            committed: marker.transaction_result,
            coordinator_epoch: marker.coordinator_epoch,
        },
        transaction_version: marker.transaction_version.into(),
    };
    markers::write(&ctx.node, &of, marker).await
}

/// No log holds a marker of nobody; an epoch below those that stand for none is older than any.
fn check(marker: &WritableTxnMarker) -> Result<(), ErrorCode> {
    if marker.producer_id.0 == i64::from(NONE) || marker.transaction_version == NONE {
        return Err(ErrorCode::InvalidRequest);
    }
    if marker.producer_epoch < 0 {
        return Err(ErrorCode::InvalidProducerEpoch);
    }
    if marker.coordinator_epoch < i32::from(NONE) {
        return Err(ErrorCode::TransactionCoordinatorFenced);
    }
    Ok(())
}

/// Adds a result: by producer, then topic, then partition; of one that was told before the later
/// counts.
fn note(
    response: &mut WriteTxnMarkersResponse,
    producer: ProducerId,
    topic: &TopicName,
    index: i32,
    code: Option<ErrorCode>,
) {
    let markers = &mut response.markers;
    let at = markers.iter().position(|it| it.producer_id == producer);
    let at = at.unwrap_or_else(|| {
        markers.push(WritableTxnMarkerResult::default().with_producer_id(producer));
        markers.len() - 1
    });
    let Some(result) = markers.get_mut(at) else {
        return;
    };
    let code = code.map_or(0, |code| code.code());
    let partition = WritableTxnMarkerPartitionResult::default()
        .with_partition_index(index)
        .with_error_code(code);
    let Some(known) = result.topics.iter_mut().find(|it| it.name == *topic) else {
        let known = WritableTxnMarkerTopicResult::default().with_name(topic.clone());
        result.topics.push(known.with_partitions(vec![partition]));
        return;
    };
    let mut partitions = known.partitions.iter_mut();
    match partitions.find(|it| it.partition_index == index) {
        Some(before) => *before = partition,
        None => known.partitions.push(partition),
    }
}
