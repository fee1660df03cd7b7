//! One running node: its parts are built in the order of their dependencies and stopped in
//! reverse.

use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metadata::config::{ConfigError, Listener as ConfiguredListener};
use metadata::{ConfigResource, Endpoint};
use protocol::StrBytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};
use uuid::Uuid;

use crate::admin::{Admin, AdminListener};
use crate::api::Node;
use crate::cleaner::{self, Cleaner};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ServerConfig};
use crate::coordinators::{
    GroupCoordinator, ShareCoordinator, TransactionCoordinator, markers, share_groups,
};
use crate::crash_points::{CrashPoints, CrashingFs};
use crate::faults::Faults;
use crate::fetch_sessions::FetchSessions;
use crate::housekeeping;
use crate::logging::Logging;
use crate::meters::Meters;
use crate::network::{self, Listener};
use crate::producer_ids::ProducerIds;
use crate::publishers::ReplicaPublisher;
use crate::replica::Manager;
use crate::seed::{Seed, SeedError};
use crate::shares::{self, Shares};
use crate::telemetry::Telemetry;
use crate::test_controls::{self, TestControls};

/// Why a broker did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen on {address} (listener {listener}): {reason}")]
    Listen {
        listener: String,
        address: String,
        reason: std::io::Error,
    },
    #[error("cannot use the data folder {folder}: {reason}")]
    Storage {
        folder: String,
        reason: storage::Error,
    },
    #[error("the controller did not start: {0}")]
    Controller(#[from] controller::Error),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("the runtime did not start: {0}")]
    Runtime(std::io::Error),
    #[error("the state after the start could not be kept: {0}")]
    TestMode(String),
    #[error("metrics cannot be counted: {0}")]
    Meters(prometheus::Error),
    #[error("the broker could not register with its controller: {0:?}")]
    Registration(protocol::ErrorCode),
}

