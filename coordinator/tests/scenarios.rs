//! Conversations with a group coordinator, as text: one file per subject in `scenarios/`.
//!
//! `REWRITE=1 cargo test -p coordinator --test scenarios` writes what the shard answers now into
//! the files; read the difference before believing it. Member ids end in a number instead of a
//! uuid, times are milliseconds since the start.

#[path = "support/answers.rs"]
mod answers;
#[path = "support/consumer_groups.rs"]
mod consumer_groups;
#[path = "support/share_groups.rs"]
mod share_groups;
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use answers::{show_described, show_join, show_offsets};
use bytes::{BufMut, Bytes, BytesMut};
use consumer_groups::{
    assignment_bytes, put_partitions, show_assigned, show_beat, show_consumer_group,
    show_consumer_record,
};
use coordinator::group::record::{GroupRecord, MemberMetadata};
use coordinator::group::{
    ConsumerGroupMigrationPolicy, DeletedTopic, GroupConfig, GroupCoordinatorConfig, GroupRequest,
    GroupResponse,
};
use coordinator::{ReplyTo, RequestMeta, TransactionResult};
use datadriven::TestCase;
use protocol::messages::consumer_group_heartbeat_request::TopicPartitions as OwnedTopic;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::{
    ConsumerGroupHeartbeatRequest, GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest, TopicName, TxnOffsetCommitRequest,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, StrBytes, TopicId};
use share_groups::{
    alter_share_offsets, answer, delete_share_offsets, share_beat, show_command, show_share_record,
    show_share_response,
};
use support::{Runtime, Step};
use uuid::Uuid;

const START: i64 = 1_000_000;

#[test]
fn conversations_go_as_written() {
    datadriven::walk("tests/scenarios", |file| {
        let mut scenario = Scenario::new();
        file.run(|case| scenario.run(case));
    });
}

struct Scenario {
    runtime: Runtime,
    /// Who awaits which reply.
    asked: BTreeMap<ReplyTo, String>,
}

impl Scenario {
    fn new() -> Self {
        let config = GroupCoordinatorConfig::default();
        Scenario {
            runtime: Runtime::new(config),
            asked: BTreeMap::new(),
        }
    }

    fn run(&mut self, case: &mut TestCase) -> String {
        let mut args = Args::of(case);
        let text = match case.directive.as_str() {
            "config" => self.configure(&mut args),
            "advance" => self.advance(&mut args),
            "reload" => {
                let step = self.runtime.reload();
                self.asked.clear();
                self.show(&step)
            }
            "put-back" => {
                let step = self.runtime.put_back();
                self.asked.clear();
                self.show(&step)
            }
            "jump" => {
                let step = self.runtime.jump(args.number("ms", 0));
                self.show(&step)
            }
            "end-transaction" => {
                let producer = args.producer();
                let result = match args.text("result").as_deref() {
                    Some("commit") => TransactionResult::Commit,
                    Some("abort") => TransactionResult::Abort,
                    other => panic!("result={other:?}, expected commit or abort"),
                };
                self.runtime.end_transaction(producer, result);
                String::new()
            }
            "topics" => self.change_topics(&mut args),
            "group-config" => self.configure_group(&mut args),
            "fail-append" => {
                let code = args.number("code", 0i16);
                self.runtime.fail_next_append = ErrorCode::try_from_code(code);
                String::new()
            }
            "answer" => self.answer_command(&mut args),
            request => {
                let (who, meta, request) = args.request(request, &case.input);
                self.ask(who, meta, request)
            }
        };
        args.check_all_used();
        text
    }

    fn ask(&mut self, who: String, meta: RequestMeta, request: GroupRequest) -> String {
        let token = self.asked.keys().next_back().map_or(1, |last| last.0 + 1);
        self.asked.insert(ReplyTo(token), who);
        let step = self.runtime.request(token, meta, request);
        let parked = !step.replies.iter().any(|(reply, _)| reply.0 == token);
        let mut text = self.show(&step);
        if parked {
            text.push_str("waits\n");
        }
        text
    }

