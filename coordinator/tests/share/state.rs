//! What is remembered from one leader to the next.

use coordinator::share::partition::{
    AutoOffsetReset, DeliveryState, PersistedState, ShareGroupSettings, SharePartition,
    SharePartitionCommand, SharePartitionEvent, SharePartitionStatus, StateBatch,
};
use protocol::{ErrorCode, LeaderEpoch, Offset, Timestamp};

use crate::fixtures::*;

fn stored(start: i64, records: &[(i64, i64, DeliveryState, i16)]) -> Stored {
    let mut stored = Stored {
        start: Some(Offset(start)),
        ..Stored::default()
    };
    for (first, last, state, count) in records {
        for offset in *first..=*last {
            stored.records.insert(offset, (*state, *count));
        }
    }
    stored
}

#[test]
fn a_partition_is_read_once_and_serves_then() {
    let settings = ShareGroupSettings::default();
    let mut partition = SharePartition::new(LeaderEpoch(4), settings);
    let now = Timestamp(0);
    let output = partition.handle(now, SharePartitionEvent::Initialize);
    let leader_epoch = LeaderEpoch(4);
    assert_eq!(
        output.commands,
        [SharePartitionCommand::ReadState { leader_epoch }]
    );
    let output = partition.handle(now, SharePartitionEvent::Initialize);
    assert_eq!(output.commands, []);
    assert_eq!(partition.status(), SharePartitionStatus::Initializing);
    let read = SharePartitionEvent::StateRead(Ok(PersistedState::default()));
    let output = partition.handle(now, read);
    let reset = AutoOffsetReset::Latest;
    assert_eq!(
        output.commands,
        [SharePartitionCommand::FindStartOffset { reset }]
    );
    let found = SharePartitionEvent::StartOffsetFound(Ok(Offset(42)));
    let output = partition.handle(now, found);
    assert!(output.wake);
    assert_eq!(partition.status(), SharePartitionStatus::Active);
    assert_eq!(partition.start_offset(), Offset(42));
}

#[test]
fn a_group_may_begin_some_time_back() {
    let reset = AutoOffsetReset::ByDuration { milliseconds: 300 };
    assert_eq!(reset.timestamp(Timestamp(1_000)), Some(Timestamp(700)));
    assert_eq!(AutoOffsetReset::Earliest.timestamp(Timestamp(1_000)), None);
}

#[test]
fn a_state_that_cannot_be_read_fails_the_partition() {
    for (code, seen) in [
        (
            ErrorCode::NotCoordinator,
            ErrorCode::CoordinatorNotAvailable,
        ),
        (ErrorCode::FencedLeaderEpoch, ErrorCode::NotLeaderOrFollower),
        (
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
        ),
        (
            ErrorCode::InvalidRequest,
            ErrorCode::UnknownTopicOrPartition,
        ),
        (ErrorCode::KafkaStorageError, ErrorCode::UnknownServerError),
    ] {
        let settings = ShareGroupSettings::default();
        let mut partition = SharePartition::new(LeaderEpoch(4), settings);
        partition.handle(Timestamp(0), SharePartitionEvent::Initialize);
        let output = partition.handle(Timestamp(0), SharePartitionEvent::StateRead(Err(code)));
        assert!(output.wake);
        assert_eq!(partition.status(), SharePartitionStatus::Failed(seen));
    }
}

#[test]
fn a_state_that_makes_no_sense_fails_the_partition() {
    let batch = |first, last| StateBatch {
        offsets: range(first, last),
        state: DeliveryState::Available,
        delivery_count: 1,
    };
    for batches in [vec![batch(5, 20)], vec![batch(10, 20), batch(15, 25)]] {
        let settings = ShareGroupSettings::default();
        let mut partition = SharePartition::new(LeaderEpoch(4), settings);
        partition.handle(Timestamp(0), SharePartitionEvent::Initialize);
        let state = PersistedState {
            state_epoch: 0,
            start_offset: Some(Offset(10)),
            batches,
        };
        partition.handle(Timestamp(0), SharePartitionEvent::StateRead(Ok(state)));
        let failed = SharePartitionStatus::Failed(ErrorCode::UnknownServerError);
        assert_eq!(partition.status(), failed);
    }
}

