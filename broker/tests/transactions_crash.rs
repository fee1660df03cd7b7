//! kill -9 under transactions of both kinds: what was answered as committed is seen whole, what was
//! not is not seen, and nothing hangs.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::transactions::{Kind, TIMEOUT_MS, Transactional, is_passing};
use support::{Client, DEADLINE, Node, Start, eventually};

const TOPIC: &str = "t";
const PARTITIONS: i32 = 3;
const LASTS: Duration = Duration::from_secs(18);

/// The broker is gone.
struct Gone;

/// How a transaction came out, as its producer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Committed,
    /// Its commit was sent and never answered.
    Unknown,
    Aborted,
}

#[derive(Debug)]
struct Done {
    outcome: Outcome,
    /// Values by partition.
    values: Vec<(i32, String)>,
    commits_offset: bool,
}

/// One transactional id, and what it knows of its transactions.
struct Worker {
    id: String,
    kind: Kind,
    random: StdRng,
    producer: Option<Transactional>,
    /// Its commit of a transaction has no answer, and will be asked for again.
    unanswered: Option<(Transactional, i64)>,
    /// By number.
    done: BTreeMap<i64, Done>,
    next: i64,
}

/// Asks until there is an answer that is no passing one.
fn retry<T>(
    what: &str,
    id: &str,
    mut ask: impl FnMut() -> io::Result<Result<T, ErrorCode>>,
) -> Result<T, Gone> {
    let end = Instant::now() + DEADLINE;
    loop {
        match ask() {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(code)) if is_passing(code) => {
                assert!(Instant::now() < end, "{code:?} again and again");
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(Err(code)) => panic!("{what} of {id} was refused with {code:?}"),
            Err(_) => return Err(Gone),
        }
    }
}

impl Worker {
    fn new(number: u64, kind: Kind, seed: u64) -> Worker {
        Worker {
            id: format!("worker-{number}"),
            kind,
            random: StdRng::seed_from_u64(seed.wrapping_add(number)),
            producer: None,
            unanswered: None,
            done: BTreeMap::new(),
            next: 0,
        }
    }

    /// One transaction after the other until the broker is gone.
    fn run(&mut self, address: SocketAddr) {
        let Ok(mut client) = Client::try_connect(address) else {
            return;
        };
        while self.transaction(&mut client).is_ok() {}
    }

    fn transaction(&mut self, client: &mut Client) -> Result<(), Gone> {
        let mut producer = self.resume(client)?;
        let number = self.next;
        self.next += 1;
        let mut done = Done {
            outcome: Outcome::Aborted,
            values: Vec::new(),
            commits_offset: self.random.random_bool(0.5),
        };
        let written = self.write(client, &mut producer, number, &mut done);
        let commits = self.random.random_bool(0.75);
        if written.is_ok() && commits {
            // From here on it may be committed, whatever is heard of it.
            done.outcome = Outcome::Unknown;
        }
        self.done.insert(number, done);
        written?;
        let before = producer.clone();
        if let Err(gone) = retry("the end", &self.id, || producer.try_end(client, commits)) {
            let ends_again = commits && self.random.random_bool(0.5);
            self.unanswered = ends_again.then_some((before, number));
            return Err(gone);
        }
        if commits {
            self.committed(number);
        }
        self.producer = Some(producer);
        Ok(())
    }

    /// The producer of the next transaction: the same one, also where it has to ask for the end of
    /// the last one again; else a new one, which ends what the one before left open.
    fn resume(&mut self, client: &mut Client) -> Result<Transactional, Gone> {
        if let Some((mut producer, number)) = self.unanswered.take() {
            let before = producer.clone();
            if let Err(gone) = retry("the end, again,", &self.id, || {
                producer.try_end(client, true)
            }) {
                self.unanswered = Some((before, number));
                return Err(gone);
            }
            self.committed(number);
            return Ok(producer);
        }
        if let Some(producer) = self.producer.take() {
            return Ok(producer);
        }
        retry("the beginning", &self.id, || {
            Transactional::try_begin(client, &self.id, self.kind, TIMEOUT_MS)
        })
    }

