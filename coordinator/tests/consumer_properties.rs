//! Properties of consumer groups that hold whatever their members and the broker do.

// Not every test uses all of it.
#[allow(dead_code)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use coordinator::RequestMeta;
use coordinator::group::record::{AssignedTopic, ConsumerGroupEntry, GroupRecord};
use coordinator::group::{GroupCoordinatorConfig, GroupRequest, GroupResponse};
use proptest::prelude::*;
use protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, GroupId, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, TopicName,
};
use protocol::{ErrorCode, StrBytes, TopicId};
use support::{Runtime, Step};
use uuid::Uuid;

const GROUP: &str = "g";
const CLIENTS: usize = 4;
const TOPICS: [&str; 3] = ["foo", "fob", "bar"];
const ASSIGNORS: [&str; 2] = ["uniform", "range"];

type Places = BTreeSet<(TopicId, i32)>;

/// Something that may happen.
#[derive(Clone, Debug)]
enum Action {
    /// A member of the new protocol says that it is there, and what it has.
    Beat {
        client: usize,
    },
    /// It starts anew, with another subscription.
    Start {
        client: usize,
        topics: usize,
        is_static: bool,
        assignor: usize,
    },
    Leave {
        client: usize,
    },
    /// A member of the classic protocol does what is next for it.
    Classic {
        client: usize,
        is_static: bool,
    },
    ClassicLeave {
        client: usize,
    },
    /// How many partitions each topic has; a topic may be made anew.
    Topics {
        counts: [i32; 3],
        ids: [u128; 3],
    },
    Advance {
        ms: i64,
    },
    Jump {
        ms: i64,
    },
    FailNextAppend,
    Reload,
    PutBack,
}

fn action() -> impl Strategy<Value = Action> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => client.clone().prop_map(|client| Action::Beat { client }),
        4 => (client.clone(), 0usize..9, any::<bool>(), 0usize..3).prop_map(
            |(client, topics, is_static, assignor)| {
                Action::Start { client, topics, is_static, assignor }
            }
        ),
        1 => client.clone().prop_map(|client| Action::Leave { client }),
        5 => (client.clone(), any::<bool>())
            .prop_map(|(client, is_static)| Action::Classic { client, is_static }),
        1 => client.prop_map(|client| Action::ClassicLeave { client }),
        1 => (any::<[u8; 3]>(), any::<[bool; 3]>()).prop_map(|(counts, anew)| Action::Topics {
            counts: counts.map(|count| i32::from(count % 5)),
            ids: [1, 2, 3].map(|id: u128| id + 10 * u128::from(anew[id as usize - 1])),
        }),
        4 => prop_oneof![Just(0i64), 1i64..3_000, 20_000i64..50_000]
            .prop_map(|ms| Action::Advance { ms }),
        1 => (-20_000i64..20_000).prop_map(|ms| Action::Jump { ms }),
        1 => Just(Action::FailNextAppend),
        1 => Just(Action::Reload),
        1 => Just(Action::PutBack),
    ]
}

/// What a client remembers, as a real one does.
#[derive(Clone, Debug, Default)]
struct Client {
    member_id: String,
    instance_id: Option<String>,
    epoch: i32,
    owned: Places,
    /// By its bits; and an expression with the fourth.
    topics: usize,
    assignor: Option<&'static str>,
    is_classic: bool,
    has_joined: bool,
}

struct World {
    runtime: Runtime,
    clients: Vec<Client>,
    incarnations: usize,
    last_token: u64,
}

fn places(topics: &[AssignedTopic]) -> impl Iterator<Item = (TopicId, i32)> + '_ {
    topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (topic.topic_id, *partition))
    })
}

impl World {
    fn new() -> Self {
        let config = GroupCoordinatorConfig {
            group_initial_rebalance_delay_ms: 0,
            ..GroupCoordinatorConfig::default()
        };
        let mut world = World {
            runtime: Runtime::new(config),
            clients: vec![Client::default(); CLIENTS],
            incarnations: 0,
            last_token: 0,
        };
        world.change_topics([3, 2, 1], [1, 2, 3]);
        world
    }

