//! Killed at every single write of share state and of the group's own records: what was answered
//! as accepted or rejected never comes back, and nothing else is lost.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequest, GroupId, IncrementalAlterConfigsRequest,
    ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupHeartbeatRequest,
};
use serde_json::{Value, json};
use support::requests::{batch, checked, text, topic_name};
use support::shares::{ACCEPT, Acquired, Member, REJECT, RELEASE, acquired};
use support::{Node, Start, eventually};
use uuid::Uuid;

const TOPIC: &str = "t";
const GROUP_CONFIG: i8 = 32;
const STATE_LOG: &str = "^__share_group_state-0/.*\\.log$";
const BOTH_LOGS: &str = "^(__share_group_state|__consumer_offsets)-0/.*\\.log$";
/// The member's epoch that says that it leaves.
const LEAVES: i32 = -1;

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path())
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with("offsets.topic.num.partitions", 1)
        .with("share.coordinator.state.topic.num.partitions", 1)
        // A snapshot lies among the writes of each round.
        .with("share.coordinator.snapshot.update.records.per.snapshot", 3)
        // Only a moved clock has them done: this is when.
        .with("share.coordinator.state.topic.prune.interval.ms", 3_600_000)
        .with(
            "share.coordinator.cold.partition.snapshot.interval.ms",
            3_600_000,
        )
}

fn set_crash(node: &Node, point: &Value) {
    assert_eq!(node.http().post("/v1/crash", point).status, 201, "{point}");
}

fn only_expected_complaints(node: &Node, context: &str) {
    let complaints = node.complaints();
    let is_expected = complaints.iter().all(|line| line.contains("torn tail"));
    assert!(is_expected, "{context}: {complaints:?}");
}

/// Why a step of a round has no answer.
#[derive(Debug)]
enum Broken {
    /// The broker is gone.
    Killed,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Broken {
        Broken::Killed
    }
}

/// The record's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has to come, for the how many-th time.
    Due(i16),
    /// The answer was lost: it may come, for the how many-th time at most.
    Unknown(i16),
    /// It must never come again.
    Done,
}

/// A member of a group, and what is known of every record of the group's topic.
struct Group {
    name: String,
    topic: Uuid,
    fates: BTreeMap<i64, Fate>,
    members: usize,
    member: Member,
    member_epoch: i32,
}

impl Group {
    /// A group that begins at the first record, of `records`.
    fn new(node: &Node, name: &str, records: i64) -> Group {
        let mut client = node.client();
        client.find_coordinator(name);
        let config = AlterableConfig::default()
            .with_name(text("share.auto.offset.reset"))
            .with_value(Some(text("earliest")));
        let resource = AlterConfigsResource::default()
            .with_resource_type(GROUP_CONFIG)
            .with_resource_name(text(name))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(client.ask(1, request).responses[0].error_code, 0);
        let topic = client.topic(TOPIC).topic_id;
        Group {
            name: name.to_owned(),
            topic,
            fates: (0..records).map(|offset| (offset, Fate::Due(1))).collect(),
            members: 0,
            member: Member::new(node.address(), "nobody", topic),
            member_epoch: 0,
        }
    }

    /// Records in batches of their own.
    fn produce(&mut self, node: &Node, count: usize) {
        let mut client = node.client();
        for _ in 0..count {
            let offset = client.produce(TOPIC, 0, batch(&["value"])).unwrap();
            self.fates.insert(offset, Fate::Due(1));
        }
    }

