//! A data folder that was damaged while the broker was down: a torn tail is cut, a fault in the
//! middle is reported and never passed over, and what can be rebuilt is.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::path::{Path, PathBuf};

use protocol::ErrorCode;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use support::requests::{Read, batch, batch_of};
use support::{Client, Node, Start, eventually};

/// How the broker went down before the damage.
#[derive(Clone, Copy, Debug)]
enum End {
    Stopped,
    Killed,
}

const ENDS: [End; 2] = [End::Stopped, End::Killed];

impl End {
    fn of(self, node: Node) {
        match self {
            End::Stopped => node.stop(),
            End::Killed => node.kill(),
        };
    }
}

/// Records in a batch.
const BATCH: i64 = 3;

/// Produces batches of three records each to partition 0; gives back the records.
fn fill(client: &mut Client, topic: &str, batches: i64) -> Vec<Read> {
    let mut records = Vec::new();
    for number in 0..batches {
        let values = (0..BATCH).map(|at| format!("{topic} {number} {at} {}", "x".repeat(40)));
        let values = values.collect::<Vec<_>>();
        let base = client.produce(topic, 0, batch(&values)).unwrap();
        let placed = (base..).zip(values.into_iter().map(String::into_bytes));
        records.extend(placed);
    }
    records
}

fn segment(folder: &Path, topic: &str) -> PathBuf {
    folder.join(format!("{topic}-0/00000000000000000000.log"))
}

/// What a crash, or a hand, leaves at the end of a segment.
#[derive(Clone, Copy, Debug)]
enum Tail {
    /// So many bytes of the last batch are missing.
    Cut(usize),
    /// So many bytes of a further batch are there.
    Begun(usize),
    Zeros(usize),
    Random(usize),
}

const TAILS: [Tail; 18] = [
    Tail::Cut(1),
    Tail::Cut(7),
    Tail::Cut(100),
    Tail::Cut(150),
    Tail::Begun(1),
    Tail::Begun(7),
    Tail::Begun(8),
    Tail::Begun(12),
    Tail::Begun(16),
    Tail::Begun(17),
    Tail::Begun(60),
    Tail::Begun(61),
    Tail::Begun(62),
    Tail::Begun(200),
    Tail::Zeros(1),
    Tail::Zeros(4096),
    Tail::Random(61),
    Tail::Random(5000),
];

impl Tail {
    fn make(self, path: &Path, random: &mut StdRng) {
        let mut bytes = std::fs::read(path).unwrap();
        let one_batch = bytes.len() / BATCHES as usize;
        match self {
            Tail::Cut(count) => bytes.truncate(bytes.len() - count),
            Tail::Begun(count) => {
                assert!(count < one_batch);
                let last = bytes[bytes.len() - one_batch..][..count].to_vec();
                bytes.extend(last);
            }
            Tail::Zeros(count) => bytes.extend(vec![0; count]),
            Tail::Random(count) => {
                let mut tail = vec![0; count];
                random.fill_bytes(&mut tail);
                bytes.extend(tail);
            }
        }
        std::fs::write(path, bytes).unwrap();
    }

    /// Batches that are still whole.
    fn whole(self) -> i64 {
        match self {
            Tail::Cut(_) => BATCHES - 1,
            Tail::Begun(_) | Tail::Zeros(_) | Tail::Random(_) => BATCHES,
        }
    }
}

const BATCHES: i64 = 5;

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let mut random = StdRng::seed_from_u64(support::seed("torn tails"));
    for end in ENDS {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::new(folder.path());
        let node = start.ready();
        let mut client = node.client();
        let mut kept = Vec::new();
        for (number, tail) in TAILS.into_iter().enumerate() {
            let topic = format!("torn-{number}");
            client.create(&topic, 1, &[]);
            let mut records = fill(&mut client, &topic, BATCHES);
            records.truncate((tail.whole() * BATCH) as usize);
            kept.push((topic, tail, records));
        }
        end.of(node);
        for (topic, tail, _) in &kept {
            tail.make(&segment(folder.path(), topic), &mut random);
        }
        let node = start.ready();
        let mut client = node.client();
        for (topic, tail, mut records) in kept {
            assert_eq!(client.read_all(&topic, 0), records, "{end:?} {tail:?}");
            // What comes next is read behind what is left, also by the next process.
            let new = fill(&mut client, &topic, 2);
            assert!(
                new[0].0 >= records.len() as i64,
                "{end:?} {tail:?}: an offset given twice"
            );
            records.extend(new);
            assert_eq!(client.read_all(&topic, 0), records, "{end:?} {tail:?}");
            node.wait_for_line(&format!("{topic}-0"));
        }
        node.kill();
        let node = start.ready();
        let mut client = node.client();
        for number in 0..TAILS.len() {
            let records = client.read_all(&format!("torn-{number}"), 0);
            assert!(records.len() as i64 >= (BATCHES + 1) * BATCH);
        }
    }
}

