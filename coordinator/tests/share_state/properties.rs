//! Properties that hold whatever happens to a share coordinator.

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator::share_state::{
    SharePartitionKey, ShareStateCommand, ShareStateConfig, ShareStateRequest, StateBatch,
    StateEpoch, combine,
};
use proptest::prelude::*;
use protocol::{ErrorCode, LeaderEpoch, Offset, TopicId};
use uuid::Uuid;

use crate::runtime::{Runtime, Topics};

/// Something that may happen.
#[derive(Clone, Debug)]
enum Action {
    Ask(ShareStateRequest),
    Advance { ms: i64 },
    FailNextAppend { code: ErrorCode },
    DeleteTopic { which: u128 },
    Reload,
}

fn topic(which: u128) -> TopicId {
    TopicId(Uuid::from_u128(which + 1))
}

fn batches() -> impl Strategy<Value = Vec<StateBatch>> {
    let batch = (0..40i64, 0..12i64, 0..4i16, 0..3i8).prop_map(|(first, length, count, state)| {
        StateBatch {
            first_offset: Offset(first),
            last_offset: Offset(first + length),
            delivery_count: count,
            delivery_state: state * 2,
        }
    });
    prop::collection::vec(batch, 0..7)
}

fn offset() -> impl Strategy<Value = Option<Offset>> {
    prop::option::of((0..45i64).prop_map(Offset))
}

fn key() -> impl Strategy<Value = SharePartitionKey> {
    (0..2usize, 0..2u128, -1..3i32).prop_map(|(group, which, partition)| SharePartitionKey {
        group_id: Arc::from(["a", "b"][group]),
        topic_id: topic(which),
        partition,
    })
}