    fn heartbeat(&mut self) -> io::Result<Result<bool, ErrorCode>> {
        let topics = vec![topic_name(TOPIC)];
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.name)))
            .with_member_id(text(&self.member.id))
            .with_member_epoch(self.member_epoch)
            .with_subscribed_topic_names((self.member_epoch == 0).then_some(topics));
        let answer = self.member.client.try_ask(1, request)?;
        Ok(checked(answer.error_code).map(|()| {
            self.member_epoch = answer.member_epoch;
            let assigned = answer.assignment.unwrap_or_default().topic_partitions;
            !assigned.is_empty()
        }))
    }

    /// A new member, which has the partition.
    fn join(&mut self, node: &Node) -> Result<(), Broken> {
        self.members += 1;
        let id = format!("{}-member-{}", self.name, self.members);
        self.member = Member::new(node.address(), &id, self.topic);
        self.member.group.clone_from(&self.name);
        self.member_epoch = 0;
        eventually("an assignment", || match self.heartbeat() {
            Err(error) => Some(Err(error.into())),
            Ok(Ok(true)) => Some(Ok(())),
            Ok(Ok(false)) => {
                std::thread::sleep(Duration::from_millis(10));
                None
            }
            Ok(Err(code)) => {
                assert!(is_passing(code), "{id} cannot join: {code:?}");
                None
            }
        })
    }

    fn leave(&mut self) -> Result<(), Broken> {
        self.member_epoch = LEAVES;
        self.heartbeat()?.unwrap();
        Ok(())
    }

    fn fetch(&mut self, wait_ms: i32) -> Result<Vec<Acquired>, Broken> {
        let request = self.member.request(wait_ms, &[]);
        let answer = self.member.client.try_ask(2, request)?;
        assert_eq!(answer.error_code, 0, "{answer:?}");
        self.member.epoch += 1;
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        Ok(partitions.flat_map(acquired).collect())
    }

    /// Fetches all that is there, and holds it against what must be; the offsets with their counts.
    fn take(&mut self, context: &str) -> Result<BTreeMap<i64, i16>, Broken> {
        let mut taken = BTreeMap::new();
        eventually("all that is due", || {
            let fetched = match self.fetch(20) {
                Ok(fetched) => fetched,
                Err(broken) => return Some(Err(broken)),
            };
            let is_empty = fetched.is_empty();
            for (first, last, count) in fetched {
                for offset in first..=last {
                    let before = taken.insert(offset, count);
                    assert_eq!(before, None, "{offset} twice, {context}");
                }
            }
            let is_missing = |(offset, fate): (&i64, &Fate)| {
                matches!(fate, Fate::Due(_)) && !taken.contains_key(offset)
            };
            let is_all = is_empty && !self.fates.iter().any(is_missing);
            is_all.then_some(Ok(()))
        })?;
        for (offset, count) in &taken {
            match self.fates[offset] {
                Fate::Due(due) => assert_eq!(*count, due, "{offset}, {context}"),
                Fate::Unknown(most) => assert!(*count <= most, "{offset}: {count}, {context}"),
                Fate::Done => panic!("{offset} came back, {context}"),
            }
        }
        for (offset, fate) in &mut self.fates {
            // What does not come was ended, though that was not answered: for good.
            *fate = taken
                .get(offset)
                .map_or(Fate::Done, |count| Fate::Due(*count));
        }
        Ok(taken)
    }

    /// Says something of a record, by itself or with a fetch.
    fn say(&mut self, offset: i64, word: i8, by_fetch: bool) -> Result<(), Broken> {
        let answered = if by_fetch {
            let request = self.member.request(0, &[(offset, offset, &[word])]);
            self.said_by_fetch(request)?
        } else {
            self.acknowledge(offset, word)?
        };
        answered.unwrap();
        self.member.epoch += 1;
        Ok(())
    }

    fn said_by_fetch(
        &mut self,
        request: ShareFetchRequest,
    ) -> Result<Result<(), ErrorCode>, Broken> {
        let answer = self.member.client.try_ask(2, request)?;
        checked(answer.error_code).unwrap();
        let partition = &answer.responses[0].partitions[0];
        assert!(acquired(partition).is_empty(), "{partition:?}");
        Ok(checked(partition.acknowledge_error_code))
    }

    fn acknowledge(&mut self, offset: i64, word: i8) -> Result<Result<(), ErrorCode>, Broken> {
        let said = AcknowledgementBatch::default()
            .with_first_offset(offset)
            .with_last_offset(offset)
            .with_acknowledge_types(vec![word]);
        let partition = AcknowledgePartition::default().with_acknowledgement_batches(vec![said]);
        let topic = AcknowledgeTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(vec![partition]);
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(&self.name))))
            .with_member_id(Some(text(&self.member.id)))
            .with_share_session_epoch(self.member.epoch)
            .with_topics(vec![topic]);
        let answer = self.member.client.try_ask(2, request)?;
        checked(answer.error_code).unwrap();
        Ok(checked(answer.responses[0].partitions[0].error_code))
    }

    /// Says one word after the other of the records that are held, each by a request of its own.
    fn say_all(
        &mut self,
        taken: &BTreeMap<i64, i16>,
        words: &[i8],
        by_fetch: bool,
    ) -> Result<(), Broken> {
        for ((offset, count), word) in taken.iter().zip(words.iter().cycle()) {
            let next = count + i16::from(*word == RELEASE);
            self.fates.insert(*offset, Fate::Unknown(next));
            self.say(*offset, *word, by_fetch)?;
            let is_released = *word == RELEASE;
            let fate = if is_released {
                Fate::Due(next)
            } else {
                Fate::Done
            };
            self.fates.insert(*offset, fate);
        }
        Ok(())
    }

    /// Ends all that is there, so that nothing is left for the group.
    fn finish(&mut self, context: &str) {
        let taken = self.take(context).unwrap();
        self.say_all(&taken, &[ACCEPT], false).unwrap();
        assert!(self.fates.values().all(|fate| *fate == Fate::Done));
        self.leave().unwrap();
    }

    /// The start offset that the group's coordinator tells.
    fn start_offset(&self, node: &Node) -> i64 {
        let topic = DescribeShareGroupOffsetsRequestTopic::default()
            .with_topic_name(topic_name(TOPIC))
            .with_partitions(vec![0]);
        let group = DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text(&self.name)))
            .with_topics(Some(vec![topic]));
        let mut client = node.client();
        eventually("a start offset", || {
            let request =
                DescribeShareGroupOffsetsRequest::default().with_groups(vec![group.clone()]);
            let answer = client.ask(1, request).groups.remove(0);
            checked(answer.error_code).ok()?;
            let partition = &answer.topics[0].partitions[0];
            checked(partition.error_code).ok()?;
            Some(partition.start_offset)
        })
    }
}

