//! Records in and out: codecs, partitioners, timestamps, limits, long polls.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::Named;
use crate::broker::Broker;
use crate::clients::{
    PATIENCE, consumer, fill, headers, name_of, producer, read, send, take, topic, until, wait,
};

pub(crate) const ALL: &[Named] = &[
    Named {
        name: "records_of_every_codec_come_back_as_they_were",
        run: codecs,
    },
    Named {
        name: "keys_find_the_same_partitions",
        run: partitioners,
    },
    Named {
        name: "a_topic_may_stamp_records_with_its_own_clock",
        run: log_append_time,
    },
    Named {
        name: "offsets_are_found_by_time",
        run: by_time,
    },
    Named {
        name: "of_each_key_the_last_record_stays",
        run: compaction,
    },
    Named {
        name: "an_idempotent_producer_keeps_the_order",
        run: idempotence,
    },
    Named {
        name: "acks_are_as_asked_for",
        run: acks,
    },
    Named {
        name: "a_record_too_large_is_refused_and_the_next_one_taken",
        run: too_large,
    },
    Named {
        name: "topics_are_created_on_first_use",
        run: auto_create,
    },
    Named {
        name: "a_consumer_does_not_create_topics_unless_it_says_so",
        run: no_auto_create,
    },
    Named {
        name: "a_fetch_waits_for_enough_bytes",
        run: long_poll,
    },
    Named {
        name: "a_position_behind_the_end_is_reset",
        run: out_of_range,
    },
    Named {
        name: "seeks_and_pauses_are_obeyed",
        run: seek_and_pause,
    },
];

/// Long ago: topics with such records keep them with `FOR_EVER`.
const THEN: i64 = 1_600_000_000_000;
const FOR_EVER: (&str, &str) = ("retention.ms", "-1");

fn codecs(broker: &Broker) -> Result<Value> {
    let mut seen = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let name = format!("codec-{codec}");
        topic(broker, &name, 1, &[FOR_EVER])?;
        let producer = producer(broker, &[("compression.codec", codec), ("linger.ms", "50")])?;
        let values: Vec<String> = (0..20)
            .map(|n| format!("value {n} ").repeat(n + 1))
            .collect();
        let sent = wait(async {
            let mut sent = Vec::new();
            for (number, value) in (0..).zip(&values) {
                let mut record = FutureRecord::<str, str>::to(&name)
                    .partition(0)
                    .timestamp(THEN + number)
                    .headers(headers(&[("a", Some("ä")), ("a", None), ("", Some(""))]));
                if number % 3 != 0 {
                    record = record.key(["", "key"][usize::from(number % 2 == 0)]);
                }
                if number % 5 != 0 {
                    record = record.payload(value.as_str());
                }
                sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
            }
            let mut offsets = Vec::new();
            for delivery in sent {
                offsets.push(delivery.await?.map_err(|(error, _)| error)?.offset);
            }
            anyhow::Ok(offsets)
        })??;
        let records = read(broker, &name, 1, Offset::Beginning)?;
        ensure!(records.len() == values.len(), "{} records", records.len());
        seen.push(json!([sent, records]));
    }
    Ok(json!(seen))
}

fn partitioners(broker: &Broker) -> Result<Value> {
    topic(broker, "partitioned", 5, &[])?;
    let mut seen = Vec::new();
    for partitioner in ["consistent", "murmur2", "fnv1a"] {
        let producer = producer(broker, &[("partitioner", partitioner)])?;
        for number in 0..20 {
            let key = format!("key-{number}");
            let record = FutureRecord::to("partitioned")
                .key(key.as_str())
                .payload(partitioner);
            seen.push(send(&producer, record)?);
        }
    }
    let record = FutureRecord::to("partitioned")
        .partition(17)
        .payload("nowhere");
    seen.push(send(&producer(broker, &[])?, record)?);
    Ok(json!([
        seen,
        read(broker, "partitioned", 5, Offset::Beginning)?
    ]))
}

fn log_append_time(broker: &Broker) -> Result<Value> {
    topic(
        broker,
        "stamped",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    )?;
    topic(
        broker,
        "bounded",
        1,
        &[("message.timestamp.before.max.ms", "1000")],
    )?;
    let producer = producer(broker, &[])?;
    let old = |topic| FutureRecord::to(topic).payload("old").timestamp(THEN);
    let sent = [
        send(&producer, old("stamped"))?,
        send(&producer, old("bounded"))?,
    ];
    Ok(json!([
        sent,
        read(broker, "stamped", 1, Offset::Beginning)?
    ]))
}

