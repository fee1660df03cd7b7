//! The HTTP port of a node, for tests and operators: `klamm.admin.listener`.
//!
//! Invariants: without the setting nothing is started and nothing is paid; every answer, errors
//! too, is JSON (metrics apart); what can lose data is behind [`TestMode`].

mod address;
mod body;
mod clock;
mod crash;
mod error;
mod faults;
mod health;
mod metrics;
mod server;
mod state;
mod wait;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::routing::{MethodRouter, get, post};
use tokio_util::sync::CancellationToken;

pub(crate) use address::AdminAddress;
pub(crate) use error::ApiError;
pub(crate) use server::AdminListener;

use crate::api::Node;

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) node: Arc<Node>,
    /// Cancelled when the broker stops: whatever waits ends then.
    pub(crate) stop: CancellationToken,
}

/// A path, and the handlers of its methods.
type Route = (&'static str, fn() -> MethodRouter<Admin>);

/// All there is. What is asked for elsewhere is answered with this list.
const ROUTES: &[Route] = &[
    ("/healthz", || get(health::healthz)),
    ("/readyz", || get(health::readyz)),
    ("/v1/clock", || get(clock::show).post(clock::change)),
    ("/v1/crash", || {
        get(crash::show).post(crash::set).delete(crash::remove)
    }),
    ("/v1/reset", || post(state::reset)),
    ("/v1/restore", || post(state::restore)),
    ("/v1/snapshot", || {
        get(state::list).post(state::snapshot).delete(state::delete)
    }),
    ("/metrics", || get(metrics::metrics)),
    ("/v1/wait", || get(wait::wait)),
    ("/v1/faults", || {
        get(faults::list)
            .post(faults::add)
            .delete(faults::remove_all)
    }),
    ("/v1/faults/{id}", || {
        get(faults::one).delete(faults::remove_one)
    }),
];

fn router(admin: Admin) -> Router {
    let mut router = Router::new();
    for (path, handlers) in ROUTES {
        router = router.route(path, handlers());
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(admin)
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", uri.path()))
        .with("paths", ROUTES.iter().map(|(path, _)| *path).collect())
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(&method, uri.path())
}

/// As an argument of a handler: it is refused unless `klamm.test.mode=true`.
pub(crate) struct TestMode;

impl FromRequestParts<Admin> for TestMode {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<TestMode, ApiError> {
        if admin.node.config.klamm.test_mode {
            return Ok(TestMode);
        }
        Err(ApiError::forbidden(format!(
            "{} {} can lose data or break clients: it is refused unless klamm.test.mode=true (environment: \
             KLAMM_TEST_MODE=true)",
            parts.method,
            parts.uri.path()
        )))
    }
}