/// What a coordinator says while it loads.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
    )
}

/// Every step: `work` is done with each place to be killed at, until it comes to its end. The
/// rounds are numbered from 1; gives back how many were killed.
fn at_each_write(
    start: &Start,
    mut node: Node,
    path: &str,
    mut work: impl FnMut(&Node, usize, &Value) -> Result<(), Broken>,
    mut check: impl FnMut(&Node, usize, &str),
) -> (Node, usize) {
    let (mut round, mut killed) = (0, 0);
    for when in ["before", "halfway", "after"] {
        for count in 1.. {
            round += 1;
            let step = json!({"when": when, "operation": "write", "path": path, "count": count});
            let is_killed = work(&node, round, &step).is_err();
            if is_killed {
                eventually("the end of the broker", || {
                    (!node.is_running()).then_some(())
                });
                // Dropped first: two nodes cannot have one folder.
                drop(node);
                node = start.ready();
                killed += 1;
            } else {
                node.http().delete("/v1/crash").ok();
            }
            check(&node, round, &step.to_string());
            only_expected_complaints(&node, &step.to_string());
            if !is_killed {
                break;
            }
        }
    }
    (node, killed)
}

fn acknowledgements(words: &[i8], by_fetch: bool) {
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let node = start.ready();
    node.client().create(TOPIC, 1, &[]);
    let group = std::cell::RefCell::new(Group::new(&node, "g", 0));
    let work = |node: &Node, _: usize, step: &Value| {
        let mut group = group.borrow_mut();
        group.produce(node, words.len());
        group.join(node).unwrap();
        let taken = group.take(&step.to_string()).unwrap();
        assert_eq!(taken.len(), words.len());
        set_crash(node, step);
        group.say_all(&taken, words, by_fetch)
    };
    let check = |node: &Node, _: usize, context: &str| {
        let mut group = group.borrow_mut();
        group.join(node).unwrap();
        group.finish(context);
    };
    let (node, killed) = at_each_write(&start, node, STATE_LOG, work, check);
    // One write for each of them.
    assert_eq!(killed, 3 * words.len());
    node.stop();
}

#[test]
fn acknowledgements_hold_at_whichever_write_of_their_state_the_broker_is_killed() {
    acknowledgements(
        &[ACCEPT, RELEASE, REJECT, ACCEPT, RELEASE, ACCEPT, REJECT],
        false,
    );
}

