//! Properties that hold whatever happens to a share partition.

use std::collections::{BTreeMap, BTreeSet};

use coordinator::share::partition::{
    AcquireMode, DeliveryState, FetchedBatch, ShareGroupSettings, SharePartitionEvent,
    SharePartitionReply,
};
use proptest::prelude::*;
use protocol::ErrorCode;

use crate::fixtures::*;

const MEMBERS: [&str; 3] = ["a", "b", "c"];
const BATCH_SIZE_MAX: i64 = 7;
/// Until when a record is held that was given back.
const RELEASED: i64 = i64::MIN;
const SETTINGS: ShareGroupSettings = ShareGroupSettings {
    partition_max_record_locks: 40,
    delivery_count_limit: 4,
    record_lock_duration_ms: 1_000,
    renew_acknowledge_enable: true,
    auto_offset_reset: coordinator::share::partition::AutoOffsetReset::Earliest,
};

/// Something that may happen.
#[derive(Clone, Debug)]
enum Action {
    Append {
        size: i64,
    },
    Fetch {
        member: usize,
        max_records: i32,
        batch_size: i32,
        strict: bool,
    },
    /// Of what the member was handed out some fetches ago.
    Say {
        member: usize,
        which: usize,
        types: Vec<i8>,
    },
    SayAnything {
        member: usize,
        first: i64,
        count: i64,
        types: Vec<i8>,
    },
    Release {
        member: usize,
    },
    Advance {
        ms: i64,
    },
    Jump {
        ms: i64,
    },
    Written,
    WriteFails,
    /// A failure that says that another leader has taken over.
    WriteIsFenced,
    /// Batches vanish from the log, but not the last.
    Compact {
        which: usize,
    },
    LogStart {
        which: usize,
    },
    Reload,
}

fn action() -> impl Strategy<Value = Action> {
    let member = 0..MEMBERS.len();
    let types = prop::collection::vec(0_i8..5, 1..8);
    prop_oneof![
        4 => (1..=BATCH_SIZE_MAX).prop_map(|size| Action::Append { size }),
        6 => (member.clone(), 1_i32..20, 1_i32..10, any::<bool>()).prop_map(
            |(member, max_records, batch_size, strict)| Action::Fetch {
                member,
                max_records,
                batch_size,
                strict,
            }
        ),
        6 => (member.clone(), 0_usize..6, types.clone())
            .prop_map(|(member, which, types)| Action::Say { member, which, types }),
        2 => (member.clone(), 0_i64..200, 1_i64..20, types)
            .prop_map(|(member, first, count, types)| Action::SayAnything {
                member,
                first,
                count,
                types,
            }),
        1 => member.prop_map(|member| Action::Release { member }),
        2 => (0_i64..1_200).prop_map(|ms| Action::Advance { ms }),
        1 => (-2_000_i64..2_000).prop_map(|ms| Action::Jump { ms }),
        6 => Just(Action::Written),
        1 => Just(Action::WriteFails),
        1 => Just(Action::WriteIsFenced),
        1 => (0_usize..50).prop_map(|which| Action::Compact { which }),
        1 => (0_usize..50).prop_map(|which| Action::LogStart { which }),
        1 => Just(Action::Reload),
    ]
}

/// What is known from outside of who holds what.
#[derive(Default)]
struct Model {
    /// Who was handed out an offset last, and until when it is theirs at least.
    holders: BTreeMap<i64, (usize, i64)>,
    deliveries: BTreeMap<i64, i16>,
    /// Offsets whose acceptance or rejection was answered.
    settled: BTreeSet<i64>,
    /// What each member was handed out: first offset, last offset.
    handed_out: BTreeMap<usize, Vec<(i64, i64)>>,
    /// What waits for an answer: of which offsets what is said.
    asked: BTreeMap<u64, Asked>,
    releases: BTreeSet<u64>,
}

struct Asked {
    member: usize,
    /// How long what is renewed is the member's.
    until: i64,
    said: Vec<(i64, i8)>,
}

struct World {
    fixture: Fixture,
    model: Model,
    next_offset: i64,
}

impl World {
    fn new() -> Self {
        let mut fixture = Fixture::with(SETTINGS, &[]);
        fixture.holds_writes = true;
        World {
            fixture,
            model: Model::default(),
            next_offset: 0,
        }
    }

    fn append(&mut self, size: i64) {
        let batch = (self.next_offset, self.next_offset + size - 1);
        self.fixture.log.extend(batches(&[batch]));
        self.next_offset += size;
    }

