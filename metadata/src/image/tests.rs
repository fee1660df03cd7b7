use std::sync::Arc;

use proptest::prelude::*;
use protocol::{LeaderEpoch, Offset, ProducerId, Timestamp, TopicId};
use uuid::Uuid;

use super::*;
use crate::config::ConfigResource;
use crate::record::{MetadataRecord, Partition, PartitionChange, RegisterBroker};

fn topic_id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn topic(name: &str, id: u128) -> MetadataRecord {
    MetadataRecord::Topic {
        name: Arc::from(name),
        topic_id: topic_id(id),
    }
}

fn partition(id: u128, partition_id: i32) -> MetadataRecord {
    MetadataRecord::Partition(Partition {
        partition_id,
        topic_id: topic_id(id),
        replicas: vec![1],
        directories: vec![Uuid::from_u128(9)],
        isr: vec![1],
        removing_replicas: vec![],
        adding_replicas: vec![],
        leader: Some(1),
        leader_recovery_state: LeaderRecoveryState::Recovered,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        eligible_leader_replicas: vec![],
        last_known_elr: vec![],
    })
}

fn config(name: &str, key: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config {
        resource: ConfigResource::Topic(Arc::from(name)),
        name: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn broker(broker_id: i32, broker_epoch: i64) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBroker {
        broker_id,
        incarnation_id: Uuid::from_u128(broker_epoch as u128),
        broker_epoch,
        endpoints: vec![Endpoint {
            name: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: vec![FeatureRange {
            name: "metadata.version".to_owned(),
            min_level: 7,
            max_level: 29,
        }],
        rack: Some("a".to_owned()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(9)],
    })
}

fn provenance(offset: i64) -> Provenance {
    Provenance {
        offset: Some(Offset(offset)),
        epoch: LeaderEpoch(1),
        timestamp: Timestamp(5),
    }
}

fn delta(base: &MetadataImage, records: &[MetadataRecord]) -> MetadataDelta {
    let mut delta = MetadataDelta::new(Arc::new(base.clone()));
    for record in records {
        delta.replay(record).unwrap();
    }
    delta
}

fn image(records: &[MetadataRecord]) -> MetadataImage {
    delta(&MetadataImage::default(), records).apply(provenance(1))
}

#[test]
fn a_new_topic_is_found_by_name_and_by_id() {
    let image = image(&[topic("a", 1), partition(1, 0), partition(1, 1)]);
    let by_name = image.topics.by_name("a").unwrap();
    assert_eq!(by_name.partition_count(), 2);
    assert!(Arc::ptr_eq(
        by_name,
        image.topics.by_id(topic_id(1)).unwrap()
    ));
}

#[test]
fn advertised_listeners_set_at_run_time_stand_before_the_registered_ones() {
    let advertise = |text: Option<&str>| MetadataRecord::Config {
        resource: ConfigResource::Broker(Some(1)),
        name: "advertised.listeners".to_owned(),
        value: text.map(str::to_owned),
    };
    let addresses = |image: &MetadataImage| {
        let broker = image.cluster.broker(1).unwrap();
        ["PLAINTEXT", "TC-0"].map(|name| {
            let address = image.endpoint(broker, name)?;
            Some(format!("{}:{}", address.host, address.port))
        })
    };
    let registered = image(&[broker(1, 5)]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(addresses(&registered), [text("localhost:9092"), None]);
    let set = |text| delta(&registered, &[advertise(Some(text))]).apply(provenance(2));
    assert_eq!(
        addresses(&set("tc-0://kafka:1, PLAINTEXT://[::1]:32768")),
        [text("::1:32768"), text("kafka:1")]
    );
    assert_eq!(addresses(&set("PLAINTEXT://:0")), addresses(&registered));
    assert_eq!(addresses(&set("TC-0://kafka:1")), [None, text("kafka:1")]);
    let set = set("PLAINTEXT://elsewhere:1");
    let unset = delta(&set, &[advertise(None)]).apply(provenance(3));
    assert_eq!(addresses(&unset), addresses(&registered));
}

#[test]
fn topics_are_listed_in_name_order() {
    let image = image(&[topic("b", 1), topic("c", 2), topic("a", 3)]);
    let names = |topics: Vec<&Arc<TopicImage>>| {
        topics
            .iter()
            .map(|topic| topic.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(image.topics.iter().collect()), ["a", "b", "c"]);
    assert_eq!(names(image.topics.iter_from("b").collect()), ["b", "c"]);
    assert_eq!(names(image.topics.iter_from("bb").collect()), ["c"]);
}

#[test]
fn a_second_topic_of_one_name_is_refused() {
    let mut delta = delta(&MetadataImage::default(), &[topic("a", 1)]);
    let error = delta.replay(&topic("a", 2)).unwrap_err();
    assert_eq!(
        error,
        ReplayError::TopicExists {
            name: Arc::from("a")
        }
    );
}

#[test]
fn removing_a_topic_removes_its_configs() {
    let base = image(&[
        topic("a", 1),
        partition(1, 0),
        config("a", "retention.ms", Some("5")),
    ]);
    let delta = delta(
        &base,
        &[MetadataRecord::RemoveTopic {
            topic_id: topic_id(1),
        }],
    );
    let deleted: Vec<_> = delta
        .topics_delta()
        .deleted()
        .map(|topic| topic.name.clone())
        .collect();
    assert_eq!(deleted, [Arc::from("a")]);
    assert!(
        delta
            .configs_delta()
            .is_changed(&ConfigResource::Topic(Arc::from("a")))
    );
    let after = delta.apply(Provenance::EMPTY);
    assert_eq!(after, MetadataImage::default());
}

#[test]
fn a_topic_created_again_is_deleted_and_created() {
    let base = image(&[topic("a", 1), partition(1, 0)]);
    let remove = MetadataRecord::RemoveTopic {
        topic_id: topic_id(1),
    };
    let delta = delta(&base, &[remove, topic("a", 2), partition(2, 0)]);
    let topics = delta.topics_delta();
    assert_eq!(
        topics.deleted().map(|topic| topic.id).collect::<Vec<_>>(),
        [topic_id(1)]
    );
    assert_eq!(
        topics.created().map(|topic| topic.id).collect::<Vec<_>>(),
        [topic_id(2)]
    );
    let changed: Vec<_> = topics.changed_partitions().collect();
    assert_eq!(changed.len(), 1);
    assert!(changed[0].before.is_none());
}

#[test]
fn a_topic_created_and_deleted_in_one_delta_leaves_no_trace() {
    let remove = MetadataRecord::RemoveTopic {
        topic_id: topic_id(1),
    };
    let delta = delta(
        &MetadataImage::default(),
        &[topic("a", 1), partition(1, 0), remove],
    );
    assert!(delta.topics_delta().is_empty());
    assert!(delta.apply(Provenance::EMPTY).topics.is_empty());
}

#[test]
fn a_partition_change_raises_epochs_and_keeps_what_is_not_named() {
    let base = image(&[topic("a", 1), partition(1, 0)]);
    let shrink = PartitionChange {
        isr: Some(vec![]),
        ..PartitionChange::new(topic_id(1), 0)
    };
    let offline = PartitionChange {
        leader: Some(None),
        ..PartitionChange::new(topic_id(1), 0)
    };
    let changes = [shrink, offline].map(MetadataRecord::PartitionChange);
    let delta = delta(&base, &changes);
    let changed: Vec<_> = delta.topics_delta().changed_partitions().collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].before.unwrap().leader, Some(1));
    let after = changed[0].after;
    assert_eq!((after.leader, after.leader_epoch), (None, LeaderEpoch(1)));
    assert_eq!(after.partition_epoch, 2);
    assert_eq!(after.replicas, [1]);
}

#[test]
fn records_for_unknown_things_are_refused() {
    let mut delta = delta(&MetadataImage::default(), &[topic("a", 1), broker(1, 7)]);
    let change = MetadataRecord::PartitionChange(PartitionChange::new(topic_id(1), 0));
    assert!(matches!(
        delta.replay(&change),
        Err(ReplayError::UnknownPartition { .. })
    ));
    assert!(matches!(
        delta.replay(&partition(2, 0)),
        Err(ReplayError::UnknownTopic { .. })
    ));
    let stale = MetadataRecord::UnregisterBroker {
        broker_id: 1,
        broker_epoch: 6,
    };
    assert!(matches!(
        delta.replay(&stale),
        Err(ReplayError::UnknownBroker { .. })
    ));
}

#[test]
fn a_broker_change_touches_only_what_it_names() {
    let unfence = MetadataRecord::BrokerRegistrationChange {
        broker_id: 1,
        broker_epoch: 7,
        fenced: Some(false),
        in_controlled_shutdown: None,
        log_dirs: None,
    };
    let image = image(&[broker(1, 7), unfence]);
    let broker = image.cluster.broker(1).unwrap();
    assert!(broker.is_active());
    assert_eq!(broker.log_dirs, [Uuid::from_u128(9)]);
    assert_eq!(broker.listener("PLAINTEXT").unwrap().port, 9092);
}

#[test]
fn producer_ids_never_go_back() {
    let give = |next| MetadataRecord::ProducerIds {
        broker_id: 1,
        broker_epoch: 1,
        next_producer_id: ProducerId(next),
    };
    let image = image(&[give(2000), give(1000)]);
    assert_eq!(image.producer_ids.next_producer_id(), ProducerId(2000));
}

#[test]
fn a_feature_at_level_zero_is_not_listed() {
    let level = |level| MetadataRecord::FeatureLevel {
        name: "group.version".to_owned(),
        level,
    };
    assert_eq!(image(&[level(1)]).features.level("group.version"), 1);
    assert_eq!(image(&[level(1), level(0)]).features.finalized().count(), 0);
}

#[test]
fn an_older_image_does_not_change() {
    let before = image(&[topic("a", 1), partition(1, 0)]);
    let copy = before.clone();
    let after =
        delta(&before, &[partition(1, 1), config("a", "x", Some("y"))]).apply(provenance(2));
    assert_eq!(before, copy);
    assert_ne!(before, after);
}

/// A step of a random history, resolved against what exists so that every history is valid.
#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Grow(u8),
    Change(u8, Option<i32>),
    Remove(u8),
    Config(u8, u8, Option<u8>),
    Broker(u8, bool),
    Feature(u8, i16),
    ProducerIds(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..6).prop_map(Step::Create),
        (0u8..6).prop_map(Step::Grow),
        (0u8..6, proptest::option::of(0..3))
            .prop_map(|(topic, leader)| Step::Change(topic, leader)),
        (0u8..6).prop_map(Step::Remove),
        (0u8..6, 0u8..3, proptest::option::of(0u8..9)).prop_map(|(t, k, v)| Step::Config(t, k, v)),
        (0u8..3, any::<bool>()).prop_map(|(id, there)| Step::Broker(id, there)),
        (0u8..3, 0i16..3).prop_map(|(feature, level)| Step::Feature(feature, level)),
        (0i64..9).prop_map(Step::ProducerIds),
    ]
}

