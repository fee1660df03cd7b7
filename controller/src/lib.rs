//! The active controller's decisions, and the Raft quorum under them.
//!
//! ```text
//! ControllerHandle ──request──▶ service ──decide──▶ control/ (pure)
//!                                  └──one entry────▶ raft/ ──▶ image, publishers
//! ```
//! A response leaves only after the records it rests on are agreed on, applied and published.

mod clock;
mod control;
mod error;
mod options;
mod placement;
mod raft;
mod service;

pub use clock::Clock;
pub use control::api_error::ApiError;
pub use control::cluster::Registration;
pub use control::configs::Loggers;
pub use control::features::{
    GROUP_VERSION, METADATA_VERSION, SHARE_VERSION, SUPPORTED as SUPPORTED_FEATURES,
    SupportedFeature, TRANSACTION_VERSION,
};
pub use control::put_back::{PutBackMetadata, missing_topics};
pub use control::topic_name;
pub use error::Error;
pub use options::{Options, Settings, SnapshotPolicy};
pub use service::{Controller, ControllerHandle, RequestContext};
