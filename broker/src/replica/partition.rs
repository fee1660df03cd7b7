//! One replica of a partition: a replication state machine over its log.
//!
//! Invariant: an append is acknowledged, and becomes readable by consumers, only once the high
//! watermark has passed it. The log's own lock orders appends; the lock here covers the marks and
//! is never held over I/O.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::control::EndTransactionMarker;
use protocol::{
    ErrorCode, LeaderEpoch, Offset, Producer, ProducerEpoch, ProducerId, Timestamp, TopicId,
    TopicPartition,
};
use replication::{Leader, Reached, Ticket, Waiter, Watermark};
use storage::{
    AbortedTransaction, AppendError, AppendInfo, AppendOrigin, Log, LogSlice, VerificationGuard,
};

use crate::meters::TopicMeters;

use super::waiting::{ReadyList, deadline};

/// How far a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Consumers that read uncommitted transactions too: up to the high watermark.
    ReadUncommitted,
    /// Consumers that read committed transactions only: up to the last stable offset.
    ReadCommitted,
}

/// A replica that this node leads.
pub(crate) struct Partition {
    topic_partition: TopicPartition,
    topic_id: TopicId,
    log: Arc<Log>,
    marks: Mutex<Marks>,
    meters: TopicMeters,
}

struct Marks {
    /// `min.insync.replicas`, at most the number of replicas there are.
    min_in_sync_replicas: i32,
    leader: Leader,
    high_watermark: Watermark,
    last_stable: Watermark,
}

impl Marks {
    /// Moves the marks for readers to where the leader's high watermark is.
    fn advance(&mut self, log: &Log) {
        let high_watermark = self.leader.high_watermark();
        log.set_high_watermark(high_watermark);
        self.high_watermark.advance(high_watermark);
        self.last_stable.advance(log.last_stable_offset());
    }

    fn of(&mut self, isolation: Isolation) -> &mut Watermark {
        match isolation {
            Isolation::ReadUncommitted => &mut self.high_watermark,
            Isolation::ReadCommitted => &mut self.last_stable,
        }
    }
}

/// What a fetch wants of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadRequest {
    pub(crate) fetch_offset: Offset,
    pub(crate) current_leader_epoch: Option<LeaderEpoch>,
    pub(crate) last_fetched_epoch: Option<LeaderEpoch>,
    pub(crate) max_bytes: usize,
    pub(crate) at_least_one_batch: bool,
    pub(crate) isolation: Isolation,
}

/// What a fetch found there.
pub(crate) struct PartitionRead {
    pub(crate) slice: LogSlice,
    pub(crate) high_watermark: Offset,
    pub(crate) last_stable_offset: Offset,
    pub(crate) log_start_offset: Offset,
    /// For readers of committed records: whose records they must leave out.
    pub(crate) aborted_transactions: Vec<AbortedTransaction>,
    /// Where the reader's history and ours part (KIP-595), in place of records.
    pub(crate) diverging_epoch: Option<(LeaderEpoch, Offset)>,
}

impl Partition {
    /// Starts to lead `log` in `epoch`.
    pub(crate) fn lead(log: Arc<Log>, epoch: LeaderEpoch) -> Self {
        let end = log.log_end_offset();
        log.assign_epoch(epoch, end);
        let leader = Leader::new(epoch, end, log.high_watermark_checkpoint(), []);
        log.set_high_watermark(leader.high_watermark());
        let high_watermark = Watermark::new(leader.high_watermark());
        let last_stable = Watermark::new(log.last_stable_offset());
        Partition {
            topic_partition: log.topic_partition().clone(),
            topic_id: log.topic_id(),
            log,
            marks: Mutex::new(Marks {
                min_in_sync_replicas: 1,
                leader,
                high_watermark,
                last_stable,
            }),
            meters: TopicMeters::default(),
        }
    }