fn by_time(broker: &Broker) -> Result<Value> {
    topic(broker, "by-time", 2, &[FOR_EVER])?;
    let producer = producer(broker, &[])?;
    for (partition, times) in [(0, [10, 20, 30, 40]), (1, [40, 10, 50, 20])] {
        for time in times {
            let record = FutureRecord::<str, str>::to("by-time").payload("v");
            send(
                &producer,
                record.partition(partition).timestamp(THEN + time),
            )?;
        }
    }
    let consumer = consumer(broker, "by-time", &[])?;
    let mut seen = Vec::new();
    for time in [0, 10, 11, 20, 35, 40, 45, 51] {
        let mut wanted = TopicPartitionList::new();
        for partition in 0..2 {
            wanted.add_partition_offset("by-time", partition, Offset::Offset(THEN + time))?;
        }
        let found = consumer.offsets_for_times(wanted, PATIENCE)?;
        for one in found.elements() {
            seen.push(json!([
                time,
                one.partition(),
                format!("{:?}", one.offset())
            ]));
        }
        if time == 20 {
            consumer.assign(&found)?;
            let mut records = take(&consumer, 3 + 4)?;
            records.sort_by_key(|record| record.to_string());
            seen.push(json!(records));
        }
    }
    Ok(json!(seen))
}

/// Each record has a segment of its own, since an hour lies between them; the last one is written to,
/// and what only it would supersede stays.
fn compaction(broker: &Broker) -> Result<Value> {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    topic(broker, "compacted", 1, &configs)?;
    let producer = producer(broker, &[])?;
    let mut seen = Vec::new();
    let records = [
        ("a", Some("a1")),
        ("b", Some("b1")),
        ("a", Some("a2")),
        ("c", Some("c1")),
        ("b", None),
        ("a", Some("a3")),
        ("", Some("empty key")),
        ("c", Some("c2")),
    ];
    for (hour, (key, value)) in (0..).zip(records) {
        let mut record = FutureRecord::<str, str>::to("compacted")
            .key(key)
            .timestamp(THEN + hour * 3_600_000);
        if let Some(value) = value {
            record = record.payload(value);
        }
        seen.push(send(&producer, record)?);
    }
    let left = until(|| {
        let left = read(broker, "compacted", 1, Offset::Beginning)?;
        let is_old =
            |record: &Value| ["a1", "a2", "b1"].contains(&record["value"].as_str().unwrap_or(""));
        Ok((!left.iter().any(is_old)).then_some(left))
    })?;
    // Without a key there is nothing to compact by.
    let keyless = FutureRecord::<str, str>::to("compacted").payload("no key");
    seen.push(send(&producer, keyless)?);
    Ok(json!([seen, left]))
}

