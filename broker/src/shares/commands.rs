//! Carries out what share partitions command: their state is read and written at the share
//! coordinator, their start is looked up in the log.
//!
//! Invariant: each command comes back as an event, whatever came of it, unless the share partition
//! is over or the node stops.

use std::sync::Arc;
use std::time::Duration;

use coordinator::RequestMeta;
use coordinator::share::OffsetRange;
use coordinator::share::partition::{
    AutoOffsetReset, DeliveryState, PersistedState, SharePartitionCommand, SharePartitionEvent,
    StateBatch, StateWrite,
};
use coordinator::share_state::{self, ShareStateRequest, ShareStateResponse, StateEpoch};
use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp};
use storage::{Log, ReadError};
use tokio_util::sync::CancellationToken;

use super::partition::{Commanded, LedShare};
use crate::api::Node;
use crate::coordinators::SHARE_STATE_TOPIC;
use crate::internal_topics;
use crate::replica::Isolation;

/// How often a share coordinator that cannot answer now is asked, and the wait before it is asked
/// again.
const ATTEMPTS: u32 = 5;
const BACKOFF: Duration = Duration::from_millis(100);

/// Carries the commands of all share partitions out until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let Some(mut commands) = node.shares.take_commands() else {
        return;
    };
    loop {
        let commanded = tokio::select! {
            () = stop.cancelled() => return,
            commanded = commands.recv() => commanded,
        };
        let Some((share, command)) = commanded else {
            return;
        };
        let (on, stop) = (node.clone(), stop.clone());
        node.shares.work().spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = carry_out(&on, (share, command)) => {}
            }
        });
    }
}

async fn carry_out(node: &Arc<Node>, (share, command): Commanded) {
    let event = match command {
        SharePartitionCommand::ReadState { leader_epoch } => {
            SharePartitionEvent::StateRead(read_state(node, &share, leader_epoch).await)
        }
        SharePartitionCommand::FindStartOffset { reset } => {
            SharePartitionEvent::StartOffsetFound(find_start(node, &share, reset).await)
        }
        SharePartitionCommand::WriteState(write) => {
            let token = write.token;
            let result = write_state(node, &share, write).await;
            SharePartitionEvent::StateWritten { token, result }
        }
    };
    share.tell(event);
    node.shares.drop_if_done(&share);
}

async fn read_state(
    node: &Arc<Node>,
    share: &LedShare,
    leader_epoch: LeaderEpoch,
) -> Result<PersistedState, ErrorCode> {
    let key = share.key().clone();
    let request = ShareStateRequest::Read { key, leader_epoch };
    let ShareStateResponse::Read {
        state_epoch,
        start_offset,
        batches,
    } = ask(node, share, request).await?
    else {
        return Err(ErrorCode::UnknownServerError);
    };
    let batches = batches.iter().map(known_batch);
    let batches: Option<Vec<StateBatch>> = batches.collect();
    Ok(PersistedState {
        state_epoch: state_epoch.0,
        start_offset,
        batches: batches.ok_or(ErrorCode::UnknownServerError)?,
    })
}

/// None for one that no share partition has written.
fn known_batch(batch: &share_state::StateBatch) -> Option<StateBatch> {
    Some(StateBatch {
        offsets: OffsetRange::new(batch.first_offset, batch.last_offset)?,
        state: DeliveryState::from_id(batch.delivery_state)?,
        delivery_count: batch.delivery_count,
    })
}

async fn write_state(
    node: &Arc<Node>,
    share: &LedShare,
    write: StateWrite,
) -> Result<(), ErrorCode> {
    let batches = write.batches.iter().map(|batch| share_state::StateBatch {
        first_offset: batch.offsets.first(),
        last_offset: batch.offsets.last(),
        delivery_count: batch.delivery_count,
        delivery_state: batch.state.id(),
    });
    let request = ShareStateRequest::Write {
        key: share.key().clone(),
        state_epoch: StateEpoch(write.state_epoch),
        leader_epoch: write.leader_epoch,
        start_offset: Some(write.start_offset),
        delivery_complete_count: Some(write.delivery_complete_count),
        batches: batches.collect(),
    };
    ask(node, share, request).await.map(drop)
}

/// Asks the share coordinator, again where it cannot answer now.
async fn ask(
    node: &Arc<Node>,
    share: &LedShare,
    request: ShareStateRequest,
) -> Result<ShareStateResponse, ErrorCode> {
    let mut attempt = 1;
    loop {
        if share.is_over() {
            // Another may have taken its place, and rest on what was written since.
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let answer = ask_once(node, request.clone()).await;
        let may_come_right = matches!(
            answer,
            Err(ErrorCode::CoordinatorNotAvailable
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::NotCoordinator)
        );
        if !may_come_right || attempt == ATTEMPTS {
            return answer;
        }
        tokio::time::sleep(BACKOFF * (1 << attempt)).await;
        attempt += 1;
    }
}

async fn ask_once(
    node: &Arc<Node>,
    request: ShareStateRequest,
) -> Result<ShareStateResponse, ErrorCode> {
    let image = internal_topics::ensure(node, SHARE_STATE_TOPIC).await?;
    let topic = image.topics.by_name(SHARE_STATE_TOPIC);
    let partitions = topic.map(|topic| topic.partition_count());
    let states = &node.share_states;
    let meta = own_meta();
    let answers = states.ask_each(&meta, vec![request], partitions).await;
    let answer = answers.into_iter().next();
    match answer.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))? {
        ShareStateResponse::Refused { code, .. } => Err(code),
        answer @ (ShareStateResponse::Done
        | ShareStateResponse::Read { .. }
        | ShareStateResponse::Summary { .. }) => Ok(answer),
    }
}

/// Where the group begins to read: the log says.
async fn find_start(
    node: &Arc<Node>,
    share: &LedShare,
    reset: AutoOffsetReset,
) -> Result<Offset, ErrorCode> {
    let leader = share.leader();
    match (reset, reset.timestamp(node.clock.now())) {
        (AutoOffsetReset::Earliest, _) => Ok(leader.log().log_start_offset()),
        (AutoOffsetReset::Latest, _) | (AutoOffsetReset::ByDuration { .. }, None) => {
            Ok(leader.read_limit(Isolation::ReadUncommitted))
        }
        (AutoOffsetReset::ByDuration { .. }, Some(since)) => {
            let log = leader.log().clone();
            let searched = tokio::task::spawn_blocking(move || search(&log, since)).await;
            searched.unwrap_or(Err(ErrorCode::KafkaStorageError))
        }
    }
}

fn search(log: &Log, since: Timestamp) -> Result<Offset, ErrorCode> {
    match log.offset_for_timestamp(since, log.log_end_offset()) {
        Ok(Some(found)) => Ok(found.offset),
        // So upstream: there is no place to begin at before there is a record that is new enough.
        Ok(None) | Err(ReadError::OffsetOutOfRange { .. }) => Err(ErrorCode::OffsetNotAvailable),
        Err(ReadError::Storage(error)) => Err(ErrorCode::from(error)),
    }
}

/// Of what this node asks itself.
fn own_meta() -> RequestMeta {
    RequestMeta {
        api_version: 0,
        client_id: Arc::from(""),
        client_host: Arc::from(""),
    }
}
