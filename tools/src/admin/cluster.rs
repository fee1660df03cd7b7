//! The cluster itself: its id and its nodes, and taking a dead broker out of it.
//!
//! Invariant: nodes stand in the order in which the cluster names them.

use protocol::messages::{DescribeClusterRequest, UnregisterBrokerRequest};

use crate::client::{Client, Target};
use crate::failure::Failure;

/// What the cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub id: String,
    pub nodes: Vec<DescribedNode>,
}

/// A broker or a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedNode {
    pub id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
    pub fenced: bool,
}

/// Which nodes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    Brokers,
    BrokersAndFenced,
    Controllers,
}

impl Nodes {
    /// The nodes that a client talks to.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        if client.asks_controllers() {
            Nodes::Controllers
        } else {
            Nodes::Brokers
        }
    }
}

/// The first versions of DescribeCluster that know controllers, and fenced brokers.
const CONTROLLERS: i16 = 1;
const FENCED: i16 = 2;

/// Asks the cluster for itself.
pub async fn describe(client: &Client, nodes: Nodes) -> Result<Description, Failure> {
    let build = |version| {
        let request = DescribeClusterRequest::default();
        match nodes {
            Nodes::Brokers => Ok(request.with_endpoint_type(1)),
            Nodes::BrokersAndFenced if version < FENCED => Err(Failure::unsupported(
                "Including fenced broker endpoints is not supported with version lower than 2",
            )),
            Nodes::BrokersAndFenced => Ok(request
                .with_endpoint_type(1)
                .with_include_fenced_brokers(true)),
            Nodes::Controllers if version < CONTROLLERS => Err(Failure::unsupported(
                "The node does not support DESCRIBE_CLUSTER for controllers",
            )),
            Nodes::Controllers => Ok(request.with_endpoint_type(2)),
        }
    };
    client
        .call("listNodes", Target::Any, build, |answer| {
            if let Some(failure) =
                Failure::from_answer(answer.error_code, answer.error_message.as_deref())
            {
                return Err(failure);
            }
            let nodes = answer.brokers.into_iter().map(|broker| DescribedNode {
                id: broker.broker_id.0,
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.map(|rack| rack.to_string()),
                fenced: broker.is_fenced,
            });
            Ok(Description {
                id: answer.cluster_id.to_string(),
                nodes: nodes.collect(),
            })
        })
        .await
}

/// Takes a broker that is gone out of the cluster.
pub async fn unregister(client: &Client, id: i32) -> Result<(), Failure> {
    let build = |_| Ok(UnregisterBrokerRequest::default().with_broker_id(id.into()));
    client
        .call(
            "unregisterBroker",
            Target::Any,
            build,
            |answer| match Failure::from_answer(answer.error_code, answer.error_message.as_deref())
            {
                Some(failure) => Err(failure),
                None => Ok(()),
            },
        )
        .await
}
