//! What ShareFetch and ShareAcknowledge share: who asks, what is said of records, and where an
//! answer says who leads (KIP-932).
//!
//! Invariant: an acknowledgement is answered once it is written; of a partition that is named twice
//! the last counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::share::partition::{AcknowledgementBatch, Refusal, check_acknowledgement};
use coordinator::share::session::{SessionPartition, ShareSessionKey};
use protocol::messages::GroupId;
use protocol::{ErrorCode, StrBytes, TopicId, TopicPartition};

use super::{RequestContext, topics};
use crate::shares::Done;

/// As long as a UUID is when it is read by people.
const MEMBER_ID_MAX: usize = 36;

/// The first version that renews locks (KIP-1222).
const RENEW_SINCE: i16 = 2;

/// A partition of the request, with what is said of its records.
pub(super) type Said = (SessionPartition, Vec<AcknowledgementBatch>);

/// Why records were not acknowledged.
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: Option<StrBytes>,
}

/// What came of the acknowledgements of each partition.
pub(super) type Outcomes = BTreeMap<SessionPartition, Result<(), Refused>>;

impl From<ErrorCode> for Refused {
    /// What is refused without asking the share partition has no words.
    fn from(code: ErrorCode) -> Self {
        Refused {
            code,
            message: None,
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.message.map(StrBytes::from_static_str);
        let message = message.unwrap_or_else(|| StrBytes::from_string(refusal.code.to_string()));
        Refused {
            code: refusal.code,
            message: Some(message),
        }
    }
}

/// Whose session a request is about.
///
/// # Errors
/// `UNSUPPORTED_VERSION` where share groups are not served, `INVALID_REQUEST` for a group or member
/// that cannot be.
pub(super) fn session_key(
    ctx: &RequestContext,
    group_id: Option<&GroupId>,
    member_id: Option<&StrBytes>,
) -> Result<ShareSessionKey, ErrorCode> {
    if ctx.image.features.level(controller::SHARE_VERSION) < 1 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let group_id = group_id.ok_or(ErrorCode::InvalidRequest)?;
    // Java counts UTF-16 units.
    let is_valid = |id: &&StrBytes| !id.is_empty() && id.encode_utf16().count() <= MEMBER_ID_MAX;
    let member_id = member_id.filter(is_valid);
    let member_id = member_id.ok_or(ErrorCode::InvalidRequest)?;
    Ok(ShareSessionKey {
        group_id: Arc::from(group_id.as_str()),
        member_id: Arc::from(member_id.as_str()),
    })
}

/// A partition that there is.
pub(super) fn find(
    ctx: &RequestContext,
    of: SessionPartition,
) -> Result<TopicPartition, ErrorCode> {
    let topic = topics::find(&ctx.image, true, "", of.topic_id.0)?;
    let partition = topic.partition(of.partition)?;
    ctx.check_fault(&partition.topic, of.partition)?;
    Ok(partition)
}

/// Acknowledges, and waits until all of it is written.
pub(super) async fn acknowledge(
    ctx: &RequestContext,
    key: &ShareSessionKey,
    said: Vec<Said>,
    is_renew_ack: bool,
) -> Outcomes {
    let said: BTreeMap<_, _> = said.into_iter().collect();
    let knows_renew = ctx.version >= RENEW_SINCE;
    let mut outcomes = Outcomes::new();
    let mut nothing_said = Vec::new();
    let mut waiting = Vec::new();
    for (of, batches) in said {
        let checked = if ctx.image.topics.by_id(of.topic_id).is_none() {
            Err(ErrorCode::UnknownTopicId)
        } else {
            check_acknowledgement(&batches, knows_renew, is_renew_ack)
        };
        match checked.and_then(|()| find(ctx, of)) {
            Err(code) => {
                outcomes.insert(of, Err(code.into()));
            }
            Ok(_) if batches.is_empty() => nothing_said.push(of),
            Ok(_) => waiting.push((of, ctx.node.shares.acknowledge(key, of, batches))),
        }
    }
    if waiting.is_empty() {
        // As upstream: those of which nothing is said are answered beside others only.
        return outcomes;
    }
    for (of, done) in waiting {
        let done: Done = match done {
            Some(done) => done
                .await
                .unwrap_or_else(|_| Err(ErrorCode::NotLeaderOrFollower.into())),
            None => Err(ErrorCode::UnknownTopicOrPartition.into()),
        };
        outcomes.insert(of, done.map_err(Refused::from));
    }
    outcomes.extend(nothing_said.into_iter().map(|of| (of, Ok(()))));
    outcomes
}

/// Who leads a partition, and in which epoch: told beside errors that mean another does.
pub(super) fn leader_beside(
    ctx: &RequestContext,
    of: SessionPartition,
    code: ErrorCode,
) -> Option<(i32, i32)> {
    let elsewhere = [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch];
    if !elsewhere.contains(&code) {
        return None;
    }
    let topic = topics::find(&ctx.image, true, "", of.topic_id.0).ok()?;
    let (leader, epoch) = topic.leader(of.partition)?;
    Some((leader, epoch.0))
}

/// A partition as a request names it.
pub(super) fn partition(topic_id: uuid::Uuid, partition: i32) -> SessionPartition {
    SessionPartition {
        topic_id: TopicId(topic_id),
        partition,
    }
}
