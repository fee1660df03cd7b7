//! What is handed out.

use coordinator::TransactionResult;
use coordinator::share::partition::{
    AbortedTransaction, BatchOrigin, Fetched, FetchedBatch, IsolationLevel, ShareGroupSettings,
    SharePartitionEvent,
};
use protocol::{Offset, ProducerId};

use crate::fixtures::*;

#[test]
fn what_one_member_holds_no_other_gets() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", at_most(5)), [(0, 9, 1)]);
    assert_eq!(fixture.fetch("b", at_most(5)), [(10, 19, 1)]);
    assert_eq!(fixture.fetch("c", at_most(5)), []);
}

#[test]
fn a_batch_of_the_log_is_handed_out_whole() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19), (20, 29)]);
    assert_eq!(fixture.fetch("a", at_most(11)), [(0, 19, 1)]);
}

#[test]
fn what_is_handed_out_is_cut_where_batches_begin() {
    let mut fixture = Fixture::new(&[(0, 4), (5, 9), (10, 14), (15, 30)]);
    let ask = Ask {
        batch_size: 7,
        ..Ask::default()
    };
    assert_eq!(fixture.fetch("a", ask), [(0, 9, 1), (10, 30, 1)]);
}

#[test]
fn a_batch_size_of_nothing_cuts_at_every_batch() {
    let mut fixture = Fixture::new(&[(0, 4), (5, 9)]);
    let ask = Ask {
        batch_size: i32::MIN,
        ..Ask::default()
    };
    assert_eq!(fixture.fetch("a", ask), [(0, 4, 1), (5, 9, 1)]);
}

#[test]
fn a_record_limit_is_kept_within_a_batch() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    assert_eq!(fixture.fetch("a", strictly(4)), [(0, 3, 1)]);
    assert_eq!(fixture.fetch("b", strictly(4)), [(4, 7, 1)]);
    assert_eq!(fixture.fetch("c", at_most(4)), [(8, 9, 1)]);
}

#[test]
fn a_record_limit_is_kept_when_records_come_again() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 19, 1)]);
    fixture.release("a");
    assert_eq!(fixture.fetch("b", strictly(12)), [(0, 11, 2)]);
    assert_eq!(fixture.fetch("b", strictly(12)), [(12, 19, 2)]);
}

#[test]
fn released_records_come_again_before_new_ones() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19), (20, 29)]);
    assert_eq!(fixture.fetch("a", at_most(20)), [(0, 19, 1)]);
    assert_eq!(fixture.acknowledge("a", 5, 6, &[RELEASE]), Ok(()));
    let expected = [(5, 6, 2), (20, 29, 1)];
    assert_eq!(fixture.fetch("b", Ask::default()), expected);
}

#[test]
fn no_more_is_handed_out_than_there_are_locks() {
    let settings = ShareGroupSettings {
        partition_max_record_locks: 15,
        ..ShareGroupSettings::default()
    };
    let mut fixture = Fixture::with(settings, &[(0, 9), (10, 19), (20, 29)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 19, 1)]);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    // What was handed out before may come again, and nothing with it.
    assert_eq!(fixture.acknowledge("a", 3, 3, &[RELEASE]), Ok(()));
    assert_eq!(fixture.fetch("b", Ask::default()), [(3, 3, 2)]);
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    assert_eq!(fixture.acknowledge("a", 0, 2, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.fetch("b", Ask::default()), []);
    assert_eq!(fixture.acknowledge("b", 3, 3, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 4, 9, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.fetch("b", Ask::default()), [(20, 29, 1)]);
}

#[test]
fn only_one_fetch_reads_the_log() {
    let mut fixture = Fixture::new(&[(0, 9)]);
    let (first, second) = (fixture.token(), fixture.token());
    assert_eq!(fixture.partition.begin_fetch(first), Some(Offset(0)));
    assert_eq!(fixture.partition.begin_fetch(second), None);
    fixture.handle(SharePartitionEvent::FetchAbandoned { token: second });
    assert_eq!(fixture.partition.begin_fetch(second), None);
    fixture.woken = false;
    fixture.handle(SharePartitionEvent::FetchAbandoned { token: first });
    assert!(fixture.woken);
    assert_eq!(fixture.partition.begin_fetch(second), Some(Offset(0)));
    // Who was not let through gets nothing.
    let fetched = fixture.read_log(Offset(0));
    assert_eq!(fixture.fetched(first, "a", Ask::default(), fetched), []);
}

#[test]
fn a_suspect_record_comes_in_ever_smaller_company() {
    let mut fixture = Fixture::new(&[(0, 99), (100, 199)]);
    let mut sizes = Vec::new();
    for _ in 0..5 {
        let acquired = fixture.fetch("a", Ask::default());
        let (first, last, _) = acquired.first().copied().expect("records are left");
        assert_eq!(first, 0);
        sizes.push(last - first + 1);
        assert_eq!(fixture.acknowledge("a", first, last, &[RELEASE]), Ok(()));
        fixture.release("a");
    }
    // The limit is five: suspect from the third delivery on, alone with the last.
    assert_eq!(sizes, [200, 200, 200, 100, 1]);
    // It is gone for good; the others are still there.
    assert_eq!(fixture.start(), 1);
}

#[test]
fn records_before_the_start_are_not_handed_out() {
    let stored = Stored {
        start: Some(Offset(5)),
        ..Stored::default()
    };
    let settings = ShareGroupSettings::default();
    let mut fixture = Fixture::loaded(settings, stored, batches(&[(0, 9)]));
    assert_eq!(fixture.fetch("a", Ask::default()), [(5, 9, 1)]);
}

#[test]
fn records_that_were_compacted_away_stand_in_nobodys_way() {
    let settings = ShareGroupSettings {
        partition_max_record_locks: 20,
        ..ShareGroupSettings::default()
    };
    let mut fixture = Fixture::with(settings, &[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 19, 1)]);
    fixture.release("a");
    fixture.log = batches(&[(30, 39)]);
    // There was no room for more. Now there is.
    assert_eq!(fixture.fetch("a", Ask::default()), []);
    assert_eq!(fixture.start(), 20);
    assert_eq!(fixture.fetch("a", Ask::default()), [(30, 39, 1)]);
    assert_eq!(fixture.start(), 30);
}

