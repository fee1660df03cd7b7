//! ShareFetch: a member of a share group acknowledges records and is handed out others (KIP-932).

use std::collections::BTreeSet;
use std::time::Duration;

use coordinator::share::partition::{AcknowledgementBatch, AcquireMode};
use coordinator::share::session::{
    FINAL_EPOCH, NamedPartition, PartitionAnswer, SessionPartition, SessionRequest, SessionTurn,
    ShareSessionKey,
};
use protocol::messages::ShareFetchRequest;
use protocol::messages::share_fetch_request::FetchTopic;
use protocol::response::RecordsField;
use protocol::response::share_fetch::{
    AcquiredRecords, LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareFetchResponse,
    ShareFetchableTopicResponse,
};
use protocol::{ErrorCode, Offset, TopicPartition};
use storage::LogSlice;
use uuid::Uuid;

use super::respond::ShareFetchReply;
use super::share_acknowledgements::{self, Outcomes, Said};
use super::{RequestContext, topics};
use crate::shares::{Answers, Asked, Handed, Wanted};

pub(super) async fn handle(ctx: &RequestContext, request: ShareFetchRequest) -> ShareFetchReply {
    let fetched = fetch(ctx, request).await;
    fetched.unwrap_or_else(|code| ShareFetchReply::from(refused(code)))
}

/// The answer to a request that is refused as a whole.
pub(super) fn refused(code: ErrorCode) -> ShareFetchResponse {
    ShareFetchResponse::default().with_error_code(code.code())
}

async fn fetch(
    ctx: &RequestContext,
    mut request: ShareFetchRequest,
) -> Result<ShareFetchReply, ErrorCode> {
    let (group_id, member_id) = (request.group_id.as_ref(), request.member_id.as_ref());
    let key = share_acknowledgements::session_key(ctx, group_id, member_id)?;
    check_renewal(&request)?;
    let session = session_request(ctx, key, &request);
    let turn = begin(ctx, &session, &request).await?;
    let asked = Limits::of(ctx, &request);
    let said = said(&mut request.topics);
    let acknowledged = async {
        if !session.has_acknowledgements {
            return Outcomes::new();
        }
        share_acknowledgements::acknowledge(ctx, &session.key, said, asked.is_renew_ack).await
    };
    // What is acknowledged is told first: the fetch may wait for it.
    let (outcomes, answers) = tokio::join!(acknowledged, hand_out(ctx, &session, &turn, asked));
    let mut reply = Reply::new(ctx, &session, &turn, answers?);
    reply.add(outcomes);
    let shares = &ctx.node.shares;
    if session.epoch == FINAL_EPOCH {
        shares.end_session(&session.key);
    }
    let settings = shares.settings(&session.key.group_id);
    Ok(reply.shape(settings.partition.record_lock_duration_ms))
}

/// One that renews locks asks for nothing else: a lock that is renewed must not end while the
/// answer waits for records (KIP-1222).
fn check_renewal(request: &ShareFetchRequest) -> Result<(), ErrorCode> {
    let asked = [
        request.max_bytes,
        request.min_bytes,
        request.max_records,
        request.max_wait_ms,
    ];
    if request.is_renew_ack && asked.iter().any(|it| *it != 0) {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

fn session_request(
    ctx: &RequestContext,
    key: ShareSessionKey,
    request: &ShareFetchRequest,
) -> SessionRequest {
    let named = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| {
            let of = share_acknowledgements::partition(topic.topic_id, partition.partition_index);
            let known = ctx.image.topics.by_id(of.topic_id);
            NamedPartition {
                partition: of,
                topic_name: known.map(|topic| topic.name.clone()),
            }
        })
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|index| share_acknowledgements::partition(topic.topic_id, *index))
    });
    let mut partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    SessionRequest {
        key,
        epoch: request.share_session_epoch,
        connection: ctx.peer.connection.id,
        partitions: named.collect(),
        forgotten: forgotten.collect(),
        has_acknowledgements: partitions.any(|it| !it.acknowledgement_batches.is_empty()),
    }
}

async fn begin(
    ctx: &RequestContext,
    session: &SessionRequest,
    request: &ShareFetchRequest,
) -> Result<SessionTurn, ErrorCode> {
    let turn = ctx.node.shares.session(session);
    if turn == Err(ErrorCode::ShareSessionLimitReached) {
        // Else the client would ask again at once.
        tokio::time::sleep(max_wait(request)).await;
    }
    turn
}

fn max_wait(request: &ShareFetchRequest) -> Duration {
    Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0))
}

