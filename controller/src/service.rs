//! The controller's loop: it drains what is queued, decides it all against the image, and
//! proposes it as one entry.
//! The service owns its queue; handles are cheap and forget nothing: a request is answered once,
//! or its handle is told that the controller has stopped.

mod batch;
mod handle;
mod quorum;

use std::sync::Arc;
use std::thread::JoinHandle;

use metadata::MetadataPublisher;
use rand::SeedableRng;
use rand::rngs::StdRng;
use storage::LogDir;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::options::Options;
use crate::raft::Consensus;
use batch::{Decider, Job};

pub use handle::{ControllerHandle, RequestContext};

/// Requests that may wait for the controller; further ones wait to get in.
const QUEUE_LENGTH: usize = 1_000;

/// A running controller. It has a thread of its own, since it waits for disks.
pub struct Controller {
    handle: ControllerHandle,
    stop: mpsc::Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread tells when it is ready.
struct Ready {
    handle: ControllerHandle,
    jobs: mpsc::Sender<Job>,
}

impl Controller {
    /// Starts the controller of a single-voter quorum; it leads, and the publishers have seen
    /// the image, when this returns.
    pub async fn start(
        options: Options,
        log_dir: Arc<LogDir>,
        publishers: Vec<Box<dyn MetadataPublisher>>,
    ) -> Result<Controller, Error> {
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("controller".to_owned())
            .spawn(move || run_thread(options, &log_dir, publishers, ready))
            .map_err(Error::Thread)?;
        let Ready { handle, jobs } = started.await.map_err(|_| Error::Stopped)??;
        Ok(Controller {
            handle,
            stop: jobs,
            thread: Some(thread),
        })
    }

    pub fn handle(&self) -> ControllerHandle {
        self.handle.clone()
    }

    /// Answers what is queued, closes the log's files and ends the thread.
    pub async fn shutdown(mut self) {
        self.handle.close();
        // The loop ends at the latest when this is taken out; an error means that it has ended.
        let _ = self.stop.send(Job::Stop).await;
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the controller's thread ended with a panic");
            }
        }
    }
}

fn run_thread(
    options: Options,
    log_dir: &LogDir,
    publishers: Vec<Box<dyn MetadataPublisher>>,
    ready: oneshot::Sender<Result<Ready, Error>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(options, log_dir, publishers, ready)),
        Err(error) => {
            // Nobody waits any more if this cannot be told.
            let _ = ready.send(Err(Error::Thread(error)));
        }
    }
}

async fn run(
    options: Options,
    log_dir: &LogDir,
    publishers: Vec<Box<dyn MetadataPublisher>>,
    ready: oneshot::Sender<Result<Ready, Error>>,
) {
    let consensus = match start(&options, log_dir, publishers).await {
        Ok(consensus) => Arc::new(consensus),
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let settings = Arc::new(options.settings);
    let (jobs, queue) = mpsc::channel(QUEUE_LENGTH);
    let handle = ControllerHandle {
        jobs: jobs.clone(),
        consensus: Arc::clone(&consensus),
        settings: Arc::clone(&settings),
        clock: Arc::clone(&options.clock),
        loggers: options.loggers,
    };
    let rng = StdRng::seed_from_u64(options.seed);
    let mut decider = Decider::new(Arc::clone(&consensus), settings, options.clock, rng);
    let outcome = decider.bootstrap().await.map(|()| Ready { handle, jobs });
    let failed = outcome.is_err();
    if ready.send(outcome).is_err() || failed {
        decider.close();
    } else {
        decider.serve(queue).await;
    }
    consensus.shutdown().await;
}

async fn start(
    options: &Options,
    log_dir: &LogDir,
    publishers: Vec<Box<dyn MetadataPublisher>>,
) -> Result<Consensus, Error> {
    let consensus = Consensus::start(options, log_dir, publishers).await?;
    if let Err(error) = consensus.lead().await {
        consensus.shutdown().await;
        return Err(error);
    }
    Ok(consensus)
}

#[cfg(test)]
mod tests;
