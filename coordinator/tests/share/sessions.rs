//! Share sessions as clients see them.

use std::sync::Arc;

use coordinator::share::session::{
    FINAL_EPOCH, NamedPartition, PartitionAnswer, SessionPartition, SessionRequest, SessionTurn,
    ShareSessionKey, ShareSessions, next_epoch,
};
use protocol::{ErrorCode, TopicId};
use uuid::Uuid;

fn key(member: &str) -> ShareSessionKey {
    ShareSessionKey {
        group_id: Arc::from("group"),
        member_id: Arc::from(member),
    }
}

fn partition(index: i32) -> SessionPartition {
    SessionPartition {
        topic_id: TopicId(Uuid::from_u128(7)),
        partition: index,
    }
}

fn named(index: i32) -> NamedPartition {
    NamedPartition {
        partition: partition(index),
        topic_name: Some(Arc::from("topic")),
    }
}

fn request(member: &str, epoch: i32, partitions: &[i32]) -> SessionRequest {
    SessionRequest {
        key: key(member),
        epoch,
        connection: 1,
        partitions: partitions.iter().map(|index| named(*index)).collect(),
        forgotten: Vec::new(),
        has_acknowledgements: false,
    }
}

fn indexes(turn: SessionTurn) -> Vec<i32> {
    let partitions = match turn {
        SessionTurn::New { partitions } | SessionTurn::Next { partitions } => partitions,
        SessionTurn::Final => Vec::new(),
    };
    let partitions = partitions.into_iter();
    partitions.map(|named| named.partition.partition).collect()
}

fn answer(index: i32, has_records: bool, has_error: bool) -> PartitionAnswer {
    PartitionAnswer {
        partition: partition(index),
        has_records,
        has_error,
    }
}

#[test]
fn a_session_remembers_its_partitions() {
    let mut sessions = ShareSessions::new(10);
    let turn = sessions.fetch(&request("a", 0, &[0, 1]));
    assert!(matches!(turn, Ok(SessionTurn::New { .. })));
    let mut next = request("a", 1, &[2]);
    next.forgotten = vec![partition(0)];
    assert_eq!(sessions.fetch(&next).map(indexes), Ok(vec![1, 2]));
    assert_eq!(
        sessions.fetch(&request("a", 2, &[])).map(indexes),
        Ok(vec![1, 2])
    );
    assert_eq!(sessions.partition_count(), 2);
}

#[test]
fn a_session_takes_each_request_once() {
    let mut sessions = ShareSessions::new(10);
    let unknown = Err(ErrorCode::ShareSessionNotFound);
    let stale = Err(ErrorCode::InvalidShareSessionEpoch);
    assert_eq!(sessions.fetch(&request("a", 1, &[])).map(indexes), unknown);
    assert_eq!(
        sessions.fetch(&request("a", FINAL_EPOCH, &[])).map(indexes),
        unknown
    );
    assert_eq!(
        sessions.fetch(&request("a", 0, &[0])).map(indexes),
        Ok(vec![0])
    );
    assert_eq!(sessions.fetch(&request("a", 2, &[])).map(indexes), stale);
    assert_eq!(
        sessions.fetch(&request("a", 1, &[])).map(indexes),
        Ok(vec![0])
    );
    assert_eq!(sessions.fetch(&request("a", 1, &[])).map(indexes), stale);
    assert_eq!(sessions.acknowledge(&key("a"), 2), Ok(()));
    assert_eq!(
        sessions.acknowledge(&key("a"), 2),
        Err(ErrorCode::InvalidShareSessionEpoch)
    );
    assert_eq!(
        sessions.acknowledge(&key("a"), 0),
        Err(ErrorCode::InvalidShareSessionEpoch)
    );
    assert_eq!(
        sessions.acknowledge(&key("b"), 3),
        Err(ErrorCode::ShareSessionNotFound)
    );
    assert_eq!(
        sessions.fetch(&request("a", 3, &[])).map(indexes),
        Ok(vec![0])
    );
}

#[test]
fn a_session_cannot_begin_with_an_acknowledgement() {
    let mut sessions = ShareSessions::new(10);
    let mut first = request("a", 0, &[0]);
    first.has_acknowledgements = true;
    assert_eq!(sessions.fetch(&first), Err(ErrorCode::InvalidRequest));
    assert_eq!(sessions.count(), 0);
}

#[test]
fn a_member_that_begins_anew_has_one_session() {
    let mut sessions = ShareSessions::new(1);
    assert!(sessions.fetch(&request("a", 0, &[0, 1])).is_ok());
    assert_eq!(
        sessions.fetch(&request("a", 0, &[2])).map(indexes),
        Ok(vec![2])
    );
    assert_eq!(sessions.count(), 1);
    assert_eq!(sessions.partition_count(), 1);
}

