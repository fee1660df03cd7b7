//! The release binary as a child process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal, kill_process};

use super::http::Http;
use super::{Client, DEADLINE, within};

const READY: &str = "Kafka Server started on PLAINTEXT://";
const HTTP: &str = "HTTP port: http://";

/// How a node is started.
#[derive(Clone)]
pub(crate) struct Start {
    properties: BTreeMap<String, String>,
    /// A program and its arguments that start the broker in their turn.
    through: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What a process has written.
#[derive(Default)]
struct Output {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    /// Streams that have come to their end.
    ended: usize,
}

/// A running broker. Dropping it kills it.
pub(crate) struct Node {
    process: Process,
    address: SocketAddr,
    /// When its start was asked for.
    pub(crate) started: Instant,
    pub(crate) ready_after: Duration,
}

/// A broker that may not be ready yet.
pub(crate) struct Starting {
    process: Process,
    started: Instant,
}

struct Process {
    child: Child,
    output: Arc<Output>,
}

/// A process that came to its end.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
    pub(crate) after: Duration,
}

impl Start {
    /// A node with its data in `folder`, on a free port.
    pub(crate) fn new(folder: &Path) -> Start {
        let properties = [
            ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
            ("log.dirs", folder.display().to_string()),
            ("offsets.topic.num.partitions", "3".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ];
        Start {
            properties: BTreeMap::from(properties.map(|(key, value)| (key.to_owned(), value))),
            through: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Start {
        self.properties.insert(key.to_owned(), value.to_string());
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Start {
        self.properties.remove(key);
        self
    }

    /// Sets a variable of the process's environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Start {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument of `klamm server`.
    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Start {
        self.arguments.push(argument.into());
        self
    }

    /// Starts the broker through another program, which must `exec` it.
    pub(crate) fn through<T: ToString>(mut self, command: &[T]) -> Start {
        self.through = command.iter().map(ToString::to_string).collect();
        self
    }

    /// Starts and waits for the ready line.
    pub(crate) fn ready(&self) -> Node {
        self.starting().ready()
    }

    /// Starts, and waits for nothing.
    pub(crate) fn starting(&self) -> Starting {
        Starting {
            started: Instant::now(),
            process: self.spawn(),
        }
    }

    /// Starts a node that is expected to end by itself.
    pub(crate) fn ends(&self) -> Ended {
        self.spawn().end(DEADLINE)
    }

    fn spawn(&self) -> Process {
        let mut words = self.through.clone();
        words.extend([env!("CARGO_BIN_EXE_klamm").to_owned(), "server".to_owned()]);
        words.extend(self.arguments.iter().cloned());
        for (key, value) in &self.properties {
            words.extend(["--override".to_owned(), format!("{key}={value}")]);
        }
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", words[0]));
        let output = Arc::new(Output::default());
        output.follow(child.stdout.take().unwrap());
        output.follow(child.stderr.take().unwrap());
        Process { child, output }
    }
}

impl Starting {
    pub(crate) fn ready(self) -> Node {
        let Starting { process, started } = self;
        let find = |lines: &[String]| lines.iter().find_map(|line| ready_address(line));
        let Some(address) = process.output.wait(DEADLINE, find) else {
            panic!("the broker did not start:\n{}", process.output.text());
        };
        Node {
            process,
            address,
            started,
            ready_after: started.elapsed(),
        }
    }

    /// Waits for a line that says `text`.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        self.process.wait_for_line(text)
    }
}

fn ready_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(READY)?;
    rest.split([' ', ',']).next()?.parse().ok()
}

impl Output {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let output = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                output.written.lock().lines.push(line);
                output.changed.notify_all();
            }
            output.written.lock().ended += 1;
            output.changed.notify_all();
        });
    }

    /// What `find` finds in the lines, before the deadline and the end of the output.
    fn wait<T>(&self, deadline: Duration, find: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let end = Instant::now() + deadline;
        let mut written = self.written.lock();
        loop {
            let found = find(&written.lines);
            if found.is_some() || written.ended == 2 {
                return found;
            }
            if self.changed.wait_until(&mut written, end).timed_out() {
                return None;
            }
        }
    }

    fn text(&self) -> String {
        self.written.lock().lines.join("\n")
    }
}

impl Process {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn wait_for_line(&self, text: &str) -> String {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        let found = self.output.wait(DEADLINE, find);
        found.unwrap_or_else(|| panic!("no line says {text:?}:\n{}", self.output.text()))
    }

    fn end(mut self, deadline: Duration) -> Ended {
        let asked = Instant::now();
        let child = &mut self.child;
        let status = within(deadline, "the end of the process", || {
            child.try_wait().unwrap()
        });
        let after = asked.elapsed();
        // All that was written is read before it is looked at.
        let _ = self.output.wait(deadline, |_| None::<()>);
        let lines = self.output.written.lock().lines.clone();
        Ended {
            status,
            lines,
            after,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The HTTP port that `klamm.admin.listener` asked for.
    pub(crate) fn http(&self) -> Http {
        let line = self.wait_for_line(HTTP);
        let (_, address) = line.split_once(HTTP).unwrap();
        Http::new(address.trim().parse().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.process.output.written.lock().lines.clone()
    }

    /// Waits for a line that says `text`.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        self.process.wait_for_line(text)
    }

    /// Lines at WARN or ERROR.
    pub(crate) fn complaints(&self) -> Vec<String> {
        complaints(&self.lines())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.process.pid(), signal).unwrap();
    }

    /// Ends it with no chance to do anything about it.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        let ended = self.process.end(DEADLINE);
        ended.check();
        ended
    }

    /// Stops it as an operator does, which must work.
    pub(crate) fn stop(self) -> Ended {
        self.stop_by(Signal::TERM)
    }

    pub(crate) fn stop_by(self, signal: Signal) -> Ended {
        self.signal(signal);
        let ended = self.process.end(DEADLINE);
        ended.check();
        assert!(ended.status.success(), "{}\n{}", ended.status, ended.text());
        ended
    }
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        complaints(&self.lines)
    }

    /// No panic hides in the output of a node that went on or was killed.
    fn check(&self) {
        let panicked = self.lines.iter().any(|line| line.contains("panicked at"));
        assert!(!panicked, "{}", self.text());
    }
}

fn complaints(lines: &[String]) -> Vec<String> {
    let is_complaint = |line: &&String| line.contains(" WARN ") || line.contains(" ERROR ");
    lines.iter().filter(is_complaint).cloned().collect()
}
