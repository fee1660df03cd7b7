//! Starts the Kafka images of `testcontainers-modules` on the images named in the environment, and
//! tries them out with rdkafka: topics, records, a group. One line of JSON a mode, and `end rust` when
//! all have run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
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
    try_out(&bootstrap).inspect_err(|_| {
        for log in [container.stdout_to_vec(), container.stderr_to_vec()] {
            eprintln!("{}", String::from_utf8_lossy(&log.unwrap_or_default()));
        }
    })
}

fn try_out(bootstrap: &str) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    create_topic(&config)?;
    let producer: BaseProducer = config.create()?;
    for value in VALUES {
        let length = u8::try_from(value.len())?;
        let headers = OwnedHeaders::new().insert(Header {
            key: "length",
            value: Some(&[length]),
        });
        let record = BaseRecord::to("words").key("key").payload(value);
        let sent = producer.send(record.headers(headers));
        sent.map_err(|(error, _)| error)?;
    }
    producer.flush(LIMIT)?;
    consume(&mut config)
}

/// Through the admin client, and asks for the lists of topics and brokers.
fn create_topic(config: &ClientConfig) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new("orders", 3, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for created in runtime.block_on(admin.create_topics([&topic], &options))? {
        created.map_err(|(name, error)| anyhow::anyhow!("creating {name}: {error}"))?;
    }
    let metadata = admin.inner().fetch_metadata(None, LIMIT)?;
    let brokers = metadata.brokers().len();
    ensure!(brokers == 1, "a cluster of one node, not {brokers}");
    let orders = metadata.topics().iter().find(|it| it.name() == "orders");
    let partitions = orders.map(|it| it.partitions().len());
    ensure!(
        partitions == Some(3),
        "orders has {partitions:?} partitions"
    );
    Ok(())
}

/// Reads all values as a group, commits, and asks for the group's offset.
fn consume(config: &mut ClientConfig) -> Result<()> {
    config
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&["words"])?;
    let deadline = Instant::now() + LIMIT;
    let mut seen = Vec::new();
    while seen.len() < VALUES.len() && Instant::now() < deadline {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
            let payload = message.payload().unwrap_or_default();
            let header = message.headers().and_then(|it| it.try_get(0));
            let length = header
                .as_ref()
                .and_then(|it| Some(usize::from(*it.value?.first()?)));
            ensure!(message.key() == Some(b"key"), "key {:?}", message.key());
            ensure!(length == Some(payload.len()), "header {header:?}");
            seen.push(String::from_utf8_lossy(payload).into_owned());
        }
    }
    ensure!(seen == VALUES, "expected {VALUES:?}, consumed {seen:?}");
    consumer.commit_consumer_state(CommitMode::Sync)?;
    let committed = consumer.committed(LIMIT)?;
    let offset = committed
        .find_partition("words", 0)
        .map(|it| it.offset().to_raw());
    let expected = i64::try_from(VALUES.len())?;
    ensure!(
        offset == Some(Some(expected)),
        "the group has committed {offset:?}"
    );
    Ok(())
}
