//! What a handler may use: the parts of this node, and who asks what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metadata::MetadataImage;
use protocol::{ErrorCode, StrBytes};

use super::Api;
use crate::cleaner::Cleaner;
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::coordinators::{GroupCoordinator, ShareCoordinator, TransactionCoordinator};
use crate::crash_points::CrashPoints;
use crate::faults::{Faults, PartitionFault};
use crate::fetch_sessions::FetchSessions;
use crate::logging::Logging;
use crate::meters::Meters;
use crate::network::{Peer, Resources};
use crate::producer_ids::ProducerIds;
use crate::replica::Manager;
use crate::seed::Seed;
use crate::shares::Shares;
use crate::telemetry::Telemetry;
use crate::test_controls::TestControls;

/// The parts of this node that handlers delegate to.
pub(crate) struct Node {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) cluster_id: StrBytes,
    pub(crate) clock: Clock,
    pub(crate) controller: controller::ControllerHandle,
    pub(crate) replicas: Arc<Manager>,
    pub(crate) log_dir: Arc<storage::LogDir>,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) transactions: Arc<TransactionCoordinator>,
    pub(crate) share_states: Arc<ShareCoordinator>,
    pub(crate) shares: Arc<Shares>,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) loggers: Arc<Logging>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) cleaner: Cleaner,
    pub(crate) faults: Faults,
    /// Where the process is killed on request (test mode).
    pub(crate) crash_points: Arc<CrashPoints>,
    pub(crate) meters: Meters,
    pub(crate) resources: Arc<Resources>,
    /// What is there after a start on an empty folder.
    pub(crate) seed: Seed,
    pub(crate) test_controls: TestControls,
    /// Set once a produce succeeds.
    pub(crate) ready: AtomicBool,
}

impl Node {
    /// Whether the start is over: a produce succeeds.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The context of a request that this node makes of its own controller.
    pub(crate) fn own_context(&self) -> controller::RequestContext {
        controller::RequestContext {
            api_version: 7,
            client_id: Arc::from("klamm"),
        }
    }
}

/// One request, without its body.
pub(crate) struct RequestContext {
    pub(crate) node: Arc<Node>,
    pub(crate) peer: Peer,
    pub(crate) api: &'static Api,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<StrBytes>,
    /// The metadata that the whole request is answered from.
    pub(crate) image: Arc<MetadataImage>,
    /// Errors that rules ask for, of single partitions.
    pub(super) faults: Vec<PartitionFault>,
}

impl RequestContext {
    pub(super) fn new(
        node: &Arc<Node>,
        peer: &Peer,
        api: &'static Api,
        version: i16,
        correlation_id: i32,
        client_id: Option<StrBytes>,
    ) -> Self {
        RequestContext {
            node: node.clone(),
            peer: peer.clone(),
            api,
            version,
            correlation_id,
            client_id,
            image: node.controller.image(),
            faults: Vec::new(),
        }
    }

    /// Fails where a rule asks for an error of this partition; without one, of the topic.
    pub(super) fn check_fault(
        &self,
        topic: &str,
        partition: impl Into<Option<i32>>,
    ) -> Result<(), ErrorCode> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let partition = partition.into();
        let fault = self.faults.iter().find(|it| it.is_of(topic, partition));
        fault.map_or(Ok(()), |fault| Err(fault.code))
    }

    /// This request, as the controller needs to know it.
    pub(crate) fn for_controller(&self) -> controller::RequestContext {
        controller::RequestContext {
            api_version: self.version,
            client_id: Arc::from(self.client_id()),
        }
    }

    /// The client id as text; none is the empty one.
    pub(crate) fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or("")
    }
}
