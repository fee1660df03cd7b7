//! What the contract with the runtime asks of a group shard, besides conversations.

use std::sync::Arc;

use coordinator::group::record::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use coordinator::group::{
    GroupCoordinatorConfig, GroupRequest, GroupResponse, GroupShard, GroupTimer, OnError,
};
use coordinator::{
    Effect, Event, Loaded, Output, RecordMeta, ReplyTo, RequestMeta, Shard, TransactionResult,
};
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest,
};
use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, StrBytes, Timestamp, TopicId};
use uuid::Uuid;

fn new_shard() -> GroupShard {
    let mut last = 0;
    let ids = move || {
        last += 1;
        Uuid::from_u128(last)
    };
    GroupShard::new(GroupCoordinatorConfig::default(), 0, ids)
}

fn loaded_shard() -> GroupShard {
    let mut shard = new_shard();
    shard.handle(Timestamp(0), Event::Loaded(Loaded::GoesOn));
    shard
}

fn meta(api_version: i16) -> RequestMeta {
    let client_host = Arc::from("/127.0.0.1");
    RequestMeta {
        api_version,
        client_id: Arc::from("client"),
        client_host,
    }
}

fn group_id(id: &str) -> GroupId {
    GroupId(StrBytes::from_string(id.to_owned()))
}

fn ask(
    shard: &mut GroupShard,
    now: i64,
    version: i16,
    request: GroupRequest,
) -> Output<GroupShard> {
    let token = ReplyTo(now as u64);
    shard.handle(
        Timestamp(now),
        Event::Request {
            token,
            meta: meta(version),
            request,
        },
    )
}

fn commit_at(shard: &mut GroupShard, at: i64, producer: Option<i64>, offset: i64) {
    let key = OffsetCommitKey {
        group_id: Arc::from("g"),
        topic: Arc::from("t"),
        partition: 0,
    };
    let value = OffsetCommitValue {
        offset,
        leader_epoch: None,
        metadata: Arc::from(""),
        commit_timestamp: Timestamp(0),
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
    };
    let producer = producer.map(|id| (ProducerId(id), ProducerEpoch(0)));
    let meta = RecordMeta {
        offset: Offset(at),
        producer,
    };
    shard.replay(
        meta,
        &GroupRecord::OffsetCommit {
            key,
            value: Some(value),
        },
    );
}

fn end(shard: &mut GroupShard, at: i64, producer: i64, result: TransactionResult) {
    let producer = Some((ProducerId(producer), ProducerEpoch(0)));
    shard.replay_marker(
        RecordMeta {
            offset: Offset(at),
            producer,
        },
        result,
    );
}

/// The one offset of group g, and its error code.
fn fetched(shard: &mut GroupShard, require_stable: bool) -> Option<(i64, i16)> {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group_id("g"))
        .with_topics(None);
    let request = GroupRequest::OffsetFetch {
        group,
        require_stable,
    };
    let output = ask(shard, 1, 8, request);
    let Some((_, Ok(GroupResponse::OffsetFetch(group)))) = output.replies.first() else {
        panic!("no answer");
    };
    let partition = group.topics.first()?.partitions.first()?;
    Some((partition.committed_offset, partition.error_code))
}

#[test]
fn an_offset_inside_a_transaction_shows_when_it_is_committed() {
    let mut shard = new_shard();
    commit_at(&mut shard, 0, None, 5);
    commit_at(&mut shard, 1, Some(7), 9);
    shard.handle(Timestamp(0), Event::Loaded(Loaded::GoesOn));
    assert_eq!(fetched(&mut shard, false), Some((5, 0)));
    let unstable = ErrorCode::UnstableOffsetCommit.code();
    assert_eq!(fetched(&mut shard, true), Some((-1, unstable)));
    end(&mut shard, 2, 7, TransactionResult::Commit);
    assert_eq!(fetched(&mut shard, true), Some((9, 0)));
}

#[test]
fn an_offset_of_an_aborted_transaction_is_gone() {
    let mut shard = new_shard();
    commit_at(&mut shard, 0, Some(7), 9);
    end(&mut shard, 1, 7, TransactionResult::Abort);
    shard.handle(Timestamp(0), Event::Loaded(Loaded::GoesOn));
    assert_eq!(fetched(&mut shard, true), None);
}

#[test]
fn a_later_plain_commit_outlives_the_transaction() {
    let mut shard = new_shard();
    commit_at(&mut shard, 0, Some(7), 9);
    commit_at(&mut shard, 1, None, 5);
    end(&mut shard, 2, 7, TransactionResult::Commit);
    shard.handle(Timestamp(0), Event::Loaded(Loaded::GoesOn));
    assert_eq!(fetched(&mut shard, true), Some((5, 0)));
}