fn records_of(step: &Step, number: usize, now: &MetadataImage) -> Vec<MetadataRecord> {
    let existing = |topic: &u8| now.topics.by_name(&format!("t{topic}")).cloned();
    match step {
        Step::Create(t) if existing(t).is_none() => {
            let id = number as u128 + 1;
            vec![topic(&format!("t{t}"), id), partition(id, 0)]
        }
        Step::Grow(t) => existing(t).map_or(vec![], |topic| {
            vec![partition(topic.id.0.as_u128(), topic.partition_count())]
        }),
        Step::Change(t, leader) => existing(t).map_or(vec![], |topic| {
            let change = PartitionChange::new(topic.id, 0);
            let change = PartitionChange {
                leader: Some(*leader),
                ..change
            };
            vec![MetadataRecord::PartitionChange(change)]
        }),
        Step::Remove(t) => existing(t).map_or(vec![], |topic| {
            vec![MetadataRecord::RemoveTopic { topic_id: topic.id }]
        }),
        Step::Config(t, key, value) => {
            let value = value.map(|value| value.to_string());
            vec![config(
                &format!("t{t}"),
                &format!("k{key}"),
                value.as_deref(),
            )]
        }
        Step::Broker(id, true) => vec![broker(i32::from(*id), number as i64)],
        Step::Broker(id, false) => now.cluster.broker(i32::from(*id)).map_or(vec![], |broker| {
            vec![MetadataRecord::UnregisterBroker {
                broker_id: broker.id,
                broker_epoch: broker.epoch,
            }]
        }),
        Step::Feature(feature, level) => {
            vec![MetadataRecord::FeatureLevel {
                name: format!("f{feature}"),
                level: *level,
            }]
        }
        Step::ProducerIds(next) => vec![MetadataRecord::ProducerIds {
            broker_id: 1,
            broker_epoch: 1,
            next_producer_id: ProducerId(*next),
        }],
        Step::Create(_) => vec![],
    }
}

