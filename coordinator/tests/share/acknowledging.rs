//! What members say of what they hold.

use coordinator::share::partition::{ShareGroupSettings, SharePartitionStatus};
use protocol::ErrorCode;

use crate::fixtures::*;

const NOT_HELD: Result<(), ErrorCode> = Err(ErrorCode::InvalidRecordState);
const INVALID: Result<(), ErrorCode> = Err(ErrorCode::InvalidRequest);

#[test]
fn what_is_accepted_never_comes_again() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 19, 1)]);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.start(), 10);
    assert_eq!(fixture.acknowledge("a", 10, 19, &[REJECT]), Ok(()));
    assert_eq!(fixture.start(), 20);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
}

#[test]
fn each_offset_of_a_batch_may_have_its_own_fate() {
    let mut fixture = Fixture::new(&[(0, 4)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 4, 1)]);
    let types = [ACCEPT, GAP, RELEASE, RELEASE, REJECT];
    assert_eq!(fixture.acknowledge("a", 0, 4, &types), Ok(()));
    assert_eq!(fixture.start(), 2);
    assert_eq!(fixture.fetch("b", Ask::default()), [(2, 3, 2)]);
}

#[test]
fn only_who_holds_a_record_decides_its_fate() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", at_most(5)), [(0, 9, 1)]);
    assert_eq!(fixture.acknowledge("b", 0, 9, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.acknowledge("b", 4, 5, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.acknowledge("a", 4, 5, &[RELEASE]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 4, 5, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), NOT_HELD);
    // What was refused changed nothing.
    assert_eq!(fixture.acknowledge("a", 0, 3, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 6, 9, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.start(), 4);
}

#[test]
fn a_batch_may_have_many_holders() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    assert_eq!(fixture.fetch("a", strictly(4)), [(0, 3, 1)]);
    assert_eq!(fixture.fetch("b", strictly(4)), [(4, 7, 1)]);
    assert_eq!(fixture.acknowledge("b", 0, 3, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.acknowledge("a", 0, 7, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.acknowledge("a", 8, 9, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.acknowledge("a", 0, 3, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("b", 4, 7, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.start(), 8);
}

#[test]
fn what_was_never_handed_out_cannot_be_acknowledged() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.acknowledge("a", 0, 0, &[ACCEPT]), NOT_HELD);
    assert_eq!(fixture.fetch("a", at_most(5)), [(0, 9, 1)]);
    assert_eq!(fixture.acknowledge("a", 5, 15, &[ACCEPT]), INVALID);
    assert_eq!(fixture.acknowledge("a", 10, 15, &[ACCEPT]), INVALID);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[9]), INVALID);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[]), INVALID);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT, ACCEPT]), INVALID);
    assert_eq!(
        fixture.acknowledge("a", i64::MAX, i64::MAX, &[ACCEPT]),
        INVALID
    );
    assert_eq!(
        fixture.acknowledge("a", i64::MIN, i64::MAX, &[ACCEPT]),
        INVALID
    );
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
}

#[test]
fn what_lies_before_the_start_may_be_said_again() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 19, 1)]);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("b", 0, 9, &[ACCEPT]), Ok(()));
}

#[test]
fn a_refusal_in_the_middle_takes_all_of_the_request_back() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    fixture.fetch("a", at_most(5));
    fixture.fetch("b", at_most(5));
    let token = fixture.say("a", &[said(0, 9, &[ACCEPT]), said(10, 19, &[ACCEPT])]);
    let answer = fixture.answer(token).expect("a refusal waits for nothing");
    assert_eq!(answer.map_err(|refusal| refusal.code), NOT_HELD);
    assert_eq!(fixture.stored.records.len(), 0);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
}

#[test]
fn an_answer_waits_for_the_write() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.holds_writes = true;
    let token = fixture.say("a", &[said(0, 9, &[ACCEPT])]);
    assert_eq!(fixture.answer(token), None);
    assert_eq!(fixture.start(), 0);
    // Meanwhile nobody can say anything else.
    let second = fixture.say("a", &[said(0, 9, &[RELEASE])]);
    let refused = fixture.answer(second).expect("a refusal waits for nothing");
    assert_eq!(refused.map_err(|refusal| refusal.code), NOT_HELD);
    fixture.written();
    assert_eq!(fixture.answer(token), Some(Ok(())));
    assert_eq!(fixture.start(), 10);
}

