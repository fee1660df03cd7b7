//! Properties of share groups that hold whatever their members, the share coordinator and the
//! broker do.

// Not every test uses all of it.
#[allow(dead_code)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coordinator::RequestMeta;
use coordinator::group::record::{
    AssignedTopic, GroupRecord, ShareGroupEntry, ShareGroupStatePartitionMetadataValue,
};
use coordinator::group::{DeletedTopic, GroupCoordinatorConfig, GroupRequest, GroupResponse};
use coordinator::share_state::ShareStateResponse;
use proptest::prelude::*;
use protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, GroupId,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, TopicName,
};
use protocol::{ErrorCode, StrBytes, TopicId};
use support::{Runtime, Step};
use uuid::Uuid;

const GROUP: &str = "g";
const CLIENTS: usize = 4;
const TOPICS: [&str; 3] = ["foo", "fob", "bar"];

type Places = BTreeSet<(TopicId, i32)>;

/// Something that may happen.
#[derive(Clone, Debug)]
enum Action {
    Beat {
        client: usize,
    },
    /// It subscribes these topics, by bits, from now on.
    Subscribe {
        client: usize,
        topics: usize,
    },
    Leave {
        client: usize,
    },
    Alter {
        topic: usize,
        partition: i32,
    },
    DeleteOffsets {
        topic: usize,
    },
    DeleteGroup,
    /// The share coordinator answers a command.
    Answer {
        is_refused: bool,
    },
    /// Topics get partitions, go, or are made anew.
    Topics {
        counts: [i32; 3],
        anew: [bool; 3],
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
        4 => (client.clone(), 1usize..8)
            .prop_map(|(client, topics)| Action::Subscribe { client, topics }),
        2 => client.prop_map(|client| Action::Leave { client }),
        1 => (0usize..3, -1i32..6)
            .prop_map(|(topic, partition)| Action::Alter { topic, partition }),
        1 => (0usize..3).prop_map(|topic| Action::DeleteOffsets { topic }),
        1 => Just(Action::DeleteGroup),
        8 => prop::bool::weighted(0.2).prop_map(|is_refused| Action::Answer { is_refused }),
        1 => (any::<[u8; 3]>(), any::<[bool; 3]>()).prop_map(|(counts, anew)| Action::Topics {
            counts: counts.map(|count| i32::from(count % 5)),
            anew,
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
    epoch: i32,
    has: Places,
    /// By bits.
    topics: usize,
    says_topics: bool,
}

struct World {
    runtime: Runtime,
    clients: Vec<Client>,
    last_token: u64,
    /// Who waits for an answer.
    waiting: BTreeSet<u64>,
    last_topic: u128,
}

fn places(topics: &[AssignedTopic]) -> impl Iterator<Item = (TopicId, i32)> + '_ {
    topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (topic.topic_id, *partition))
    })
}

fn names(topics: usize) -> impl Iterator<Item = &'static str> {
    let bits = TOPICS.iter().enumerate();
    let named = bits.filter(move |(bit, _)| topics >> bit & 1 == 1);
    named.map(|(_, name)| *name)
}

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str(GROUP))
}

impl World {
    fn new() -> Self {
        let mut world = World {
            runtime: Runtime::new(GroupCoordinatorConfig::default()),
            clients: vec![Client::default(); CLIENTS],
            last_token: 0,
            waiting: BTreeSet::new(),
            last_topic: 0,
        };
        world.change_topics([3, 2, 1], [true; 3]);
        world
    }

    fn ask(&mut self, request: GroupRequest) -> Step {
        self.last_token += 1;
        let meta = RequestMeta {
            api_version: 1,
            client_id: Arc::from("c"),
            client_host: Arc::from("/127.0.0.1"),
        };
        self.waiting.insert(self.last_token);
        let step = self.runtime.request(self.last_token, meta, request);
        self.heard(&step);
        step
    }

    /// Everybody is answered once.
    fn heard(&mut self, step: &Step) {
        for (token, _) in &step.replies {
            assert!(self.waiting.remove(&token.0), "{token:?} is answered twice");
        }
    }