/// The parts of a node, on the runtime that started them.
pub(crate) struct Running {
    node: Arc<Node>,
    controller: controller::Controller,
    addresses: Vec<(String, SocketAddr)>,
    admin_address: Option<SocketAddr>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How long connections may take to notice the stop.
const STOP_CONNECTIONS: Duration = Duration::from_millis(300);

impl Running {
    /// Starts a node; what clients change of the levels reaches `logging`.
    pub(crate) async fn start(
        config: ServerConfig,
        logging: Arc<Logging>,
    ) -> Result<Running, StartError> {
        let config = Arc::new(config);
        let seed = Seed::load(&config.klamm)?;
        let clock = Clock::default();
        let crash_points = Arc::new(CrashPoints::default());
        let files = files(&config, &crash_points);
        let log_dir = Arc::new(open_log_dir(&config, files.clone())?);
        let listeners = bind_all(&config)?;
        let admin = bind_admin(&config)?;
        let replicas = Arc::new(Manager::default());
        let (groups, transactions) = coordinators(&config, &log_dir, &clock);
        let share_states = share_coordinator(&config, &log_dir, &clock);
        let shares = shares(&config, &replicas, &clock);
        let resources = network::Resources::new(&config);
        let telemetry = telemetry(&config, &clock);
        let publisher = ReplicaPublisher {
            config: config.clone(),
            log_dir: log_dir.clone(),
            replicas: replicas.clone(),
            groups: groups.clone(),
            transactions: transactions.clone(),
            share_states: share_states.clone(),
            shares: shares.clone(),
            connections: resources.limits.clone(),
            telemetry: telemetry.clone(),
        };
        let controller = controller::Controller::start(
            controller_options(&config, files, &logging),
            log_dir.clone(),
            vec![Box::new(publisher)],
        )
        .await?;
        let handle = controller.handle();
        let addresses = addresses(&listeners);
        register(&config, &handle, &addresses, log_dir.directory_id()).await?;
        let test_controls = TestControls::new(config.klamm.test_mode);
        let node = Arc::new(Node {
            cluster_id: StrBytes::from_string(log_dir.cluster_id().to_owned()),
            fetch_sessions: fetch_sessions(&config),
            producer_ids: ProducerIds::new(handle.clone(), config.node_id),
            config,
            clock,
            controller: handle,
            replicas,
            log_dir,
            groups,
            transactions,
            share_states,
            shares,
            loggers: logging,
            telemetry,
            cleaner: Cleaner::default(),
            faults: Faults::default(),
            crash_points,
            meters: Meters::new().map_err(StartError::Meters)?,
            resources,
            seed,
            test_controls,
            ready: AtomicBool::new(false),
        });
        let running = Running {
            node,
            controller,
            addresses,
            admin_address: admin.as_ref().map(AdminListener::local_addr),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        running.serve(listeners, admin).await
    }

    /// Opens the doors, once everything is in its place.
    async fn serve(
        self,
        listeners: Vec<Listener>,
        admin: Option<AdminListener>,
    ) -> Result<Running, StartError> {
        let Running {
            node, tasks, stop, ..
        } = &self;
        if let Some(listener) = admin {
            let (node, stop) = (node.clone(), stop.clone());
            tokio::spawn(listener.run(Admin { node, stop }, tasks.clone()));
        }
        tasks.spawn(markers::run(node.clone(), stop.clone()));
        tasks.spawn(share_groups::run(node.clone(), stop.clone()));
        tasks.spawn(shares::run(node.clone(), stop.clone()));
        if let Err(error) = node.seed.apply(node).await {
            self.stop().await;
            return Err(error.into());
        }
        if node.config.klamm.test_mode
            && let Err(error) = test_controls::started(node).await
        {
            // What is here when the first client comes is what a reset comes back to.
            let error = StartError::TestMode(error.to_string());
            self.stop().await;
            return Err(error);
        }
        for listener in listeners {
            let (node, resources) = (node.clone(), node.resources.clone());
            tokio::spawn(listener.run(node, resources, tasks.clone(), stop.clone()));
        }
        tasks.spawn(housekeeping::run(node.clone(), stop.clone()));
        tasks.spawn(cleaner::run(node.clone(), stop.clone()));
        node.ready.store(true, Ordering::Release);
        Ok(self)
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.node.config
    }

    /// The listeners that were bound: name and address.
    pub(crate) fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Whether `advertised.listeners` was set at run time, beyond those of the start.
    pub(crate) fn is_advertised_anew(&self) -> bool {
        let broker = ConfigResource::Broker(Some(self.node.config.node_id));
        let image = self.node.controller.image();
        image
            .configs
            .of(&broker)
            .contains_key("advertised.listeners")
    }

    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Completes when the node cannot go on.
    pub(crate) async fn failed(&self) -> controller::Error {
        self.node.controller.stopped().await
    }

    /// Stops: no new requests, everything on disk, the next start recovers nothing.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_CONNECTIONS, self.tasks.wait())
            .await
            .is_err()
        {
            info!("some connections did not end in time");
        }
        self.node.transactions.stop().await;
        self.node.groups.stop().await;
        self.node.share_states.stop().await;
        self.controller.shutdown().await;
        let log_dir = self.node.log_dir.clone();
        let closed = tokio::task::spawn_blocking(move || log_dir.close()).await;
        match closed {
            Ok(Ok(())) => info!("stopped"),
            Ok(Err(error)) => error!(%error, "the data folder was not closed cleanly"),
            Err(error) => error!(%error, "closing the data folder failed"),
        }
    }
}

fn shares(config: &Arc<ServerConfig>, replicas: &Arc<Manager>, clock: &Clock) -> Arc<Shares> {
    let shares = Shares::new(config.clone(), replicas.clone(), clock.clone());
    Arc::new(shares)
}

fn telemetry(config: &ServerConfig, clock: &Clock) -> Arc<Telemetry> {
    let max_bytes = config.broker.telemetry_max_bytes;
    Arc::new(Telemetry::new(clock.clone(), max_bytes))
}

fn fetch_sessions(config: &ServerConfig) -> FetchSessions {
    let slots = config.broker.max_incremental_fetch_session_cache_slots;
    FetchSessions::new(usize::try_from(slots).unwrap_or(0))
}

/// The file system; in test mode with a place in it where the process may be killed.
fn files(config: &ServerConfig, points: &Arc<CrashPoints>) -> Arc<dyn storage::Fs> {
    if config.klamm.test_mode {
        return Arc::new(CrashingFs::new(&config.data_folder, points.clone()));
    }
    Arc::new(storage::RealFs)
}

fn open_log_dir(
    config: &ServerConfig,
    files: Arc<dyn storage::Fs>,
) -> Result<storage::LogDir, StartError> {
    let mut options = storage::LogDirOptions::new(config.node_id);
    options.fs = files;
    storage::LogDir::open(&config.data_folder, options).map_err(|reason| StartError::Storage {
        folder: config.data_folder.display().to_string(),
        reason,
    })
}

/// Where each listener listens, by its name.
fn addresses(listeners: &[Listener]) -> Vec<(String, SocketAddr)> {
    let bound = listeners.iter();
    bound
        .filter_map(|listener| Some((listener.name.to_string(), listener.local_addr().ok()?)))
        .collect()
}

fn bind_all(config: &ServerConfig) -> Result<Vec<Listener>, StartError> {
    let configured = config.listeners.broker.iter();
    configured.map(|listener| bind(listener, config)).collect()
}

/// Binds the HTTP port, where one is configured.
fn bind_admin(config: &ServerConfig) -> Result<Option<AdminListener>, StartError> {
    let Some(at) = &config.admin_listener else {
        return Ok(None);
    };
    let listener = AdminListener::bind(at).map_err(|reason| StartError::Listen {
        listener: "klamm.admin.listener".to_owned(),
        address: at.to_string(),
        reason,
    })?;
    info!("HTTP port: http://{}", listener.local_addr());
    Ok(Some(listener))
}

fn bind(listener: &ConfiguredListener, config: &ServerConfig) -> Result<Listener, StartError> {
    let name: Arc<str> = Arc::from(listener.name.as_str());
    let backlog = config.broker.socket_listen_backlog_size;
    let Some(host) = listener.host.as_deref() else {
        // All interfaces: of both families, where the system has IPv6.
        let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, listener.port));
        if let Ok(bound) = network::bind(name.clone(), all, backlog) {
            return Ok(bound);
        }
        return bind_to(&name, "0.0.0.0", listener.port, backlog);
    };
    bind_to(&name, host, listener.port, backlog)
}

