//! Fetches partitions from their leaders, one request at a time to each broker.
//!
//! Invariant: what is handed on of a partition follows without a gap from where it began, or from where
//! the reset policy put it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::messages::{BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, TopicName};
use protocol::{ErrorCode, RecordBatch, StrBytes, TopicPartition};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::settings::{Reset, Settings};
use crate::client::{Client, Target};
use crate::console::topics;
use crate::failure::Failure;

/// The newest version of Fetch that names topics.
const FETCH_NEWEST: i16 = 12;
const LIST_OFFSETS_NEWEST: i16 = 7;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
/// A fetch session is not used: the whole request is sent each time.
const NO_SESSION_EPOCH: i32 = -1;

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    At(i64),
    Earliest,
    Latest,
    /// As the reset policy says.
    Unknown,
}

/// What came of a partition, or what ended all fetching.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Where a partition begins that had no offset.
    Position(TopicPartition, i64),
    Records {
        partition: TopicPartition,
        /// The first offset that was asked for.
        from: i64,
        records: Bytes,
        /// Producers and the first offsets of their transactions that were aborted.
        aborted: Vec<(i64, i64)>,
    },
    Failed(Failure),
}

#[derive(Debug)]
struct Partition {
    start: Option<Start>,
    position: i64,
    leader: Option<i32>,
    not_before: Instant,
    attempts: u32,
}

type Answer = (i32, Vec<TopicPartition>, Result<FetchResponse, Failure>);

#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    settings: Settings,
    to: mpsc::Sender<Fetched>,
    partitions: BTreeMap<TopicPartition, Partition>,
    busy: BTreeSet<i32>,
    asking: JoinSet<Answer>,
    /// Which partition stands first in the next request, so that none is left out for ever.
    turn: usize,
}

/// Nobody listens any more, or it makes no sense to go on.
struct Ended;

impl Fetcher {
    pub(super) fn new(
        client: Client,
        settings: Settings,
        to: mpsc::Sender<Fetched>,
        starts: BTreeMap<TopicPartition, Start>,
    ) -> Self {
        let now = Instant::now();
        let partitions = starts.into_iter().map(|(partition, start)| {
            let state = Partition {
                start: Some(start),
                position: 0,
                leader: None,
                not_before: now,
                attempts: 0,
            };
            (partition, state)
        });
        Fetcher {
            client,
            settings,
            to,
            partitions: partitions.collect(),
            busy: BTreeSet::new(),
            asking: JoinSet::new(),
            turn: 0,
        }
    }

    /// Fetches until nobody takes it.
    pub(super) async fn run(mut self) {
        // Who ended it knows, or was told.
        let Ended = match self.fetch().await {
            Ok(never) => match never {},
            Err(ended) => ended,
        };
    }

    async fn fetch(&mut self) -> Result<std::convert::Infallible, Ended> {
        loop {
            self.find_leaders().await?;
            self.find_starts().await?;
            self.ask_leaders();
            let wake = self.next_due();
            tokio::select! {
                Some(Ok(answer)) = self.asking.join_next(), if !self.asking.is_empty() => {
                    self.take(answer).await?;
                }
                () = tokio::time::sleep_until(wake) => {}
                () = self.to.closed() => return Err(Ended),
            }
        }
    }

    fn is_due(partition: &Partition) -> bool {
        partition.not_before <= Instant::now()
    }

    /// When a partition that waits is tried again, or a while from now.
    fn next_due(&self) -> Instant {
        let now = Instant::now();
        let waiting = self.partitions.values().map(|it| it.not_before);
        let next = waiting.filter(|at| *at > now).min();
        next.unwrap_or(now + self.settings.metadata_max_age)
            .max(now + Duration::from_millis(1))
    }