fn image_after(steps: &[Step], mut now: MetadataImage, first: usize) -> MetadataImage {
    for (number, step) in (first..).zip(steps) {
        let records = records_of(step, number, &now);
        now = delta(&now, &records).apply(provenance(number as i64));
    }
    now
}

proptest! {
    #[test]
    fn a_delta_between_images_tells_what_the_records_told(
        before in proptest::collection::vec(step(), 0..30),
        steps in proptest::collection::vec(step(), 0..30),
    ) {
        let base = Arc::new(image_after(&before, MetadataImage::default(), 0));
        let next = image_after(&steps, base.as_ref().clone(), before.len());
        let found = MetadataDelta::between(Arc::clone(&base), &next);
        prop_assert_eq!(&found.apply(next.provenance), &next);
        let ids = |topics: &mut dyn Iterator<Item = &Arc<TopicImage>>| {
            topics.map(|topic| topic.id).collect::<Vec<_>>()
        };
        let gone = base.topics.iter().filter(|topic| next.topics.by_id(topic.id).is_none());
        let mut expected = ids(&mut gone.into_iter());
        expected.sort_unstable();
        prop_assert_eq!(ids(&mut found.topics_delta().deleted()), expected);
        for change in found.topics_delta().changed_partitions() {
            prop_assert_ne!(change.before, Some(change.after));
        }
        for (resource, _) in found.configs_delta().changed() {
            prop_assert_ne!(base.configs.of(resource), next.configs.of(resource));
        }
    }

    #[test]
    fn what_an_image_writes_replays_to_the_same_image(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let now = image_after(&steps, MetadataImage::default(), 0);
        let mut bytes = Vec::new();
        crate::record::encode_batch(&now.write(), &mut bytes);
        let written = crate::record::decode_batch(&bytes).unwrap();
        let again = delta(&MetadataImage::default(), &written).apply(now.provenance);
        prop_assert_eq!(again, now);
    }
}
