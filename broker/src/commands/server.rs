//! `klamm server`: reads the settings, starts the broker, waits for a signal.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use klamm::{Broker, Format, Logging, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// Lines of this target show whatever the level is.
const READY: &str = "klamm::ready";

/// The variable that asks for the ready lines of upstream's images.
const ANNOUNCE: &str = "KLAMM_ANNOUNCE";

#[derive(Args)]
pub(crate) struct Server {
    /// A `server.properties` file with Kafka's keys; without one, defaults serve 127.0.0.1:9092
    /// with data under ./data.
    properties: Option<PathBuf>,
    /// Sets a key over the file; may be given many times.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Keeps data in a temporary folder that is removed at the end.
    #[arg(long)]
    ephemeral: bool,
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace; `warn,storage=debug` for one logger alone.
    #[arg(long, default_value = "info")]
    log_level: String,
}

impl Server {
    /// A server with the settings of a file and what is laid over them; all else is the default.
    pub(super) fn of(properties: PathBuf, overrides: Vec<String>, log_level: String) -> Server {
        Server {
            properties: Some(properties),
            overrides,
            ephemeral: false,
            log_format: LogFormat::Human,
            log_level,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

pub(crate) fn run(server: Server, started: Instant) -> anyhow::Result<()> {
    let format = match server.log_format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    let logging = Logging::init(&server.log_level, format)
        .map_err(|reason| anyhow::anyhow!("--log-level: {reason}"))?;
    // For the signals alone: the node brings threads of its own.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")?
        .block_on(serve(server, Arc::new(logging), started))
}

async fn serve(server: Server, logging: Arc<Logging>, started: Instant) -> anyhow::Result<()> {
    let temporary = server
        .ephemeral
        .then(|| tempfile::Builder::new().prefix("klamm-").tempdir())
        .transpose()
        .context("could not make a temporary data folder")?;
    let mut overrides = parse_overrides(&server.overrides)?;
    if let Some(folder) = &temporary {
        overrides.push(("log.dirs".to_owned(), folder.path().display().to_string()));
    }
    let config = ServerConfig::load(server.properties.as_deref(), &overrides)?;
    for warning in config.warnings() {
        warn!("{warning}");
    }
    raise_descriptor_limit();

    // Handlers come first: a signal during the start must stop it cleanly too.
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let broker = Broker::start_with(config, logging).await?;
    announce(&broker, started);
    tokio::select! {
        never = announce_last(&broker) => match never {},
        _ = terminate.recv() => info!("SIGTERM: stopping"),
        _ = interrupt.recv() => info!("interrupted: stopping"),
        reason = broker.failed() => {
            broker.stop().await;
            return Err(reason).context("the node cannot go on");
        }
    }
    broker.stop().await;
    Ok(())
}

/// Says that a produce succeeds now. In the image also in the words that others wait for: libraries
/// that start brokers in containers know no other way, and count each line once.
fn announce(broker: &Broker, started: Instant) {
    let node = broker.node_id();
    if std::env::var_os(ANNOUNCE).is_some() {
        info!(target: READY, "Creating new log file");
        info!(target: READY, "[KafkaServer id={node}] started");
        info!(target: READY, "Kafka broker started");
        info!(
            target: READY,
            "[BrokerLifecycleManager id={node}] The broker has been unfenced. Transitioning from \
             RECOVERY to RUNNING."
        );
    }
    info!(
        target: READY,
        "[KafkaRaftServer nodeId={node}] Kafka Server started on {} (data in {}, {} ms)",
        broker.addresses(),
        broker.data_folder().display(),
        started.elapsed().as_millis(),
    );
}

/// What upstream says five seconds after its start. A library that sets `advertised.listeners` once the
/// container runs waits for this line in front of its clients: they must not be told of the old place.
async fn announce_last(broker: &Broker) -> Infallible {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    if std::env::var_os(ANNOUNCE).is_some() {
        let until = Instant::now() + Duration::from_secs(5);
        while !broker.is_advertised_anew() && Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        info!(target: READY, "Checking need to trigger auto leader balancing");
    }
    std::future::pending().await
}

fn parse_overrides(overrides: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let pairs = overrides.iter().map(|text| {
        let (key, value) = text
            .split_once('=')
            .with_context(|| format!("--override {text:?}: expected KEY=VALUE"))?;
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    });
    pairs.collect()
}

/// Sockets and segments need descriptors: the soft limit is raised to the hard one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn!(%error, "could not raise the limit of open files");
        }
    }
}
