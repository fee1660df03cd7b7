use protocol::LeaderEpoch;

use super::*;
use crate::control::fixture::{self, Fixture};

fn registration(broker_id: i32, incarnation: u128) -> Registration {
    Registration {
        broker_id,
        incarnation_id: Uuid::from_u128(incarnation),
        listeners: Vec::new(),
        rack: Some("r".to_owned()),
        log_dirs: vec![fixture::directory(broker_id)],
    }
}

fn register(image: &MetadataImage, registration: &Registration) -> (MetadataImage, i64) {
    let mut fixture = Fixture::default();
    let decision = register_broker(registration, image, &mut fixture.environment());
    let epoch = decision.response.unwrap();
    (fixture::apply(image, &decision.records), epoch)
}

fn unfence(image: &MetadataImage, id: i32, epoch: i64) -> MetadataImage {
    let mut fixture = Fixture::default();
    let decision = unfence_broker(id, epoch, image, &mut fixture.environment());
    assert_eq!(decision.response, Ok(()));
    fixture::apply(image, &decision.records)
}

#[test]
fn a_new_broker_is_fenced_until_it_is_ready() {
    let (image, epoch) = register(&MetadataImage::default(), &registration(1, 1));
    assert!(image.cluster.broker(1).unwrap().fenced);
    let image = unfence(&image, 1, epoch);
    let broker = image.cluster.broker(1).unwrap();
    assert!(broker.is_active());
    assert_eq!(broker.rack.as_deref(), Some("r"));
    // Asking again changes nothing.
    let mut fixture = Fixture::default();
    let again = unfence_broker(1, epoch, &image, &mut fixture.environment());
    assert!(again.response.is_ok() && again.records.is_empty());
}

#[test]
fn a_new_incarnation_gets_a_higher_epoch_and_its_partitions_back() {
    let image = fixture::image_with_topic("a", 2);
    let before = image.cluster.broker(1).unwrap().epoch;
    let (image, epoch) = register(&image, &registration(1, 77));
    assert!(epoch > before);
    let leaders = |image: &MetadataImage| {
        let topic = image.topics.by_name("a").unwrap();
        topic
            .partitions
            .values()
            .map(|partition| partition.leader)
            .collect::<Vec<_>>()
    };
    assert_eq!(leaders(&image), [None, None]);
    let image = unfence(&image, 1, epoch);
    assert_eq!(leaders(&image), [Some(1), Some(1)]);
    let partition = image
        .topics
        .by_name("a")
        .unwrap()
        .partition(0)
        .unwrap()
        .clone();
    assert_eq!(
        (partition.leader_epoch, partition.isr.clone()),
        (LeaderEpoch(2), vec![1])
    );
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let (image, epoch) = register(&MetadataImage::default(), &registration(1, 1));
    let mut fixture = Fixture::default();
    let again = register_broker(&registration(1, 1), &image, &mut fixture.environment());
    assert_eq!(again.response, Ok(epoch));
    assert!(again.records.is_empty());
}

#[test]
fn log_directories_must_be_told_and_differ() {
    let twice = vec![fixture::directory(1), fixture::directory(1)];
    for log_dirs in [vec![], vec![Uuid::nil()], twice] {
        let registration = Registration {
            log_dirs,
            ..registration(1, 1)
        };
        let mut fixture = Fixture::default();
        let image = MetadataImage::default();
        let decision = register_broker(&registration, &image, &mut fixture.environment());
        assert_eq!(decision.response, Err(ErrorCode::InvalidRequest));
    }
}

#[test]
fn an_earlier_incarnation_cannot_unfence() {
    let (image, epoch) = register(&MetadataImage::default(), &registration(1, 1));
    let mut fixture = Fixture::default();
    let decision = unfence_broker(1, epoch - 1, &image, &mut fixture.environment());
    assert_eq!(decision.response, Err(ErrorCode::StaleBrokerEpoch));
}