    async fn find_leaders(&mut self) -> Result<(), Ended> {
        let missing: BTreeSet<String> = self
            .partitions
            .iter()
            .filter(|(_, state)| state.leader.is_none() && Self::is_due(state))
            .map(|(partition, _)| partition.topic.to_string())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = missing.into_iter().collect();
        let creates = self.settings.creates_topics;
        let wait = self.settings.request_timeout;
        let answer = topics::ask(&self.client, Some(&names), creates, wait).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.is_retriable() => topics::Topics::new(),
            Err(failure) => return self.fail(failure).await,
        };
        for (name, topic) in &answer {
            if let Some(failure) = &topic.failure
                && failure.is(ErrorCode::InvalidTopicException)
            {
                return self.fail(topics::invalid_topic(name)).await;
            }
        }
        let settings = self.settings.clone();
        for (partition, state) in &mut self.partitions {
            if state.leader.is_some() || !Self::is_due(state) {
                continue;
            }
            let topic = answer.get(&*partition.topic);
            let leader = topic.and_then(|it| it.leaders.get(&partition.partition).copied());
            state.leader = leader.flatten();
            if state.leader.is_none() {
                state.wait(&settings);
            }
        }
        Ok(())
    }

    async fn find_starts(&mut self) -> Result<(), Ended> {
        let unknown: Vec<(TopicPartition, Start)> = self
            .partitions
            .iter()
            .filter(|(_, state)| state.leader.is_some() && Self::is_due(state))
            .filter_map(|(partition, state)| Some((partition.clone(), state.start?)))
            .collect();
        for (partition, start) in unknown {
            let time = match start {
                Start::At(offset) => {
                    self.begin(&partition, offset);
                    continue;
                }
                Start::Earliest => EARLIEST,
                Start::Latest => LATEST,
                Start::Unknown => match self.settings.reset {
                    Reset::Earliest => EARLIEST,
                    Reset::Latest => LATEST,
                    Reset::Since(duration) => ago(duration),
                    Reset::None => return self.fail(no_offset(&partition)).await,
                },
            };
            match self.offset_at(&partition, time).await {
                Ok(offset) => {
                    self.begin(&partition, offset);
                    self.hand_on(Fetched::Position(partition, offset)).await?;
                }
                Err(failure) if failure.is_retriable() => self.lose_leader(&partition),
                Err(failure) => return self.fail(failure).await,
            }
        }
        Ok(())
    }

    fn begin(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.start = None;
            state.position = offset;
            state.attempts = 0;
        }
    }

    fn lose_leader(&mut self, partition: &TopicPartition) {
        if let Some(state) = self.partitions.get_mut(partition) {
            if let Some(leader) = state.leader.take() {
                self.client.forget(Target::Node(leader));
            }
            state.wait(&self.settings);
        }
    }

    /// The offset of a time; the end of the log where no record is that young.
    async fn offset_at(&self, partition: &TopicPartition, time: i64) -> Result<i64, Failure> {
        let offset = self.list_offset(partition, time).await?;
        if offset >= 0 || time == LATEST {
            return Ok(offset);
        }
        self.list_offset(partition, LATEST).await
    }

    async fn list_offset(&self, partition: &TopicPartition, time: i64) -> Result<i64, Failure> {
        let leader = self.partitions.get(partition).and_then(|it| it.leader);
        let leader = leader.ok_or_else(|| Failure::of(ErrorCode::LeaderNotAvailable, None))?;
        let row = ListOffsetsPartition::default()
            .with_partition_index(partition.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(time);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(partition))
            .with_partitions(vec![row]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(self.settings.is_read_committed.into())
            .with_topics(vec![topic]);
        let wait = self.settings.request_timeout;
        let to = Target::Node(leader);
        let answer = self
            .client
            .ask(to, LIST_OFFSETS_NEWEST, wait, |_| request)
            .await?;
        let mut rows = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let row = rows
            .next()
            .ok_or_else(|| Failure::of(ErrorCode::UnknownServerError, None))?;
        match Failure::from_answer(row.error_code, None) {
            Some(failure) => Err(failure),
            None => Ok(row.offset),
        }
    }

    /// Asks every broker that is not being asked for all that it leads.
    fn ask_leaders(&mut self) {
        let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, i64)>> = BTreeMap::new();
        for (partition, state) in &self.partitions {
            if let Some(leader) = state.leader
                && state.start.is_none()
                && Self::is_due(state)
                && !self.busy.contains(&leader)
            {
                let row = (partition.clone(), state.position);
                by_leader.entry(leader).or_default().push(row);
            }
        }
        for (leader, mut partitions) in by_leader {
            self.turn = self.turn.wrapping_add(1);
            let count = partitions.len();
            partitions.rotate_left(self.turn % count.max(1));
            let request = self.request(&partitions);
            let wait = self.settings.request_timeout
                + Duration::from_millis(self.settings.fetch_max_wait_ms.unsigned_abs().into());
            let client = self.client.clone();
            self.busy.insert(leader);
            self.asking.spawn(async move {
                let to = Target::Node(leader);
                let answer = client.ask(to, FETCH_NEWEST, wait, |_| request).await;
                let asked = partitions.into_iter().map(|(partition, _)| partition);
                (leader, asked.collect(), answer)
            });
        }
    }

    fn request(&self, partitions: &[(TopicPartition, i64)]) -> FetchRequest {
        let settings = &self.settings;
        let topics = partitions.iter().map(|(partition, position)| {
            let row = FetchPartition::default()
                .with_partition(partition.partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(*position)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(settings.partition_max_bytes);
            FetchTopic::default()
                .with_topic(topic_name(partition))
                .with_partitions(vec![row])
        });
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(settings.fetch_max_wait_ms)
            .with_min_bytes(settings.fetch_min_bytes)
            .with_max_bytes(settings.fetch_max_bytes)
            .with_isolation_level(settings.is_read_committed.into())
            .with_session_epoch(NO_SESSION_EPOCH)
            .with_topics(topics.collect())
    }

    async fn take(&mut self, (leader, asked, answer): Answer) -> Result<(), Ended> {
        self.busy.remove(&leader);
        let failed = match &answer {
            Ok(answer) => Failure::from_answer(answer.error_code, None),
            Err(failure) => Some(failure.clone()),
        };
        if let Some(failure) = failed {
            if !failure.is_retriable() {
                return self.fail(failure).await;
            }
            asked
                .iter()
                .for_each(|partition| self.lose_leader(partition));
            return Ok(());
        }
        let Ok(answer) = answer else { return Ok(()) };
        for topic in answer.responses {
            for row in topic.partitions {
                let partition = TopicPartition::new(topic.topic.as_str(), row.partition_index);
                match Failure::from_answer(row.error_code, None) {
                    Some(failure) => self.failed(partition, failure).await?,
                    None => {
                        let aborted = row.aborted_transactions.unwrap_or_default();
                        let aborted = aborted.iter().map(|it| (it.producer_id.0, it.first_offset));
                        let records = row.records.unwrap_or_default();
                        self.taken(partition, records, aborted.collect()).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn taken(
        &mut self,
        partition: TopicPartition,
        records: Bytes,
        aborted: Vec<(i64, i64)>,
    ) -> Result<(), Ended> {
        let Some(state) = self.partitions.get_mut(&partition) else {
            return Ok(());
        };
        state.attempts = 0;
        let from = state.position;
        let mut rest = records.clone();
        // The last batch may be cut off; it is asked for again.
        while let Ok(Some(batch)) = RecordBatch::split_first(&mut rest) {
            state.position = state.position.max(batch.header().next_offset().0);
        }
        if state.position == from {
            return Ok(());
        }
        self.hand_on(Fetched::Records {
            partition,
            from,
            records,
            aborted,
        })
        .await
    }

    async fn failed(&mut self, partition: TopicPartition, failure: Failure) -> Result<(), Ended> {
        if failure.is(ErrorCode::OffsetOutOfRange) {
            let reset = self.settings.reset;
            let Some(state) = self.partitions.get_mut(&partition) else {
                return Ok(());
            };
            if reset == Reset::None {
                let position = state.position;
                return self.fail(out_of_range(&partition, position)).await;
            }
            state.start = Some(Start::Unknown);
            return Ok(());
        }
        if failure.is_retriable() {
            self.lose_leader(&partition);
            return Ok(());
        }
        self.fail(failure).await
    }

    async fn fail(&self, failure: Failure) -> Result<(), Ended> {
        self.hand_on(Fetched::Failed(failure)).await?;
        Err(Ended)
    }

    async fn hand_on(&self, fetched: Fetched) -> Result<(), Ended> {
        self.to.send(fetched).await.map_err(|_| Ended)
    }
}

impl Partition {
    fn wait(&mut self, settings: &Settings) {
        let doubled = 2u32.saturating_pow(self.attempts.min(16));
        let pause = settings.retry_backoff.saturating_mul(doubled);
        self.attempts += 1;
        self.not_before = Instant::now() + pause.min(settings.retry_backoff_max);
    }
}

fn topic_name(partition: &TopicPartition) -> TopicName {
    TopicName(StrBytes::from_string(partition.topic.to_string()))
}

fn ago(duration: Duration) -> i64 {
    let then = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_sub(duration);
    then.as_millis() as i64
}

fn no_offset(partition: &TopicPartition) -> Failure {
    Failure::new(
        "org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
        format!("Undefined offset with no reset policy for partitions: [{partition}]"),
    )
}

fn out_of_range(partition: &TopicPartition, position: i64) -> Failure {
    Failure::new(
        "org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
        format!("Fetch position {position} is out of range for partition {partition}"),
    )
}