    /// This partition with another log. The former goes on until it is ended.
    pub(crate) fn with_log(&self, log: Arc<Log>) -> Self {
        let (epoch, min_in_sync) = {
            let marks = self.marks.lock();
            (marks.leader.epoch(), marks.min_in_sync_replicas)
        };
        let partition = Partition::lead(log, epoch);
        partition.set_min_in_sync(min_in_sync);
        partition
    }

    /// Leads on in a later epoch: records appended from now on carry it, and clients that believe
    /// in an earlier one are fenced (KIP-320).
    pub(crate) fn lead_in(&self, epoch: LeaderEpoch) {
        let mut marks = self.marks.lock();
        if epoch <= marks.leader.epoch() {
            return;
        }
        let end = self.log.log_end_offset();
        self.log.assign_epoch(epoch, end);
        marks.leader = Leader::new(epoch, end, marks.leader.high_watermark(), []);
        marks.advance(&self.log);
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    pub(crate) fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// What clients brought and took here.
    pub(crate) fn meters(&self) -> &TopicMeters {
        &self.meters
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.marks.lock().leader.epoch()
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.marks.lock().leader.high_watermark()
    }

    /// The offset up to which a reader of `isolation` may see.
    pub(crate) fn read_limit(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark(),
            Isolation::ReadCommitted => self.log.last_stable_offset().min(self.high_watermark()),
        }
    }

    pub(crate) fn check_epoch(&self, current: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        self.marks.lock().leader.check_epoch(current)
    }

    /// Whether acks=all appends may be taken (`min.insync.replicas`).
    pub(crate) fn check_min_in_sync(&self) -> Result<(), ErrorCode> {
        let marks = self.marks.lock();
        marks.leader.check_min_in_sync(marks.min_in_sync_replicas)
    }

    pub(crate) fn set_min_in_sync(&self, replicas: i32) {
        self.marks.lock().min_in_sync_replicas = replicas;
    }

    /// Appends one request's records for this partition; with `log.flush.*` asking for it, the
    /// records are on disk before they are acknowledged or seen. `guard` is what
    /// [`Partition::begin_verification`] gave, for records that open a transaction.
    pub(crate) async fn append(
        &self,
        records: Bytes,
        origin: AppendOrigin,
        now: Timestamp,
        guard: Option<VerificationGuard>,
    ) -> Result<AppendInfo, AppendError> {
        let epoch = self.leader_epoch();
        let info = self
            .log
            .append_verified(records, epoch, origin, now, guard)?;
        self.appended(info).await
    }

