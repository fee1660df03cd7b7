//! A broker in a container of its own, removed when dropped: upstream's image or ours, given the
//! same variables. Both serve on a port of this machine that stays the same through restarts.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use testcontainers_modules::testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers_modules::testcontainers::runners::SyncRunner;
use testcontainers_modules::testcontainers::{Container, GenericImage, ImageExt};

const STARTS_WITHIN: Duration = Duration::from_secs(90);
const SERVER: u16 = 9092;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Upstream,
    Ours,
}

impl Kind {
    /// Name and tag.
    fn image(self) -> (String, String) {
        let (variable, usual) = match self {
            Self::Upstream => ("KLAMM_UPSTREAM_IMAGE", "apache/kafka:4.3.1"),
            Self::Ours => ("KLAMM_IMAGE", "klamm/apache-kafka:4.3.1"),
        };
        let image = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        (name.to_owned(), tag.to_owned())
    }
}

pub(crate) struct Broker {
    pub(crate) kind: Kind,
    pub(crate) bootstrap: String,
    container: Container<GenericImage>,
}

impl Broker {
    /// With the usual variables of one node, and these; returns when it serves.
    pub(crate) fn start(kind: Kind, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_by(kind, settings, None)
    }

    /// As `start`, with a command in place of the image's.
    pub(crate) fn start_by(
        kind: Kind,
        settings: &[(&str, &str)],
        command: Option<&str>,
    ) -> Result<Self> {
        let port = free_port()?;
        let bootstrap = format!("127.0.0.1:{port}");
        let (name, tag) = kind.image();
        let mut request = GenericImage::new(name.clone(), tag.clone())
            .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
            .with_mapped_port(port, SERVER.tcp())
            .with_startup_timeout(STARTS_WITHIN);
        if let Some(command) = command {
            request = request.with_cmd(["bash", "-c", command]);
        }
        for (name, value) in variables(&bootstrap) {
            request = request.with_env_var(name, value);
        }
        for (name, value) in settings {
            request = request.with_env_var(*name, *value);
        }
        let container = request
            .start()
            .with_context(|| format!("a container of {name}:{tag}"))?;
        let broker = Self {
            kind,
            bootstrap,
            container,
        };
        broker.serves()?;
        Ok(broker)
    }

    /// As `docker restart` does: SIGTERM, and the same data again.
    pub(crate) fn restart(&self) -> Result<()> {
        self.container.stop()?;
        self.container.start()?;
        self.serves()
    }

    /// A client's settings, with the bootstrap address.
    pub(crate) fn client(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config
    }

    fn serves(&self) -> Result<()> {
        let consumer: BaseConsumer = self.client(&[]).create()?;
        let until = Instant::now() + STARTS_WITHIN;
        loop {
            let metadata = consumer.fetch_metadata(None, Duration::from_secs(2));
            if metadata.is_ok_and(|metadata| metadata.brokers().len() == 1) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{:?} does not serve at {}", self.kind, self.bootstrap);
            }
        }
    }
}

fn variables(bootstrap: &str) -> Vec<(&'static str, String)> {
    let fixed = [
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        (
            "KAFKA_LISTENERS",
            "PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
        ),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        ),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        (
            "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
            "1",
        ),
        ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR", "1"),
        ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "3"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
    ];
    let advertised = format!("PLAINTEXT://{bootstrap}");
    let fixed = fixed
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()));
    fixed
        .chain([("KAFKA_ADVERTISED_LISTENERS", advertised)])
        .collect()
}

/// One that nobody listens on, below those that the system gives to connections.
fn free_port() -> Result<u16> {
    let start = 20_000 + u16::try_from(std::process::id() % 8_000)?;
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    for _ in 0..1_000 {
        let port = start + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {start} on")
}