fn idempotence(broker: &Broker) -> Result<Value> {
    topic(broker, "idempotent", 1, &[])?;
    let settings = [
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("batch.num.messages", "3"),
    ];
    let producer = producer(broker, &settings)?;
    let offsets = wait(async {
        let values: Vec<String> = (0..300).map(|number| number.to_string()).collect();
        let mut sent = Vec::new();
        for value in &values {
            let record = FutureRecord::<str, str>::to("idempotent").payload(value);
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        let mut offsets = Vec::new();
        for delivery in sent {
            offsets.push(delivery.await?.map_err(|(error, _)| error)?.offset);
        }
        anyhow::Ok(offsets)
    })??;
    let records = read(broker, "idempotent", 1, Offset::Beginning)?;
    let values: Vec<&Value> = records.iter().map(|record| &record["value"]).collect();
    ensure!(values.len() == 300 && values[299] == "299", "{values:?}");
    Ok(json!([offsets, values]))
}

fn acks(broker: &Broker) -> Result<Value> {
    topic(broker, "acks", 1, &[])?;
    let mut seen = Vec::new();
    for acks in ["1", "all", "0"] {
        let producer = producer(broker, &[("acks", acks)])?;
        let sent = send(&producer, FutureRecord::to("acks").payload(acks))?;
        producer.flush(PATIENCE)?;
        // Without an acknowledgement there is no offset to compare.
        seen.push(if acks == "0" { json!(acks) } else { sent });
    }
    let reader: BaseConsumer = broker.client(&[]).create()?;
    until(|| {
        let marks = reader.fetch_watermarks("acks", 0, PATIENCE)?;
        Ok((marks.1 == 3).then_some(()))
    })?;
    Ok(json!([seen, read(broker, "acks", 1, Offset::Beginning)?]))
}

fn too_large(broker: &Broker) -> Result<Value> {
    topic(broker, "limited", 1, &[("max.message.bytes", "2000")])?;
    let producer = producer(broker, &[("message.max.bytes", "10000000")])?;
    let mut seen = Vec::new();
    for size in [100, 1_900, 2_100, 2_000_000, 50] {
        let value = "v".repeat(size);
        seen.push(send(
            &producer,
            FutureRecord::to("limited").payload(&value),
        )?);
    }
    topic(broker, "usual-limit", 1, &[])?;
    for size in [1_000_000, 1_048_588] {
        let value = "v".repeat(size);
        seen.push(send(
            &producer,
            FutureRecord::to("usual-limit").payload(&value),
        )?);
    }
    ensure!(seen.iter().any(Value::is_string), "nothing was refused");
    Ok(json!(seen))
}

fn auto_create(broker: &Broker) -> Result<Value> {
    let producer = producer(broker, &[])?;
    let mut seen = vec![send(
        &producer,
        FutureRecord::to("made-by-use").payload("first"),
    )?];
    seen.push(send(
        &producer,
        FutureRecord::to("not a name").payload("first"),
    )?);
    let reader: BaseConsumer = broker.client(&[]).create()?;
    let metadata = reader.fetch_metadata(Some("made-by-use"), PATIENCE)?;
    let topic = metadata.topics().first().context("a topic")?;
    seen.push(json!([
        topic.name(),
        topic.partitions().len(),
        topic.error().is_none()
    ]));
    seen.extend(read(broker, "made-by-use", 1, Offset::Beginning)?);
    Ok(json!(seen))
}

fn no_auto_create(broker: &Broker) -> Result<Value> {
    let consumer = consumer(broker, "asks-for-nothing", &[])?;
    consumer.subscribe(&["never-made"])?;
    let error = until(|| {
        let polled = consumer.poll(Duration::from_millis(100));
        Ok(polled.and_then(Result::err))
    })?;
    let admin = crate::clients::admin(broker)?;
    let all = admin.inner().fetch_metadata(None, PATIENCE)?;
    let is_there = all
        .topics()
        .iter()
        .any(|topic| topic.name() == "never-made");
    Ok(json!([name_of(&error), is_there]))
}

/// What came, and whether it came only when there was enough (or the wait was over).
fn long_poll(broker: &Broker) -> Result<Value> {
    topic(broker, "awaited", 1, &[])?;
    let settings = [("fetch.min.bytes", "2000"), ("fetch.wait.max.ms", "1500")];
    let consumer = consumer(broker, "awaits", &settings)?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_offset("awaited", 0, Offset::Beginning)?;
    consumer.assign(&wanted)?;
    let producer = producer(broker, &[("linger.ms", "0")])?;
    let mut seen = Vec::new();
    for (value, waits) in [("few".to_owned(), true), ("v".repeat(3_000), false)] {
        send(&producer, FutureRecord::to("awaited").payload(&value))?;
        let start = Instant::now();
        seen.push(json!(take(&consumer, 1)?));
        // Where there is enough, nothing waits the whole time.
        seen.push(json!(
            waits || start.elapsed() < Duration::from_millis(1400)
        ));
    }
    Ok(json!(seen))
}

fn out_of_range(broker: &Broker) -> Result<Value> {
    topic(broker, "short", 1, &[])?;
    fill(broker, "short", 0, "v", 3)?;
    let mut seen = Vec::new();
    for reset in ["earliest", "error"] {
        let consumer = consumer(broker, "jumps", &[("auto.offset.reset", reset)])?;
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset("short", 0, Offset::Offset(99))?;
        consumer.assign(&wanted)?;
        let first = until(|| Ok(consumer.poll(Duration::from_millis(100))))?;
        seen.push(match first {
            Ok(message) => crate::clients::described(&message),
            Err(error) => name_of(&error),
        });
    }
    Ok(json!(seen))
}

fn seek_and_pause(broker: &Broker) -> Result<Value> {
    topic(broker, "sought", 2, &[])?;
    fill(broker, "sought", 0, "a", 10)?;
    fill(broker, "sought", 1, "b", 10)?;
    let consumer = consumer(broker, "seeks", &[])?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_offset("sought", 0, Offset::Offset(8))?;
    wanted.add_partition_offset("sought", 1, Offset::Offset(9))?;
    consumer.assign(&wanted)?;
    let sorted = |mut records: Vec<Value>| {
        records.sort_by_key(|record| record.to_string());
        json!(records)
    };
    let mut seen = vec![sorted(take(&consumer, 3)?)];
    consumer.seek("sought", 0, Offset::Offset(5), PATIENCE)?;
    seen.push(sorted(take(&consumer, 5)?));
    let mut second = TopicPartitionList::new();
    second.add_partition("sought", 1);
    consumer.pause(&second)?;
    fill(broker, "sought", 1, "c", 1)?;
    fill(broker, "sought", 0, "c", 1)?;
    seen.push(sorted(take(&consumer, 1)?));
    consumer.resume(&second)?;
    seen.push(sorted(take(&consumer, 1)?));
    seen.push(sorted(read(broker, "sought", 2, Offset::OffsetTail(2))?));
    Ok(json!(seen))
}
