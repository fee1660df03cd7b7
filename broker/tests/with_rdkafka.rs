//! An example to copy: a test with rdkafka (librdkafka) and a broker of its own.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use klamm::{Broker, ServerConfig};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};

const DEADLINE: Duration = Duration::from_secs(20);

/// No topic is made beforehand: the first record makes it, as with any broker.
#[tokio::test]
async fn orders_arrive_in_the_order_they_were_sent() {
    let broker = Broker::start(ServerConfig::ephemeral(&[]).unwrap())
        .await
        .unwrap();

    let producer: FutureProducer = client(&broker).create().unwrap();
    for order in ["first", "second", "third"] {
        let record = FutureRecord::to("orders").key("customer-1").payload(order);
        producer.send(record, DEADLINE).await.unwrap();
    }

    let consumer: StreamConsumer = client(&broker)
        .set("group.id", "billing")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["orders"]).unwrap();
    for expected in ["first", "second", "third"] {
        let received = tokio::time::timeout(DEADLINE, consumer.recv()).await;
        let message = received.expect("a message in time").unwrap();
        assert_eq!(message.payload_view::<str>().unwrap().unwrap(), expected);
        consumer.commit_message(&message, CommitMode::Sync).unwrap();
    }
    let committed = consumer.committed(DEADLINE).unwrap();
    let offsets: Vec<_> = committed.elements().iter().map(|of| of.offset()).collect();
    assert_eq!(offsets, [rdkafka::Offset::Offset(3)]);
}

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    config
}
