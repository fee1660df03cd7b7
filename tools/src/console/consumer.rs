//! `kafka-console-consumer`: prints the records of topics or of one partition.
//!
//! Invariant: whatever ends the tool, what was printed is committed where commits are wanted, the group is
//! left, and the number of records is told.

mod assignor;
mod coordinator;
mod deserializer;
mod fetcher;
pub(super) mod formatter;
mod membership;
mod offsets;
pub(super) mod options;
mod printer;
mod settings;
mod subscription;

use std::collections::BTreeMap;
use std::future::pending;
use std::io::Stdout;
use std::process::ExitCode;
use std::time::Duration;

use protocol::TopicPartition;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::log;
use super::signals::Signals;
use crate::client::{Client, Properties};
use crate::failure::Failure;
use crate::stop::{Stop, finish};
use fetcher::{Fetched, Fetcher, Start};
use membership::{Command, Event, Membership};
use offsets::{Positions, commit};
use options::{From, Wanted};
use printer::{Printed, Printer};
use settings::Settings;

const LOGGER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
/// Fetched pieces that may wait to be printed.
const PIECES: usize = 4;
const EVENTS: usize = 4;
/// How long the tool waits for its last commit and for leaving its group.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options::options();
    let result = options::read(&options, args).and_then(|wanted| {
        match consume(wanted).map_err(|failure| *failure) {
            Ok(0) => Ok(()),
            Ok(code) => Err(Stop::Done(code)),
            Err(failure) => {
                log::error(LOGGER, "Unknown error when running consumer: ", &failure);
                Err(Stop::Done(1))
            }
        }
    });
    finish(result, &options, |failure| {
        crate::complain!("Exception in thread \"main\" {}", failure.trace());
    })
}

/// Consumes; the exit code, or what upstream's tool does not catch.
fn consume(wanted: Wanted) -> Result<u8, Box<Failure>> {
    let settings = Settings::new(&wanted.properties)?;
    // A second thread fetches and beats while records are being printed.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new("java.io.IOException", error.to_string()))?;
    let ended = runtime.block_on(Box::pin(run_consumer(wanted, settings)));
    // Nothing is waited for that still waits for a broker.
    runtime.shutdown_background();
    ended
}

async fn run_consumer(wanted: Wanted, settings: Settings) -> Result<u8, Box<Failure>> {
    let signals =
        Signals::new().map_err(|error| Failure::new("java.io.IOException", error.to_string()))?;
    let printer = Printer {
        formatter: wanted.formatter,
        skips_errors: wanted.skips_errors,
        checks_crcs: settings.checks_crcs,
        max_messages: wanted.max_messages,
        count: 0,
        positions: Positions::new(),
        output: std::io::stdout(),
        buffer: Vec::new(),
    };
    let mut consumer = Consumer::new(
        &wanted.bootstrap,
        &client_properties(&wanted.properties),
        settings,
        printer,
        wanted.timeout,
    )?;
    let ending = match wanted.from {
        From::Partition(partition, start) => {
            consumer.fetch(BTreeMap::from([(partition, start)]));
            consumer.run(signals, None).await
        }
        From::Topics(topics) => {
            let (member, events) = consumer.join(topics)?;
            consumer.member = Some(member);
            consumer.run(signals, Some(events)).await
        }
    };
    let ended = match ending {
        Ending::Enough => Ok(0),
        Ending::Unread => {
            crate::complain!("Unable to write to standard out, closing consumer.");
            Ok(0)
        }
        Ending::Signal(code) => Ok(code),
        Ending::Terminated(failure) => {
            let message = "Error processing message, terminating consumer process: ";
            log::error(LOGGER, message, &failure);
            Ok(0)
        }
        Ending::Unprintable(failure) => Err(Box::new(failure)),
    };
    consumer.close().await;
    crate::complain!("Processed a total of {} messages", consumer.printer.count);
    if wanted.tells_events {
        crate::say!("shutdown_complete");
    }
    ended
}

