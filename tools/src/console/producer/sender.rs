//! Sends records to one topic: batches them by partition, sends one batch of a partition at a time, and
//! sends again what may succeed later.
//!
//! Invariant: records of a partition arrive in the order in which they were given, once each while the
//! producer is idempotent; each is either acknowledged or reported.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{InitProducerIdRequest, ProduceRequest, TopicName};
use protocol::{ErrorCode, Producer, ProducerEpoch, ProducerId, StrBytes, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{Batch, Lengths, size_upper_bound};
use super::partitioner::Partitioner;
use super::reader::Record;
use super::settings::Settings;
use crate::client::{Client, Target};
use crate::console::topics::{self, invalid_topic};
use crate::failure::Failure;

/// The newest version of Produce that names topics.
const PRODUCE_NEWEST: i16 = 12;
const INIT_PRODUCER_ID_NEWEST: i16 = 5;

/// A record that did not arrive.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) record: Lengths,
    pub(super) failure: Failure,
}

/// A partition whose request has ended, and how.
pub(super) type Ended = (i32, Result<(), Failure>);

#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    settings: Settings,
    topic: String,
    leaders: BTreeMap<i32, Option<i32>>,
    leaders_asked: Option<Instant>,
    partitioner: Partitioner,
    queues: BTreeMap<i32, Queue>,
    /// The producer id that partitions take which have none yet.
    identity: Option<(ProducerId, ProducerEpoch)>,
    /// The bytes in all queues.
    buffered: usize,
    sending: JoinSet<Ended>,
    /// Nothing waits for company any more.
    is_flushing: bool,
    pub(super) undelivered: Vec<Undelivered>,
}

/// What waits for one partition.
#[derive(Debug, Default)]
struct Queue {
    in_flight: Option<Batch>,
    full: VecDeque<Batch>,
    open: Option<Batch>,
    retry_at: Option<Instant>,
    identity: Option<(ProducerId, ProducerEpoch)>,
    next_sequence: i32,
}

impl Sender {
    pub(super) fn new(client: Client, topic: String, settings: Settings) -> Self {
        Sender {
            client,
            topic,
            leaders: BTreeMap::new(),
            leaders_asked: None,
            partitioner: Partitioner::new(settings.batch_bytes.max(1)),
            queues: BTreeMap::new(),
            identity: None,
            buffered: 0,
            sending: JoinSet::new(),
            is_flushing: false,
            undelivered: Vec::new(),
            settings,
        }
    }

    /// Whether there is room for another record.
    pub(super) fn has_room(&self) -> bool {
        self.buffered < self.settings.buffer_bytes
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.queues.values().all(Queue::is_empty)
    }

    /// From now on, or no longer, batches are sent though they are not full.
    pub(super) fn flush(&mut self, is_flushing: bool) {
        self.is_flushing = is_flushing;
    }

    /// Puts a record into the batch of its partition. The failure is that of this record alone, unless it
    /// is one that ends a producer.
    pub(super) async fn push(&mut self, record: &Record) -> Result<(), Failure> {
        self.know_leaders().await?;
        let size = size_upper_bound(record);
        self.check_size(size)?;
        let partition = self
            .partitioner
            .partition(record.key.as_deref(), size, &self.leaders);
        if self.settings.transactional_id.is_some() {
            return Err(Failure::new(
                "java.lang.IllegalStateException",
                format!(
                    "Cannot add partition {}-{partition} to transaction before completing a call to \
                     initTransactions",
                    self.topic
                ),
            ));
        }
        let queue = self.queues.entry(partition).or_default();
        let is_full = queue
            .open
            .as_ref()
            .is_some_and(|batch| batch.size_in_bytes() + size > self.settings.batch_bytes);
        if is_full {
            queue.full.extend(queue.open.take());
        }
        let compression = self.settings.compression;
        let batch = queue
            .open
            .get_or_insert_with(|| Batch::new(compression, Instant::now()));
        let before = batch.size_in_bytes();
        batch.push(now(), record);
        self.buffered += batch.size_in_bytes() - before;
        Ok(())
    }

