//! Classic groups become consumer groups and classic groups again while their members consume.

use protocol::ErrorCode;
use protocol::messages::{DescribeGroupsRequest, GroupId};

use super::support::consumer_groups::{Classic, Consumer, LEAVES, commit, committed, describe};
use super::support::eventually;
use super::support::requests::{checked, text};
use super::{nobody_complained, node, start};

/// The classic member as the only one, with all partitions.
fn classic(node: &super::Node) -> Classic {
    let mut member = Classic::new(node.address());
    let first = member.join();
    assert_eq!(checked(first.error_code), Err(ErrorCode::MemberIdRequired));
    assert_eq!(checked(member.join().error_code), Ok(()));
    assert_eq!(member.sync(&[0, 1, 2, 3]), Ok(()));
    assert_eq!(member.owned, [0, 1, 2, 3]);
    member
}

/// Both go on until each has its half.
fn share(old: &mut Classic, new: &mut Consumer) {
    eventually("both have their half", || {
        old.go_on();
        assert_eq!(new.beat(), Ok(()));
        let mine = new.partitions();
        let is_disjoint = old.owned.iter().all(|partition| !mine.contains(partition));
        let is_even = old.owned.len() == 2 && mine.len() == 2;
        let is_told = old.heartbeat() == Ok(()) && old.generation == new.epoch;
        (is_disjoint && is_even && is_told).then_some(())
    });
}

/// The classic member, alone in a classic group, goes on until it has all.
fn take_all(old: &mut Classic) {
    eventually("the classic member has all", || {
        match old.heartbeat() {
            Ok(()) => {}
            Err(ErrorCode::RebalanceInProgress) => {
                assert_eq!(checked(old.join().error_code), Ok(()));
                assert_eq!(old.sync(&[0, 1, 2, 3]), Ok(()));
            }
            Err(code) => panic!("{code:?}"),
        }
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
        let group = old.client.ask(6, request).groups.remove(0);
        assert_eq!(checked(group.error_code), Ok(()));
        let is_stable = group.group_state.as_str() == "Stable";
        (is_stable && old.owned == [0, 1, 2, 3]).then_some(())
    });
}

#[test]
fn a_group_goes_to_the_new_protocol_and_back_in_the_middle_of_consumption() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut old = classic(&node);
    let (id, generation) = (old.id.clone(), old.generation);
    let commit_as_classic = |member: &mut Classic, partition, offset| {
        let of = (&id, member.generation);
        commit(&mut member.client, 8, "g", of, (partition, offset)).unwrap()
    };
    assert_eq!(commit_as_classic(&mut old, 0, 10), Ok(()));

    let mut new = Consumer::joined(node.address(), "new");
    let group = describe(&mut new.client, "g");
    assert_eq!((group.error_code, group.members.len()), (0, 2));
    assert!(new.owned.is_empty(), "the classic member has them still");
    // It commits once more before it gives up half of what it has.
    assert_eq!(commit_as_classic(&mut old, 3, 13), Ok(()));
    assert_eq!(old.heartbeat(), Err(ErrorCode::RebalanceInProgress));
    share(&mut old, &mut new);
    assert!(old.generation > generation);
    assert_eq!(committed(&mut new.client, "g", None, 0), Ok(10));
    assert_eq!(committed(&mut new.client, "g", None, 3), Ok(13));
    let theirs = new.partitions()[0];
    let late = commit(&mut old.client, 8, "g", (&id, generation), (theirs, 1)).unwrap();
    assert_eq!(late, Err(ErrorCode::IllegalGeneration));
    assert_eq!(new.commit_in(new.epoch, theirs, 20), Ok(()));

    // Killed in between, it is the same group.
    node.kill();
    let node = start(&folder).ready();
    (old.client, new.client) = (node.client(), node.client());
    share(&mut old, &mut new);

    // The last member of the new protocol leaves: the group is a classic one.
    assert_eq!(new.beat_in(LEAVES), Ok(()));
    take_all(&mut old);
    let gone = describe(&mut old.client, "g");
    assert_eq!(checked(gone.error_code), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(new.beat(), Err(ErrorCode::GroupIdNotFound));
    for (partition, offset) in [(0, 10), (3, 13), (theirs, 20)] {
        let found = committed(&mut old.client, "g", None, partition);
        let expected = if partition == theirs { 20 } else { offset };
        assert_eq!(found, Ok(expected), "{partition}");
    }
    assert_eq!(old.leave(), Ok(()));
}

#[test]
fn a_kill_right_after_a_change_of_protocol_leaves_no_partition_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut old = classic(&node);
    let (id, generation) = (old.id.clone(), old.generation);
    let mut new = Consumer::joined(node.address(), "new");
    node.kill();
    let node = start(&folder).ready();
    (old.client, new.client) = (node.client(), node.client());
    assert_eq!(describe(&mut new.client, "g").members.len(), 2);
    // What it has it has until it gives it up.
    let mine = commit(&mut old.client, 8, "g", (&id, generation), (3, 7)).unwrap();
    assert_eq!(mine, Ok(()));
    share(&mut old, &mut new);

    assert_eq!(new.beat_in(LEAVES), Ok(()));
    node.kill();
    let node = start(&folder).ready();
    // And once more from the rows that a stop writes.
    node.stop();
    let node = start(&folder).ready();
    old.client = node.client();
    assert_eq!(old.owned.len(), 2);
    take_all(&mut old);
    assert_eq!(committed(&mut old.client, "g", None, 3), Ok(7));
}

#[test]
fn an_empty_classic_group_is_taken_over_with_its_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut old = classic(&node);
    let (id, generation) = (old.id.clone(), old.generation);
    let mine = commit(&mut old.client, 8, "g", (&id, generation), (1, 11)).unwrap();
    assert_eq!((mine, old.leave()), (Ok(()), Ok(())));
    let mut new = Consumer::joined(node.address(), "new");
    assert_eq!(new.partitions(), [0, 1, 2, 3]);
    assert_eq!(new.committed_in(new.epoch, 1), Ok(11));
    assert_eq!(new.beat_in(LEAVES), Ok(()));
    // And the other way round.
    let mut again = classic(&node);
    assert_eq!(committed(&mut again.client, "g", None, 1), Ok(11));
    assert_eq!(again.leave(), Ok(()));
    nobody_complained(node);
}

#[test]
fn a_group_that_may_not_change_its_protocol_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder)
        .with("group.consumer.migration.policy", "disabled")
        .ready();
    let mut old = classic(&node);
    let mut new = Consumer::new(node.address(), "g", "new");
    assert_eq!(new.join(), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(old.heartbeat(), Ok(()));
    nobody_complained(node);
}
