//! The API table, and how a frame becomes an answer.
//!
//! Invariant: a version range appears once, here. Dispatch, the version check, the answer to
//! ApiVersions and `docs/compatibility.md` derive from this table.

mod acls;
mod authorized;
mod auto_create;
mod context;
mod error_codes;
mod faults;
mod groups;
mod respond;
mod share_acknowledgements;
mod share_states;
mod table;
mod telemetry;
mod topics;
mod transactions;

// One file per API.
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_share_group_offsets;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_share_group_offsets;
mod delete_share_group_state;
mod delete_topics;
mod describe;
mod describe_acls;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_share_group_offsets;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod initialize_share_group_state;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod produce_records;
mod produce_verification;
mod push_telemetry;
mod read_share_group_state;
mod read_share_group_state_summary;
mod sasl_handshake;
mod share_acknowledge;
mod share_fetch;
mod share_group_describe;
mod share_group_heartbeat;
mod sync_group;
mod txn_offset_commit;
mod update_features;
mod write_share_group_state;
mod write_txn_markers;

pub(crate) use context::{Node, RequestContext};
pub(crate) use respond::Reply;
pub use table::{APIS, Api};
pub(crate) use topics::is_internal;

use std::sync::Arc;

use bytes::Bytes;
use protocol::header::{RequestFrame, decode_request_header, peek_key_and_version};

use crate::network::Peer;

/// Why a request gets no answer: the connection is closed, as upstream does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a frame of {0} bytes is too short for an API key and a version")]
    TooShort(usize),
    #[error("API key {0} is not served")]
    UnknownKey(i16),
    #[error("{name} version {version} is not served")]
    UnknownVersion { name: &'static str, version: i16 },
    #[error("{name} version {version} cannot be read: {reason}")]
    Malformed {
        name: &'static str,
        version: i16,
        reason: String,
    },
    #[error("the answer to {name} version {version} cannot be written: {reason}")]
    Unwritable {
        name: &'static str,
        version: i16,
        reason: String,
    },
    #[error("a rule of /v1/faults cuts the connection")]
    Cut,
    #[error("acks=0 produce failed with {0:?}")]
    ProduceFailed(protocol::ErrorCode),
}

/// Answers one frame.
pub(crate) async fn dispatch(
    node: &Arc<Node>,
    peer: &Peer,
    frame: Bytes,
) -> Result<Reply, Refusal> {
    let (key, version) = peek_key_and_version(&frame).ok_or(Refusal::TooShort(frame.len()))?;
    let api = table::find(key).ok_or(Refusal::UnknownKey(key))?;
    let malformed = |reason: String| Refusal::Malformed {
        name: api.name,
        version,
        reason,
    };
    let is_served = api.served.contains(&version);
    if !is_served && key != table::API_VERSIONS {
        return Err(Refusal::UnknownVersion {
            name: api.name,
            version,
        });
    }
    let RequestFrame {
        correlation_id,
        client_id,
        body,
        ..
    } = decode_request_header(frame).map_err(|error| malformed(error.to_string()))?;
    if !is_served {
        // The one API a client calls before it knows any version.
        return table::api_versions_fallback(correlation_id);
    }
    let body = protocol::admit_request(key, version, body)
        .map_err(|error| malformed(error.to_string()))?;
    let context = RequestContext::new(node, peer, api, version, correlation_id, client_id);
    (api.handle)(context, body).await
}
