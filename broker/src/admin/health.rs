//! `/healthz`: the process answers. `/readyz`: a produce would succeed.
//!
//! Invariant: what stands in a produce's way is named in the answer.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::answer;
use super::{Admin, ApiError};
use crate::api::Node;

pub(super) async fn healthz() -> Response {
    answer(StatusCode::OK, &json!({"status": "ok"}))
}

pub(super) async fn readyz(State(admin): State<Admin>) -> Response {
    let node = &admin.node;
    match obstacle(&admin).await {
        None => {
            let body = json!({
                "status": "ready",
                "node_id": node.config.node_id,
                "cluster_id": node.cluster_id.as_str(),
            });
            answer(StatusCode::OK, &body)
        }
        Some(reason) => ApiError::unavailable(format!("not ready: {reason}"))
            .with("status", json!("not ready"))
            .into_response(),
    }
}

/// Why a produce would fail now.
async fn obstacle(admin: &Admin) -> Option<&'static str> {
    let node: &Node = &admin.node;
    if admin.stop.is_cancelled() {
        return Some("the broker is stopping");
    }
    if !node.is_ready() {
        return Some("the broker is starting");
    }
    let failed = tokio::select! {
        biased;
        _ = node.controller.stopped() => true,
        () = std::future::ready(()) => false,
    };
    if failed {
        return Some("the metadata log has failed");
    }
    if node.log_dir.is_offline() {
        return Some("the data folder is offline after a failed write");
    }
    if node.controller.is_disk_full() || matches!(node.log_dir.usable_bytes(), Ok(0)) {
        return Some("the disk is full");
    }
    let image = node.controller.image();
    let registered = image.cluster.broker(node.config.node_id);
    if !registered.is_some_and(metadata::BrokerRegistration::is_active) {
        return Some("the broker is fenced");
    }
    None
}
