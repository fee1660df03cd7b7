//! `kafka-console-share-consumer`: prints the records of a topic as a member of a share group.
//!
//! Invariant: a record is acknowledged only when it has been printed; whatever ends the tool, what was
//! printed is acknowledged, the rest goes back to the group, and the number of records is told.

mod member;
mod options;
mod printer;
mod session;
mod settings;

use std::collections::BTreeMap;
use std::future::pending;
use std::io::Stdout;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::consumer::{client_properties, sleep_until};
use super::log;
use super::signals::Signals;
use crate::client::{Client, Properties};
use crate::failure::Failure;
use crate::random_id::random_id;
use crate::stop::{Stop, finish};
use member::{Event, Member, Targets};
use options::Wanted;
use printer::{Printed, Printer};
use session::{Fetched, Partitions, Session};
use settings::Settings;

const LOGGER: &str = "org.apache.kafka.tools.consumer.ConsoleShareConsumer";
/// Answers of brokers that may wait to be printed.
const ANSWERS: usize = 4;
const EVENTS: usize = 4;
/// How long the tool waits for its last acknowledgements and for leaving its group.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options::options();
    let result = options::read(&options, args).and_then(|wanted| match consume(wanted) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Stop::Done(code)),
        Err(failure) => {
            log::error(LOGGER, "Unknown error when running consumer: ", &failure);
            Err(Stop::Done(1))
        }
    });
    finish(result, &options, |failure| {
        crate::complain!("Exception in thread \"main\" {}", failure.trace());
    })
}

/// Consumes; the exit code, or what ends upstream's tool as an error.
fn consume(wanted: Wanted) -> Result<u8, Failure> {
    let max_messages = wanted.max_messages;
    let timeout = wanted.timeout?;
    let settings = Settings::new(&wanted.properties)?;
    // Upstream's tool has joined by the time it reads this one.
    let max_messages = max_messages.inspect_err(|_| tell_count(0))?;
    let io = |error: std::io::Error| Failure::new("java.io.IOException", error.to_string());
    // A second thread fetches and beats while records are being printed.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(io)?;
    let printer = Printer {
        formatter: wanted.formatter,
        kind: wanted.kind,
        rejects_errors: wanted.rejects_errors,
        checks_crcs: settings.checks_crcs,
        max_messages,
        count: 0,
        output: std::io::stdout(),
        buffer: Vec::new(),
    };
    let ended = runtime.block_on(async {
        let signals = Signals::new().map_err(io)?;
        let mut consumer = Consumer::join(
            &wanted.bootstrap,
            &wanted.properties,
            settings,
            wanted.topic,
            printer,
        )?;
        let ended = end(consumer.run(signals, timeout).await);
        consumer.close().await;
        tell_count(consumer.printer.count);
        if wanted.tells_events {
            crate::say!("shutdown_complete");
        }
        ended
    });
    // Nothing is waited for that still waits for a broker.
    runtime.shutdown_background();
    ended
}

