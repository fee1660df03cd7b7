//! The contract between a replicated state machine and the runtime that gives it a log.
//!
//! Invariant: hard state changes only in [`Shard::replay`]. `handle` may change soft state (who is
//! waiting to join, what times out when), never anything that must survive a crash.
//!
//! ```text
//! request, timer ──► handle ──► Output { records, replies, effects, commands }
//!                                  │ records: appended as one batch, then replayed one by one
//!                                  │ effects: run at once
//!                                  └ replies, commands: leave when all that the shard saw is
//!                                    committed
//! ```

use std::sync::Arc;

use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, Timestamp};

/// A replicated state machine: one per partition of `__consumer_offsets` or `__transaction_state`.
///
/// The runtime drives it like this, one event at a time:
/// 1. Load: [`Shard::replay`] for every record of the log, then [`Event::Loaded`].
/// 2. [`Shard::handle`] gives an [`Output`]. Its effects are run at once, whatever becomes of the
///    records: they mirror soft state that has already changed.
/// 3. Are there records, they are appended as one batch. If that works, each is given to `replay`
///    in order, before the next event. If it does not, the replies of that output are dropped and
///    [`Event::AppendFailed`] with the output's token is handled next; it answers all of them.
///    So are its commands dropped: they rested on the records.
/// 4. The replies and the commands leave when everything below the log end at step 3 is committed:
///    commands however long that takes, replies with an error if it takes too long.
///
/// A shard that loses leadership is dropped; the runtime answers what is still open and lets go of
/// commands that have not left.
pub trait Shard {
    type Request;
    type Response;
    type Record;
    type Timer;
    /// Work outside the shard that rests on its records, such as transaction markers. What came of
    /// it returns as a request. A command may be lost, and may come twice: with [`Event::Loaded`]
    /// the shard gives those again that are still due. [`std::convert::Infallible`] for none.
    type Command;

    /// Decides what an event leads to.
    fn handle(&mut self, now: Timestamp, event: Event<Self>) -> Output<Self>;

    /// Takes a record that the log holds into the hard state.
    fn replay(&mut self, meta: RecordMeta, record: &Self::Record);

    /// Takes the end of a producer's transaction into the hard state: a marker for the partition
    /// was appended, or stands in the log that is loaded.
    fn replay_marker(&mut self, meta: RecordMeta, result: TransactionResult);
}

/// Something that happens to a shard.
pub enum Event<S: Shard + ?Sized> {
    Request {
        token: ReplyTo,
        meta: RequestMeta,
        request: S::Request,
    },
    /// A timer that was armed came due.
    Timer(S::Timer),
    /// The records of the output with this token could not be appended. Nothing was replayed.
    AppendFailed { token: AppendToken, code: ErrorCode },
    /// The whole log was replayed, and this broker leads the partition.
    Loaded(Loaded),
    /// The clock jumped by so many milliseconds, forward or back. All that is due now is done now;
    /// a jump back makes no wait longer: the runtime moves the armed timers back with the clock.
    ClockMoved { by_ms: i64 },
}

/// How a shard comes to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It goes on where the one before it stopped.
    GoesOn,
    /// The log was put back to an earlier state: whoever was a member then is none now.
    PutBack,
}

/// What a shard decided.
pub struct Output<S: Shard + ?Sized> {
    /// Names the append of `records`; without meaning when there are none.
    pub token: AppendToken,
    /// Exactly one batch.
    pub records: Vec<S::Record>,
    /// Set where the batch of `records` is part of a producer's transaction. What it says counts
    /// once the transaction is committed: [`Shard::replay`] hears of the producer, and
    /// [`Shard::replay_marker`] of the end.
    pub producer: Option<TransactionalAppend>,
    /// `Err` stands for a request that failed as a whole; the edge knows the shape of its API's
    /// error answer.
    pub replies: Vec<(ReplyTo, Result<S::Response, ErrorCode>)>,
    pub effects: Vec<Effect<S>>,
    /// They leave as the replies do.
    pub commands: Vec<S::Command>,
}

/// In whose transaction a batch is appended. It has no sequence numbers: the coordinator that
/// appends it is sure of the order itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionalAppend {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
}

/// What the runtime does for a shard besides appending and answering.
pub enum Effect<S: Shard + ?Sized> {
    /// Arms a timer, or moves it if it is armed: there is one per key.
    ArmTimer {
        key: S::Timer,
        at: Timestamp,
    },
    CancelTimer(S::Timer),
}

/// Names a request whose answer somebody awaits. The runtime gives it out and keeps the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// Names one append. The shard gives it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendToken(pub u64);

/// What a shard needs to know of a request besides its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMeta {
    pub api_version: i16,
    pub client_id: Arc<str>,
    /// As upstream shows it: `/127.0.0.1`.
    pub client_host: Arc<str>,
}

/// Where a record stands and who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta {
    pub offset: Offset,
    /// Set for a record that is part of a transaction.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionResult {
    Commit,
    Abort,
}
