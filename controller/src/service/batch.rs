//! Decides queued requests one after the other, each against the image that the ones before it
//! lead to, and proposes their records together.
//!
//! Nothing that was decided is answered before the entry it was part of is in force. If another
//! decision came between, or there is no more leader, all of the batch is decided again or told so.

use std::sync::Arc;

use metadata::record::encode_batch;
use metadata::{MetadataDelta, MetadataImage, MetadataRecord, Provenance, ReplayError};
use protocol::{ErrorCode, Offset};
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::control::api_error::ApiError;
use crate::control::{Decision, Environment, MAX_RECORDS_PER_DECISION, features};
use crate::error::Error;
use crate::options::Settings;
use crate::raft::{Applied, Consensus, Proposal};

/// The largest entry, in bytes of records.
const MAX_ENTRY_SIZE: usize = 8 * 1024 * 1024;

/// A request on its way. Deciding may happen more than once, answering happens once.
pub(super) trait Request: Send {
    /// Decides, keeps the response, and gives the records and whether they belong together.
    fn decide(
        &mut self,
        image: &MetadataImage,
        env: &mut Environment<'_>,
    ) -> (Vec<MetadataRecord>, bool);

    /// Sends the kept response.
    fn answer(self: Box<Self>);

    /// Answers that nothing was done.
    fn refuse(self: Box<Self>, error: ApiError);

    /// Whether its time was up before anybody looked at it: then nothing may come of it.
    fn is_late(&self, now: Instant) -> bool;
}

/// What a handle puts into the queue.
pub(super) enum Job {
    Request(Box<dyn Request>),
    Stop,
}

/// A request as a function, with the way back for its response.
pub(super) struct Call<F, R> {
    decide: F,
    deadline: Option<Instant>,
    response: Option<R>,
    reply: oneshot::Sender<Result<R, ApiError>>,
}

impl<F, R> Call<F, R> {
    pub(super) fn new(
        decide: F,
        deadline: Option<Instant>,
        reply: oneshot::Sender<Result<R, ApiError>>,
    ) -> Call<F, R> {
        Call {
            decide,
            deadline,
            response: None,
            reply,
        }
    }
}

impl<F, R> Request for Call<F, R>
where
    F: FnMut(&MetadataImage, &mut Environment<'_>) -> Decision<R> + Send,
    R: Send,
{
    fn decide(
        &mut self,
        image: &MetadataImage,
        env: &mut Environment<'_>,
    ) -> (Vec<MetadataRecord>, bool) {
        let Decision {
            records,
            response,
            atomic,
        } = (self.decide)(image, env);
        self.response = Some(response);
        (records, atomic)
    }

    fn answer(self: Box<Self>) {
        if let Some(response) = self.response {
            // Whoever asked may have given up.
            let _ = self.reply.send(Ok(response));
        }
    }

    fn refuse(self: Box<Self>, error: ApiError) {
        let _ = self.reply.send(Err(error));
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

pub(super) struct Decider {
    consensus: Arc<Consensus>,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    rng: StdRng,
}

/// The records of one entry, and those that wait for it.
struct Batch {
    base: Arc<MetadataImage>,
    /// `base` with `records`.
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    size: usize,
    requests: Vec<Box<dyn Request>>,
}

impl Batch {
    fn new(base: Arc<MetadataImage>) -> Batch {
        let image = base.as_ref().clone();
        Batch {
            base,
            image,
            records: Vec::new(),
            size: 0,
            requests: Vec::new(),
        }
    }

    fn has_room(&self, records: usize, size: usize) -> bool {
        self.records.len() + records <= MAX_RECORDS_PER_DECISION
            && self.size + size <= MAX_ENTRY_SIZE
    }

    /// Adds records, after a trial on the image: what does not replay is never proposed.
    fn add(&mut self, records: Vec<MetadataRecord>, size: usize) -> Result<(), ReplayError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut delta = MetadataDelta::new(Arc::new(self.image.clone()));
        for record in &records {
            delta.replay(record)?;
        }
        let provenance = self.image.provenance;
        let offset = Offset(provenance.offset.map_or(0, |offset| offset.0 + 1));
        self.image = delta.apply(Provenance {
            offset: Some(offset),
            ..provenance
        });
        self.records.extend(records);
        self.size += size;
        Ok(())
    }
}

fn encoded_size(records: &[MetadataRecord]) -> usize {
    let mut bytes = Vec::new();
    encode_batch(records, &mut bytes);
    bytes.len()
}

/// How many of these records one entry holds.
fn fitting(records: &[MetadataRecord]) -> usize {
    let mut size = 0;
    let mut bytes = Vec::new();
    let fits = |record: &&MetadataRecord| {
        bytes.clear();
        encode_batch(std::slice::from_ref(*record), &mut bytes);
        size += bytes.len();
        size <= MAX_ENTRY_SIZE
    };
    records
        .iter()
        .take(MAX_RECORDS_PER_DECISION)
        .take_while(fits)
        .count()
}

/// Upstream's answer to what would be more than an entry may hold.
fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::PolicyViolation,
        "Unable to perform excessively large batch operation.",
    )
}