    fn fetch(&mut self, member: usize, ask: Ask) {
        let acquired = self.fixture.fetch(MEMBERS[member], ask);
        let total: i64 = acquired
            .iter()
            .map(|(first, last, _)| last - first + 1)
            .sum();
        if ask.mode == AcquireMode::RecordLimit {
            assert!(total <= i64::from(ask.max_records), "{total} for {ask:?}");
        }
        let now = self.fixture.now;
        let until = now + i64::from(SETTINGS.record_lock_duration_ms);
        let mut behind = i64::MIN;
        for (first, last, count) in acquired {
            assert!(behind < first && first <= last, "in order, without overlap");
            assert!(first >= self.fixture.start());
            behind = last;
            assert!((1..=SETTINGS.delivery_count_limit).contains(&count));
            for offset in first..=last {
                assert!(!self.model.settled.contains(&offset), "{offset} came back");
                if let Some((holder, until)) = self.model.holders.insert(offset, (member, until)) {
                    assert!(until <= now, "{offset} is still held by {holder}");
                }
                let before = self.model.deliveries.insert(offset, count).unwrap_or(0);
                // What a load forgot may count again from the start, nothing else.
                assert!(
                    count == before + 1 || count <= before,
                    "{count} after {before}"
                );
            }
            self.model
                .handed_out
                .entry(member)
                .or_default()
                .push((first, last));
        }
    }

    fn say(&mut self, member: usize, first: i64, last: i64, types: &[i8]) {
        let count = last - first + 1;
        let types: Vec<i8> = if types.len() == 1 {
            types.to_vec()
        } else {
            let types = types.iter().cycle();
            types
                .take(usize::try_from(count).unwrap_or(1))
                .copied()
                .collect()
        };
        let said = said(first, last, &types);
        // What lies before the start is gone; what is said of it is let pass.
        let start = self.fixture.start();
        let per_offset = (first..=last).zip(types.iter().cycle().copied());
        let asked = Asked {
            member,
            until: self.fixture.now + i64::from(SETTINGS.record_lock_duration_ms),
            said: per_offset.filter(|(offset, _)| *offset >= start).collect(),
        };
        let token = self.fixture.say(MEMBERS[member], &[said]);
        self.model.asked.insert(token.0, asked);
    }

    fn hear_answers(&mut self) {
        let replies = std::mem::take(&mut self.fixture.replies);
        for (token, reply) in replies {
            let SharePartitionReply::Done(result) = reply else {
                panic!("fetches are answered at once");
            };
            if self.model.releases.remove(&token) {
                continue;
            }
            let asked = self
                .model
                .asked
                .remove(&token)
                .expect("an answer to a question");
            if result.is_err() {
                continue;
            }
            for (offset, said) in asked.said {
                let holder = self.model.holders.get(&offset);
                // A lock that was renewed may have ended while the rest was written.
                let other = holder.filter(|(holder, until)| {
                    said != RENEW && *holder != asked.member && *until > self.fixture.now
                });
                assert_eq!(other, None, "{offset} is not the member's");
                match said {
                    GAP | ACCEPT | REJECT => {
                        self.model.settled.insert(offset);
                        self.model.holders.remove(&offset);
                    }
                    RENEW => {
                        let held = self.model.holders.get_mut(&offset);
                        if let Some(held) =
                            held.filter(|held| held.0 == asked.member && held.1 != RELEASED)
                        {
                            held.1 = held.1.max(asked.until);
                        }
                    }
                    _ => {
                        self.model.holders.remove(&offset);
                    }
                }
            }
        }
    }

    fn write_comes_back(&mut self, result: Result<(), ErrorCode>) {
        if self.fixture.writes.is_empty() {
            return;
        }
        match result {
            Ok(()) => self.fixture.written(),
            Err(code) => self.fixture.write_fails(code),
        }
    }

    fn reload(&mut self) {
        // What was under way may be written or not; here it is, and nobody hears of it.
        if let Some(write) = self.fixture.writes.pop() {
            self.fixture.stored.write(&write);
        }
        self.model.asked.clear();
        self.model.releases.clear();
        self.model.holders.clear();
        self.fixture.reload(SETTINGS);
        self.fixture.holds_writes = true;
    }

    fn release(&mut self, member: usize) {
        let token = self.fixture.release(MEMBERS[member]);
        self.model.releases.insert(token.0);
        let released = self.model.holders.values_mut();
        for (_, until) in released.filter(|(holder, _)| *holder == member) {
            *until = RELEASED;
        }
    }

    fn jump(&mut self, ms: i64) {
        self.fixture.now += ms;
        self.fixture
            .handle(SharePartitionEvent::ClockMoved { by_ms: ms });
        if ms < 0 {
            for (_, until) in self.model.holders.values_mut() {
                *until = until.saturating_add(ms);
            }
            for asked in self.model.asked.values_mut() {
                asked.until += ms;
            }
        }
        self.fixture.advance(0);
    }

