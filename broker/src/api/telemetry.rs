//! What the APIs of client metrics share: who the client is.

use protocol::messages::ApiVersionsRequest;

use super::RequestContext;
use crate::network::Software;
use crate::telemetry::Client;

/// Longer names of software are cut: a connection keeps them while it is open.
const SOFTWARE_MAX: usize = 256;

/// Keeps what a client says it is (KIP-511); before version 3 it says nothing.
pub(super) fn remember_software(ctx: &RequestContext, request: &ApiVersionsRequest) {
    if ctx.version < 3 {
        return;
    }
    // Letters, digits, dots and dashes: each is one byte.
    let short = |text: &str| text.chars().take(SOFTWARE_MAX).collect();
    ctx.peer.connection.set_software(Software {
        name: short(&request.client_software_name),
        version: short(&request.client_software_version),
    });
}

/// The client that asks.
pub(super) fn client(ctx: &RequestContext) -> Client {
    let Software { name, version } = ctx.peer.connection.software();
    Client {
        connection: ctx.peer.connection.id,
        client_id: ctx.client_id.as_deref().map(str::to_owned),
        software_name: name,
        software_version: version,
        source_address: ctx.peer.address.ip().to_canonical().to_string(),
        source_port: ctx.peer.address.port().to_string(),
    }
}