impl Decider {
    pub(super) fn new(
        consensus: Arc<Consensus>,
        settings: Arc<Settings>,
        clock: Arc<dyn Clock>,
        rng: StdRng,
    ) -> Decider {
        Decider {
            consensus,
            settings,
            clock,
            rng,
        }
    }

    /// Ends all waiting for room on the disk.
    pub(super) fn close(&self) {
        self.consensus.close();
    }

    /// Writes what every cluster's metadata begins with, if this one is new.
    pub(super) async fn bootstrap(&mut self) -> Result<(), Error> {
        loop {
            let image = self.consensus.image();
            if image.features.level(features::METADATA_VERSION) > 0 {
                return Ok(());
            }
            if self.propose(&image, features::bootstrap_records()).await? == Applied::Accepted {
                return Ok(());
            }
        }
    }

    /// Serves the queue until it is told to stop, then refuses what is left in it.
    pub(super) async fn serve(&mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.recv().await {
            let mut requests = Vec::new();
            let mut stop = take(first, &mut requests);
            while !stop && let Ok(next) = queue.try_recv() {
                stop = take(next, &mut requests);
            }
            self.decide_all(requests).await;
            if stop {
                break;
            }
        }
        queue.close();
        while let Some(job) = queue.recv().await {
            if let Job::Request(request) = job {
                request.refuse(ApiError::bare(ErrorCode::NotController));
            }
        }
    }

    async fn decide_all(&mut self, requests: Vec<Box<dyn Request>>) {
        let mut batch = Batch::new(self.consensus.image());
        for mut request in requests {
            if request.is_late(Instant::now()) {
                request.refuse(ApiError::bare(ErrorCode::RequestTimedOut));
                continue;
            }
            let (records, atomic) = self.decide(&mut *request, &batch.image);
            let size = encoded_size(&records);
            if !batch.has_room(records.len(), size) {
                self.commit(batch).await;
                batch = Batch::new(self.consensus.image());
                // What it rests on is in force now, or is not: decide again.
                let (records, atomic) = self.decide(&mut *request, &batch.image);
                self.add(&mut batch, request, records, atomic).await;
            } else {
                self.add(&mut batch, request, records, atomic).await;
            }
        }
        self.commit(batch).await;
    }

    fn decide(
        &mut self,
        request: &mut dyn Request,
        image: &MetadataImage,
    ) -> (Vec<MetadataRecord>, bool) {
        let mut env = Environment {
            settings: &self.settings,
            rng: &mut self.rng,
        };
        request.decide(image, &mut env)
    }