#[test]
fn acknowledgements_in_fetches_hold_at_whichever_write_the_broker_is_killed() {
    acknowledgements(&[REJECT, ACCEPT, ACCEPT, REJECT], true);
}

#[test]
fn a_group_begins_whole_at_whichever_write_the_broker_is_killed() {
    const RECORDS: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let node = start.ready();
    node.client().create(TOPIC, 1, &[]);
    Group::new(&node, "first", 0).produce(&node, RECORDS);
    let groups = std::cell::RefCell::new(BTreeMap::new());
    let work = |node: &Node, round: usize, step: &Value| {
        let group = Group::new(node, &format!("group-{round}"), RECORDS as i64);
        let mut groups = groups.borrow_mut();
        let group = groups.entry(round).or_insert(group);
        set_crash(node, step);
        group.join(node)?;
        let taken = group.take(&step.to_string())?;
        group.say_all(&taken, &[ACCEPT, RELEASE], false)?;
        group.leave()
    };
    let check = |node: &Node, round: usize, context: &str| {
        let mut groups = groups.borrow_mut();
        let group = groups.get_mut(&round).unwrap();
        group.join(node).unwrap();
        group.finish(context);
    };
    let (mut node, killed) = at_each_write(&start, node, BOTH_LOGS, work, check);
    // The member, the state's beginning, its records and its end are written.
    assert!(killed >= 3 * (RECORDS + 3), "{killed}");
    println!("killed {killed} times");
    // None of the groups of before has anything left, whatever was killed since.
    node.kill();
    node = start.ready();
    for group in groups.borrow_mut().values_mut() {
        group.join(&node).unwrap();
        assert_eq!(group.take("at the end").unwrap(), BTreeMap::new());
        group.leave().unwrap();
    }
    node.stop();
}

/// Changes of the group's offsets that an administrator asks for.
#[derive(Clone, Copy, Debug)]
enum Change {
    Alter,
    DeleteOffsets,
    DeleteGroup,
}

impl Change {
    fn ask(self, node: &Node, group: &str) -> io::Result<Result<(), ErrorCode>> {
        let mut client = node.client();
        let group = GroupId(text(group));
        match self {
            Change::Alter => {
                let partition = AlterShareGroupOffsetsRequestPartition::default()
                    .with_partition_index(0)
                    .with_start_offset(ALTERED);
                let topic = AlterShareGroupOffsetsRequestTopic::default()
                    .with_topic_name(topic_name(TOPIC))
                    .with_partitions(vec![partition]);
                let request = AlterShareGroupOffsetsRequest::default()
                    .with_group_id(group)
                    .with_topics(vec![topic]);
                let answer = client.try_ask(0, request)?;
                let code = answer
                    .responses
                    .first()
                    .map(|it| it.partitions[0].error_code);
                Ok(checked(answer.error_code).and_then(|()| checked(code.unwrap())))
            }
            Change::DeleteOffsets => {
                let topic = DeleteShareGroupOffsetsRequestTopic::default()
                    .with_topic_name(topic_name(TOPIC));
                let request = DeleteShareGroupOffsetsRequest::default()
                    .with_group_id(group)
                    .with_topics(vec![topic]);
                let answer = client.try_ask(0, request)?;
                let code = answer.responses.first().map_or(0, |it| it.error_code);
                Ok(checked(answer.error_code).and_then(|()| checked(code)))
            }
            Change::DeleteGroup => {
                let request = DeleteGroupsRequest::default().with_groups_names(vec![group]);
                let answer = client.try_ask(2, request)?;
                Ok(checked(answer.results[0].error_code))
            }
        }
    }

    /// Asks until that is done, or the broker gone. What is asked again may be done already.
    fn make(self, node: &Node, group: &str, is_again: bool) -> Result<(), Broken> {
        eventually("the change", || match self.ask(node, group) {
            Err(error) => Some(Err(error.into())),
            Ok(Ok(())) => Some(Ok(())),
            Ok(Err(ErrorCode::GroupIdNotFound | ErrorCode::UnknownTopicOrPartition))
                if is_again =>
            {
                Some(Ok(()))
            }
            Ok(Err(code)) => {
                assert!(is_passing(code), "{self:?}: {code:?}");
                None
            }
        })
    }
}

