//! kill -9 at any moment: what was acknowledged is there after the restart, once, in its place.
//!
//! The process dies, the machine does not: the page cache survives.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::requests::batch_of;
use support::{Client, DEADLINE, Node, Start, eventually};

const ROUNDS: usize = 20;
/// From the start of the process to the first acknowledged record. An idle machine takes a tenth
/// of a second; this one may be compiling something.
const FIRST_ACK: Duration = Duration::from_secs(8);
const GROUP: &str = "followers";

/// One idempotent producer, and what it knows of its own records.
struct Writer {
    topic: &'static str,
    partition: i32,
    producer_id: i64,
    random: StdRng,
    /// Records that were sent, numbered from 0: the number is the record.
    sent: i32,
    /// Number to offset, of those that were acknowledged.
    acknowledged: BTreeMap<i32, i64>,
    /// The batch without an answer: first number and count.
    in_flight: Option<(i32, i32)>,
}

impl Writer {
    fn value(&self, number: i32) -> String {
        format!("{}:{number}", self.producer_id)
    }

    /// Sends a batch, or the one in flight again, and notes the answer.
    fn send(&mut self, client: &mut Client) -> Result<(), ()> {
        let (first, count) = *self
            .in_flight
            .get_or_insert_with(|| (self.sent, self.random.random_range(1..=5)));
        self.sent = first + count;
        let values = (first..first + count)
            .map(|it| self.value(it))
            .collect::<Vec<_>>();
        let records = batch_of(self.producer_id, first, &values);
        let base = client
            .try_produce(self.topic, self.partition, records)
            .map_err(|_| ())?
            .expect("an idempotent produce is taken, or the broker is dead");
        for (offset, number) in (base..).zip(first..first + count) {
            self.acknowledged.insert(number, offset);
        }
        self.in_flight = None;
        Ok(())
    }

    /// Everything in its place, once, in the order it was sent.
    fn verify(&self, records: &[(i64, Vec<u8>)]) {
        let own = format!("{}:", self.producer_id);
        let mut expected = 0;
        for (offset, value) in records {
            let value = std::str::from_utf8(value).unwrap();
            let Some(number) = value.strip_prefix(&own) else {
                continue;
            };
            let number: i32 = number.parse().unwrap();
            assert_eq!(
                number, expected,
                "twice or out of order at offset {offset}: {value}"
            );
            expected += 1;
            if let Some(at) = self.acknowledged.get(&number) {
                assert_eq!(at, offset, "{value} was acknowledged elsewhere");
            }
        }
        let least = self.acknowledged.len();
        assert!(
            expected as usize >= least,
            "lost: {least} acknowledged, {expected} there"
        );
        assert!(expected <= self.sent);
    }
}

/// What a round of load leaves for the next one to check.
struct Model {
    writers: Vec<Writer>,
    /// What the committer has asked for and what it was told is done.
    commit_sent: Arc<AtomicI64>,
    commit_acknowledged: Arc<AtomicI64>,
    /// Topics that were acknowledged, with the retention that was set for them and acknowledged.
    topics: HashMap<String, Option<String>>,
    next_topic: usize,
}

fn prepare(node: &Node, random: &mut StdRng) -> Model {
    let mut client = node.client();
    client.create("plain", 2, &[]);
    client.create("synced", 1, &[("flush.messages", "1")]);
    client.create(
        "rolling",
        1,
        &[
            ("internal.segment.bytes", "16384"),
            ("index.interval.bytes", "64"),
        ],
    );
    client.find_coordinator(GROUP);
    let places = [
        ("plain", 0),
        ("plain", 1),
        ("synced", 0),
        ("synced", 0),
        ("rolling", 0),
    ];
    let writers = places.map(|(topic, partition)| Writer {
        topic,
        partition,
        producer_id: client.producer_id(),
        random: StdRng::seed_from_u64(random.random()),
        sent: 0,
        acknowledged: BTreeMap::new(),
        in_flight: None,
    });
    Model {
        writers: writers.into(),
        commit_sent: Arc::new(AtomicI64::new(-1)),
        commit_acknowledged: Arc::new(AtomicI64::new(-1)),
        topics: HashMap::new(),
        next_topic: 0,
    }
}