    fn change_topics(&mut self, counts: [i32; 3], anew: [bool; 3]) {
        let mut topics = BTreeMap::new();
        for ((name, count), anew) in TOPICS.iter().zip(counts).zip(anew) {
            let before = self.runtime.cluster.topics.get(*name);
            let topic = match before.filter(|_| !anew) {
                // The number of partitions never goes down.
                Some((id, before)) => (*id, count.max(*before)),
                None => {
                    self.last_topic += 1;
                    (TopicId(Uuid::from_u128(self.last_topic)), count)
                }
            };
            if count > 0 {
                topics.insert(Arc::from(*name), topic);
            }
        }
        let before = std::mem::replace(&mut self.runtime.cluster.topics, topics);
        self.last_token += 1;
        self.runtime.metadata_changed(self.last_token, true);
        let topics = self.runtime.cluster.topics.clone();
        let gone = before.into_iter().filter(|(name, (id, _))| {
            let now = topics.get(name);
            now.is_none_or(|(now, _)| now != id)
        });
        let gone: Vec<_> = gone
            .map(|(name, (id, _))| DeletedTopic { name, id })
            .collect();
        if !gone.is_empty() {
            self.ask(GroupRequest::TopicsDeleted(gone));
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Beat { client } => drop(self.beat(*client)),
            Action::Subscribe { client, topics } => {
                self.clients[*client].topics = *topics;
                self.clients[*client].says_topics = true;
                self.beat(*client);
            }
            Action::Leave { client } => {
                self.clients[*client].epoch = -1;
                self.beat(*client);
            }
            Action::Alter { topic, partition } => self.alter(*topic, *partition),
            Action::DeleteOffsets { topic } => {
                let topic = DeleteShareGroupOffsetsRequestTopic::default()
                    .with_topic_name(name(TOPICS[*topic]));
                let request = DeleteShareGroupOffsetsRequest::default()
                    .with_group_id(group())
                    .with_topics(vec![topic]);
                self.ask(GroupRequest::DeleteShareGroupOffsets(request));
            }
            Action::DeleteGroup => drop(self.ask(GroupRequest::DeleteGroup(group()))),
            Action::Answer { is_refused } => self.answer(*is_refused),
            Action::Topics { counts, anew } => self.change_topics(*counts, *anew),
            Action::Advance { ms } => {
                for (_, step) in self.runtime.advance(*ms) {
                    self.heard(&step);
                }
            }
            Action::Jump { ms } => {
                let step = self.runtime.jump(*ms);
                self.heard(&step);
            }
            Action::FailNextAppend => {
                self.runtime.fail_next_append = Some(ErrorCode::NotEnoughReplicas);
            }
            Action::Reload => self.restart(Runtime::reload),
            Action::PutBack => self.restart(Runtime::put_back),
        }
        self.check_assigned();
    }

    fn restart(&mut self, restart: impl Fn(&mut Runtime) -> Step) {
        // The runtime answers who waits in a shard that ends.
        self.waiting.clear();
        let step = restart(&mut self.runtime);
        self.heard(&step);
    }

    fn beat(&mut self, index: usize) -> Option<ShareGroupHeartbeatResponse> {
        let client = self.clients[index].clone();
        let names = (client.epoch == 0 || client.says_topics)
            .then(|| names(client.topics.max(1)).map(name).collect());
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(group())
            .with_member_id(StrBytes::from_string(format!("m{index}")))
            .with_member_epoch(client.epoch)
            .with_subscribed_topic_names(names);
        let step = self.ask(GroupRequest::ShareGroupHeartbeat(request));
        let client = &mut self.clients[index];
        let Some((_, Ok(GroupResponse::ShareGroupHeartbeat(response)))) = step.replies.first()
        else {
            return None;
        };
        match ErrorCode::try_from_code(response.error_code) {
            None if response.member_epoch == -1 => *client = Client::default(),
            None => {
                client.epoch = response.member_epoch;
                client.says_topics = false;
                if let Some(assignment) = &response.assignment {
                    let topics = assignment.topic_partitions.iter();
                    let places = topics.flat_map(|topic| {
                        let id = TopicId(topic.topic_id);
                        topic.partitions.iter().map(move |index| (id, *index))
                    });
                    client.has = places.collect();
                }
            }
            Some(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                client.epoch = 0;
                client.has.clear();
            }
            Some(ErrorCode::GroupIdNotFound) => *client = Client::default(),
            Some(code) => assert_eq!(code, ErrorCode::CoordinatorNotAvailable),
        }
        Some(response.clone())
    }

