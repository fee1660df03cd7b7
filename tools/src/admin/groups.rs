//! Groups: which there are.
//!
//! Invariant: each broker names the groups it coordinates, so all of them are asked.

use protocol::messages::ListGroupsRequest;

use crate::client::{Client, Target};
use crate::failure::Failure;

/// The ids of all groups.
pub async fn list(client: &Client) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for id in client.cluster().await?.nodes.into_keys() {
        let groups = client
            .call(
                "listGroups",
                Target::Node(id),
                |_| Ok(ListGroupsRequest::default()),
                |answer| match Failure::from_answer(answer.error_code, None) {
                    Some(failure) => Err(failure),
                    None => Ok(answer.groups),
                },
            )
            .await?;
        ids.extend(groups.into_iter().map(|group| group.group_id.to_string()));
    }
    Ok(ids)
}
