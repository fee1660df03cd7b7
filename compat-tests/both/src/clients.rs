//! What the scenarios do again and again with librdkafka: topics, records in, records out as JSON.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders, Timestamp};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::broker::Broker;

pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// In place of a time that a broker read from its clock.
pub(crate) const NOW: &str = "now";

pub(crate) type Admin = AdminClient<DefaultClientContext>;

pub(crate) fn wait<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(future))
}

pub(crate) fn admin(broker: &Broker) -> Result<Admin> {
    Ok(broker.client(&[]).create()?)
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(PATIENCE))
        .request_timeout(Some(PATIENCE))
}

/// Creates a topic and waits until its leaders serve.
pub(crate) fn topic(
    broker: &Broker,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<()> {
    let admin = admin(broker)?;
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in configs {
        topic = topic.set(key, value);
    }
    for result in wait(admin.create_topics([&topic], &options()))?? {
        result.map_err(|(name, code)| anyhow!("{name}: {code}"))?;
    }
    let consumer: BaseConsumer = broker.client(&[]).create()?;
    for partition in 0..partitions {
        until(|| Ok(consumer.fetch_watermarks(name, partition, PATIENCE).ok()))?;
    }
    Ok(())
}

/// Asks until there is something, for at most the patience we have.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        std::thread::yield_now();
    }
    Err(anyhow!("it did not come in {PATIENCE:?}"))
}

pub(crate) fn producer(broker: &Broker, settings: &[(&str, &str)]) -> Result<FutureProducer> {
    Ok(broker.client(settings).create()?)
}

/// Where a record went, or the error's name.
pub(crate) fn send(producer: &FutureProducer, record: FutureRecord<'_, str, str>) -> Result<Value> {
    Ok(match wait(producer.send(record, PATIENCE))? {
        Ok(delivery) => json!([delivery.partition, delivery.offset]),
        Err((error, _)) => name_of(&error),
    })
}

/// The code of an error by its name; texts may differ.
pub(crate) fn name_of(error: &KafkaError) -> Value {
    match error.rdkafka_error_code() {
        Some(code) => json!(format!("{code:?}")),
        None => json!(format!("{error:?}")),
    }
}

pub(crate) fn headers(pairs: &[(&str, Option<&str>)]) -> OwnedHeaders {
    pairs
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: *value })
        })
}

/// Numbered records, values `PREFIX-0`, ... into one partition, acknowledged.
pub(crate) fn fill(
    broker: &Broker,
    topic: &str,
    partition: i32,
    prefix: &str,
    count: usize,
) -> Result<()> {
    let producer = producer(broker, &[])?;
    wait(async {
        let values: Vec<String> = (0..count)
            .map(|number| format!("{prefix}-{number}"))
            .collect();
        let mut sent = Vec::new();
        for value in &values {
            let record = FutureRecord::<str, str>::to(topic)
                .partition(partition)
                .payload(value);
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for delivery in sent {
            delivery.await?.map_err(|(error, _)| error)?;
        }
        Ok(())
    })?
}

pub(crate) fn consumer(
    broker: &Broker,
    group: &str,
    settings: &[(&str, &str)],
) -> Result<BaseConsumer> {
    let mut config = broker.client(&[
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "300"),
    ]);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    Ok(config.create()?)
}

/// All records of a topic's partitions from an offset on, until the end of each.
pub(crate) fn read(
    broker: &Broker,
    topic: &str,
    partitions: i32,
    from: Offset,
) -> Result<Vec<Value>> {
    let consumer = consumer(broker, "reader", &[("enable.partition.eof", "true")])?;
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        wanted.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&wanted)?;
    let (mut records, mut ended) = (Vec::new(), 0);
    while ended < partitions {
        match consumer
            .poll(PATIENCE)
            .context("no record and no end of partition")?
        {
            Ok(message) => records.push(described(&message)),
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => return Err(error.into()),
        }
    }
    records.sort_by_key(|record| (record["partition"].as_i64(), record["offset"].as_i64()));
    Ok(records)
}

/// Whether a client only tells that it has no connection at the moment, and makes a new one.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
    )
}

/// The next so many records of a subscribed consumer.
pub(crate) fn take<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    count: usize,
) -> Result<Vec<Value>> {
    let start = Instant::now();
    let mut records = Vec::new();
    while records.len() < count {
        ensure!(
            start.elapsed() < PATIENCE,
            "{} of {count} records came",
            records.len()
        );
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => records.push(described(&message)),
            Some(Err(error)) if !is_passing(&error) => return Err(error.into()),
            Some(Err(_)) | None => {}
        }
    }
    Ok(records)
}

pub(crate) fn described(message: &BorrowedMessage<'_>) -> Value {
    let text =
        |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let headers: Vec<Value> = message
        .headers()
        .into_iter()
        .flat_map(|headers| headers.iter().map(|one| json!([one.key, text(one.value)])))
        .collect();
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_millis());
    let timestamp = match message.timestamp() {
        Timestamp::NotAvailable => json!("none"),
        Timestamp::CreateTime(time) if is_near(time, now) => json!(["CreateTime", NOW]),
        Timestamp::CreateTime(time) => json!(["CreateTime", time]),
        Timestamp::LogAppendTime(time) if is_near(time, now) => json!(["LogAppendTime", NOW]),
        Timestamp::LogAppendTime(time) => json!(["LogAppendTime", time]),
    };
    json!({
        "partition": message.partition(), "offset": message.offset(),
        "key": text(message.key()), "value": text(message.payload()),
        "headers": headers, "timestamp": timestamp,
    })
}

fn is_near(time: i64, now: u128) -> bool {
    u128::try_from(time).is_ok_and(|time| time.abs_diff(now) < 3_600_000)
}