    /// A producer is about to write in a transaction: `None` where it is open here already, else
    /// its coordinator must know of it before the records are appended with the guard. `version2`
    /// says that the client's epoch grows with each transaction.
    ///
    /// # Errors
    /// The producer's epoch is over, or the log takes no writes.
    pub(crate) fn begin_verification(
        &self,
        producer: Producer,
        version2: bool,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, storage::Error> {
        self.log.begin_verification(producer, version2, now)
    }

    /// Ends a producer's transaction here. The marker counts once it is committed.
    pub(crate) async fn append_marker(
        &self,
        producer: (ProducerId, ProducerEpoch),
        marker: EndTransactionMarker,
        transaction_version: i16,
        now: Timestamp,
    ) -> Result<AppendInfo, AppendError> {
        let epoch = self.leader_epoch();
        let info = self
            .log
            .append_marker(producer, marker, transaction_version, epoch, now)?;
        self.appended(info).await
    }

    /// Syncs what must be, and lets readers see it.
    async fn appended(&self, info: AppendInfo) -> Result<AppendInfo, AppendError> {
        if info.needs_sync {
            let log = self.log.clone();
            let end = info.log_end_offset;
            let synced = tokio::task::spawn_blocking(move || log.sync_to(end)).await;
            synced
                .unwrap_or_else(|_| Err(self.closed()))
                .map_err(AppendError::from)?;
        }
        self.advance(info.log_end_offset);
        Ok(info)
    }

    fn closed(&self) -> storage::Error {
        storage::Error::Closed {
            topic_partition: self.topic_partition.clone(),
        }
    }

    fn advance(&self, log_end_offset: Offset) {
        let mut marks = self.marks.lock();
        let change = marks.leader.appended(log_end_offset);
        if change.advanced {
            marks.advance(&self.log);
        }
    }

    /// Waits until everything below `offset` is committed.
    ///
    /// # Errors
    /// `REQUEST_TIMED_OUT` after `wait_ms`, or the code with which the partition ended.
    pub(crate) async fn committed(&self, offset: Offset, wait_ms: i32) -> Result<(), ErrorCode> {
        let list = Arc::new(ReadyList::default());
        let waiter: Arc<dyn Waiter> = list.clone();
        let deadline = deadline(wait_ms);
        loop {
            match self
                .marks
                .lock()
                .high_watermark
                .wait_for(offset, &waiter, 0)?
            {
                Reached::Yes => return Ok(()),
                Reached::NotYet => {}
            }
            if list.next(deadline).await.is_empty() {
                return Err(ErrorCode::RequestTimedOut);
            }
        }
    }

    /// Registers a reader that found nothing: it is woken when there is more than `seen` for it.
    pub(crate) fn wait_beyond(
        &self,
        seen: Offset,
        isolation: Isolation,
        waiter: &Arc<dyn Waiter>,
        ticket: Ticket,
    ) -> Result<Reached, ErrorCode> {
        let threshold = Offset(seen.0.saturating_add(1));
        let mut marks = self.marks.lock();
        marks.of(isolation).wait_for(threshold, waiter, ticket)
    }

    /// Reads whole batches for a consumer.
    pub(crate) fn read(&self, request: &ReadRequest) -> Result<PartitionRead, ErrorCode> {
        self.check_epoch(request.current_leader_epoch)?;
        let high_watermark = self.high_watermark();
        let last_stable_offset = self.log.last_stable_offset().min(high_watermark);
        let limit = match request.isolation {
            Isolation::ReadUncommitted => high_watermark,
            Isolation::ReadCommitted => last_stable_offset,
        };
        let answer = |slice: LogSlice, diverging_epoch| PartitionRead {
            aborted_transactions: self.aborted_transactions(request, &slice),
            slice,
            high_watermark,
            last_stable_offset,
            log_start_offset: self.log.log_start_offset(),
            diverging_epoch,
        };
        if let Some(diverging) = self.diverging_epoch(request)? {
            return Ok(answer(
                LogSlice::empty(request.fetch_offset),
                Some(diverging),
            ));
        }
        let read = self.log.read(
            request.fetch_offset,
            limit,
            request.max_bytes,
            request.at_least_one_batch,
        );
        match read {
            Ok(slice) => Ok(answer(slice, None)),
            Err(error) => Err(ErrorCode::from(error)),
        }
    }

    fn aborted_transactions(
        &self,
        request: &ReadRequest,
        slice: &LogSlice,
    ) -> Vec<AbortedTransaction> {
        match request.isolation {
            Isolation::ReadCommitted if !slice.is_empty() => self
                .log
                .aborted_transactions(request.fetch_offset, slice.next_offset),
            Isolation::ReadCommitted | Isolation::ReadUncommitted => Vec::new(),
        }
    }

    /// KIP-595: the reader's last fetched epoch tells whether its log is a prefix of ours.
    fn diverging_epoch(
        &self,
        request: &ReadRequest,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
        let Some(last_fetched) = request.last_fetched_epoch else {
            return Ok(None);
        };
        // An epoch from before or after all that is known here tells nothing of the offset.
        let (epoch, end) = self
            .log
            .end_offset_for_epoch(last_fetched)
            .ok_or(ErrorCode::OffsetOutOfRange)?;
        let diverges = epoch < last_fetched || end < request.fetch_offset;
        Ok(diverges.then_some((epoch, end)))
    }

    /// Ends all waiting here: the topic was deleted or leadership went elsewhere.
    pub(crate) fn end(&self, code: ErrorCode) {
        let mut marks = self.marks.lock();
        marks.high_watermark.end(code);
        marks.last_stable.end(code);
    }
}