    /// The share coordinator answers the first command that it has not answered.
    fn answer_command(&mut self, args: &mut Args) -> String {
        let command = self.runtime.commanded.pop_front();
        let Some(command) = command else {
            return "nothing was asked\n".to_owned();
        };
        let meta = RequestMeta {
            api_version: 0,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
        };
        let request = answer(&command, args.number("code", 0i16));
        self.ask("it".to_owned(), meta, request)
    }

    fn configure(&mut self, args: &mut Args) -> String {
        let config = &mut self.runtime.config;
        let initial = config.group_initial_rebalance_delay_ms;
        config.group_initial_rebalance_delay_ms = args.number("initial-delay", initial);
        config.group_max_size = args.number("max-size", config.group_max_size);
        config.offset_metadata_max_bytes =
            args.number("metadata-max", config.offset_metadata_max_bytes);
        config.offsets_retention_ms = args.number("retention", config.offsets_retention_ms);
        config.offsets_retention_check_interval_ms =
            args.number("check-interval", config.offsets_retention_check_interval_ms);
        let interval = config.group_consumer_assignment_interval_ms;
        config.group_consumer_assignment_interval_ms = args.number("assignment-interval", interval);
        let max_size = config.group_consumer_max_size;
        config.group_consumer_max_size = args.number("consumer-max-size", max_size);
        let max_size = config.group_share_max_size;
        config.group_share_max_size = args.number("share-max-size", max_size);
        let interval = config.group_share_assignment_interval_ms;
        config.group_share_assignment_interval_ms = args.number("share-interval", interval);
        config.group_consumer_migration_policy = match args.text("migration").as_deref() {
            None => config.group_consumer_migration_policy,
            Some("disabled") => ConsumerGroupMigrationPolicy::Disabled,
            Some("upgrade") => ConsumerGroupMigrationPolicy::Upgrade,
            Some("downgrade") => ConsumerGroupMigrationPolicy::Downgrade,
            Some(other) => panic!("migration={other}"),
        };
        config.removal_batch_bytes_max = args.number("batch-bytes", config.removal_batch_bytes_max);
        let step = self.runtime.reload();
        self.show(&step)
    }

    /// `foo=(1,3)` is a topic with the id 1 and three partitions; these are all there are.
    fn change_topics(&mut self, args: &mut Args) -> String {
        let topics: BTreeMap<Arc<str>, (TopicId, i32)> = std::mem::take(&mut args.values)
            .into_iter()
            .map(|(name, values)| {
                let [id, count] = values.as_slice() else {
                    panic!("{name} is not given as (id,partitions)");
                };
                let id = TopicId(Uuid::from_u128(id.parse().expect("an id")));
                (Arc::from(name), (id, count.parse().expect("a count")))
            })
            .collect();
        let before = std::mem::replace(&mut self.runtime.cluster.topics, topics);
        let topics = &self.runtime.cluster.topics;
        let has_new_topics = topics.keys().any(|name| !before.contains_key(name));
        let step = self.runtime.metadata_changed(0, has_new_topics);
        assert!(step.records.is_empty(), "{:?}", step.records);
        String::new()
    }

    fn configure_group(&mut self, args: &mut Args) -> String {
        let mut number = |name: &str| args.text(name).map(|text| text.parse().expect("a number"));
        let config = GroupConfig {
            consumer_session_timeout_ms: number("session"),
            consumer_heartbeat_interval_ms: number("heartbeat"),
            consumer_assignment_interval_ms: number("interval"),
            share_session_timeout_ms: number("share-session"),
            share_heartbeat_interval_ms: number("share-heartbeat"),
            share_assignment_interval_ms: number("share-interval"),
        };
        let group = args.text("group").expect("a group");
        self.runtime.cluster.groups.insert(group, config);
        self.runtime.metadata_changed(0, false);
        String::new()
    }

    fn advance(&mut self, args: &mut Args) -> String {
        let ms = args.number("ms", 0i64);
        let mut text = String::new();
        for (at, step) in self.runtime.advance(ms) {
            let shown = self.show(&step);
            if !shown.is_empty() {
                let _ = writeln!(text, "at {}:", at - START);
                text.push_str(&shown);
            }
        }
        text
    }

