//! Runs one shard on one coordinator partition: loads it, feeds it events, appends its records.
//!
//! Invariant: no reply leaves before the records it rests on are committed; records are appended
//! before they are replayed (design rule "append, then replay").

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use coordinator::{
    AppendToken, Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard,
    TransactionResult, TransactionalAppend,
};
use protocol::batch::{Producer, RecordBatch};
use protocol::control::EndTransactionMarker;
use protocol::records::BatchBuilder;
use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId};
use storage::{AppendOrigin, LogDir, VerificationGuard};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::timers::Timers;
use super::view::View;
use crate::clock::Clock;
use crate::replica::Partition;

/// Requests that may queue for one shard.
const MAILBOX: usize = 1024;

/// Bytes read at once while loading.
const LOAD_STEP: usize = 1024 * 1024;

/// A record as it lies in the log: key, and value or tombstone.
pub(super) type Encoded = (Bytes, Option<Bytes>);

/// How a shard's records become log records.
pub(super) trait RecordCodec<S: Shard>: Send + Sync + 'static {
    /// Whether the last record of a key is all that counts of it, so that rows shorten the load.
    const HAS_ROWS: bool = true;

    /// # Errors
    /// The code for a record that no log can hold.
    fn encode(record: &S::Record) -> Result<Encoded, ErrorCode>;
    /// `None` for a record of another kind or version, which is passed over (W3).
    fn decode(key: &[u8], value: Option<&Bytes>) -> Option<S::Record>;
}

/// A request with the way its answer goes.
struct Asked<S: Shard> {
    meta: RequestMeta,
    request: S::Request,
    /// For what the request has appended in a transaction, see [`ShardHandle::ask_verified`].
    guard: Option<VerificationGuard>,
    reply: oneshot::Sender<Result<S::Response, ErrorCode>>,
}

/// The end of a producer's transaction in the shard's partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkerWrite {
    pub(crate) producer: (ProducerId, ProducerEpoch),
    pub(crate) marker: EndTransactionMarker,
    pub(crate) transaction_version: i16,
}

enum Message<S: Shard> {
    Ask(Asked<S>),
    WriteMarker(MarkerWrite, oneshot::Sender<Result<(), ErrorCode>>),
    /// Write the rows of what changed.
    Checkpoint,
    /// Write them a last time, tell it, and end.
    Stop(oneshot::Sender<()>),
    /// End with nothing written: another shard has the partition. Whoever waits is answered so.
    Retire(ErrorCode, oneshot::Sender<()>),
    /// The clock jumped: do what is due, then tell it.
    ClockMoved {
        by_ms: i64,
        done: oneshot::Sender<()>,
    },
}

/// An answer that is to come.
pub(super) struct Answer<S: Shard>(oneshot::Receiver<Result<S::Response, ErrorCode>>);

impl<S: Shard> Answer<S> {
    pub(super) async fn wait(self) -> Result<S::Response, ErrorCode> {
        self.0.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }
}

/// The way to a running shard. Dropping all of them ends it.
pub(super) struct ShardHandle<S: Shard>(mpsc::Sender<Message<S>>);

impl<S: Shard> Clone for ShardHandle<S> {
    fn clone(&self) -> Self {
        ShardHandle(self.0.clone())
    }
}

impl<S: Shard> ShardHandle<S> {
    /// Asks and waits for the answer.
    pub(super) async fn ask(
        &self,
        meta: RequestMeta,
        request: S::Request,
    ) -> Result<S::Response, ErrorCode> {
        self.ask_verified(meta, request, None).await
    }

    /// As [`ShardHandle::ask`], for a request that appends in a transaction: `guard` is what
    /// [`Partition::begin_verification`] gave, and the transaction's coordinator knows of it.
    pub(super) async fn ask_verified(
        &self,
        meta: RequestMeta,
        request: S::Request,
        guard: Option<VerificationGuard>,
    ) -> Result<S::Response, ErrorCode> {
        self.begin(meta, request, guard).await?.wait().await
    }