    fn write(
        &mut self,
        client: &mut Client,
        producer: &mut Transactional,
        number: i64,
        done: &mut Done,
    ) -> Result<(), Gone> {
        for batch in 0..self.random.random_range(1..=4) {
            let partition = self.random.random_range(0..PARTITIONS);
            let values: Vec<String> = (0..self.random.random_range(1..=3))
                .map(|record| format!("{}:{number}:{batch}:{record}", self.id))
                .collect();
            if self.kind == Kind::V1 {
                retry("a partition", &self.id, || {
                    producer.try_add(client, TOPIC, partition)
                })?;
            }
            done.values
                .extend(values.iter().map(|value| (partition, value.clone())));
            retry("a batch", &self.id, || {
                producer.try_write(client, TOPIC, partition, &values)
            })?;
        }
        if done.commits_offset {
            if self.kind == Kind::V1 {
                retry("a group", &self.id, || {
                    producer.try_add_group(client, &self.id)
                })?;
            }
            retry("an offset", &self.id, || {
                producer.try_commit_offset(client, &self.id, TOPIC, number)
            })?;
        }
        Ok(())
    }

    fn committed(&mut self, number: i64) {
        self.done.get_mut(&number).unwrap().outcome = Outcome::Committed;
    }
}

/// What is committed, by partition: each value once.
fn visible(client: &mut Client) -> BTreeSet<(i32, String)> {
    let mut all = BTreeSet::new();
    for partition in 0..PARTITIONS {
        for value in client.settled(TOPIC, partition) {
            assert!(all.insert((partition, value.clone())), "{value} twice");
        }
    }
    all
}

/// Holds what is committed against what the producers were told.
fn verify(client: &mut Client, workers: &[Worker]) {
    let mut seen = visible(client);
    for worker in workers {
        let mut offset = -1;
        for (number, done) in &worker.done {
            let values = done.values.iter();
            let there = values.filter(|value| seen.remove(value)).count();
            let is_whole = there == done.values.len() && there > 0;
            let what = format!("{} {number}: {done:?}, {there} there", worker.id);
            match done.outcome {
                Outcome::Committed => assert!(is_whole, "lost: {what}"),
                Outcome::Unknown => assert!(is_whole || there == 0, "torn: {what}"),
                Outcome::Aborted => assert_eq!(there, 0, "not committed: {what}"),
            }
            if is_whole && done.commits_offset {
                offset = *number;
            }
        }
        let committed = eventually("an offset that is stable", || {
            client.stable_offset(&worker.id, TOPIC).ok()
        });
        assert_eq!(committed, offset, "the offset of {}", worker.id);
    }
    assert!(seen.is_empty(), "nobody wrote {seen:?}");
}

#[test]
fn transactions_are_all_or_nothing_through_kill_after_kill() {
    let seed = support::seed("transactions under kills");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path()).with("transaction.state.log.num.partitions", 2);
    let mut node = start.ready();
    let mut client = node.client();
    client.create(TOPIC, PARTITIONS, &[]);
    let kinds = [Kind::V1, Kind::V2, Kind::V1, Kind::V2];
    let mut workers: Vec<Worker> = (0..)
        .zip(kinds)
        .map(|(number, kind)| Worker::new(number, kind, seed))
        .collect();
    for worker in &workers {
        client.find_coordinator(&worker.id);
        // Makes the topic of transactions, and ends no transaction.
        Transactional::begin(&mut client, &worker.id, worker.kind);
    }
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < LASTS {
        let life = Duration::from_millis(random.random_range(20..700));
        let address = node.address();
        std::thread::scope(|scope| {
            for worker in &mut workers {
                worker.producer = None;
                scope.spawn(move || worker.run(address));
            }
            std::thread::sleep(life);
            node.kill();
        });
        node = start.ready();
        rounds += 1;
    }
    let mut client = node.client();
    // What the last kill left open is ended by who comes next.
    for worker in &mut workers {
        worker.producer = None;
        assert!(worker.resume(&mut client).is_ok(), "the broker is gone");
    }
    verify(&mut client, &workers);
    let count = |outcome| {
        let done = workers.iter().flat_map(|worker| worker.done.values());
        done.filter(|done| done.outcome == outcome).count()
    };
    let [committed, unknown, aborted] =
        [Outcome::Committed, Outcome::Unknown, Outcome::Aborted].map(count);
    println!("{rounds} kills: {committed} committed, {unknown} unknown, {aborted} not committed");
    assert!(
        rounds > 3 && committed > rounds && aborted > 0,
        "no load at all"
    );
    only_expected_complaints(&node);
}

fn only_expected_complaints(node: &Node) {
    let complaints = node.complaints();
    assert!(
        complaints.iter().all(|line| line.contains("torn tail")),
        "{complaints:?}"
    );
}