/// Loads the broker until it is dead.
fn load(model: &mut Model, node: Node, life: Duration) {
    let address = node.address();
    std::thread::scope(|scope| {
        for writer in &mut model.writers {
            scope.spawn(move || {
                let Ok(mut client) = Client::try_connect(address) else {
                    return;
                };
                while writer.send(&mut client).is_ok() {}
            });
        }
        let (sent, acknowledged) = (&model.commit_sent, &model.commit_acknowledged);
        scope.spawn(move || commit(address, sent, acknowledged));
        let (topics, next) = (&mut model.topics, &mut model.next_topic);
        scope.spawn(move || create(address, topics, next));
        std::thread::sleep(life);
        node.kill();
    });
}

fn commit(address: SocketAddr, sent: &AtomicI64, acknowledged: &AtomicI64) {
    let Ok(mut client) = Client::try_connect(address) else {
        return;
    };
    loop {
        let next = sent.fetch_add(1, Ordering::SeqCst) + 1;
        match client.try_commit(GROUP, "plain", next) {
            Ok(Ok(())) => acknowledged.store(next, Ordering::SeqCst),
            Ok(Err(ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator)) => {}
            Ok(Err(code)) => panic!("a commit was refused: {code:?}"),
            Err(_) => return,
        }
    }
}

/// Creates one topic after the other and gives each a setting.
fn create(address: SocketAddr, topics: &mut HashMap<String, Option<String>>, next: &mut usize) {
    let Ok(mut client) = Client::try_connect(address) else {
        return;
    };
    for _ in 0..10 {
        let name = format!("made-{next}");
        *next += 1;
        let Ok(created) = client.try_create(&name, 2) else {
            return;
        };
        created.unwrap();
        topics.insert(name.clone(), None);
        let retention = (100_000 + *next).to_string();
        let Ok(set) = client.set_topic_config(&name, "retention.ms", &retention) else {
            return;
        };
        set.unwrap();
        topics.insert(name, Some(retention));
    }
}

/// Holds a restarted broker against the model; gives back the time to its first ack.
fn verify(model: &mut Model, node: &Node) -> Duration {
    let mut client = node.client();
    // What was in flight is sent again: it is in the log once, whether it had got there or not.
    let mut first_ack = None;
    for writer in &mut model.writers {
        writer.send(&mut client).unwrap();
        first_ack.get_or_insert(node.started.elapsed());
    }
    for writer in &model.writers {
        let records = client.read_all(writer.topic, writer.partition);
        writer.verify(&records);
        let offsets = records.iter().map(|(offset, _)| *offset);
        assert!(
            offsets.eq(0..records.len() as i64),
            "offsets without a hole"
        );
    }
    let committed = eventually("the group's offsets", || {
        client.committed(GROUP, "plain").ok()
    });
    let least = model.commit_acknowledged.load(Ordering::SeqCst);
    let most = model.commit_sent.load(Ordering::SeqCst);
    assert!(
        (least..=most).contains(&committed),
        "{committed} is not in {least}..={most}"
    );
    // What it answered may not be taken back by the next crash.
    model.commit_acknowledged.store(committed, Ordering::SeqCst);
    for (name, retention) in &model.topics {
        let topic = client.topic(name);
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 2), "{name}");
        if let Some(retention) = retention {
            let found = client.topic_config(name, "retention.ms");
            assert_eq!(found.as_ref(), Some(retention), "{name}");
        }
    }
    first_ack.unwrap()
}

#[test]
fn what_was_acknowledged_outlives_a_kill_and_is_there_once() {
    let mut random = StdRng::seed_from_u64(support::seed("kills under load"));
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path());
    let mut node = start.ready();
    let mut model = prepare(&node, &mut random);
    let mut first_acks = Vec::new();
    for _ in 0..ROUNDS {
        let life = Duration::from_millis(random.random_range(0..250));
        load(&mut model, node, life);
        node = start.ready();
        first_acks.push(verify(&mut model, &node));
    }
    let acknowledged: usize = model.writers.iter().map(|it| it.acknowledged.len()).sum();
    let commits = model.commit_acknowledged.load(Ordering::SeqCst);
    first_acks.sort();
    println!(
        "{ROUNDS} kills: {acknowledged} records, {commits} commits, {} topics kept; from start to \
         first ack: median {:?}, most {:?}",
        model.topics.len(),
        first_acks[ROUNDS / 2],
        first_acks[ROUNDS - 1],
    );
    assert!(
        acknowledged > ROUNDS && commits > 0 && !model.topics.is_empty(),
        "no load at all"
    );
    assert!(first_acks[ROUNDS - 1] < FIRST_ACK);
    assert!(
        node.complaints()
            .iter()
            .all(|line| line.contains("torn tail"))
    );
}

