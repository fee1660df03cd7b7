//! Topics and configs through the admin client: made, described, altered, deleted, refused.

use std::time::Duration;

use anyhow::Result;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{
    AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
    TopicResult,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::Named;
use crate::broker::Broker;
use crate::clients::{Admin, PATIENCE, admin, fill, options, read, topic, until, wait};

pub(crate) const ALL: &[Named] = &[
    Named {
        name: "topics_are_created_or_refused",
        run: create,
    },
    Named {
        name: "configs_are_altered_and_described",
        run: configs,
    },
    Named {
        name: "configs_that_make_no_sense_are_refused",
        run: bad_configs,
    },
    Named {
        name: "a_broker_s_configs_are_described",
        run: broker_configs,
    },
    Named {
        name: "partitions_are_added",
        run: partitions,
    },
    Named {
        name: "topics_are_deleted_and_made_again",
        run: delete,
    },
    Named {
        name: "records_are_deleted_up_to_an_offset",
        run: delete_records,
    },
    Named {
        name: "retention_deletes_old_segments",
        run: retention,
    },
];

fn codes(results: Vec<TopicResult>) -> Value {
    let code = |result: TopicResult| match result {
        Ok(name) => json!([name, "done"]),
        Err((name, code)) => json!([name, format!("{code:?}")]),
    };
    results.into_iter().map(code).collect()
}

fn create(broker: &Broker) -> Result<Value> {
    let admin = admin(broker)?;
    let long = "n".repeat(250);
    let mut seen = Vec::new();
    let names = [
        "made",
        "made",
        "with space",
        "..",
        "",
        long.as_str(),
        "with.dot",
        "with_dot",
    ];
    for name in names {
        let topic = NewTopic::new(name, 2, TopicReplication::Fixed(1));
        let results = wait(admin.create_topics([&topic], &options()))?;
        seen.push(results.map_or_else(|error| crate::clients::name_of(&error), codes));
    }
    let assigned: &[&[i32]] = &[&[1], &[1]];
    let stranger: &[&[i32]] = &[&[7]];
    let topics = [
        NewTopic::new("made-three-fold", 1, TopicReplication::Fixed(3)),
        NewTopic::new("made-as-assigned", 2, TopicReplication::Variable(assigned)),
        NewTopic::new(
            "made-for-a-stranger",
            1,
            TopicReplication::Variable(stranger),
        ),
        NewTopic::new("made-well", 1, TopicReplication::Fixed(1)).set("retention.ms", "5000"),
        NewTopic::new("made-ill", 1, TopicReplication::Fixed(1)).set("retention.ms", "soon"),
    ];
    let mut results = wait(admin.create_topics(&topics, &options()))??;
    results.sort_by_key(|result| match result {
        Ok(name) | Err((name, _)) => name.clone(),
    });
    seen.push(codes(results));
    let dry = options().validate_only(true);
    let topic = NewTopic::new("made-up", 1, TopicReplication::Fixed(1));
    seen.push(codes(wait(admin.create_topics([&topic], &dry))??));
    let metadata = admin.inner().fetch_metadata(None, PATIENCE)?;
    let mut names: Vec<(&str, usize)> = metadata
        .topics()
        .iter()
        .map(|topic| (topic.name(), topic.partitions().len()))
        .filter(|(name, _)| name.starts_with("made-") && !name.starts_with("made-by"))
        .collect();
    names.sort_unstable();
    seen.push(json!(names));
    Ok(json!(seen))
}

/// All of a resource's configs but those that name the machine.
fn describe(admin: &Admin, resource: ResourceSpecifier<'_>) -> Result<Value> {
    let results = wait(admin.describe_configs([&resource], &options()))??;
    let mut seen = Vec::new();
    for result in results {
        match result {
            Err(code) => seen.push(json!(format!("{code:?}"))),
            Ok(found) => {
                let mut entries: Vec<Value> = found
                    .entries
                    .iter()
                    .map(|entry| {
                        // Where eligible leader replicas (KIP-966) are finalized, as upstream's image
                        // has them, the default stands in a record. The value is the same.
                        let is_recorded = entry.name == "min.insync.replicas"
                            && matches!(entry.source, ConfigSource::DynamicDefaultBroker);
                        let source = if is_recorded {
                            &ConfigSource::Default
                        } else {
                            &entry.source
                        };
                        let is_default = entry.is_default || is_recorded;
                        let flags = [entry.is_read_only, is_default, entry.is_sensitive];
                        let source = format!("{source:?}");
                        json!([entry.name, entry.value, source, flags])
                    })
                    .collect();
                entries.sort_by_key(Value::to_string);
                seen.push(json!(entries));
            }
        }
    }
    Ok(json!(seen))
}

fn alter(
    admin: &Admin,
    resource: ResourceSpecifier<'_>,
    configs: &[(&str, &str)],
) -> Result<Value> {
    let mut wanted = AlterConfig::new(resource);
    for (name, value) in configs {
        wanted = wanted.set(name, value);
    }
    let results = wait(admin.alter_configs([&wanted], &options()))??;
    let codes = results.into_iter().map(|result| match result {
        Ok(_) => json!("done"),
        Err((_, code)) => json!(format!("{code:?}")),
    });
    Ok(codes.collect())
}

fn configs(broker: &Broker) -> Result<Value> {
    topic(
        broker,
        "configured",
        1,
        &[
            ("retention.ms", "100000"),
            ("cleanup.policy", "compact,delete"),
        ],
    )?;
    let admin = admin(broker)?;
    let resource = ResourceSpecifier::Topic("configured");
    let mut seen = vec![describe(&admin, resource)?];
    for configs in [
        &[("retention.ms", "200000"), ("max.message.bytes", "5000")][..],
        &[("segment.bytes", "2000000")],
        &[],
    ] {
        seen.push(alter(&admin, resource, configs)?);
        seen.push(describe(&admin, resource)?);
    }
    seen.push(alter(
        &admin,
        ResourceSpecifier::Topic("not-there"),
        &[("retention.ms", "1")],
    )?);
    seen.push(describe(&admin, ResourceSpecifier::Topic("not-there"))?);
    Ok(json!(seen))
}

fn bad_configs(broker: &Broker) -> Result<Value> {
    topic(broker, "misconfigured", 1, &[])?;
    let admin = admin(broker)?;
    let mut seen = Vec::new();
    for (name, value) in [
        ("retention.ms", "banana"),
        ("retention.ms", "-2"),
        ("cleanup.policy", "burn"),
        ("compression.type", "rar"),
        ("min.insync.replicas", "0"),
        ("segment.bytes", "1"),
        ("max.message.bytes", "-1"),
        ("message.timestamp.type", "Tomorrow"),
        ("unclean.leader.election.enable", "perhaps"),
        ("min.cleanable.dirty.ratio", "2"),
        ("no.such.config", "1"),
        ("retention.ms", ""),
    ] {
        let made = format!("misconfigured-{}", seen.len());
        let new = NewTopic::new(&made, 1, TopicReplication::Fixed(1)).set(name, value);
        let created = codes(wait(admin.create_topics([&new], &options()))??);
        let altered = alter(
            &admin,
            ResourceSpecifier::Topic("misconfigured"),
            &[(name, value)],
        )?;
        seen.push(json!([name, value, created, altered]));
    }
    seen.push(describe(&admin, ResourceSpecifier::Topic("misconfigured"))?);
    Ok(json!(seen))
}

/// The configs that a test may look at: those of addresses and folders are each image's own.
fn broker_configs(broker: &Broker) -> Result<Value> {
    let admin = admin(broker)?;
    let seen = describe(&admin, ResourceSpecifier::Broker(1))?;
    let own = [
        "listener",
        "log.dir",
        "metadata.log.dir",
        "cluster",
        "quorum",
        "process.roles",
        "klamm",
        "share.",
        "transaction.",
        "node.id",
        "broker.id",
    ];
    let entries = seen[0].as_array().cloned().unwrap_or_default();
    let common = entries.into_iter().filter(|entry| {
        let name = entry[0].as_str().unwrap_or_default();
        !own.iter().any(|part| name.contains(part))
    });
    // Where a value comes from depends on the file that an image ships.
    Ok(common.map(|entry| json!([entry[0], entry[1]])).collect())
}

fn partitions(broker: &Broker) -> Result<Value> {
    topic(broker, "grown", 1, &[])?;
    let admin = admin(broker)?;
    let mut seen = Vec::new();
    for count in [3, 3, 2, 5] {
        let wanted = NewPartitions::new("grown", count);
        seen.push(codes(wait(
            admin.create_partitions([&wanted], &options()),
        )??));
    }
    let wanted = NewPartitions::new("never-grown", 2);
    seen.push(codes(wait(
        admin.create_partitions([&wanted], &options()),
    )??));
    let consumer: BaseConsumer = broker.client(&[]).create()?;
    for partition in 0..5 {
        until(|| Ok(consumer.fetch_watermarks("grown", partition, PATIENCE).ok()))?;
    }
    fill(broker, "grown", 4, "v", 3)?;
    seen.extend(read(broker, "grown", 5, Offset::Beginning)?);
    Ok(json!(seen))
}

fn delete(broker: &Broker) -> Result<Value> {
    let admin = admin(broker)?;
    let mut seen = Vec::new();
    for round in 0..3 {
        topic(broker, "made-and-gone", 1, &[])?;
        fill(broker, "made-and-gone", 0, &format!("round-{round}"), 2)?;
        seen.push(json!(read(broker, "made-and-gone", 1, Offset::Beginning)?));
        let names = ["made-and-gone", "was-never-there"];
        seen.push(codes(wait(admin.delete_topics(&names, &options()))??));
        until(|| {
            let metadata = admin.inner().fetch_metadata(None, PATIENCE)?;
            let mut topics = metadata.topics().iter();
            Ok(topics
                .all(|topic| topic.name() != "made-and-gone")
                .then_some(()))
        })?;
    }
    Ok(json!(seen))
}

fn delete_records(broker: &Broker) -> Result<Value> {
    topic(broker, "cut", 2, &[])?;
    fill(broker, "cut", 0, "v", 10)?;
    let admin = admin(broker)?;
    let consumer: BaseConsumer = broker.client(&[]).create()?;
    let mut seen = Vec::new();
    for (topic, partition, offset) in [
        ("cut", 0, Offset::Offset(4)),
        ("cut", 0, Offset::Offset(2)),
        ("cut", 0, Offset::Offset(11)),
        ("cut", 1, Offset::End),
        ("cut", 9, Offset::Offset(0)),
        ("cut", 0, Offset::End),
    ] {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset(topic, partition, offset)?;
        let result = wait(admin.delete_records(&wanted, &options()))?;
        seen.push(match result {
            Ok(list) => list
                .elements()
                .iter()
                .map(|one| {
                    json!([
                        format!("{:?}", one.offset()),
                        format!("{:?}", one.error().err())
                    ])
                })
                .collect(),
            Err(error) => crate::clients::name_of(&error),
        });
        seen.push(json!(consumer.fetch_watermarks("cut", 0, PATIENCE)?));
        seen.push(json!(read(broker, "cut", 2, Offset::Beginning)?));
    }
    fill(broker, "cut", 0, "w", 1)?;
    seen.push(json!(read(broker, "cut", 2, Offset::Beginning)?));
    Ok(json!(seen))
}

/// Old records go with their segment when the broker looks (each second, as both are told).
fn retention(broker: &Broker) -> Result<Value> {
    topic(
        broker,
        "retained",
        1,
        &[("retention.ms", "3600000"), ("segment.bytes", "1048576")],
    )?;
    let producer = crate::clients::producer(broker, &[("linger.ms", "0")])?;
    let value = "v".repeat(600_000);
    let mut seen = Vec::new();
    for number in 0..3 {
        let record = rdkafka::producer::FutureRecord::<str, str>::to("retained").payload(&value);
        // All but the last are old.
        let record = if number < 2 {
            record.timestamp(1_600_000_000_000)
        } else {
            record
        };
        seen.push(crate::clients::send(&producer, record)?);
    }
    let consumer: BaseConsumer = broker.client(&[]).create()?;
    let marks = until(|| {
        let marks = consumer.fetch_watermarks("retained", 0, PATIENCE)?;
        std::thread::park_timeout(Duration::from_millis(100));
        Ok((marks.0 == 2).then_some(marks))
    })?;
    seen.push(json!(marks));
    Ok(json!(seen))
}
