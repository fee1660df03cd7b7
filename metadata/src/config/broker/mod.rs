//! The configs of a broker, by subject, in upstream's order.
//!
//! Invariant: every key of upstream's server.properties is a row, read or not.

mod cleaner;
mod dynamic_only;
mod group_coordinator;
mod kraft;
mod log;
mod metrics;
mod network;
mod quorum;
mod remote;
mod replication;
mod security;
mod server;
mod share;
mod transaction;
mod verification;

use super::def::{ConfigDef, UpdateMode};

/// The rows of server.properties by subject; one subject follows another as upstream has them.
pub(super) const SUBJECTS: &[(&str, &[ConfigDef])] = &[
    ("Tiered storage", remote::ROWS),
    ("Broker", server::ROWS),
    ("Node and metadata log", kraft::ROWS),
    ("Listeners and connections", network::ROWS),
    ("Replication", replication::ROWS),
    ("Groups and committed offsets", group_coordinator::ROWS),
    ("Compaction", cleaner::ROWS),
    ("Logs", log::ROWS),
    ("Share groups", share::ROWS),
    ("Transactions and producers", transaction::ROWS),
    ("Quorum", quorum::ROWS),
    ("Metrics and quotas", metrics::ROWS),
    ("Security", security::ROWS),
    ("Transaction verification", verification::ROWS),
];

/// Keys that are unknown to server.properties and can be set for a running broker.
pub static DYNAMIC_ONLY_BROKER_CONFIGS: &[ConfigDef] = dynamic_only::ROWS;

/// Every key of server.properties.
pub static BROKER_CONFIGS: &[ConfigDef] = &joined();

const COUNT: usize = {
    let mut count = 0;
    let mut subject = 0;
    while subject < SUBJECTS.len() {
        count += SUBJECTS[subject].1.len();
        subject += 1;
    }
    count
};

const fn joined() -> [ConfigDef; COUNT] {
    let mut all = [SUBJECTS[0].1[0]; COUNT];
    let mut next = 0;
    let mut subject = 0;
    while subject < SUBJECTS.len() {
        let rows = SUBJECTS[subject].1;
        let mut row = 0;
        while row < rows.len() {
            all[next] = rows[row];
            next += 1;
            row += 1;
        }
        subject += 1;
    }
    all
}

/// The row of a key of server.properties or of one that is set at run time only.
pub fn find_broker_config(name: &str) -> Option<&'static ConfigDef> {
    BROKER_CONFIGS
        .iter()
        .chain(DYNAMIC_ONLY_BROKER_CONFIGS)
        .find(|def| def.name == name)
}

/// Rows that can change while the broker runs, in the order in which upstream checks them.
pub(super) fn dynamic_configs() -> impl Iterator<Item = &'static ConfigDef> {
    let dynamic = |def: &&ConfigDef| def.update != UpdateMode::ReadOnly;
    DYNAMIC_ONLY_BROKER_CONFIGS
        .iter()
        .chain(BROKER_CONFIGS.iter().filter(dynamic))
}
