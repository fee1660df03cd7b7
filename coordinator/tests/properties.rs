//! Properties that hold whatever happens to a group coordinator.

// Not every test uses all of it.
#[allow(dead_code)]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coordinator::group::record::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use coordinator::group::{DeletedTopic, GroupCoordinatorConfig, GroupRequest, GroupResponse};
use coordinator::{ReplyTo, RequestMeta, TransactionResult};
use proptest::prelude::*;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest,
    OffsetDeleteRequest, SyncGroupRequest, TopicName, TxnOffsetCommitRequest,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, StrBytes, Timestamp, TopicId};
use support::{Runtime, Step};
use uuid::Uuid;

/// Something that may happen.
#[derive(Clone, Debug)]
enum Action {
    Ask(Ask),
    EndTransaction { producer: i64, committed: bool },
    Advance { ms: i64 },
    FailNextAppend { code: ErrorCode },
    Reload,
    PutBack,
    Jump { ms: i64 },
}

/// What clients ask. They are few, so that they meet.
#[derive(Clone, Debug)]
enum Ask {
    Join {
        client: usize,
        group: usize,
        is_static: bool,
        old_client: bool,
        protocols: usize,
    },
    Sync {
        client: usize,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
        from_outside: bool,
        topic: usize,
        retention: bool,
    },
    TxnCommit {
        producer: i64,
        group: usize,
        topic: usize,
    },
    Fetch {
        group: usize,
    },
    DeleteOffsets {
        group: usize,
        topic: usize,
    },
    DeleteGroup {
        group: usize,
    },
    DeleteTopic {
        topic: usize,
    },
}

const CLIENTS: usize = 4;
const PRODUCERS: i64 = 3;
const GROUPS: [&str; 2] = ["g", "h"];
const TOPICS: [&str; 2] = ["t", "u"];
const PROTOCOLS: [&[&str]; 4] = [
    &["range"],
    &["range", "sticky"],
    &["sticky", "range"],
    &["x"],
];

fn ask() -> impl Strategy<Value = Ask> {
    let client = 0..CLIENTS;
    let group = 0..GROUPS.len();
    let topic = 0..TOPICS.len();
    prop_oneof![
        8 => (client.clone(), group.clone(), any::<bool>(), any::<bool>(), 0..PROTOCOLS.len())
            .prop_map(|(client, group, is_static, old_client, protocols)| {
                Ask::Join { client, group, is_static, old_client, protocols }
            }),
        6 => client.clone().prop_map(|client| Ask::Sync { client }),
        2 => client.clone().prop_map(|client| Ask::Heartbeat { client }),
        2 => client.clone().prop_map(|client| Ask::Leave { client }),
        3 => (client, any::<bool>(), topic.clone(), any::<bool>()).prop_map(
            |(client, from_outside, topic, retention)| {
                Ask::Commit { client, from_outside, topic, retention }
            }
        ),
        3 => (0..PRODUCERS, group.clone(), topic.clone())
            .prop_map(|(producer, group, topic)| Ask::TxnCommit { producer, group, topic }),
        1 => group.clone().prop_map(|group| Ask::Fetch { group }),
        1 => (group.clone(), topic.clone())
            .prop_map(|(group, topic)| Ask::DeleteOffsets { group, topic }),
        1 => group.prop_map(|group| Ask::DeleteGroup { group }),
        1 => topic.prop_map(|topic| Ask::DeleteTopic { topic }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        25 => ask().prop_map(Action::Ask),
        3 => (0..PRODUCERS, any::<bool>())
            .prop_map(|(producer, committed)| Action::EndTransaction { producer, committed }),
        5 => prop_oneof![Just(0i64), 1i64..20_000, 50_000i64..400_000]
            .prop_map(|ms| Action::Advance { ms }),
        2 => prop_oneof![
            Just(ErrorCode::NotLeaderOrFollower),
            Just(ErrorCode::NotEnoughReplicas),
            Just(ErrorCode::KafkaStorageError),
            Just(ErrorCode::MessageTooLarge),
        ]
        .prop_map(|code| Action::FailNextAppend { code }),
        1 => Just(Action::Reload),
        1 => Just(Action::PutBack),
        1 => (-20_000i64..40_000).prop_map(|ms| Action::Jump { ms }),
    ]
}

fn group_id(group: usize) -> GroupId {
    GroupId(StrBytes::from_static_str(GROUPS[group]))
}

fn topic_name(topic: usize) -> TopicName {
    TopicName(StrBytes::from_static_str(TOPICS[topic]))
}

fn txn_commit(producer: i64, group: usize, topic: usize, offset: i64) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    TxnOffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_producer_id(producer.into())
        .with_producer_epoch(0)
        .with_generation_id(-1)
        .with_topics(vec![topic])
}

fn delete_offsets(group: usize, topic: usize) -> OffsetDeleteRequest {
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    OffsetDeleteRequest::default()
        .with_group_id(group_id(group))
        .with_topics(vec![topic])
}