    fn show(&mut self, step: &Step) -> String {
        let mut text = String::new();
        let producer = step.producer.map_or(String::new(), |(id, epoch)| {
            format!(" (producer {id} epoch {epoch})")
        });
        for record in &step.records {
            let _ = writeln!(text, "record {}{producer}", show_record(record));
        }
        for (token, reply) in &step.replies {
            let who = self.asked.get(token).cloned().unwrap_or_default();
            let shown = match reply {
                Ok(response) => show_response(response),
                Err(code) => format!("failed {code:?}"),
            };
            let _ = writeln!(text, "reply {who}: {shown}");
        }
        for command in &step.commands {
            let _ = writeln!(text, "command {}", show_command(command));
        }
        text
    }
}

/// The arguments of a directive. Each must be asked for.
struct Args {
    values: BTreeMap<String, Vec<String>>,
}

impl Args {
    fn of(case: &mut TestCase) -> Args {
        let values = std::mem::take(&mut case.args);
        Args {
            values: values.into_iter().collect(),
        }
    }

    fn check_all_used(&self) {
        assert!(
            self.values.is_empty(),
            "unknown arguments: {:?}",
            self.values
        );
    }

    fn list(&mut self, name: &str) -> Option<Vec<String>> {
        self.values.remove(name)
    }