/// What of the properties says how to connect.
pub(super) fn client_properties(properties: &Properties) -> Properties {
    let names = [
        "client.id",
        "security.protocol",
        "socket.connection.setup.timeout.ms",
    ];
    properties
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Why consuming ended.
enum Ending {
    Enough,
    Unread,
    Signal(u8),
    /// Upstream's tool logs it, and ends as if all were well.
    Terminated(Failure),
    /// A record that could not be printed.
    Unprintable(Failure),
}

struct Consumer {
    settings: Settings,
    /// For fetches, which wait at the broker; the group has its own connections.
    fetching: Client,
    grouping: Client,
    spare: Client,
    printer: Printer<Stdout>,
    timeout: Option<Duration>,
    fetcher: Option<JoinHandle<()>>,
    fetched: mpsc::Receiver<Fetched>,
    member: Option<Member>,
    committed: Positions,
}

struct Member {
    commands: mpsc::Sender<Command>,
}

impl Consumer {
    fn new(
        bootstrap: &str,
        properties: &Properties,
        settings: Settings,
        printer: Printer<Stdout>,
        timeout: Option<Duration>,
    ) -> Result<Self, Failure> {
        let client = || {
            Client::new(bootstrap, properties).map_err(|failure| {
                failure.within(
                    "org.apache.kafka.common.KafkaException",
                    "Failed to construct kafka consumer",
                )
            })
        };
        Ok(Consumer {
            fetching: client()?,
            grouping: client()?,
            spare: client()?,
            settings,
            printer,
            timeout,
            fetcher: None,
            fetched: mpsc::channel(1).1,
            member: None,
            committed: Positions::new(),
        })
    }

    /// Fetches these partitions and no others.
    fn fetch(&mut self, starts: BTreeMap<TopicPartition, Start>) {
        self.stop_fetching();
        self.printer.positions = starts
            .iter()
            .filter_map(|(partition, start)| match start {
                Start::At(offset) => Some((partition.clone(), *offset)),
                Start::Earliest | Start::Latest | Start::Unknown => None,
            })
            .collect();
        self.committed = self.printer.positions.clone();
        if starts.is_empty() {
            return;
        }
        let (to, fetched) = mpsc::channel(PIECES);
        self.fetched = fetched;
        let fetcher = Fetcher::new(self.fetching.clone(), self.settings.clone(), to, starts);
        self.fetcher = Some(tokio::spawn(fetcher.run()));
    }

    fn stop_fetching(&mut self) {
        if let Some(fetcher) = self.fetcher.take() {
            fetcher.abort();
        }
        self.fetched = mpsc::channel(1).1;
    }

    fn join(&self, topics: membership::Topics) -> Result<(Member, mpsc::Receiver<Event>), Failure> {
        let (events, received) = mpsc::channel(EVENTS);
        let (commands, commanded) = mpsc::channel(EVENTS);
        let membership =
            Membership::new(self.grouping.clone(), self.settings.clone(), topics, events);
        tokio::spawn(membership.run(self.spare.clone(), commanded));
        Ok((Member { commands }, received))
    }

    async fn run(
        &mut self,
        mut signals: Signals,
        mut events: Option<mpsc::Receiver<Event>>,
    ) -> Ending {
        let mut next_commit = Instant::now() + self.settings.commit_interval;
        let mut deadline = self.deadline();
        loop {
            if self.printer.has_enough() {
                return Ending::Enough;
            }
            let fetched = tokio::select! {
                biased;
                code = signals.received() => return Ending::Signal(code),
                event = next_event(&mut events) => {
                    match self.react(event) {
                        Some(failure) => return Ending::Terminated(failure),
                        None => continue,
                    }
                }
                () = tokio::time::sleep_until(next_commit) => {
                    self.commit().await;
                    next_commit = Instant::now() + self.settings.commit_interval;
                    continue;
                }
                fetched = next_fetched(&mut self.fetched) => fetched,
                () = sleep_until(deadline) => {
                    return Ending::Terminated(Failure::timed_out(String::new()));
                }
            };
            let before = self.printer.count;
            if let Some(ending) = self.take(fetched) {
                return ending;
            }
            if self.printer.count > before {
                deadline = self.deadline();
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout?)
    }

    fn take(&mut self, fetched: Fetched) -> Option<Ending> {
        match fetched {
            Fetched::Position(partition, offset) => {
                self.printer.positions.insert(partition, offset);
                None
            }
            Fetched::Failed(failure) => Some(Ending::Terminated(failure)),
            Fetched::Records {
                partition,
                from,
                records,
                aborted,
            } => {
                let printed = self.printer.print(&partition, from, records, aborted);
                // Readers see what there is before more is waited for.
                let is_read = !self.fetched.is_empty() || self.printer.flush();
                match printed {
                    Printed::Enough => Some(Ending::Enough),
                    Printed::Unread => Some(Ending::Unread),
                    Printed::Failed(failure) if is_corrupt(&failure) => {
                        Some(Ending::Terminated(failure))
                    }
                    Printed::Failed(failure) => Some(Ending::Unprintable(failure)),
                    Printed::All if !is_read => Some(Ending::Unread),
                    Printed::All => None,
                }
            }
        }
    }

    /// Does what the membership says; the failure that ends it.
    fn react(&mut self, event: Event) -> Option<Failure> {
        match event {
            Event::Assigned(starts) => self.fetch(starts),
            Event::Revoked(reply) => {
                self.stop_fetching();
                let positions = std::mem::take(&mut self.printer.positions);
                // The membership may have ended meanwhile.
                let _ = reply.send(positions);
            }
            Event::Failed(failure) => return Some(failure),
        }
        None
    }

    /// Commits what has changed.
    async fn commit(&mut self) {
        if !self.settings.commits || self.committed == self.printer.positions {
            return;
        }
        let positions = self.printer.positions.clone();
        self.committed = positions.clone();
        match &self.member {
            Some(member) => {
                // A membership that is busy joining commits before it does.
                let _ = member.commands.try_send(Command::Commit(positions));
            }
            None => self.commit_alone(&positions).await,
        }
    }

    /// Without a membership nobody else can have these partitions.
    async fn commit_alone(&self, positions: &Positions) {
        let committed = commit(&self.grouping, &self.settings, (-1, ""), positions).await;
        if let Err(failure) = committed {
            let group = &self.settings.group;
            crate::complain!("WARN Offset commit of group {group} failed: {failure}");
        }
    }

    async fn close(&mut self) {
        self.printer.flush();
        self.stop_fetching();
        let positions = self.printer.positions.clone();
        let closing = async {
            match &self.member {
                Some(member) => {
                    let (done, is_done) = oneshot::channel();
                    let close = Command::Close(positions, done);
                    if member.commands.send(close).await.is_ok() {
                        // It is done, or its membership has ended by itself.
                        let _ = is_done.await;
                    }
                }
                None if self.settings.commits && self.committed != positions => {
                    self.commit_alone(&positions).await;
                }
                None => {}
            }
        };
        // The session would end by itself.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

fn is_corrupt(failure: &Failure) -> bool {
    failure.class() == "org.apache.kafka.common.KafkaException"
}

async fn next_event(events: &mut Option<mpsc::Receiver<Event>>) -> Event {
    let Some(received) = events else {
        return pending().await;
    };
    match received.recv().await {
        Some(event) => event,
        None => pending().await,
    }
}

async fn next_fetched(fetched: &mut mpsc::Receiver<Fetched>) -> Fetched {
    match fetched.recv().await {
        Some(fetched) => fetched,
        None => pending().await,
    }
}

pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}
