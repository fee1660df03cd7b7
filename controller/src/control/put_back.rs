//! Puts the metadata back to an earlier image, for tests: first all goes that came since, then
//! what is missing comes again, topics with their old ids.
//!
//! Invariant: topic ids and producer ids never turn back: a topic gets an id that it had, or keeps
//! the one it has; blocks of producer ids that were given stay given. Brokers are as they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use metadata::{ConfigResource, MetadataImage, MetadataRecord, TopicImage};
use protocol::TopicId;

use super::Decision;

/// What is put back, and what stays whatever the earlier image says.
#[derive(Debug, Clone)]
pub struct PutBackMetadata {
    pub image: Arc<MetadataImage>,
    /// Topics of the broker's own, which stay where the earlier image does not know them.
    pub stays: fn(&str) -> bool,
}

impl PutBackMetadata {
    /// Whether a topic of the present image may go on.
    fn keeps(&self, topic: &TopicImage) -> bool {
        match self.image.topics.by_id(topic.id) {
            // Partitions cannot be taken away: a topic that has more comes again.
            Some(then) => then.partition_count() == topic.partition_count(),
            None => (self.stays)(&topic.name) && self.image.topics.by_name(&topic.name).is_none(),
        }
    }
}

/// Removes the topics that came since, and puts configs and features back.
pub(crate) fn remove_what_came(wanted: &PutBackMetadata, image: &MetadataImage) -> Decision<()> {
    // Whatever else becomes part of the metadata has to be put back, too.
    let MetadataImage {
        provenance: _,
        features,
        cluster: _,
        topics,
        configs,
        producer_ids: _,
    } = image;
    let then = &wanted.image;
    let removed = topics.iter().filter(|topic| !wanted.keeps(topic));
    let mut records: Vec<MetadataRecord> = removed
        .map(|topic| MetadataRecord::RemoveTopic { topic_id: topic.id })
        .collect();
    let resources: BTreeSet<&ConfigResource> = configs
        .resources()
        .chain(then.configs.resources())
        .collect();
    for resource in resources {
        if is_put_back(resource, wanted, image) {
            put_configs_back(&mut records, resource, image, then);
        }
    }
    let names = features.finalized().chain(then.features.finalized());
    for name in names.map(|(name, _)| name).collect::<BTreeSet<_>>() {
        let level = then.features.level(name);
        if features.level(name) != level {
            records.push(MetadataRecord::FeatureLevel {
                name: name.to_owned(),
                level,
            });
        }
    }
    Decision::divisible(records, ())
}

/// Configs of a topic that goes or that is missing go and come with it.
fn is_put_back(resource: &ConfigResource, wanted: &PutBackMetadata, image: &MetadataImage) -> bool {
    match resource {
        ConfigResource::Topic(name) => image.topics.by_name(name).is_some_and(|topic| {
            wanted.keeps(topic) && wanted.image.topics.by_id(topic.id).is_some()
        }),
        ConfigResource::Broker(_)
        | ConfigResource::BrokerLogger(_)
        | ConfigResource::Group(_)
        | ConfigResource::ClientMetrics(_) => true,
    }
}

fn put_configs_back(
    records: &mut Vec<MetadataRecord>,
    resource: &ConfigResource,
    now: &MetadataImage,
    then: &MetadataImage,
) {
    let (now, then) = (now.configs.of(resource), then.configs.of(resource));
    for name in now.keys().chain(then.keys()).collect::<BTreeSet<_>>() {
        if now.get(name) != then.get(name) {
            records.push(MetadataRecord::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: then.get(name).cloned(),
            });
        }
    }
}

/// The topics of the earlier image that are missing, in name order.
pub fn missing_topics<'a>(
    wanted: &'a PutBackMetadata,
    image: &'a MetadataImage,
) -> impl Iterator<Item = &'a Arc<TopicImage>> {
    let then = wanted.image.topics.iter();
    then.filter(|topic| image.topics.by_id(topic.id).is_none())
}

/// Brings missing topics again. False, and nothing is done, where one of their names is taken.
pub(crate) fn bring_again(wanted: &PutBackMetadata, image: &MetadataImage) -> Decision<bool> {
    let missing: BTreeSet<TopicId> = missing_topics(wanted, image).map(|it| it.id).collect();
    let names: BTreeSet<&Arc<str>> = missing_topics(wanted, image).map(|it| &it.name).collect();
    if names
        .iter()
        .any(|name| image.topics.by_name(name).is_some())
    {
        return Decision::answer(false);
    }
    let belongs = |record: &MetadataRecord| match record {
        MetadataRecord::Topic { topic_id, .. } => missing.contains(topic_id),
        MetadataRecord::Partition(partition) => missing.contains(&partition.topic_id),
        MetadataRecord::Config {
            resource: ConfigResource::Topic(name),
            ..
        } => names.contains(name),
        MetadataRecord::Config { .. }
        | MetadataRecord::RegisterBroker(_)
        | MetadataRecord::UnregisterBroker { .. }
        | MetadataRecord::BrokerRegistrationChange { .. }
        | MetadataRecord::PartitionChange(_)
        | MetadataRecord::RemoveTopic { .. }
        | MetadataRecord::FeatureLevel { .. }
        | MetadataRecord::ProducerIds { .. }
        | MetadataRecord::NoOp => false,
    };
    // Configs come before the topics that they are of: a log opens with its settings.
    let (topics, configs): (Vec<_>, Vec<_>) = wanted
        .image
        .write()
        .into_iter()
        .filter(belongs)
        .partition(|record| !matches!(record, MetadataRecord::Config { .. }));
    let records = configs.into_iter().chain(topics).collect();
    Decision::divisible(records, true)
}

