//! Topics that come, grow and go under their consumers.

use protocol::ErrorCode;
use protocol::messages::CreatePartitionsRequest;
use protocol::messages::create_partitions_request::CreatePartitionsTopic;

use super::support::consumer_groups::{Consumer, committed, describe, settle};
use super::support::eventually;
use super::support::requests::topic_name;
use super::{advance, nobody_complained, node};

#[test]
fn a_topic_that_grows_is_assigned_anew() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    let mut b = Consumer::joined(node.address(), "b");
    settle(&mut [&mut a, &mut b]);
    let epoch = a.epoch;
    let more = CreatePartitionsTopic::default()
        .with_name(topic_name("t"))
        .with_count(6)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![more])
        .with_timeout_ms(10_000);
    assert_eq!(node.client().ask(3, request).results[0].error_code, 0);
    // What is answered as made is assigned with the next heartbeat.
    assert_eq!(a.beat(), Ok(()));
    assert_eq!(a.epoch, epoch + 1);
    settle(&mut [&mut a, &mut b]);
    let mut all = [a.partitions(), b.partitions()].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    assert_eq!(a.epoch, epoch + 1);
    nobody_complained(node);
}

#[test]
fn a_topic_that_is_subscribed_before_it_exists_is_assigned_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::new(node.address(), "g", "a");
    a.topics = vec!["later".to_owned()];
    assert_eq!(a.join(), Ok(()));
    assert!(a.owned.is_empty());
    let epoch = a.epoch;
    let mut client = node.client();
    client.create("other", 1, &[]);
    assert_eq!(a.beat(), Ok(()));
    assert_eq!(
        a.epoch, epoch,
        "a topic that nobody subscribes moves nothing"
    );
    client.create("later", 2, &[]);
    assert_eq!(a.beat(), Ok(()));
    assert_eq!((a.epoch, a.partitions()), (epoch + 1, vec![0, 1]));
    // Deleted, and made anew under the same name: it is another topic.
    let id = client.topic("later").topic_id;
    assert_eq!(client.try_delete("later").unwrap(), Ok(()));
    assert_eq!(a.beat(), Ok(()));
    assert!(a.owned.is_empty());
    client.create("later", 1, &[]);
    settle(&mut [&mut a]);
    assert_eq!(a.partitions(), [0]);
    assert!(a.owned.iter().all(|(topic, _)| *topic != id));
    nobody_complained(node);
}

#[test]
fn a_regular_expression_stands_for_topics_that_are_created_later_too() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut client = node.client();
    client.create("orders-1", 2, &[]);
    let mut a = Consumer::new(node.address(), "g", "a");
    (a.topics, a.regex) = (Vec::new(), Some("orders-[0-9]+".to_owned()));
    assert_eq!(a.join(), Ok(()));
    let owns = |a: &mut Consumer, count: usize| {
        eventually("all that matches", || {
            assert_eq!(a.beat(), Ok(()));
            (a.owned.len() == count).then_some(())
        });
    };
    owns(&mut a, 2);
    client.create("orders-2", 1, &[]);
    client.create("orders-x", 1, &[]);
    client.create("my-orders-3", 1, &[]);
    // Expressions are looked at again after ten seconds at the earliest.
    assert_eq!(a.beat(), Ok(()));
    assert_eq!(a.owned.len(), 2);
    advance(&node, 10_001);
    owns(&mut a, 3);
    let wanted = client.topic("orders-2").topic_id;
    assert!(a.owned.contains(&(wanted, 0)));
    let group = describe(&mut client, "g");
    let shown = group.members[0].subscribed_topic_regex.as_deref();
    assert_eq!(shown, Some("orders-[0-9]+"));

    let mut b = Consumer::new(node.address(), "g", "b");
    (b.topics, b.regex) = (Vec::new(), Some("orders-(".to_owned()));
    assert_eq!(b.join(), Err(ErrorCode::InvalidRegularExpression));
    // A topic that goes is no longer assigned.
    assert_eq!(client.try_delete("orders-1").unwrap(), Ok(()));
    owns(&mut a, 1);
    nobody_complained(node);
}

#[test]
fn offsets_of_a_deleted_topic_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let mut a = Consumer::joined(node.address(), "a");
    assert_eq!(a.commit_in(a.epoch, 2, 5), Ok(()));
    let mut client = node.client();
    assert_eq!(client.try_delete("t").unwrap(), Ok(()));
    client.create("t", 4, &[]);
    eventually("the offset is gone", || {
        (committed(&mut client, "g", None, 2) == Ok(-1)).then_some(())
    });
    settle(&mut [&mut a]);
    assert_eq!(a.partitions(), [0, 1, 2, 3]);
}
