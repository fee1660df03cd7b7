//! What upstream 4.3.1 answered and wrote into `__share_group_state`.
//!
//! `fixtures/upstream-4.3.1.txt` was recorded of a live broker with share.version 1, two partitions
//! of the state topic, a snapshot every 4 updates and one for its age every 20 seconds: stock
//! console share consumers (`shoppers`) accepted, released and rejected, and the group `raw` sent
//! what the lines `ask` say. Then a topic was deleted. `log` is the whole log, `end` what was
//! answered at the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use coordinator::share_state::record::Decoded;
use coordinator::share_state::{
    SharePartitionKey, ShareStateChange, ShareStateConfig, ShareStateRecord, ShareStateRequest,
    ShareStateResponse, ShareStateShard, StateBatch, StateEpoch,
};
use coordinator::{Event, Loaded, RecordMeta, ReplyTo, RequestMeta, Shard};
use protocol::{LeaderEpoch, Offset, Timestamp, TopicId};

use crate::runtime::Topics;

const UPSTREAM: &str = include_str!("fixtures/upstream-4.3.1.txt");
const STATE_PARTITIONS: i32 = 2;

fn lines(kind: &'static str) -> impl Iterator<Item = &'static str> {
    UPSTREAM.lines().filter_map(move |line| {
        let (first, rest) = line.split_once(' ')?;
        (first == kind).then_some(rest)
    })
}

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).expect("a hex digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A record of the log: partition, offset, key and value.
struct Logged {
    partition: i32,
    offset: Offset,
    key: Bytes,
    value: Option<Bytes>,
}

impl Logged {
    fn decode(&self) -> ShareStateRecord {
        match ShareStateRecord::decode(&self.key, self.value.as_ref()) {
            Ok(Decoded::Record(record)) => record,
            other => panic!("{}: {other:?}", self.offset),
        }
    }
}

fn log() -> impl Iterator<Item = Logged> {
    lines("log").map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        Logged {
            partition: words[0].parse().expect("a partition"),
            offset: Offset(words[1].parse().expect("an offset")),
            key: from_hex(words[2]),
            value: (words[3] != "-").then(|| from_hex(words[3])),
        }
    })
}

fn topics() -> BTreeMap<&'static str, TopicId> {
    lines("topic")
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            (words[0], words[1].parse().expect("a topic id"))
        })
        .collect()
}

fn shard(deleted: bool) -> ShareStateShard {
    let known = Topics::default();
    for (name, id) in topics() {
        if name != "gone" || !deleted {
            known.put(id, 2);
        }
    }
    let config = ShareStateConfig {
        snapshot_update_records_per_snapshot: 4,
        ..ShareStateConfig::default()
    };
    ShareStateShard::new(config, Arc::new(known))
}

fn ask(
    shard: &mut ShareStateShard,
    now: Timestamp,
    request: ShareStateRequest,
) -> (Vec<ShareStateRecord>, ShareStateResponse) {
    let meta = RequestMeta {
        api_version: 0,
        client_id: Arc::from("client"),
        client_host: Arc::from("/127.0.0.1"),
    };
    let token = ReplyTo(1);
    let output = shard.handle(
        now,
        Event::Request {
            token,
            meta,
            request,
        },
    );
    let mut replies = output.replies.into_iter();
    let (_, reply) = replies.next().expect("an answer");
    (output.records, reply.expect("it did not fail as a whole"))
}

/// An answer as the fixture has it.
fn shown(response: &ShareStateResponse) -> String {
    match response {
        ShareStateResponse::Done => "0".to_owned(),
        ShareStateResponse::Read {
            state_epoch,
            start_offset,
            batches,
        } => {
            let start = start_offset.map_or(-1, |offset| offset.0);
            let shown: Vec<_> = batches
                .iter()
                .map(|it| {
                    let (first, last) = (it.first_offset, it.last_offset);
                    format!("{first}-{last}:{}:{}", it.delivery_state, it.delivery_count)
                })
                .collect();
            let shown = match shown.join(",") {
                none if none.is_empty() => "-".to_owned(),
                some => some,
            };
            format!("0 se={state_epoch} so={start} batches={shown}")
        }
        ShareStateResponse::Summary {
            state_epoch,
            leader_epoch,
            start_offset,
            delivery_complete_count,
        } => {
            let start = start_offset.map_or(-1, |offset| offset.0);
            let count = delivery_complete_count.unwrap_or(-1);
            format!("0 se={state_epoch} le={leader_epoch} so={start} dcc={count}")
        }
        ShareStateResponse::Refused { code, .. } => code.code().to_string(),
    }
}

/// `name=value` words.
struct Args(BTreeMap<&'static str, &'static str>);