    /// A dash stands for the empty text.
    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.list(name)?.pop()?;
        Some(if value == "-" { String::new() } else { value })
    }

    fn string(&mut self, name: &str) -> Option<StrBytes> {
        self.text(name).map(StrBytes::from_string)
    }

    fn number<N: std::str::FromStr>(&mut self, name: &str, default: N) -> N {
        let Some(text) = self.text(name) else {
            return default;
        };
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    }

    fn member(&mut self) -> StrBytes {
        StrBytes::from_string(
            self.text("member")
                .map_or_else(String::new, |id| long_id(&id)),
        )
    }

    fn group(&mut self) -> GroupId {
        GroupId(self.string("group").unwrap_or_default())
    }

    fn request(&mut self, directive: &str, input: &str) -> (String, RequestMeta, GroupRequest) {
        let who = self.text("as").unwrap_or_else(|| "me".to_owned());
        let client: Arc<str> = Arc::from(self.text("client").unwrap_or_else(|| who.clone()));
        let latest = latest_version(directive);
        let meta = RequestMeta {
            api_version: self.number("v", latest),
            client_id: client,
            client_host: Arc::from("/127.0.0.1"),
        };
        let request = match directive {
            "join" => GroupRequest::JoinGroup(self.join()),
            "sync" => GroupRequest::SyncGroup(self.sync(input)),
            "heartbeat" => GroupRequest::Heartbeat(
                HeartbeatRequest::default()
                    .with_group_id(self.group())
                    .with_member_id(self.member())
                    .with_group_instance_id(self.string("instance"))
                    .with_generation_id(self.number("generation", -1)),
            ),
            "leave" => GroupRequest::LeaveGroup(self.leave()),
            "commit" => GroupRequest::OffsetCommit(self.commit(input)),
            "txn-commit" => GroupRequest::TxnOffsetCommit(self.txn_commit(input)),
            "fetch" => GroupRequest::OffsetFetch {
                group: self.fetch(),
                require_stable: self.list("stable").is_some(),
            },
            "delete-offsets" => GroupRequest::OffsetDelete(self.delete_offsets()),
            "describe" => GroupRequest::DescribeGroup(self.group()),
            "list" => GroupRequest::ListGroups {
                states: strings(self.list("states").unwrap_or_default()),
                types: strings(self.list("types").unwrap_or_default()),
            },
            "delete" => GroupRequest::DeleteGroup(self.group()),
            "beat" => GroupRequest::ConsumerGroupHeartbeat(self.beat(input)),
            "describe-consumer" => GroupRequest::ConsumerGroupDescribe(self.group()),
            "share-beat" => share_beat(self),
            "describe-share" => GroupRequest::ShareGroupDescribe(self.group()),
            "share-partitions" => GroupRequest::SharePartitions(self.group()),
            "alter-share" => alter_share_offsets(self, input),
            "delete-share" => delete_share_offsets(self),
            "topics-deleted" => {
                let id = TopicId(Uuid::from_u128(self.number("id", 0)));
                let names = self.list("topics").unwrap_or_default();
                let deleted = |name: String| DeletedTopic {
                    name: Arc::from(name),
                    id,
                };
                GroupRequest::TopicsDeleted(names.into_iter().map(deleted).collect())
            }
            unknown => panic!("unknown directive {unknown}"),
        };
        (who, meta, request)
    }

    /// With the epoch 0 it is a whole heartbeat, with another one it says what it is told to. The
    /// input is a regular expression.
    fn beat(&mut self, input: &str) -> ConsumerGroupHeartbeatRequest {
        let epoch = self.number("epoch", 0);
        let joins = epoch == 0;
        let owned = self.list("owned").or(joins.then(Vec::new));
        let owned = owned.map(|owned| owned.iter().map(|place| owned_topic(place)).collect());
        let regex = input.lines().next();
        let regex = regex.map(|regex| StrBytes::from_string(regex.to_owned()));
        let names = self.list("topics").map(|names| {
            let names = names.into_iter().filter(|name| name != "-");
            names
                .map(|name| TopicName(StrBytes::from_string(name)))
                .collect()
        });
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group())
            .with_member_id(self.member())
            .with_member_epoch(epoch)
            .with_instance_id(self.string("instance"))
            .with_rack_id(self.string("rack"))
            .with_rebalance_timeout_ms(self.number("rebalance", if joins { 60_000 } else { -1 }))
            .with_subscribed_topic_names(names)
            .with_subscribed_topic_regex(regex)
            .with_server_assignor(self.string("assignor"))
            .with_topic_partitions(owned)
    }

    fn join(&mut self) -> JoinGroupRequest {
        let topics = self.list("topics").unwrap_or_default();
        let metadata = match self.text("metadata") {
            Some(opaque) => Bytes::from(opaque),
            None => subscription(&topics, self.list("owned")),
        };
        let names = self
            .list("protocols")
            .unwrap_or_else(|| vec!["range".to_owned()]);
        let protocols = names.into_iter().map(|name| {
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_string(name))
                .with_metadata(metadata.clone())
        });
        JoinGroupRequest::default()
            .with_group_id(self.group())
            .with_member_id(self.member())
            .with_group_instance_id(self.string("instance"))
            .with_session_timeout_ms(self.number("session", 10_000))
            .with_rebalance_timeout_ms(self.number("rebalance", 60_000))
            .with_protocol_type(self.string("type").unwrap_or_else(|| "consumer".into()))
            .with_reason(self.string("reason"))
            .with_protocols(protocols.collect())
    }

    /// Each line of the input is a member and its assignment.
    fn sync(&mut self, input: &str) -> SyncGroupRequest {
        let assignments = input.lines().filter_map(|line| line.split_once(' '));
        let assignments = assignments.map(|(member, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(StrBytes::from_string(long_id(member)))
                .with_assignment(assignment_bytes(assignment))
        });
        SyncGroupRequest::default()
            .with_group_id(self.group())
            .with_member_id(self.member())
            .with_group_instance_id(self.string("instance"))
            .with_generation_id(self.number("generation", -1))
            .with_protocol_type(self.string("type"))
            .with_protocol_name(self.string("protocol"))
            .with_assignments(assignments.collect())
    }

    fn leave(&mut self) -> LeaveGroupRequest {
        let request = LeaveGroupRequest::default().with_group_id(self.group());
        if let Some(member) = self.text("member") {
            // Version 0 to 2.
            return request.with_member_id(StrBytes::from_string(long_id(&member)));
        }
        let reason = self.string("reason");
        let by_id = self.list("members").unwrap_or_default();
        let by_id = by_id.into_iter().map(|member| {
            let id = StrBytes::from_string(long_id(&member));
            MemberIdentity::default()
                .with_member_id(id)
                .with_reason(reason.clone())
        });
        let by_instance = self.list("instances").unwrap_or_default();
        let by_instance = by_instance.into_iter().map(|instance| {
            MemberIdentity::default()
                .with_group_instance_id(Some(StrBytes::from_string(instance)))
                .with_reason(reason.clone())
        });
        let members = by_id.chain(by_instance).collect();
        request.with_members(members)
    }

    /// Each line of the input is topic, partition, offset, and perhaps leader epoch and metadata.
    fn commit(&mut self, input: &str) -> OffsetCommitRequest {
        let topic_id = Uuid::from_u128(self.number("id", 0));
        let topics = input.lines().map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let number = |index: usize| words.get(index).and_then(|word| word.parse().ok());
            let metadata = words
                .get(4)
                .map(|word| StrBytes::from_string((*word).to_owned()));
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(number(1).unwrap_or(0) as i32)
                .with_committed_offset(number(2).unwrap_or(0))
                .with_committed_leader_epoch(number(3).unwrap_or(-1) as i32)
                .with_committed_metadata(metadata);
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(StrBytes::from_string(words[0].to_owned())))
                .with_topic_id(topic_id)
                .with_partitions(vec![partition])
        });
        OffsetCommitRequest::default()
            .with_topics(topics.collect())
            .with_group_id(self.group())
            .with_member_id(self.member())
            .with_group_instance_id(self.string("instance"))
            .with_generation_id_or_member_epoch(self.number("generation", -1))
            .with_retention_time_ms(self.number("retention", -1))
    }

    fn producer(&mut self) -> (ProducerId, ProducerEpoch) {
        (
            ProducerId(self.number("producer", 0)),
            ProducerEpoch(self.number("epoch", 0)),
        )
    }

    /// As `commit`.
    fn txn_commit(&mut self, input: &str) -> TxnOffsetCommitRequest {
        let (producer_id, producer_epoch) = self.producer();
        let topics = input.lines().map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let number = |index: usize| words.get(index).and_then(|word| word.parse().ok());
            let metadata = words
                .get(4)
                .map(|word| StrBytes::from_string((*word).to_owned()));
            let partition = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(number(1).unwrap_or(0) as i32)
                .with_committed_offset(number(2).unwrap_or(0))
                .with_committed_leader_epoch(number(3).unwrap_or(-1) as i32)
                .with_committed_metadata(metadata);
            TxnOffsetCommitRequestTopic::default()
                .with_name(TopicName(StrBytes::from_string(words[0].to_owned())))
                .with_partitions(vec![partition])
        });
        TxnOffsetCommitRequest::default()
            .with_topics(topics.collect())
            .with_transactional_id(StrBytes::from_static_str("x").into())
            .with_producer_id(producer_id.0.into())
            .with_producer_epoch(producer_epoch.0)
            .with_group_id(self.group())
            .with_member_id(self.member())
            .with_group_instance_id(self.string("instance"))
            .with_generation_id(self.number("generation", -1))
    }

    fn partitions(&mut self) -> Vec<i32> {
        let partitions = self
            .list("partitions")
            .unwrap_or_else(|| vec!["0".to_owned()]);
        partitions
            .iter()
            .map(|partition| partition.parse().expect("a partition"))
            .collect()
    }

    fn fetch(&mut self) -> OffsetFetchRequestGroup {
        let partitions = self.partitions();
        let topic_id = Uuid::from_u128(self.number("id", 0));
        let topics = self.list("topics").map(|names| {
            let topics = names.into_iter().map(|name| {
                OffsetFetchRequestTopics::default()
                    .with_name(TopicName(StrBytes::from_string(name)))
                    .with_topic_id(topic_id)
                    .with_partition_indexes(partitions.clone())
            });
            topics.collect()
        });
        OffsetFetchRequestGroup::default()
            .with_group_id(self.group())
            .with_member_id(self.string("member"))
            .with_member_epoch(self.number("epoch", -1))
            .with_topics(topics)
    }

    fn delete_offsets(&mut self) -> OffsetDeleteRequest {
        let partitions = self.partitions();
        let partitions = partitions
            .into_iter()
            .map(|index| OffsetDeleteRequestPartition::default().with_partition_index(index));
        let partitions: Vec<_> = partitions.collect();
        let topics = self
            .list("topics")
            .unwrap_or_default()
            .into_iter()
            .map(|name| {
                OffsetDeleteRequestTopic::default()
                    .with_name(TopicName(StrBytes::from_string(name)))
                    .with_partitions(partitions.clone())
            });
        OffsetDeleteRequest::default()
            .with_group_id(self.group())
            .with_topics(topics.collect())
    }
}