/// Where the group is put.
const ALTERED: i64 = 1;

#[test]
fn changes_of_offsets_are_whole_at_whichever_write_the_broker_is_killed() {
    const RECORDS: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let mut node = start.ready();
    node.client().create(TOPIC, 1, &[]);
    Group::new(&node, "first", 0).produce(&node, RECORDS);
    for change in [Change::Alter, Change::DeleteOffsets, Change::DeleteGroup] {
        let groups = std::cell::RefCell::new(BTreeMap::new());
        let work = |node: &Node, round: usize, step: &Value| {
            let mut groups = groups.borrow_mut();
            let group = Group::new(node, &format!("{change:?}-{round}"), RECORDS as i64);
            let (group, is_answered) = groups.entry(round).or_insert((group, false));
            group.join(node).unwrap();
            group.finish("before the change");
            set_crash(node, step);
            change.make(node, &group.name, false)?;
            *is_answered = true;
            Ok(())
        };
        let check = |node: &Node, round: usize, context: &str| {
            let mut groups = groups.borrow_mut();
            let (group, is_answered) = groups.get_mut(&round).unwrap();
            if !*is_answered {
                change.make(node, &group.name, true).unwrap();
            }
            let from = match change {
                Change::Alter => {
                    assert_eq!(group.start_offset(node), ALTERED, "{context}");
                    ALTERED
                }
                Change::DeleteOffsets | Change::DeleteGroup => 0,
            };
            for (_, fate) in group.fates.range_mut(from..) {
                *fate = Fate::Due(1);
            }
            group.join(node).unwrap();
            group.finish(context);
        };
        let killed;
        (node, killed) = at_each_write(&start, node, BOTH_LOGS, work, check);
        println!("{change:?}: killed {killed} times");
        assert!(killed >= 3, "{change:?}: {killed}");
    }
    node.stop();
}

#[test]
fn a_state_is_the_same_at_whichever_step_of_its_pruning_the_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let start = start(&folder);
    let mut node = start.ready();
    node.client().create(TOPIC, 1, &[]);
    let mut group = Group::new(&node, "g", 0);
    let mut idle = Group::new(&node, "idle", 0);
    let mut steps = BTreeMap::new();
    let mut rounds = 0;
    for (when, operation) in [("before", "any"), ("halfway", "write"), ("after", "any")] {
        for count in 1.. {
            let step = json!({"when": when, "operation": operation,
                "path": "^__share_group_state-0/|log-start-offset", "count": count});
            let context = step.to_string();
            group.produce(&node, 3);
            idle.fates
                .extend(group.fates.keys().map(|offset| (*offset, Fate::Due(1))));
            group.join(&node).unwrap();
            let taken = group.take(&context).unwrap();
            group
                .say_all(&taken, &[ACCEPT, RELEASE, REJECT], false)
                .unwrap();
            group.leave().unwrap();
            // A start puts the clock back to the system's: each time it goes farther than before.
            rounds += 1;
            set_crash(&node, &step);
            let later = json!({"reset": true, "advance_ms": 4_000_000 * rounds});
            // All that is due is done when this is answered: snapshots first, then what they spare.
            let is_killed = !(node.http().try_post("/v1/clock", &later)
                && node
                    .http()
                    .try_post("/v1/clock", &json!({"advance_ms": 4_000_000})));
            if is_killed {
                eventually("the end of the broker", || {
                    (!node.is_running()).then_some(())
                });
                drop(node);
                node = start.ready();
                *steps.entry(when).or_insert(0) += 1;
            } else {
                node.http().delete("/v1/crash").ok();
            }
            group.join(&node).unwrap();
            group.finish(&context);
            only_expected_complaints(&node, &context);
            if !is_killed {
                break;
            }
        }
    }
    println!("steps: {steps:?}");
    assert!(
        steps["before"] >= 2 && steps["after"] >= 2 && steps["halfway"] >= 1,
        "{steps:?}"
    );
    idle.join(&node).unwrap();
    idle.finish("the group that begins late");
    node.stop();
}