fn tell_count(count: u64) {
    crate::complain!("Processed a total of {count} messages");
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

fn end(ending: Ending) -> Result<u8, Failure> {
    match ending {
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
        Ending::Unprintable(failure) => Err(failure),
    }
}

struct Consumer {
    settings: Arc<Settings>,
    member_id: String,
    /// For fetches, which wait at the broker; the group has its own connections.
    fetching: Client,
    printer: Printer<Stdout>,
    /// What each broker is to be asked for, by its id.
    wanted: BTreeMap<i32, watch::Sender<Partitions>>,
    sessions: JoinSet<()>,
    /// For sessions to hand on what they fetch.
    to_print: mpsc::Sender<Fetched>,
    fetched: mpsc::Receiver<Fetched>,
    events: mpsc::Receiver<Event>,
    /// Leaves the group.
    leave: Option<oneshot::Sender<()>>,
    membership: JoinSet<()>,
    /// Who leads what is to be found anew.
    is_stale: Arc<Notify>,
}

impl Consumer {
    fn join(
        bootstrap: &str,
        properties: &Properties,
        settings: Settings,
        topic: String,
        printer: Printer<Stdout>,
    ) -> Result<Self, Failure> {
        let properties = client_properties(properties);
        let client = || {
            Client::new(bootstrap, &properties).map_err(|failure| {
                failure.within(
                    "org.apache.kafka.common.KafkaException",
                    "Failed to construct Kafka share consumer",
                )
            })
        };
        let settings = Arc::new(settings);
        let member_id = random_id();
        let (to, events) = mpsc::channel(EVENTS);
        let (leave, left) = oneshot::channel();
        let is_stale = Arc::new(Notify::new());
        let member = Member::new(
            client()?,
            Arc::clone(&settings),
            topic,
            member_id.clone(),
            to,
        );
        let mut membership = JoinSet::new();
        membership.spawn(member.run(left, Arc::clone(&is_stale)));
        let (to_print, fetched) = mpsc::channel(ANSWERS);
        Ok(Consumer {
            settings,
            member_id,
            fetching: client()?,
            printer,
            wanted: BTreeMap::new(),
            sessions: JoinSet::new(),
            to_print,
            fetched,
            events,
            leave: Some(leave),
            membership,
            is_stale,
        })
    }

    async fn run(&mut self, mut signals: Signals, timeout: Option<Duration>) -> Ending {
        let in_time = || Instant::now().checked_add(timeout?);
        let mut deadline = in_time();
        loop {
            if self.printer.has_enough() {
                return Ending::Enough;
            }
            let fetched = tokio::select! {
                biased;
                code = signals.received() => return Ending::Signal(code),
                event = next_event(&mut self.events) => match event {
                    Event::Targets(targets) => {
                        self.fetch(targets);
                        continue;
                    }
                    Event::Failed(failure) => return Ending::Terminated(failure),
                },
                // This end holds a sender, too: there is always a next one.
                Some(fetched) = self.fetched.recv() => fetched,
                () = sleep_until(deadline) => {
                    return Ending::Terminated(Failure::timed_out(String::new()));
                }
            };
            let before = self.printer.count;
            if let Some(ending) = self.take(fetched) {
                return ending;
            }
            if self.printer.count > before {
                deadline = in_time();
            }
        }
    }

    /// Has each broker asked for what it leads, and no longer for anything else.
    fn fetch(&mut self, mut targets: Targets) {
        self.wanted.retain(|leader, wanted| {
            let partitions = targets.remove(leader).unwrap_or_default();
            let goes_on = !partitions.is_empty();
            // A session that has ended is begun anew when its partitions are found again.
            goes_on && wanted.send(partitions).is_ok()
        });
        for (leader, partitions) in targets {
            let (wanted, is_wanted) = watch::channel(partitions);
            self.wanted.insert(leader, wanted);
            let session = Session::new(
                self.fetching.clone(),
                Arc::clone(&self.settings),
                leader,
                self.member_id.clone(),
            );
            let to = self.to_print.clone();
            self.sessions
                .spawn(session.run(is_wanted, to, Arc::clone(&self.is_stale)));
        }
    }

    fn take(&mut self, fetched: Fetched) -> Option<Ending> {
        let (pieces, acknowledge) = match fetched {
            Fetched::Failed(failure) => return Some(Ending::Terminated(failure)),
            Fetched::Records(pieces, acknowledge) => (pieces, acknowledge),
        };
        let mut acks = Vec::new();
        let mut printed = Printed::All;
        for piece in &pieces {
            let mut done = Vec::new();
            printed = self.printer.print(piece, &mut done);
            acks.push((piece.partition, done));
            if !matches!(printed, Printed::All) {
                break;
            }
        }
        if matches!(printed, Printed::Unread) || !self.printer.flush() {
            // What nobody has seen goes back to the group.
            return Some(Ending::Unread);
        }
        if self.printer.has_enough() || !matches!(printed, Printed::All) {
            // Before any session goes on: it would fetch what nobody prints.
            self.wanted.clear();
        }
        // A session that is gone has lost its records with it.
        let _ = acknowledge.send(acks);
        match printed {
            Printed::All => None,
            Printed::Enough => Some(Ending::Enough),
            Printed::Unread => Some(Ending::Unread),
            Printed::Corrupt(failure) => Some(Ending::Terminated(failure)),
            Printed::Failed(failure) => Some(Ending::Unprintable(failure)),
        }
    }

    /// Acknowledges what was printed, gives back the rest, and leaves the group.
    async fn close(&mut self) {
        // Sessions that wait for somebody to print see that nobody will.
        self.fetched = mpsc::channel(1).1;
        self.wanted.clear();
        let closing = async {
            while self.sessions.join_next().await.is_some() {}
            drop(self.leave.take());
            while self.membership.join_next().await.is_some() {}
        };
        // The locks on records, and the membership, would end by themselves.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

async fn next_event(events: &mut mpsc::Receiver<Event>) -> Event {
    match events.recv().await {
        Some(event) => event,
        None => pending().await,
    }
}
