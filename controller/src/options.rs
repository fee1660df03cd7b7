//! What a controller is started with.

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::Fs;

use crate::clock::Clock;
use crate::control::configs::Loggers;

/// How to start a [`crate::Controller`].
pub struct Options {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    /// The door to the vote and snapshot files.
    pub fs: Arc<dyn Fs>,
    /// Topic ids, replica placement and election time-outs are drawn from it.
    pub seed: u64,
    /// When the metadata log is cut behind a snapshot.
    pub snapshots: SnapshotPolicy,
    /// The loggers of this process, for the resource BROKER_LOGGER.
    pub loggers: Arc<dyn Loggers>,
}

/// What decisions rest on besides the metadata.
#[derive(Debug, Clone)]
pub struct Settings {
    pub node_id: i32,
    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `delete.topic.enable`
    pub delete_topic_enable: bool,
    /// `server.properties` as given.
    pub static_properties: Arc<BTreeMap<String, String>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            node_id: 1,
            num_partitions: 1,
            default_replication_factor: 1,
            delete_topic_enable: true,
            static_properties: Arc::default(),
        }
    }
}

/// When a snapshot is taken and how much log stays behind it.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotPolicy {
    /// A snapshot is due after this many bytes of entries (upstream's
    /// `metadata.log.max.record.bytes.between.snapshots`) ...
    pub bytes_between: u64,
    /// ... or after this many entries.
    pub entries_between: u64,
    /// Entries that stay in the log although the snapshot has them.
    pub entries_kept: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> SnapshotPolicy {
        SnapshotPolicy {
            bytes_between: 20 * 1024 * 1024,
            entries_between: 10_000,
            entries_kept: 100,
        }
    }
}
