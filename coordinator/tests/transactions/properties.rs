//! Properties that hold whatever happens to a transaction coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use coordinator::ReplyTo;
use coordinator::transaction::record::{FlexibleFields, TransactionLogValue, TransactionRecord};
use coordinator::transaction::{
    ListFilter, TransactionCommand, TransactionCoordinatorConfig, TransactionRequest,
    TransactionResponse, TransactionState, TransactionVersionLevel,
};
use proptest::prelude::*;
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use crate::runtime::{Runtime, Step, loaded_from};

/// Something that may happen.
#[derive(Clone, Debug)]
enum Action {
    Ask(Ask),
    /// The markers of one of the transactions that are being ended are written.
    Markers {
        which: usize,
    },
    Advance {
        ms: i64,
    },
    FailNextAppend {
        code: ErrorCode,
    },
    Level {
        to: i16,
    },
    Reload,
    PutBack {
        keep: usize,
    },
    Jump {
        ms: i64,
    },
}

/// What clients ask. They are few, so that they meet: two instances share one transactional id.
#[derive(Clone, Debug)]
enum Ask {
    Init {
        client: usize,
        recovers: bool,
    },
    Add {
        client: usize,
        partition: i32,
        verify_only: bool,
        version2: bool,
    },
    End {
        client: usize,
        committed: bool,
        version2: bool,
        /// With the epoch of before the last end.
        again: bool,
    },
    Describe {
        client: usize,
    },
    List,
}

const CLIENTS: usize = 4;
const IDS: [&str; 2] = ["x", "y"];