impl Args {
    fn of(words: &[&'static str]) -> Args {
        Args(words.iter().filter_map(|it| it.split_once('=')).collect())
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> N {
        let text = self.0.get(name).copied().expect(name);
        text.parse().ok().expect(name)
    }

    fn offset(&self) -> Option<Offset> {
        Some(self.number("so")).filter(|it| *it != -1).map(Offset)
    }

    fn batches(&self) -> Vec<StateBatch> {
        let text = self.0.get("batches").copied().expect("batches");
        let batch = |text: &str| {
            let (offsets, rest) = text.split_once(':').expect("offsets");
            let (state, count) = rest.split_once(':').expect("state and count");
            // The first offset may be negative.
            let dash = offsets[1..].find('-').expect("first and last") + 1;
            StateBatch {
                first_offset: Offset(offsets[..dash].parse().expect("first")),
                last_offset: Offset(offsets[dash + 1..].parse().expect("last")),
                delivery_state: state.parse().expect("a state"),
                delivery_count: count.parse().expect("a count"),
            }
        };
        let some = Some(text).filter(|text| *text != "-");
        some.map_or_else(Vec::new, |text| text.split(',').map(batch).collect())
    }
}

fn request(line: &'static str, topic_id: TopicId) -> ShareStateRequest {
    let words: Vec<_> = line.split(' ').collect();
    let args = Args::of(&words[2..]);
    let key = SharePartitionKey {
        group_id: Arc::from("raw"),
        topic_id,
        partition: words[1].parse().expect("a partition"),
    };
    match words[0] {
        "init" => ShareStateRequest::Initialize {
            key,
            state_epoch: StateEpoch(args.number("se")),
            start_offset: args.offset(),
        },
        "read" => ShareStateRequest::Read {
            key,
            leader_epoch: LeaderEpoch(args.number("le")),
        },
        "write" => ShareStateRequest::Write {
            key,
            state_epoch: StateEpoch(args.number("se")),
            leader_epoch: LeaderEpoch(args.number("le")),
            start_offset: args.offset(),
            delivery_complete_count: Some(args.number("dcc")).filter(|it| *it != -1),
            batches: args.batches(),
        },
        "delete" => ShareStateRequest::Delete { key },
        "summary" => ShareStateRequest::ReadSummary { key },
        other => panic!("{other}"),
    }
}

#[test]
fn what_upstream_wrote_is_what_we_write() {
    let (mut snapshots, mut updates, mut removed) = (0, 0, 0);
    for logged in log() {
        let record = logged.decode();
        assert_eq!(
            record.key.state_partition(STATE_PARTITIONS),
            logged.partition
        );
        match record.change {
            ShareStateChange::Snapshot(_) => snapshots += 1,
            ShareStateChange::Update(_) => updates += 1,
            ShareStateChange::Removed => removed += 1,
        }
        let (key, value) = record.encode().expect("it was written before");
        assert_eq!((key, value), (logged.key, logged.value));
    }
    assert!(snapshots > 20 && updates > 50 && removed > 1);
}

#[test]
fn the_log_of_upstream_makes_the_state_that_upstream_answered() {
    let mut shards: Vec<_> = (0..STATE_PARTITIONS).map(|_| shard(true)).collect();
    for logged in log() {
        let meta = RecordMeta {
            offset: logged.offset,
            producer: None,
        };
        let shard = &mut shards[logged.partition as usize];
        shard.replay(meta, &logged.decode());
    }
    for shard in &mut shards {
        shard.handle(Timestamp(0), Event::Loaded(Loaded::GoesOn));
    }
    let mut asked = 0;
    for line in lines("end") {
        let words: Vec<_> = line.splitn(5, ' ').collect();
        let key = SharePartitionKey {
            group_id: Arc::from(words[0]),
            topic_id: words[1].parse().expect("a topic id"),
            partition: words[2].parse().expect("a partition"),
        };
        let shard = &mut shards[key.state_partition(STATE_PARTITIONS) as usize];
        let request = if words[3] == "summary" {
            ShareStateRequest::ReadSummary { key }
        } else {
            let leader_epoch = LeaderEpoch::NONE;
            ShareStateRequest::Read { key, leader_epoch }
        };
        let (records, response) = ask(shard, Timestamp(0), request);
        assert_eq!(records, []);
        assert_eq!(shown(&response), words[4], "{line}");
        asked += 1;
    }
    assert!(asked >= 12);
}

#[test]
fn asked_as_upstream_was_we_answer_and_write_as_upstream_did() {
    let mut shards: Vec<_> = (0..STATE_PARTITIONS).map(|_| shard(false)).collect();
    let mut written: Vec<VecDeque<Logged>> = (0..STATE_PARTITIONS)
        .map(|partition| {
            log()
                .filter(|it| it.partition == partition && &*it.decode().key.group_id == "raw")
                .collect()
        })
        .collect();
    let topic_id = topics()["u"];
    for line in lines("ask") {
        let (asked, answered) = line.split_once(" = ").expect("an answer");
        let request = request(asked, topic_id);
        let index = request
            .key()
            .expect("about one")
            .state_partition(STATE_PARTITIONS) as usize;
        // Upstream's clock is in the snapshot that it wrote.
        let now = match written[index].front().map(|it| it.decode().change) {
            Some(ShareStateChange::Snapshot(state)) => state.create_timestamp,
            _ => Timestamp(0),
        };
        let (records, response) = ask(&mut shards[index], now, request);
        assert_eq!(shown(&response), answered, "{line}");
        for record in records {
            let expected = written[index].pop_front().expect("upstream wrote one");
            assert_eq!(record, expected.decode(), "{line}");
            let encoded = record.encode().expect("it fits");
            assert_eq!(encoded, (expected.key, expected.value), "{line}");
            let meta = RecordMeta {
                offset: expected.offset,
                producer: None,
            };
            shards[index].replay(meta, &record);
        }
    }
    // What is left was written for its age.
    for logged in written.into_iter().flatten() {
        let ShareStateChange::Snapshot(state) = logged.decode().change else {
            panic!("nobody asked for the record at {}", logged.offset);
        };
        assert_ne!(state.create_timestamp, state.write_timestamp);
    }
}