    fn check_size(&self, size: usize) -> Result<(), Failure> {
        let max = self.settings.max_request_bytes;
        let message = if size > max {
            format!(
                "The message is {size} bytes when serialized which is larger than {max}, which is the \
                 value of the max.request.size configuration."
            )
        } else if size > self.settings.buffer_bytes {
            format!(
                "The message is {size} bytes when serialized which is larger than the total memory \
                 buffer you have configured with the buffer.memory configuration."
            )
        } else {
            return Ok(());
        };
        let class = "org.apache.kafka.common.errors.RecordTooLargeException";
        Err(Failure::new(class, message))
    }

    /// Waits until the topic's partitions are known, which may create it.
    async fn know_leaders(&mut self) -> Result<(), Failure> {
        let fresh = |asked: Instant| asked.elapsed() < self.settings.metadata_max_age;
        if !self.leaders.is_empty() && self.leaders_asked.is_some_and(fresh) {
            return Ok(());
        }
        let deadline = Instant::now() + self.settings.max_block;
        let mut attempts = 0;
        loop {
            match self.ask_leaders().await {
                Ok(()) => return Ok(()),
                Err(failure) if !failure.is_retriable() => return Err(failure),
                // What is known serves until the brokers are back.
                Err(_) if !self.leaders.is_empty() => return Ok(()),
                Err(_) => attempts += 1,
            }
            let pause = self.backoff(attempts);
            if Instant::now() + pause >= deadline {
                tokio::time::sleep_until(deadline).await;
                let max = self.settings.max_block.as_millis();
                let topic = &self.topic;
                return Err(Failure::timed_out(format!(
                    "Topic {topic} not present in metadata after {max} ms."
                )));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask_leaders(&mut self) -> Result<(), Failure> {
        let names = [self.topic.clone()];
        let wait = self.settings.request_timeout;
        let mut answer = topics::ask(&self.client, Some(&names), true, wait).await?;
        let unknown = || Failure::of(ErrorCode::UnknownTopicOrPartition, None);
        let topic = answer.remove(&self.topic).ok_or_else(unknown)?;
        match topic.failure {
            None => {}
            Some(failure) if failure.is(ErrorCode::InvalidTopicException) => {
                return Err(invalid_topic(&self.topic));
            }
            Some(failure) => return Err(failure),
        }
        if topic.leaders.is_empty() {
            return Err(unknown());
        }
        self.leaders = topic.leaders;
        self.leaders_asked = Some(Instant::now());
        Ok(())
    }

    /// Sends what is due, and says when something will be.
    pub(super) async fn dispatch(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let partitions: Vec<i32> = self.queues.keys().copied().collect();
        for partition in partitions {
            let Some(queue) = self.queues.get_mut(&partition) else {
                continue;
            };
            match queue.due(now, &self.settings, self.is_flushing) {
                Due::Now(batch) => self.send(partition, batch).await,
                Due::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Due::WhenSomethingHappens => {}
            }
        }
        next
    }

    async fn send(&mut self, partition: i32, mut batch: Batch) {
        batch.attempts += 1;
        if self.leaders.get(&partition).copied().flatten().is_none() {
            // An old answer may say so; a new one is worth a try before each attempt.
            let _ = self.ask_leaders().await;
        }
        let ready = self.ready(partition).await;
        let producer_and_leader = match ready {
            Ok(ready) => ready,
            Err(failure) => {
                self.return_batch(partition, batch, failure);
                return;
            }
        };
        let (producer, leader) = producer_and_leader;
        let request = self.request(partition, batch.bytes(producer));
        let client = self.client.clone();
        let (acks, wait) = (self.settings.acks, self.settings.request_timeout);
        if let Some(queue) = self.queues.get_mut(&partition) {
            queue.in_flight = Some(batch);
        }
        self.sending.spawn(async move {
            let sent = deliver(&client, leader, acks, wait, request).await;
            (partition, sent)
        });
    }

    /// What a batch of the partition needs before it can be sent.
    async fn ready(&mut self, partition: i32) -> Result<(Option<Producer>, i32), Failure> {
        let leader = self.leaders.get(&partition).copied().flatten();
        let leader = leader.ok_or_else(|| Failure::of(ErrorCode::LeaderNotAvailable, None))?;
        if !self.settings.is_idempotent {
            return Ok((None, leader));
        }
        let own = self.queues.get(&partition).and_then(|queue| queue.identity);
        let identity = match own.or(self.identity) {
            Some(identity) => identity,
            None => self.init_producer_id().await?,
        };
        self.identity = Some(identity);
        let queue = self.queues.entry(partition).or_default();
        queue.identity = Some(identity);
        let producer = Producer {
            id: identity.0,
            epoch: identity.1,
            base_sequence: queue.next_sequence,
        };
        Ok((Some(producer), leader))
    }

    async fn init_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), Failure> {
        let wait = self.settings.request_timeout;
        let answer = self
            .client
            .ask(Target::Any, INIT_PRODUCER_ID_NEWEST, wait, |_| {
                InitProducerIdRequest::default()
                    .with_transactional_id(None)
                    .with_transaction_timeout_ms(i32::MAX)
            })
            .await?;
        match Failure::from_answer(answer.error_code, None) {
            Some(failure) => Err(failure),
            None => Ok((
                ProducerId(answer.producer_id.0),
                ProducerEpoch(answer.producer_epoch),
            )),
        }
    }

    fn request(&self, partition: i32, records: bytes::Bytes) -> ProduceRequest {
        let row = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(records));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(self.topic.clone())))
            .with_partition_data(vec![row]);
        let wait = self.settings.request_timeout.as_millis();
        ProduceRequest::default()
            .with_acks(self.settings.acks)
            .with_timeout_ms(i32::try_from(wait).unwrap_or(i32::MAX))
            .with_topic_data(vec![topic])
    }

    /// Waits until a request has ended, for ever where there is none. Dropping this loses nothing.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.sending.join_next().await {
            Some(Ok(ended)) => ended,
            // Sending does not panic, and nobody aborts it.
            Some(Err(_)) | None => std::future::pending().await,
        }
    }

    /// What is to be done after a request.
    pub(super) async fn complete(&mut self, (partition, sent): Ended) {
        let Some(queue) = self.queues.get_mut(&partition) else {
            return;
        };
        let Some(batch) = queue.in_flight.take() else {
            return;
        };
        match sent {
            Ok(()) => {
                let count = i32::try_from(batch.records.len()).unwrap_or(i32::MAX);
                queue.next_sequence = next_sequence(queue.next_sequence, count);
                self.let_go(&batch);
            }
            // It had arrived before, and only the answer was lost.
            Err(failure) if failure.is(ErrorCode::DuplicateSequenceNumber) => self.let_go(&batch),
            Err(failure) => {
                if failure.is_retriable() {
                    let _ = self.ask_leaders().await;
                }
                self.return_batch(partition, batch, failure);
            }
        }
    }

    fn let_go(&mut self, batch: &Batch) {
        let empty = Batch::new(self.settings.compression, batch.created);
        let bytes = batch.size_in_bytes() - empty.size_in_bytes();
        self.buffered = self.buffered.saturating_sub(bytes);
    }

    /// Puts a batch that was not delivered back to the front, or gives it up.
    fn return_batch(&mut self, partition: i32, batch: Batch, failure: Failure) {
        let pause = self.backoff(batch.attempts);
        let age = batch.created.elapsed();
        let has_time = age + pause < self.settings.delivery_timeout;
        let is_forgotten = is_forgotten_producer(&failure);
        let Some(queue) = self.queues.get_mut(&partition) else {
            return;
        };
        if failure.is(ErrorCode::MessageTooLarge)
            && batch.records.len() > 1
            && let Ok([front, back]) = batch.split(self.settings.compression)
        {
            queue.full.push_front(back);
            queue.full.push_front(front);
            return;
        }
        if is_forgotten {
            queue.identity = None;
            self.identity = None;
            queue.next_sequence = 0;
        }
        let is_retriable = failure.is_retriable() || is_forgotten;
        if is_retriable && batch.attempts <= self.settings.retries && has_time {
            queue.retry_at = Some(Instant::now() + pause);
            queue.full.push_front(batch);
            return;
        }
        // Whether it arrived is not known, so its sequence numbers cannot be used again.
        queue.identity = None;
        self.identity = None;
        queue.next_sequence = 0;
        let failure = if is_retriable && !has_time {
            let count = batch.records.len();
            let topic = &self.topic;
            Failure::timed_out(format!(
                "Expiring {count} record(s) for {topic}-{partition}:{} ms has passed since batch \
                 creation",
                age.as_millis()
            ))
        } else {
            failure
        };
        self.let_go(&batch);
        let undelivered = batch.records.iter().map(|record| Undelivered {
            record: *record,
            failure: failure.clone(),
        });
        self.undelivered.extend(undelivered);
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(16));
        self.settings
            .retry_backoff
            .saturating_mul(doubled)
            .min(self.settings.retry_backoff_max)
    }
}

