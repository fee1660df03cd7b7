//! Fetch: reads record batches, waiting for enough of them (KIP-74, KIP-227, KIP-516).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::messages::{FetchRequest, TopicName};
use protocol::response::RecordsField;
use protocol::response::fetch::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData,
};
use protocol::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use replication::{Reached, Waiter};
use storage::LogSlice;
use tokio::time::Instant;

use super::respond::FetchReply;
use super::{RequestContext, topics};
use crate::fetch_sessions::{self, FetchContext, Key, Wanted};
use crate::replica::{Isolation, Partition, PartitionRead, ReadRequest, ReadyList};

/// One partition of a fetch: what is wanted, and what was last read of it.
struct Reading<'a> {
    wanted: &'a Wanted,
    outcome: Result<Found, Failed>,
}

/// Why nothing was read; upstream answers what it does not know after all the rest.
enum Failed {
    /// There is no such topic or partition.
    Unknown(ErrorCode),
    Refused(ErrorCode),
}

impl From<ErrorCode> for Failed {
    fn from(code: ErrorCode) -> Self {
        Failed::Refused(code)
    }
}

struct Found {
    partition: Arc<Partition>,
    read: PartitionRead,
}

/// The bounds of the whole answer.
struct Bounds {
    min_bytes: usize,
    /// None where the client asks for less than nothing.
    max_bytes: Option<usize>,
    isolation: Isolation,
    /// Whether a broker asks, to replicate.
    is_follower: bool,
}

pub(super) async fn handle(ctx: &RequestContext, request: FetchRequest) -> FetchReply {
    let bounds = bounds(ctx, &request);
    let context = match ctx.node.fetch_sessions.context(&request, ctx.version) {
        Ok(context) => context,
        Err(code) => {
            let response = FetchResponse {
                error_code: code.code(),
                ..FetchResponse::default()
            };
            return FetchReply::from(response);
        }
    };
    // Upstream reads the isolation level only where something is to be read, and then answers
    // `UNKNOWN_SERVER_ERROR` (W9).
    let is_known = |wanted: &Wanted| find(ctx, &wanted.key).is_ok();
    if !(0..=1).contains(&request.isolation_level) && context.wanted().iter().any(is_known) {
        return refuse_all(ctx, &request, ErrorCode::InvalidRequest);
    }
    let mut readings = read_enough(ctx, &request, &bounds, context.wanted()).await;
    // Of what is unknown, upstream tells the ids first.
    readings.sort_by_key(|reading| match reading.outcome {
        Err(Failed::Unknown(ErrorCode::UnknownTopicId)) => 1,
        Err(Failed::Unknown(_)) => 2,
        Ok(_) | Err(Failed::Refused(_)) => 0,
    });
    answer(ctx, &context, readings, &bounds)
}

fn bounds(ctx: &RequestContext, request: &FetchRequest) -> Bounds {
    let isolation = if request.isolation_level == 1 {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    };
    let max_bytes = usize::try_from(request.max_bytes).ok();
    let max_bytes = max_bytes.map(|bytes| bytes.min(ctx.node.config.fetch_max_bytes));
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    let replica_id = if ctx.version >= 15 {
        request.replica_state.replica_id
    } else {
        request.replica_id
    };
    Bounds {
        min_bytes: min_bytes.min(max_bytes.unwrap_or(0)),
        max_bytes,
        isolation,
        is_follower: replica_id.0 >= 0,
    }
}

fn find(ctx: &RequestContext, key: &Key) -> Result<TopicPartition, ErrorCode> {
    let topic = topics::find(&ctx.image, ctx.version >= 13, &key.topic, key.topic_id)?;
    topic.partition(key.partition)
}

/// Refuses a request as a whole: each partition too, where the client names topics.
pub(super) fn refuse_all(
    ctx: &RequestContext,
    request: &FetchRequest,
    code: ErrorCode,
) -> FetchReply {
    let mut response = FetchResponse {
        error_code: code.code(),
        ..FetchResponse::default()
    };
    if ctx.version < 13 {
        for wanted in fetch_sessions::wanted(request) {
            let mut data = unread(&wanted, code.code());
            data.aborted_transactions = Some(Vec::new());
            push(ctx, &mut response, &wanted.key, data);
        }
    }
    FetchReply::from(response)
}