/// What a client remembers, as a real one does.
#[derive(Clone, Debug, Default)]
struct Client {
    group: usize,
    member_id: StrBytes,
    instance_id: Option<StrBytes>,
    generation: i32,
    others: Vec<StrBytes>,
}

impl Client {
    fn sync(&self) -> SyncGroupRequest {
        let assignments = self.others.iter().map(|other| {
            SyncGroupRequestAssignment::default()
                .with_member_id(other.clone())
                .with_assignment(Bytes::from_static(b"assignment"))
        });
        SyncGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance_id.clone())
            .with_generation_id(self.generation)
            .with_assignments(assignments.collect())
    }

    fn heartbeat(&self) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance_id.clone())
            .with_generation_id(self.generation)
    }

    fn leave(&self) -> LeaveGroupRequest {
        let member = MemberIdentity::default()
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance_id.clone());
        LeaveGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_members(vec![member])
    }

    fn commit(&self, from_outside: bool, topic: usize, offset: i64) -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_topic_id(Uuid::from_u128(topic as u128))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(self.group))
            .with_topics(vec![topic]);
        if from_outside {
            return request;
        }
        request
            .with_member_id(self.member_id.clone())
            .with_group_instance_id(self.instance_id.clone())
            .with_generation_id_or_member_epoch(self.generation)
    }
}

struct World {
    runtime: Runtime,
    clients: Vec<Client>,
    open: BTreeMap<ReplyTo, usize>,
    last_token: u64,
}

impl World {
    fn new() -> Self {
        let config = GroupCoordinatorConfig {
            group_max_size: 3,
            offsets_retention_ms: 100_000,
            offsets_retention_check_interval_ms: 30_000,
            removal_batch_bytes_max: 100,
            ..GroupCoordinatorConfig::default()
        };
        World {
            runtime: Runtime::new(config),
            clients: vec![Client::default(); CLIENTS],
            open: BTreeMap::new(),
            last_token: 0,
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Advance { ms } => {
                for (_, step) in self.runtime.advance(*ms) {
                    self.hear(&step);
                }
            }
            Action::EndTransaction {
                producer,
                committed,
            } => {
                let result = if *committed {
                    TransactionResult::Commit
                } else {
                    TransactionResult::Abort
                };
                let producer = (ProducerId(*producer), ProducerEpoch(0));
                self.runtime.end_transaction(producer, result);
            }
            Action::FailNextAppend { code } => self.runtime.fail_next_append = Some(*code),
            Action::Reload => {
                // The requests that were parked are answered by the runtime.
                self.open.clear();
                let step = self.runtime.reload();
                self.hear(&step);
            }
            Action::PutBack => {
                self.open.clear();
                let step = self.runtime.put_back();
                self.hear(&step);
            }
            Action::Jump { ms } => {
                let step = self.runtime.jump(*ms);
                self.hear(&step);
            }
            Action::Ask(ask) => {
                let (client, version, request) = self.request(ask);
                self.ask(client, version, request);
            }
        }
    }

    fn ask(&mut self, client: usize, api_version: i16, request: GroupRequest) {
        self.last_token += 1;
        self.open.insert(ReplyTo(self.last_token), client);
        let meta = RequestMeta {
            api_version,
            client_id: Arc::from(format!("client{client}")),
            client_host: Arc::from("/127.0.0.1"),
        };
        let parks = matches!(
            request,
            GroupRequest::JoinGroup(_) | GroupRequest::SyncGroup(_)
        );
        let step = self.runtime.request(self.last_token, meta, request);
        let answered = step
            .replies
            .iter()
            .any(|(token, _)| token.0 == self.last_token);
        assert!(answered || parks, "only JoinGroup and SyncGroup may wait");
        self.hear(&step);
    }

    fn hear(&mut self, step: &Step) {
        for (token, reply) in &step.replies {
            let client = self
                .open
                .remove(token)
                .expect("each request is answered once");
            let client = &mut self.clients[client];
            if let Ok(GroupResponse::JoinGroup(response)) = reply {
                if response.error_code == 0 || response.error_code == 79 {
                    client.member_id = response.member_id.clone();
                    client.generation = response.generation_id;
                    let members = response.members.iter();
                    client.others = members.map(|member| member.member_id.clone()).collect();
                } else {
                    client.member_id = StrBytes::default();
                }
            }
        }
    }

