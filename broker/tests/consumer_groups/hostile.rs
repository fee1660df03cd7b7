//! Heartbeats that no client sends: each is refused or served, and the group goes on.

use std::time::Instant;

use protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, GroupId};
use protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::support::DEADLINE;
use super::support::consumer_groups::{Consumer, settle};
use super::support::requests::{checked, text, topic_name};
use super::{nobody_complained, node};

/// The most bytes of a string.
const LONGEST: usize = 32_767;

fn long(bytes: usize) -> StrBytes {
    StrBytes::from_string("x".repeat(bytes))
}

/// A first heartbeat that is in order.
fn first(id: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_member_id(text(id))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic_name("t")]))
        .with_topic_partitions(Some(Vec::new()))
}

fn owned(topic: Uuid, partitions: Vec<i32>) -> TopicPartitions {
    TopicPartitions::default()
        .with_topic_id(topic)
        .with_partitions(partitions)
}

#[test]
fn what_is_wrong_with_a_heartbeat_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let client = &mut node.client();
    let bad = first("b");
    let wrong = [
        bad.clone().with_member_id(text(" ")),
        bad.clone().with_group_id(GroupId(text(""))),
        bad.clone().with_instance_id(Some(text(""))),
        bad.clone().with_rack_id(Some(text(" "))),
        bad.clone().with_member_epoch(i32::MIN),
        bad.clone().with_member_epoch(-3),
        bad.clone().with_member_epoch(-2),
        bad.clone().with_rebalance_timeout_ms(-1),
        bad.clone().with_topic_partitions(None),
        bad.clone().with_subscribed_topic_names(None),
        bad.clone()
            .with_topic_partitions(Some(vec![owned(Uuid::nil(), vec![0])])),
    ];
    for request in wrong {
        let answer = client.ask(1, request.clone());
        let code = checked(answer.error_code);
        assert_eq!(code, Err(ErrorCode::InvalidRequest), "{request:?}");
        assert!(answer.error_message.is_some());
    }
    let assignor = bad.clone().with_server_assignor(Some(text("sticky")));
    let answer = client.ask(1, assignor);
    assert_eq!(
        checked(answer.error_code),
        Err(ErrorCode::UnsupportedAssignor)
    );
    // The longest texts that the protocol has room for are texts like others.
    let mut vast = first("a").with_group_id(GroupId(long(LONGEST)));
    vast.member_id = long(LONGEST);
    vast.instance_id = Some(long(LONGEST));
    vast.rack_id = Some(long(LONGEST));
    assert_eq!(client.ask(1, vast).error_code, 0);
    for epoch in [1, i32::MAX] {
        let answer = client.ask(1, bad.clone().with_member_epoch(epoch));
        assert_eq!(checked(answer.error_code), Err(ErrorCode::UnknownMemberId));
    }
    // Partitions that nobody has and topics that are not there are what a member may say it has.
    let mut lies = first("a").with_member_epoch(a.epoch);
    lies.topic_partitions = Some(vec![
        owned(Uuid::new_v4(), vec![0, -1, i32::MAX, i32::MIN]),
        owned(Uuid::nil(), vec![0; 10_000]),
        owned(a.owned.first().unwrap().0, vec![-5, 0, 0, 0, 77]),
    ]);
    assert_eq!(client.ask(1, lies).error_code, 0);
    // So are topics without a name that a topic can have.
    for name in ["", ".", "..", "a/b", &"n".repeat(1_000)] {
        let odd = first("odd").with_subscribed_topic_names(Some(vec![topic_name(name)]));
        assert_eq!(client.ask(1, odd).error_code, 0, "{name}");
    }
    let ids = vec![
        GroupId(text("")),
        GroupId(long(LONGEST)),
        GroupId(text("g")),
    ];
    let described = client.ask(
        1,
        ConsumerGroupDescribeRequest::default().with_group_ids(ids),
    );
    assert_eq!(described.groups.len(), 3);
    settle(&mut [&mut a]);
    nobody_complained(node);
}

#[test]
fn no_regular_expression_keeps_a_group_from_its_work() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let client = &mut node.client();
    client.create(&"a".repeat(249), 1, &[]);
    let began = Instant::now();
    for (number, regex) in [
        "(a*)*b",
        "(a|aa)+$",
        "((a{1,100}){1,100}){1,100}",
        "(((a{1000}){1000}){1000}){1000}",
        "[[:alpha:]]{1000}",
        &"(".repeat(10_000),
        &"a|".repeat(15_000),
        "\\p{Greek}*.{900}",
        "(?i)(x+x+)+y",
    ]
    .into_iter()
    .enumerate()
    {
        let request = first(&format!("m{number}"))
            .with_subscribed_topic_names(Some(Vec::new()))
            .with_subscribed_topic_regex(Some(text(regex)));
        let code = checked(client.ask(1, request).error_code);
        let known = [Ok(()), Err(ErrorCode::InvalidRegularExpression)];
        assert!(known.contains(&code), "{code:?} for {regex:.40}");
        assert_eq!(a.beat(), Ok(()));
    }
    assert!(began.elapsed() < DEADLINE, "{:?}", began.elapsed());
    nobody_complained(node);
}