    fn change_topics(&mut self, counts: [i32; 3], ids: [u128; 3]) {
        let all = TOPICS.iter().zip(ids).zip(counts);
        let there = all.filter(|(_, count)| *count > 0);
        let topics: BTreeMap<Arc<str>, _> = there
            .map(|((name, id), count)| (Arc::from(*name), (TopicId(Uuid::from_u128(id)), count)))
            .collect();
        self.runtime.cluster.topics = topics;
        self.last_token += 1;
        self.runtime.metadata_changed(self.last_token, true);
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Beat { client } => self.beat(*client),
            Action::Start {
                client,
                topics,
                is_static,
                assignor,
            } => self.start(*client, *topics, *is_static, *assignor),
            Action::Leave { client } => self.leave(*client),
            Action::Classic { client, is_static } => self.classic(*client, *is_static),
            Action::ClassicLeave { client } => self.classic_leave(*client),
            Action::Topics { counts, ids } => self.change_topics(*counts, *ids),
            Action::Advance { ms } => drop(self.runtime.advance(*ms)),
            Action::Jump { ms } => drop(self.runtime.jump(*ms)),
            Action::FailNextAppend => {
                self.runtime.fail_next_append = Some(ErrorCode::NotEnoughReplicas);
            }
            Action::Reload => drop(self.runtime.reload()),
            Action::PutBack => drop(self.runtime.put_back()),
        }
        self.check_owners();
    }

    /// No partition is in the hands of two members.
    fn check_owners(&self) {
        let mut owners: BTreeMap<(TopicId, i32), Arc<str>> = BTreeMap::new();
        for row in self.runtime.shard.rows() {
            let GroupRecord::ConsumerGroup(record) = row else {
                continue;
            };
            let ConsumerGroupEntry::CurrentMemberAssignment {
                member_id,
                value: Some(value),
            } = record.entry
            else {
                continue;
            };
            let held = places(&value.assigned_partitions);
            for place in held.chain(places(&value.partitions_pending_revocation)) {
                let other = owners.insert(place, member_id.clone());
                assert_eq!(other, None, "{place:?} is also in the hands of {member_id}");
            }
        }
    }

    fn ask(
        &mut self,
        client: usize,
        api_version: i16,
        request: GroupRequest,
    ) -> Option<GroupResponse> {
        self.last_token += 1;
        let token = self.last_token;
        let meta = RequestMeta {
            api_version,
            client_id: Arc::from(format!("client{client}")),
            client_host: Arc::from("/127.0.0.1"),
        };
        let step: Step = self.runtime.request(token, meta, request);
        let mut replies = step.replies.into_iter();
        let own = replies.find(|(reply, _)| reply.0 == token);
        own.and_then(|(_, reply)| reply.ok())
    }

    fn heartbeat(&self, client: usize, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        let client = &self.clients[client];
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_member_id(text(&client.member_id))
            .with_member_epoch(epoch)
            .with_instance_id(client.instance_id.as_deref().map(text))
            .with_rebalance_timeout_ms(-1)
    }

    /// All a member can say, as it does with its first heartbeat and when it lost an answer.
    fn beat(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.is_classic || client.member_id.is_empty() {
            return;
        }
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let names = TOPICS.iter().enumerate();
        let names = names.filter(|(bit, _)| client.topics & (1 << bit) != 0);
        let names = names.map(|(_, name)| TopicName(text(name))).collect();
        let regex = if client.topics & 8 != 0 { "fo." } else { "" };
        let owned = client.owned.iter().map(|(topic_id, partition)| {
            Owned::default()
                .with_topic_id(topic_id.0)
                .with_partitions(vec![*partition])
        });
        let request = self
            .heartbeat(index, client.epoch)
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(names))
            .with_subscribed_topic_regex(Some(text(regex)))
            .with_server_assignor(client.assignor.map(text))
            .with_topic_partitions(Some(owned.collect()));
        let reply = self.ask(index, 1, GroupRequest::ConsumerGroupHeartbeat(request));
        if let Some(GroupResponse::ConsumerGroupHeartbeat(response)) = reply {
            self.hear(index, &response);
        }
    }

    fn hear(&mut self, index: usize, response: &ConsumerGroupHeartbeatResponse) {
        let client = &mut self.clients[index];
        let fenced = [
            ErrorCode::FencedMemberEpoch.code(),
            ErrorCode::UnknownMemberId.code(),
            ErrorCode::FencedInstanceId.code(),
            ErrorCode::GroupIdNotFound.code(),
        ];
        if fenced.contains(&response.error_code) {
            // It gives up all it had, and joins again.
            client.epoch = 0;
            client.owned.clear();
        }
        if response.error_code != 0 {
            return;
        }
        client.epoch = response.member_epoch;
        if let Some(assignment) = &response.assignment {
            let topics = assignment.topic_partitions.iter();
            client.owned = topics
                .flat_map(|topic| {
                    let id = TopicId(topic.topic_id);
                    topic.partitions.iter().map(move |index| (id, *index))
                })
                .collect();
        }
    }

    fn start(&mut self, index: usize, topics: usize, is_static: bool, assignor: usize) {
        self.incarnations += 1;
        self.clients[index] = Client {
            member_id: format!("member{index}-{}", self.incarnations),
            instance_id: is_static.then(|| format!("instance{index}")),
            topics,
            assignor: ASSIGNORS.get(assignor).copied(),
            ..Client::default()
        };
        self.beat(index);
    }

    /// A static member leaves for a while.
    fn leave(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.is_classic || client.member_id.is_empty() {
            return;
        }
        let epoch = if client.instance_id.is_some() { -2 } else { -1 };
        let request = self.heartbeat(index, epoch);
        self.ask(index, 1, GroupRequest::ConsumerGroupHeartbeat(request));
        self.clients[index] = Client::default();
    }

    fn classic(&mut self, index: usize, is_static: bool) {
        let client = &mut self.clients[index];
        if !client.is_classic {
            *client = Client {
                is_classic: true,
                instance_id: is_static.then(|| format!("instance{index}")),
                ..Client::default()
            };
        }
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let (member_id, instance_id) = (
            text(&client.member_id),
            client.instance_id.as_deref().map(text),
        );
        if client.has_joined {
            let request = SyncGroupRequest::default()
                .with_group_id(GroupId(text(GROUP)))
                .with_member_id(member_id.clone())
                .with_group_instance_id(instance_id.clone())
                .with_generation_id(client.epoch);
            let heartbeat = HeartbeatRequest::default()
                .with_group_id(GroupId(text(GROUP)))
                .with_member_id(member_id)
                .with_group_instance_id(instance_id)
                .with_generation_id(client.epoch);
            self.ask(index, 3, GroupRequest::SyncGroup(request));
            let beat = self.ask(index, 3, GroupRequest::Heartbeat(heartbeat));
            let is_fine =
                matches!(beat, Some(GroupResponse::Heartbeat(answer)) if answer.error_code == 0);
            self.clients[index].has_joined = is_fine;
            return;
        }
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(subscription());
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_member_id(member_id)
            .with_group_instance_id(instance_id)
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(30_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let reply = self.ask(index, 9, GroupRequest::JoinGroup(request));
        if let Some(GroupResponse::JoinGroup(response)) = reply {
            self.hear_join(index, &response);
        }
    }

    fn hear_join(&mut self, index: usize, response: &JoinGroupResponse) {
        let client = &mut self.clients[index];
        let learns_id = response.error_code == ErrorCode::MemberIdRequired.code();
        client.has_joined = response.error_code == 0;
        client.epoch = response.generation_id;
        client.member_id = if client.has_joined || learns_id {
            response.member_id.to_string()
        } else {
            String::new()
        };
    }

    fn classic_leave(&mut self, index: usize) {
        let client = &self.clients[index];
        if !client.is_classic {
            return;
        }
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let member = MemberIdentity::default()
            .with_member_id(text(&client.member_id))
            .with_group_instance_id(client.instance_id.as_deref().map(text));
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_members(vec![member]);
        self.ask(index, 5, GroupRequest::LeaveGroup(request));
        self.clients[index] = Client::default();
    }

    /// What the members of the new protocol subscribe, and what they have.
    fn subscribed_and_owned(&self) -> (Places, Vec<(TopicId, i32)>) {
        let mut subscribed = Places::new();
        let mut owned = Vec::new();
        for client in self.clients.iter().filter(|client| client.epoch > 0) {
            owned.extend(client.owned.iter().copied());
            for (bit, name) in TOPICS.iter().enumerate() {
                let by_regex = client.topics & 8 != 0 && name.starts_with("fo");
                if client.topics & (1 << bit) == 0 && !by_regex {
                    continue;
                }
                if let Some((id, count)) = self.runtime.cluster.topics.get(*name) {
                    subscribed.extend((0..*count).map(|partition| (*id, partition)));
                }
            }
        }
        owned.sort_unstable();
        (subscribed, owned)
    }
}