    fn alter(&mut self, topic: usize, partition: i32) {
        let partition = AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(partition)
            .with_start_offset(7);
        let topic = AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(name(TOPICS[topic]))
            .with_partitions(vec![partition]);
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(group())
            .with_topics(vec![topic]);
        self.ask(GroupRequest::AlterShareGroupOffsets(request));
    }

    fn answer(&mut self, is_refused: bool) {
        let Some(command) = self.runtime.commanded.pop_front() else {
            return;
        };
        let answer = if is_refused {
            Err(ErrorCode::CoordinatorNotAvailable)
        } else {
            Ok(ShareStateResponse::Done)
        };
        let answers = vec![answer; command.requests().len()];
        let change = command.answered(answers);
        self.ask(GroupRequest::ShareStateChanged(change));
    }

    /// A member is given only what there is state for, of topics that it subscribes or did.
    fn check_assigned(&self) {
        for row in self.runtime.shard.rows() {
            let GroupRecord::ShareGroup(record) = row else {
                continue;
            };
            if let ShareGroupEntry::StatePartitionMetadata(Some(state)) = record.entry {
                check_state(&state);
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = ShareGroupEntry> {
        let rows = self.runtime.shard.rows().filter_map(|row| match row {
            GroupRecord::ShareGroup(record) => Some(record.entry),
            GroupRecord::OffsetCommit { .. }
            | GroupRecord::GroupMetadata { .. }
            | GroupRecord::ConsumerGroup(_) => None,
        });
        rows.collect::<Vec<_>>().into_iter()
    }

    /// Left alone, with a share coordinator that answers, the group comes to rest.
    fn settle(&mut self) {
        self.runtime.fail_next_append = None;
        for _ in 0..12 {
            for client in 0..CLIENTS {
                self.beat(client);
            }
            while !self.runtime.commanded.is_empty() {
                self.answer(false);
            }
            // Long enough for another assignment and for asking again, never for a session.
            for (_, step) in self.runtime.advance(10_000) {
                self.heard(&step);
            }
        }
    }

    fn check_settled(&self) {
        let mut subscribed = Places::new();
        for client in &self.clients {
            for name in names(client.topics.max(1)) {
                if let Some((id, count)) = self.runtime.cluster.topics.get(name) {
                    subscribed.extend((0..*count).map(|index| (*id, index)));
                }
            }
        }
        let mut given = Places::new();
        for entry in self.rows() {
            if let ShareGroupEntry::CurrentMemberAssignment {
                member_id,
                value: Some(value),
            } = entry
            {
                let has: Places = places(&value.assigned_partitions).collect();
                let index: usize = member_id[1..].parse().expect("a client's number");
                assert_eq!(has, self.clients[index].has, "what {member_id} was told");
                let own = names(self.clients[index].topics.max(1));
                let topics = &self.runtime.cluster.topics;
                let own: BTreeSet<_> = own.filter_map(|name| Some(topics.get(name)?.0)).collect();
                assert!(has.iter().all(|(id, _)| own.contains(id)), "{member_id}");
                given.extend(has);
            }
        }
        assert_eq!(given, subscribed, "what all together have");
    }
}

fn check_state(state: &ShareGroupStatePartitionMetadataValue) {
    for (topic_id, _) in &state.deleting_topics {
        let is_initialized = |topics: &[_]| {
            let mut topics = topics.iter();
            topics.any(|topic: &coordinator::group::record::StateTopic| topic.topic_id == *topic_id)
        };
        assert!(
            !is_initialized(&state.initialized_topics),
            "{topic_id:?} is initialized and being deleted"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Replay is checked after every event by the runtime of the tests.
    #[test]
    fn every_partition_is_given_to_somebody_who_subscribes_it(
        actions in prop::collection::vec(action(), 1..60)
    ) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.settle();
        world.check_settled();
    }
}
