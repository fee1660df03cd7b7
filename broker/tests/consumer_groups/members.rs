//! Members, their epochs, and the offsets they commit.

use protocol::ErrorCode;
use protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, OffsetDeleteRequest,
    TxnOffsetCommitRequest, offset_delete_request,
};

use super::support::consumer_groups::{
    Consumer, LEAVES, LEAVES_FOR_A_WHILE, commit, committed, describe, settle,
};
use super::support::eventually;
use super::support::requests::{checked, text, topic_name};
use super::{advance, nobody_complained, node, start};

#[test]
fn two_members_share_a_topic_without_ever_sharing_a_partition() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    assert_eq!(a.partitions(), [0, 1, 2, 3]);
    let epoch = a.epoch;
    let mut b = Consumer::joined(node.address(), "b");
    // What `a` has is given away by `a` first.
    assert_eq!((b.epoch > epoch, b.partitions()), (true, vec![]));
    assert_eq!(b.beat(), Ok(()));
    assert!(b.owned.is_empty());
    assert_eq!(a.beat(), Ok(()));
    assert_eq!((a.epoch, a.partitions().len()), (epoch, 2));
    assert_eq!(a.beat(), Ok(()));
    assert_eq!(a.epoch, b.epoch);
    assert_eq!(b.beat(), Ok(()));
    assert_eq!(b.partitions().len(), 2);
    assert!(a.owned.is_disjoint(&b.owned));
    let group = describe(&mut a.client, "g");
    assert_eq!(group.group_state.as_str(), "Stable");
    assert_eq!((group.group_epoch, group.members.len()), (a.epoch, 2));
    assert_eq!(group.assignor_name.as_str(), "uniform");

    assert_eq!(b.beat_in(LEAVES), Ok(()));
    settle(&mut [&mut a]);
    assert_eq!(a.partitions(), [0, 1, 2, 3]);
    assert_eq!(b.beat(), Err(ErrorCode::UnknownMemberId));
    nobody_complained(node);
}

#[test]
fn a_member_of_another_epoch_is_fenced_and_its_commits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let first = a.epoch;
    assert_eq!(a.commit_in(first, 0, 5), Ok(()));
    let mut b = Consumer::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b]);
    let (now, mine, theirs) = (a.epoch, a.partitions()[0], b.partitions()[0]);
    assert!(now > first);
    for epoch in [now + 1, first - 1, now + 1000] {
        assert_eq!(
            a.beat_in(epoch),
            Err(ErrorCode::FencedMemberEpoch),
            "{epoch}"
        );
    }
    assert_eq!(
        a.commit_in(now + 1, mine, 6),
        Err(ErrorCode::StaleMemberEpoch)
    );
    assert_eq!(a.commit_in(-1, mine, 6), Err(ErrorCode::StaleMemberEpoch));
    // What `b` has it has only since this epoch: nothing late may overwrite it.
    assert_eq!(b.commit_in(now, theirs, 7), Ok(()));
    assert_eq!(
        a.commit_in(first, theirs, 6),
        Err(ErrorCode::StaleMemberEpoch)
    );
    // What `a` kept it may commit for in the epoch it had it in.
    assert_eq!(a.commit_in(first, mine, 8), Ok(()));
    assert_eq!(a.committed_in(now, theirs), Ok(7));
    assert_eq!(a.committed_in(now, mine), Ok(8));
    for epoch in [first - 1, now + 1] {
        assert_eq!(
            a.committed_in(epoch, mine),
            Err(ErrorCode::StaleMemberEpoch)
        );
    }
    let unknown = Some((text("nobody"), now));
    let asked = committed(&mut a.client, "g", unknown, mine);
    assert_eq!(asked, Err(ErrorCode::UnknownMemberId));
    // Who says nothing of itself may ask.
    assert_eq!(committed(&mut a.client, "g", None, mine), Ok(8));
    let stranger = commit(&mut a.client, 9, "g", (&text("nobody"), now), (mine, 1));
    assert_eq!(stranger.unwrap(), Err(ErrorCode::UnknownMemberId));
    let old = commit(&mut a.client, 8, "g", (&a.id.clone(), now), (mine, 1));
    assert_eq!(old.unwrap(), Err(ErrorCode::UnsupportedVersion));
    nobody_complained(node);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::new(node.address(), "g", "a");
    a.instance = Some(text("i"));
    assert_eq!(a.join(), Ok(()));
    let mut b = Consumer::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b]);
    let (owned, epoch) = (a.owned.clone(), a.epoch);

    let mut next = Consumer::new(node.address(), "g", "next");
    next.instance = Some(text("i"));
    assert_eq!(next.join(), Err(ErrorCode::UnreleasedInstanceId));
    assert_eq!(a.beat_in(LEAVES_FOR_A_WHILE), Ok(()));
    assert_eq!(b.beat(), Ok(()));
    assert_eq!(b.epoch, epoch, "nothing moves while it is away");
    assert_eq!(next.join(), Ok(()));
    assert_eq!((&next.owned, next.epoch), (&owned, epoch));
    assert_eq!(a.beat(), Err(ErrorCode::FencedInstanceId));
    assert_eq!(a.commit_in(epoch, 0, 1), Err(ErrorCode::UnknownMemberId));
    // A kill changes nothing of it.
    node.kill();
    let node = start(&folder).ready();
    next.client = node.client();
    assert_eq!(next.beat(), Ok(()));
    assert_eq!((&next.owned, next.epoch), (&owned, epoch));
    // Who stays away too long has left.
    assert_eq!(next.beat_in(LEAVES_FOR_A_WHILE), Ok(()));
    b.client = node.client();
    advance(&node, 30_000);
    assert_eq!(b.beat(), Ok(()));
    advance(&node, 20_000);
    settle(&mut [&mut b]);
    assert_eq!(b.partitions(), [0, 1, 2, 3]);
}