fn latest_version(directive: &str) -> i16 {
    match directive {
        "join" => 9,
        "sync" => 4,
        "commit" | "fetch" => 10,
        "describe" => 6,
        "beat" | "describe-consumer" => 1,
        _ => 5,
    }
}

/// `1-0` is partition 0 of the topic with the id 1.
fn owned_topic(place: &str) -> OwnedTopic {
    let (id, partition) = place.split_once('-').expect("topic and partition");
    OwnedTopic::default()
        .with_topic_id(Uuid::from_u128(id.parse().expect("an id")))
        .with_partitions(vec![partition.parse().expect("a partition")])
}

fn strings(values: Vec<String>) -> Vec<StrBytes> {
    values.into_iter().map(StrBytes::from_string).collect()
}

/// A consumer's subscription: version 0, or version 1 where it says what it owns.
fn subscription(topics: &[String], owned: Option<Vec<String>>) -> Bytes {
    let mut buffer = BytesMut::new();
    buffer.put_i16(i16::from(owned.is_some()));
    buffer.put_i32(topics.len() as i32);
    for topic in topics {
        buffer.put_i16(topic.len() as i16);
        buffer.put_slice(topic.as_bytes());
    }
    buffer.put_i32(-1);
    if let Some(owned) = owned {
        put_partitions(&mut buffer, owned.iter().map(String::as_str));
    }
    buffer.freeze()
}

