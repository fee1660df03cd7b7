//! Upstream's command-line tools, under upstream's names, with upstream's options, output shape
//! and exit codes.
//!
//! A tool is a client: it knows a cluster by its address alone. Nothing here opens a data folder.

mod acls;
pub mod admin;
pub mod argparse;
mod bootstrap;
mod broker_api_versions;
pub mod client;
mod client_metrics;
mod cluster;
mod configs;
mod console;
mod consumer_groups;
mod delete_records;
pub mod exceptions;
pub mod failure;
mod get_offsets;
mod groups;
mod java_map;
mod log_dirs;
mod metadata_quorum;
pub mod options;
pub mod print;
mod random_id;
mod share_groups;
pub mod stop;
mod topics;
mod transactions;

use std::process::ExitCode;

/// A tool: its arguments without its name, and what it ends with.
type Tool = fn(&[String]) -> ExitCode;

/// Every tool under upstream's name, without the `.sh` that some of its images add.
const TOOLS: &[(&str, Tool)] = &[
    ("kafka-acls", acls::run),
    ("kafka-broker-api-versions", broker_api_versions::run),
    ("kafka-client-metrics", client_metrics::run),
    ("kafka-cluster", cluster::run),
    ("kafka-configs", configs::run),
    ("kafka-console-consumer", console::consumer::run),
    ("kafka-console-producer", console::producer::run),
    ("kafka-console-share-consumer", console::share_consumer::run),
    ("kafka-consumer-groups", consumer_groups::run),
    ("kafka-delete-records", delete_records::run),
    ("kafka-get-offsets", get_offsets::run),
    ("kafka-groups", groups::run),
    ("kafka-log-dirs", log_dirs::run),
    ("kafka-metadata-quorum", metadata_quorum::run),
    ("kafka-share-groups", share_groups::run),
    ("kafka-topics", topics::run),
    ("kafka-transactions", transactions::run),
];

/// The tool of that name, with or without `.sh`.
#[must_use]
pub fn find(name: &str) -> Option<Tool> {
    let name = name.strip_suffix(".sh").unwrap_or(name);
    TOOLS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, tool)| *tool)
}

/// The names of all tools, in the order of the alphabet.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, _)| *name)
}