    /// As [`ShardHandle::ask_verified`], without waiting for the answer: requests that are begun one
    /// after the other are handled in that order.
    pub(super) async fn begin(
        &self,
        meta: RequestMeta,
        request: S::Request,
        guard: Option<VerificationGuard>,
    ) -> Result<Answer<S>, ErrorCode> {
        let (reply, answer) = oneshot::channel();
        let asked = Message::Ask(Asked {
            meta,
            request,
            guard,
            reply,
        });
        self.0
            .send(asked)
            .await
            .map_err(|_| ErrorCode::NotCoordinator)?;
        Ok(Answer(answer))
    }

    /// Ends a producer's transaction in the shard's partition; returns once that is committed.
    pub(super) async fn write_marker(&self, marker: MarkerWrite) -> Result<(), ErrorCode> {
        let (reply, answer) = oneshot::channel();
        let message = Message::WriteMarker(marker, reply);
        let sent = self.0.send(message).await;
        sent.map_err(|_| ErrorCode::NotLeaderOrFollower)?;
        answer.await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower))
    }

    /// Has the shard write its rows; a shard too busy to be told is told the next time.
    pub(super) fn checkpoint(&self) {
        let _ = self.0.try_send(Message::Checkpoint);
    }

    /// Ends the shard after it wrote its rows.
    pub(super) async fn stop(&self) {
        self.tell(Message::Stop).await;
    }

    /// Ends the shard; requests that wait in it are answered `code`. All its answers have left
    /// when this returns.
    pub(super) async fn retire(&self, code: ErrorCode) {
        self.tell(|done| Message::Retire(code, done)).await;
    }

    /// Has the shard do what is due since its clock jumped, and waits for it.
    pub(super) async fn clock_moved(&self, by_ms: i64) {
        self.tell(|done| Message::ClockMoved { by_ms, done }).await;
    }

    /// Sends a message and waits until it is carried out, or the shard is gone.
    async fn tell(&self, message: impl FnOnce(oneshot::Sender<()>) -> Message<S>) {
        let (done, carried_out) = oneshot::channel();
        if self.0.send(message(done)).await.is_ok() {
            let _ = carried_out.await;
        }
    }
}

/// Where what is sent to a handle arrives. Dropping it ends the handle's way.
pub(super) struct Mailbox<S: Shard>(mpsc::Receiver<Message<S>>);

/// A way to a shard that is not started yet: who asks waits until it is.
pub(super) fn mailbox<S: Shard>() -> (ShardHandle<S>, Mailbox<S>) {
    let (sender, mailbox) = mpsc::channel(MAILBOX);
    (ShardHandle(sender), Mailbox(mailbox))
}

/// What a shard runs on.
pub(super) struct Ground {
    pub(super) runtime: Handle,
    pub(super) log_dir: Arc<LogDir>,
    pub(super) clock: Clock,
    /// How long a reply may wait for the commit of what it rests on.
    pub(super) commit_timeout_ms: i32,
}

/// Where what a shard commands goes, once the records it rests on are committed.
pub(super) type Commands<S> = Arc<dyn Fn(<S as Shard>::Command) + Send + Sync>;

/// What a shard has to hear before it handles the next event, if there is something.
pub(super) type News<S> = Box<dyn FnMut() -> Option<<S as Shard>::Request> + Send>;

/// Nobody waits for the answer to news.
const NOBODY: ReplyTo = ReplyTo(0);

struct Actor<S: Shard, C> {
    shard: S,
    news: News<S>,
    partition: Arc<Partition>,
    view: View,
    clock: Clock,
    commit_timeout_ms: i32,
    timers: Timers<S::Timer>,
    waiting: HashMap<ReplyTo, oneshot::Sender<Result<S::Response, ErrorCode>>>,
    next_reply: u64,
    /// Of the request that is being handled.
    guard: Option<VerificationGuard>,
    commands: Commands<S>,
    codec: std::marker::PhantomData<C>,
}

