//! Why rows are ignored, one sentence a reason: `docs/configuration.md` shows it.
//!
//! Invariant: a reason is true today; who makes a config count removes it from the row.

pub(super) const ASYNC_RUNTIME: &str = "tasks share the threads of one runtime";
pub(super) const AUTOTUNING: &str = "the system sizes the buffers of a socket as it is used";
pub(super) const CLEANER_BUFFERS: &str =
    "batches are read one by one, and the map of keys grows as it is filled";
pub(super) const CORDONING: &str = "log directories cannot be cordoned yet";
pub(super) const GROUPS: &str = "streams groups are not there yet";
pub(super) const HOUSEKEEPING: &str = "housekeeping has its own rhythm";
pub(super) const INDEX: &str = "the offset index is not a file of a fixed size";
pub(super) const LEVEL: &str = "the broker compresses at the codec's own default level";
pub(super) const LOADING: &str = "coordinators read their logs in steps of 1 MiB";
pub(super) const METRICS: &str = "metrics are not there yet";
pub(super) const ONE_ASSIGNOR: &str = "there is one assignor of share groups";
pub(super) const ONE_LOG_DIR: &str = "the Raft log lies in the one log directory";
pub(super) const ONE_NODE: &str = "a cluster has one node yet";
pub(super) const PLUG_IN: &str = "no class is ever loaded";
pub(super) const PURGATORY: &str = "finished requests are dropped at once";
pub(super) const QUOTAS: &str = "quotas are not there yet";
pub(super) const RAFT: &str = "the Raft log has its own timing and limits";
pub(super) const SECURITY: &str = "TLS, SASL and authorization are not there yet";
pub(super) const SMALL_BATCHES: &str = "batches of a few offsets are not worth compressing";
pub(super) const STARTUP: &str = "a start takes milliseconds and is not timed";
pub(super) const TIERED_STORAGE: &str = "there is no tiered storage";
pub(super) const UNSTABLE: &str = "what is still being developed is never offered";
pub(super) const WRITES: &str = "coordinators append as soon as they have decided";
