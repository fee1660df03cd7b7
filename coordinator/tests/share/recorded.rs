//! Conversations that were recorded from upstream 4.3.1's own share partition: what it answered is
//! what ours answers.
//!
//! A line is what was done, what came of it, and where the partition stood then. What is written
//! comes back at once, or fails at once from `writes fail` on.

use coordinator::share::partition::{
    DeliveryState, FetchedBatch, ShareGroupSettings, SharePartitionEvent,
};
use protocol::{ErrorCode, Offset};

use crate::fixtures::*;

fn number<T: std::str::FromStr>(text: &str) -> T {
    let number = text.parse();
    number.unwrap_or_else(|_| panic!("{text} is no number"))
}

fn offsets(text: &str) -> (i64, i64) {
    let (first, last) = text.split_once('-').expect("first offset, last offset");
    (number(first), number(last))
}

fn setting<T: std::str::FromStr>(words: &[&str], name: &str) -> Option<T> {
    let values = words.iter().filter_map(|word| word.strip_prefix(name));
    let mut values = values.filter_map(|word| word.strip_prefix('='));
    values.next().map(number)
}

struct Replay {
    fixture: Fixture,
    settings: ShareGroupSettings,
    fails: bool,
    log_moved: bool,
}

impl Replay {
    fn new(words: &[&str]) -> Self {
        let settings = ShareGroupSettings {
            partition_max_record_locks: setting(words, "locks").expect("locks"),
            delivery_count_limit: setting(words, "limit").expect("limit"),
            record_lock_duration_ms: 1_000,
            ..ShareGroupSettings::default()
        };
        let log: Vec<(i64, i64)> = words.iter().skip(2).map(|word| offsets(word)).collect();
        let mut fixture = Fixture::with(settings, &log);
        fixture.holds_writes = true;
        Replay {
            fixture,
            settings,
            fails: false,
            log_moved: false,
        }
    }

    fn answer_writes(&mut self) {
        while !self.fixture.writes.is_empty() {
            if self.fails {
                self.fixture.write_fails(ErrorCode::CoordinatorNotAvailable);
            } else {
                self.fixture.written();
            }
        }
    }

    fn act(&mut self, words: &[&str]) -> String {
        match words {
            ["fetch", member, ask @ ..] => self.fetch(member, ask),
            ["ack", member, batches @ ..] => self.acknowledge(member, batches),
            ["release", member] => {
                let token = self.fixture.release(member);
                self.answer(token)
            }
            ["advance", ms] => {
                self.fixture.advance(number(ms));
                self.answer_writes();
                "ok".to_owned()
            }
            ["writes", how] => {
                self.fails = *how == "fail";
                "ok".to_owned()
            }
            ["append", batch] => {
                self.fixture.log.extend(batches(&[offsets(batch)]));
                "ok".to_owned()
            }
            ["logstart", offset] => {
                let offset: i64 = number(offset);
                let is_left = |batch: &FetchedBatch| batch.offsets.last().0 >= offset;
                self.fixture.log.retain(is_left);
                self.log_moved = true;
                let moved = SharePartitionEvent::LogStartMoved(Offset(offset));
                self.fixture.handle(moved);
                self.answer_writes();
                "ok".to_owned()
            }
            _ => panic!("{words:?} was never said"),
        }
    }

    fn fetch(&mut self, member: &str, ask: &[&str]) -> String {
        let max_records = setting(ask, "max").expect("max");
        let ask = Ask {
            batch_size: setting(ask, "size").expect("size"),
            ..match ask.contains(&"strict") {
                true => strictly(max_records),
                false => at_most(max_records),
            }
        };
        let token = self.fixture.token();
        let Some(offset) = self.fixture.partition.begin_fetch(token) else {
            return "full".to_owned();
        };
        let fetched = self.fixture.read_log(offset);
        let acquired = self.fixture.fetched(token, member, ask, fetched);
        let acquired = acquired
            .into_iter()
            .map(|(first, last, count)| format!(" {first}-{last}x{count}"));
        format!("from={offset}{}", acquired.collect::<String>())
    }

    fn acknowledge(&mut self, member: &str, batches: &[&str]) -> String {
        let batches: Vec<_> = batches
            .iter()
            .map(|batch| {
                let (range, types) = batch.split_once(':').expect("offsets, types");
                let (first, last) = offsets(range);
                let types = types.bytes().map(|digit| (digit - b'0').cast_signed());
                said(first, last, &types.collect::<Vec<_>>())
            })
            .collect();
        let token = self.fixture.say(member, &batches);
        self.answer(token)
    }

    fn answer(&mut self, token: coordinator::ReplyTo) -> String {
        self.answer_writes();
        match self.fixture.answer(token).expect("nothing is under way") {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => {
                let known = [
                    (ErrorCode::InvalidRecordState, "INVALID_RECORD_STATE"),
                    (ErrorCode::InvalidRequest, "INVALID_REQUEST"),
                    (
                        ErrorCode::CoordinatorNotAvailable,
                        "COORDINATOR_NOT_AVAILABLE",
                    ),
                ];
                let name = known.iter().find(|(code, _)| *code == refusal.code);
                let (_, name) = name.expect("upstream never answers anything else");
                (*name).to_owned()
            }
        }
    }

