//! Groups: which there are.
//!
//! Invariant: each broker names the groups it coordinates, so all of them are asked.

use protocol::StrBytes;
use protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::client::{Client, Target};
use crate::failure::Failure;

/// A group as its broker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    /// The type, in whatever case it was sent.
    pub kind: String,
    pub protocol: String,
    pub state: String,
}

/// The ids of all groups.
pub async fn list(client: &Client) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for node in client.cluster().await?.nodes.into_keys() {
        let groups = of_node(client, node, &[], &[]).await?;
        ids.extend(groups.into_iter().map(|group| group.id));
    }
    Ok(ids)
}

/// The groups of a cluster, in these states and of these types where some are given, as upstream's
/// admin client lists them: it tells in its own words that it found no broker.
pub async fn listed(
    client: &Client,
    states: &[String],
    types: &[String],
) -> Result<Vec<Listed>, Failure> {
    let cluster = client.cluster().await.map_err(|failure| {
        let why = if failure.is_retriable() {
            Failure::timed_out("Timed out waiting for a node assignment. Call: findAllBrokers")
        } else {
            failure
        };
        why.within(
            "org.apache.kafka.common.KafkaException",
            "Failed to find brokers to send ListGroups",
        )
    })?;
    let mut listed = Vec::new();
    for node in cluster.nodes.into_keys() {
        listed.extend(of_node(client, node, states, types).await?);
    }
    Ok(listed)
}

async fn of_node(
    client: &Client,
    node: i32,
    states: &[String],
    types: &[String],
) -> Result<Vec<Listed>, Failure> {
    let texts = |values: &[String]| {
        let values = values.iter();
        values
            .map(|value| StrBytes::from_string(value.clone()))
            .collect()
    };
    let build = |_| {
        Ok(ListGroupsRequest::default()
            .with_states_filter(texts(states))
            .with_types_filter(texts(types)))
    };
    let read = |answer: ListGroupsResponse| match Failure::from_answer(answer.error_code, None) {
        Some(failure) => Err(failure),
        None => Ok(answer.groups),
    };
    let groups = client
        .call("listGroups", Target::Node(node), build, read)
        .await?;
    let listed = groups.into_iter().map(|group| Listed {
        id: group.group_id.0.to_string(),
        kind: group.group_type.to_string(),
        protocol: group.protocol_type.to_string(),
        state: group.group_state.to_string(),
    });
    Ok(listed.collect())
}