/// Where in a batch a bit is turned: base offset (which no CRC covers), length, magic, CRC,
/// attributes, count, records.
const PLACES: [usize; 8] = [3, 7, 10, 16, 18, 22, 59, 100];

#[test]
fn a_fault_in_the_middle_is_reported_and_never_passed_over() {
    for end in ENDS {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::new(folder.path());
        let node = start.ready();
        let mut client = node.client();
        client.create("whole", 1, &[]);
        let whole = fill(&mut client, "whole", 10);
        for place in PLACES {
            let topic = format!("faulty-{place}");
            client.create(&topic, 1, &[]);
            fill(&mut client, &topic, 10);
        }
        end.of(node);
        let damaged = PLACES.map(|place| {
            let topic = format!("faulty-{place}");
            let path = segment(folder.path(), &topic);
            let mut bytes = std::fs::read(&path).unwrap();
            let batch = bytes.len() / 10;
            bytes[batch * 4 + place] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            (topic, path, bytes)
        });
        let node = start.ready();
        let mut client = node.client();
        for (topic, path, bytes) in damaged {
            let read = client.read_from(&topic, 0, 0);
            assert_eq!(read, Err(ErrorCode::KafkaStorageError), "{end:?} {topic}");
            // A person is told which log it is.
            let line = eventually("an ERROR about the log", || {
                let about = format!("{topic}-0");
                let lines = node.lines().into_iter();
                lines
                    .rev()
                    .find(|line| line.contains(" ERROR ") && line.contains(&about))
            });
            assert!(line.contains(&topic), "{line}");
            // The file is the only copy of what can still be read.
            let now = std::fs::read(&path).unwrap();
            assert_eq!(
                &now[..bytes.len()],
                bytes,
                "{end:?} {topic}: the file was changed"
            );
        }
        // A topic that cannot be read can be deleted and made again.
        for place in PLACES {
            let topic = format!("faulty-{place}");
            assert_eq!(
                client.try_delete(&topic).unwrap(),
                Ok(()),
                "{end:?} {topic}"
            );
            assert!(
                !folder.path().join(format!("{topic}-0")).exists(),
                "{end:?} {topic}"
            );
            client.create(&topic, 1, &[]);
            assert_eq!(client.produce(&topic, 0, batch(&["new"])), Ok(0));
        }
        assert_eq!(client.read_all("whole", 0), whole);
        assert_eq!(
            client.produce("whole", 0, batch(&["on"])),
            Ok(whole.len() as i64)
        );
    }
}

/// What clients are told of the topics of one folder.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    /// Log start, log end, records: of a log with deleted records, and of one with old segments.
    deleted: (i64, i64, Vec<Read>),
    aged: (i64, i64, Vec<Read>),
    by_timestamp: i64,
    committed: i64,
    /// A batch that was acknowledged, sent again.
    duplicate: i64,
}

const GROUP: &str = "followers";

fn answers(client: &mut Client, producer_id: i64) -> Answers {
    let mut log = |topic| {
        let (start, end) = (client.offset(topic, 0, -2), client.offset(topic, 0, -1));
        (start.unwrap(), end.unwrap(), client.read_all(topic, 0))
    };
    let (deleted, aged) = (log("deleted"), log("aged"));
    let duplicate = client.produce("aged", 0, batch_of(producer_id, 0, &["once"]));
    Answers {
        deleted,
        aged,
        by_timestamp: client.offset("deleted", 0, 1).unwrap(),
        committed: eventually("the group's offsets", || {
            client.committed(GROUP, "deleted").ok()
        }),
        duplicate: duplicate.unwrap(),
    }
}