fn join_static(shard: &mut GroupShard, now: i64) -> Output<GroupShard> {
    let protocol = protocol::messages::join_group_request::JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(group_id("g"))
        .with_group_instance_id(Some(StrBytes::from_static_str("i")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let output = ask(shard, now, 5, GroupRequest::JoinGroup(request));
    for record in &output.records {
        shard.replay(
            RecordMeta {
                offset: Offset(0),
                producer: None,
            },
            record,
        );
    }
    output
}

fn join_timer() -> GroupTimer {
    GroupTimer::Join {
        group_id: Arc::from("g"),
    }
}

#[test]
fn a_timer_that_fires_early_is_let_pass() {
    let mut shard = loaded_shard();
    let output = join_static(&mut shard, 1);
    let armed = output.effects.iter().any(|effect| match effect {
        Effect::ArmTimer { key, at } => *key == join_timer() && *at == Timestamp(3_001),
        Effect::CancelTimer(_) => false,
    });
    assert!(armed);
    let early = shard.handle(Timestamp(3_000), Event::Timer(join_timer()));
    assert!(early.replies.is_empty() && early.effects.is_empty());
    let due = shard.handle(Timestamp(3_001), Event::Timer(join_timer()));
    assert_eq!(due.replies.len(), 1);
    let again = shard.handle(Timestamp(3_001), Event::Timer(join_timer()));
    assert!(again.replies.is_empty() && again.effects.is_empty());
}

#[test]
#[should_panic(expected = "the records of an output are replayed before the next event")]
fn a_runtime_that_forgets_to_replay_is_stopped() {
    let mut shard = loaded_shard();
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id("g"))
        .with_topics(vec![
            protocol::messages::offset_commit_request::OffsetCommitRequestTopic::default()
                .with_partitions(vec![Default::default()]),
        ]);
    let output = ask(&mut shard, 1, 8, GroupRequest::OffsetCommit(request));
    assert_eq!(output.records.len(), 1);
    shard.handle(Timestamp(2), Event::Timer(GroupTimer::Expiration));
}

#[test]
fn a_member_of_a_loading_group_is_told_to_go_on() {
    let request = GroupRequest::Heartbeat(HeartbeatRequest::default());
    let on_error = OnError::of(&request, &meta(4));
    for (code, told) in [
        (ErrorCode::CoordinatorLoadInProgress, 0),
        (ErrorCode::NotCoordinator, 16),
    ] {
        let GroupResponse::Heartbeat(response) = on_error.response(code) else {
            panic!("not a heartbeat");
        };
        assert_eq!(response.error_code, told);
    }
}

#[test]
fn an_old_consumer_is_not_told_what_it_does_not_know() {
    let group = OffsetFetchRequestGroup::default();
    let request = GroupRequest::OffsetFetch {
        group,
        require_stable: true,
    };
    let on_error = OnError::of(&request, &meta(8));
    let response = on_error.response(ErrorCode::RequestTimedOut);
    let GroupResponse::OffsetFetch(response) = response else {
        panic!("not an OffsetFetch");
    };
    assert_eq!(response.error_code, ErrorCode::NotCoordinator.code());
}

#[test]
fn leave_group_fails_in_the_shape_of_its_version() {
    let member = MemberIdentity::default().with_member_id(StrBytes::from_static_str("m"));
    let request = LeaveGroupRequest::default().with_members(vec![member]);
    let request = GroupRequest::LeaveGroup(request);
    let answer = |version, code| {
        let response = OnError::of(&request, &meta(version)).response(code);
        let GroupResponse::LeaveGroup(response) = response else {
            panic!("not a LeaveGroup");
        };
        (response.error_code, response.members.len())
    };
    assert_eq!(answer(2, ErrorCode::UnknownMemberId), (25, 0));
    assert_eq!(answer(3, ErrorCode::UnknownMemberId), (0, 1));
    assert_eq!(answer(3, ErrorCode::NotCoordinator), (16, 0));
}

#[test]
fn what_no_record_can_hold_is_refused_by_name() {
    let config = GroupCoordinatorConfig::default();
    let long = || StrBytes::from_string("x".repeat(32_768));
    let join = JoinGroupRequest::default()
        .with_group_id(group_id("g"))
        .with_session_timeout_ms(10_000)
        .with_protocol_type(long());
    let commit = OffsetCommitRequest::default().with_group_id(GroupId(long()));
    let mut long_instance = join.clone().with_group_instance_id(Some(long()));
    long_instance.protocol_type = StrBytes::from_static_str("consumer");
    long_instance.protocols = vec![Default::default()];
    let refused = GroupRequest::JoinGroup(join).refuse_early(&meta(9), &config);
    let Some(GroupResponse::JoinGroup(response)) = refused else {
        panic!("not refused");
    };
    assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
    let refused = GroupRequest::OffsetCommit(commit).refuse_early(&meta(9), &config);
    assert!(matches!(refused, Some(GroupResponse::OffsetCommit(_))));

    let output = ask(
        &mut loaded_shard(),
        1,
        9,
        GroupRequest::JoinGroup(long_instance),
    );
    let Some((_, Ok(GroupResponse::JoinGroup(response)))) = output.replies.first() else {
        panic!("not answered");
    };
    assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
}