/// A topic in a storm of creations and deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    CreateSent,
    Created,
    DeleteSent,
    Deleted,
}

const STORM_PARTITIONS: i32 = 4;

/// Creates and deletes until the broker is dead.
fn storm(address: SocketAddr, mut random: StdRng, prefix: &str) -> BTreeMap<String, Fate> {
    let mut fates = BTreeMap::new();
    let Ok(mut client) = Client::try_connect(address) else {
        return fates;
    };
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        fates.insert(name.clone(), Fate::CreateSent);
        let Ok(created) = client.try_create(&name, STORM_PARTITIONS) else {
            break;
        };
        created.unwrap();
        fates.insert(name.clone(), Fate::Created);
        if random.random_bool(0.7) {
            fates.insert(name.clone(), Fate::DeleteSent);
            let Ok(deleted) = client.try_delete(&name) else {
                break;
            };
            deleted.unwrap();
            fates.insert(name, Fate::Deleted);
        }
    }
    fates
}

/// Folders of partitions, the metadata log's own left out.
fn partition_folders(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("storm")).collect()
}

fn verify_storm(node: &Node, folder: &Path, fates: &BTreeMap<String, Fate>) {
    let mut client = node.client();
    let mut expected = BTreeSet::new();
    for (name, fate) in fates {
        let topic = client.topic(name);
        let exists = topic.error_code == 0;
        match fate {
            Fate::Created => assert!(exists, "{name} was created and is gone"),
            Fate::Deleted => assert!(!exists, "{name} was deleted and is back"),
            Fate::CreateSent | Fate::DeleteSent => {}
        }
        if !exists {
            assert_eq!(
                topic.error_code,
                ErrorCode::UnknownTopicOrPartition.code(),
                "{name}"
            );
            continue;
        }
        assert_eq!(
            topic.partitions.len(),
            STORM_PARTITIONS as usize,
            "half of {name}"
        );
        for partition in 0..STORM_PARTITIONS {
            client
                .produce(name, partition, support::requests::batch(&["x"]))
                .unwrap();
            expected.insert(format!("{name}-{partition}"));
        }
    }
    eventually("only the folders of topics that exist", || {
        let found = partition_folders(folder);
        let unknown = |name: &String| !expected.contains(name) && !name.ends_with("-stray");
        (!found.iter().any(unknown) && found.is_superset(&expected)).then_some(())
    });
}

#[test]
fn a_kill_leaves_no_half_topic_and_brings_no_deleted_one_back() {
    let mut random = StdRng::seed_from_u64(support::seed("a storm of topics"));
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path());
    let mut node = start.ready();
    let mut fates = BTreeMap::new();
    for round in 0..ROUNDS {
        let address = node.address();
        let end = Instant::now() + Duration::from_millis(random.random_range(0..200));
        let seeds: [u64; 2] = random.random();
        std::thread::scope(|scope| {
            let storms = [0, 1].map(|number| {
                let prefix = format!("storm-{round}-{number}");
                let random = StdRng::seed_from_u64(seeds[number]);
                scope.spawn(move || storm(address, random, &prefix))
            });
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
            node.kill();
            for storm in storms {
                fates.extend(storm.join().unwrap());
            }
        });
        node = start.ready();
        verify_storm(&node, folder.path(), &fates);
        // What the restart found of it is what it stays.
        let mut client = node.client();
        fates.retain(|name, fate| {
            *fate = if client.topic(name).error_code == 0 {
                Fate::Created
            } else {
                Fate::Deleted
            };
            *fate == Fate::Created || name.ends_with('0')
        });
    }
    println!("{} topics outlived {ROUNDS} kills", fates.len());
    assert!(fates.values().any(|fate| *fate == Fate::Created));
    let ended = node.stop();
    assert!(ended.after < DEADLINE);
}