fn bind_to(name: &Arc<str>, host: &str, port: u16, backlog: i32) -> Result<Listener, StartError> {
    let failed = |reason| StartError::Listen {
        listener: name.to_string(),
        address: format!("{host}:{port}"),
        reason,
    };
    let mut addresses = (host, port).to_socket_addrs().map_err(failed)?;
    let address = addresses
        .next()
        .ok_or_else(|| failed(std::io::Error::other("the host has no address")))?;
    network::bind(name.clone(), address, backlog).map_err(failed)
}

/// What clients are told to connect to; inferred from what was bound where it is not configured.
fn advertised(config: &ServerConfig, bound: &[(String, SocketAddr)]) -> Vec<Endpoint> {
    let told = config
        .listeners
        .advertised
        .as_ref()
        .unwrap_or(&config.listeners.broker);
    let endpoints = told.iter().map(|listener| {
        let address = bound
            .iter()
            .find(|(name, _)| *name == listener.name)
            .map(|(_, at)| *at);
        let port = match (listener.port, address) {
            (0, Some(address)) => address.port(),
            (port, _) => port,
        };
        let wildcard = matches!(listener.host.as_deref(), None | Some("0.0.0.0" | "::"));
        let host = match &listener.host {
            Some(host) if !wildcard => host.clone(),
            Some(_) | None => rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        };
        Endpoint {
            name: listener.name.clone(),
            host,
            port,
            security_protocol: listener.security_protocol,
        }
    });
    endpoints.collect()
}