#[test]
fn records_of_aborted_transactions_are_for_nobody() {
    let producer = ProducerId(1);
    let batch = |first, last, origin| FetchedBatch {
        offsets: range(first, last),
        origin,
    };
    let log = vec![
        batch(0, 4, BatchOrigin::Plain),
        batch(5, 9, BatchOrigin::Transactional(producer)),
        batch(
            10,
            10,
            BatchOrigin::Marker(producer, TransactionResult::Abort),
        ),
        batch(11, 14, BatchOrigin::Plain),
    ];
    let aborted = AbortedTransaction {
        producer_id: producer,
        first_offset: Offset(5),
    };
    let committed = Ask {
        isolation: IsolationLevel::ReadCommitted,
        ..Ask::default()
    };
    for (ask, expected) in [
        (Ask::default(), vec![(0, 14, 1)]),
        (committed, vec![(0, 4, 1), (10, 14, 1)]),
    ] {
        let mut fixture = Fixture::new(&[]);
        fixture.log = log.clone();
        fixture.aborted = vec![aborted];
        assert_eq!(fixture.fetch("a", ask), expected);
        for (first, last, _) in expected {
            assert_eq!(fixture.acknowledge("a", first, last, &[ACCEPT]), Ok(()));
        }
        assert_eq!(fixture.start(), 15);
    }
}

#[test]
fn a_fetch_of_aborted_records_alone_moves_on() {
    let settings = ShareGroupSettings {
        partition_max_record_locks: 5,
        ..ShareGroupSettings::default()
    };
    let mut fixture = Fixture::with(settings, &[]);
    fixture.log = vec![FetchedBatch {
        offsets: range(0, 9),
        origin: BatchOrigin::Transactional(ProducerId(1)),
    }];
    fixture.aborted = vec![AbortedTransaction {
        producer_id: ProducerId(1),
        first_offset: Offset(0),
    }];
    let committed = Ask {
        isolation: IsolationLevel::ReadCommitted,
        ..Ask::default()
    };
    assert_eq!(fixture.fetch("a", committed), []);
    assert_eq!(fixture.start(), 10);
    fixture.log.extend(batches(&[(10, 14)]));
    assert_eq!(fixture.fetch("a", committed), [(10, 14, 1)]);
}

#[test]
fn a_fetch_that_found_nothing_hands_out_nothing() {
    let mut fixture = Fixture::new(&[]);
    assert_eq!(fixture.fetch("a", Ask::default()), []);
    assert_eq!(fixture.fetch("a", at_most(0)), []);
    let token = fixture.token();
    assert_eq!(fixture.partition.begin_fetch(token), Some(Offset(0)));
    let fetched = Fetched::default();
    assert_eq!(fixture.fetched(token, "a", at_most(-1), fetched), []);
}