    fn move_log_start(&mut self, which: usize) {
        let batch: Option<FetchedBatch> = self.fixture.log.get(which).copied();
        if let Some(first) = batch.map(|batch| batch.offsets.first()) {
            self.fixture
                .log
                .retain(|batch| batch.offsets.first() >= first);
            self.fixture
                .handle(SharePartitionEvent::LogStartMoved(first));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Append { size } => self.append(size),
            Action::Fetch {
                member,
                max_records,
                batch_size,
                strict,
            } => {
                let mode = match strict {
                    true => AcquireMode::RecordLimit,
                    false => AcquireMode::BatchOptimized,
                };
                let ask = Ask {
                    mode,
                    batch_size,
                    max_records,
                    ..Ask::default()
                };
                self.fetch(member, ask);
            }
            Action::Say {
                member,
                which,
                types,
            } => {
                let handed_out = self.model.handed_out.get(&member);
                let range = handed_out.and_then(|ranges| ranges.iter().rev().nth(which));
                if let Some((first, last)) = range.copied() {
                    self.say(member, first, last, &types);
                }
            }
            Action::SayAnything {
                member,
                first,
                count,
                types,
            } => self.say(member, first, first + count - 1, &types),
            Action::Release { member } => self.release(member),
            Action::Advance { ms } => self.fixture.advance(ms),
            Action::Jump { ms } => self.jump(ms),
            Action::Written => self.write_comes_back(Ok(())),
            Action::WriteFails => self.write_comes_back(Err(ErrorCode::RequestTimedOut)),
            Action::WriteIsFenced => {
                if !self.fixture.writes.is_empty() {
                    self.write_comes_back(Err(ErrorCode::FencedLeaderEpoch));
                    self.reload();
                }
            }
            Action::Compact { which } => {
                if which + 1 < self.fixture.log.len() {
                    self.fixture.log.remove(which);
                }
            }
            Action::LogStart { which } => self.move_log_start(which),
            Action::Reload => self.reload(),
        }
        self.hear_answers();
        self.check();
    }

    fn check(&self) {
        let now = self.fixture.now;
        let current = self.model.holders.range(self.fixture.start()..);
        let held = current.filter(|(_, (_, until))| *until > now);
        // The last batch of the log may reach over the limit.
        let held_max = i64::from(SETTINGS.partition_max_record_locks) + BATCH_SIZE_MAX - 1;
        assert!(i64::try_from(held.count()).is_ok_and(|held| held <= held_max));
        // What the state says of what was answered is what was answered.
        let stored = &self.fixture.stored;
        let stored_start = stored.start.unwrap_or_default().0;
        for offset in self.model.settled.range(stored_start..) {
            let state = stored.records.get(offset).map(|(state, _)| *state);
            let is_settled = state.is_some_and(|state| state != DeliveryState::Available);
            assert!(is_settled, "{offset} was answered and is {state:?}");
        }
        for (offset, (_, count)) in &stored.records {
            assert!(
                (0..=SETTINGS.delivery_count_limit).contains(count),
                "{offset}: {count}"
            );
        }
    }

    /// Nothing stands in the way for ever: whoever goes on fetching and accepting gets to the end.
    fn finish(&mut self) {
        self.fixture.holds_writes = false;
        self.write_comes_back(Ok(()));
        self.hear_answers();
        for _ in 0..1_000 {
            self.fixture
                .advance(i64::from(SETTINGS.record_lock_duration_ms));
            let token = self.fixture.token();
            let Some(offset) = self.fixture.partition.begin_fetch(token) else {
                continue;
            };
            let fetched = self.fixture.read_log(offset);
            let acquired = self.fixture.fetched(token, "z", Ask::default(), fetched);
            for (first, last, _) in acquired {
                assert_eq!(
                    self.fixture.acknowledge("z", first, last, &[ACCEPT]),
                    Ok(())
                );
            }
            let end = self.fixture.log.last().map(|batch| batch.offsets.last().0);
            if end.is_none_or(|end| end < self.fixture.start()) {
                return;
            }
        }
        panic!("stuck at {}", self.fixture.start());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_record_is_held_twice_or_comes_back(actions in prop::collection::vec(action(), 1..80)) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.finish();
    }

    /// What the next leader can hand out is what this one could, and what it had handed out and
    /// knows no end of.
    #[test]
    fn the_next_leader_hands_out_what_is_not_settled(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.write_comes_back(Ok(()));
        world.write_comes_back(Ok(()));
        world.hear_answers();
        let log: BTreeSet<i64> = world
            .fixture
            .log
            .iter()
            .flat_map(|batch| batch.offsets.first().0..=batch.offsets.last().0)
            .collect();
        let stored = world.fixture.stored.clone();
        let start = stored.start.unwrap_or_default().0;
        let settled = |offset: &i64| {
            let state = stored.records.get(offset).map(|(state, _)| *state);
            state.is_some_and(|state| state != DeliveryState::Available)
        };
        let expected: BTreeSet<i64> = log
            .iter()
            .filter(|offset| **offset >= start && !settled(offset))
            .copied()
            .collect();
        let unlimited = ShareGroupSettings {
            partition_max_record_locks: i32::MAX,
            ..SETTINGS
        };
        world.fixture.reload(unlimited);
        let ask = Ask { max_records: i32::MAX, ..Ask::default() };
        let mut handed_out = BTreeSet::new();
        for _ in 0..500 {
            for (first, last, _) in world.fixture.fetch("z", ask) {
                handed_out.extend((first..=last).filter(|offset| log.contains(offset)));
            }
        }
        prop_assert_eq!(handed_out, expected);
    }
}