/// Registers this node with its controller and makes it active; gives its broker epoch.
async fn register(
    config: &ServerConfig,
    controller: &controller::ControllerHandle,
    bound: &[(String, SocketAddr)],
    directory_id: Uuid,
) -> Result<i64, StartError> {
    let registration = controller::Registration {
        broker_id: config.node_id,
        incarnation_id: Uuid::new_v4(),
        listeners: advertised(config, bound),
        rack: config.broker.broker_rack.clone(),
        log_dirs: vec![directory_id],
    };
    let epoch = controller
        .register_broker(registration)
        .await
        .map_err(StartError::Registration)?;
    controller
        .unfence(config.node_id, epoch)
        .await
        .map_err(StartError::Registration)?;
    Ok(epoch)
}

fn controller_options(
    config: &ServerConfig,
    files: Arc<dyn storage::Fs>,
    logging: &Arc<Logging>,
) -> controller::Options {
    controller::Options {
        settings: controller::Settings {
            node_id: config.node_id,
            num_partitions: config.broker.num_partitions,
            default_replication_factor: i16::try_from(config.broker.default_replication_factor)
                .unwrap_or(i16::MAX),
            delete_topic_enable: config.broker.delete_topic_enable,
            static_properties: config.properties.clone(),
        },
        clock: Arc::new(SystemClock),
        fs: files,
        loggers: logging.clone(),
        seed: rand::random(),
        snapshots: controller::SnapshotPolicy {
            bytes_between: u64::try_from(
                config
                    .broker
                    .metadata_log_max_record_bytes_between_snapshots,
            )
            .unwrap_or(u64::MAX),
            ..controller::SnapshotPolicy::default()
        },
    }
}

fn coordinators(
    config: &ServerConfig,
    log_dir: &Arc<storage::LogDir>,
    clock: &Clock,
) -> (Arc<GroupCoordinator>, Arc<TransactionCoordinator>) {
    let groups = GroupCoordinator::new(
        config::groups::coordinator_config(config),
        config.broker.offsets_commit_timeout_ms,
        log_dir.clone(),
        clock.clone(),
    );
    let transactions = TransactionCoordinator::new(
        transaction_config(config),
        config.broker.transaction_partition_verification_enable,
        config.broker.offsets_commit_timeout_ms,
        log_dir.clone(),
        clock.clone(),
    );
    (Arc::new(groups), Arc::new(transactions))
}

fn share_coordinator(
    config: &ServerConfig,
    log_dir: &Arc<storage::LogDir>,
    clock: &Clock,
) -> Arc<ShareCoordinator> {
    let broker = &config.broker;
    let states = coordinator::share_state::ShareStateConfig {
        snapshot_update_records_per_snapshot: broker
            .share_coordinator_snapshot_update_records_per_snapshot,
        cold_partition_snapshot_interval_ms: broker
            .share_coordinator_cold_partition_snapshot_interval_ms,
        state_topic_prune_interval_ms: broker.share_coordinator_state_topic_prune_interval_ms,
        ..Default::default()
    };
    let timeout_ms = broker.share_coordinator_write_timeout_ms;
    let (log_dir, clock) = (log_dir.clone(), clock.clone());
    Arc::new(ShareCoordinator::new(states, timeout_ms, log_dir, clock))
}

fn transaction_config(
    config: &ServerConfig,
) -> coordinator::transaction::TransactionCoordinatorConfig {
    let broker = &config.broker;
    coordinator::transaction::TransactionCoordinatorConfig {
        transactional_id_expiration_ms: broker.transactional_id_expiration_ms,
        transaction_max_timeout_ms: broker.transaction_max_timeout_ms,
        abort_timed_out_interval_ms: broker
            .transaction_abort_timed_out_transaction_cleanup_interval_ms,
        remove_expired_interval_ms: broker
            .transaction_remove_expired_transaction_cleanup_interval_ms,
        two_phase_commit_enable: broker.transaction_two_phase_commit_enable,
        ..Default::default()
    }
}
