use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::messages::create_partitions_request::CreatePartitionsTopic;
use protocol::messages::describe_quorum_request;
use protocol::messages::{CreatePartitionsRequest, DescribeQuorumRequest, UpdateFeaturesRequest};
use protocol::{ErrorCode, LeaderEpoch};

use super::harness::*;
use crate::control::topic_name::CLUSTER_METADATA_TOPIC;
use crate::control::topics::topic_name_of;

#[tokio::test]
async fn an_empty_folder_leads_at_once() {
    let mut taken = Vec::new();
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let began = Instant::now();
        let node = start(folder.path()).await;
        taken.push(began.elapsed());
        assert_eq!(node.handle.image().features.level("metadata.version"), 30);
        node.stop().await;
    }
    taken.sort_unstable();
    println!("an empty folder led after {:?} to {:?}", taken[0], taken[9]);
    // An election time-out would be 150 ms and more.
    assert!(taken[0] < Duration::from_millis(100), "{taken:?}");
}

#[tokio::test]
async fn a_topic_is_published_before_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    assert_eq!(node.create("a").await, 0);
    assert_eq!(node.notes.topics(), ["+a"]);
    let image = node.handle.image();
    let partition = image.topics.by_name("a").unwrap().partition(0).unwrap();
    assert_eq!(
        (partition.leader, partition.leader_epoch),
        (Some(1), LeaderEpoch(0))
    );
    assert_eq!(node.delete("a").await, 0);
    assert_eq!(node.notes.topics(), ["+a", "-a"]);
    assert_eq!(
        node.delete("a").await,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    node.stop().await;
}

#[tokio::test]
async fn the_first_image_is_published_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    node.create("a").await;
    node.create("b").await;
    node.delete("a").await;
    node.stop().await;
    let node = start(folder.path()).await;
    // What came and went before is not shown again.
    assert_eq!(node.notes.topics(), ["+b"]);
    assert_eq!(node.notes.images().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn requests_that_wait_together_share_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let before = node.handle.image().provenance.offset.unwrap();
    // The first entry is held at the publisher until all others are queued.
    node.notes.held.store(true, Ordering::SeqCst);
    let mut answers = Vec::new();
    for number in 0..50 {
        let handle = node.handle.clone();
        let request = create_request(&format!("t{number}"), 1);
        answers.push(tokio::spawn(async move {
            handle.create_topics(context(), request).await
        }));
        tokio::task::yield_now().await;
    }
    node.notes.held.store(false, Ordering::SeqCst);
    for answer in answers {
        assert_eq!(answer.await.unwrap().topics[0].error_code, 0);
    }
    let entries = node.handle.image().provenance.offset.unwrap() - before;
    assert!(entries < 50, "{entries} entries for 50 requests");
    assert_eq!(node.topic_names().len(), 50);
    node.stop().await;
}

#[tokio::test]
async fn a_request_sees_what_the_one_before_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let (first, second) = tokio::join!(node.create("a"), node.create("a"));
    assert_eq!((first, second), (0, ErrorCode::TopicAlreadyExists.code()));
    node.stop().await;
}

#[tokio::test]
async fn a_request_of_too_many_partitions_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let response = node
        .handle
        .create_topics(context(), create_request("a", 10_001))
        .await;
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::PolicyViolation.code()
    );
    // One record for the topic and 10,000 for its partitions are more than a batch may hold.
    let response = node
        .handle
        .create_topics(context(), create_request("a", 10_000))
        .await;
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::PolicyViolation.code()
    );
    assert!(node.handle.image().topics.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn a_restart_moves_more_partitions_than_an_entry_holds() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    for name in ["a", "b", "c"] {
        let response = node
            .handle
            .create_topics(context(), create_request(name, 9_000))
            .await;
        assert_eq!(response.topics[0].error_code, 0);
    }
    node.register(2).await;
    let image = node.handle.image();
    for topic in image.topics.iter() {
        for partition in topic.partitions.values() {
            // Without a leader while the broker was fenced, then with one again.
            assert_eq!(
                (partition.leader, partition.leader_epoch),
                (Some(1), LeaderEpoch(2))
            );
            assert_eq!(partition.isr, [1]);
        }
    }
    node.stop().await;
    let node = start(folder.path()).await;
    assert_eq!(node.handle.image().topics, image.topics);
    node.stop().await;
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    let epoch = node.register(1).await;
    assert_eq!(
        node.handle.allocate_producer_ids(1, epoch).await,
        Ok(0..1000)
    );
    node.stop().await;
    let node = start(folder.path()).await;
    let stale = node.handle.allocate_producer_ids(1, epoch - 1).await;
    assert_eq!(stale, Err(ErrorCode::StaleBrokerEpoch));
    let epoch = node.register(2).await;
    assert_eq!(
        node.handle.allocate_producer_ids(1, epoch).await,
        Ok(1000..2000)
    );
    node.stop().await;
}

#[tokio::test]
async fn a_broker_epoch_rises_with_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    let first = node.register(1).await;
    // The same incarnation asks again.
    assert_eq!(
        node.handle.register_broker(registration(1)).await,
        Ok(first)
    );
    let second = node.register(2).await;
    assert!(second > first);
    assert_eq!(
        node.handle.unfence(1, first).await,
        Err(ErrorCode::StaleBrokerEpoch)
    );
    node.stop().await;
}

