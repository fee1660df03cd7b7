//! A client of a cluster: finds who must be asked, asks in the newest version both sides know, and asks
//! again while that may help.
//!
//! Invariant: a call ends within the time its settings give it; what it answers is the broker's answer or
//! the failure that upstream's admin client would report.

mod address;
mod cluster;
mod connection;
mod once;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use protocol::messages::ApiVersionsResponse;
use protocol::{ErrorCode, Request, TopicPartition};
use tokio::time::Instant;

pub use address::Address;
use cluster::State;
pub use cluster::{Cluster, CoordinatorKind, Node};
use connection::Connection;
pub use settings::{Properties, Settings, load_properties};

use crate::failure::Failure;

/// Who is to be asked.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Any broker.
    Any,
    /// The broker that stands for the controller.
    Controller,
    /// The broker of that id.
    Node(i32),
    /// The leader of a partition.
    Leader(&'a TopicPartition),
    /// The coordinator of a group, a transaction or a share partition.
    Coordinator(CoordinatorKind, &'a str),
}

/// A client of one cluster. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Arc<Settings>,
    state: Arc<State>,
}

/// What the last attempt of a call came to.
enum Attempt {
    /// Nobody could be found who is to be asked.
    NoNode(Failure),
    Asked(Failure),
}

impl Client {
    /// A client of the cluster that brokers at these addresses belong to, as upstream's admin client is
    /// one.
    pub fn admin(bootstrap: &str, properties: &Properties) -> Result<Self, Failure> {
        Client::new(bootstrap, properties).map_err(admin_failed)
    }

    /// As `admin`, of the controllers at these addresses.
    pub fn controller_admin(bootstrap: &str, properties: &Properties) -> Result<Self, Failure> {
        let setting = "bootstrap.controllers";
        Client::at(bootstrap, setting, properties, true).map_err(admin_failed)
    }

    /// A client of the cluster that brokers at these addresses belong to.
    pub fn new(bootstrap: &str, properties: &Properties) -> Result<Self, Failure> {
        Client::at(bootstrap, "bootstrap.servers", properties, false)
    }

    fn at(
        bootstrap: &str,
        setting: &str,
        properties: &Properties,
        controllers: bool,
    ) -> Result<Self, Failure> {
        let settings = Settings::from_properties(properties)?;
        let bootstrap = address::parse_list(bootstrap, setting)?;
        let bootstrap = address::resolvable(bootstrap, setting)?;
        Ok(Client {
            settings: Arc::new(settings),
            state: Arc::new(State::new(bootstrap, controllers)),
        })
    }