fn ask() -> impl Strategy<Value = Ask> {
    let client = 0..CLIENTS;
    prop_oneof![
        6 => (client.clone(), any::<bool>())
            .prop_map(|(client, recovers)| Ask::Init { client, recovers }),
        8 => (client.clone(), 0..3i32, prop::bool::weighted(0.2), any::<bool>()).prop_map(
            |(client, partition, verify_only, version2)| {
                Ask::Add { client, partition, verify_only, version2 }
            }
        ),
        8 => (client.clone(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(client, committed, version2, again)| {
                Ask::End { client, committed, version2, again }
            }
        ),
        1 => client.prop_map(|client| Ask::Describe { client }),
        1 => Just(Ask::List),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        30 => ask().prop_map(Action::Ask),
        12 => (0..4usize).prop_map(|which| Action::Markers { which }),
        4 => prop_oneof![Just(0i64), 1i64..20_000, 50_000i64..400_000]
            .prop_map(|ms| Action::Advance { ms }),
        3 => prop_oneof![
            Just(ErrorCode::NotLeaderOrFollower),
            Just(ErrorCode::NotEnoughReplicas),
            Just(ErrorCode::KafkaStorageError),
            Just(ErrorCode::MessageTooLarge),
        ]
        .prop_map(|code| Action::FailNextAppend { code }),
        2 => (0..3i16).prop_map(|to| Action::Level { to }),
        1 => Just(Action::Reload),
        1 => (0..40usize).prop_map(|keep| Action::PutBack { keep }),
        1 => (-20_000i64..40_000).prop_map(|ms| Action::Jump { ms }),
    ]
}

type Producer = (ProducerId, ProducerEpoch);

/// What a client remembers, as a real one does.
#[derive(Clone, Debug, Default)]
struct Client {
    producer: Option<Producer>,
    before: Option<Producer>,
}

struct World {
    runtime: Runtime,
    clients: Vec<Client>,
    last_token: u64,
    /// Orders to write markers that nobody carried out yet, as a broker keeps them.
    due: Vec<TransactionCommand>,
    /// Every producer that InitProducerId ever gave out to a new instance.
    given: BTreeSet<(usize, Producer)>,
    was_put_back: bool,
    /// The first record of the log that was not there when it was last looked at.
    looked_at: usize,
    last: BTreeMap<Arc<str>, TransactionLogValue>,
}

impl World {
    /// Epochs begin near their end, so that they are used up.
    fn new() -> Self {
        let config = TransactionCoordinatorConfig {
            transactional_id_expiration_ms: 500_000,
            remove_expired_interval_ms: 30_000,
            batch_bytes_max: 150,
            transaction_version: TransactionVersionLevel::new(2),
            ..TransactionCoordinatorConfig::default()
        };
        let mut world = World {
            runtime: Runtime::new(config),
            clients: vec![Client::default(); CLIENTS],
            last_token: 0,
            due: Vec::new(),
            given: BTreeSet::new(),
            was_put_back: false,
            looked_at: 0,
            last: BTreeMap::new(),
        };
        let used_up = TransactionLogValue {
            producer_id: world.runtime.spare(),
            producer_epoch: ProducerEpoch(i16::MAX - 5),
            timeout_ms: 60_000,
            state: TransactionState::Empty,
            partitions: Vec::new(),
            last_update: Timestamp(world.runtime.now),
            start: None,
            flexible: Some(FlexibleFields::default()),
        };
        world.runtime.log.push(TransactionRecord {
            transactional_id: Arc::from(IDS[0]),
            value: Some(used_up),
        });
        world.runtime.reload();
        world.look_at_log();
        world
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Advance { ms } => {
                for (_, step) in self.runtime.advance(*ms) {
                    self.hear(step);
                }
            }
            Action::FailNextAppend { code } => self.runtime.fail_next_append = Some(*code),
            Action::Level { to } => self.runtime.config.transaction_version.set(*to),
            Action::Reload => {
                self.due.clear();
                if self.was_put_back {
                    // That the log was put back is forgotten, and with it what it undid.
                    self.given.clear();
                    self.clients.fill(Client::default());
                }
                let step = self.runtime.reload();
                self.hear(step);
            }
            Action::PutBack { keep } => {
                self.due.clear();
                self.was_put_back = true;
                let step = self.runtime.put_back(*keep);
                self.looked_at = 0;
                self.last.clear();
                self.hear(step);
            }
            Action::Jump { ms } => {
                let step = self.runtime.jump(*ms);
                self.hear(step);
            }
            Action::Markers { which } => self.write_markers(*which),
            Action::Ask(ask) => self.ask(ask),
        }
    }

    fn hear(&mut self, step: Step) {
        for command in step.commands {
            match command {
                TransactionCommand::WriteMarkers { .. } => self.due.push(command),
                TransactionCommand::FindProducerId { transactional_id } => {
                    let spare = self.runtime.spare();
                    let request = TransactionRequest::AbortTimedOut {
                        transactional_id,
                        spare,
                    };
                    let _ = self.request(request);
                }
            }
        }
        self.look_at_log();
    }

    /// Every record follows from the one before it.
    fn look_at_log(&mut self) {
        let log = &self.runtime.log;
        for record in log.iter().skip(self.looked_at) {
            let id = record.transactional_id.clone();
            match &record.value {
                Some(value) => {
                    if let Some(before) = self.last.get(&id) {
                        check_follows(before, value);
                    }
                    self.last.insert(id, value.clone());
                }
                None => {
                    let before = self.last.remove(&id).expect("what expires was there");
                    assert!(is_at_rest(before.state), "{before:?} expired");
                }
            }
        }
        self.looked_at = log.len();
    }

    fn request(&mut self, request: TransactionRequest) -> Result<TransactionResponse, ErrorCode> {
        self.last_token += 1;
        let mut step = self.runtime.request(self.last_token, request);
        assert_eq!(step.replies.len(), 1, "answered once, and at once");
        let (token, reply) = step.replies.remove(0);
        assert_eq!(token, ReplyTo(self.last_token));
        self.hear(step);
        reply
    }

    fn write_markers(&mut self, which: usize) {
        if self.due.is_empty() {
            return;
        }
        let command = self.due.remove(which % self.due.len());
        if let TransactionCommand::WriteMarkers {
            transactional_id,
            producer_id,
            producer_epoch,
            ..
        } = command
        {
            let _ = self.request(TransactionRequest::MarkersWritten {
                transactional_id,
                producer_id,
                producer_epoch,
            });
        }
    }

    fn ask(&mut self, ask: &Ask) {
        match *ask {
            Ask::Init { client, recovers } => self.init(client, recovers),
            Ask::Add {
                client,
                partition,
                verify_only,
                version2,
            } => {
                let Some((producer_id, producer_epoch)) = self.clients[client].producer else {
                    return;
                };
                let _ = self.request(TransactionRequest::AddPartitions {
                    transactional_id: id_of(client),
                    producer_id,
                    producer_epoch,
                    partitions: vec![TopicPartition::new("t", partition)],
                    verify_only,
                    version2,
                });
            }
            Ask::End {
                client,
                committed,
                version2,
                again,
            } => self.end(client, committed, version2, again),
            Ask::Describe { client } => {
                let transactional_id = id_of(client);
                let _ = self.request(TransactionRequest::Describe { transactional_id });
            }
            Ask::List => {
                let filter = ListFilter::new(&[], [], -1, None).expect("no pattern");
                let reply = self.request(TransactionRequest::List(Arc::new(filter)));
                let Ok(TransactionResponse::List(listed)) = reply else {
                    panic!("{reply:?}");
                };
                assert_eq!(listed.len(), self.runtime.shard.rows().count());
            }
        }
    }

    fn init(&mut self, client: usize, recovers: bool) {
        let expected = self.clients[client].producer.filter(|_| recovers);
        let request = |spare| TransactionRequest::InitProducerId {
            transactional_id: id_of(client),
            timeout_ms: 60_000,
            enable_2pc: false,
            keep_prepared: false,
            expected,
            spare,
        };
        let mut reply = self.request(request(None));
        if reply == Ok(TransactionResponse::NeedsProducerId) {
            let spare = self.runtime.spare();
            reply = self.request(request(Some(spare)));
            assert_ne!(reply, Ok(TransactionResponse::NeedsProducerId));
        }
        if let Ok(TransactionResponse::InitProducerId {
            producer_id,
            producer_epoch,
        }) = reply
        {
            let producer = (producer_id, producer_epoch);
            assert!(producer_epoch.0 >= 0 && producer_epoch.0 < i16::MAX);
            let is_new = self.given.insert((client % IDS.len(), producer));
            assert!(is_new || recovers, "{producer:?} was given twice");
            self.clients[client] = Client {
                producer: Some(producer),
                before: None,
            };
        }
    }

    fn end(&mut self, client: usize, committed: bool, version2: bool, again: bool) {
        let known = &self.clients[client];
        let producer = if again { known.before } else { known.producer };
        let Some((producer_id, producer_epoch)) = producer else {
            return;
        };
        let request = |spare| TransactionRequest::EndTxn {
            transactional_id: id_of(client),
            producer_id,
            producer_epoch,
            committed,
            version2,
            spare,
        };
        let mut reply = self.request(request(None));
        if reply == Ok(TransactionResponse::NeedsProducerId) {
            let spare = self.runtime.spare();
            reply = self.request(request(Some(spare)));
            assert_ne!(reply, Ok(TransactionResponse::NeedsProducerId));
        }
        if let Ok(TransactionResponse::EndTxn {
            producer: Some(next),
        }) = reply
            && !again
        {
            assert_ne!(Some(next), producer, "each end bumps");
            self.clients[client] = Client {
                producer: Some(next),
                before: producer,
            };
        }
    }
}

