//! A share session with one broker: fetches what it leads, and acknowledges what was printed of it.
//!
//! Invariant: acknowledgements go to the session that acquired their records; where it is gone they are
//! dropped, and the broker delivers the records again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as Acknowledged,
};
use protocol::messages::share_fetch_request::{
    AcknowledgementBatch, FetchPartition, FetchTopic, ForgottenTopic,
};
use protocol::messages::share_fetch_response::PartitionData;
use protocol::messages::{GroupId, ShareAcknowledgeRequest, ShareFetchRequest, ShareFetchResponse};
use protocol::{ErrorCode, StrBytes};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use uuid::Uuid;

use super::printer::{Ack, Acquired, Piece};
use super::settings::Settings;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// The versions whose answers can be read.
const SHARE_FETCH_NEWEST: i16 = 1;
const SHARE_ACKNOWLEDGE_NEWEST: i16 = 1;
/// The epochs of a request that begins a session, and of one that ends it.
const BEGINS: i32 = 0;
const ENDS: i32 = -1;

/// A partition by its topic's id.
pub(super) type Partition = (Uuid, i32);
pub(super) type Partitions = BTreeSet<Partition>;

/// How the offsets of partitions are acknowledged.
pub(super) type Acks = Vec<(Partition, Vec<Ack>)>;

/// What came of a fetch.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Records to print, and whom to tell how they are acknowledged.
    Records(Vec<Piece>, oneshot::Sender<Acks>),
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    settings: Arc<Settings>,
    leader: i32,
    member_id: String,
    epoch: i32,
    /// What the broker knows to be fetched.
    open: Partitions,
    /// What the broker has not been told yet.
    acks: Acks,
}

/// Why a fetch brought nothing.
enum Trouble {
    /// It may, a moment later, when leaders have been looked for.
    Later,
    Failed(Failure),
}

impl Session {
    pub(super) fn new(
        client: Client,
        settings: Arc<Settings>,
        leader: i32,
        member_id: String,
    ) -> Self {
        Session {
            client,
            settings,
            leader,
            member_id,
            epoch: BEGINS,
            open: Partitions::new(),
            acks: Acks::new(),
        }
    }

    /// Fetches until nothing is wanted any more, then ends the session.
    pub(super) async fn run(
        mut self,
        mut wanted: watch::Receiver<Partitions>,
        to: mpsc::Sender<Fetched>,
        is_stale: Arc<Notify>,
    ) {
        let mut attempts = 0;
        loop {
            // An end that was dropped wants nothing.
            let ended = wanted.has_changed().is_err();
            let partitions = wanted.borrow_and_update().clone();
            if ended || partitions.is_empty() {
                break;
            }
            match self.fetch(&partitions).await {
                Ok(pieces) => {
                    attempts = 0;
                    if pieces.iter().any(Result::is_err) {
                        is_stale.notify_one();
                    }
                    let pieces: Vec<Piece> = pieces.into_iter().flatten().collect();
                    if !pieces.is_empty() {
                        self.hand_on(pieces, &to).await;
                    }
                }
                Err(Trouble::Later) => {
                    is_stale.notify_one();
                    attempts += 1;
                    let pause = self.settings.pause(attempts);
                    // Either way what is wanted is looked at again.
                    let _ = tokio::time::timeout(pause, wanted.changed()).await;
                }
                Err(Trouble::Failed(failure)) => {
                    // Who does not listen is about to close.
                    let _ = to.send(Fetched::Failed(failure)).await;
                    while wanted.changed().await.is_ok() {}
                }
            }
        }
        self.end().await;
    }

    /// Has records printed, and keeps how they are acknowledged.
    async fn hand_on(&mut self, pieces: Vec<Piece>, to: &mpsc::Sender<Fetched>) {
        let (acknowledge, acknowledged) = oneshot::channel();
        // Nobody prints any more: the records go back to the group.
        if to.send(Fetched::Records(pieces, acknowledge)).await.is_ok() {
            self.acks = acknowledged.await.unwrap_or_default();
        }
    }

