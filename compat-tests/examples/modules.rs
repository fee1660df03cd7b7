//! Starts the Kafka images of `testcontainers-modules` on the images named in the environment, and
//! produces and consumes with rdkafka; one line of JSON a mode, and `end rust` when all have run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use testcontainers_modules::kafka::{apache, confluent};
use testcontainers_modules::testcontainers::core::ContainerPort;
use testcontainers_modules::testcontainers::runners::SyncRunner;
use testcontainers_modules::testcontainers::{ContainerRequest, Image, ImageExt};

const LIMIT: Duration = Duration::from_secs(30);
const VALUES: [&str; 3] = ["eins", "zwei", "drei"];

fn main() -> Result<()> {
    let without = std::env::var("WITHOUT").unwrap_or_default();
    let wanted = |mode: &str| without.is_empty() || !mode.contains(&without);
    let mode = "kafka::apache::Kafka";
    if wanted(mode) {
        run(
            mode,
            image(apache::Kafka::default(), "APACHE_IMAGE")?,
            apache::KAFKA_PORT,
        );
    }
    let mode = "kafka::apache::Kafka::with_jvm_image()";
    if wanted(mode) {
        let kafka = apache::Kafka::default().with_jvm_image();
        run(mode, image(kafka, "APACHE_IMAGE")?, apache::KAFKA_PORT);
    }
    let mode = "kafka::confluent::Kafka, which starts ZooKeeper";
    if wanted(mode) {
        let kafka = image(confluent::Kafka::default(), "CONFLUENT_IMAGE")?;
        run(mode, kafka, confluent::KAFKA_PORT);
    }
    println!("end rust");
    Ok(())
}

/// The module's image under the name in the variable.
fn image<I: Image>(module: I, variable: &str) -> Result<ContainerRequest<I>> {
    let reference = std::env::var(variable).with_context(|| format!("{variable} is not set"))?;
    let (name, tag) = reference
        .rsplit_once(':')
        .with_context(|| format!("{variable} is '{reference}', expected NAME:TAG"))?;
    Ok(module.with_name(name).with_tag(tag))
}

fn run<I: Image>(mode: &str, image: ContainerRequest<I>, port: ContainerPort) {
    let mut seconds = 0.0;
    let error = match started(image, port, &mut seconds) {
        Ok(()) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    let line = serde_json::json!({
        "mode": mode,
        "client": "rdkafka 0.39",
        "seconds": (seconds * 100.0_f64).round() / 100.0,
        "error": error,
    });
    println!("{line}");
}

fn started<I: Image>(
    image: ContainerRequest<I>,
    port: ContainerPort,
    seconds: &mut f64,
) -> Result<()> {
    let begin = Instant::now();
    let container = image.start()?;
    *seconds = begin.elapsed().as_secs_f64();
    let bootstrap = format!("127.0.0.1:{}", container.get_host_port_ipv4(port)?);
    produce_and_consume(&bootstrap).inspect_err(|_| {
        for log in [container.stdout_to_vec(), container.stderr_to_vec()] {
            eprintln!("{}", String::from_utf8_lossy(&log.unwrap_or_default()));
        }
    })
}

fn produce_and_consume(bootstrap: &str) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let producer: BaseProducer = config.create()?;
    for value in VALUES {
        let record = BaseRecord::to("words").key("key").payload(value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(LIMIT)?;
    config
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    let brokers = consumer.fetch_metadata(None, LIMIT)?.brokers().len();
    ensure!(brokers == 1, "a cluster of one node, not {brokers}");
    consumer.subscribe(&["words"])?;
    let deadline = Instant::now() + LIMIT;
    let mut seen = Vec::new();
    while seen.len() < VALUES.len() && Instant::now() < deadline {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
            seen.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
    }
    ensure!(seen == VALUES, "expected {VALUES:?}, consumed {seen:?}");
    consumer.commit_consumer_state(CommitMode::Sync)?;
    Ok(())
}