/// Starts `shard` on `partition`: it loads what the log holds, then serves. It hears `news` before
/// each event; what it commands goes to `commands`.
pub(super) fn start<S, C>(
    ground: &Ground,
    (shard, news): (S, News<S>),
    partition: Arc<Partition>,
    how: Loaded,
    Mailbox(mailbox): Mailbox<S>,
    commands: Commands<S>,
) where
    S: Shard + Send + 'static,
    S::Command: Send,
    S::Request: Send,
    S::Response: Send,
    S::Record: Send + Sync,
    S::Timer: Eq + Hash + Clone + Send + Sync,
    C: RecordCodec<S>,
{
    let actor = Actor::<S, C> {
        shard,
        news,
        view: View::new(ground.log_dir.clone(), partition.log().clone()),
        partition,
        clock: ground.clock.clone(),
        commit_timeout_ms: ground.commit_timeout_ms,
        timers: Timers::new(),
        waiting: HashMap::new(),
        next_reply: 0,
        guard: None,
        commands,
        codec: std::marker::PhantomData,
    };
    let serving = ground.runtime.clone();
    // Loading reads files: it keeps off the threads that serve requests.
    ground.runtime.spawn_blocking(move || {
        if let Some(loaded) = actor.loaded() {
            serving.spawn(loaded.run(mailbox, how));
        }
    });
}