    /// What was acquired, and what failed and may not later.
    async fn fetch(&mut self, wanted: &Partitions) -> Result<Vec<Result<Piece, ()>>, Trouble> {
        if !self.open.is_subset(wanted) && !self.acks.is_empty() {
            // A partition that is given up is acknowledged while the session still has it.
            self.acknowledge(self.epoch).await?;
            self.epoch = next(self.epoch);
        }
        let request = self.request(wanted);
        let wait = self.settings.request_timeout
            + std::time::Duration::from_millis(
                self.settings.fetch_max_wait_ms.unsigned_abs().into(),
            );
        let to = Target::Node(self.leader);
        let asked = self.client.ask(to, SHARE_FETCH_NEWEST, wait, |_| request);
        let answer: ShareFetchResponse = match asked.await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.lost(failure)),
        };
        let message = answer.error_message.as_deref();
        if let Some(failure) = Failure::from_answer(answer.error_code, message) {
            return Err(self.lost(failure));
        }
        self.epoch = next(self.epoch);
        self.open.clone_from(wanted);
        self.acks.clear();
        let mut pieces = Vec::new();
        for topic in answer.responses {
            for row in topic.partitions {
                pieces.extend(piece(topic.topic_id, row)?);
            }
        }
        Ok(pieces)
    }

    fn request(&self, wanted: &Partitions) -> ShareFetchRequest {
        let settings = &self.settings;
        let mut rows: BTreeMap<Partition, Vec<AcknowledgementBatch>> = BTreeMap::new();
        for partition in wanted.difference(&self.open) {
            rows.entry(*partition).or_default();
        }
        for (partition, acks) in &self.acks {
            let batches = acks.iter().map(|ack| {
                AcknowledgementBatch::default()
                    .with_first_offset(ack.first)
                    .with_last_offset(ack.last)
                    .with_acknowledge_types(vec![ack.kind])
            });
            rows.entry(*partition).or_default().extend(batches);
        }
        let topics = rows.into_iter().map(|((id, partition), batches)| {
            let row = FetchPartition::default()
                .with_partition_index(partition)
                .with_acknowledgement_batches(batches);
            (id, row)
        });
        let topics = by_topic(topics).into_iter().map(|(id, rows)| {
            FetchTopic::default()
                .with_topic_id(id)
                .with_partitions(rows)
        });
        let forgotten = by_topic(self.open.difference(wanted).copied());
        let forgotten = forgotten.into_iter().map(|(id, partitions)| {
            ForgottenTopic::default()
                .with_topic_id(id)
                .with_partitions(partitions)
        });
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text(&settings.group))))
            .with_member_id(Some(text(&self.member_id)))
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(settings.fetch_max_wait_ms)
            .with_min_bytes(settings.fetch_min_bytes)
            .with_max_bytes(settings.fetch_max_bytes)
            .with_max_records(settings.max_records)
            .with_batch_size(settings.max_records)
            .with_topics(topics.collect())
            .with_forgotten_topics_data(forgotten.collect())
    }

    /// Tells the broker what was printed, in a request of that epoch.
    async fn acknowledge(&mut self, epoch: i32) -> Result<(), Trouble> {
        let acks = std::mem::take(&mut self.acks);
        let topics = acks.into_iter().map(|((id, partition), acks)| {
            let batches = acks.iter().map(|ack| {
                Acknowledged::default()
                    .with_first_offset(ack.first)
                    .with_last_offset(ack.last)
                    .with_acknowledge_types(vec![ack.kind])
            });
            let row = AcknowledgePartition::default()
                .with_partition_index(partition)
                .with_acknowledgement_batches(batches.collect());
            (id, row)
        });
        let topics = by_topic(topics).into_iter().map(|(id, rows)| {
            AcknowledgeTopic::default()
                .with_topic_id(id)
                .with_partitions(rows)
        });
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(&self.settings.group))))
            .with_member_id(Some(text(&self.member_id)))
            .with_share_session_epoch(epoch)
            .with_topics(topics.collect());
        let to = Target::Node(self.leader);
        let wait = self.settings.request_timeout;
        let asked = self
            .client
            .ask(to, SHARE_ACKNOWLEDGE_NEWEST, wait, |_| request);
        let failed = match asked.await {
            Ok(answer) => Failure::from_answer(answer.error_code, answer.error_message.as_deref()),
            Err(failure) => Some(failure),
        };
        match failed {
            Some(failure) => Err(self.lost(failure)),
            None => Ok(()),
        }
    }

    /// Tells what was printed, and gives back the rest.
    async fn end(&mut self) {
        if self.epoch != BEGINS {
            // The locks on records end by themselves.
            let _ = self.acknowledge(ENDS).await;
        }
    }

    /// The session is gone, or nobody knows how far it came: another one begins.
    fn lost(&mut self, failure: Failure) -> Trouble {
        self.epoch = BEGINS;
        self.open.clear();
        self.acks.clear();
        if failure.is_retriable() {
            self.client.forget(Target::Node(self.leader));
            Trouble::Later
        } else {
            Trouble::Failed(failure)
        }
    }
}

/// What a partition's row brought; an error in place of a piece may be gone later.
fn piece(id: Uuid, row: PartitionData) -> Result<Option<Result<Piece, ()>>, Trouble> {
    if let Some(failure) = Failure::from_answer(row.error_code, row.error_message.as_deref()) {
        if failure.is_retriable() && !failure.is(ErrorCode::CorruptMessage) {
            return Ok(Some(Err(())));
        }
        return Err(Trouble::Failed(failure));
    }
    let acquired = row.acquired_records.iter().map(|range| Acquired {
        first: range.first_offset,
        last: range.last_offset,
        delivery: range.delivery_count,
    });
    let mut acquired: Vec<Acquired> = acquired.collect();
    acquired.sort_by_key(|range| range.first);
    let piece = Piece {
        partition: (id, row.partition_index),
        records: row.records.unwrap_or_default(),
        acquired,
    };
    Ok((!piece.acquired.is_empty()).then_some(Ok(piece)))
}

/// The epoch behind one: 0 stands for a new session.
fn next(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// Rows of topics, each topic once.
fn by_topic<T>(rows: impl Iterator<Item = (Uuid, T)>) -> BTreeMap<Uuid, Vec<T>> {
    let mut topics: BTreeMap<Uuid, Vec<T>> = BTreeMap::new();
    for (id, row) in rows {
        topics.entry(id).or_default().push(row);
    }
    topics
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