#[tokio::test]
async fn validate_only_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let request = create_request("a", 3).with_validate_only(true);
    let response = node.handle.create_topics(context(), request).await;
    assert_eq!(response.topics[0].error_code, 0);
    assert!(node.handle.image().topics.is_empty());
    node.create("a").await;
    let request = CreatePartitionsRequest::default()
        .with_validate_only(true)
        .with_timeout_ms(30_000)
        .with_topics(vec![
            CreatePartitionsTopic::default()
                .with_name(topic_name_of("a"))
                .with_count(5)
                .with_assignments(None),
        ]);
    let response = node.handle.create_partitions(context(), request).await;
    assert_eq!(response.results[0].error_code, 0);
    assert_eq!(
        node.handle
            .image()
            .topics
            .by_name("a")
            .unwrap()
            .partition_count(),
        1
    );
    node.stop().await;
}

#[tokio::test]
async fn the_quorum_tells_its_one_voter() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    let request = DescribeQuorumRequest::default().with_topics(vec![
        describe_quorum_request::TopicData::default()
            .with_topic_name(topic_name_of(CLUSTER_METADATA_TOPIC))
            .with_partitions(vec![describe_quorum_request::PartitionData::default()]),
    ]);
    let response = node
        .handle
        .describe_quorum(context(), request.clone())
        .await;
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    assert_eq!(partition.leader_id.0, 1);
    assert_eq!(partition.current_voters.len(), 1);
    assert_eq!(
        partition.current_voters[0].log_end_offset,
        partition.high_watermark
    );
    let term = partition.leader_epoch;
    node.stop().await;
    // Every start is a new term.
    let node = start(folder.path()).await;
    let response = node.handle.describe_quorum(context(), request).await;
    assert_eq!(response.topics[0].partitions[0].leader_epoch, term + 1);
    node.stop().await;
}

#[tokio::test]
async fn a_stopped_controller_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let handle = node.handle.clone();
    node.stop().await;
    let response = handle
        .create_topics(context(), create_request("a", 1))
        .await;
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::NotController.code()
    );
    let response = handle
        .update_features(context(), UpdateFeaturesRequest::default())
        .await;
    assert_eq!(response.error_code, ErrorCode::NotController.code());
}

#[tokio::test]
async fn a_request_without_time_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    for timeout_ms in [i32::MIN, -1, 0] {
        let request = create_request("a", 1).with_timeout_ms(timeout_ms);
        let response = node.handle.create_topics(context(), request).await;
        assert_eq!(
            response.topics[0].error_code,
            ErrorCode::RequestTimedOut.code()
        );
        assert_eq!(response.topics[0].error_message, None);
    }
    // One that waits behind another until its time is up is not served any more.
    node.notes.held.store(true, Ordering::SeqCst);
    let handle = node.handle.clone();
    let first = tokio::spawn(async move {
        handle
            .create_topics(context(), create_request("first", 1))
            .await
    });
    while node.handle.image().topics.by_name("first").is_none() && !node.notes.waits() {
        tokio::task::yield_now().await;
    }
    let late = create_request("late", 1).with_timeout_ms(1);
    let late = node.handle.create_topics(context(), late).await;
    assert_eq!(late.topics[0].error_code, ErrorCode::RequestTimedOut.code());
    node.notes.held.store(false, Ordering::SeqCst);
    assert_eq!(first.await.unwrap().topics[0].error_code, 0);
    node.create("next").await;
    assert_eq!(node.topic_names(), ["first", "next"]);
    node.stop().await;
}

#[tokio::test]
async fn a_request_without_time_still_tells_what_is_wrong_with_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let mut twice = create_request("twice", 1).with_timeout_ms(0);
    twice.topics.extend(twice.topics.clone());
    let response = node.handle.create_topics(context(), twice).await;
    let told: Vec<i16> = response.topics.iter().map(|it| it.error_code).collect();
    assert_eq!(told, [ErrorCode::InvalidRequest.code()]);
    // A name that could be created makes all of them wait for time that there is not.
    let mut more = create_request("twice", 1).with_timeout_ms(0);
    more.topics.extend(more.topics.clone());
    more.topics.extend(create_request("once", 1).topics);
    let response = node.handle.create_topics(context(), more).await;
    let late = ErrorCode::RequestTimedOut.code();
    assert!(response.topics.iter().all(|it| it.error_code == late));
    node.stop().await;
}

/// Another leader's decisions, as far as this controller can tell.
async fn interfere(handle: crate::ControllerHandle, times: usize) -> usize {
    let mut accepted = 0;
    for _ in 0..times {
        let image = handle.image();
        let decided_at = image.provenance.offset.map(|offset| offset.0 as u64);
        let records = std::sync::Arc::new(vec![metadata::MetadataRecord::NoOp]);
        let proposal = crate::raft::Proposal {
            decided_at,
            timestamp: protocol::Timestamp(1),
            records,
        };
        let applied = handle.consensus.propose(proposal).await.unwrap();
        accepted += usize::from(applied == crate::raft::Applied::Accepted);
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_that_race_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let others = tokio::spawn(interfere(node.handle.clone(), 200));
    for number in 0..100 {
        assert_eq!(node.create(&format!("t{number:03}")).await, 0);
    }
    let accepted = others.await.unwrap();
    println!("{accepted} of 200 interfering entries were accepted");
    assert_eq!(node.topic_names().len(), 100);
    node.stop().await;
    let node = start(folder.path()).await;
    assert_eq!(node.topic_names().len(), 100);
    node.stop().await;
}