#[test]
fn there_are_no_more_sessions_than_the_limit() {
    let mut sessions = ShareSessions::new(1);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    let full = Err(ErrorCode::ShareSessionLimitReached);
    assert_eq!(sessions.fetch(&request("b", 0, &[0])), full);
    assert_eq!(
        sessions.fetch(&request("a", FINAL_EPOCH, &[])),
        Ok(SessionTurn::Final)
    );
    assert_eq!(sessions.end(&key("a")), Some(vec![named(0)]));
    assert_eq!(sessions.end(&key("a")), None);
    assert!(sessions.fetch(&request("b", 0, &[0])).is_ok());
}

#[test]
fn an_answer_names_what_there_is_to_say_of() {
    let mut sessions = ShareSessions::new(10);
    assert!(sessions.fetch(&request("a", 0, &[0, 1, 2])).is_ok());
    assert!(sessions.fetch(&request("a", 1, &[3])).is_ok());
    let answers = [
        answer(0, true, false),
        answer(1, false, false),
        answer(2, false, true),
        answer(3, false, false),
    ];
    let sent = sessions.answered(&key("a"), 1, &answers);
    // The last one is new to the session.
    assert_eq!(sent, Ok(vec![partition(0), partition(2), partition(3)]));
    // Who got records is served last, and an error that is over is told.
    assert_eq!(
        sessions.fetch(&request("a", 2, &[])).map(indexes),
        Ok(vec![1, 2, 3, 0])
    );
    let answers = [1, 2, 3, 0].map(|index| answer(index, false, false));
    let sent = sessions.answered(&key("a"), 2, &answers);
    assert_eq!(sent, Ok(vec![partition(2)]));
}

#[test]
fn an_answer_that_was_overtaken_is_an_error() {
    let mut sessions = ShareSessions::new(10);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    assert!(sessions.fetch(&request("a", 1, &[])).is_ok());
    assert!(sessions.fetch(&request("a", 2, &[])).is_ok());
    let overtaken = Err(ErrorCode::InvalidShareSessionEpoch);
    assert_eq!(sessions.answered(&key("a"), 1, &[]), overtaken);
    assert_eq!(sessions.answered(&key("a"), 2, &[]), Ok(Vec::new()));
}

#[test]
fn a_connection_takes_its_sessions_along() {
    let mut sessions = ShareSessions::new(10);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    assert!(sessions.fetch(&request("b", 0, &[1])).is_ok());
    let mut other = request("c", 0, &[2]);
    other.connection = 2;
    assert!(sessions.fetch(&other).is_ok());
    let left = sessions.disconnected(1);
    assert_eq!(
        left,
        [(key("a"), vec![named(0)]), (key("b"), vec![named(1)])]
    );
    assert_eq!(sessions.disconnected(1), []);
    assert!(sessions.take_emptied_groups().is_empty());
    assert_eq!(sessions.disconnected(2), [(key("c"), vec![named(2)])]);
    assert_eq!(sessions.count(), 0);
    let emptied = sessions.take_emptied_groups();
    assert_eq!(
        emptied.into_iter().collect::<Vec<_>>(),
        [Arc::from("group")]
    );
}

#[test]
fn an_old_connection_leaves_a_newer_session_alone() {
    let mut sessions = ShareSessions::new(10);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    let mut again = request("a", 0, &[0]);
    again.connection = 2;
    assert!(sessions.fetch(&again).is_ok());
    assert_eq!(sessions.disconnected(1), []);
    assert!(sessions.take_emptied_groups().is_empty());
    assert_eq!(sessions.count(), 1);
}

#[test]
fn a_group_is_empty_when_its_last_connection_ends() {
    let mut sessions = ShareSessions::new(10);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    assert!(sessions.end(&key("a")).is_some());
    assert!(sessions.take_emptied_groups().is_empty());
    assert_eq!(sessions.disconnected(1), []);
    assert_eq!(sessions.take_emptied_groups().len(), 1);
    assert!(sessions.take_emptied_groups().is_empty());
}

#[test]
fn a_group_that_is_back_is_not_empty() {
    let mut sessions = ShareSessions::new(10);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    sessions.disconnected(1);
    assert!(sessions.fetch(&request("a", 0, &[0])).is_ok());
    assert!(sessions.take_emptied_groups().is_empty());
}

#[test]
fn a_connection_of_many_groups_remembers_few() {
    let mut sessions = ShareSessions::new(10);
    for group in 0..10_000 {
        let mut first = request("a", 0, &[0]);
        first.key.group_id = Arc::from(format!("group-{group}"));
        assert!(sessions.fetch(&first).is_ok());
        assert!(sessions.end(&first.key).is_some());
    }
    let emptied = sessions.take_emptied_groups().len();
    assert_eq!(emptied, 9_900);
    sessions.disconnected(1);
    assert_eq!(sessions.take_emptied_groups().len(), 100);
}

#[test]
fn an_epoch_wraps_around_to_one() {
    assert_eq!(next_epoch(0), 1);
    assert_eq!(next_epoch(i32::MAX), 1);
    assert_eq!(next_epoch(FINAL_EPOCH), FINAL_EPOCH);
    assert_eq!(next_epoch(i32::MIN), FINAL_EPOCH);
}
