//! A member of a classic group: joins, syncs, beats, commits and leaves.
//!
//! Invariant: partitions are given up, and what was consumed of them is committed, before the group is
//! joined again; heartbeats go on while records are printed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest,
};
use protocol::{ErrorCode, StrBytes, TopicPartition};
use regex::Regex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::assignor::{Assignment, cooperative_sticky, range};
use super::fetcher::Start;
use super::offsets::{Positions, commit, committed};
use super::settings::{Settings, Strategy};
use super::subscription::{
    read_assignment, read_subscription, write_assignment, write_subscription,
};
use crate::client::{Client, CoordinatorKind, Target};
use crate::console::topics::{self, invalid_topic};
use crate::failure::Failure;

const PROTOCOL_TYPE: &str = "consumer";
const JOIN_NEWEST: i16 = 9;
const SYNC_NEWEST: i16 = 5;
const HEARTBEAT_NEWEST: i16 = 4;
const LEAVE_NEWEST: i16 = 5;
/// What a join may take longer than the rebalance it waits for.
const JOIN_GRACE: Duration = Duration::from_secs(5);
/// How often a leader looks again for a topic that is being created.
const CREATION_LOOKS: u32 = 10;

/// What is subscribed to.
#[derive(Clone, Debug)]
pub(super) enum Topics {
    Names(Vec<String>),
    Pattern(Regex),
}

/// What a member tells its consumer.
#[derive(Debug)]
pub(super) enum Event {
    Assigned(BTreeMap<TopicPartition, Start>),
    /// Nothing is assigned any more; what was consumed is to be answered.
    Revoked(oneshot::Sender<Positions>),
    Failed(Failure),
}

