//! kill -9 under consumers that come, go and commit: no two of them ever have a partition, epochs
//! and committed offsets never go back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::ErrorCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::start;
use super::support::consumer_groups::{Consumer, LEAVES, Place, committed, describe, settle};
use super::support::{self, Client};

const LASTS: Duration = Duration::from_secs(8);

/// The broker is gone.
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Gone {
        Gone
    }
}

/// What all consumers know together, which nobody tells the broker.
#[derive(Default)]
struct Known {
    owners: BTreeMap<Place, usize>,
    /// Who was told in which epoch that a partition is its own.
    told: BTreeMap<(Place, i32), usize>,
    /// The last offsets that were sent and that were answered, by partition.
    sent: BTreeMap<i32, i64>,
    answered: BTreeMap<i32, i64>,
    commits: usize,
    moves: usize,
}

impl Known {
    /// A consumer has other partitions now.
    fn change(&mut self, number: usize, epoch: i32, owned: &BTreeSet<Place>) {
        self.owners
            .retain(|place, owner| *owner != number || owned.contains(place));
        for place in owned {
            let other = self.owners.insert(*place, number);
            assert!(
                other.is_none_or(|other| other == number),
                "{place:?} is of {other:?}, and was given to {number} in epoch {epoch}"
            );
            self.moves += usize::from(other.is_none());
            let told = self.told.insert((*place, epoch), number);
            assert!(
                told.is_none_or(|told| told == number),
                "{place:?} is of {told:?} and of {number} in epoch {epoch}"
            );
        }
    }
}

struct Worker {
    number: usize,
    random: StdRng,
    consumer: Consumer,
    has_joined: bool,
    /// The highest it has seen.
    epoch: i32,
}

impl Worker {
    fn new(number: usize, address: SocketAddr, seed: u64) -> Worker {
        Worker {
            number,
            random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            consumer: Consumer::new(address, "g", &format!("worker-{number}")),
            has_joined: false,
            epoch: 0,
        }
    }

    fn run(&mut self, address: SocketAddr, known: &Mutex<Known>) {
        let Ok(client) = Client::try_connect(address) else {
            return;
        };
        self.consumer.client = client;
        while self.step(known).is_ok() {}
    }

    fn step(&mut self, known: &Mutex<Known>) -> Result<(), Gone> {
        if !self.has_joined {
            // Whatever it had, it has no more, before the broker hears of it.
            self.consumer.owned.clear();
            known.lock().change(self.number, 0, &self.consumer.owned);
            let joined = self.consumer.try_join()?;
            return self.heard(joined, known);
        }
        match self.random.random_range(0..40) {
            0 => {
                self.has_joined = false;
                self.consumer.owned.clear();
                known.lock().change(self.number, 0, &self.consumer.owned);
                self.consumer.epoch = LEAVES;
                // Refused where the broker has put it out already.
                let _ = self.consumer.try_beat()?;
                Ok(())
            }
            1..=15 => self.commit(known),
            _ => {
                let answer = self.consumer.try_beat()?;
                self.heard(answer, known)
            }
        }
    }

    fn heard(&mut self, answer: Result<(), ErrorCode>, known: &Mutex<Known>) -> Result<(), Gone> {
        match answer {
            Ok(()) => {
                self.has_joined = true;
                let epoch = self.consumer.epoch;
                assert!(epoch >= self.epoch, "from {} back to {epoch}", self.epoch);
                self.epoch = epoch;
                known
                    .lock()
                    .change(self.number, epoch, &self.consumer.owned);
            }
            Err(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                self.has_joined = false;
            }
            Err(
                ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator,
            ) => {}
            Err(code) => panic!("a heartbeat was refused with {code:?}"),
        }
        Ok(())
    }

    fn commit(&mut self, known: &Mutex<Known>) -> Result<(), Gone> {
        let owned = self.consumer.partitions();
        if owned.is_empty() {
            return Ok(());
        }
        let partition = owned[self.random.random_range(0..owned.len())];
        let offset = {
            let mut known = known.lock();
            let sent = known.sent.entry(partition).or_default();
            *sent += 1;
            *sent
        };
        match self.consumer.try_commit(partition, offset)? {
            Ok(()) => {
                let mut known = known.lock();
                known.answered.insert(partition, offset);
                known.commits += 1;
            }
            Err(ErrorCode::UnknownMemberId | ErrorCode::StaleMemberEpoch) => {}
            Err(
                ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator,
            ) => {}
            Err(code) => panic!("a commit was refused with {code:?}"),
        }
        Ok(())
    }
}

/// Holds the group as it was found after a kill against what the consumers know; gives its epoch.
fn verify(client: &mut Client, known: &Known, epoch: i32) -> i32 {
    let group = support::eventually("the group is loaded", || {
        let group = describe(client, "g");
        (group.error_code == 0).then_some(group)
    });
    assert!(
        group.group_epoch >= epoch,
        "{} after {epoch}",
        group.group_epoch
    );
    let mut all = BTreeSet::new();
    for member in &group.members {
        for topic in &member.assignment.topic_partitions {
            for partition in &topic.partitions {
                assert!(all.insert(*partition), "two have {partition}: {group:?}");
            }
        }
    }
    for (partition, answered) in &known.answered {
        let found = committed(client, "g", None, *partition).unwrap();
        let sent = known.sent[partition];
        assert!(
            (*answered..=sent).contains(&found),
            "{found} is committed for {partition}: {answered} was answered, {sent} was sent"
        );
    }
    group.group_epoch
}

#[test]
fn nobody_shares_a_partition_and_nothing_goes_back_through_kill_after_kill() {
    let seed = support::seed("consumer groups under kills");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let mut node = start.ready();
    let mut workers: Vec<Worker> = (0..3)
        .map(|number| Worker::new(number, node.address(), seed))
        .collect();
    let known = Mutex::new(Known::default());
    let began = Instant::now();
    let (mut rounds, mut epoch) = (0, 0);
    while began.elapsed() < LASTS {
        let life = Duration::from_millis(random.random_range(20..700));
        let address = node.address();
        std::thread::scope(|scope| {
            for worker in &mut workers {
                let known = &known;
                scope.spawn(move || worker.run(address, known));
            }
            std::thread::sleep(life);
            node.kill();
        });
        node = start.ready();
        rounds += 1;
        if epoch > 0 || !known.lock().owners.is_empty() {
            epoch = verify(&mut node.client(), &known.lock(), epoch);
        }
    }
    for worker in &mut workers {
        worker.consumer.client = node.client();
        support::eventually("it is a member", || {
            let stepped = worker.step(&known);
            (stepped.is_ok() && worker.has_joined).then_some(())
        });
    }
    let mut consumers: Vec<&mut Consumer> = workers
        .iter_mut()
        .map(|worker| &mut worker.consumer)
        .collect();
    settle(&mut consumers);
    let mut all: Vec<i32> = consumers.iter().flat_map(|it| it.partitions()).collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    let known = known.into_inner();
    println!(
        "{rounds} kills: {} commits, {} partitions moved, epoch {epoch}",
        known.commits, known.moves
    );
    assert!(
        rounds > 3 && known.commits > rounds && known.moves > rounds,
        "no load at all"
    );
    let complaints = node.complaints();
    assert!(
        complaints.iter().all(|line| line.contains("torn tail")),
        "{complaints:?}"
    );
}
