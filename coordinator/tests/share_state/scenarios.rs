//! Conversations with a share coordinator, as text: one file per subject in `scenarios/`.
//!
//! `REWRITE=1 cargo test -p coordinator --test share_state` writes what the shard answers now into
//! the files; read the difference before believing it. A share partition is group, topic and
//! partition, where the topics `t` and `u` have two partitions. Times are milliseconds since the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use coordinator::share_state::{
    SharePartitionKey, ShareState, ShareStateChange, ShareStateCommand, ShareStateConfig,
    ShareStateRecord, ShareStateRequest, ShareStateResponse, StateBatch, StateEpoch,
};
use datadriven::TestCase;
use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp, TopicId};
use uuid::Uuid;

use crate::runtime::{Reply, Runtime, START, Step, Topics};

#[test]
fn conversations_go_as_written() {
    datadriven::walk("tests/share_state/scenarios", |file| {
        let mut scenario = Scenario::new();
        file.run(|case| scenario.run(case));
    });
}

const NAMES: [&str; 3] = ["t", "u", "x"];

fn topic(name: &str) -> TopicId {
    let index = NAMES.iter().position(|it| *it == name).expect("t, u or x");
    TopicId(Uuid::from_u128(index as u128 + 1))
}

struct Scenario {
    runtime: Runtime,
    topics: Arc<Topics>,
}

impl Scenario {
    fn new() -> Self {
        let topics = Arc::new(Topics::default());
        topics.put(topic("t"), 2);
        topics.put(topic("u"), 2);
        Scenario {
            runtime: Runtime::new(ShareStateConfig::default(), topics.clone()),
            topics,
        }
    }

    fn run(&mut self, case: &mut TestCase) -> String {
        let args = Args(case.args.clone().into_iter().collect());
        let step = match case.directive.as_str() {
            "config" => {
                let config = &mut self.runtime.config;
                config.snapshot_update_records_per_snapshot = args.number("updates", 500);
                config.cold_partition_snapshot_interval_ms = args.number("cold", 300_000);
                config.state_topic_prune_interval_ms = args.number("prune", 300_000);
                config.batch_bytes_max = args.number("batch-bytes", config.batch_bytes_max);
                self.runtime.batch_records_max = args.number("batch-records", usize::MAX);
                self.runtime.reload();
                Step::default()
            }
            "reload" => {
                self.runtime.reload();
                Step::default()
            }
            "advance" => self.runtime.advance(args.number("ms", 0)),
            "fail-append" => {
                let code = ErrorCode::try_from_code(args.number("code", 0));
                self.runtime.fail_next_append = code;
                Step::default()
            }
            "forget-topic" => {
                self.topics.remove(topic(&args.text("name")));
                Step::default()
            }
            "delete-topic" => {
                let id = topic(&args.text("name"));
                self.topics.remove(id);
                let gone = BTreeSet::from([id]);
                self.runtime.request(ShareStateRequest::TopicsDeleted(gone))
            }
            request => self.runtime.request(args.request(request)),
        };
        show(&step)
    }
}

struct Args(BTreeMap<String, Vec<String>>);

impl Args {
    fn text(&self, name: &str) -> String {
        let values = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        values.first().expect("a value").clone()
    }

    fn number<N: std::str::FromStr>(&self, name: &str, otherwise: N) -> N {
        match self.0.get(name) {
            Some(_) => self.text(name).parse().ok().expect(name),
            None => otherwise,
        }
    }

    fn key(&self) -> SharePartitionKey {
        let words = self.0.get("of").expect("of whom");
        SharePartitionKey {
            group_id: Arc::from(&*words[0]),
            topic_id: topic(&words[1]),
            partition: words[2].parse().expect("a partition"),
        }
    }