/// What a consumer wants of its member.
#[derive(Debug)]
pub(super) enum Command {
    Commit(Positions),
    /// Commit this, leave, and tell when that is done.
    Close(Positions, oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Membership {
    client: Client,
    settings: Settings,
    topics: Topics,
    events: mpsc::Sender<Event>,
    member_id: String,
    generation: i32,
    is_leader: bool,
    /// The partitions of the topics that are subscribed to, when the group was last joined.
    counts: BTreeMap<String, i32>,
}

/// Why a member that had joined does no longer belong.
enum Out {
    /// It is to join again.
    Rebalance,
    /// The group has forgotten it.
    Forgotten,
    Failed(Failure),
    Closed,
}

impl Membership {
    pub(super) fn new(
        client: Client,
        settings: Settings,
        topics: Topics,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Membership {
            client,
            settings,
            topics,
            events,
            member_id: String::new(),
            generation: -1,
            is_leader: false,
            counts: BTreeMap::new(),
        }
    }

    /// Belongs to the group until it is closed or cannot go on; `spare` leaves it where this member's
    /// own connection waits for a join.
    pub(super) async fn run(mut self, spare: Client, mut commands: mpsc::Receiver<Command>) {
        loop {
            let joined = tokio::select! {
                biased;
                closing = closed(&mut commands) => Err(closing),
                joined = self.join() => Ok(joined),
            };
            let out = match joined {
                Err(closing) => {
                    self.client = spare;
                    self.close(closing).await;
                    return;
                }
                Ok(Err(failure)) => Out::Failed(failure),
                Ok(Ok(starts)) => {
                    // Who does not listen is about to close.
                    let _ = self.events.send(Event::Assigned(starts)).await;
                    self.belong(&mut commands).await
                }
            };
            match out {
                Out::Closed => return,
                Out::Rebalance => self.give_up(true).await,
                Out::Forgotten => {
                    self.give_up(false).await;
                    self.forget_self();
                }
                Out::Failed(failure) => {
                    let _ = self.events.send(Event::Failed(failure)).await;
                    let closing = closed(&mut commands).await;
                    self.close(closing).await;
                    return;
                }
            }
        }
    }

    fn forget_self(&mut self) {
        self.member_id.clear();
        self.generation = -1;
    }

    /// Has the consumer let go of its partitions, and commits how far it came.
    async fn give_up(&mut self, commits: bool) {
        let (reply, replied) = oneshot::channel();
        if self.events.send(Event::Revoked(reply)).await.is_err() {
            return;
        }
        if let Ok(positions) = replied.await
            && commits
        {
            self.commit(&positions).await;
        }
    }

    async fn commit(&self, positions: &Positions) {
        if !self.settings.commits || positions.is_empty() {
            return;
        }
        let member = (self.generation, self.member_id.as_str());
        if let Err(failure) = commit(&self.client, &self.settings, member, positions).await {
            crate::complain!(
                "WARN Offset commit of group {} failed: {failure}",
                self.settings.group
            );
        }
    }

    async fn close(&mut self, closing: Closing) {
        if let Some((positions, done)) = closing {
            self.commit(&positions).await;
            self.leave().await;
            // Who waited may have given up.
            let _ = done.send(());
        }
    }

    /// A member with a fixed name stays in the group until its session ends.
    async fn leave(&mut self) {
        if self.member_id.is_empty() || self.settings.instance_id.is_some() {
            return;
        }
        let member = MemberIdentity::default()
            .with_member_id(text(&self.member_id))
            .with_reason(Some(text("the consumer is being closed")));
        let (group, id) = (self.group(), text(&self.member_id));
        let wait = self.settings.request_timeout;
        let left = self
            .client
            .ask(self.coordinator(), LEAVE_NEWEST, wait, |version| {
                let request = LeaveGroupRequest::default().with_group_id(group);
                match version {
                    0..3 => request.with_member_id(id),
                    _ => request.with_members(vec![member]),
                }
            })
            .await;
        // Without an answer the session ends by itself.
        drop(left);
        self.forget_self();
    }

    fn group(&self) -> GroupId {
        GroupId(text(&self.settings.group))
    }

    fn coordinator(&self) -> Target<'_> {
        Target::Coordinator(CoordinatorKind::Group, &self.settings.group)
    }

    fn instance_id(&self) -> Option<StrBytes> {
        self.settings.instance_id.as_deref().map(text)
    }

    /// Joins until it has an assignment.
    async fn join(&mut self) -> Result<BTreeMap<TopicPartition, Start>, Failure> {
        let mut attempts = 0;
        loop {
            let failure = match self.join_once().await {
                Ok(starts) => return Ok(starts),
                Err(failure) => failure,
            };
            let is_forgotten = is_forgotten(&failure);
            if is_forgotten {
                self.forget_self();
            }
            // A new id, and a rebalance that begins again, are no failures.
            if failure.is(ErrorCode::MemberIdRequired) || failure.is(ErrorCode::RebalanceInProgress)
            {
                continue;
            }
            if !failure.is_retriable() && !is_forgotten {
                return Err(failure);
            }
            self.client.forget(self.coordinator());
            tokio::time::sleep(self.backoff(attempts)).await;
            attempts += 1;
        }
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.min(16));
        let pause = self.settings.retry_backoff.saturating_mul(doubled);
        pause.min(self.settings.retry_backoff_max)
    }

    async fn join_once(&mut self) -> Result<BTreeMap<TopicPartition, Start>, Failure> {
        self.counts = self.subscribed().await?;
        let topics: Vec<String> = match &self.topics {
            Topics::Names(names) => names.clone(),
            Topics::Pattern(_) => self.counts.keys().cloned().collect(),
        };
        let joined = self.ask_to_join(&topics).await?;
        self.member_id = joined.member_id.to_string();
        if let Some(failure) = Failure::from_answer(joined.error_code, None) {
            return Err(failure);
        }
        self.generation = joined.generation_id;
        self.is_leader = joined.leader == joined.member_id;
        let assignments = if self.is_leader && !joined.skip_assignment {
            self.assign(&joined).await?
        } else {
            Vec::new()
        };
        let assigned = self.sync(&joined, assignments).await?;
        let assigned = read_assignment(assigned)?;
        committed(&self.client, &self.settings, assigned).await
    }

