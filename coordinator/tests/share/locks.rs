//! How records come back that nobody acknowledged.

use coordinator::share::partition::{DeliveryState, ShareGroupSettings, SharePartitionEvent};
use protocol::{ErrorCode, Offset};

use crate::fixtures::*;

#[test]
fn a_lock_ends_with_its_time() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.advance(29_999);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    fixture.woken = false;
    fixture.advance(1);
    assert!(fixture.woken);
    let refused = Err(ErrorCode::InvalidRecordState);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), refused);
    assert_eq!(fixture.fetch("b", Ask::default()), [(0, 9, 2)]);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), refused);
    assert_eq!(
        fixture.partition.next_lock_end().map(|end| end.0),
        Some(60_000)
    );
}

#[test]
fn a_lock_that_ended_is_free_before_that_is_written() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.holds_writes = true;
    fixture.advance(30_000);
    let write = fixture.writes.first().expect("it is written");
    let written: Vec<_> = write
        .batches
        .iter()
        .map(|batch| (batch.offsets, batch.state, batch.delivery_count))
        .collect();
    assert_eq!(written, [(range(0, 9), DeliveryState::Available, 1)]);
    assert_eq!(fixture.fetch("b", Ask::default()), [(0, 9, 2)]);
    fixture.write_fails(ErrorCode::RequestTimedOut);
    fixture.holds_writes = false;
    assert_eq!(fixture.acknowledge("b", 0, 9, &[ACCEPT]), Ok(()));
}

#[test]
fn a_record_that_nobody_ever_acknowledges_is_given_up() {
    let mut fixture = Fixture::new(&[(0, 0)]);
    for delivery in 1..=5 {
        assert_eq!(fixture.fetch("a", Ask::default()), [(0, 0, delivery)]);
        assert_eq!(fixture.start(), 0);
        fixture.advance(30_000);
    }
    assert_eq!(fixture.fetch("a", Ask::default()), []);
    assert_eq!(fixture.start(), 1);
}

#[test]
fn a_member_that_leaves_holds_nothing() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    fixture.fetch("a", at_most(5));
    fixture.fetch("b", at_most(5));
    assert_eq!(fixture.acknowledge("a", 2, 3, &[ACCEPT]), Ok(()));
    fixture.holds_writes = true;
    let token = fixture.release("a");
    assert_eq!(fixture.answer(token), None);
    assert_eq!(fixture.fetch("c", Ask::default()), []);
    fixture.written();
    assert_eq!(fixture.answer(token), Some(Ok(())));
    let expected = [(0, 1, 2), (4, 9, 2)];
    assert_eq!(fixture.fetch("c", Ask::default()), expected);
    // Who holds nothing is released at once.
    let token = fixture.release("nobody");
    assert_eq!(fixture.answer(token), Some(Ok(())));
}

#[test]
fn a_jump_of_the_clock_makes_no_lock_longer() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.now = -1_000_000;
    fixture.handle(SharePartitionEvent::ClockMoved { by_ms: -1_000_000 });
    fixture.advance(29_999);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    fixture.advance(1);
    assert_eq!(fixture.fetch("b", Ask::default()), [(0, 9, 2)]);
    fixture.handle(SharePartitionEvent::ClockMoved { by_ms: 1_000_000 });
    fixture.advance(1_000_000);
    assert_eq!(fixture.fetch("c", Ask::default()), [(0, 9, 3)]);
}

#[test]
fn what_is_gone_from_the_log_is_gone_from_the_group() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19), (20, 29), (30, 39)]);
    fixture.fetch("a", at_most(5));
    fixture.fetch("b", at_most(15));
    fixture.release("a");
    fixture.handle(SharePartitionEvent::LogStartMoved(Offset(15)));
    assert_eq!(fixture.start(), 15);
    fixture.log = batches(&[(15, 19), (20, 29), (30, 39)]);
    // Nothing of it comes again, and nobody minds what is said of it.
    assert_eq!(fixture.fetch("c", at_most(1)), [(30, 39, 1)]);
    assert_eq!(fixture.acknowledge("a", 0, 9, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("b", 10, 29, &[RELEASE]), Ok(()));
    assert_eq!(fixture.fetch("c", at_most(20)), [(15, 29, 2)]);
}

#[test]
fn a_log_that_begins_behind_everything_begins_anew() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.handle(SharePartitionEvent::LogStartMoved(Offset(100)));
    fixture.log = batches(&[(100, 109)]);
    assert_eq!(fixture.start(), 100);
    assert_eq!(fixture.fetch("b", Ask::default()), [(100, 109, 1)]);
    fixture.advance(30_000);
    assert_eq!(fixture.fetch("c", Ask::default()), [(100, 109, 2)]);
    fixture.handle(SharePartitionEvent::LogStartMoved(Offset(50)));
    assert_eq!(fixture.start(), 100);
}

#[test]
fn new_settings_hold_for_what_is_handed_out_from_then_on() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    fixture.fetch("a", at_most(5));
    fixture.partition.configure(ShareGroupSettings {
        record_lock_duration_ms: 15_000,
        ..ShareGroupSettings::default()
    });
    fixture.fetch("b", at_most(5));
    fixture.advance(15_000);
    assert_eq!(fixture.fetch("c", at_most(5)), [(10, 19, 2)]);
    fixture.advance(15_000);
    assert_eq!(fixture.fetch("d", at_most(15)), [(0, 9, 2), (10, 19, 3)]);
}

#[test]
fn what_is_gone_from_the_log_does_not_come_back_with_its_lock() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    fixture.fetch("a", Ask::default());
    fixture.handle(SharePartitionEvent::LogStartMoved(Offset(5)));
    fixture.holds_writes = true;
    fixture.advance(30_000);
    let write = fixture
        .writes
        .first()
        .expect("the end of the lock is written");
    assert_eq!(write.start_offset, Offset(5));
    let written: Vec<_> = write.batches.iter().map(|batch| batch.offsets).collect();
    assert_eq!(written, [range(5, 9)]);
    assert_eq!(fixture.fetch("b", Ask::default()), [(5, 9, 2)]);
}
