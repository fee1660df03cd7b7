//! One ShareFetch at work: it reads what its share partitions let it, and waits for more where that
//! is too little.
//!
//! Invariant: a share partition that let the fetch read is told what came of it before the next
//! wait, so a fetch that ends while it waits holds nothing up. A look costs no task and no `.await`.

use std::sync::Arc;
use std::time::Duration;

use coordinator::share::partition::{
    AbortedTransaction, AcquireMode, AcquiredRecords, Acquisition, Fetched, IsolationLevel,
    SharePartitionEvent,
};
use coordinator::share::session::SessionPartition;
use protocol::{ErrorCode, Offset};
use replication::{Reached, Ticket, Waiter};
use storage::LogSlice;
use tokio::time::Instant;

use super::batches::Read;
use super::partition::{Begun, Fetcher, LedShare};
use crate::replica::{Isolation, PartitionRead, ReadRequest, ReadyList};

/// What a fetch asks of all its share partitions together.
pub(crate) struct Asked {
    pub(crate) member: Arc<str>,
    pub(crate) mode: AcquireMode,
    pub(crate) batch_size: i32,
    pub(crate) max_records: i32,
    pub(crate) min_bytes: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_wait: Duration,
    pub(crate) isolation: IsolationLevel,
}

/// A share partition of a fetch.
pub(crate) struct Wanted {
    pub(crate) partition: SessionPartition,
    pub(crate) share: Result<Arc<LedShare>, ErrorCode>,
}

/// What a fetch gets of a share partition.
pub(crate) struct Handed {
    pub(crate) records: LogSlice,
    pub(crate) acquired: Vec<AcquiredRecords>,
}

/// The answer of each share partition that has one.
pub(crate) type Answers = Vec<(SessionPartition, Result<Handed, ErrorCode>)>;

impl Handed {
    fn nothing() -> Handed {
        Handed {
            records: LogSlice::empty(Offset(0)),
            acquired: Vec::new(),
        }
    }
}

/// Fetches until there is enough, or no time left.
pub(super) async fn fetch(id: u64, asked: &Asked, wanted: Vec<Wanted>) -> Answers {
    let deadline = Instant::now() + asked.max_wait;
    let mut fetch = Fetch {
        id,
        asked,
        list: Arc::default(),
        places: wanted.into_iter().map(Place::from).collect(),
    };
    if fetch.places.iter().all(Place::has_failed) {
        return fetch.errors().collect();
    }
    let mut is_last = asked.max_wait.is_zero();
    loop {
        if let Some(answers) = fetch.look(is_last) {
            return answers;
        }
        is_last = fetch.list.next(deadline).await.is_empty() || Instant::now() >= deadline;
    }
}

struct Fetch<'a> {
    id: u64,
    asked: &'a Asked,
    list: Arc<ReadyList>,
    places: Vec<Place>,
}

/// A share partition in its place among those of the fetch.
struct Place {
    partition: SessionPartition,
    share: Result<Arc<LedShare>, ErrorCode>,
    /// Up to where the log had records when the fetch began to wait for more.
    waits_beyond: Option<Offset>,
}

/// What was read of a share partition that let the fetch read.
struct Looked {
    ticket: Ticket,
    share: Arc<LedShare>,
    from: Offset,
    read: Result<(PartitionRead, Read), ReadFailure>,
}

/// Why nothing was read.
enum ReadFailure {
    /// The records are gone; the log begins here now.
    LogStartsAt(Offset),
    Refused(ErrorCode),
}

impl From<Wanted> for Place {
    fn from(wanted: Wanted) -> Place {
        Place {
            partition: wanted.partition,
            share: wanted.share,
            waits_beyond: None,
        }
    }
}

impl Place {
    fn has_failed(&self) -> bool {
        self.share.is_err()
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        for place in &self.places {
            if let Ok(share) = &place.share {
                share.forget(self.id);
            }
        }
    }
}

