//! What tools ask a cluster to do, one function a call of upstream's admin client.
//!
//! Invariant: each goes to whom upstream's client asks, and fails as it fails.

pub mod cluster;
pub mod configs;
pub mod groups;
pub mod quotas;
pub mod scram;
pub mod topics;
pub mod transactions;

use protocol::StrBytes;
use protocol::messages::TopicName;

/// How long a broker may take over what it does before it answers, as upstream's client says it.
const TIMEOUT_MS: i32 = 30_000;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
