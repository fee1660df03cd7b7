//! What is there after a restart of the container: records, offsets, groups, configs, producers.

use anyhow::{Result, ensure};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::producer::FutureRecord;
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::Named;
use crate::broker::Broker;
use crate::clients::{consumer, producer, read, send, take, topic};

pub(crate) const ALL: &[Named] = &[Named {
    name: "a_restart_in_the_middle_loses_and_doubles_nothing",
    run: restart,
}];

fn restart(broker: &Broker) -> Result<Value> {
    topic(broker, "restarted", 2, &[("retention.ms", "123456789000")])?;
    let producer = producer(broker, &[("enable.idempotence", "true")])?;
    let consumer = consumer(broker, "restarts", &[])?;
    consumer.subscribe(&["restarted"])?;
    let mut seen = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            let value = format!("{round}-{number}");
            let record = FutureRecord::<str, str>::to("restarted")
                .partition(0)
                .payload(&value);
            seen.push(send(&producer, record)?);
        }
        let records = take(&consumer, 10)?;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("restarted", 0, Offset::Offset(10 * (round + 1)))?;
        consumer.commit(&offsets, CommitMode::Sync)?;
        seen.push(json!(records));
        if round < 2 {
            // Client and group live on through it.
            broker.restart()?;
        }
    }
    drop(consumer);
    let all = read(broker, "restarted", 2, Offset::Beginning)?;
    ensure!(all.len() == 30, "{} records", all.len());
    let resumed = crate::clients::consumer(broker, "restarts", &[])?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range("restarted", 0, 1);
    let committed = resumed.committed_offsets(wanted, crate::clients::PATIENCE)?;
    let committed: Vec<String> = committed
        .elements()
        .iter()
        .map(|one| format!("{:?}", one.offset()))
        .collect();
    Ok(json!([seen, all, committed]))
}