#[test]
fn what_was_said_survives_and_what_was_held_comes_again() {
    let settings = ShareGroupSettings::default();
    let mut fixture = Fixture::with(settings, &[(0, 9), (10, 19), (20, 29)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 29, 1)]);
    assert_eq!(fixture.acknowledge("a", 0, 4, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 10, 14, &[REJECT]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 15, 16, &[RELEASE]), Ok(()));
    fixture.reload(settings);
    assert_eq!(fixture.start(), 5);
    // Of 5 to 9 and of what lies behind 16 the state knows nothing: it counts as new.
    let expected = [(5, 9, 1), (15, 16, 2), (17, 29, 1)];
    assert_eq!(fixture.fetch("b", Ask::default()), expected);
    for (first, last) in [(5, 9), (15, 29)] {
        assert_eq!(fixture.acknowledge("b", first, last, &[ACCEPT]), Ok(()));
    }
    assert_eq!(fixture.start(), 30);
}

#[test]
fn a_gap_is_fetched_in_the_pieces_of_the_log() {
    let settings = ShareGroupSettings::default();
    let state = stored(10, &[(21, 30, DeliveryState::Acknowledged, 1)]);
    let log = batches(&[(5, 14), (15, 30), (31, 40)]);
    let mut fixture = Fixture::loaded(settings, state, log);
    assert_eq!(fixture.fetch("a", at_most(3)), [(10, 14, 1)]);
    assert_eq!(fixture.fetch("a", at_most(3)), [(15, 20, 1)]);
    assert_eq!(fixture.fetch("a", at_most(3)), [(31, 40, 1)]);
    assert_eq!(fixture.acknowledge("a", 10, 20, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.start(), 31);
}

#[test]
fn a_gap_without_records_stands_in_nobodys_way() {
    let settings = ShareGroupSettings::default();
    let state = stored(10, &[(21, 30, DeliveryState::Acknowledged, 1)]);
    let mut fixture = Fixture::loaded(settings, state, batches(&[(25, 30), (31, 40)]));
    assert_eq!(fixture.fetch("a", Ask::default()), [(31, 40, 1)]);
    assert_eq!(fixture.start(), 31);
}

#[test]
fn a_start_is_not_moved_over_a_gap() {
    let settings = ShareGroupSettings::default();
    let records = [
        (0, 9, DeliveryState::Acknowledged, 1),
        (15, 19, DeliveryState::Archived, 5),
    ];
    let fixture = Fixture::loaded(settings, stored(0, &records), batches(&[(0, 19)]));
    assert_eq!(fixture.start(), 10);
}

#[test]
fn the_delivery_count_goes_on_with_the_next_leader() {
    let settings = ShareGroupSettings::default();
    let mut fixture = Fixture::with(settings, &[(0, 0)]);
    for delivery in 1..=5 {
        assert_eq!(fixture.fetch("a", Ask::default()), [(0, 0, delivery)]);
        fixture.release("a");
        fixture.reload(settings);
    }
    assert_eq!(fixture.fetch("a", Ask::default()), []);
    assert_eq!(fixture.start(), 1);
}

#[test]
fn a_fenced_partition_answers_everybody() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    fixture.fetch("a", at_most(5));
    fixture.fetch("b", at_most(5));
    fixture.holds_writes = true;
    let tokens = [
        fixture.say("a", &[said(0, 9, &[ACCEPT])]),
        fixture.say("b", &[said(10, 19, &[ACCEPT])]),
    ];
    fixture.handle(SharePartitionEvent::Fence);
    for token in tokens {
        let answer = fixture.answer(token).expect("nobody waits for ever");
        let expected = Err(ErrorCode::NotLeaderOrFollower);
        assert_eq!(answer.map_err(|refusal| refusal.code), expected);
    }
    // What comes back late changes nothing.
    fixture.written();
    assert!(fixture.writes.is_empty());
    assert_eq!(fixture.partition.next_lock_end(), None);
}