    /// Whether controllers are asked, not brokers.
    #[must_use]
    pub fn asks_controllers(&self) -> bool {
        self.state.controllers
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks until there is an answer that `read` takes, or time is up.
    ///
    /// `name` is upstream's name of the call, which stands in its time-out's message. `build` gets the
    /// version that will be spoken. `read` makes the result or a failure; after a retriable one who to
    /// ask is found anew, and the call is made again.
    pub async fn call<R, T>(
        &self,
        name: &str,
        to: Target<'_>,
        build: impl Fn(i16) -> Result<R, Failure>,
        read: impl Fn(R::Response) -> Result<T, Failure>,
    ) -> Result<T, Failure>
    where
        R: Request,
    {
        self.call_up_to(i16::MAX, name, to, build, read).await
    }

    /// As `call`, in no version above `newest`: upstream's admin client stays below those that name
    /// topics by their ids.
    pub async fn call_up_to<R, T>(
        &self,
        newest: i16,
        name: &str,
        to: Target<'_>,
        build: impl Fn(i16) -> Result<R, Failure>,
        read: impl Fn(R::Response) -> Result<T, Failure>,
    ) -> Result<T, Failure>
    where
        R: Request,
    {
        let deadline = Instant::now() + self.settings.api_timeout;
        let mut attempts = 0;
        loop {
            let attempt = self.attempt(newest, to, deadline, &build).await;
            let failed = match attempt {
                Ok(answer) => match read(answer) {
                    Ok(result) => return Ok(result),
                    Err(failure) => Attempt::Asked(failure),
                },
                Err(failed) => failed,
            };
            attempts += 1;
            let (Attempt::NoNode(failure) | Attempt::Asked(failure)) = &failed;
            if !failure.is_retriable() {
                return Err(failure.clone());
            }
            self.state.forget(to);
            let pause = self.backoff(attempts);
            if Instant::now() + pause >= deadline {
                return Err(timed_out(name, to, attempts, &failed));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// What a broker can do, as it says itself.
    pub async fn versions(&self, to: Target<'_>) -> Result<ApiVersionsResponse, Failure> {
        let deadline = Instant::now() + self.settings.api_timeout;
        let connection = self.find(to, deadline).await?;
        Ok(connection.versions.clone())
    }

    /// The newest version of a request that the broker and these tools know.
    pub async fn version<R: Request>(&self, to: Target<'_>) -> Result<i16, Failure> {
        let deadline = Instant::now() + self.settings.api_timeout;
        self.find(to, deadline).await?.version::<R>()
    }

    async fn attempt<R: Request>(
        &self,
        newest: i16,
        to: Target<'_>,
        deadline: Instant,
        build: &impl Fn(i16) -> Result<R, Failure>,
    ) -> Result<R::Response, Attempt> {
        let connection = self.find(to, deadline).await.map_err(Attempt::NoNode)?;
        let version = connection.version::<R>().map_err(Attempt::Asked)?;
        let version = version.min(newest);
        let request = build(version).map_err(Attempt::Asked)?;
        self.within(deadline, connection.ask(&request, version))
            .await
            .map_err(Attempt::Asked)
    }

    /// One request, no longer than a request may take and the call still has.
    async fn within<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let end = deadline.min(Instant::now() + self.settings.request_timeout);
        tokio::time::timeout_at(end, work)
            .await
            .unwrap_or_else(|_| Err(Failure::of(ErrorCode::RequestTimedOut, None)))
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(16));
        self.settings
            .retry_backoff
            .saturating_mul(doubled)
            .min(self.settings.retry_backoff_max)
    }
}

fn admin_failed(failure: Failure) -> Failure {
    failure.within(
        "org.apache.kafka.common.KafkaException",
        "Failed to create new KafkaAdminClient",
    )
}

/// The failure of a call whose time is up, as upstream's admin client words it.
fn timed_out(name: &str, to: Target<'_>, attempts: u32, last: &Attempt) -> Failure {
    match last {
        Attempt::NoNode(_) => Failure::timed_out(format!(
            "Timed out waiting for a node assignment. Call: {}",
            lookup_name(name, to)
        )),
        Attempt::Asked(_) => Failure::timed_out(format!(
            "Call(callName={name}) timed out after {attempts} attempt(s)"
        )),
    }
}

/// Who coordinates is asked for in a call of its own: the name of what was to be asked, with that API.
fn lookup_name(name: &str, to: Target<'_>) -> String {
    if let (Target::Coordinator(..), Some((call, _))) = (to, name.split_once("(api=")) {
        return format!("{call}(api=FIND_COORDINATOR)");
    }
    name.to_owned()
}

/// Runs a tool's work: one thread is enough for it, and starts faster than several.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            // Out of file descriptors: nothing a tool could do.
            crate::complain!("the tool cannot wait for the network: {error}");
            std::process::exit(1)
        }
    }
}

/// How long some of upstream's tools wait for each answer, whatever the client's settings are.
const PATIENCE: Duration = Duration::from_secs(30);

/// The answer, unless it takes longer than such a tool waits: its waiting ends with an exception that
/// has no text.
pub(crate) async fn in_time<T>(
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| {
        Err(Failure::new(
            "java.util.concurrent.TimeoutException",
            "null",
        ))
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(late)
}
