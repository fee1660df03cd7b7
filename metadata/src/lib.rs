//! What the cluster looks like after these records: metadata records, images, deltas and config
//! tables. Nothing here waits, reads a clock or draws a random number.
//!
//! ```text
//! MetadataRecord ──replay──▶ MetadataDelta ──apply──▶ MetadataImage ──write──▶ MetadataRecord
//! ```
//! Replaying what an image writes into the empty image gives the same image: that is the snapshot.

pub mod config;
pub mod image;
pub mod publisher;
pub mod record;

pub use config::ConfigResource;
pub use image::{
    BrokerRegistration, ClusterImage, ConfigsImage, Endpoint, FeaturesImage, LeaderRecoveryState,
    MetadataDelta, MetadataImage, PartitionRegistration, ProducerIdsImage, Provenance, ReplayError,
    SecurityProtocol, TopicImage, TopicsImage,
};
pub use publisher::MetadataPublisher;
pub use record::{MetadataRecord, RecordError};
