//! The contract between a transaction shard and what runs it.

use std::sync::Arc;

use coordinator::transaction::{
    TransactionCoordinatorConfig, TransactionRequest, TransactionResponse, TransactionShard,
    TransactionTimer, TransactionVersionLevel,
};
use coordinator::{
    AppendToken, Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard,
    TransactionResult,
};
use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

fn loaded() -> TransactionShard {
    let config = TransactionCoordinatorConfig {
        transaction_version: TransactionVersionLevel::new(2),
        ..TransactionCoordinatorConfig::default()
    };
    let mut shard = TransactionShard::new(config, 3);
    shard.handle(Timestamp(0), Event::Loaded(Loaded::GoesOn));
    shard
}

fn ask(
    shard: &mut TransactionShard,
    token: u64,
    request: TransactionRequest,
) -> Output<TransactionShard> {
    let meta = RequestMeta {
        api_version: 0,
        client_id: Arc::from("client"),
        client_host: Arc::from("/127.0.0.1"),
    };
    shard.handle(
        Timestamp(0),
        Event::Request {
            token: ReplyTo(token),
            meta,
            request,
        },
    )
}

fn init() -> TransactionRequest {
    TransactionRequest::InitProducerId {
        transactional_id: Arc::from("x"),
        timeout_ms: 5_000,
        enable_2pc: false,
        keep_prepared: false,
        expected: None,
        spare: Some(ProducerId(7)),
    }
}

fn add() -> TransactionRequest {
    TransactionRequest::AddPartitions {
        transactional_id: Arc::from("x"),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        partitions: vec![TopicPartition::new("t", 0)],
        verify_only: false,
        version2: true,
    }
}

fn replay(shard: &mut TransactionShard, output: &Output<TransactionShard>) {
    for record in &output.records {
        let meta = RecordMeta {
            offset: Offset(0),
            producer: None,
        };
        shard.replay(meta, record);
    }
}

fn armed(output: &Output<TransactionShard>, timer: &TransactionTimer) -> Option<Timestamp> {
    output.effects.iter().find_map(|effect| match effect {
        Effect::ArmTimer { key, at } => (key == timer).then_some(*at),
        Effect::CancelTimer(_) => None,
    })
}

/// A shard with an open transaction, and when it looks for time-outs.
fn with_open_transaction() -> (TransactionShard, Timestamp) {
    let mut shard = loaded();
    let output = ask(&mut shard, 1, init());
    replay(&mut shard, &output);
    let output = ask(&mut shard, 2, add());
    replay(&mut shard, &output);
    let at = armed(&output, &TransactionTimer::AbortTimedOut).expect("a look");
    (shard, at)
}

#[test]
fn a_timer_that_fires_early_or_twice_does_nothing() {
    let (mut shard, at) = with_open_transaction();
    let mut fire = |now| {
        let output = shard.handle(now, Event::Timer(TransactionTimer::AbortTimedOut));
        replay(&mut shard, &output);
        output.records.len()
    };
    assert_eq!(fire(Timestamp(at.0 - 1)), 0);
    assert_eq!(fire(at), 1);
    assert_eq!(fire(at), 0);
    assert_eq!(fire(at), 0);
}

#[test]
fn a_failed_append_answers_its_requests_and_no_others() {
    let mut shard = loaded();
    let output = ask(&mut shard, 1, init());
    assert_eq!(output.replies.len(), 1);
    let failed = |token| Event::AppendFailed {
        token,
        code: ErrorCode::NotLeaderOrFollower,
    };
    let answers = shard.handle(Timestamp(0), failed(output.token)).replies;
    let expected = (ReplyTo(1), Err(ErrorCode::NotCoordinator));
    assert_eq!(answers, [expected]);
    // Nothing is open any more.
    let again = shard.handle(Timestamp(0), failed(output.token));
    assert_eq!((again.replies.len(), again.records.len()), (0, 0));
    let other = shard.handle(Timestamp(0), failed(AppendToken(99)));
    assert_eq!((other.replies.len(), other.records.len()), (0, 0));
    assert_eq!(shard.rows().count(), 0);
}

#[test]
fn each_append_has_a_token_of_its_own() {
    let mut shard = loaded();
    let first = ask(&mut shard, 1, init());
    replay(&mut shard, &first);
    let second = ask(&mut shard, 2, add());
    assert_ne!(first.token, second.token);
}

#[test]
#[should_panic(expected = "replayed before the next event")]
fn an_output_that_is_not_replayed_is_a_bug_of_the_runtime() {
    let mut shard = loaded();
    ask(&mut shard, 1, init());
    ask(&mut shard, 2, add());
}

#[test]
fn a_marker_in_the_log_of_the_coordinator_ends_nothing() {
    let (mut shard, _) = with_open_transaction();
    let before: Vec<_> = shard.rows().collect();
    let meta = RecordMeta {
        offset: Offset(9),
        producer: Some((ProducerId(7), ProducerEpoch(0))),
    };
    shard.replay_marker(meta, TransactionResult::Abort);
    assert_eq!(shard.rows().collect::<Vec<_>>(), before);
}

#[test]
fn a_producer_id_is_asked_for_only_where_one_is_needed() {
    let mut shard = loaded();
    let without = TransactionRequest::InitProducerId {
        transactional_id: Arc::from("x"),
        timeout_ms: 5_000,
        enable_2pc: false,
        keep_prepared: false,
        expected: None,
        spare: None,
    };
    let output = ask(&mut shard, 1, without.clone());
    let needs = (ReplyTo(1), Ok(TransactionResponse::NeedsProducerId));
    assert_eq!((output.replies, output.records.len()), (vec![needs], 0));
    let output = ask(&mut shard, 2, init());
    replay(&mut shard, &output);
    let output = ask(&mut shard, 3, without);
    let given = TransactionResponse::InitProducerId {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(1),
    };
    assert_eq!(output.replies, [(ReplyTo(3), Ok(given))]);
    assert_eq!(shard.partition(), 3);
}