#[test]
fn a_member_that_is_silent_for_a_session_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let mut b = Consumer::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b]);
    advance(&node, 44_000);
    assert_eq!(a.beat(), Ok(()));
    advance(&node, 2_000);
    assert_eq!(b.beat(), Err(ErrorCode::UnknownMemberId));
    settle(&mut [&mut a]);
    assert_eq!(a.partitions(), [0, 1, 2, 3]);
    assert_eq!(b.join(), Ok(()));
    settle(&mut [&mut a, &mut b]);
    assert_eq!((a.owned.len(), b.owned.len()), (2, 2));
    nobody_complained(node);
}

#[test]
fn a_member_that_gives_nothing_up_is_out_after_its_rebalance_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::new(node.address(), "g", "a");
    a.rebalance_timeout_ms = 10_000;
    assert_eq!(a.join(), Ok(()));
    let mut b = Consumer::joined(node.address(), "b");
    // `a` hears what it has to give up, and keeps it.
    assert_eq!(a.insist(), Ok(()));
    advance(&node, 9_000);
    assert_eq!((a.insist(), b.beat()), (Ok(()), Ok(())));
    assert!(b.owned.is_empty());
    advance(&node, 2_000);
    assert_eq!(a.insist(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(a.commit_in(a.epoch, 0, 1), Err(ErrorCode::UnknownMemberId));
    settle(&mut [&mut b]);
    assert_eq!(b.partitions(), [0, 1, 2, 3]);
    nobody_complained(node);
}

#[test]
fn a_kill_and_a_stop_leave_members_their_epochs_and_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let mut b = Consumer::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b]);
    assert_eq!(a.commit_in(a.epoch, a.partitions()[0], 9), Ok(()));
    let mut c = Consumer::joined(node.address(), "c");
    // In the middle of giving up: `a` was told, and the broker dies.
    assert_eq!(a.beat(), Ok(()));
    let before = describe(&mut c.client, "g");
    node.kill();
    let node = start(&folder).ready();
    assert_eq!(describe(&mut node.client(), "g"), before);
    // A stop writes the rows of the group, from which the next start reads it.
    node.stop();
    let node = start(&folder).ready();
    for consumer in [&mut a, &mut b, &mut c] {
        consumer.client = node.client();
    }
    assert_eq!(describe(&mut c.client, "g"), before);
    settle(&mut [&mut a, &mut b, &mut c]);
    let mut all: Vec<i32> = [&a, &b, &c].map(Consumer::partitions).concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    // Sessions go on too: nobody is forgotten in the log.
    advance(&node, 46_000);
    let group = describe(&mut c.client, "g");
    assert_eq!(
        (group.group_state.as_str(), group.members.len()),
        ("Empty", 0)
    );
    assert!(group.group_epoch > before.group_epoch);
}