#[cfg(test)]
mod tests {
    use protocol::LeaderEpoch;

    use super::super::fixture::apply;
    use super::*;

    fn topic(number: u128, name: &str, partitions: i32) -> Vec<MetadataRecord> {
        let topic_id = TopicId(uuid::Uuid::from_u128(number));
        let mut records = vec![MetadataRecord::Topic {
            name: name.into(),
            topic_id,
        }];
        records.extend((0..partitions).map(|partition_id| {
            MetadataRecord::Partition(metadata::record::Partition {
                partition_id,
                topic_id,
                replicas: vec![1],
                directories: vec![uuid::Uuid::nil()],
                isr: vec![1],
                removing_replicas: Vec::new(),
                adding_replicas: Vec::new(),
                leader: Some(1),
                leader_recovery_state: metadata::LeaderRecoveryState::Recovered,
                leader_epoch: LeaderEpoch(0),
                partition_epoch: 0,
                eligible_leader_replicas: Vec::new(),
                last_known_elr: Vec::new(),
            })
        }));
        records
    }

    fn config(resource: ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
        MetadataRecord::Config {
            resource,
            name: name.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    fn removal(number: u128) -> MetadataRecord {
        let topic_id = TopicId(uuid::Uuid::from_u128(number));
        MetadataRecord::RemoveTopic { topic_id }
    }

    /// The earlier image: two topics, one with a config, and a broker config.
    fn then() -> MetadataImage {
        let image = apply(&MetadataImage::default(), &topic(1001, "orders", 2));
        let image = apply(&image, &topic(1002, "users", 1));
        let of_topic = ConfigResource::Topic("users".into());
        let of_broker = ConfigResource::Broker(None);
        apply(
            &image,
            &[
                config(of_topic, "retention.ms", Some("5")),
                config(of_broker, "log.retention.ms", Some("7")),
            ],
        )
    }

    fn wanted() -> PutBackMetadata {
        PutBackMetadata {
            image: Arc::new(then()),
            stays: |name| name.starts_with("__"),
        }
    }

    /// Carries both steps out.
    fn put_back(image: &MetadataImage) -> MetadataImage {
        let removed = apply(image, &remove_what_came(&wanted(), image).records);
        let again = bring_again(&wanted(), &removed);
        assert!(again.response);
        apply(&removed, &again.records)
    }

    fn assert_same(image: &MetadataImage) {
        assert_eq!(image.topics, then().topics);
        assert_eq!(image.configs, then().configs);
        assert_eq!(image.features, then().features);
    }

    #[test]
    fn nothing_is_written_where_nothing_has_changed() {
        let image = then();
        assert!(remove_what_came(&wanted(), &image).records.is_empty());
        let again = bring_again(&wanted(), &image);
        assert!(again.response && again.records.is_empty());
    }

    #[test]
    fn topics_configs_and_features_go_back() {
        let image = apply(&then(), &topic(1003, "new", 3));
        let level = MetadataRecord::FeatureLevel {
            name: "group.version".to_owned(),
            level: 0,
        };
        let image = apply(
            &image,
            &[
                level,
                config(ConfigResource::Broker(None), "log.retention.ms", None),
                config(ConfigResource::Group("g".into()), "x", Some("1")),
                config(ConfigResource::Topic("orders".into()), "x", Some("1")),
                config(ConfigResource::Topic("new".into()), "x", Some("1")),
            ],
        );
        assert_same(&put_back(&image));
    }

    #[test]
    fn a_lost_topic_comes_again_with_its_id_and_configs() {
        let image = apply(&then(), &[removal(1002)]);
        let image = apply(&image, &topic(1005, "users", 1));
        assert_same(&put_back(&image));
        let image = apply(&then(), &[removal(1001), removal(1002)]);
        assert_same(&put_back(&image));
    }

    #[test]
    fn a_topic_with_more_partitions_comes_again() {
        let mut more = topic(1001, "orders", 3);
        let image = apply(&then(), &[more.remove(3)]);
        assert_same(&put_back(&image));
    }

    #[test]
    fn the_brokers_own_topics_stay_with_their_configs() {
        let own = ConfigResource::Topic("__own".into());
        let image = apply(&then(), &topic(1009, "__own", 1));
        let image = apply(
            &image,
            &[config(own.clone(), "cleanup.policy", Some("compact"))],
        );
        let image = put_back(&image);
        assert!(image.topics.by_name("__own").is_some());
        assert_eq!(image.configs.get(&own, "cleanup.policy"), Some("compact"));
    }

    #[test]
    fn a_name_that_is_taken_meanwhile_is_told() {
        let image = apply(&then(), &[removal(1002)]);
        let image = apply(&image, &topic(1005, "users", 1));
        let again = bring_again(&wanted(), &image);
        assert!(!again.response && again.records.is_empty());
    }
}