fn ask() -> impl Strategy<Value = ShareStateRequest> {
    let state_epoch = (-1..4i32).prop_map(StateEpoch);
    let leader_epoch = (-1..4i32).prop_map(LeaderEpoch);
    prop_oneof![
        2 => (key(), state_epoch.clone(), offset()).prop_map(|(key, state_epoch, start_offset)| {
            ShareStateRequest::Initialize { key, state_epoch, start_offset }
        }),
        2 => (key(), leader_epoch.clone())
            .prop_map(|(key, leader_epoch)| ShareStateRequest::Read { key, leader_epoch }),
        8 => (key(), state_epoch, leader_epoch, offset(), prop::option::of(0..9i32), batches())
            .prop_map(|(key, state_epoch, leader_epoch, start_offset, count, batches)| {
                ShareStateRequest::Write {
                    key,
                    state_epoch,
                    leader_epoch,
                    start_offset,
                    delivery_complete_count: count,
                    batches,
                }
            }),
        1 => key().prop_map(|key| ShareStateRequest::Delete { key }),
        1 => key().prop_map(|key| ShareStateRequest::ReadSummary { key }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        20 => ask().prop_map(Action::Ask),
        3 => (0..4_000i64).prop_map(|ms| Action::Advance { ms }),
        1 => prop_oneof![
            Just(ErrorCode::KafkaStorageError),
            Just(ErrorCode::NotEnoughReplicas),
            Just(ErrorCode::MessageTooLarge),
        ]
        .prop_map(|code| Action::FailNextAppend { code }),
        1 => (0..2u128).prop_map(|which| Action::DeleteTopic { which }),
        1 => Just(Action::Reload),
    ]
}

fn config() -> impl Strategy<Value = ShareStateConfig> {
    (0..5i32, 1..300usize).prop_map(|(updates, batch_bytes_max)| ShareStateConfig {
        snapshot_update_records_per_snapshot: updates,
        cold_partition_snapshot_interval_ms: 3_000,
        state_topic_prune_interval_ms: 1_000,
        batch_bytes_max,
        retry_backoff_ms: 100,
    })
}

/// The states of what was left when the records before an offset were deleted are all states.
fn check_nothing_needed_is_deleted(runtime: &Runtime, before: Offset) {
    let pruned = runtime.loaded_from(usize::try_from(before.0).expect("an offset of the log"));
    let left: Vec<_> = pruned.states().collect();
    let all: Vec<_> = runtime.shard.states().collect();
    assert_eq!(left, all, "without the records before {before}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The runtime checks after each step that replay equals live.
    #[test]
    fn the_log_makes_the_state_and_pruning_loses_none_of_it(
        config in config(),
        actions in prop::collection::vec(action(), 1..80),
    ) {
        let topics = Arc::new(Topics::default());
        topics.put(topic(0), 2);
        topics.put(topic(1), 2);
        let mut runtime = Runtime::new(config, topics.clone());
        for action in actions {
            let step = match action {
                Action::Ask(request) => {
                    let step = runtime.request(request);
                    prop_assert_eq!(step.replies.len(), 1);
                    step
                }
                Action::Advance { ms } => runtime.advance(ms),
                Action::FailNextAppend { code } => {
                    runtime.fail_next_append = Some(code);
                    continue;
                }
                Action::DeleteTopic { which } => {
                    topics.remove(topic(which));
                    let gone = BTreeSet::from([topic(which)]);
                    runtime.request(ShareStateRequest::TopicsDeleted(gone))
                }
                Action::Reload => {
                    runtime.reload();
                    continue;
                }
            };
            for ShareStateCommand::DeleteRecords { before } in step.commands {
                check_nothing_needed_is_deleted(&runtime, before);
            }
            if let Some(before) = runtime.shard.redundant_before() {
                check_nothing_needed_is_deleted(&runtime, before);
            }
        }
        // Whatever failed meanwhile, the states of deleted topics go.
        runtime.fail_next_append = None;
        runtime.advance(10_000);
        for (key, _) in runtime.shard.states() {
            prop_assert!(topics.counts.lock().expect("no panic").contains_key(&key.topic_id));
        }
    }

    #[test]
    fn combined_batches_are_in_order_and_cover_what_they_were_made_of(
        so_far in batches(),
        new in batches(),
        start in offset(),
    ) {
        let so_far = combine(&[], &so_far, None);
        let combined = combine(&so_far, &new, start);
        for pair in combined.windows(2) {
            prop_assert!(pair[0].last_offset < pair[1].first_offset, "{:?}", combined);
        }
        let offsets = |batches: &[StateBatch]| -> BTreeSet<i64> {
            batches.iter().flat_map(|it| it.first_offset.0..=it.last_offset.0).collect()
        };
        let mut covered = offsets(&so_far);
        covered.extend(offsets(&new));
        covered.retain(|offset| start.is_none_or(|start| *offset >= start.0));
        prop_assert_eq!(offsets(&combined), covered);
    }

    #[test]
    fn of_two_deliveries_of_a_record_the_later_one_holds(
        first in 0..10i64, length in 0..5i64, count in 1..5i16,
    ) {
        let before = StateBatch {
            first_offset: Offset(0),
            last_offset: Offset(20),
            delivery_count: count,
            delivery_state: 0,
        };
        let after = StateBatch {
            first_offset: Offset(first),
            last_offset: Offset(first + length),
            delivery_count: count + 1,
            delivery_state: 0,
        };
        let combined = combine(&[before], &[after], None);
        prop_assert!(combined.contains(&after));
        let is_kept = |offset: i64| combined.iter().any(|it| {
            it.delivery_count == count
                && (it.first_offset.0..=it.last_offset.0).contains(&offset)
        });
        for offset in 0..=20 {
            prop_assert_eq!(is_kept(offset), !(first..=first + length).contains(&offset));
        }
    }

    #[test]
    fn a_batch_that_holds_no_offset_changes_nothing(batches in batches(), first in 1..50i64) {
        let empty = StateBatch {
            first_offset: Offset(first),
            last_offset: Offset(first - 1),
            delivery_count: 9,
            delivery_state: 2,
        };
        let so_far = combine(&[], &batches, None);
        prop_assert_eq!(combine(&so_far, &[empty], None), combine(&so_far, &[], None));
    }

    #[test]
    fn bytes_from_nowhere_never_panic(key in prop::collection::vec(any::<u8>(), 0..60),
                                      value in prop::collection::vec(any::<u8>(), 0..120)) {
        use coordinator::share_state::ShareStateRecord;
        let _ = ShareStateRecord::decode(&key, Some(&value.clone().into()));
        let _ = ShareStateRecord::decode(&key, None);
        let head: Vec<u8> = [0, value.len() as u8 % 2, 0, 1, b'g'].into_iter()
            .chain([7; 20]).collect();
        let _ = ShareStateRecord::decode(&head, Some(&value.into()));
    }
}
