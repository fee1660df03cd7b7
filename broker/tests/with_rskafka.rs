//! An example to copy: a test with rskafka (pure Rust) and a broker of its own.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use klamm::{Broker, ServerConfig};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, OffsetAt, UnknownTopicHandling};
use rskafka::record::Record;

#[tokio::test]
async fn measurements_are_read_back_as_they_were_written() {
    let config = ServerConfig::ephemeral(&[("auto.create.topics.enable", "false")]).unwrap();
    let broker = Broker::start(config).await.unwrap();

    let client = ClientBuilder::new(vec![broker.bootstrap_servers()])
        .build()
        .await
        .unwrap();
    let controller = client.controller_client().unwrap();
    controller
        .create_topic("measurements", 2, 1, 10_000)
        .await
        .unwrap();

    let partition = client
        .partition_client("measurements", 1, UnknownTopicHandling::Error)
        .await
        .unwrap();
    let sent = [measurement("20.5"), measurement("21.0")];
    let offsets = partition
        .produce(sent.to_vec(), Compression::NoCompression)
        .await
        .unwrap();
    assert_eq!(offsets, [0, 1]);

    let (received, high_watermark) = partition
        .fetch_records(0, 1..1_000_000, 5_000)
        .await
        .unwrap();
    let received: Vec<Record> = received.into_iter().map(|record| record.record).collect();
    assert_eq!((received.as_slice(), high_watermark), (&sent[..], 2));
    assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 2);
}

fn measurement(value: &str) -> Record {
    Record {
        key: Some(b"sensor-1".to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: BTreeMap::from([("unit".to_owned(), b"C".to_vec())]),
        timestamp: chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap(),
    }
}