/// A folder with a log whose first records are deleted, and one whose first segments are.
fn prepare(start: &Start) -> (Node, i64) {
    let node = start.ready();
    let mut client = node.client();
    client.create("deleted", 1, &[]);
    fill(&mut client, "deleted", 20);
    assert_eq!(client.delete_records("deleted", 0, 7), Ok(7));
    let small = [
        ("internal.segment.bytes", "4096"),
        ("retention.bytes", "8192"),
    ];
    client.create("aged", 1, &small);
    fill(&mut client, "aged", 100);
    eventually("retention of old segments", || {
        (client.offset("aged", 0, -2).unwrap() > 0).then_some(())
    });
    client
        .set_topic_config("aged", "retention.bytes", "-1")
        .unwrap()
        .unwrap();
    let producer_id = client.producer_id();
    client
        .produce("aged", 0, batch_of(producer_id, 0, &["once"]))
        .unwrap();
    client.find_coordinator(GROUP);
    eventually("a commit", || {
        client.try_commit(GROUP, "deleted", 11).unwrap().ok()
    });
    (node, producer_id)
}

fn start_with_quick_retention(folder: &Path) -> Start {
    Start::new(folder).with("log.retention.check.interval.ms", 50)
}

#[test]
fn all_of_rocksdb_can_be_deleted() {
    for end in ENDS {
        let folder = tempfile::tempdir().unwrap();
        let start = start_with_quick_retention(folder.path());
        let (node, producer_id) = prepare(&start);
        let before = answers(&mut node.client(), producer_id);
        assert_eq!((before.deleted.0, before.committed), (7, 11));
        end.of(node);
        std::fs::remove_dir_all(folder.path().join("klamm.rocksdb")).unwrap();
        let node = start.ready();
        assert_eq!(answers(&mut node.client(), producer_id), before, "{end:?}");
    }
}

/// What may have become of a small file.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Garbage,
    Empty,
    Half,
    Gone,
}

const FATES: [Fate; 4] = [Fate::Garbage, Fate::Empty, Fate::Half, Fate::Gone];

impl Fate {
    fn befall(self, path: &Path, random: &mut StdRng) {
        let content = std::fs::read(path).unwrap();
        match self {
            Fate::Garbage => {
                let mut garbage = vec![0; 300];
                random.fill_bytes(&mut garbage);
                std::fs::write(path, garbage).unwrap();
            }
            Fate::Empty => std::fs::write(path, b"").unwrap(),
            Fate::Half => std::fs::write(path, &content[..content.len() / 2]).unwrap(),
            Fate::Gone => std::fs::remove_file(path).unwrap(),
        }
    }
}

const LOG_STARTS: &str = "log-start-offset-checkpoint";

const SMALL_FILES: [&str; 7] = [
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    LOG_STARTS,
    "deleted-0/partition.metadata",
    "deleted-0/leader-epoch-checkpoint",
    "aged-0/partition.metadata",
    "aged-0/leader-epoch-checkpoint",
];

#[test]
fn garbage_in_a_small_file_changes_no_answer() {
    let mut random = StdRng::seed_from_u64(support::seed("garbage in small files"));
    let folder = tempfile::tempdir().unwrap();
    let start = start_with_quick_retention(folder.path());
    let (mut node, producer_id) = prepare(&start);
    let before = answers(&mut node.client(), producer_id);
    for file in SMALL_FILES {
        for fate in FATES {
            let end = ENDS[random.random_range(0..2)];
            let path = folder.path().join(file);
            eventually("the file", || path.exists().then_some(()));
            end.of(node);
            fate.befall(&path, &mut random);
            node = start.ready();
            let mut client = node.client();
            if file == LOG_STARTS {
                // Nothing else tells that these records were deleted: they are back, and go again.
                assert!(matches!(client.offset("deleted", 0, -2), Ok(0 | 7)));
                assert_eq!(client.delete_records("deleted", 0, 7), Ok(7));
            }
            assert_eq!(
                answers(&mut client, producer_id),
                before,
                "{end:?}, {file} {fate:?}"
            );
            if let (Fate::Garbage, false) = (fate, file.ends_with("metadata")) {
                node.wait_for_line(file);
            }
        }
    }
    // All of them at once, and the views.
    node.kill();
    for file in SMALL_FILES.into_iter().filter(|file| *file != LOG_STARTS) {
        if folder.path().join(file).exists() {
            Fate::Garbage.befall(&folder.path().join(file), &mut random);
        }
    }
    std::fs::remove_dir_all(folder.path().join("klamm.rocksdb")).unwrap();
    let node = start.ready();
    assert_eq!(answers(&mut node.client(), producer_id), before);
}