#[test]
fn a_released_record_is_handed_out_when_that_is_written() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.holds_writes = true;
    fixture.say("a", &[said(0, 9, &[RELEASE])]);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    fixture.woken = false;
    fixture.written();
    assert!(fixture.woken);
    assert_eq!(fixture.fetch("b", Ask::default()), [(0, 9, 2)]);
}

#[test]
fn what_could_not_be_written_is_held_as_before() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.holds_writes = true;
    let token = fixture.say("a", &[said(0, 9, &[ACCEPT])]);
    fixture.write_fails(ErrorCode::CoordinatorLoadInProgress);
    let answer = fixture.answer(token).expect("the write has come back");
    let expected = Err(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(answer.map_err(|refusal| refusal.code), expected);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    fixture.holds_writes = false;
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
}

#[test]
fn what_could_not_be_written_in_time_is_nobodys() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.holds_writes = true;
    fixture.say("a", &[said(0, 9, &[ACCEPT])]);
    fixture.advance(30_000);
    // While it is being written nobody gets it.
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    fixture.write_fails(ErrorCode::RequestTimedOut);
    fixture.advance(0);
    assert_eq!(fixture.fetch("b", Ask::default()), [(0, 9, 2)]);
}

#[test]
fn what_comes_up_during_a_write_goes_out_as_one() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19), (20, 29)]);
    for member in ["a", "b", "c"] {
        fixture.fetch(member, at_most(1));
    }
    fixture.holds_writes = true;
    let first = fixture.say("a", &[said(0, 9, &[ACCEPT])]);
    let second = fixture.say("b", &[said(10, 19, &[ACCEPT])]);
    let third = fixture.say("c", &[said(20, 29, &[ACCEPT])]);
    fixture.written();
    assert_eq!(fixture.answer(first), Some(Ok(())));
    assert_eq!(fixture.answer(second), None);
    let write = fixture.writes.first().expect("the next write is under way");
    assert_eq!(write.start_offset.0, 10);
    assert_eq!(write.delivery_complete_count, 20);
    let batches: Vec<_> = write.batches.iter().map(|batch| batch.offsets).collect();
    assert_eq!(batches, [range(10, 29)]);
    fixture.written();
    assert_eq!(fixture.answer(second), Some(Ok(())));
    assert_eq!(fixture.answer(third), Some(Ok(())));
    assert!(fixture.partition.is_idle());
}

#[test]
fn a_fenced_state_ends_the_partition() {
    for (code, seen) in [
        (ErrorCode::FencedStateEpoch, ErrorCode::NotLeaderOrFollower),
        (ErrorCode::FencedLeaderEpoch, ErrorCode::NotLeaderOrFollower),
        (ErrorCode::GroupIdNotFound, ErrorCode::GroupIdNotFound),
    ] {
        let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
        fixture.fetch("a", at_most(5));
        fixture.fetch("b", at_most(5));
        fixture.holds_writes = true;
        let first = fixture.say("a", &[said(0, 9, &[ACCEPT])]);
        let second = fixture.say("b", &[said(10, 19, &[ACCEPT])]);
        fixture.write_fails(code);
        for token in [first, second] {
            let answer = fixture.answer(token).expect("all who wait are answered");
            assert_eq!(answer.map_err(|refusal| refusal.code), Err(seen));
        }
        assert!(fixture.writes.is_empty());
        assert_eq!(
            fixture.partition.status(),
            SharePartitionStatus::Fenced(seen)
        );
        assert_eq!(fixture.fetch("c", Ask::default()), []);
        assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Err(seen));
    }
}

#[test]
fn a_renewed_lock_lasts_from_now_on() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.advance(20_000);
    assert_eq!(fixture.acknowledge("a", 0, 4, &[RENEW]), Ok(()));
    assert!(fixture.writes.is_empty());
    fixture.advance(10_000);
    assert_eq!(fixture.fetch("b", Ask::default()), [(5, 9, 2)]);
    fixture.advance(20_000);
    assert_eq!(fixture.fetch("b", Ask::default()), [(0, 4, 2)]);
}

#[test]
fn a_group_may_forbid_to_renew() {
    let settings = ShareGroupSettings {
        renew_acknowledge_enable: false,
        ..ShareGroupSettings::default()
    };
    let mut fixture = Fixture::with(settings, &[(0, 9)]);
    fixture.fetch("a", Ask::default());
    assert_eq!(fixture.acknowledge("a", 0, 9, &[RENEW]), NOT_HELD);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
}
