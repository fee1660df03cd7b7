//! A member of a share group: joins, beats, learns its partitions and who leads them, and leaves.
//!
//! Invariant: heartbeats go on while records are printed; a member that the group has forgotten gives up
//! its partitions before it joins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::messages::share_group_heartbeat_response::Assignment;
use protocol::messages::{GroupId, ShareGroupHeartbeatRequest, TopicName};
use protocol::{ErrorCode, StrBytes};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::session::Partitions;
use super::settings::Settings;
use crate::client::{Client, CoordinatorKind, Target};
use crate::console::topics::{self, Topic, invalid_topic};
use crate::failure::Failure;

const HEARTBEAT_NEWEST: i16 = 1;
/// The epoch of a member that joins, and of one that leaves.
const JOINS: i32 = 0;
const LEAVES: i32 = -1;

/// What each broker is to be asked for, by its id.
pub(super) type Targets = BTreeMap<i32, Partitions>;

/// What a member tells its consumer.
#[derive(Debug)]
pub(super) enum Event {
    Targets(Targets),
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Member {
    client: Client,
    settings: Arc<Settings>,
    topic: String,
    id: String,
    events: mpsc::Sender<Event>,
    epoch: i32,
    /// Whether the group knows what is subscribed to.
    has_subscribed: bool,
    assigned: BTreeMap<Uuid, BTreeSet<i32>>,
    /// Failures in a row.
    attempts: u32,
}

/// What is next, and when.
struct Due {
    beat: Instant,
    look: Instant,
}

impl Member {
    pub(super) fn new(
        client: Client,
        settings: Arc<Settings>,
        topic: String,
        id: String,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Member {
            client,
            settings,
            topic,
            id,
            events,
            epoch: JOINS,
            has_subscribed: false,
            assigned: BTreeMap::new(),
            attempts: 0,
        }
    }

    /// Belongs to the group until the other end of `left` is dropped; `is_stale` has it look again who
    /// leads its partitions.
    pub(super) async fn run(mut self, mut left: oneshot::Receiver<()>, is_stale: Arc<Notify>) {
        let failure = tokio::select! {
            biased;
            _ = &mut left => None,
            failure = self.belong(&is_stale) => Some(failure),
        };
        if let Some(failure) = failure {
            // Who does not listen is about to close.
            let _ = self.events.send(Event::Failed(failure)).await;
            let _ = left.await;
        }
        self.leave().await;
    }

    /// Beats and looks until that makes no sense any more.
    async fn belong(&mut self, is_stale: &Notify) -> Failure {
        let now = Instant::now();
        // Looking first creates the topic where brokers do that.
        let mut due = Due {
            beat: now,
            look: now,
        };
        loop {
            let done = tokio::select! {
                biased;
                () = tokio::time::sleep_until(due.look) => self.look(&mut due).await,
                () = tokio::time::sleep_until(due.beat) => self.beat(&mut due).await,
                () = is_stale.notified() => {
                    due.look = due.look.min(Instant::now() + self.settings.retry_backoff);
                    continue;
                }
            };
            if let Err(failure) = done {
                return failure;
            }
        }
    }

    async fn beat(&mut self, due: &mut Due) -> Result<(), Failure> {
        let wait = self.settings.request_timeout;
        let to = Target::Coordinator(CoordinatorKind::Group, &self.settings.group);
        let request = self.heartbeat();
        let answer = self
            .client
            .ask(to, HEARTBEAT_NEWEST, wait, |_| request)
            .await
            .and_then(|answer| {
                let message = answer.error_message.as_deref();
                match Failure::from_answer(answer.error_code, message) {
                    Some(failure) => Err(failure),
                    None => Ok(answer),
                }
            });
        match answer {
            Ok(answer) => {
                self.attempts = 0;
                self.has_subscribed = true;
                self.epoch = answer.member_epoch;
                let interval = u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0);
                due.beat = Instant::now() + Duration::from_millis(interval.max(1));
                if let Some(assignment) = answer.assignment {
                    self.assigned = assigned(assignment);
                    due.look = Instant::now();
                }
                Ok(())
            }
            Err(failure) if is_forgotten(&failure) => {
                self.epoch = JOINS;
                self.has_subscribed = false;
                self.assigned.clear();
                due.look = Instant::now();
                due.beat = due.look;
                Ok(())
            }
            Err(failure) if failure.is_retriable() => {
                self.client.forget(to);
                self.attempts += 1;
                due.beat = Instant::now() + self.settings.pause(self.attempts);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn heartbeat(&self) -> ShareGroupHeartbeatRequest {
        let topic = || TopicName(text(&self.topic));
        let names = (!self.has_subscribed).then(|| vec![topic()]);
        let rack = self.settings.rack.as_deref().map(text);
        ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.settings.group)))
            .with_member_id(text(&self.id))
            .with_member_epoch(self.epoch)
            .with_rack_id(rack.filter(|_| !self.has_subscribed))
            .with_subscribed_topic_names(names)
    }