    async fn ask_to_join(&self, topics: &[String]) -> Result<JoinGroupResponse, Failure> {
        let metadata = write_subscription(topics);
        let protocols = self.settings.strategies.iter().map(|strategy| {
            JoinGroupRequestProtocol::default()
                .with_name(text(strategy.name()))
                .with_metadata(metadata.clone())
        });
        let request = JoinGroupRequest::default()
            .with_group_id(self.group())
            .with_session_timeout_ms(self.settings.session_timeout_ms)
            .with_rebalance_timeout_ms(self.settings.rebalance_timeout_ms)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id())
            .with_protocol_type(text(PROTOCOL_TYPE))
            .with_protocols(protocols.collect());
        let rebalance = self.settings.rebalance_timeout_ms.unsigned_abs();
        let wait = Duration::from_millis(rebalance.into()) + JOIN_GRACE;
        let to = self.coordinator();
        self.client.ask(to, JOIN_NEWEST, wait, |_| request).await
    }

    /// What a leader gives to whom.
    async fn assign(
        &self,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, Failure> {
        let mut members = Vec::new();
        for member in &joined.members {
            let instance = member.group_instance_id.as_ref().map(|it| it.to_string());
            let id = member.member_id.to_string();
            members.push(read_subscription(id, instance, member.metadata.clone())?);
        }
        let mut names: Vec<String> = members.iter().flat_map(|it| it.topics.clone()).collect();
        names.sort();
        names.dedup();
        let counts = self.counts_of(&names, CREATION_LOOKS).await?;
        let name = joined.protocol_name.as_deref().unwrap_or_default();
        let sticky = Strategy::CooperativeSticky.name();
        let assignment: Assignment = if name == sticky {
            cooperative_sticky(&members, &counts)
        } else {
            range(&members, &counts)
        };
        let rows = assignment.into_iter().map(|(member, partitions)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(&member))
                .with_assignment(write_assignment(&partitions))
        });
        Ok(rows.collect())
    }

    async fn sync(
        &self,
        joined: &JoinGroupResponse,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<Bytes, Failure> {
        let request = SyncGroupRequest::default()
            .with_group_id(self.group())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id())
            .with_protocol_type(Some(text(PROTOCOL_TYPE)))
            .with_protocol_name(joined.protocol_name.clone())
            .with_assignments(assignments);
        let rebalance = self.settings.rebalance_timeout_ms.unsigned_abs();
        let wait = Duration::from_millis(rebalance.into()) + JOIN_GRACE;
        let to = self.coordinator();
        let answer = self.client.ask(to, SYNC_NEWEST, wait, |version| {
            if version < 5 {
                request.with_protocol_type(None).with_protocol_name(None)
            } else {
                request
            }
        });
        let answer = answer.await?;
        match Failure::from_answer(answer.error_code, None) {
            Some(failure) => Err(failure),
            None => Ok(answer.assignment),
        }
    }

    /// The topics that are subscribed to and there, with their partitions.
    async fn subscribed(&self) -> Result<BTreeMap<String, i32>, Failure> {
        let pattern = match &self.topics {
            Topics::Names(names) => return self.counts_of(names, 1).await,
            Topics::Pattern(pattern) => pattern,
        };
        let wait = self.settings.request_timeout;
        let all = topics::ask(&self.client, None, false, wait).await?;
        let matching = all.into_iter().filter(|(name, topic)| {
            let is_hidden = topic.is_internal && self.settings.excludes_internal_topics;
            !is_hidden && topic.failure.is_none() && pattern.is_match(name)
        });
        Ok(matching
            .map(|(name, topic)| (name, topic.leaders.len() as i32))
            .collect())
    }

    async fn counts_of(
        &self,
        names: &[String],
        looks: u32,
    ) -> Result<BTreeMap<String, i32>, Failure> {
        let mut look = 1;
        loop {
            let wait = self.settings.request_timeout;
            let creates = self.settings.creates_topics;
            let answer = topics::ask(&self.client, Some(names), creates, wait).await?;
            for (name, topic) in &answer {
                match &topic.failure {
                    Some(failure) if failure.is(ErrorCode::InvalidTopicException) => {
                        return Err(invalid_topic(name));
                    }
                    Some(failure) if failure.is(ErrorCode::TopicAuthorizationFailed) => {
                        return Err(failure.clone());
                    }
                    Some(_) | None => {}
                }
            }
            let known = answer
                .into_iter()
                .filter(|(_, topic)| topic.failure.is_none());
            let counts: BTreeMap<String, i32> = known
                .map(|(name, topic)| (name, topic.leaders.len() as i32))
                .collect();
            if counts.len() >= names.len() || look >= looks {
                return Ok(counts);
            }
            look += 1;
            tokio::time::sleep(self.settings.retry_backoff).await;
        }
    }

    /// Beats and commits until something ends the membership.
    async fn belong(&mut self, commands: &mut mpsc::Receiver<Command>) -> Out {
        let mut next_beat = Instant::now() + self.settings.heartbeat_interval;
        let mut next_look = Instant::now() + self.look_interval();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Commit(positions)) => self.commit(&positions).await,
                    Some(Command::Close(positions, done)) => {
                        self.close(Some((positions, done))).await;
                        return Out::Closed;
                    }
                    None => return Out::Closed,
                },
                () = tokio::time::sleep_until(next_beat) => {
                    match self.beat().await {
                        Ok(pause) => next_beat = Instant::now() + pause,
                        Err(out) => return out,
                    }
                }
                () = tokio::time::sleep_until(next_look) => {
                    if self.has_changed().await {
                        return Out::Rebalance;
                    }
                    next_look = Instant::now() + self.look_interval();
                }
            }
        }
    }

    /// When the topics are looked at again: soon where one is not there yet.
    fn look_interval(&self) -> Duration {
        let is_missing = match &self.topics {
            Topics::Names(names) => names.iter().any(|name| !self.counts.contains_key(name)),
            Topics::Pattern(_) => false,
        };
        if is_missing {
            self.settings.retry_backoff_max
        } else {
            self.settings.metadata_max_age
        }
    }

    /// Whether there are other topics, or for a leader other partitions, than when it joined.
    async fn has_changed(&self) -> bool {
        let Ok(counts) = self.subscribed().await else {
            return false;
        };
        let same_topics = counts.keys().eq(self.counts.keys());
        !same_topics || (self.is_leader && counts != self.counts)
    }

    /// The time until the next heartbeat.
    async fn beat(&self) -> Result<Duration, Out> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id());
        let wait = self.settings.request_timeout;
        let to = self.coordinator();
        let answer = self
            .client
            .ask(to, HEARTBEAT_NEWEST, wait, |_| request)
            .await;
        let failure = match answer {
            Ok(answer) => Failure::from_answer(answer.error_code, None),
            Err(failure) => Some(failure),
        };
        match failure {
            None => Ok(self.settings.heartbeat_interval),
            Some(failure) if failure.is(ErrorCode::RebalanceInProgress) => Err(Out::Rebalance),
            Some(failure) if is_forgotten(&failure) => Err(Out::Forgotten),
            Some(failure) if failure.is_retriable() => {
                self.client.forget(self.coordinator());
                Ok(self.settings.retry_backoff)
            }
            Some(failure) => Err(Out::Failed(failure)),
        }
    }
}

type Closing = Option<(Positions, oneshot::Sender<()>)>;

/// Waits until the consumer closes; it has nothing to commit meanwhile.
async fn closed(commands: &mut mpsc::Receiver<Command>) -> Closing {
    loop {
        match commands.recv().await {
            Some(Command::Commit(_)) => {}
            Some(Command::Close(positions, done)) => return Some((positions, done)),
            None => return None,
        }
    }
}

fn is_forgotten(failure: &Failure) -> bool {
    failure.is(ErrorCode::UnknownMemberId) || failure.is(ErrorCode::IllegalGeneration)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
