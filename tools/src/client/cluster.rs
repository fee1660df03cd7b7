//! Who is who in the cluster: its nodes, its controller, leaders and coordinators, and the connections
//! to them.
//!
//! Invariant: what is remembered is used until a call that rested on it fails; it is asked for anew then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::messages::find_coordinator_response::FindCoordinatorResponse;
use protocol::messages::{
    DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest, TopicName, metadata_request,
};
use protocol::{ErrorCode, StrBytes, TopicPartition};
use tokio::time::Instant;

use super::{Address, Client, Connection, Target};
use crate::failure::Failure;
use crate::print;

/// The first version of FindCoordinator that takes many keys.
const FIND_COORDINATORS: i16 = 4;
/// What DescribeCluster calls controllers.
const CONTROLLERS: i8 = 2;

/// A broker, or a controller where controllers are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: i32,
    pub address: Address,
    pub rack: Option<String>,
}

/// The nodes of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub id: Option<String>,
    pub controller: Option<i32>,
    pub nodes: BTreeMap<i32, Node>,
}

/// What a coordinator is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    Group,
    Transaction,
    Share,
}

impl CoordinatorKind {
    fn wire(self) -> i8 {
        match self {
            CoordinatorKind::Group => 0,
            CoordinatorKind::Transaction => 1,
            CoordinatorKind::Share => 2,
        }
    }
}

/// What a client remembers.
#[derive(Debug)]
pub(super) struct State {
    bootstrap: Vec<Address>,
    /// Whether controllers are asked, not brokers.
    pub(super) controllers: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    cluster: Option<Cluster>,
    leaders: HashMap<TopicPartition, i32>,
    coordinators: HashMap<(CoordinatorKind, String), i32>,
    connections: HashMap<Address, Arc<Connection>>,
    /// The addresses whose failure was told.
    warned: HashSet<Address>,
}

impl State {
    pub(super) fn new(bootstrap: Vec<Address>, controllers: bool) -> Self {
        State {
            bootstrap,
            controllers,
            known: Mutex::default(),
        }
    }