    /// Who asks, at which version, and what.
    fn request(&mut self, ask: &Ask) -> (usize, i16, GroupRequest) {
        let of = |client: &usize| self.clients[*client].clone();
        match ask {
            Ask::Join {
                client,
                group,
                is_static,
                old_client,
                protocols,
            } => {
                let request = self.join(*client, *group, *is_static, PROTOCOLS[*protocols]);
                (
                    *client,
                    if *old_client { 3 } else { 9 },
                    GroupRequest::JoinGroup(request),
                )
            }
            Ask::Sync { client } => (*client, 3, GroupRequest::SyncGroup(of(client).sync())),
            Ask::Heartbeat { client } => {
                (*client, 4, GroupRequest::Heartbeat(of(client).heartbeat()))
            }
            Ask::Leave { client } => (*client, 5, GroupRequest::LeaveGroup(of(client).leave())),
            Ask::Commit {
                client,
                from_outside,
                topic,
                retention,
            } => {
                let offset = self.last_token as i64;
                let mut request = self.clients[*client].commit(*from_outside, *topic, offset);
                request.retention_time_ms = if *retention { 20_000 } else { -1 };
                (*client, 8, GroupRequest::OffsetCommit(request))
            }
            Ask::DeleteOffsets { group, topic } => (
                0,
                0,
                GroupRequest::OffsetDelete(delete_offsets(*group, *topic)),
            ),
            Ask::DeleteGroup { group } => (0, 2, GroupRequest::DeleteGroup(group_id(*group))),
            Ask::DeleteTopic { topic } => {
                let id = TopicId(Uuid::from_u128(*topic as u128));
                let deleted = DeletedTopic {
                    name: Arc::from(TOPICS[*topic]),
                    id,
                };
                (0, 0, GroupRequest::TopicsDeleted(vec![deleted]))
            }
            Ask::TxnCommit {
                producer,
                group,
                topic,
            } => {
                let request = txn_commit(*producer, *group, *topic, self.runtime.now);
                (0, 5, GroupRequest::TxnOffsetCommit(request))
            }
            Ask::Fetch { group } => {
                let group = OffsetFetchRequestGroup::default()
                    .with_group_id(group_id(*group))
                    .with_topics(None);
                (
                    0,
                    8,
                    GroupRequest::OffsetFetch {
                        group,
                        require_stable: true,
                    },
                )
            }
        }
    }

    fn join(
        &mut self,
        client: usize,
        group: usize,
        is_static: bool,
        protocols: &[&str],
    ) -> JoinGroupRequest {
        let known = &mut self.clients[client];
        if known.group != group {
            *known = Client {
                group,
                ..Client::default()
            };
        }
        known.instance_id = is_static.then(|| StrBytes::from_string(format!("instance{client}")));
        let protocols = protocols.iter().map(|name| {
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_string((*name).to_owned()))
                .with_metadata(Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"))
        });
        JoinGroupRequest::default()
            .with_group_id(group_id(group))
            .with_member_id(known.member_id.clone())
            .with_group_instance_id(known.instance_id.clone())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(30_000)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(protocols.collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// The runtime checks after each event that a fresh shard makes the same hard state of the log.
    #[test]
    fn the_log_alone_makes_the_hard_state(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
    }

    /// Left alone, every group comes to rest: nobody waits, and old offsets and groups are gone.
    #[test]
    fn nobody_waits_for_ever(actions in prop::collection::vec(action(), 1..60)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        for producer in 0..PRODUCERS {
            world.act(&Action::EndTransaction { producer, committed: true });
        }
        world.act(&Action::Advance { ms: 2_000_000 });
        prop_assert!(world.open.is_empty(), "still waiting: {:?}", world.open);
        prop_assert_eq!(world.runtime.shard.rows().count(), 0);
    }

    #[test]
    fn an_offset_commit_reads_back(
        (group_id, topic, metadata) in (".{0,40}", ".{0,40}", ".{0,200}"),
        (offset, partition, commit) in any::<(i64, i32, i64)>(),
        epoch in prop::option::of(0i32..),
        expire in prop::option::of(0i64..),
        id in any::<u128>(),
    ) {
        let key = OffsetCommitKey { group_id: group_id.into(), topic: topic.into(), partition };
        let value = OffsetCommitValue {
            offset,
            // Version 1, which has the expiry, has neither of the two.
            leader_epoch: epoch.filter(|_| expire.is_none()),
            metadata: metadata.into(),
            commit_timestamp: Timestamp(commit),
            expire_timestamp: expire.map(Timestamp),
            topic_id: TopicId(Uuid::from_u128(if expire.is_none() { id } else { 0 })),
        };
        let record = GroupRecord::OffsetCommit { key, value: Some(value) };
        // Reads the bytes back and compares.
        let entry = support::Entry::Record(record, None);
        support::loaded_from(&GroupCoordinatorConfig::default(), &[entry], 0);
    }

    #[test]
    fn no_bytes_panic(key in prop::collection::vec(any::<u8>(), 0..60), value in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..18, version in 0u8..6) {
        let key: Vec<u8> = [0, kind].into_iter().chain(key).collect();
        let value: Vec<u8> = [0, version].into_iter().chain(value).collect();
        let _ = GroupRecord::decode(&key, Some(&Bytes::from(value)));
    }
}