const UUID_CHARACTERS: usize = 36;

/// `a-1` stands for `a-00000000-0000-0000-0000-000000000001`; another id stays as it is.
fn long_id(short: &str) -> String {
    match short.rsplit_once('-') {
        Some((stem, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = number.parse().expect("the number of a member");
            format!("{stem}-{}", Uuid::from_u128(number))
        }
        Some(_) | None => short.to_owned(),
    }
}

fn short_id(id: &str) -> String {
    let Some(split) = id.len().checked_sub(UUID_CHARACTERS + 1) else {
        return id.to_owned();
    };
    match id
        .split_at_checked(split)
        .map(|(stem, rest)| (stem, Uuid::parse_str(&rest[1..])))
    {
        Some((stem, Ok(uuid))) => format!("{stem}-{}", uuid.as_u128()),
        Some((_, Err(_))) | None => id.to_owned(),
    }
}

fn show_bytes(bytes: &[u8]) -> String {
    // A subscription is shown by its length, an assignment is text.
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => format!("\"{text}\""),
        Ok(_) | Err(_) => format!("{} bytes", bytes.len()),
    }
}

fn show_record(record: &GroupRecord) -> String {
    match record {
        GroupRecord::OffsetCommit { key, value } => {
            let place = format!("offset {} {}-{}", key.group_id, key.topic, key.partition);
            let Some(value) = value else {
                return format!("{place} tombstone");
            };
            let mut text = format!("{place} = {}", value.offset);
            if let Some(epoch) = value.leader_epoch {
                let _ = write!(text, " epoch={epoch}");
            }
            if !value.metadata.is_empty() {
                let _ = write!(text, " metadata={}", value.metadata);
            }
            if let Some(at) = value.expire_timestamp {
                let _ = write!(text, " expires={}", at.0 - START);
            }
            if !value.topic_id.is_zero() {
                let _ = write!(text, " id={}", value.topic_id.0.as_u128());
            }
            text
        }
        GroupRecord::GroupMetadata { group_id, value } => {
            let Some(value) = value else {
                return format!("group {group_id} tombstone");
            };
            let members: Vec<_> = value.members.iter().map(show_member).collect();
            format!(
                "group {group_id} type={:?} generation={} protocol={} leader={} since={} [{}]",
                value.protocol_type,
                value.generation,
                value.protocol_name.as_deref().unwrap_or("null"),
                value.leader.as_deref().map_or("null".to_owned(), short_id),
                value.state_timestamp.map_or(-1, |at| at.0 - START),
                members.join(", ")
            )
        }
        GroupRecord::ConsumerGroup(record) => show_consumer_record(record),
        GroupRecord::ShareGroup(record) => show_share_record(record),
    }
}