/// When the next batch of a partition is sent.
enum Due {
    Now(Batch),
    At(Instant),
    WhenSomethingHappens,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.in_flight.is_none() && self.full.is_empty() && self.open.is_none()
    }

    fn due(&mut self, now: Instant, settings: &Settings, is_flushing: bool) -> Due {
        if self.in_flight.is_some() {
            return Due::WhenSomethingHappens;
        }
        if let Some(at) = self.retry_at {
            if now < at {
                return Due::At(at);
            }
            self.retry_at = None;
        }
        if let Some(batch) = self.full.pop_front() {
            return Due::Now(batch);
        }
        match self.open.take() {
            None => Due::WhenSomethingHappens,
            Some(batch) if is_flushing || now >= batch.created + settings.linger => Due::Now(batch),
            Some(batch) => {
                let at = batch.created + settings.linger;
                self.open = Some(batch);
                Due::At(at)
            }
        }
    }
}

async fn deliver(
    client: &Client,
    leader: i32,
    acks: i16,
    wait: Duration,
    request: ProduceRequest,
) -> Result<(), Failure> {
    let to = Target::Node(leader);
    if acks == 0 {
        return client.tell(to, PRODUCE_NEWEST, wait, |_| request).await;
    }
    let answer = client.ask(to, PRODUCE_NEWEST, wait, |_| request).await?;
    let mut rows = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let row = rows
        .next()
        .ok_or_else(|| Failure::of(ErrorCode::UnknownServerError, None))?;
    match Failure::from_answer(row.error_code, row.error_message.as_deref()) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Whether the broker has lost, or never had, what it must know of a producer to take its next batch.
fn is_forgotten_producer(failure: &Failure) -> bool {
    [
        ErrorCode::UnknownProducerId,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::InvalidProducerEpoch,
        ErrorCode::InvalidProducerIdMapping,
    ]
    .into_iter()
    .any(|code| failure.is(code))
}

/// Sequence numbers begin again at 0 behind the largest.
fn next_sequence(sequence: i32, count: i32) -> i32 {
    let next = i64::from(sequence) + i64::from(count);
    (next % (i64::from(i32::MAX) + 1)) as i32
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_millis() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_begin_again_behind_the_largest() {
        assert_eq!(next_sequence(5, 3), 8);
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        assert_eq!(next_sequence(i32::MAX - 1, 3), 1);
    }
}