impl Fetch<'_> {
    fn errors(&self) -> impl Iterator<Item = (SessionPartition, Result<Handed, ErrorCode>)> {
        let places = self.places.iter();
        places.filter_map(|place| {
            let code = *place.share.as_ref().err()?;
            Some((place.partition, Err(code)))
        })
    }

    fn fetcher(&self, ticket: Ticket) -> Fetcher<'_> {
        Fetcher {
            id: self.id,
            list: &self.list,
            ticket,
        }
    }

    /// Looks whether there is enough. The last look takes what there is.
    fn look(&mut self, is_last: bool) -> Option<Answers> {
        let looked = self.read_all();
        let size: usize = looked.iter().map(Looked::size_in_bytes).sum();
        let failed = looked.iter().any(|it| it.read.is_err());
        let is_enough = !looked.is_empty() && (failed || size >= self.asked.min_bytes);
        if !is_last && !is_enough {
            self.wait_for_more(looked);
            return None;
        }
        let mut acquired = 0;
        let mut answers = Vec::with_capacity(self.places.len());
        for looked in looked {
            let partition = self.places.get(looked.ticket).map(|it| it.partition);
            let answer = self.take(looked, &mut acquired);
            answers.extend(partition.map(|partition| (partition, answer)));
        }
        answers.extend(self.errors());
        Some(answers)
    }

    /// Reads of each share partition that lets it, each as much as the others.
    fn read_all(&mut self) -> Vec<Looked> {
        let mut begun = Vec::with_capacity(self.places.len());
        for ticket in 0..self.places.len() {
            let Some(Ok(share)) = self.places.get(ticket).map(|place| place.share.clone()) else {
                continue;
            };
            match share.begin(self.fetcher(ticket)) {
                Begun::From(offset) => begun.push((ticket, share, offset)),
                Begun::NotNow => {}
                Begun::Over(code) => self.fail(ticket, code),
            }
        }
        let mut left = self.asked.max_bytes;
        let share_of_each = (left / begun.len().max(1)).max(1);
        let mut at_least_one_batch = true;
        let looked = begun.into_iter().map(|(ticket, share, from)| {
            let isolation = isolation(self.asked.isolation);
            let request = ReadRequest {
                fetch_offset: from,
                current_leader_epoch: None,
                last_fetched_epoch: None,
                max_bytes: share_of_each.min(left),
                at_least_one_batch,
                isolation,
            };
            let read = read(&share, &request);
            let looked = Looked {
                ticket,
                share,
                from,
                read,
            };
            let size = looked.size_in_bytes();
            at_least_one_batch &= size == 0;
            left = left.saturating_sub(size);
            looked
        });
        looked.collect()
    }

    fn fail(&mut self, ticket: Ticket, code: ErrorCode) {
        if let Some(place) = self.places.get_mut(ticket) {
            place.share = Err(code);
        }
    }

    /// Gives up what it began, and sees to it that it is woken when there is more.
    fn wait_for_more(&mut self, looked: Vec<Looked>) {
        for Looked {
            ticket,
            share,
            read,
            ..
        } in looked
        {
            share.abandon(self.fetcher(ticket));
            let Ok((read, _)) = read else { continue };
            let isolation = isolation(self.asked.isolation);
            let seen = match isolation {
                Isolation::ReadUncommitted => read.high_watermark,
                Isolation::ReadCommitted => read.last_stable_offset,
            };
            let Some(place) = self.places.get_mut(ticket) else {
                continue;
            };
            if place.waits_beyond.replace(seen) == Some(seen) {
                // It is registered, and was woken by something else.
                continue;
            }
            let waiter: Arc<dyn Waiter> = self.list.clone();
            match share.leader().wait_beyond(seen, isolation, &waiter, ticket) {
                Ok(Reached::NotYet) => {}
                Ok(Reached::Yes) => self.list.wake(ticket),
                Err(code) => self.fail(ticket, code),
            }
        }
    }

    fn take(&self, looked: Looked, acquired: &mut i64) -> Result<Handed, ErrorCode> {
        let Looked {
            ticket,
            share,
            from,
            read,
        } = looked;
        let (found, read) = match read {
            Ok(read) => read,
            Err(failure) => {
                share.abandon(self.fetcher(ticket));
                return match failure {
                    ReadFailure::LogStartsAt(offset) => {
                        share.tell(SharePartitionEvent::LogStartMoved(offset));
                        Ok(Handed::nothing())
                    }
                    ReadFailure::Refused(code) => Err(code),
                };
            }
        };
        let aborted = found.aborted_transactions.iter();
        let aborted = aborted.map(|transaction| AbortedTransaction {
            producer_id: transaction.producer_id,
            first_offset: transaction.first_offset,
        });
        let left = i64::from(self.asked.max_records).saturating_sub(*acquired);
        let acquisition = Acquisition {
            member: self.asked.member.clone(),
            mode: self.asked.mode,
            batch_size: self.asked.batch_size,
            max_records: i32::try_from(left.max(0)).unwrap_or(i32::MAX),
            isolation: self.asked.isolation,
        };
        let fetched = Fetched {
            fetch_offset: from,
            batches: read.batches(),
            aborted_transactions: aborted.collect(),
        };
        let records = share.fetched(self.id, acquisition, fetched);
        let count = records.iter().map(|it| it.offsets.count());
        *acquired = acquired.saturating_add(count.sum());
        Ok(Handed {
            records: read.holding(&records),
            acquired: records,
        })
    }
}

impl Looked {
    fn size_in_bytes(&self) -> usize {
        self.read
            .as_ref()
            .map_or(0, |(_, read)| read.size_in_bytes())
    }
}

fn isolation(level: IsolationLevel) -> Isolation {
    match level {
        IsolationLevel::ReadUncommitted => Isolation::ReadUncommitted,
        IsolationLevel::ReadCommitted => Isolation::ReadCommitted,
    }
}

fn read(share: &LedShare, request: &ReadRequest) -> Result<(PartitionRead, Read), ReadFailure> {
    let leader = share.leader();
    match leader.read(request) {
        Ok(found) => {
            let read = Read::of(found.slice.clone()).map_err(ReadFailure::Refused)?;
            Ok((found, read))
        }
        Err(ErrorCode::OffsetOutOfRange) => {
            let start = leader.log().log_start_offset();
            if request.fetch_offset < start {
                return Err(ReadFailure::LogStartsAt(start));
            }
            // The log lost its end. What the group has seen comes again only behind that.
            let limit = leader.read_limit(request.isolation);
            let found = PartitionRead {
                slice: LogSlice::empty(request.fetch_offset),
                high_watermark: limit,
                last_stable_offset: limit,
                log_start_offset: start,
                aborted_transactions: Vec::new(),
                diverging_epoch: None,
            };
            let read = Read::of(found.slice.clone()).map_err(ReadFailure::Refused)?;
            Ok((found, read))
        }
        Err(code) => Err(ReadFailure::Refused(code)),
    }
}