fn show_member(member: &MemberMetadata) -> String {
    let instance = member.instance_id.as_deref();
    let instance = instance.map_or(String::new(), |instance| format!(" instance={instance}"));
    format!(
        "{}{instance} session={} rebalance={} assignment={}",
        short_id(&member.member_id),
        member.session_timeout_ms,
        member.rebalance_timeout_ms,
        show_assignment(&member.assignment)
    )
}

fn show_assignment(bytes: &[u8]) -> String {
    show_assigned(bytes).unwrap_or_else(|| show_bytes(bytes))
}

fn code_name(code: i16) -> String {
    ErrorCode::try_from_code(code).map_or_else(|| "ok".to_owned(), |code| format!("{code:?}"))
}

fn show_text(text: Option<&StrBytes>) -> &str {
    text.map_or("null", |text| text.as_str())
}

fn show_response(response: &GroupResponse) -> String {
    if let Some(text) = show_share_response(response) {
        return text;
    }
    match response {
        GroupResponse::JoinGroup(response) => show_join(response),
        GroupResponse::SyncGroup(response) => format!(
            "sync {} type={} protocol={} assignment={}",
            code_name(response.error_code),
            show_text(response.protocol_type.as_ref()),
            show_text(response.protocol_name.as_ref()),
            show_assignment(&response.assignment)
        ),
        GroupResponse::Heartbeat(response) => {
            format!("heartbeat {}", code_name(response.error_code))
        }
        GroupResponse::LeaveGroup(response) => {
            let members = response.members.iter().map(|member| {
                let instance = member.group_instance_id.as_ref();
                let instance = instance.map_or(String::new(), |id| format!("/{id}"));
                let id = short_id(&member.member_id);
                format!(" {id}{instance}={}", code_name(member.error_code))
            });
            format!(
                "leave {}{}",
                code_name(response.error_code),
                members.collect::<String>()
            )
        }
        GroupResponse::OffsetCommit(_)
        | GroupResponse::TxnOffsetCommit(_)
        | GroupResponse::OffsetFetch(_)
        | GroupResponse::OffsetDelete(_) => show_offsets(response),
        GroupResponse::DescribeGroup(group) => show_described(group),
        GroupResponse::ListGroups(groups) => {
            let groups = groups.iter().map(|group| {
                let name = group.group_id.as_str();
                let (state, group_type) = (&group.group_state, &group.group_type);
                format!(
                    " {name}={state}/{:?}/{group_type}",
                    group.protocol_type.as_str()
                )
            });
            format!("list{}", groups.collect::<String>())
        }
        GroupResponse::DeleteGroup(result) => format!("delete {}", code_name(result.error_code)),
        GroupResponse::TopicsDeleted => "topics deleted".to_owned(),
        GroupResponse::MetadataChanged => "metadata changed".to_owned(),
        GroupResponse::Counts(counts) => format!("{counts:?}"),
        GroupResponse::ShareGroupHeartbeat(_)
        | GroupResponse::ShareGroupDescribe(_)
        | GroupResponse::SharePartitions(_)
        | GroupResponse::AlterShareGroupOffsets(_)
        | GroupResponse::DeleteShareGroupOffsets(_)
        | GroupResponse::ShareStateChanged => unreachable!("shown above"),
        GroupResponse::ConsumerGroupHeartbeat(response) => show_beat(response),
        GroupResponse::ConsumerGroupDescribe(group) => show_consumer_group(group),
    }
}