    /// The next leader reads the state that was recorded, `start first-last:statexcount ...`.
    fn reload(&mut self, state: &str) {
        let mut words = state.split(' ');
        let start = words.next().map(number).map(Offset);
        let mut stored = Stored {
            start,
            ..Stored::default()
        };
        for word in words {
            let (range, record) = word.split_once(':').expect("offsets, record");
            let (state, count) = record.split_once('x').expect("state, count");
            let state = DeliveryState::from_id(number(state)).expect("a state");
            let (first, last) = offsets(range);
            for offset in first..=last {
                stored.records.insert(offset, (state, number(count)));
            }
        }
        let mut written = self.fixture.stored.clone();
        if written.start < stored.start {
            // That the log begins later may be written or not.
            let start = stored.start.unwrap_or_default();
            written.records = written.records.split_off(&start.0);
            written.start = Some(start);
        }
        assert_eq!(
            current(written),
            current(stored.clone()),
            "what was written"
        );
        self.fixture.stored = stored;
        self.fixture.reload(self.settings);
        self.fixture.holds_writes = true;
    }

    /// Upstream remembers batches before the start of the log for a while, so it finds something else
    /// wrong with what is said of no records at all.
    fn refuses_alike(&self, answer: &str, expected: &str) -> bool {
        let refusals = ["INVALID_RECORD_STATE", "INVALID_REQUEST"];
        self.log_moved && refusals.contains(&answer) && refusals.contains(&expected)
    }

    /// Upstream hands out records before the start of the log then, too. Ours never does.
    fn was_gone(&self, done: &[&str], expected: &str) -> bool {
        let handed_out = expected.split(' ').skip(1);
        let handed_out = handed_out.filter_map(|range| range.split_once('-'));
        let mut first = handed_out.map(|(first, _)| number::<i64>(first));
        let is_fetch = done.first() == Some(&"fetch");
        is_fetch && self.log_moved && first.any(|first| first < self.fixture.start())
    }

    /// Whether it stands where it stood upstream. Ours may be ahead: upstream moves the start over
    /// what is settled with the next acknowledgement only, and fetches a gap without records again
    /// and again. From there on other things are answered, so there the conversation ends.
    fn check(&mut self, place: &str) -> bool {
        let words: Vec<&str> = place.split(' ').collect();
        let start: i64 = setting(&words, "start").expect("start");
        assert!(self.fixture.start() >= start, "the start is behind");
        if self.fixture.start() > start {
            return false;
        }
        let token = self.fixture.token();
        if let Some(next) = self.fixture.partition.begin_fetch(token) {
            let abandoned = SharePartitionEvent::FetchAbandoned { token };
            self.fixture.handle(abandoned);
            let expected: i64 = setting(&words, "next").expect("next");
            assert!(next.0 >= expected, "what is fetched next is behind");
            return next.0 == expected;
        }
        true
    }
}

/// A state without what is settled at its start: it may be written or not.
fn current(mut stored: Stored) -> Stored {
    let mut start = stored.start.unwrap_or_default().0;
    while let Some((state, _)) = stored.records.get(&start)
        && *state != DeliveryState::Available
    {
        stored.records.remove(&start);
        start += 1;
    }
    stored.start = Some(Offset(start));
    stored
}

/// Goes through recorded conversations, and says how many lines were the same.
fn replay(recorded: &str) -> usize {
    let mut replay: Option<Replay> = None;
    let mut same = 0;
    for (index, line) in recorded.lines().enumerate() {
        let Some((done, rest)) = line.split_once(" -> ") else {
            let words: Vec<&str> = line.split(' ').collect();
            replay = Some(Replay::new(words.get(1..).unwrap_or_default()));
            continue;
        };
        let Some(current) = replay.as_mut() else {
            continue;
        };
        let at = index + 1;
        let (expected, place) = rest
            .split_once(" | ")
            .expect("what came of it, where it stood");
        if done == "reload" {
            current.reload(expected);
        } else {
            let words: Vec<&str> = done.split(' ').collect();
            let answer = current.act(&words);
            if current.was_gone(&words, expected) {
                replay = None;
                continue;
            }
            let is_same = answer == expected || current.refuses_alike(&answer, expected);
            assert!(is_same, "line {at}: {line}: {answer}");
        }
        if current.check(place) {
            same += 1;
        } else {
            replay = None;
        }
    }
    same
}

#[test]
fn conversations_with_failing_writes_and_new_leaders() {
    let same = replay(include_str!("recorded/loads.txt"));
    assert!(same > 1_200, "{same} lines");
}

#[test]
fn conversations_while_the_log_loses_records() {
    let same = replay(include_str!("recorded/log_starts.txt"));
    assert!(same > 300, "{same} lines");
}

#[test]
fn conversations_over_a_log_with_holes() {
    let same = replay(include_str!("recorded/holes.txt"));
    assert!(same > 600, "{same} lines");
}
