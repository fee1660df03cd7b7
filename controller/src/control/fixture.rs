//! Images and environments for the tests of decisions: one active broker, number 1.

use std::sync::Arc;

use metadata::image::FeatureRange;
use metadata::record::RegisterBroker;
use metadata::{
    Endpoint, MetadataDelta, MetadataImage, MetadataRecord, Provenance, SecurityProtocol,
};
use protocol::messages::CreateTopicsRequest;
use protocol::messages::create_topics_request::CreatableTopic;
use protocol::{LeaderEpoch, Offset, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::{Environment, features, topics};
use crate::options::Settings;

/// The epoch of every broker here.
pub(crate) const EPOCH: i64 = 5;

pub(crate) struct Fixture {
    pub(crate) settings: Settings,
    rng: StdRng,
}

impl Default for Fixture {
    fn default() -> Fixture {
        Fixture {
            settings: Settings::default(),
            rng: StdRng::seed_from_u64(7),
        }
    }
}

impl Fixture {
    pub(crate) fn environment(&mut self) -> Environment<'_> {
        Environment {
            settings: &self.settings,
            rng: &mut self.rng,
        }
    }
}

/// The image after some more records, one log entry further.
pub(crate) fn apply(image: &MetadataImage, records: &[MetadataRecord]) -> MetadataImage {
    let offset = image.provenance.offset.map_or(0, |offset| offset.0 + 1);
    let mut delta = MetadataDelta::new(Arc::new(image.clone()));
    for record in records {
        delta.replay(record).unwrap();
    }
    delta.apply(Provenance {
        offset: Some(Offset(offset)),
        epoch: LeaderEpoch(1),
        timestamp: Timestamp(1),
    })
}

pub(crate) fn broker(id: i32, rack: Option<&str>, fenced: bool) -> MetadataRecord {
    let features = features::SUPPORTED.iter().map(|feature| FeatureRange {
        name: feature.name.to_owned(),
        min_level: feature.min_level,
        max_level: feature.max_level,
    });
    MetadataRecord::RegisterBroker(RegisterBroker {
        broker_id: id,
        incarnation_id: Uuid::from_u128(1000 + id as u128),
        broker_epoch: EPOCH,
        endpoints: vec![Endpoint {
            name: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: features.collect(),
        rack: rack.map(str::to_owned),
        fenced,
        in_controlled_shutdown: false,
        log_dirs: vec![directory(id)],
    })
}

pub(crate) fn directory(broker: i32) -> Uuid {
    Uuid::from_u128(2000 + broker as u128)
}

/// One active broker and nothing else.
pub(crate) fn image() -> MetadataImage {
    let bootstrapped = apply(&MetadataImage::default(), &features::bootstrap_records());
    apply(&bootstrapped, &[broker(1, None, false)])
}

/// The same with a topic of one replica.
pub(crate) fn image_with_topic(name: &str, partitions: i32) -> MetadataImage {
    let image = image();
    let request = CreateTopicsRequest::default().with_topics(vec![
        CreatableTopic::default()
            .with_name(topics::topic_name_of(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1),
    ]);
    let mut fixture = Fixture::default();
    let decision = topics::create_topics(&request, &image, &mut fixture.environment());
    assert_eq!(decision.response.topics[0].error_code, 0);
    apply(&image, &decision.records)
}