impl<S, C> Actor<S, C>
where
    S: Shard + Send + 'static,
    S::Command: Send,
    S::Request: Send,
    S::Response: Send,
    S::Record: Send + Sync,
    S::Timer: Eq + Hash + Clone + Send + Sync,
    C: RecordCodec<S>,
{
    /// The actor with the state that the log holds. Serving half of it would hand out wrong
    /// offsets: a shard that cannot be loaded answers `NOT_COORDINATOR`.
    fn loaded(mut self) -> Option<Self> {
        match self.load() {
            Ok(()) => Some(self),
            Err(code) => {
                let partition = self.partition.topic_partition();
                error!(%partition, ?code, "the coordinator could not be loaded");
                None
            }
        }
    }

    async fn run(mut self, mut mailbox: mpsc::Receiver<Message<S>>, how: Loaded) {
        self.handle(Event::Loaded(how)).await;
        loop {
            let due = self.timers.next_deadline();
            tokio::select! {
                message = mailbox.recv() => match message {
                    Some(Message::Ask(asked)) => self.request(asked).await,
                    Some(Message::WriteMarker(marker, reply)) => {
                        self.write_marker(marker, reply).await;
                    }
                    Some(Message::Checkpoint) => self = self.write_view().await,
                    Some(Message::Stop(done)) => {
                        self.write_view().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(Message::Retire(code, done)) => {
                        self.refuse_waiting(code);
                        let _ = done.send(());
                        return;
                    }
                    Some(Message::ClockMoved { by_ms, done }) => {
                        self.clock_moved(by_ms).await;
                        let _ = done.send(());
                    }
                    None => return,
                },
                () = sleep_until(&self.clock, due) => self.fire().await,
            }
        }
    }

    /// Writes the rows of what changed, if anything did, away from the serving threads.
    async fn write_view(mut self) -> Self {
        let applied = self.partition.high_watermark();
        // Rows hold committed records only; what is on its way there is written the next time.
        if self.view.is_current() || applied < self.partition.log().log_end_offset() {
            return self;
        }
        let (view, written) = match tokio::task::spawn_blocking(move || {
            let written = self.view.write(applied);
            (self, written)
        })
        .await
        {
            Ok(written) => written,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        if let Err(error) = written {
            let partition = view.partition.topic_partition();
            warn!(%partition, %error, "the coordinator's rows were not written; a start reads the log");
        }
        view
    }

    async fn request(
        &mut self,
        Asked {
            meta,
            request,
            guard,
            reply,
        }: Asked<S>,
    ) {
        self.guard = guard;
        self.next_reply += 1;
        let token = ReplyTo(self.next_reply);
        self.waiting.insert(token, reply);
        self.handle(Event::Request {
            token,
            meta,
            request,
        })
        .await;
        self.guard = None;
    }

    async fn fire(&mut self) {
        while let Some(key) = self.timers.pop_due(self.clock.now()) {
            self.handle(Event::Timer(key)).await;
        }
    }

    async fn clock_moved(&mut self, by_ms: i64) {
        self.timers.shift(by_ms.min(0));
        self.handle(Event::ClockMoved { by_ms }).await;
        self.fire().await;
    }

    fn refuse_waiting(&mut self, code: ErrorCode) {
        for (_, reply) in self.waiting.drain() {
            // The one who asked may have gone.
            let _ = reply.send(Err(code));
        }
    }

    async fn handle(&mut self, event: Event<S>) {
        if let Some(request) = (self.news)() {
            let meta = RequestMeta {
                api_version: 0,
                client_id: Arc::from(""),
                client_host: Arc::from(""),
            };
            let told = Event::Request {
                token: NOBODY,
                meta,
                request,
            };
            self.decide(told).await;
        }
        self.decide(event).await;
    }

    async fn decide(&mut self, event: Event<S>) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let output = self.shard.handle(self.clock.now(), event);
            next = self.carry_out(output).await;
        }
    }

    /// Appends, replays and answers; a failed append comes back as the next event.
    async fn carry_out(&mut self, output: Output<S>) -> Option<Event<S>> {
        let Output {
            token,
            records,
            producer,
            replies,
            effects,
            commands,
        } = output;
        for effect in effects {
            match effect {
                Effect::ArmTimer { key, at } => self.timers.arm(key, at),
                Effect::CancelTimer(key) => self.timers.cancel(&key),
            }
        }
        if !records.is_empty()
            && let Err(code) = self.append(&records, producer).await
        {
            return Some(append_failed(token, code));
        }
        let rests_on = self.partition.log().log_end_offset();
        self.command_when_committed(rests_on, commands);
        self.answer_when_committed(rests_on, replies);
        None
    }

    async fn append(
        &mut self,
        records: &[S::Record],
        producer: Option<TransactionalAppend>,
    ) -> Result<(), ErrorCode> {
        let now = self.clock.now();
        let encoded = records
            .iter()
            .map(C::encode)
            .collect::<Result<Vec<_>, _>>()?;
        let mut batch = BatchBuilder::new(Offset(0));
        if let Some(producer) = producer {
            batch = batch.transactional().producer(Producer {
                id: producer.producer_id,
                epoch: producer.producer_epoch,
                base_sequence: -1,
            });
        }
        for (key, value) in &encoded {
            batch.push(now, Some(key), value.as_deref(), &[]);
        }
        let bytes = batch.build().bytes().clone();
        let appended =
            self.partition
                .append(bytes, AppendOrigin::Coordinator, now, self.guard.take());
        let info = appended.await.map_err(|error| ErrorCode::from(&error))?;
        for ((delta, record), row) in (0i64..).zip(records).zip(encoded) {
            let offset = Offset(info.base_offset.0 + delta);
            let meta = RecordMeta {
                offset,
                producer: producer.map(|producer| (producer.producer_id, producer.producer_epoch)),
            };
            self.shard.replay(meta, record);
            if C::HAS_ROWS {
                self.view.note(meta, row);
            }
        }
        Ok(())
    }

    async fn write_marker(
        &mut self,
        write: MarkerWrite,
        reply: oneshot::Sender<Result<(), ErrorCode>>,
    ) {
        let (producer, marker, version) = (write.producer, write.marker, write.transaction_version);
        let now = self.clock.now();
        let appended = self.partition.append_marker(producer, marker, version, now);
        match appended.await {
            Ok(info) => {
                self.end_transaction(info.base_offset, producer, marker);
                self.send_when_committed(info.log_end_offset, vec![(reply, Ok(()))]);
            }
            Err(error) => send(vec![(reply, Err(ErrorCode::from(&error)))]),
        }
    }

    /// A marker stands in the log.
    fn end_transaction(
        &mut self,
        offset: Offset,
        producer: (ProducerId, ProducerEpoch),
        marker: EndTransactionMarker,
    ) {
        let result = if marker.committed {
            TransactionResult::Commit
        } else {
            TransactionResult::Abort
        };
        let meta = RecordMeta {
            offset,
            producer: Some(producer),
        };
        self.shard.replay_marker(meta, result);
        self.view.note_end(producer.0, result);
    }

    fn answer_when_committed(
        &mut self,
        rests_on: Offset,
        replies: Vec<(ReplyTo, Result<S::Response, ErrorCode>)>,
    ) {
        let ready = replies
            .into_iter()
            .filter_map(|(to, answer)| Some((self.waiting.remove(&to)?, answer)))
            .collect::<Vec<_>>();
        self.send_when_committed(rests_on, ready);
    }

    fn send_when_committed<R: Send + 'static>(&self, rests_on: Offset, ready: Vec<Ready<R>>) {
        if ready.is_empty() {
            return;
        }
        if self.partition.high_watermark() >= rests_on {
            send(ready);
            return;
        }
        let (partition, timeout) = (self.partition.clone(), self.commit_timeout_ms);
        tokio::spawn(async move {
            match partition.committed(rests_on, timeout).await {
                Ok(()) => send(ready),
                Err(code) => send(ready.into_iter().map(|(to, _)| (to, Err(code))).collect()),
            }
        });
    }

    /// Commands leave however long the commit takes: nobody would give them again before the next
    /// load.
    fn command_when_committed(&self, rests_on: Offset, commands: Vec<S::Command>) {
        if commands.is_empty() {
            return;
        }
        let sink = self.commands.clone();
        if self.partition.high_watermark() >= rests_on {
            commands.into_iter().for_each(|command| sink(command));
            return;
        }
        let (partition, timeout) = (self.partition.clone(), self.commit_timeout_ms);
        tokio::spawn(async move {
            loop {
                match partition.committed(rests_on, timeout).await {
                    Ok(()) => break commands.into_iter().for_each(|command| sink(command)),
                    Err(ErrorCode::RequestTimedOut) => {}
                    // The shard ends with its partition.
                    Err(_) => break,
                }
            }
        });
    }

    /// Replays the rows of the view, and the log behind them.
    fn load(&mut self) -> Result<(), ErrorCode> {
        let log = self.partition.log().clone();
        let end = log.log_end_offset();
        let shard = &mut self.shard;
        let rows = self.view.load(|meta, key, value| {
            let value = Some(Bytes::copy_from_slice(value));
            if let Some(record) = C::decode(key, value.as_ref()) {
                shard.replay(meta, &record);
            }
        });
        let mut from = rows.map_err(ErrorCode::from)?;
        while from < end {
            let slice = log
                .read(from, end, LOAD_STEP, true)
                .map_err(ErrorCode::from)?;
            let mut bytes = slice.read().map_err(ErrorCode::from)?;
            let before = from;
            while let Some(batch) = RecordBatch::split_first(&mut bytes).map_err(ErrorCode::from)? {
                from = batch.header().next_offset();
                self.replay_batch(&batch)?;
            }
            if from == before {
                return Err(ErrorCode::KafkaStorageError);
            }
        }
        Ok(())
    }

    fn replay_batch(&mut self, batch: &RecordBatch) -> Result<(), ErrorCode> {
        let header = batch.header();
        let producer = header
            .producer
            .map(|producer| (producer.id, producer.epoch));
        if header.attributes.is_control() {
            return self.replay_control(batch, producer);
        }
        let producer = producer.filter(|_| header.attributes.is_transactional());
        for record in batch.records().map_err(ErrorCode::from)? {
            let record = record.map_err(ErrorCode::from)?;
            let meta = RecordMeta {
                offset: record.offset,
                producer,
            };
            let key = record.key.unwrap_or_default();
            match C::decode(&key, record.value.as_ref()) {
                Some(decoded) => {
                    self.shard.replay(meta, &decoded);
                    if C::HAS_ROWS {
                        self.view.note(meta, (key, record.value));
                    }
                }
                None => warn!(
                    partition = %self.partition.topic_partition(),
                    offset = %record.offset,
                    "passing over a coordinator record that cannot be read",
                ),
            }
        }
        Ok(())
    }

    fn replay_control(
        &mut self,
        batch: &RecordBatch,
        producer: Option<(ProducerId, ProducerEpoch)>,
    ) -> Result<(), ErrorCode> {
        for record in batch.records().map_err(ErrorCode::from)? {
            let record = record.map_err(ErrorCode::from)?;
            let marker = EndTransactionMarker::read(&record).map_err(ErrorCode::from)?;
            if let (Some(marker), Some(producer)) = (marker, producer) {
                self.end_transaction(record.offset, producer, marker);
            }
        }
        Ok(())
    }
}

fn append_failed<S: Shard>(token: AppendToken, code: ErrorCode) -> Event<S> {
    Event::AppendFailed { token, code }
}

/// An answer, and the way it goes.
type Ready<R> = (oneshot::Sender<Result<R, ErrorCode>>, Result<R, ErrorCode>);

fn send<R>(ready: Vec<Ready<R>>) {
    for (to, answer) in ready {
        // The one who asked may have gone.
        let _ = to.send(answer);
    }
}

async fn sleep_until(clock: &Clock, due: Option<protocol::Timestamp>) {
    match due {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