/// Of the topic foo; it owns nothing that it would not give up.
fn subscription() -> Bytes {
    let mut buffer = BytesMut::new();
    buffer.put_slice(b"\0\x01\0\0\0\x01\0\x03foo\xff\xff\xff\xff");
    buffer.put_i32(0);
    buffer.freeze()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..Default::default() })]

    /// The runtime checks after each event that a fresh shard makes the same hard state of the log.
    #[test]
    fn a_partition_is_in_the_hands_of_one_member(
        actions in prop::collection::vec(action(), 1..100),
    ) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
    }

    /// Members that go on with their heartbeats have, in the end, all they subscribe.
    #[test]
    fn a_group_that_is_left_alone_comes_to_rest(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.runtime.fail_next_append = None;
        // Whoever does not speak the new protocol is gone, with all sessions of before.
        for client in &mut world.clients {
            if client.is_classic {
                *client = Client::default();
            }
        }
        for _ in 0..30 {
            for client in 0..CLIENTS {
                world.act(&Action::Beat { client });
            }
            world.act(&Action::Advance { ms: 11_000 });
        }
        let (subscribed, owned) = world.subscribed_and_owned();
        prop_assert_eq!(subscribed.into_iter().collect::<Vec<_>>(), owned);
    }

    /// Left alone by its members too, nothing remains of it.
    #[test]
    fn a_group_without_members_goes(actions in prop::collection::vec(action(), 1..60)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.act(&Action::Advance { ms: 2_000_000 });
        prop_assert_eq!(world.runtime.shard.rows().count(), 0);
    }
}
