//! What `scripts/schemas` writes from the specs in the kafka-clients jar.
//!
//! Invariant: nothing in this folder but this file is written by hand.

#![allow(
    clippy::derivable_impls,
    clippy::needless_borrow,
    clippy::nonminimal_bool,
    clippy::too_many_lines
)]

pub mod describe_log_dirs_request;
pub mod describe_log_dirs_response;
pub mod describe_share_group_offsets_request;
pub mod describe_share_group_offsets_response;
pub mod fetch_response;
pub mod list_offsets_request;
pub mod list_offsets_response;
pub mod offset_commit_request;
pub mod offset_fetch_request;
pub mod read_share_group_state_summary_request;
pub mod read_share_group_state_summary_response;
pub(crate) mod requests;
pub mod share_acknowledge_request;
pub mod share_acknowledge_response;
pub mod share_fetch_request;
pub mod share_fetch_response;
pub mod write_share_group_state_request;
pub mod write_share_group_state_response;
pub mod write_txn_markers_request;
pub mod write_txn_markers_response;