fn id_of(client: usize) -> Arc<str> {
    Arc::from(IDS[client % IDS.len()])
}

fn is_at_rest(state: TransactionState) -> bool {
    match state {
        TransactionState::Empty
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort => true,
        TransactionState::Ongoing
        | TransactionState::PrepareCommit
        | TransactionState::PrepareAbort
        | TransactionState::Dead
        | TransactionState::PrepareEpochFence => false,
    }
}

fn check_follows(before: &TransactionLogValue, value: &TransactionLogValue) {
    let allowed = match value.state {
        TransactionState::Empty => is_at_rest(before.state),
        TransactionState::Ongoing => {
            is_at_rest(before.state) || before.state == TransactionState::Ongoing
        }
        TransactionState::PrepareCommit => before.state == TransactionState::Ongoing,
        TransactionState::PrepareAbort => {
            is_at_rest(before.state) || before.state == TransactionState::Ongoing
        }
        TransactionState::CompleteCommit => before.state == TransactionState::PrepareCommit,
        TransactionState::CompleteAbort => before.state == TransactionState::PrepareAbort,
        TransactionState::Dead | TransactionState::PrepareEpochFence => false,
    };
    assert!(allowed, "{value:?} after {before:?}");
    let (old, new) = (
        (before.producer_id, before.producer_epoch),
        (value.producer_id, value.producer_epoch),
    );
    assert!(new >= old, "{value:?} after {before:?}");
    if value.state == TransactionState::Ongoing && before.state == TransactionState::Ongoing {
        assert_eq!((old, before.start), (new, value.start));
        let kept = |partition| value.partitions.contains(partition);
        assert!(before.partitions.iter().all(kept));
    }
    if before.state == TransactionState::Ongoing && value.state != TransactionState::Ongoing {
        assert_eq!(before.partitions, value.partitions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// The runtime checks after each event that a fresh shard makes the same hard state of the log;
    /// the world checks that each request is answered, that each record follows from the one before
    /// and that no two instances of a producer get the same epoch.
    #[test]
    fn the_log_alone_makes_the_hard_state(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
    }

    /// Left alone, every transaction ends, and old ids are gone.
    #[test]
    fn no_transaction_hangs(actions in prop::collection::vec(action(), 1..80)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.runtime.fail_next_append = None;
        world.act(&Action::Reload);
        for _ in 0..200 {
            world.act(&Action::Advance { ms: 10_000 });
            world.act(&Action::Markers { which: 0 });
        }
        prop_assert_eq!(world.runtime.shard.rows().collect::<Vec<_>>(), Vec::new());
    }

    #[test]
    fn a_record_reads_back(
        (id, topic) in (".{0,40}", ".{0,40}"),
        (producer_id, epoch, timeout_ms) in any::<(i64, i16, i32)>(),
        partitions in prop::collection::btree_set((any::<bool>(), any::<i32>()), 0..6),
        (update, start) in (any::<i64>(), prop::option::of(0i64..)),
        flexible in prop::option::of((prop::option::of(0i64..), prop::option::of(0i64..), any::<i16>())),
        is_empty in any::<bool>(),
    ) {
        let partitions = partitions.into_iter().map(|(is_other, partition)| {
            let name = if is_other { format!("{topic}2") } else { topic.clone() };
            TopicPartition::new(name, partition)
        });
        let mut partitions: Vec<_> = partitions.collect();
        partitions.sort();
        let value = TransactionLogValue {
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(epoch),
            timeout_ms,
            state: if is_empty { TransactionState::Empty } else { TransactionState::Ongoing },
            partitions: if is_empty { Vec::new() } else { partitions },
            last_update: Timestamp(update),
            start: start.map(Timestamp),
            flexible: flexible.map(|(previous, next, version)| FlexibleFields {
                previous_producer_id: previous.map(ProducerId),
                next_producer_id: next.map(ProducerId),
                client_transaction_version: version,
            }),
        };
        let record = TransactionRecord { transactional_id: id.into(), value: Some(value) };
        // Reads the bytes back and compares.
        loaded_from(&TransactionCoordinatorConfig::default(), &[record]);
    }

    #[test]
    fn no_bytes_panic(
        key in prop::collection::vec(any::<u8>(), 0..60),
        value in prop::collection::vec(any::<u8>(), 0..200),
        (kind, version) in (0u8..2, 0u8..3),
    ) {
        let key: Vec<u8> = [0, kind].into_iter().chain(key).collect();
        let value: Vec<u8> = [0, version].into_iter().chain(value).collect();
        let _ = TransactionRecord::decode(&key, Some(&Bytes::from(value)));
    }
}