    /// Puts a decided request into the batch; if its records are too many for one entry but need
    /// not come together, all but the last part is proposed at once.
    async fn add(
        &mut self,
        batch: &mut Batch,
        request: Box<dyn Request>,
        mut records: Vec<MetadataRecord>,
        atomic: bool,
    ) {
        loop {
            let fitting = fitting(&records);
            if fitting == records.len() {
                break;
            }
            if atomic || fitting == 0 {
                return request.refuse(too_large());
            }
            let rest = records.split_off(fitting);
            if let Err(error) = self.propose_part(batch, records).await {
                return request.refuse(error);
            }
            records = rest;
        }
        let size = encoded_size(&records);
        match batch.add(records, size) {
            Ok(()) => batch.requests.push(request),
            Err(error) => {
                tracing::error!(%error, "a decision contradicts the image it was made on");
                request.refuse(ApiError::bare(ErrorCode::UnknownServerError));
            }
        }
    }

    /// Proposes a part of a divisible decision behind what the batch holds already.
    async fn propose_part(
        &mut self,
        batch: &mut Batch,
        records: Vec<MetadataRecord>,
    ) -> Result<(), ApiError> {
        let pending = std::mem::replace(batch, Batch::new(self.consensus.image()));
        self.commit(pending).await;
        let image = self.consensus.image();
        // What the batch held may have been refused: then these records rest on nothing.
        Batch::new(Arc::clone(&image))
            .add(records.clone(), 0)
            .map_err(|_| ApiError::bare(ErrorCode::RequestTimedOut))?;
        match self.propose(&image, records).await {
            Ok(Applied::Accepted) => {
                *batch = Batch::new(self.consensus.image());
                Ok(())
            }
            Ok(Applied::Retry | Applied::Nothing) => {
                Err(ApiError::bare(ErrorCode::RequestTimedOut))
            }
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Proposes the batch and answers its requests, however often it must be decided again.
    async fn commit(&mut self, mut batch: Batch) {
        loop {
            if batch.records.is_empty() {
                return batch.requests.into_iter().for_each(Request::answer);
            }
            let records = std::mem::take(&mut batch.records);
            match self.propose(&batch.base, records).await {
                Ok(Applied::Accepted) => {
                    return batch.requests.into_iter().for_each(Request::answer);
                }
                Ok(Applied::Retry | Applied::Nothing) => batch = self.decide_again(batch.requests),
                Err(error) => {
                    tracing::error!(%error, "the metadata log took no entry");
                    let refusal = refusal(&error);
                    let requests = batch.requests.into_iter();
                    return requests.for_each(|request| request.refuse(refusal.clone()));
                }
            }
        }
    }

    /// The same requests, decided on the image as it is now.
    fn decide_again(&mut self, requests: Vec<Box<dyn Request>>) -> Batch {
        let mut batch = Batch::new(self.consensus.image());
        for mut request in requests {
            let (records, _) = self.decide(&mut *request, &batch.image);
            let size = encoded_size(&records);
            if !batch.has_room(records.len(), size) {
                request.refuse(too_large());
            } else if let Err(error) = batch.add(records, size) {
                tracing::error!(%error, "a decision contradicts the image it was made on");
                request.refuse(ApiError::bare(ErrorCode::UnknownServerError));
            } else {
                batch.requests.push(request);
            }
        }
        batch
    }

    async fn propose(
        &self,
        base: &MetadataImage,
        records: Vec<MetadataRecord>,
    ) -> Result<Applied, Error> {
        let decided_at = base
            .provenance
            .offset
            .and_then(|offset| u64::try_from(offset.0).ok());
        let proposal = Proposal {
            decided_at,
            timestamp: self.clock.now(),
            records: Arc::new(records),
        };
        self.consensus.propose(proposal).await
    }
}

fn refusal(error: &Error) -> ApiError {
    ApiError::bare(ErrorCode::from(error))
}

/// Whether the job is to stop; else its request joins the others.
fn take(job: Job, requests: &mut Vec<Box<dyn Request>>) -> bool {
    match job {
        Job::Request(request) => {
            requests.push(request);
            false
        }
        Job::Stop => true,
    }
}
