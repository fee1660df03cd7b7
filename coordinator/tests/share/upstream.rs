//! Conversations as they went with upstream 4.3.1: the same requests, the same answers.

use coordinator::share::partition::{Refusal, SharePartitionEvent};
use protocol::ErrorCode;

use crate::fixtures::*;

fn refusal(code: ErrorCode, message: &'static str) -> Option<Result<(), Refusal>> {
    let message = Some(message);
    Some(Err(Refusal { code, message }))
}

#[test]
fn batches_and_what_members_say_of_them() {
    let mut fixture = Fixture::new(&[(0, 4), (5, 14), (15, 29), (30, 49)]);
    assert_eq!(fixture.fetch("a", at_most(1)), [(0, 4, 1)]);
    let small_pieces = Ask {
        batch_size: 3,
        ..at_most(11)
    };
    assert_eq!(fixture.fetch("b", small_pieces), [(5, 14, 1), (15, 29, 1)]);
    for ((first, last), code, message) in [
        (
            (5, 14),
            ErrorCode::InvalidRecordState,
            "Member is not the owner of batch record",
        ),
        (
            (0, 60),
            ErrorCode::InvalidRequest,
            "Batch record not found. The last offset in request is past acquired records.",
        ),
        (
            (100, 160),
            ErrorCode::InvalidRequest,
            "Batch record not found. The first offset in request is past acquired records.",
        ),
    ] {
        let token = fixture.say("a", &[said(first, last, &[ACCEPT])]);
        assert_eq!(fixture.answer(token), refusal(code, message));
    }
    let types = [ACCEPT, GAP, RELEASE, RELEASE, REJECT];
    assert_eq!(fixture.acknowledge("a", 0, 4, &types), Ok(()));
    let token = fixture.say("a", &[said(0, 4, &[ACCEPT])]);
    let expected = refusal(
        ErrorCode::InvalidRecordState,
        "The offset cannot be acknowledged. The offset is not acquired.",
    );
    assert_eq!(fixture.answer(token), expected);
    assert_eq!(fixture.acknowledge("a", 0, 1, &[ACCEPT]), Ok(()));
    assert_eq!(fixture.fetch("a", Ask::default()), [(2, 3, 2), (30, 49, 1)]);
    assert_eq!(fixture.acknowledge("a", 2, 3, &[RENEW]), Ok(()));
    assert_eq!(fixture.acknowledge("a", 2, 3, &[ACCEPT]), Ok(()));
    fixture.release("a");
    fixture.release("b");
    let expected = [(5, 14, 2), (15, 29, 2), (30, 49, 2)];
    assert_eq!(fixture.fetch("d", Ask::default()), expected);
}

#[test]
fn a_record_limit() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19)]);
    assert_eq!(fixture.fetch("a", strictly(4)), [(0, 3, 1)]);
    assert_eq!(fixture.fetch("b", strictly(4)), [(4, 7, 1)]);
    assert_eq!(fixture.fetch("c", at_most(4)), [(8, 9, 1), (10, 19, 1)]);
    let message = "Member is not the owner of offset";
    for (first, last) in [(4, 7), (0, 7)] {
        let token = fixture.say("a", &[said(first, last, &[ACCEPT])]);
        let expected = refusal(ErrorCode::InvalidRecordState, message);
        assert_eq!(fixture.answer(token), expected);
    }
    assert_eq!(fixture.fetch("c", at_most(100)), []);
}

#[test]
fn records_that_are_released_again_and_again() {
    let mut fixture = Fixture::new(&[(0, 99), (100, 199)]);
    for (first, last, count) in [
        (0, 199, 1),
        (0, 199, 2),
        (0, 199, 3),
        (0, 99, 4),
        (0, 0, 5),
        (1, 1, 5),
        (2, 2, 5),
    ] {
        assert_eq!(fixture.fetch("a", Ask::default()), [(first, last, count)]);
        assert_eq!(fixture.acknowledge("a", first, last, &[RELEASE]), Ok(()));
    }
}

#[test]
fn a_batch_that_comes_back_in_parts() {
    let mut fixture = Fixture::new(&[(0, 9), (10, 19), (20, 29)]);
    assert_eq!(fixture.fetch("a", Ask::default()), [(0, 29, 1)]);
    let token = fixture.say("a", &[said(3, 4, &[RELEASE]), said(13, 14, &[RELEASE])]);
    assert_eq!(fixture.answer(token), Some(Ok(())));
    assert_eq!(fixture.fetch("b", Ask::default()), [(3, 4, 2), (13, 14, 2)]);
    let message = "Member is not the owner of offset";
    let expected = refusal(ErrorCode::InvalidRecordState, message);
    let token = fixture.say("a", &[said(3, 4, &[ACCEPT])]);
    assert_eq!(fixture.answer(token), expected);
    let token = fixture.say("a", &[said(0, 2, &[ACCEPT]), said(3, 4, &[ACCEPT])]);
    assert_eq!(fixture.answer(token), expected);
    assert_eq!(fixture.acknowledge("a", 0, 2, &[ACCEPT]), Ok(()));
    fixture.advance(30_000);
    let expected = [(3, 4, 3), (5, 12, 2), (13, 14, 3), (15, 29, 2)];
    assert_eq!(fixture.fetch("c", Ask::default()), expected);
    // What is said of a partition that was not read yet is said of nothing.
    fixture.handle(SharePartitionEvent::Initialize);
    assert_eq!(fixture.fetch("d", Ask::default()), []);
}