fn said(topics: &mut [FetchTopic]) -> Vec<Said> {
    let said = topics.iter_mut().flat_map(|topic| {
        let topic_id = topic.topic_id;
        topic.partitions.iter_mut().map(move |partition| {
            let batches = std::mem::take(&mut partition.acknowledgement_batches);
            let batches = batches.into_iter().map(|batch| AcknowledgementBatch {
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

/// What a request asks for, beside whose records.
#[derive(Clone, Copy)]
struct Limits {
    max_wait: Duration,
    min_bytes: i32,
    /// Not more than the broker gives.
    max_bytes: i32,
    max_records: i32,
    batch_size: i32,
    /// None for a number that stands for no mode.
    mode: Option<AcquireMode>,
    is_renew_ack: bool,
}

impl Limits {
    fn of(ctx: &RequestContext, request: &ShareFetchRequest) -> Limits {
        let of_broker = i32::try_from(ctx.node.config.fetch_max_bytes).unwrap_or(i32::MAX);
        let max_bytes = request.max_bytes.min(of_broker);
        Limits {
            max_wait: max_wait(request),
            min_bytes: request.min_bytes.min(max_bytes),
            max_bytes,
            max_records: request.max_records,
            batch_size: request.batch_size,
            mode: AcquireMode::from_id(request.share_acquire_mode),
            is_renew_ack: request.is_renew_ack,
        }
    }
}

/// Fetches from the partitions of the session.
async fn hand_out(
    ctx: &RequestContext,
    session: &SessionRequest,
    turn: &SessionTurn,
    limits: Limits,
) -> Result<Answers, ErrorCode> {
    let partitions = match turn {
        SessionTurn::New { partitions } | SessionTurn::Next { partitions } => partitions,
        SessionTurn::Final => return Ok(Answers::new()),
    };
    if limits.is_renew_ack {
        return Ok(Answers::new());
    }
    let (mut wanted, mut answers) = (Vec::new(), Answers::new());
    for named in partitions {
        match locate(ctx, named) {
            Ok(of) => wanted.push((named.partition, of)),
            Err(code) => answers.push((named.partition, Err(code))),
        }
    }
    if wanted.is_empty() {
        return Ok(answers);
    }
    // Upstream answers UNKNOWN_SERVER_ERROR.
    let mode = limits.mode.ok_or(ErrorCode::InvalidRequest)?;
    if limits.max_records == 0 || limits.max_bytes == 0 {
        return Ok(answers);
    }
    let Ok(max_bytes) = usize::try_from(limits.max_bytes) else {
        let refused = wanted.iter();
        answers.extend(refused.map(|(of, _)| (*of, Err(ErrorCode::InvalidRequest))));
        return Ok(answers);
    };
    // Each partition is the first in its turn.
    let turns = usize::try_from(session.epoch).unwrap_or(0) % wanted.len();
    wanted.rotate_left(turns);
    let (shares, group_id) = (&ctx.node.shares, &session.key.group_id);
    let wanted = wanted.into_iter().map(|(partition, of)| Wanted {
        partition,
        share: shares.open(group_id, partition, &of),
    });
    let asked = Asked {
        member: session.key.member_id.clone(),
        mode,
        batch_size: limits.batch_size,
        max_records: limits.max_records,
        min_bytes: usize::try_from(limits.min_bytes).unwrap_or(0),
        max_bytes,
        max_wait: limits.max_wait,
        isolation: shares.settings(group_id).isolation,
    };
    answers.append(&mut shares.fetch(&asked, wanted.collect()).await);
    Ok(answers)
}

fn locate(ctx: &RequestContext, named: &NamedPartition) -> Result<TopicPartition, ErrorCode> {
    if named.topic_name.is_none() {
        return Err(ErrorCode::UnknownTopicId);
    }
    let found = share_acknowledgements::find(ctx, named.partition);
    // Kafka's enum is not ours: the other codes speak for themselves.
    #[allow(clippy::wildcard_enum_match_arm)]
    found.map_err(|code| match code {
        // The session knew it when it was still there.
        ErrorCode::UnknownTopicId => ErrorCode::UnknownTopicOrPartition,
        code => code,
    })
}

/// An answer as it grows.
struct Reply<'a> {
    ctx: &'a RequestContext,
    error: Option<ErrorCode>,
    /// In the order of the answer.
    topics: Vec<(Uuid, Vec<(PartitionData, LogSlice)>)>,
    endpoints: Vec<NodeEndpoint>,
}

impl<'a> Reply<'a> {
    fn new(
        ctx: &'a RequestContext,
        session: &SessionRequest,
        turn: &SessionTurn,
        answers: Answers,
    ) -> Self {
        let mut reply = Reply {
            ctx,
            error: None,
            topics: Vec::new(),
            endpoints: Vec::new(),
        };
        let sent = match turn {
            SessionTurn::New { .. } | SessionTurn::Final => None,
            SessionTurn::Next { .. } => {
                let said: Vec<_> = answers.iter().map(brief).collect();
                let shares = &ctx.node.shares;
                match shares.session_answered(&session.key, session.epoch, &said) {
                    Ok(sent) => Some(sent.into_iter().collect::<BTreeSet<_>>()),
                    Err(code) => {
                        reply.error = Some(code);
                        Some(BTreeSet::new())
                    }
                }
            }
        };
        for (of, answer) in answers {
            if sent.as_ref().is_none_or(|sent| sent.contains(&of)) {
                reply.push(of, answer);
            }
        }
        reply
    }

    fn push(&mut self, of: SessionPartition, answer: Result<Handed, ErrorCode>) {
        let mut data = PartitionData::default().with_partition_index(of.partition);
        let mut records = LogSlice::empty(Offset(0));
        match answer {
            Ok(handed) => {
                count(self.ctx, of, handed.records.size_in_bytes());
                let acquired = handed.acquired.iter().map(|acquired| AcquiredRecords {
                    first_offset: acquired.offsets.first().0,
                    last_offset: acquired.offsets.last().0,
                    delivery_count: acquired.delivery_count,
                });
                data.acquired_records = acquired.collect();
                if !handed.records.is_empty() {
                    data.records = RecordsField::External(handed.records.size_in_bytes());
                }
                records = handed.records;
            }
            Err(code) => {
                data.error_code = code.code();
                let leader = share_acknowledgements::leader_beside(self.ctx, of, code);
                if let Some((leader_id, leader_epoch)) = leader {
                    data.current_leader = LeaderIdAndEpoch {
                        leader_id,
                        leader_epoch,
                    };
                    self.tell_endpoint(leader_id);
                }
            }
        }
        self.put(of, data, records);
    }

    fn put(&mut self, of: SessionPartition, data: PartitionData, records: LogSlice) {
        let id = of.topic_id.0;
        match self.topics.iter_mut().find(|(known, _)| *known == id) {
            Some((_, partitions)) => partitions.push((data, records)),
            None => self.topics.push((id, vec![(data, records)])),
        }
    }

    fn told_of(&mut self, of: SessionPartition) -> Option<&mut PartitionData> {
        let topics = self.topics.iter_mut();
        let topic = topics.filter(|(id, _)| *id == of.topic_id.0);
        let partitions = topic.flat_map(|(_, partitions)| partitions);
        let mut told = partitions.map(|(data, _)| data);
        told.find(|data| data.partition_index == of.partition)
    }

    fn tell_endpoint(&mut self, leader: i32) {
        if self.endpoints.iter().all(|node| node.node_id.0 != leader)
            && let Some((id, host, port, rack)) = topics::endpoint(self.ctx, leader)
        {
            self.endpoints.push(NodeEndpoint {
                node_id: id.into(),
                host,
                port,
                rack,
            });
        }
    }

    /// Puts what came of acknowledgements beside what was fetched.
    fn add(&mut self, outcomes: Outcomes) {
        for (of, outcome) in outcomes {
            if self.told_of(of).is_none() {
                let data = PartitionData::default().with_partition_index(of.partition);
                self.put(of, data, LogSlice::empty(Offset(0)));
            }
            if let (Some(data), Err(refused)) = (self.told_of(of), outcome) {
                data.acknowledge_error_code = refused.code.code();
                data.acknowledge_error_message = refused.message;
            }
        }
    }

    fn shape(self, acquisition_lock_timeout_ms: i32) -> ShareFetchReply {
        let mut slices = Vec::new();
        let topics = self.topics.into_iter().map(|(topic_id, partitions)| {
            let partitions = partitions.into_iter().map(|(data, records)| {
                if !records.is_empty() {
                    slices.push(records);
                }
                data
            });
            ShareFetchableTopicResponse::default()
                .with_topic_id(topic_id)
                .with_partitions(partitions.collect())
        });
        let response = ShareFetchResponse::default()
            .with_error_code(self.error.map_or(0, |code| code.code()))
            .with_acquisition_lock_timeout_ms(acquisition_lock_timeout_ms)
            .with_responses(topics.collect())
            .with_node_endpoints(self.endpoints);
        ShareFetchReply { response, slices }
    }
}

fn brief(answer: &(SessionPartition, Result<Handed, ErrorCode>)) -> PartitionAnswer {
    let (partition, answer) = answer;
    PartitionAnswer {
        partition: *partition,
        has_records: answer.as_ref().is_ok_and(|it| !it.records.is_empty()),
        has_error: answer.is_err(),
    }
}

fn count(ctx: &RequestContext, of: SessionPartition, size: usize) {
    let located = share_acknowledgements::find(ctx, of);
    let partition = located.and_then(|of| ctx.node.replicas.partition(&of));
    if let Ok(partition) = partition
        && size > 0
    {
        partition.meters().count_out(size as u64);
        ctx.node.meters.topics.count_out(size as u64);
    }
}