/// Reads until there is enough, something to tell at once, or no time left.
async fn read_enough<'a>(
    ctx: &RequestContext,
    request: &FetchRequest,
    bounds: &Bounds,
    wanted: &'a [Wanted],
) -> Vec<Reading<'a>> {
    let mut left = bounds.max_bytes.unwrap_or(0);
    let mut first = true;
    let mut readings = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let outcome = read_one(ctx, wanted, bounds, left, first);
        let size = outcome
            .as_ref()
            .map_or(0, |found| found.read.slice.size_in_bytes());
        first &= size == 0;
        left = left.saturating_sub(size);
        readings.push(Reading { wanted, outcome });
    }
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    if wait.is_zero() || readings.is_empty() || is_enough(&readings, bounds) {
        return readings;
    }
    wait_for_more(ctx, &mut readings, bounds, Instant::now() + wait).await;
    readings
}

fn is_enough(readings: &[Reading<'_>], bounds: &Bounds) -> bool {
    let tell_at_once = |reading: &Reading<'_>| match &reading.outcome {
        Ok(found) => found.read.diverging_epoch.is_some(),
        Err(_) => true,
    };
    readings.iter().any(tell_at_once) || size_of(readings) >= bounds.min_bytes
}

fn size_of(readings: &[Reading<'_>]) -> usize {
    let sizes = readings
        .iter()
        .filter_map(|reading| reading.outcome.as_ref().ok());
    sizes.map(|found| found.read.slice.size_in_bytes()).sum()
}

/// Waits on all partitions at once; only those with news are read again.
async fn wait_for_more(
    ctx: &RequestContext,
    readings: &mut [Reading<'_>],
    bounds: &Bounds,
    deadline: Instant,
) {
    let list = Arc::new(ReadyList::default());
    let waiter: Arc<dyn Waiter> = list.clone();
    let mut ready: Vec<usize> = Vec::new();
    for (ticket, reading) in readings.iter().enumerate() {
        if register(reading, bounds.isolation, &waiter, ticket) {
            ready.push(ticket);
        }
    }
    loop {
        for ticket in std::mem::take(&mut ready) {
            let elsewhere = size_of(readings)
                - readings
                    .get(ticket)
                    .map_or(0, |reading| size_of(std::slice::from_ref(reading)));
            let Some(reading) = readings.get_mut(ticket) else {
                continue;
            };
            let left = bounds.max_bytes.unwrap_or(0).saturating_sub(elsewhere);
            reading.outcome = read_one(ctx, reading.wanted, bounds, left, elsewhere == 0);
            if register(reading, bounds.isolation, &waiter, ticket) {
                ready.push(ticket);
            }
        }
        if is_enough(readings, bounds) {
            return;
        }
        if ready.is_empty() {
            ready = list.next(deadline).await;
            if ready.is_empty() {
                return;
            }
        } else if Instant::now() >= deadline {
            return;
        }
    }
}

/// Whether there is news already, so that waiting is needless.
fn register(
    reading: &Reading<'_>,
    isolation: Isolation,
    waiter: &Arc<dyn Waiter>,
    ticket: usize,
) -> bool {
    let Ok(found) = &reading.outcome else {
        return false;
    };
    let seen = match isolation {
        Isolation::ReadUncommitted => found.read.high_watermark,
        Isolation::ReadCommitted => found.read.last_stable_offset,
    };
    let partition = &found.partition;
    match partition.wait_beyond(seen, isolation, waiter, ticket) {
        Ok(Reached::NotYet) => false,
        Ok(Reached::Yes) | Err(_) => true,
    }
}

fn read_one(
    ctx: &RequestContext,
    wanted: &Wanted,
    bounds: &Bounds,
    left: usize,
    at_least_one_batch: bool,
) -> Result<Found, Failed> {
    let topic_partition = find(ctx, &wanted.key).map_err(Failed::Unknown)?;
    ctx.check_fault(&topic_partition.topic, topic_partition.partition)?;
    let partition = ctx.node.replicas.partition(&topic_partition)?;
    if bounds.is_follower {
        partition.check_epoch(epoch(wanted.current_leader_epoch))?;
        // One node has no followers: whoever says to be one is not in the replica set.
        return Err(ErrorCode::NotLeaderOrFollower.into());
    }
    let max_bytes = usize::try_from(wanted.max_bytes).ok();
    let max_bytes = max_bytes.filter(|_| bounds.max_bytes.is_some());
    let max_bytes = max_bytes.ok_or(ErrorCode::InvalidRequest)?;
    let request = ReadRequest {
        fetch_offset: Offset(wanted.fetch_offset),
        current_leader_epoch: epoch(wanted.current_leader_epoch),
        last_fetched_epoch: epoch(wanted.last_fetched_epoch),
        max_bytes: max_bytes.min(left),
        at_least_one_batch,
        isolation: bounds.isolation,
    };
    let read = partition.read(&request)?;
    Ok(Found { partition, read })
}

fn epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}

fn answer(
    ctx: &RequestContext,
    context: &FetchContext,
    readings: Vec<Reading<'_>>,
    bounds: &Bounds,
) -> FetchReply {
    let mut response = FetchResponse {
        session_id: context.session_id(),
        ..FetchResponse::default()
    };
    let mut slices = Vec::with_capacity(readings.len());
    for Reading { wanted, outcome } in readings {
        count(ctx, &outcome);
        let (data, slice) = partition_data(ctx, wanted, outcome, bounds.isolation);
        if context.must_send(&wanted.key, &data, slice.size_in_bytes()) {
            push(ctx, &mut response, &wanted.key, data);
            if !slice.is_empty() {
                slices.push(slice);
            }
        }
    }
    if bounds.is_follower {
        // A broker knows where the others are.
        response.node_endpoints.clear();
    }
    FetchReply { response, slices }
}

fn count(ctx: &RequestContext, outcome: &Result<Found, Failed>) {
    match outcome {
        Ok(found) => {
            let size = found.read.slice.size_in_bytes() as u64;
            if size > 0 {
                found.partition.meters().count_out(size);
                ctx.node.meters.topics.count_out(size);
            }
        }
        Err(_) => {
            ctx.node.meters.failed_fetches.fetch_add(1, Relaxed);
        }
    }
}

fn partition_data(
    ctx: &RequestContext,
    wanted: &Wanted,
    outcome: Result<Found, Failed>,
    isolation: Isolation,
) -> (PartitionData, LogSlice) {
    let nothing = LogSlice::empty(Offset(wanted.fetch_offset));
    let read = match outcome {
        Ok(found) => found.read,
        Err(Failed::Unknown(code)) => {
            let mut data = unread(wanted, code.code());
            data.aborted_transactions = Some(Vec::new());
            return (data, nothing);
        }
        Err(Failed::Refused(code)) => {
            let mut data = unread(wanted, code.code());
            // KIP-951: who else leads is told since version 16.
            let elsewhere = [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch];
            if ctx.version >= 16 && elsewhere.contains(&code) {
                data.current_leader = current_leader(ctx, &wanted.key);
            }
            return (data, nothing);
        }
    };
    let mut data = unread(wanted, 0);
    data.high_watermark = read.high_watermark.0;
    data.last_stable_offset = read.last_stable_offset.0;
    data.log_start_offset = read.log_start_offset.0;
    if isolation == Isolation::ReadCommitted {
        data.aborted_transactions = Some(aborted(&read.aborted_transactions));
    }
    if let Some((epoch, end)) = read.diverging_epoch {
        data.diverging_epoch = EpochEndOffset {
            epoch: epoch.0,
            end_offset: end.0,
        };
    }
    if !read.slice.is_empty() {
        data.records = RecordsField::External(read.slice.size_in_bytes());
    }
    (data, read.slice)
}

/// An answer for a partition of which nothing was read.
fn unread(wanted: &Wanted, error_code: i16) -> PartitionData {
    PartitionData {
        partition_index: wanted.key.partition,
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        preferred_read_replica: (-1).into(),
        // Never null: librdkafka stops on a null.
        records: RecordsField::EMPTY,
        ..PartitionData::default()
    }
}

fn aborted(transactions: &[storage::AbortedTransaction]) -> Vec<AbortedTransaction> {
    let aborted = transactions.iter().map(|transaction| AbortedTransaction {
        producer_id: transaction.producer_id.0.into(),
        first_offset: transaction.first_offset.0,
    });
    aborted.collect()
}

fn current_leader(ctx: &RequestContext, key: &Key) -> LeaderIdAndEpoch {
    let leader = topics::find(&ctx.image, ctx.version >= 13, &key.topic, key.topic_id)
        .ok()
        .and_then(|topic| topic.leader(key.partition));
    leader.map_or_else(LeaderIdAndEpoch::default, |(id, epoch)| LeaderIdAndEpoch {
        leader_id: id.into(),
        leader_epoch: epoch.0,
    })
}

/// Adds a partition to the answer, under the topic it follows.
fn push(ctx: &RequestContext, response: &mut FetchResponse, key: &Key, data: PartitionData) {
    let leader = data.current_leader.leader_id.0;
    if leader >= 0
        && response
            .node_endpoints
            .iter()
            .all(|node| node.node_id.0 != leader)
        && let Some((id, host, port, rack)) = topics::endpoint(ctx, leader)
    {
        response.node_endpoints.push(NodeEndpoint {
            node_id: id.into(),
            host,
            port,
            rack,
        });
    }
    match response.responses.last_mut() {
        Some(last) if last.topic.0 == key.topic && last.topic_id == key.topic_id => {
            last.partitions.push(data);
        }
        Some(_) | None => response.responses.push(FetchableTopicResponse {
            topic: TopicName(key.topic.clone()),
            topic_id: key.topic_id,
            partitions: vec![data],
        }),
    }
}