    fn request(&self, name: &str) -> ShareStateRequest {
        let key = self.key();
        let state_epoch = StateEpoch(self.number("state-epoch", -1));
        let leader_epoch = LeaderEpoch(self.number("leader-epoch", -1));
        let start = self.number("start", -1);
        let start_offset = (start != -1).then_some(Offset(start));
        match name {
            "initialize" => ShareStateRequest::Initialize {
                key,
                state_epoch,
                start_offset,
            },
            "read" => ShareStateRequest::Read { key, leader_epoch },
            "write" => ShareStateRequest::Write {
                key,
                state_epoch,
                leader_epoch,
                start_offset,
                delivery_complete_count: self
                    .0
                    .contains_key("complete")
                    .then(|| self.number("complete", 0)),
                batches: self.batches(),
            },
            "delete" => ShareStateRequest::Delete { key },
            "summary" => ShareStateRequest::ReadSummary { key },
            other => panic!("no such directive: {other}"),
        }
    }

    /// `first-last-state-count`
    fn batches(&self) -> Vec<StateBatch> {
        let batch = |text: &String| {
            let numbers: Vec<i64> = text
                .split('-')
                .map(|it| it.parse().expect("a number"))
                .collect();
            StateBatch {
                first_offset: Offset(numbers[0]),
                last_offset: Offset(numbers[1]),
                delivery_state: numbers[2] as i8,
                delivery_count: numbers[3] as i16,
            }
        };
        let given = self.0.get("batches").into_iter().flatten();
        given.map(batch).collect()
    }
}

fn show(step: &Step) -> String {
    let mut text = String::new();
    for batch in &step.batches {
        for record in batch {
            show_record(&mut text, record);
        }
        if step.batches.len() > 1 {
            text.push_str("end of batch\n");
        }
    }
    for reply in &step.replies {
        show_reply(&mut text, reply);
    }
    for ShareStateCommand::DeleteRecords { before } in &step.commands {
        writeln!(text, "delete records before {before}").expect("a string");
    }
    text
}

fn show_record(text: &mut String, record: &ShareStateRecord) {
    let key = &record.key;
    let name = NAMES
        .iter()
        .find(|name| topic(name) == key.topic_id)
        .expect("a topic of ours");
    write!(text, "record {}:{name}:{} ", key.group_id, key.partition).expect("a string");
    match &record.change {
        ShareStateChange::Snapshot(state) => show_snapshot(text, state),
        ShareStateChange::Update(update) => writeln!(
            text,
            "update {} leader={} start={} complete={} {}",
            update.snapshot_epoch,
            update.leader_epoch,
            or_dash(update.start_offset),
            or_dash(update.delivery_complete_count),
            show_batches(&update.batches),
        )
        .expect("a string"),
        ShareStateChange::Removed => text.push_str("removed\n"),
    }
}

fn show_snapshot(text: &mut String, state: &ShareState) {
    let time = |at: Timestamp| at.0 - START;
    writeln!(
        text,
        "snapshot {} state={} leader={} start={} complete={} created={} written={} {}",
        state.snapshot_epoch,
        state.state_epoch,
        state.leader_epoch,
        or_dash(state.start_offset),
        or_dash(state.delivery_complete_count),
        time(state.create_timestamp),
        time(state.write_timestamp),
        show_batches(&state.batches),
    )
    .expect("a string");
}

fn show_batches(batches: &[StateBatch]) -> String {
    let shown: Vec<_> = batches
        .iter()
        .map(|it| {
            let (first, last) = (it.first_offset, it.last_offset);
            format!("{first}-{last}:{}:{}", it.delivery_state, it.delivery_count)
        })
        .collect();
    format!("({})", shown.join(", "))
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn show_reply(text: &mut String, reply: &Reply) {
    let shown = match reply {
        Ok(ShareStateResponse::Done) => "done".to_owned(),
        Ok(ShareStateResponse::Read {
            state_epoch,
            start_offset,
            batches,
        }) => format!(
            "state={state_epoch} start={} {}",
            or_dash(*start_offset),
            show_batches(batches)
        ),
        Ok(ShareStateResponse::Summary {
            state_epoch,
            leader_epoch,
            start_offset,
            delivery_complete_count,
        }) => format!(
            "state={state_epoch} leader={leader_epoch} start={} complete={}",
            or_dash(*start_offset),
            or_dash(*delivery_complete_count)
        ),
        Ok(ShareStateResponse::Refused { code, message }) => {
            format!("{code:?} {}", message.unwrap_or("-"))
        }
        Err(code) => format!("failed: {code:?}"),
    };
    writeln!(text, "reply: {shown}").expect("a string");
}