    /// Finds out who leads what is assigned, and tells it.
    async fn look(&mut self, due: &mut Due) -> Result<(), Failure> {
        due.look = Instant::now() + self.settings.metadata_max_age;
        let names = [self.topic.clone()];
        let (creates, wait) = (self.settings.creates_topics, self.settings.request_timeout);
        let found = match topics::ask(&self.client, Some(&names), creates, wait).await {
            Ok(mut answer) => answer.remove(&self.topic),
            Err(failure) if failure.is_retriable() => None,
            Err(failure) => return Err(failure),
        };
        if let Some(failure) = found.as_ref().and_then(|topic| topic.failure.as_ref()) {
            if failure.is(ErrorCode::InvalidTopicException) {
                return Err(invalid_topic(&self.topic));
            }
            if failure.is(ErrorCode::TopicAuthorizationFailed) {
                return Err(failure.clone());
            }
        }
        let (targets, has_all) = targets(&self.assigned, found.as_ref());
        if !has_all {
            due.look = Instant::now() + self.settings.retry_backoff_max;
        }
        // Who does not listen is about to close.
        let _ = self.events.send(Event::Targets(targets)).await;
        Ok(())
    }

    async fn leave(&mut self) {
        if !self.has_subscribed {
            return;
        }
        self.epoch = LEAVES;
        let wait = self.settings.request_timeout;
        let to = Target::Coordinator(CoordinatorKind::Group, &self.settings.group);
        let request = self.heartbeat();
        // The session would end by itself.
        let _ = self
            .client
            .ask(to, HEARTBEAT_NEWEST, wait, |_| request)
            .await;
    }
}

fn assigned(assignment: Assignment) -> BTreeMap<Uuid, BTreeSet<i32>> {
    let topics = assignment.topic_partitions.into_iter();
    topics
        .map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()))
        .collect()
}

/// What each leader is to be asked for, and whether that is all that is assigned.
fn targets(assigned: &BTreeMap<Uuid, BTreeSet<i32>>, topic: Option<&Topic>) -> (Targets, bool) {
    let mut targets = Targets::new();
    let mut has_all = true;
    for (id, partitions) in assigned {
        for partition in partitions {
            let topic = topic.filter(|topic| topic.id == *id);
            let leader = topic.and_then(|topic| topic.leaders.get(partition).copied().flatten());
            match leader {
                Some(leader) => {
                    targets.entry(leader).or_default().insert((*id, *partition));
                }
                None => has_all = false,
            }
        }
    }
    (targets, has_all)
}

fn is_forgotten(failure: &Failure) -> bool {
    failure.is(ErrorCode::UnknownMemberId) || failure.is(ErrorCode::FencedMemberEpoch)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leader_is_asked_for_its_partitions_of_the_topic_that_is_there_now() {
        let (now, before) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let topic = Topic {
            id: now,
            failure: None,
            is_internal: false,
            leaders: BTreeMap::from([(0, Some(7)), (1, Some(8)), (2, None)]),
        };
        let assigned = BTreeMap::from([(now, BTreeSet::from([0, 1]))]);
        let (found, has_all) = targets(&assigned, Some(&topic));
        let wanted = Targets::from([
            (7, Partitions::from([(now, 0)])),
            (8, Partitions::from([(now, 1)])),
        ]);
        assert_eq!((found, has_all), (wanted, true));
        let assigned = BTreeMap::from([(before, BTreeSet::from([0])), (now, BTreeSet::from([2]))]);
        assert_eq!(targets(&assigned, Some(&topic)), (Targets::new(), false));
    }
}