#[test]
fn the_apis_of_all_groups_know_a_consumer_group() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    assert_eq!(a.commit_in(a.epoch, 0, 5), Ok(()));
    let client = &mut node.client();
    let listed = |client: &mut super::support::Client, states: &[&str], types: &[&str]| {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|it| text(it)).collect())
            .with_types_filter(types.iter().map(|it| text(it)).collect());
        let groups = client.ask(5, request).groups.into_iter();
        let shown = groups.map(|it| format!("{} {}", it.group_type, it.group_state));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(listed(client, &[], &[]), ["consumer Stable"]);
    assert_eq!(
        listed(client, &["stable"], &["Consumer"]),
        ["consumer Stable"]
    );
    assert_eq!(listed(client, &["Empty"], &[]), Vec::<String>::new());
    assert_eq!(listed(client, &[], &["classic"]), Vec::<String>::new());
    // Classic admins see a group that is not theirs.
    for (version, code) in [(5, Ok(())), (6, Err(ErrorCode::GroupIdNotFound))] {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
        let group = client.ask(version, request).groups.remove(0);
        assert_eq!(checked(group.error_code), code);
        assert_eq!(group.group_state.as_str(), "Dead");
    }
    let delete = |client: &mut super::support::Client| {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("g"))]);
        checked(client.ask(2, request).results[0].error_code)
    };
    assert_eq!(delete(client), Err(ErrorCode::NonEmptyGroup));
    let partition =
        offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(0);
    let topic = offset_delete_request::OffsetDeleteRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(vec![topic]);
    let deleted = client.ask(0, request.clone()).topics[0].partitions[0].error_code;
    assert_eq!(checked(deleted), Err(ErrorCode::GroupSubscribedToTopic));
    assert_eq!(committed(client, "g", None, 0), Ok(5));

    assert_eq!(a.beat_in(LEAVES), Ok(()));
    assert_eq!(listed(client, &[], &[]), ["consumer Empty"]);
    // Now an administrator may set offsets.
    let nobody = (&Default::default(), -1);
    assert_eq!(commit(client, 9, "g", nobody, (1, 3)).unwrap(), Ok(()));
    let deleted = client.ask(0, request).topics[0].partitions[0].error_code;
    assert_eq!(checked(deleted), Ok(()));
    assert_eq!(committed(client, "g", None, 0), Ok(-1));
    assert_eq!(delete(client), Ok(()));
    assert_eq!(delete(client), Err(ErrorCode::GroupIdNotFound));
    let gone = describe(client, "g");
    assert_eq!(checked(gone.error_code), Err(ErrorCode::GroupIdNotFound));
    eventually("no group is listed", || {
        listed(client, &[], &[]).is_empty().then_some(())
    });
    nobody_complained(node);
}

#[test]
fn offsets_in_a_transaction_come_from_a_member_of_this_epoch() {
    use super::support::transactions::{Kind, Transactional};
    use protocol::messages::txn_offset_commit_request::{
        TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    };
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("transaction.state.log.num.partitions", 1)
        .ready();
    let mut a = Consumer::joined(node.address(), "a");
    let client = &mut node.client();
    let mut producer = Transactional::begin(client, "x", Kind::V2);
    let asked = |producer: &Transactional, member: &str, epoch: i32| {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(12);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        TxnOffsetCommitRequest::default()
            .with_transactional_id(super::support::transactions::transactional_id("x"))
            .with_group_id(GroupId(text("g")))
            .with_producer_id(producer.producer_id.into())
            .with_producer_epoch(producer.epoch)
            .with_generation_id(epoch)
            .with_member_id(text(member))
            .with_topics(vec![topic])
    };
    let mut ask = |request: TxnOffsetCommitRequest| {
        let answer = client.ask(5, request);
        checked(answer.topics[0].partitions[0].error_code)
    };
    let stale = ask(asked(&producer, "a", a.epoch + 1));
    assert_eq!(stale, Err(ErrorCode::IllegalGeneration));
    let stranger = ask(asked(&producer, "nobody", a.epoch));
    assert_eq!(stranger, Err(ErrorCode::UnknownMemberId));
    assert_eq!(ask(asked(&producer, "a", a.epoch)), Ok(()));
    assert_eq!(a.committed_in(a.epoch, 0), Ok(-1));
    producer.end(client, true);
    eventually("the offset is committed", || {
        (a.committed_in(a.epoch, 0) == Ok(12)).then_some(())
    });
}
