//! The controller as the rest of the node calls it: one method an API, each answered only when
//! what it says is in force.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use metadata::MetadataImage;
use protocol::ErrorCode;
use protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest, ElectLeadersResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, UpdateFeaturesRequest,
    UpdateFeaturesResponse,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::{Call, Job};
use super::quorum;
use crate::clock::Clock;
use crate::control::api_error::ApiError;
use crate::control::cluster::{self, Registration};
use crate::control::configs::{self, Loggers};
use crate::control::put_back::PutBackMetadata;
use crate::control::{
    Decision, Environment, election, features, partitions, producer_ids, put_back, reassignments,
    topics,
};
use crate::error::Error;
use crate::options::Settings;
use crate::raft::Consensus;

/// Who asks, and in which version of the API.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub api_version: i16,
    pub client_id: Arc<str>,
}

/// A way to the controller. Cheap to clone.
#[derive(Clone)]
pub struct ControllerHandle {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) consensus: Arc<Consensus>,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) loggers: Arc<dyn Loggers>,
}

impl ControllerHandle {
    /// The metadata as of the last change that every publisher has seen.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.consensus.image()
    }

    /// Whether changes wait for room on the disk. They go on by themselves.
    pub fn is_disk_full(&self) -> bool {
        self.consensus.is_full()
    }

    /// Comes back when the controller has stopped, with the reason: it was shut down, or the
    /// metadata log failed and the node must not go on.
    pub async fn stopped(&self) -> Error {
        self.consensus.failed().await
    }

    pub(super) fn close(&self) {
        self.consensus.close();
    }

    async fn submit<R: Send + 'static>(
        &self,
        timeout_ms: Option<i32>,
        decide: impl FnMut(&MetadataImage, &mut Environment<'_>) -> Decision<R> + Send + 'static,
    ) -> Result<R, ApiError> {
        if self.consensus.is_full() {
            return Err(ApiError::bare(ErrorCode::KafkaStorageError));
        }
        let timed_out = || ApiError::bare(ErrorCode::RequestTimedOut);
        let deadline = match timeout_ms.map(u64::try_from) {
            None => None,
            Some(Ok(timeout_ms)) if timeout_ms > 0 => {
                Some(Instant::now() + Duration::from_millis(timeout_ms))
            }
            // As upstream: there was no time to do anything.
            Some(Ok(_) | Err(_)) => return Err(timed_out()),
        };
        let (reply, answer) = oneshot::channel();
        let job = Job::Request(Box::new(Call::new(decide, deadline, reply)));
        let stopped = || ApiError::bare(ErrorCode::NotController);
        let exchange = async {
            self.jobs.send(job).await.map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())?
        };
        match deadline {
            None => exchange.await,
            Some(deadline) => tokio::time::timeout_at(deadline, exchange)
                .await
                .unwrap_or_else(|_| Err(timed_out())),
        }
    }

    pub async fn create_topics(
        &self,
        context: RequestContext,
        request: CreateTopicsRequest,
    ) -> CreateTopicsResponse {
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        // Without time there is none to create, but enough to tell what is not looked up.
        let timeout_ms = topics::has_topics_to_create(&request).then_some(request.timeout_ms);
        let response = self
            .submit(timeout_ms, move |image, env| {
                topics::create_topics(&asked, image, env)
            })
            .await
            .unwrap_or_else(|error| topics::refuse_create_topics(&request, &error));
        if !request.validate_only {
            for topic in response.topics.iter().filter(|topic| topic.error_code == 0) {
                tracing::info!(
                    topic = topic.name.as_str(),
                    partitions = topic.num_partitions,
                    client_id = &*context.client_id,
                    "topic created"
                );
            }
        }
        response
    }

    pub async fn delete_topics(
        &self,
        context: RequestContext,
        request: DeleteTopicsRequest,
    ) -> DeleteTopicsResponse {
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        let api_version = context.api_version;
        let timeout_ms = topics::has_topics_to_delete(&request).then_some(request.timeout_ms);
        let response = self
            .submit(timeout_ms, move |image, env| {
                topics::delete_topics(&asked, api_version, image, env)
            })
            .await
            .unwrap_or_else(|error| topics::refuse_delete_topics(&request, error.code));
        for topic in response
            .responses
            .iter()
            .filter(|topic| topic.error_code == 0)
        {
            tracing::info!(
                topic = topic.name.as_ref().map_or("", |name| name.as_str()),
                client_id = &*context.client_id,
                "topic deleted"
            );
        }
        response
    }

    pub async fn create_partitions(
        &self,
        _context: RequestContext,
        request: CreatePartitionsRequest,
    ) -> CreatePartitionsResponse {
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        let timeout_ms = partitions::has_topics_to_grow(&request).then_some(request.timeout_ms);
        self.submit(timeout_ms, move |image, env| {
            partitions::create_partitions(&asked, image, env)
        })
        .await
        .unwrap_or_else(|error| partitions::refuse_create_partitions(&request, &error))
    }

    pub async fn alter_configs(
        &self,
        _context: RequestContext,
        request: AlterConfigsRequest,
    ) -> AlterConfigsResponse {
        let answered = configs::check::check(
            &configs::resources_of(&request),
            request.validate_only,
            &self.image(),
            &self.settings,
            self.loggers.as_ref(),
        );
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        self.submit(None, move |image, env| {
            configs::alter_configs(&asked, &answered, image, env)
        })
        .await
        .unwrap_or_else(|error| configs::refuse_alter_configs(&request, &error))
    }

    pub async fn incremental_alter_configs(
        &self,
        _context: RequestContext,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let answered = configs::check::check(
            &configs::incremental_resources_of(&request),
            request.validate_only,
            &self.image(),
            &self.settings,
            self.loggers.as_ref(),
        );
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        self.submit(None, move |image, env| {
            configs::incremental_alter_configs(&asked, &answered, image, env)
        })
        .await
        .unwrap_or_else(|error| configs::refuse_incremental_alter_configs(&request, &error))
    }

    pub async fn update_features(
        &self,
        context: RequestContext,
        request: UpdateFeaturesRequest,
    ) -> UpdateFeaturesResponse {
        let api_version = context.api_version;
        self.submit(None, move |image, env| {
            features::update_features(&request, api_version, image, env)
        })
        .await
        .unwrap_or_else(|error| features::refuse_update_features(&error))
    }

    pub async fn elect_leaders(
        &self,
        _context: RequestContext,
        request: ElectLeadersRequest,
    ) -> ElectLeadersResponse {
        if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
            // As upstream: nothing is asked, so nothing can be wrong with it.
            return ElectLeadersResponse::default();
        }
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        self.submit(Some(request.timeout_ms), move |image, env| {
            election::elect_leaders(&asked, image, env)
        })
        .await
        .unwrap_or_else(|error| election::refuse_elect_leaders(&request, &error))
    }

    /// Read from the image: nothing is decided.
    pub async fn list_partition_reassignments(
        &self,
        _context: RequestContext,
        request: ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        reassignments::list_partition_reassignments(&request, &self.image())
    }

    /// Puts the metadata back to an earlier image, but for the topics that are missing: those are
    /// for [`ControllerHandle::bring_again`].
    pub async fn remove_what_came(&self, wanted: PutBackMetadata) -> Result<(), ErrorCode> {
        self.submit(None, move |image, _| {
            put_back::remove_what_came(&wanted, image)
        })
        .await
        .map_err(|error| error.code)
    }

    /// Brings missing topics again with their old ids. False, and nothing is done, where one of
    /// their names has been taken.
    pub async fn bring_again(&self, wanted: PutBackMetadata) -> Result<bool, ErrorCode> {
        self.submit(None, move |image, _| put_back::bring_again(&wanted, image))
            .await
            .map_err(|error| error.code)
    }

    /// A block of producer ids that nobody else gets.
    pub async fn allocate_producer_ids(
        &self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<Range<i64>, ErrorCode> {
        self.submit(None, move |image, env| {
            producer_ids::allocate_producer_ids(broker_id, broker_epoch, image, env)
        })
        .await
        .unwrap_or_else(|error| Err(error.code))
    }

    /// Registers a broker, fenced until [`ControllerHandle::unfence`], and gives its epoch.
    pub async fn register_broker(&self, registration: Registration) -> Result<i64, ErrorCode> {
        self.submit(None, move |image, env| {
            cluster::register_broker(&registration, image, env)
        })
        .await
        .unwrap_or_else(|error| Err(error.code))
    }

    /// Makes a registered broker active: it leads what waits for it when this returns.
    pub async fn unfence(&self, broker_id: i32, broker_epoch: i64) -> Result<(), ErrorCode> {
        self.submit(None, move |image, env| {
            cluster::unfence_broker(broker_id, broker_epoch, image, env)
        })
        .await
        .unwrap_or_else(|error| Err(error.code))
    }

    pub async fn describe_quorum(
        &self,
        context: RequestContext,
        request: DescribeQuorumRequest,
    ) -> DescribeQuorumResponse {
        let quorum = self.consensus.quorum();
        quorum::describe_quorum(&request, context.api_version, &quorum, self.clock.now())
    }
}