    /// Forgets what a failed call rested on.
    pub(super) fn forget(&self, target: Target<'_>) {
        let mut known = self.lock();
        known.cluster = None;
        match target {
            Target::Any | Target::Controller | Target::Node(_) => {}
            Target::Leader(partition) => drop(known.leaders.remove(partition)),
            Target::Coordinator(kind, key) => {
                known.coordinators.remove(&(kind, key.to_owned()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// The nodes of the cluster.
    pub async fn cluster(&self) -> Result<Cluster, Failure> {
        let deadline = Instant::now() + self.settings.api_timeout;
        self.cluster_by(deadline).await
    }

    /// The broker that coordinates a group, a transaction or a share partition.
    pub async fn coordinator_id(&self, kind: CoordinatorKind, key: &str) -> Result<i32, Failure> {
        let deadline = Instant::now() + self.settings.api_timeout;
        self.coordinator(kind, key, deadline).await
    }

    /// A connection to who is to be asked.
    pub(super) async fn find(
        &self,
        target: Target<'_>,
        deadline: Instant,
    ) -> Result<Arc<Connection>, Failure> {
        let id = match target {
            Target::Any => return self.any(deadline).await,
            Target::Controller => self
                .cluster_by(deadline)
                .await?
                .controller
                .ok_or_else(|| Failure::of(ErrorCode::NotController, None))?,
            Target::Node(id) => id,
            Target::Leader(partition) => self.leader(partition, deadline).await?,
            Target::Coordinator(kind, key) => self.coordinator(kind, key, deadline).await?,
        };
        let cluster = self.cluster_by(deadline).await?;
        let node = cluster
            .nodes
            .get(&id)
            .ok_or_else(|| Failure::of(ErrorCode::BrokerNotAvailable, None).retried())?;
        self.connect(&node.address, id).await
    }

    /// A connection to any node: a known one first, then those of the bootstrap list.
    async fn any(&self, deadline: Instant) -> Result<Arc<Connection>, Failure> {
        let nodes: Vec<(i32, Address)> = {
            let known = self.state.lock();
            let open = known.connections.values().find(|open| !open.is_gone());
            if let Some(open) = open {
                return Ok(Arc::clone(open));
            }
            let cluster = known.cluster.iter().flat_map(|it| it.nodes.values());
            let bootstrap = self.state.bootstrap.iter().enumerate();
            cluster
                .map(|node| (node.id, node.address.clone()))
                // Upstream counts the nodes of the bootstrap list down from -1.
                .chain(bootstrap.map(|(at, address)| (-1 - at as i32, address.clone())))
                .collect()
        };
        let mut last = Failure::disconnected();
        for (id, address) in nodes {
            if Instant::now() >= deadline {
                break;
            }
            match self.connect(&address, id).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn connect(&self, address: &Address, id: i32) -> Result<Arc<Connection>, Failure> {
        {
            let mut known = self.state.lock();
            match known.connections.get(address) {
                Some(open) if !open.is_gone() => return Ok(Arc::clone(open)),
                Some(_) => drop(known.connections.remove(address)),
                None => {}
            }
        }
        match Connection::open(address, &self.settings).await {
            Ok(opened) => {
                let opened = Arc::new(opened);
                let mut known = self.state.lock();
                known.warned.remove(address);
                known
                    .connections
                    .insert(address.clone(), Arc::clone(&opened));
                Ok(opened)
            }
            Err(error) => {
                if self.state.lock().warned.insert(address.clone()) {
                    let text = format!(
                        "[clientId={}] Connection to node {id} ({address}) could not be \
                         established. Node may not be available. {error}",
                        self.settings.client_id
                    );
                    print::log("WARN", &text, "org.apache.kafka.clients.NetworkClient");
                }
                Err(Failure::disconnected())
            }
        }
    }

    async fn cluster_by(&self, deadline: Instant) -> Result<Cluster, Failure> {
        if let Some(cluster) = self.state.lock().cluster.clone() {
            return Ok(cluster);
        }
        let cluster = if self.state.controllers {
            self.ask_controllers(deadline).await?
        } else {
            self.ask_metadata(Some(Vec::new()), deadline).await?
        };
        self.state.lock().cluster = Some(cluster.clone());
        Ok(cluster)
    }

    /// Asks for nodes, and for the leaders of these topics.
    async fn ask_metadata(
        &self,
        topics: Option<Vec<TopicName>>,
        deadline: Instant,
    ) -> Result<Cluster, Failure> {
        let connection = self.any(deadline).await?;
        let version = connection.version::<MetadataRequest>()?;
        let topic = |name: TopicName| {
            metadata_request::MetadataRequestTopic::default().with_name(Some(name))
        };
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.into_iter().map(topic).collect()))
            .with_allow_auto_topic_creation(false);
        let answer = self
            .within(deadline, connection.ask(&request, version))
            .await?;
        let mut known = self.state.lock();
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            for partition in &topic.partitions {
                let key = TopicPartition::new(name.as_str(), partition.partition_index);
                if partition.leader_id.0 < 0 {
                    known.leaders.remove(&key);
                } else {
                    known.leaders.insert(key, partition.leader_id.0);
                }
            }
        }
        let nodes = answer.brokers.iter().map(|broker| {
            node(
                broker.node_id.0,
                &broker.host,
                broker.port,
                broker.rack.as_ref(),
            )
        });
        Ok(Cluster {
            id: answer.cluster_id.map(|id| id.to_string()),
            controller: Some(answer.controller_id.0).filter(|id| *id >= 0),
            nodes: nodes.collect(),
        })
    }

    async fn ask_controllers(&self, deadline: Instant) -> Result<Cluster, Failure> {
        let connection = self.any(deadline).await?;
        let version = connection.version::<DescribeClusterRequest>()?;
        if version < 1 {
            return Err(Failure::unsupported(
                "The node does not support DESCRIBE_CLUSTER for controllers",
            ));
        }
        let request = DescribeClusterRequest::default().with_endpoint_type(CONTROLLERS);
        let answer = self
            .within(deadline, connection.ask(&request, version))
            .await?;
        if let Some(failure) =
            Failure::from_answer(answer.error_code, answer.error_message.as_deref())
        {
            return Err(failure);
        }
        let nodes = answer.brokers.iter().map(|broker| {
            node(
                broker.broker_id.0,
                &broker.host,
                broker.port,
                broker.rack.as_ref(),
            )
        });
        Ok(Cluster {
            id: Some(answer.cluster_id.to_string()),
            controller: Some(answer.controller_id.0).filter(|id| *id >= 0),
            nodes: nodes.collect(),
        })
    }

    async fn leader(&self, partition: &TopicPartition, deadline: Instant) -> Result<i32, Failure> {
        let known = self.state.lock().leaders.get(partition).copied();
        if let Some(leader) = known {
            return Ok(leader);
        }
        let name = TopicName(StrBytes::from_string(partition.topic.to_string()));
        let cluster = self.ask_metadata(Some(vec![name]), deadline).await?;
        let mut known = self.state.lock();
        known.cluster = Some(cluster);
        let leader = known.leaders.get(partition).copied();
        leader.ok_or_else(|| Failure::of(ErrorCode::UnknownTopicOrPartition, None))
    }

    async fn coordinator(
        &self,
        kind: CoordinatorKind,
        key: &str,
        deadline: Instant,
    ) -> Result<i32, Failure> {
        let entry = (kind, key.to_owned());
        let known = self.state.lock().coordinators.get(&entry).copied();
        if let Some(coordinator) = known {
            return Ok(coordinator);
        }
        let connection = self.any(deadline).await?;
        let version = connection.version::<FindCoordinatorRequest>()?;
        let name = StrBytes::from_string(key.to_owned());
        let request = FindCoordinatorRequest::default().with_key_type(kind.wire());
        let request = if version < FIND_COORDINATORS {
            request.with_key(name)
        } else {
            request.with_coordinator_keys(vec![name])
        };
        let answer = self
            .within(deadline, connection.ask(&request, version))
            .await?;
        let id = coordinator_in(&answer, version)?;
        self.state.lock().coordinators.insert(entry, id);
        Ok(id)
    }
}

fn coordinator_in(answer: &FindCoordinatorResponse, version: i16) -> Result<i32, Failure> {
    let (code, message, id) = if version < FIND_COORDINATORS {
        (answer.error_code, &answer.error_message, answer.node_id)
    } else {
        let row = answer
            .coordinators
            .first()
            .ok_or_else(|| Failure::of(ErrorCode::CoordinatorNotAvailable, None))?;
        (row.error_code, &row.error_message, row.node_id)
    };
    match Failure::from_answer(code, message.as_deref()) {
        Some(failure) => Err(failure),
        None => Ok(id.0),
    }
}

fn node(id: i32, host: &StrBytes, port: i32, rack: Option<&StrBytes>) -> (i32, Node) {
    let node = Node {
        id,
        address: Address {
            host: host.to_string(),
            port: u16::try_from(port).unwrap_or_default(),
        },
        rack: rack.map(ToString::to_string),
    };
    (id, node)
}
